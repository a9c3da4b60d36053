"""How wrong a pass may be because its elements are old: from the set's age and, where there is one, its history.

A satellite runs early or late along its track, because air drag is not what SGP4 was told; nothing else about it
changes nearly as much. AOS and LOS are off by that distance over the satellite's speed.
"""

from collections.abc import Sequence
from datetime import datetime
from math import exp, hypot, inf, log

import numpy as np
from sgp4.api import Satrec

from groundstation.orbit.elements import Elements
from groundstation.orbit.satrec import to_satrec

DAY_S = 86400.0
FRESH_DAYS, FRESH_KM = 0.1, 0.5  # even a new set is off by so much
# Nine of ten old sets of a satellite at 530 km (57696, three years, 459 sets) were nearer than this to the newer set.
AGE_DAYS = (1.0, 3.0, 7.0, 14.0, 30.0)
ERROR_KM = (1.0, 6.4, 43.0, 208.0, 1217.0)
LOG_AGE = [log(age) for age in (FRESH_DAYS, *AGE_DAYS)]
LOG_ERROR = [log(error) for error in (FRESH_KM, *ERROR_KM)]
HISTORY_MOST = 40  # sets: further back, the sun was another
PAIRS_LEAST = 3
QUANTILE = 0.9
FACTOR_LEAST, FACTOR_MOST = 0.05, 50.0


def aos_uncertainty_s(elements: Elements, aos: datetime, history: Sequence[Elements] = ()) -> float:
    """Return how many seconds AOS may be early or late, nine times of ten.

    `history` are earlier sets of the same satellite: how well each foretold the later ones, against what is usual,
    says how much better or worse this satellite keeps its time. Infinite where SGP4 cannot follow it to AOS.
    """
    age_days = (aos - elements.epoch).total_seconds() / DAY_S
    speed_km_s = _speed_km_s(elements, age_days)
    return usual_error_km(abs(age_days)) * drift_factor([*history, elements]) / speed_km_s if speed_km_s else inf


def usual_error_km(age_days: float) -> float:
    """Return the distance along the track that nine of ten sets of that age keep within.

    Between the ages of the table, and beyond, the error grows by a power of age.
    """
    here = log(max(age_days, FRESH_DAYS))
    if here > LOG_AGE[-1]:
        growth = (LOG_ERROR[-1] - LOG_ERROR[-2]) / (LOG_AGE[-1] - LOG_AGE[-2])
        return exp(LOG_ERROR[-1] + growth * (here - LOG_AGE[-1]))
    return exp(np.interp(here, LOG_AGE, LOG_ERROR))


def drift_factor(history: Sequence[Elements]) -> float:
    """Return how many times the usual error this satellite's own sets have shown; 1 where too few tell.

    On the real histories of ten satellites (two years of three, half a year of seven) the errors a day to 18 days
    ahead then lay within the promise 80 to 100 times of 100; of a decaying one 9 to 19 of 100 without this factor.
    """
    sets = sorted(history, key=lambda one: one.epoch)[-HISTORY_MOST:]
    records = [(one.epoch, to_satrec(one)) for one in sets]
    ratios = [
        ratio
        for number, (epoch, older) in enumerate(records)
        for later, newer in records[number + 1 :]
        if (ratio := _ratio(older, newer, (later - epoch).total_seconds() / DAY_S)) is not None
    ]
    if len(ratios) < PAIRS_LEAST:
        return 1.0
    return min(max(float(np.quantile(ratios, QUANTILE)), FACTOR_LEAST), FACTOR_MOST)


def _ratio(older: Satrec, newer: Satrec, age_days: float) -> float | None:
    """Return the older set's error at the newer one's epoch by what is usual; None where that says nothing."""
    if not AGE_DAYS[0] <= age_days <= AGE_DAYS[-1]:
        return None
    error, truth, velocity = newer.sgp4(newer.jdsatepoch, newer.jdsatepochF)
    old_error, found, _ = older.sgp4(newer.jdsatepoch, newer.jdsatepochF)
    if error or old_error:
        return None
    along: float = sum((a - b) * v for a, b, v in zip(found, truth, velocity, strict=True)) / hypot(*velocity)
    return abs(along) / usual_error_km(age_days)


def _speed_km_s(elements: Elements, age_days: float) -> float | None:
    satrec = to_satrec(elements)
    error, _, velocity = satrec.sgp4(satrec.jdsatepoch, satrec.jdsatepochF + age_days)
    return None if error else hypot(*velocity)
