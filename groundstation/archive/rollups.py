"""Hourly roll-ups: min, max, mean and count of each parameter, by generation time.

    packets ──► one mark an hour, in their own transaction ──► summed up by a reader ──► one short transaction:
                                                                                         roll-ups in, marks off

A mark is a row of its own for each transaction, so that the writer never waits for whoever rolls up. What was read
belongs to the marks that were seen; a packet that came later has left another. Two that roll up at once do no harm:
whose marks are not all there any more gives up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, func, select

from groundstation.archive import statements
from groundstation.archive.aggregates import hours_of
from groundstation.archive.columns import Time
from groundstation.archive.rows import HOUR_US, Row
from groundstation.archive.tables import rollup_dirty

BUCKETS = 24  # satellites' hours in one step: some tens of milliseconds each where a packet comes every second
MARKS = 10_000


@dataclass(frozen=True, slots=True)
class RolledUp:
    """The hours that some marks stood for, summed up and not yet kept."""

    marks: tuple[int, ...]
    rows: tuple[Row, ...]


class MarksGoneError(Exception):
    """Somebody else has rolled up the same hours meanwhile; nothing was changed."""


def sum_up(connection: Connection, buckets: int = BUCKETS) -> RolledUp | None:
    """Return the hours of the oldest marks; None where there are none. Only reads."""
    c = rollup_dirty.c
    marked: dict[tuple[str, int], list[int]] = {}
    for number, satellite, hour_us in connection.execute(select(c.id, c.satellite, c.hour).order_by(c.id).limit(MARKS)):
        if (satellite, hour_us) in marked or len(marked) < buckets:
            marked.setdefault((satellite, hour_us), []).append(number)
    if not marked:
        return None
    rows: list[Row] = []
    for satellite, hour_us in sorted(marked):
        rows += [(satellite, *row) for row in hours_of(connection, satellite, hour_us, hour_us + HOUR_US)]
    return RolledUp(tuple(number for numbers in marked.values() for number in numbers), tuple(rows))


def keep_rollups(connection: Connection, rolled_up: RolledUp) -> None:
    """Keep what was summed up and take its marks off; raises MarksGoneError, after which the caller must roll back."""
    gone = 0
    for start in range(0, len(rolled_up.marks), statements.LENGTHS[0]):
        some = rolled_up.marks[start : start + statements.LENGTHS[0]]
        gone += connection.execute(delete(rollup_dirty).where(rollup_dirty.c.id.in_(some))).rowcount
    if gone != len(rolled_up.marks):
        raise MarksGoneError
    statements.insert(connection, statements.ROLLUP, in_key_order(rolled_up.rows))


def in_key_order(rows: Sequence[Row]) -> Sequence[Row]:
    return sorted(rows, key=lambda row: row[:3])


def dirty_hours(connection: Connection, satellite: str, from_us: int, to_us: int) -> list[int]:
    """Return the beginnings of the satellite's hours that are to be rolled up, in order."""
    c = rollup_dirty.c
    query = select(c.hour).where(c.satellite == satellite, c.hour > from_us - HOUR_US, c.hour < to_us)
    return list(connection.scalars(query.distinct().order_by(c.hour)))


def oldest_mark(connection: Connection) -> tuple[int, int | None]:
    """Return how many marks there are and the earliest hour among them."""
    c = rollup_dirty.c
    count, earliest = connection.execute(select(func.count(), func.min(c.hour, type_=Time))).one()
    return int(count), earliest
