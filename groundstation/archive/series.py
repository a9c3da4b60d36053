"""One parameter over a stretch of time: every value, or rolled up to about as many points as a chart can show.

Where nothing came for a while stands a point without a value, so that a chart draws no line over it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

import msgspec
from sqlalchemy import Connection, select

from groundstation.archive.aggregates import Sum, buckets_of, merged, rollups_of
from groundstation.archive.chunks import Stretch, values_of
from groundstation.archive.rollups import dirty_hours
from groundstation.archive.rows import HOUR_US
from groundstation.archive.tables import rollup_1h
from groundstation.telemetry.packet import Value

PAUSE = 3  # times the usual distance of two values


class Sample(msgspec.Struct, frozen=True):  # made by the thousand, in a quarter of a dataclass's time
    at_us: int
    value: Value  # None in a gap, and where the parameter came but could not be decoded


class Summary(msgspec.Struct, frozen=True):
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
    times_us: list[int] = []
    values: list[Value] = []
    for some_us, some in values_of(connection, of):
        times_us += some_us
        values += some
        if most is not None and len(times_us) >= most:
            del times_us[most:], values[most:]
            break
    longest = pause_us if pause_us is not None else usual_pause_us(times_us)
    points: list[Sample] = []
    before_us = times_us[0] if times_us else 0
    for at_us, value in zip(times_us, values, strict=True):
        if at_us - before_us > longest:
            points.append(Sample((before_us + at_us) // 2, None))
        points.append(Sample(at_us, value))
        before_us = at_us
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
    return _with_gaps(found, width_us)


def _with_gaps(found: Mapping[int, Sum], width_us: int) -> list[Summary]:
    points: list[Summary] = []
    for bucket, summed in sorted(found.items()):
        at_us = bucket * width_us
        if points and at_us - points[-1].at_us > width_us:
            points.append(Summary(points[-1].at_us + width_us, None, None, None, 0))
        points.append(Summary(at_us, *summed))
    return points


def _of_hours(connection: Connection, of: Stretch, width_us: int) -> list[Summary]:
    of = replace(of, from_us=of.from_us // HOUR_US * HOUR_US)
    found = rollups_of(connection, of, width_us)
    for hour_us, summed in _dirty(connection, of).items():
        bucket = hour_us // width_us
        found[bucket] = merged(found[bucket], summed) if bucket in found else summed
    return _with_gaps(found, width_us)


def _dirty(connection: Connection, of: Stretch) -> dict[int, Sum]:
    """Return the hours that are not rolled up yet, summed up now; what retention has left of them may be less."""
    hours = dirty_hours(connection, of.satellite, of.from_us, of.to_us)
    if not hours:
        return {}
    c = rollup_1h.c
    within = (c.satellite == of.satellite, c.parameter == of.parameter, c.hour >= hours[0], c.hour <= hours[-1])
    kept = connection.execute(select(c.hour, c.min, c.max, c.mean, c.n).where(*within))
    dirty = set(hours)
    found: dict[int, Sum] = {hour_us: (*summed,) for hour_us, *summed in kept if hour_us in dirty}
    for first, last in runs(hours):
        now = buckets_of(connection, replace(of, from_us=first, to_us=last + HOUR_US), HOUR_US)
        for number, summed in now.items():
            hour_us = number * HOUR_US
            if hour_us not in found or summed[-1] >= found[hour_us][-1]:
                found[hour_us] = summed
    return found


def runs(hours: Sequence[int]) -> list[tuple[int, int]]:
    """Return the first and last of each row of hours without a hole."""
    found: list[tuple[int, int]] = []
    for hour_us in hours:
        if found and hour_us - found[-1][1] == HOUR_US:
            found[-1] = (found[-1][0], hour_us)
        else:
            found.append((hour_us, hour_us))
    return found
