"""What the command line asks about elements: which serve, whether files are good, and for newer ones now."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from groundstation.archive.element_supply import LastFetch, current_sets, last_fetches
from groundstation.archive.queries import Reader
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.config import Config, ConfigError, numbers_in_orbit, reason
from groundstation.elements.http import GOOD
from groundstation.elements.settings import SourceSettings
from groundstation.orbit.element_text import examine_elements
from groundstation.orbit.elements import Elements
from groundstation.orbit.gate import judge, sgp4_error
from groundstation.supply import Supply
from groundstation.telemetry.moments import moment_of

log = logging.getLogger(__name__)

T = TypeVar("T")
Key = tuple[str, int]  # slug and catalogue number


@dataclass(frozen=True, slots=True)
class Kept:
    """A set that serves; `since` is None where no daemon has admitted it yet, `flies` false where nobody predicts."""

    elements: Elements
    since: datetime | None
    flies: bool


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a network source was last asked; the moments are None where it never was."""

    name: str
    asked_at: datetime | None
    outcome: str
    detail: str
    succeeded_at: datetime | None
    next_at: datetime | None

    @property
    def good(self) -> bool:
        return self.outcome in GOOD


@dataclass(frozen=True, slots=True)
class Updated:
    """What asking a source brought; `state` is that of the last time where it may not be asked yet."""

    asked: bool
    admitted: int
    state: SourceState


def kept_sets(config: Config) -> list[Kept]:
    """Return the set of each number that serves: as the archive knows, since fetched ones lie in no file.

    A newer one in a file that no daemon has seen yet is believed if the gate would. Without an archive the files are
    all there is.
    """
    found: dict[Key, tuple[Elements, datetime | None]] = {}
    for served in from_archive(config, current_sets) or ():
        one = served.elements
        found[one.name, one.norad_id] = one, moment_of(served.since_us)
    for one in config.elements:
        last, _ = found.get((one.name, one.norad_id), (None, None))
        if judge(one, last, [one.norad_id], datetime.now(UTC)) is None:
            found[one.name, one.norad_id] = one, None
    return [
        Kept(*found[slug, number], flies=definition.status != "decayed")
        for slug, definition in config.definitions.items()
        for number in definition.norad_ids
        if (slug, number) in found
    ]


def serving(config: Config) -> Config:
    """Return `config` with the sets that serve now in the place of those in its files."""
    return replace(config, elements=tuple(one.elements for one in kept_sets(config) if one.flies))


def source_states(config: Config) -> list[SourceState]:
    known = from_archive(config, last_fetches) or {}
    return [state_of(source, known, config) for source in config.settings.element_sources]


def state_of(source: SourceSettings, known: dict[str, LastFetch], config: Config) -> SourceState:
    """Return how the source's requests stand as one: the worst and the latest of them count."""
    asked = source.requests(numbers_in_orbit(config.definitions.values()))
    mine = [known[one.address] for one in asked if one.address in known]
    if not mine:
        return SourceState(source.name, None, "never", "", None, None)
    worst = max(mine, key=lambda one: (one.outcome not in GOOD, one.asked_at_us))
    successes = [one.succeeded_at_us for one in mine]
    return SourceState(
        source.name,
        moment_of(worst.asked_at_us),
        worst.outcome,
        worst.detail,
        None if None in successes else moment_of(min(at for at in successes if at is not None)),
        moment_of(max(one.allowed_at_us for one in mine)),
    )


def from_archive(config: Config, query: Callable[..., T]) -> T | None:
    """Return what the archive knows; None where there is none yet, or one without such tables."""
    settings = config.settings.archive
    file = Path(settings.url.removeprefix("sqlite:///"))
    if settings.url.startswith("sqlite:///") and not file.exists():
        return None
    try:
        return Reader(settings.url, settings.password_file).ask_now(query)
    except ArchiveUnavailableError as error:
        log.warning("the archive does not say which elements serve, so those in the files do: %s", error)
        return None


def examine_files(files: Sequence[Path]) -> tuple[list[str], list[str]]:
    """Return a line for each good file, and one for each fault in the others: `file:line: found, expected`."""
    good, faults = [], []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"{file}: cannot be read: {reason(error)}")
            continue
        sets, found = examine_elements(text, str(file))
        found += [f"{one.source}: {wrong}" for one in sets if (wrong := sgp4_error(one))]
        faults += found
        if not found:
            good.append(f"{file}: good, {len(sets)} element sets of {len({one.norad_id for one in sets})} objects")
    return good, faults


def sources_asked(config: Config, names: Sequence[str]) -> list[SourceSettings]:
    """Return the named sources, all where none is named; raises ConfigError where there is no such source."""
    sources = {one.name: one for one in config.settings.element_sources}
    if not sources:
        raise ConfigError([f"{config.path}: expected element_sources to ask, found none"])
    if strangers := [name for name in names if name not in sources]:
        raise ConfigError([f"SOURCE: found {', '.join(strangers)}, expected {' or '.join(sources)}"])
    return [sources[name] for name in names or sources]


async def update(config: Config, sources: Sequence[SourceSettings], tell: Callable[[str], None]) -> list[Updated]:
    """Ask `sources` where they may be asked now, and put what they have through the gate.

    The archive exists already. Raises ArchiveUnavailableError.
    """
    done = []
    settings = config.settings.archive
    async with Writer(settings.url, settings.password_file) as writer:
        supply = Supply(config)
        await supply.open(writer)
        for source in sources:
            tell(source.name)
            asked, admitted = await supply.fetch(source, writer)
            known = await writer.commit(last_fetches)
            done.append(Updated(asked.outcome is not None, admitted, state_of(source, known, config)))
    return done
