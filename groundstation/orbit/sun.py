"""Where the sun is: from de421, JPL's ephemeris, which the package skyfield-data brings.

Reading it takes some 20 ms once, and 2 ms for each BLOCK_DAYS more. The sun moves so evenly in SGP4's frame that a
cubic through its places at four midnights is within 1e-8 rad of it, on a day with a leap second within 2e-7.
"""

from contextlib import closing
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import as_file, files

import numpy as np
from skyfield.api import load_file
from skyfield.sgp4lib import TEME

from groundstation.orbit.earth_rotation import Array, earth_rotation

UNIX_DAY = date(1970, 1, 1)
FIRST, LAST = date(1899, 7, 29), date(2053, 10, 7)  # the days, UTC, that de421 holds whole
FIRST_DAY, LAST_DAY = (FIRST - UNIX_DAY).days, (LAST - UNIX_DAY).days + 1  # midnights
BLOCK_DAYS = 32
NODES = np.arange(4.0)  # midnights that a cubic goes through
TO_POWERS = np.linalg.inv(NODES[:, None] ** NODES)


class SunError(ValueError):
    """A time at which the sun's place is not known."""


def sun_km(days: Array) -> Array:
    """Return the sun's geometric place in TEME by rows, from ascending days since 1970-01-01 00:00 UTC.

    Raises SunError for days that de421 does not hold.
    """
    begin, end = float(days[0]), float(days[-1])
    if begin < FIRST_DAY or end > LAST_DAY:
        day = UNIX_DAY + timedelta(days=(begin if begin < FIRST_DAY else end) // 1)
        raise SunError(f"{day}: the sun's place is known (JPL's de421) from {FIRST} to {LAST}")
    first, last = int(begin // 1), int(end // 1)
    if first == last:
        return _along(_cubic(first), days)
    parts = np.split(days, np.searchsorted(days, range(first + 1, last + 1)))
    return np.concatenate([_along(_cubic(first + number), part) for number, part in enumerate(parts)])


Cubic = tuple[int, Array]  # the midnight of its first node; what each power of the days since then adds


def _along(cubic: Cubic, days: Array) -> Array:
    first, (once, by_day, by_square, by_cube) = cubic
    since = (days - first)[:, None]
    place: Array = once + since * (by_day + since * (by_square + since * by_cube))
    return place


@lru_cache(maxsize=512)
def _cubic(day: int) -> Cubic:
    """Return the cubic that is good for that day."""
    first = min(max(day - 1, FIRST_DAY), LAST_DAY - len(NODES) + 1)
    midnights = [divmod(first + number, BLOCK_DAYS) for number in range(len(NODES))]
    return first, TO_POWERS @ np.array([_block(block)[row] for block, row in midnights])


@lru_cache(maxsize=16)
def _block(number: int) -> Array:
    """Return the sun's place in TEME, km by rows, at BLOCK_DAYS midnights; at those beyond de421 that of its end."""
    days = np.clip(np.arange(number * BLOCK_DAYS, (number + 1) * BLOCK_DAYS), FIRST_DAY, LAST_DAY)
    times = earth_rotation("iers").scale.utc(1970, 1, 1 + days)
    # Found by its name: skyfield-data's own function warns as soon as another of its files has expired.
    with as_file(files("skyfield_data") / "data" / "de421.bsp") as path, closing(load_file(str(path))) as ephemeris:
        place = (ephemeris["sun"] - ephemeris["earth"]).at(times).xyz.km
    return np.asarray(np.einsum("ijk,jk->ki", TEME.rotation_at(times), place))
