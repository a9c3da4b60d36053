"""Decide whether a new element set may serve: of the object that it is said to be, newer, and where it can be.

The old set and the new one are both carried to the new epoch and through one revolution from there. How far they are
apart is split by direction, since the directions differ by orders of magnitude in what is possible:

    along    the satellite is early or late: drag and small burns add up to hundreds of km a day
    up       the orbit's size and shape: a burn of 1 m/s changes them by 2 km in low orbit
    across   the orbit's plane: nothing small turns it, so that another object shows here first

A jump that no bound foresees is refused once. If the next set agrees with the one that was refused, the satellite has
truly gone there: see `confirms`.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from math import cos, pi, radians

import numpy as np
from numpy.typing import NDArray
from sgp4.api import SGP4_ERRORS, Satrec

from groundstation.orbit.elements import Elements, ElementsError
from groundstation.orbit.satrec import to_satrec

Vector = NDArray[np.float64]

DAY = timedelta(days=1)
DAY_S = 86400.0
EARLY_MOST = timedelta(days=2)  # some publish sets ahead of their epoch; a year that is wrong is months ahead
QUARTERS = (0.0, 0.25, 0.5, 0.75)  # of a revolution: two orbits that cross are near each other once in it
COSPAR = re.compile(r"\d{4}-\d{3}[A-Z]{1,3}")
MU_KM3_S2, EARTH_KM, J2 = 398600.8, 6378.135, 1.082616e-3  # WGS72, as SGP4

# The bounds come from the histories of ten satellites, over two years of three and half a year of seven: true sets
# used up half of what is allowed along and up where a thruster worked for days, and 0.14 of what is allowed across.
NOISE_KM = 5.0  # sets of a quiet satellite a day apart differ by 0.5 km along and by 0.1 km up and across
NOISE_DEEP = 4e-3  # of the radius, for orbits above 225 minutes, which SGP4 follows less well
DEEP_REV_DAY = 6.4
BURN_M_S = 1.0  # right after the old epoch: the largest burn of a small satellite was 0.45 m/s
THRUST_M_S_DAY = 0.6  # an electric thruster that never stops: 0.55 was seen
QUIET_M_S_DAY = 0.01  # what only sun and air do to a satellite without a thruster
PLANE_KM_DAY2 = 0.015  # sun and moon turn a low orbit's plane beyond what SGP4 knows: 0.007 to 0.0105 over months


class Reason(StrEnum):
    """Why an element set may not serve: a closed set, the label of a metric."""

    MALFORMED = "malformed"  # the text could not be read, or the epoch lies in the future
    WRONG_OBJECT = "wrong_object"
    OLDER = "older"
    SGP4_ERROR = "sgp4_error"
    IMPLAUSIBLE_JUMP = "implausible_jump"


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    text: str  # what was found and what was expected


@dataclass(frozen=True, slots=True)
class Jump:
    """How far two sets of one object are apart, in km: the greatest within a revolution of the new epoch."""

    age_days: float  # from the old epoch to the new one
    along_km: float  # positive where the new set is behind the old one
    up_km: float
    across_km: float


def judge(candidate: Elements, last: Elements | None, expected: Collection[int], now: datetime) -> Refusal | None:
    """Return why `candidate` may not follow `last`, or None where it may.

    `expected` are the catalogue numbers that the satellite may have. Without a last set there is nothing to compare
    with: then the set need only be one that SGP4 can follow.
    """
    if stranger := wrong_object(candidate, last, expected):
        return Refusal(Reason.WRONG_OBJECT, stranger)
    epoch = f"the epoch is {candidate.epoch:%Y-%m-%d %H:%M:%S}"
    if candidate.epoch > now + EARLY_MOST:
        return Refusal(Reason.MALFORMED, f"{epoch}, expected {now:%Y-%m-%d %H:%M} or earlier")
    if last is not None and candidate.epoch <= last.epoch:
        return Refusal(Reason.OLDER, f"{epoch}, expected later than the last, {last.epoch:%Y-%m-%d %H:%M:%S}")
    if error := sgp4_error(candidate):
        return Refusal(Reason.SGP4_ERROR, error)
    found = None if last is None else jump(last, candidate)
    if last is None or found is None:
        return None
    complaint = beyond(found, bound(last, found.age_days))
    return Refusal(Reason.IMPLAUSIBLE_JUMP, complaint) if complaint else None


def confirms(candidate: Elements, refused: Elements) -> bool:
    """Tell whether `candidate` shows that `refused`, an implausible jump, was true after all.

    It must be newer by a revolution, so that it comes of other observations, and follow from it. One such set is
    enough: waiting for more would cost a satellite that has manoeuvred the passes of another day, and a source that
    is wrong twice in the same way will be wrong the third time too.
    """
    if candidate.norad_id != refused.norad_id:
        return False
    if candidate.epoch - refused.epoch < DAY / refused.mean_motion_rev_day:
        return False
    found = jump(refused, candidate)
    return found is not None and not beyond(found, bound(refused, found.age_days))


def remark(last: Elements, candidate: Elements) -> str | None:
    """Return how far an admitted set has jumped where only a manoeuvre or a storm explains it, else None."""
    found = jump(last, candidate)
    quiet = found and bound(last, found.age_days, burn_m_s=0.0, thrust_m_s_day=QUIET_M_S_DAY)
    return beyond(found, quiet) if found and quiet else None


def wrong_object(candidate: Elements, last: Elements | None, expected: Collection[int]) -> str | None:
    """Return what says that it is another object: its number, or its launch and piece where both sets have one."""
    numbers = expected if last is None else (last.norad_id,)
    if candidate.norad_id not in numbers:
        return f"the catalogue number is {candidate.norad_id}, expected {' or '.join(map(str, sorted(numbers)))}"
    known = last.cospar_id if last else ""
    if known != candidate.cospar_id and COSPAR.fullmatch(known) and COSPAR.fullmatch(candidate.cospar_id):
        return f"the international designator is {candidate.cospar_id}, expected {known}"
    return None


def sgp4_error(elements: Elements) -> str | None:
    """Return what SGP4 has against the first revolution from the epoch, or None."""
    try:
        satrec = to_satrec(elements)
    except ElementsError as error:
        return str(error).removeprefix(f"{elements.source}: ")
    for part in QUARTERS:
        code, *_ = state(satrec, part / elements.mean_motion_rev_day)
        if code:
            return f"SGP4 says {SGP4_ERRORS[code]} at the epoch, expected an orbit it can propagate"
    return None


def jump(last: Elements, candidate: Elements) -> Jump | None:
    """Return how far `candidate` is from `last`, or None where SGP4 can carry neither to the other's epoch.

    They are compared at the candidate's epoch; where the old set ends before it, as that of a satellite in its last
    days may, at the old one.
    """
    age_days = (candidate.epoch - last.epoch) / DAY
    try:
        old, new = to_satrec(last), to_satrec(candidate)
    except ElementsError:
        return None
    for from_old, from_new in ((age_days, 0.0), (0.0, -age_days)):
        apart = []
        for part in QUARTERS:
            days = part / candidate.mean_motion_rev_day
            error_1, r_1, v_1 = state(old, from_old + days)
            error_2, r_2, v_2 = state(new, from_new + days)
            if error_1 or error_2:
                break
            apart.append(split(r_1, v_1, r_2, v_2))
        else:
            along, up, across = (max(values, key=abs) for values in zip(*apart, strict=True))
            return Jump(age_days, along, up, across)
    return None


def state(satrec: Satrec, days: float) -> tuple[int, Vector, Vector]:
    """Return SGP4's error, position (km) and velocity (km/s), TEME, `days` after the epoch."""
    error, position, velocity = satrec.sgp4(satrec.jdsatepoch, satrec.jdsatepochF + days)
    return error, np.array(position), np.array(velocity)


def split(r_1: Vector, v_1: Vector, r_2: Vector, v_2: Vector) -> tuple[float, float, float]:
    """Return how far the second state is behind the first, above it, and how far its plane is tilted, in km.

    Behind and tilted are arcs at the first one's distance from the earth's centre.
    """
    normal_1, normal_2 = unit(np.cross(r_1, v_1)), unit(np.cross(r_2, v_2))
    radius = float(np.linalg.norm(r_1))
    tilt = float(np.arctan2(np.linalg.norm(np.cross(normal_1, normal_2)), normal_1 @ normal_2))
    ahead = float(np.arctan2(np.cross(r_1, r_2) @ normal_1, r_1 @ r_2))
    return -radius * ahead, float(np.linalg.norm(r_2)) - radius, radius * tilt


def unit(vector: Vector) -> Vector:
    length: Vector = vector / np.linalg.norm(vector)
    return length


def bound(
    last: Elements, age_days: float, *, burn_m_s: float = BURN_M_S, thrust_m_s_day: float = THRUST_M_S_DAY
) -> Jump:
    """Return how far apart in each direction true sets may be `age_days` after the old one.

    A burn of Δv changes the orbit's radius by 2 Δv/n and makes the satellite late by 3 Δv t (Clohessy and Wiltshire);
    one across turns the plane by Δv/n, and a changed radius turns it at another rate. To that come the fit's own
    noise and all of the drag that the old set foresaw: in a satellite's last weeks drag itself is the uncertain part.
    """
    n_rad_s, e = last.mean_motion_rev_day * 2 * pi / DAY_S, last.eccentricity
    axis_km = (MU_KM3_S2 / n_rad_s**2) ** (1 / 3)
    noise_km = NOISE_KM if last.mean_motion_rev_day > DEEP_REV_DAY else NOISE_DEEP * axis_km
    burn_km_s = (burn_m_s + thrust_m_s_day * age_days) / 1000
    drift_km = 3 * DAY_S * age_days * (burn_m_s + thrust_m_s_day * age_days / 2) / 1000
    # The published derivative is half the true one: the turns are n' t²/2, and the radius falls by 2/3 a n' t/n.
    decay = abs(last.mean_motion_dot_rev_day2) * age_days
    late_km = 4 * noise_km + drift_km + 2 * pi * axis_km * decay * age_days
    sunk_km = 4 / 3 * axis_km * decay / last.mean_motion_rev_day
    raised_km = 2 * burn_km_s / n_rad_s
    turned_km = 3.5 * raised_km / 2 * node_rate_rad_day(last, axis_km) * age_days
    return Jump(
        age_days,
        along_km=late_km * ((1 + e) / (1 - e)) ** 0.5,
        up_km=noise_km + raised_km + sunk_km + late_km * e / (1 - e * e) ** 0.5,
        across_km=noise_km + raised_km / 2 + sunk_km / 2 + turned_km + PLANE_KM_DAY2 * age_days**2,
    )


def node_rate_rad_day(elements: Elements, axis_km: float) -> float:
    """Return how fast the earth's flattening turns the orbit's plane, without its sign."""
    flattening = 1.5 * J2 * (EARTH_KM / (axis_km * (1 - elements.eccentricity**2))) ** 2
    return abs(flattening * cos(radians(elements.inclination_deg))) * elements.mean_motion_rev_day * 2 * pi


def beyond(found: Jump, allowed: Jump) -> str | None:
    """Return in which directions `found` is more than `allowed`, in words; None where it is in none."""
    over = [
        f"{abs(is_km):.0f} km {where} (expected {may_km:.0f} at most)"
        for where, is_km, may_km in (
            ("along its orbit", found.along_km, allowed.along_km),
            ("up or down", found.up_km, allowed.up_km),
            ("across", found.across_km, allowed.across_km),
        )
        if abs(is_km) > may_km
    ]
    return f"{', '.join(over)} from where the set of {found.age_days:.1f} days before has it" if over else None
