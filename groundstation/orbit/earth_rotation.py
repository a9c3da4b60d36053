"""How far the earth has turned, and how its axis wanders: the largest error that a pass prediction can avoid.

Skyfield's own table ends in predictions that were 0.17 s off within a year (7 ms of AOS in the median); the IERS
tables that astropy-iers-data brings are measured to within days of the package's release.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal

from skyfield.api import Timescale, load
from skyfield.data.iers import build_timescale_arrays, install_polar_motion_table, parse_x_y_dut1_from_finals_all

Ut1Source = Literal["iers", "builtin"]
MJD_0 = date(1858, 11, 17)
JD_TO_MJD = 2400000.5
MEASURED = re.compile(rb"(?m)^.{6}(.{9}) I")  # IERS flags each day: I measured, P predicted
STALE_AFTER = timedelta(days=120)  # by then a prediction of UT1 is some 30 ms off, AOS about a millisecond


@dataclass(frozen=True, slots=True)
class EarthRotation:
    """A table of UT1 (and polar motion) in the form that Skyfield calculates with."""

    label: str  # for people: the source, and the last day that was measured
    scale: Timescale
    measured_until: date | None  # None where the table does not say
    ends: date


@cache
def earth_rotation(source: Ut1Source = "iers") -> EarthRotation:
    """Return the table of that source; no network is used, the tables come with installed packages."""
    if source == "builtin":
        scale = load.timescale()
        return EarthRotation("builtin", scale, None, _date(scale.delta_t_table[0][-1] - JD_TO_MJD))
    text = (files("astropy_iers_data") / "data" / "finals2000A.all").read_bytes()
    table = parse_x_y_dut1_from_finals_all(BytesIO(text))
    days, delta_t, leap_dates, leap_offsets = build_timescale_arrays(table["utc_mjd"], table["dut1"])
    scale = Timescale((days, delta_t), leap_dates, leap_offsets)
    install_polar_motion_table(scale, table)
    measured = _date(float(MEASURED.findall(text)[-1]))
    return EarthRotation(f"iers {measured.isoformat()}", scale, measured, _date(table["utc_mjd"][-1]))


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
