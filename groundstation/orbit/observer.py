"""A site on the turning earth: takes SGP4's vectors (TEME) into its sky.

The exact model is r_ITRS = W · Rz(−θ) · r_TEME, with θ the Greenwich mean sidereal time of 1982 at UT1 and W polar
motion (AIAA 2006-6753, appendix C). Nutation and precession cancel, so nothing else of Skyfield's is needed, and
θ less a steady rotation is smooth enough to interpolate linearly between knots six hours apart.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from skyfield.api import wgs84
from skyfield.constants import ASEC2RAD
from skyfield.sgp4lib import theta_GMST1982

from groundstation.orbit.earth_rotation import EarthRotation
from groundstation.orbit.site import Site

Array = NDArray[np.float64]

EARTH_RAD_S = 7.2921158553e-5  # of the angle that theta_GMST1982 returns; knots take up what this leaves
MU_KM3_S2 = 398600.8  # WGS72, as SGP4
KNOT_S = 21600.0
BEFORE_LEAP_S = 1e-6
DAY_S = 86400.0
UNIX_JD = 2440587.5
UNIX = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Observer:
    """One site over one window; times are seconds from the window's start."""

    slug: str
    start: datetime
    window_s: float
    jd_whole: float
    jd_fraction: float
    place: Array  # km, ITRS
    north: Array
    east: Array
    up: Array
    radius_km: float
    mask_rad: float
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
    # The tables have a row for each midnight: knots that include them make linear interpolation exact.
    first, last = ((start - UNIX).total_seconds() + s for s in (-beyond_s, window_s + beyond_s))
    knots = np.arange(first // KNOT_S, last // KNOT_S + 2) * KNOT_S - days * DAY_S
    # UTC jumps against the earth where a leap second was inserted before midnight.
    knots = np.union1d(knots, knots[knots % DAY_S == 0] - BEFORE_LEAP_S)
    # Day by day, as datetime counts them: a leap second must not shift what comes after it.
    times = rotation.scale.utc(start.year, start.month, start.day + knots // DAY_S, 0, 0, knots % DAY_S)
    knots -= in_day.total_seconds()
    turn, _ = theta_GMST1982(times.whole, times.ut1_fraction)
    origin, pole_x, pole_y = (np.broadcast_to(angle, knots.shape) * ASEC2RAD for angle in times.polar_motion_angles())
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    north, east, up = place._R_latlon.copy()  # noqa: SLF001 -- the same axes as altaz()
    return Observer(
        slug=site.slug,
        start=start,
        window_s=window_s,
        jd_whole=UNIX_JD + days,
        jd_fraction=in_day / timedelta(days=1),
        place=place.itrs_xyz.km,
        north=north,
        east=east,
        up=up,
        radius_km=float(np.linalg.norm(place.itrs_xyz.km)),
        mask_rad=float(np.radians(site.mask_deg)),
        knots_s=knots,
        turn_rad=np.unwrap(turn + origin - EARTH_RAD_S * knots),
        pole_x_rad=pole_x,
        pole_y_rad=pole_y,
    )


def expect_utc(*times: datetime) -> None:
    """Raise ValueError for a time that is not aware and UTC."""
    for time in times:
        if time.tzinfo is None or time.utcoffset():
            raise ValueError(f"{time.isoformat()} is not an aware UTC time")
