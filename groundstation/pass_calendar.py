"""Passes as a calendar that people subscribe to or import.

An event stands for one pass for good: its UID stays while newer elements move its times, and SEQUENCE then rises, so
that calendars move the event and do not add another. The daemon's calendar takes both from the archive, which gives
every pass a lasting number; `groundstation passes --format ics` has no archive and makes them of the pass itself.
"""

import asyncio
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from groundstation import __version__
from groundstation.archive.element_supply import sets_since
from groundstation.archive.pass_queries import PredictedPass, passes_since
from groundstation.archive.queries import Reader
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.calendar_text import calendar_text, escaped, utc
from groundstation.config import Config
from groundstation.figures import degrees, margin, megahertz
from groundstation.monitor.http import CalendarError
from groundstation.orbit.elements import Elements, newest
from groundstation.orbit.site import Site
from groundstation.orbit.sun import SunError
from groundstation.orbit.sunlit import sunlit_spans
from groundstation.telemetry.moments import MICROSECOND, microseconds, moment_of
from groundstation.timekeeping import BACK as HISTORY
from groundstation.timekeeping import drift_factors, uncertainty_s
from groundstation.watch import clock

BACK = timedelta(days=7)  # a subscribed calendar loses what is no longer given
LIGHTS_KEPT = 10_000  # calendars ask again for the same passes
REFRESH = "PT15M"  # how often calendars are asked to look again; most do it when they like


@dataclass(frozen=True, slots=True)
class Event:
    """One pass in a calendar."""

    uid: str
    sequence: int
    revised_at: datetime
    satellite: str
    norad_id: int
    site: Site
    aos: datetime
    culmination: datetime
    los: datetime
    azimuths_deg: tuple[float | None, float, float | None]  # at AOS, culmination, LOS
    max_elevation_deg: float
    tca_range_km: float
    elements_epoch: datetime
    aos_uncertainty_s: float | None  # None: nobody can say
    light: str | None  # yes, no, or when; None where the elements are not known any more


async def read_calendar(config: Config, stations: Collection[str], satellites: Collection[str], now: datetime) -> str:
    """Return the archive's passes, coming and of the last week, of these stations and satellites (all where none).

    Raises CalendarError where a name is not known or the archive does not answer.
    """
    for kind, names, known in (
        ("station", stations, config.sites),
        ("satellite", satellites, config.definitions),
    ):
        if unknown := [name for name in names if name not in known]:
            raise CalendarError(404, f"{kind}: found {', '.join(unknown)}, expected one of {', '.join(known)}")
    reader = Reader(config.settings.archive.url, config.settings.archive.password_file)
    try:
        kept = await reader.ask(passes_since, microseconds(now - BACK))
        oldest_us = min((one.elements_epoch_us for one in kept), default=0)
        sets = await reader.ask(sets_since, list(config.definitions), oldest_us - HISTORY // MICROSECOND)
    except ArchiveUnavailableError as error:
        raise CalendarError(503, f"the archive does not answer: {error}") from error
    wanted = [
        one
        for one in kept
        if (not stations or one.station in stations) and (not satellites or one.satellite in satellites)
    ]
    # In a thread: to tell the light of a thousand passes may take a second.
    return await asyncio.to_thread(lambda: as_calendar(events_of_archive(wanted, config, sets), config))


def events_of_archive(
    passes: Iterable[PredictedPass], config: Config, sets: Sequence[Elements] = ()
) -> Iterator[Event]:
    """Yield the passes that begin and end over stations of the configuration, under the archive's numbers.

    `sets` are the archive's, those that the passes were predicted from among them.
    """
    used = {(one.norad_id, microseconds(one.epoch)): one for one in (*config.elements, *sets)}
    factors = drift_factors(newest(sets).values(), sets)
    for one in passes:
        if one.aos_us is None or one.los_us is None or one.station not in config.sites:
            continue
        aos, los = moment_of(one.aos_us), moment_of(one.los_us)
        elements = used.get((one.norad_id, one.elements_epoch_us))
        yield Event(
            uid=f"pass-{one.id}-{one.satellite}-{one.station}@groundstation",
            sequence=one.revision,
            revised_at=moment_of(one.predicted_at_us if one.revised_at_us is None else one.revised_at_us),
            satellite=one.satellite,
            norad_id=one.norad_id,
            site=config.sites[one.station],
            aos=aos,
            culmination=moment_of(one.culmination_us),
            los=los,
            azimuths_deg=(one.aos_azimuth_deg, one.culmination_azimuth_deg, one.los_azimuth_deg),
            max_elevation_deg=one.max_elevation_deg,
            tca_range_km=one.tca_range_km,
            elements_epoch=moment_of(one.elements_epoch_us),
            aos_uncertainty_s=uncertainty_s(aos, elements, factors) if elements else None,
            light=light(elements, aos, los) if elements else None,
        )


@lru_cache(maxsize=LIGHTS_KEPT)
def light(elements: Elements, aos: datetime, los: datetime) -> str:
    """Return whether the satellite is in sunlight from AOS to LOS: yes, no, or partly and when."""
    try:
        spans = sunlit_spans(elements, aos, los)
    except SunError:
        return "unknown"
    if spans == [(aos, los)]:
        return "yes"
    told = ", ".join(f"{clock(start)} to {clock(end)}" for start, end in spans)
    return f"partly, {told}" if told else "no"


def as_calendar(events: Iterable[Event], config: Config) -> str:
    """Return the whole calendar; there is no METHOD in it, so that DTSTAMP is the time of an event's last revision."""
    title = "Satellite passes"
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:-//groundstation//groundstation {__version__}//EN",
        "CALSCALE:GREGORIAN",
        f"NAME:{title}",
        f"X-WR-CALNAME:{title}",
        f"REFRESH-INTERVAL;VALUE=DURATION:{REFRESH}",
        f"X-PUBLISHED-TTL:{REFRESH}",
    ]
    for event in events:
        lines += event_lines(event, config)
    return calendar_text([*lines, "END:VCALENDAR"])


def event_lines(event: Event, config: Config) -> Iterator[str]:
    stamp = utc(event.revised_at)
    yield "BEGIN:VEVENT"
    yield f"UID:{escaped(event.uid)}"
    yield f"SEQUENCE:{event.sequence}"
    yield f"DTSTAMP:{stamp}"
    yield f"LAST-MODIFIED:{stamp}"
    yield f"DTSTART:{utc(event.aos)}"
    yield f"DTEND:{utc(event.los)}"
    yield f"SUMMARY:{escaped(summary(event, config))}"
    yield f"DESCRIPTION:{escaped(description(event, config))}"
    yield f"LOCATION:{escaped(event.site.name)}"
    yield f"GEO:{event.site.latitude_deg:.6f};{event.site.longitude_deg:.6f}"
    yield "TRANSP:TRANSPARENT"  # nobody is busy because a satellite flies over
    yield "END:VEVENT"


def summary(event: Event, config: Config) -> str:
    """Return the satellite's name and how high it comes; the catalogue number where it may be several objects."""
    definition = config.definitions.get(event.satellite)
    name = definition.name if definition else event.satellite or f"object {event.norad_id}"
    which = f" ({event.norad_id})" if definition and len(definition.norad_ids) > 1 else ""
    return f"{name}{which}, {event.max_elevation_deg:.0f}°"


def description(event: Event, config: Config) -> str:
    """Return what an operator points and tunes by, one line each."""
    rise, top, fall = event.azimuths_deg
    definition = config.definitions.get(event.satellite)
    lines = [
        f"AOS {clock(event.aos)}, azimuth {degrees(rise)}",
        f"up to {event.max_elevation_deg:.1f}° at {clock(event.culmination)}, azimuth {degrees(top)}",
        f"LOS {clock(event.los)}, azimuth {degrees(fall)}",
        f"{event.tca_range_km:.0f} km at the closest",
    ]
    for link in definition.downlinks if definition else ():
        mode = f", {link.mode}" if link.mode else ""
        lines.append(f"{link.name}: {megahertz(link.frequency_hz)}{mode}")
    if event.light is not None:
        lines.append(f"sunlit: {event.light}")
    if event.aos_uncertainty_s is not None:
        lines.append(f"AOS {margin(event.aos_uncertainty_s)}, nine times of ten")
    return "\n".join([*lines, f"elements of {event.elements_epoch:%Y-%m-%d %H:%M} UTC ({event.norad_id})"])
