"""Which contacts each station plans, from the configuration and what the archive says was promised."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from groundstation.archive.contacts import commitments, last_contacts
from groundstation.archive.queries import Reader
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.commands.passes_query import doubts
from groundstation.config import Config, ConfigError
from groundstation.orbit.contacts import Commitment, Plan, choose_contacts
from groundstation.orbit.passes import find_passes
from groundstation.planning import rules_of

LOOK_BACK = timedelta(hours=1)  # so that a pass under way has its AOS


@dataclass(frozen=True, slots=True)
class Remembered:
    """What was promised by station, and when each object's last contact ended; `faults` where nobody could tell."""

    promised: Mapping[str, Sequence[Commitment]]
    last: Mapping[int, datetime]
    faults: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Planned:
    plans: Mapping[str, Plan]  # by station
    names: Mapping[str, str]  # a satellite's name by slug
    title: str
    warnings: tuple[str, ...]  # one line each


def query_contacts(config: Config, station: str | None, start: datetime, end: datetime) -> Planned:
    """Return the plan of every station, or of one, as the daemon would make it at `start`.

    Raises ConfigError where there is no such station.
    """
    if station is not None and station not in config.sites:
        raise ConfigError([f"--site: found {station}, expected a station: {', '.join(config.sites)}"])
    known = remembered(config, start)
    plans = {}
    for one in config.settings.stations:
        if station in (None, one.slug):
            passes = find_passes(config.elements, one.site(), start - LOOK_BACK, end)
            promised = known.promised.get(one.slug, ())
            plans[one.slug] = choose_contacts(passes, promised, rules_of(config, one), (start, end), known.last)
    return Planned(
        plans=plans,
        names={slug: definition.name for slug, definition in config.definitions.items()},
        title=f"{', '.join(plans)}, {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
        warnings=(*doubts(config.elements, start, end, "iers"), *broken(plans), *known.faults),
    )


def remembered(config: Config, now: datetime) -> Remembered:
    """Return what the archive remembers; nothing where it cannot be read, as before the daemon's first start."""
    archive = config.settings.archive
    try:
        reader = Reader(archive.url, archive.password_file)
        return Remembered(reader.ask_now(commitments, now), reader.ask_now(last_contacts, now))
    except ArchiveUnavailableError as error:
        said = f"{error}: planned as if nothing were promised or contacted yet"
        return Remembered({}, {}, (said,))


def broken(plans: Mapping[str, Plan]) -> list[str]:
    """Return a line for each promise whose pass is no longer predicted."""
    return [
        f"{station}: promised to {one.satellite} at {one.start:%Y-%m-%d %H:%M:%S}, where no pass is predicted any more"
        for station, plan in plans.items()
        for one in plan.cancelled
    ]
