"""What many values come to: min, max, mean and count of a bucket of time, out of packets or out of roll-ups.

Packets are summed up here and not by the database, which takes three times as long over the JSON of a whole hour.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Sequence
from math import fsum
from typing import Any

from sqlalchemy import Connection

from groundstation.archive.chunks import Stretch, microseconds, values_of
from groundstation.archive.columns import Time
from groundstation.archive.engine import sqlite_cursor
from groundstation.archive.rows import Row
from groundstation.telemetry.packet import Value

# Added up at a scale where no sum of finite numbers is infinite: PostgreSQL would refuse it, whatever else was asked.
SCALE = 2.0**-40
Sum = tuple[float, float, float, int]  # min, max, mean, count


def sum_of(held: Sequence[float]) -> Sum:
    try:
        mean = fsum(held) / len(held)
    except OverflowError:
        mean = fsum(value * SCALE for value in held) / len(held) / SCALE
    return min(held), max(held), mean, len(held)


def merged(one: Sum, other: Sum) -> Sum:
    """Return the sum of both."""
    low, high, mean, n = one
    other_low, other_high, other_mean, other_n = other
    both = n + other_n
    return min(low, other_low), max(high, other_high), mean * (n / both) + other_mean * (other_n / both), both


def numbers_in(values: Iterable[Value]) -> list[float]:
    """Return the numbers among the values, true and false as 1 and 0."""
    return [float(value) for value in values if value is not None and not isinstance(value, str)]


def sums_of(packets: Iterable[dict[str, Value]]) -> dict[str, Sum]:
    """Return the sum of each parameter that has numbers."""
    held: defaultdict[str, list[Value]] = defaultdict(list)
    for values in packets:
        for name, value in values.items():
            held[name].append(value)
    return {name: sum_of(numbers) for name, values in held.items() if (numbers := numbers_in(values))}


def buckets_of(connection: Connection, of: Stretch, width_us: int) -> dict[int, Sum]:
    """Return sums by bucket number, in order; bucket n holds the times from n·`width_us` on."""
    found: dict[int, Sum] = {}
    for times_us, values in values_of(connection, of):
        place = 0
        while place < len(times_us):
            bucket = times_us[place] // width_us
            end = bisect_left(times_us, (bucket + 1) * width_us, place)
            if numbers := numbers_in(values[place:end]):
                summed = sum_of(numbers)
                found[bucket] = merged(found[bucket], summed) if bucket in found else summed
            place = end
    return found


def rollups_of(connection: Connection, of: Stretch, width_us: int) -> dict[int, Sum]:
    """Return what `buckets_of` does, out of the roll-ups of the hours that have no mark; the stretch begins an hour."""
    first = of.from_us // width_us  # the engines divide towards zero, which is wrong before 1970
    given: Row = (first * width_us, width_us, of.satellite, of.parameter)
    if connection.dialect.name == "sqlite":
        given += (of.from_us, of.to_us, of.satellite)
        found: Iterable[Sequence[Any]] = sqlite_cursor(connection).execute(SQLITE_ROLLUPS, given).fetchall()
    else:
        moments = (Time().process_bind_param(us, connection.dialect) for us in (of.from_us, of.to_us))
        found = connection.exec_driver_sql(POSTGRESQL_ROLLUPS, (*given, *moments, of.satellite))
    return {first + bucket: (low, high, mean, n) for bucket, low, high, mean, n in found}


def rollups(hour_us: str, mark: str) -> str:
    return f"""
SELECT ({hour_us} - {mark}) / {mark} AS bucket, min(min), max(max), sum(mean * {SCALE!r} * n) / sum(n) / {SCALE!r},
    CAST(sum(n) AS BIGINT)
FROM rollup_1h WHERE satellite = {mark} AND parameter = {mark} AND hour >= {mark} AND hour < {mark}
    AND hour NOT IN (SELECT hour FROM rollup_dirty WHERE satellite = {mark})
GROUP BY 1 ORDER BY 1"""  # noqa: S608  (our own constants)


SQLITE_ROLLUPS = rollups("hour", "?")
POSTGRESQL_ROLLUPS = rollups(microseconds("hour"), "%s")
