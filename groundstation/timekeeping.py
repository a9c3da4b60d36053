"""How well satellites keep to their predictions: from the earlier element sets that files and archive have of each."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from math import isfinite

from groundstation.archive.element_supply import sets_since
from groundstation.archive.queries import Reader
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.config import Config, read_elements
from groundstation.orbit.ageing import aos_uncertainty_s, drift_factor
from groundstation.orbit.elements import Elements
from groundstation.orbit.gate import sgp4_error
from groundstation.orbit.passes import Pass
from groundstation.telemetry.moments import microseconds

BACK = timedelta(days=60)  # before the set in use: further back, the sun was another


def uncertainties(
    passes: Iterable[Pass], elements: Iterable[Elements], factors: Mapping[int, float]
) -> dict[Pass, float]:
    """Return by how many seconds the AOS of each pass may be early or late; none where nobody can say.

    Takes 30 µs a pass: not for the event loop where there are many.
    """
    used = {one.norad_id: one for one in elements}
    found = ((one, uncertainty_s(one.aos, used[one.norad_id], factors)) for one in passes)
    return {one: seconds for one, seconds in found if seconds is not None}


def uncertainty_s(aos: datetime | None, elements: Elements, factors: Mapping[int, float]) -> float | None:
    """Return by how many seconds AOS may be early or late, nine times of ten; None where there is none or no saying."""
    if aos is None:
        return None
    seconds = aos_uncertainty_s(elements, aos) * factors.get(elements.norad_id, 1.0)
    return seconds if isfinite(seconds) else None


def drift_factors(elements: Iterable[Elements], history: Iterable[Elements]) -> dict[int, float]:
    """Return by catalogue number how many times the usual error each satellite's own sets have shown.

    Takes some 5 ms for a satellite whose history is long.
    """
    by_number: dict[int, dict[object, Elements]] = {}
    for one in history:
        by_number.setdefault(one.norad_id, {})[one.epoch] = one
    factors = {}
    for one in elements:
        if others := by_number.get(one.norad_id):
            sets = {**others, one.epoch: one}
            factors[one.norad_id] = drift_factor([each for each in sets.values() if sgp4_error(each) is None])
    return factors


def since_us(elements: Iterable[Elements]) -> int:
    """Return from when on the history of these sets is worth reading."""
    return microseconds(min(one.epoch for one in elements) - BACK)


def known_history(config: Config, elements: Sequence[Elements], given: Iterable[Elements] = ()) -> list[Elements]:
    """Return `given`, and what the configured folder and the archive have of the same satellites.

    Without an archive the files are all there is.
    """
    if not elements:
        return []
    numbers = {one.norad_id for one in elements}
    # A fault in a file has been told when the configuration was read.
    sets = [*given, *read_elements(config.settings.elements, problems=[])]
    settings = config.settings.archive
    try:
        reader = Reader(settings.url, settings.password_file)
        sets += reader.ask_now(sets_since, list(config.definitions), since_us(elements))
    except ArchiveUnavailableError:
        pass  # there is none yet, or `elements_query` has said why it does not answer
    return [one for one in sets if one.norad_id in numbers]
