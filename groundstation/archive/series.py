"""One parameter over a stretch of time: every value, or rolled up to about as many points as a chart can show.

Where nothing came for a while stands a point without a value, so that a chart draws no line over it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median

from sqlalchemy import Connection, select

from groundstation.archive.aggregates import Stretch, buckets_of, rollups_of, values_of
from groundstation.archive.rollups import dirty_hours
from groundstation.archive.rows import HOUR_US, Row
from groundstation.archive.tables import rollup_1h
from groundstation.telemetry.packet import Value

PAUSE = 3  # times the usual distance of two values


@dataclass(frozen=True, slots=True)
class Sample:
    at_us: int
    value: Value  # None in a gap, and where the parameter came but could not be decoded


@dataclass(frozen=True, slots=True)
class Summary:
    """All values from `at_us` to the next one's; `n` is 0 and the others None in a gap."""

    at_us: int
    min: float | None
    max: float | None
    mean: float | None
    n: int


def samples(
    connection: Connection, of: Stretch, *, pause_us: int | None = None, most: int | None = None
) -> list[Sample]:
    """Return every value, and one without a value in each gap.

    A gap is longer than `pause_us`, else three times the median distance. `most` bounds how many values are read.
    """
    found = values_of(connection, of, most)
    longest = pause_us if pause_us is not None else usual_pause_us([at_us for at_us, _ in found])
    points: list[Sample] = []
    for at_us, value in found:
        if points and at_us - points[-1].at_us > longest:
            points.append(Sample((points[-1].at_us + at_us) // 2, None))
        points.append(Sample(at_us, value))
    return points


def usual_pause_us(times: Sequence[int]) -> int:
    distances = [later - earlier for earlier, later in pairwise(times) if later > earlier]
    return int(PAUSE * median(distances)) if distances else 0


def summaries(connection: Connection, of: Stretch, points: int) -> list[Summary]:
    """Return at most about `points` summaries, and one without values in each gap.

    They begin at whole multiples of their width, so that they stay as they are while the window moves. From an hour's
    width on they are made of the hourly roll-ups, whose first and last hour may reach beyond the window; narrower ones
    too where retention has taken the packets. By reception time there are no roll-ups, and a long window takes long.
    """
    width_us = max(-((of.from_us - of.to_us) // points), 1)
    if of.by == "generated_at" and width_us >= HOUR_US:
        return _of_hours(connection, of, -(-width_us // HOUR_US) * HOUR_US)
    found = buckets_of(connection, of, width_us)
    if not found and of.by == "generated_at":
        return _of_hours(connection, of, HOUR_US)
    return _with_gaps([Summary(bucket * width_us, *rest) for bucket, *rest in found], width_us)


def _with_gaps(found: Iterable[Summary], width_us: int) -> list[Summary]:
    points: list[Summary] = []
    for one in found:
        if points and one.at_us - points[-1].at_us > width_us:
            points.append(Summary(points[-1].at_us + width_us, None, None, None, 0))
        points.append(one)
    return points


def _of_hours(connection: Connection, of: Stretch, width_us: int) -> list[Summary]:
    of = replace(of, from_us=of.from_us // HOUR_US * HOUR_US)
    found = {row[0]: row for row in rollups_of(connection, of, width_us)}
    for hour_us, *rest in _dirty(connection, of):
        bucket = hour_us // width_us
        found[bucket] = merged(found[bucket], (bucket, *rest)) if bucket in found else (bucket, *rest)
    return _with_gaps([Summary(bucket * width_us, *rest) for bucket, *rest in sorted(found.values())], width_us)


def merged(one: Row, other: Row) -> Row:
    """Return the summary of both: bucket, min, max, mean and count."""
    bucket, low, high, mean, n = one
    _, other_low, other_high, other_mean, other_n = other
    both = n + other_n
    return bucket, min(low, other_low), max(high, other_high), mean * (n / both) + other_mean * (other_n / both), both


def _dirty(connection: Connection, of: Stretch) -> list[Row]:
    """Return the hours that are not rolled up yet, summed up now; what retention has left of them may be less."""
    hours = dirty_hours(connection, of.satellite, of.from_us, of.to_us)
    if not hours:
        return []
    c = rollup_1h.c
    within = (c.satellite == of.satellite, c.parameter == of.parameter, c.hour >= hours[0], c.hour <= hours[-1])
    kept = connection.execute(select(c.hour, c.min, c.max, c.mean, c.n).where(*within))
    dirty = set(hours)
    found: dict[int, Row] = {row.hour: tuple(row) for row in kept if row.hour in dirty}
    for first, last in runs(hours):
        for number, *rest in buckets_of(connection, replace(of, from_us=first, to_us=last + HOUR_US), HOUR_US):
            now = (number * HOUR_US, *rest)
            if now[0] not in found or now[-1] >= found[now[0]][-1]:
                found[now[0]] = now
    return list(found.values())


def runs(hours: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each row of hours without a hole."""
    found: list[tuple[int, int]] = []
    for hour_us in hours:
        if found and hour_us - found[-1][1] == HOUR_US:
            found[-1] = (found[-1][0], hour_us)
        else:
            found.append((hour_us, hour_us))
    return found
