"""When a satellite is in sunlight: on passes its panels charge, its radio warms, and an eye may see it."""

from datetime import datetime, timedelta

import numpy as np
from sgp4.api import Satrec

from groundstation.orbit.earth_rotation import DAY_S, Array
from groundstation.orbit.elements import Elements
from groundstation.orbit.observer import UNIX, UNIX_JD, expect_utc
from groundstation.orbit.satrec import to_satrec

EARTH_RADIUS_KM = 6378.1366  # as Skyfield's is_sunlit
AU_KM = 149597870.7
J2000_JD = 2451545.0
STEP_S = 20.0  # a shorter eclipse, at the edge of the shadow, may be overlooked
HALVINGS = 20
Span = tuple[datetime, datetime]


def sunlit_spans(elements: Elements, start: datetime, end: datetime) -> list[Span]:
    """Return the stretches between `start` and `end` in which the sun's centre is above the satellite's horizon.

    Good to 0.3 s in low orbit, where crossing from full light to full shadow takes 8 s or more. The earth is a sphere
    without air. Where SGP4 fails there is no light.
    """
    expect_utc(start, end)
    days, in_day = divmod(start - UNIX, timedelta(days=1))
    satrec, jd, fraction = to_satrec(elements), UNIX_JD + days, in_day / timedelta(days=1)
    window_s = (end - start).total_seconds()
    at_s = np.linspace(0.0, window_s, max(int(window_s / STEP_S), 1) + 1)
    lit = _clearance(satrec, jd, fraction, at_s) > 0
    changes = np.flatnonzero(lit[1:] != lit[:-1])
    low_s, high_s = at_s[changes], at_s[changes + 1]
    for _ in range(HALVINGS if len(changes) else 0):
        middle_s = (low_s + high_s) / 2
        as_before = (_clearance(satrec, jd, fraction, middle_s) > 0) == lit[changes]
        low_s, high_s = np.where(as_before, middle_s, low_s), np.where(as_before, high_s, middle_s)
    edges = [0.0, *high_s.tolist(), window_s]
    first = 0 if lit[0] else 1
    times = [start + timedelta(seconds=edge) for edge in edges]
    return list(zip(times[first:-1:2], times[first + 1 :: 2], strict=True))


def _clearance(satrec: Satrec, jd: float, fraction: float, at_s: Array) -> Array:
    """Return how far the line from satellite to sun passes above the earth, km; negative in shadow or on an error."""
    part = fraction + at_s / DAY_S
    errors, r, _ = satrec.sgp4_array(np.full(len(at_s), jd), part)
    towards = sun_km(jd - J2000_JD + part) - r
    towards /= np.linalg.norm(towards, axis=1)[:, None]
    ahead = -(r * towards).sum(axis=1)  # how far along the line the earth's centre is nearest
    nearest = np.where(ahead > 0, np.linalg.norm(r + ahead[:, None] * towards, axis=1), np.linalg.norm(r, axis=1))
    return np.where(errors > 0, -1.0, nearest - EARTH_RADIUS_KM)


def sun_km(days: Array) -> Array:
    """Return the sun's place in TEME by rows, from days since 2000-01-01 12:00 UTC; good to 0.01°.

    The Astronomical Almanac's low-precision formula (page C5), in which nutation (0.005°) is left out.
    """
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    distance = AU_KM * (1.00014 - 0.01671 * np.cos(anomaly) - 0.00014 * np.cos(2 * anomaly))
    rows = np.stack((np.cos(longitude), np.cos(tilt) * np.sin(longitude), np.sin(tilt) * np.sin(longitude)), axis=1)
    place: Array = rows * distance[:, None]
    return place
