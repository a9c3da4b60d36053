"""How far the earth has turned, and how its axis wanders: the largest error that a pass prediction can avoid.

Skyfield's own table ends in predictions that were 0.17 s off within a year (7 ms of AOS in the median); the IERS
tables that astropy-iers-data brings are measured to within days of the package's release.
"""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from skyfield.api import Timescale, load
from skyfield.constants import ASEC2RAD
from skyfield.data.iers import build_timescale_arrays, install_polar_motion_table, parse_x_y_dut1_from_finals_all
from skyfield.sgp4lib import theta_GMST1982

Array = NDArray[np.float64]
Ut1Source = Literal["iers", "builtin"]
MJD_0 = date(1858, 11, 17)
JD_TO_MJD = 2400000.5
MJD, FLAG = slice(7, 15), slice(16, 17)  # columns of finals2000A
MEASURED = b"I"  # what IERS predicts has a P there
STALE_AFTER = timedelta(days=120)  # by then a prediction of UT1 is some 30 ms off, AOS about a millisecond


EARTH_RAD_S = 7.2921158553e-5  # near the rate of sidereal time: what it leaves is small and even
DAY_S = 86400.0
TURN = 2 * np.pi
# Since 1970 EARTH_RAD_S · t has grown so large that a double holds it to 1e-11 rad only: whole turns are left out.
DAY_OVER_TURN_RAD = EARTH_RAD_S * DAY_S - TURN
BLOCK_DAYS = 64
BEFORE_LEAP_S = 1e-6


@dataclass(frozen=True, slots=True)
class EarthRotation:
    """A table of UT1 (and polar motion) in the form that Skyfield calculates with."""

    label: str  # for people: the source, and the last day that was measured
    scale: Timescale
    measured_until: date | None  # None where the table does not say
    ends: date


def earth_rotation(source: Ut1Source = "iers") -> EarthRotation:
    """Return the table of that source; no network is used, the tables come with installed packages.

    The first call for a source reads its table, which takes some 50 ms.
    """
    return _table(source)


@cache
def _table(source: Ut1Source) -> EarthRotation:
    if source == "builtin":
        scale = load.timescale()
        return EarthRotation("builtin", scale, None, _date(scale.delta_t_table[0][-1] - JD_TO_MJD))
    text = (files("astropy_iers_data") / "data" / "finals2000A.all").read_bytes()
    table = parse_x_y_dut1_from_finals_all(BytesIO(text))
    days, delta_t, leap_dates, leap_offsets = build_timescale_arrays(table["utc_mjd"], table["dut1"])
    scale = Timescale((days, delta_t), leap_dates, leap_offsets)
    install_polar_motion_table(scale, table)
    measured = _date(next(float(line[MJD]) for line in reversed(text.splitlines()) if line[FLAG] == MEASURED))
    return EarthRotation(f"iers {measured.isoformat()}", scale, measured, _date(table["utc_mjd"][-1]))


@dataclass(frozen=True, slots=True)
class Turning:
    """How the earth stands at knots, between which it turns evenly; seconds since 1970 as datetime counts them."""

    at_s: Array
    turn_rad: Array  # Greenwich mean sidereal time of 1982, less EARTH_RAD_S · at_s, and less some whole turns
    pole_x_rad: Array  # polar motion
    pole_y_rad: Array

    def part(self, knots: slice) -> "Turning":
        return Turning(self.at_s[knots], self.turn_rad[knots], self.pole_x_rad[knots], self.pole_y_rad[knots])


@lru_cache(maxsize=128)
def turning(rotation: EarthRotation, block: int) -> Turning:
    """Return the knots of BLOCK_DAYS days, the midnights at both ends included.

    The tables have a row for each midnight, so linear interpolation between midnights is exact. UTC jumps against the
    earth where a leap second was inserted: hence a second knot just before each midnight.
    """
    midnights = np.arange(BLOCK_DAYS + 1) * DAY_S
    knots = np.sort(np.concatenate([midnights, midnights[1:] - BEFORE_LEAP_S]))
    first = block * BLOCK_DAYS
    # Day by day: a leap second must not shift what comes after it.
    times = rotation.scale.utc(1970, 1, 1 + first + knots // DAY_S, 0, 0, knots % DAY_S)
    angle, _ = theta_GMST1982(times.whole, times.ut1_fraction)
    origin, x, y = (np.broadcast_to(seconds, knots.shape) * ASEC2RAD for seconds in times.polar_motion_angles())
    return Turning(knots + first * DAY_S, np.unwrap((angle + origin - even_turn(first, knots)) % TURN), x, y)


def even_turn(days: float, seconds: Array | float) -> Array | float:
    """Return EARTH_RAD_S · t but for whole turns, from days and seconds since 1970."""
    return days * DAY_OVER_TURN_RAD + EARTH_RAD_S * seconds


def turning_between(rotation: EarthRotation, first_s: float, last_s: float) -> Turning:
    """Return the knots that enclose the time, given in seconds since 1970."""
    length_s = BLOCK_DAYS * DAY_S
    blocks = [turning(rotation, number) for number in range(int(first_s // length_s), int(last_s // length_s) + 1)]
    if len(blocks) == 1:
        whole = blocks[0]
    else:
        # The midnight between two blocks belongs to both.
        firsts = [one.part(slice(-1)) for one in blocks[:-1]]
        whole = Turning(
            *(np.concatenate([getattr(one, name) for one in (*firsts, blocks[-1])]) for name in Turning.__slots__)
        )
        whole = replace(whole, turn_rad=np.unwrap(whole.turn_rad))
    low, high = np.searchsorted(whole.at_s, [first_s, last_s])
    return whole.part(slice(max(int(low) - 1, 0), int(high) + 1))


def why_stale(rotation: EarthRotation, moment: datetime) -> str | None:
    """Return why the table should be renewed before predicting `moment`, or None."""
    day = moment.astimezone(UTC).date()
    if day > rotation.ends:
        return f"the table of the earth's rotation ({rotation.label}) ends on {rotation.ends}, expected {day} or later"
    if rotation.measured_until is not None and day - rotation.measured_until > STALE_AFTER:
        return f"the earth's rotation was last measured on {rotation.measured_until}: upgrade astropy-iers-data"
    return None


def _date(mjd: float) -> date:
    return MJD_0 + timedelta(days=int(mjd))
