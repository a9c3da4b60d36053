"""A site on the turning earth: takes SGP4's vectors (TEME) into its sky.

The exact model is r_ITRS = W · Rz(−θ) · r_TEME, with θ the Greenwich mean sidereal time of 1982 at UT1 and W polar
motion (AIAA 2006-6753, appendix C). Nutation and precession cancel, so nothing else of Skyfield's is needed.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from math import radians

import numpy as np
from skyfield.api import wgs84

from groundstation.orbit.earth_rotation import (
    DAY_S,
    EARTH_RAD_S,
    TURN,
    Array,
    EarthRotation,
    even_turn,
    turning_between,
)
from groundstation.orbit.mask import lowest_mask_deg
from groundstation.orbit.site import Site

__all__ = ["MU_KM3_S2", "UNIX", "UNIX_JD", "Array", "Observer", "expect_utc", "observer"]

MU_KM3_S2 = 398600.8  # WGS72, as SGP4
UNIX_JD = 2440587.5
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Observer:
    """One site over one window; times are seconds from the window's start."""

    site: Site
    start: datetime
    window_s: float
    jd_whole: float
    jd_fraction: float
    place: Array  # km, ITRS
    north: Array
    east: Array
    up: Array
    radius_km: float
    mask_rad: float  # geometric, the lowest at any azimuth
    knots_s: Array
    turn_rad: Array  # θ − EARTH_RAD_S·t at the knots
    pole_x_rad: Array  # polar motion at the knots
    pole_y_rad: Array

    def angle(self, at_s: Array) -> Array:
        """Return θ, the angle from TEME's x axis to Greenwich."""
        return np.interp(at_s, self.knots_s, self.turn_rad) + EARTH_RAD_S * at_s

    def earth_fixed(self, at_s: Array, r: Array, v: Array) -> tuple[Array, Array]:
        """Return position and velocity in the turning frame, in km and km/s, from vectors in three rows."""
        angle = self.angle(at_s)
        c, s = np.cos(angle), np.sin(angle)
        pole_x = np.interp(at_s, self.knots_s, self.pole_x_rad)
        pole_y = np.interp(at_s, self.knots_s, self.pole_y_rad)
        x, y = c * r[0] + s * r[1], c * r[1] - s * r[0]
        u = c * v[0] + s * v[1] + EARTH_RAD_S * y
        w = c * v[1] - s * v[0] - EARTH_RAD_S * x
        # Polar motion is under 3 µrad: the square of it, left out, is under 0.1 mm.
        return (
            np.stack((x + pole_x * r[2], y - pole_y * r[2], r[2] - pole_x * x + pole_y * y)),
            np.stack((u + pole_x * v[2], w - pole_y * v[2], v[2] - pole_x * u + pole_y * w)),
        )


def observer(site: Site, start: datetime, end: datetime, rotation: EarthRotation, beyond_s: float = 0.0) -> Observer:
    """Return the site's observer for the window, good for `beyond_s` seconds on both sides of it too."""
    window_s = (end - start).total_seconds()
    days, in_day = divmod(start - UNIX, timedelta(days=1))
    start_s = days * DAY_S + in_day.total_seconds()
    knots = turning_between(rotation, start_s - beyond_s, start_s + window_s + beyond_s)
    stand = _stand(site)
    return Observer(
        site=site,
        start=start,
        window_s=window_s,
        jd_whole=UNIX_JD + days,
        jd_fraction=in_day / timedelta(days=1),
        place=stand.place,
        north=stand.north,
        east=stand.east,
        up=stand.up,
        radius_km=stand.radius_km,
        mask_rad=radians(lowest_mask_deg(site)),
        knots_s=knots.at_s - start_s,
        turn_rad=knots.turn_rad + even_turn(days, in_day.total_seconds()) % TURN,
        pole_x_rad=knots.pole_x_rad,
        pole_y_rad=knots.pole_y_rad,
    )


@dataclass(frozen=True, slots=True)
class Stand:
    """A site's place (km, ITRS) and the axes of its sky, those of Skyfield's altaz()."""

    place: Array
    north: Array
    east: Array
    up: Array
    radius_km: float


@lru_cache(maxsize=256)
def _stand(site: Site) -> Stand:
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    north, east, up = place._R_latlon.copy()  # noqa: SLF001 -- there is no public name for the axes
    return Stand(place.itrs_xyz.km, north, east, up, float(np.linalg.norm(place.itrs_xyz.km)))


def expect_utc(*times: datetime) -> None:
    """Raise ValueError for a time that is not aware and UTC."""
    for time in times:
        if time.tzinfo is None or time.utcoffset():
            raise ValueError(f"{time.isoformat()} is not an aware UTC time")
