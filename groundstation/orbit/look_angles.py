"""Where a satellite stands in a site's sky, at any times."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from groundstation.orbit.earth_rotation import Array, Ut1Source, earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.fleet import Flags, Fleet
from groundstation.orbit.observer import expect_utc, observer
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.sight import azimuth, length, sight
from groundstation.orbit.site import Site

DIFFERENCE_S = 0.25
WEIGHTS = np.array([1.0, -8.0, 0.0, 8.0, -1.0]) / (12 * DIFFERENCE_S)  # of a five-point difference
OFFSETS_S = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) * DIFFERENCE_S


@dataclass(frozen=True, slots=True)
class LookAngles:
    """Arrays over the times asked for; NaN where SGP4 has no answer. Refraction is left out."""

    azimuth_deg: Array  # from true north through east
    elevation_deg: Array
    range_km: Array
    range_rate_km_s: Array  # positive while the satellite recedes


def look_angles(elements: Elements, site: Site, times: Sequence[datetime], *, ut1: Ut1Source = "iers") -> LookAngles:
    """Return where the satellite stands at each of the `times`.

    The range rate is the five-point difference of range over a second: SGP4's own velocity is not the derivative of
    its position, and is off by 20 mm/s in low orbit (0.03 Hz at 437 MHz) and by metres a second when decaying.
    """
    if not times:
        return LookAngles(*np.empty((4, 0)))
    expect_utc(*times)
    start = min(times)
    at_s = np.array([(time - start).total_seconds() for time in times])
    here = observer(site, start, max(times), earth_rotation(ut1), beyond_s=60.0)
    around_s = (at_s[:, None] + OFFSETS_S).ravel()
    fleet = Fleet([to_satrec(elements)], here)
    position, velocity, failed = fleet.seen(np.zeros(len(around_s), np.intp), around_s)
    look = sight(here, position, velocity)
    lost: Flags = failed.reshape(-1, 5).max(axis=1)
    ranges = length(look.away).reshape(-1, 5)
    middle = look.take(slice(2, None, 5))
    columns = (
        np.degrees(azimuth(here, middle.away)),
        np.degrees(np.arcsin(np.clip(middle.height / middle.distance, -1, 1))),
        ranges[:, 2],
        ranges @ WEIGHTS,
    )
    return LookAngles(*(np.where(lost, np.nan, column) for column in columns))
