"""Which pass was asked for: a satellite's next one, the one at a time, or one that the archive has a number for."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from groundstation.archive.pass_queries import PredictedPass, pass_of
from groundstation.archive.provenance import elements_used
from groundstation.archive.queries import Reader
from groundstation.commands.passes_query import Asked, doubts, elements_asked, history, lit, site_asked
from groundstation.commands.times_asked import time_asked
from groundstation.config import Config, ConfigError
from groundstation.orbit.elements import Elements, ElementsError
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.site import Site
from groundstation.orbit.sunlit import Span
from groundstation.orbit.track import Track, times_between, track
from groundstation.telemetry.definition import Downlink
from groundstation.telemetry.moments import moment_of
from groundstation.timekeeping import drift_factors, uncertainty_s

AHEAD = timedelta(days=7)
LONGEST = timedelta(days=1)  # of a pass without an end, as a geostationary satellite's
ABOUT = timedelta(minutes=1)  # how far the rest of the configuration may have moved a pass since it was kept
DIGITS_MOST = 18  # of a number that a database takes
ROWS_MOST = 100_000


@dataclass(frozen=True, slots=True)
class TrackedPass:
    """One pass with the satellite's way through it."""

    of: Pass
    name: str  # the satellite's, for people
    elements: Elements
    site: Site
    downlinks: tuple[Downlink, ...]
    track: Track
    warnings: tuple[str, ...]
    sunlit: tuple[Span, ...]
    aos_uncertainty_s: float | None  # early or late, nine times of ten; None where nobody can say


@dataclass(frozen=True, slots=True)
class Chosen:
    """One pass, and what it is predicted from."""

    of: Pass
    elements: Elements
    site: Site
    since: datetime  # where a pass without an AOS is taken up


def query_track(config: Config, wanted: str, asked: Asked, step_s: float, now: datetime) -> TrackedPass:
    """Return the pass `wanted` (SATELLITE, SATELLITE@TIME or the archive's number) at each step.

    Raises ConfigError with one line for what was asked wrongly, ArchiveUnavailableError where a number cannot be
    looked up.
    """
    try:
        if wanted.isdecimal():
            chosen = numbered_pass(config, wanted, asked)
        else:
            satellite, _, time_text = wanted.partition("@")
            moment = time_of(time_text) if time_text else now
            chosen = pass_of_satellite(config, satellite, asked, moment)
    except ElementsError as error:
        raise ConfigError([str(error)]) from error
    of = chosen.of
    start = of.aos or chosen.since
    end = of.los or start + LONGEST
    if (end - start) / timedelta(seconds=step_s) > ROWS_MOST:
        raise ConfigError([f"--step: found {step_s:g}, which makes more than {ROWS_MOST} rows, expected longer steps"])
    definition = config.definitions.get(of.satellite)
    downlinks = definition.downlinks if definition else ()
    factors = drift_factors([chosen.elements], history(config, [chosen.elements], asked))
    times = times_between(start, end, timedelta(seconds=step_s))
    return TrackedPass(
        of=of,
        name=definition.name if definition else of.satellite or "object",
        elements=chosen.elements,
        site=chosen.site,
        downlinks=downlinks,
        track=track(chosen.elements, chosen.site, times, [link.frequency_hz for link in downlinks], ut1=asked.ut1),
        warnings=tuple(doubts([chosen.elements], start, end, asked.ut1)),
        sunlit=tuple(lit(chosen.elements, start, end)),
        aos_uncertainty_s=uncertainty_s(of.aos, chosen.elements, factors),
    )


def time_of(text: str) -> datetime:
    try:
        return time_asked(text)
    except ValueError as error:
        raise ConfigError([f"PASS: after @ {error}"]) from error


def pass_of_satellite(config: Config, satellite: str, asked: Asked, moment: datetime) -> Chosen:
    """Return the satellite's pass under way at `moment`, else its next one."""
    if not satellite:
        raise ConfigError(["PASS: found no satellite before @, expected SATELLITE@TIME"])
    sets = elements_asked(config, Asked([satellite], element_files=asked.element_files), where="PASS")
    site = site_asked(config, asked)
    found = find_passes(sets, site, moment, moment + AHEAD, ut1=asked.ut1)
    if not found:
        days = f"in the {AHEAD.days} days after {moment:%Y-%m-%d %H:%M} UTC"
        raise ConfigError([f"PASS: found {satellite}, which has no pass over {site.name} {days}"])
    return Chosen(found[0], next(one for one in sets if one.norad_id == found[0].norad_id), site, since=moment)


def numbered_pass(config: Config, wanted: str, asked: Asked) -> Chosen:
    """Return the pass that the archive has under this number, from the elements that it was predicted from."""
    if asked.site is not None or asked.mask_deg is not None or asked.element_files:
        raise ConfigError([f"PASS: found the number {wanted}, expected no --site, --mask or --elements with it"])
    reader = Reader(config.settings.archive.url, config.settings.archive.password_file)
    kept = reader.ask_now(pass_of, int(wanted)) if len(wanted) <= DIGITS_MOST else None
    if kept is None:
        raise ConfigError(
            [f"PASS: found {wanted}, expected SATELLITE, SATELLITE@TIME or a pass that the archive knows"]
        )
    if kept.station not in config.sites:
        raise ConfigError([f"PASS: found {wanted}, over {kept.station}, which is no station of {config.path}"])
    site, elements = config.sites[kept.station], elements_of_pass(config, reader, kept)
    middle = moment_of(kept.culmination_us)
    found = find_passes([elements], site, middle - ABOUT, middle + ABOUT, ut1=asked.ut1)
    if not found:
        raise ConfigError([f"PASS: found {wanted}, which is no pass with the configuration as it is now"])
    nearest = min(found, key=lambda one: abs(one.culmination - middle))
    return Chosen(nearest, elements, site, since=middle - LONGEST / 2)


def elements_of_pass(config: Config, reader: Reader, kept: PredictedPass) -> Elements:
    """Return the set that the pass was predicted from: as the archive kept it, else the configuration's."""
    used = reader.ask_now(elements_used, kept.satellite, kept.norad_id, kept.elements_epoch_us)
    if used is not None:
        return used
    standing = next((one for one in config.elements if one.norad_id == kept.norad_id), None)
    if standing is None:
        raise ConfigError([f"PASS: found {kept.id}, of {kept.satellite} ({kept.norad_id}), which has no elements"])
    return standing
