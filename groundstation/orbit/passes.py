"""When satellites are above a site's mask, and where they stand in its sky."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray
from skyfield.api import EarthSatellite, Timescale, load, wgs84

from groundstation.orbit.elements import Elements
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.search import Arc, Sky, find_arcs
from groundstation.orbit.site import Site

UT1_BUILTIN = "builtin"  # Skyfield's own table of the earth's rotation


@dataclass(frozen=True, slots=True)
class Pass:
    """One satellite above one site's mask, as the whole pass is, also where the window cuts it.

    An edge is None where it is unknown: the satellite does not cross the mask within a revolution of the
    window, or SGP4 cannot follow it there. Culmination is where elevation is greatest, TCA where range is least.
    """

    satellite: str
    norad_id: int
    site: str
    aos: datetime | None
    culmination: datetime
    tca: datetime
    los: datetime | None
    aos_azimuth_deg: float | None
    culmination_azimuth_deg: float
    los_azimuth_deg: float | None
    max_elevation_deg: float
    tca_range_km: float
    in_progress_at_start: bool
    in_progress_at_end: bool
    elements_epoch: datetime
    ut1: str  # where the earth's rotation came from


@dataclass(frozen=True, slots=True)
class LookAngles:
    """Arrays over the times asked for; NaN where SGP4 has no answer."""

    azimuth_deg: NDArray[np.float64]  # from true north through east
    elevation_deg: NDArray[np.float64]  # geometric: refraction is left out
    range_km: NDArray[np.float64]
    range_rate_km_s: NDArray[np.float64]  # positive while the satellite recedes


def find_passes(elements: Iterable[Elements], site: Site, start: datetime, end: datetime) -> list[Pass]:
    """Return every pass that overlaps the window, by AOS; those already under way at the start come first.

    Edges are good to 1 ms against Skyfield's model of the same elements. Raises ElementsError where SGP4 cannot
    begin with a set; a satellite that decays inside the window has passes until it does.
    """
    _expect_utc(start, end)
    if end < start:
        raise ValueError(f"the window ends at {end.isoformat()}, expected {start.isoformat()} or later")
    window_s = (end - start).total_seconds()
    found = [
        _as_pass(arc, sky, one, site)
        for one in elements
        for sky in [_sky(one, site, start)]
        for arc in find_arcs(sky, site.mask_deg, window_s)
    ]
    return sorted(found, key=lambda one: (one.aos or start, one.culmination, one.norad_id))


def look_angles(elements: Elements, site: Site, times: Sequence[datetime]) -> LookAngles:
    """Return where the satellite stands at each of the `times`."""
    _expect_utc(*times)
    sky = _sky(elements, site, times[0])
    at_s = np.array([(time - times[0]).total_seconds() for time in times])
    elevation, azimuth, distance = sky.look(at_s)
    return LookAngles(np.degrees(azimuth), np.degrees(elevation), distance, sky.range_rate(at_s))


def _expect_utc(*times: datetime) -> None:
    for time in times:
        if time.tzinfo is None or time.utcoffset():
            raise ValueError(f"{time.isoformat()} is not an aware UTC time")


def _sky(elements: Elements, site: Site, start: datetime) -> Sky:
    scale = _scale()
    satellite = EarthSatellite.from_satrec(to_satrec(elements), scale)
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    return Sky(satellite, place, scale, start)


@cache
def _scale() -> Timescale:
    return load.timescale()


def _as_pass(arc: Arc, sky: Sky, elements: Elements, site: Site) -> Pass:
    times_s = np.array([arc.culmination_s, arc.tca_s, arc.aos_s or 0.0, arc.los_s or 0.0])
    elevation, azimuth, distance = sky.look(times_s)
    culmination_deg, _, aos_deg, los_deg = np.degrees(azimuth).tolist()
    culmination, tca, aos, los = (sky.start + timedelta(seconds=at_s) for at_s in times_s.tolist())
    return Pass(
        satellite=elements.name,
        norad_id=elements.norad_id,
        site=site.slug,
        aos=None if arc.aos_s is None else aos,
        culmination=culmination,
        tca=tca,
        los=None if arc.los_s is None else los,
        aos_azimuth_deg=None if arc.aos_s is None else aos_deg,
        culmination_azimuth_deg=culmination_deg,
        los_azimuth_deg=None if arc.los_s is None else los_deg,
        max_elevation_deg=float(np.degrees(elevation[0])),
        tca_range_km=float(distance[1]),
        in_progress_at_start=arc.in_progress_at_start,
        in_progress_at_end=arc.in_progress_at_end,
        elements_epoch=elements.epoch,
        ut1=UT1_BUILTIN,
    )
