"""Hourly roll-ups: min, max, mean and count of each parameter, by generation time.

    packets ──► marks of hours, in their own transaction ───► summed up by a reader, ──► one short transaction:
                                                               some packets at a time     roll-ups in, marks off

A transaction leaves marks of its own, so that the writer never waits for whoever rolls up. What was read belongs to the
marks that were seen; a packet that came later has left another. Two that roll up at once do no harm: whose marks are
not all there any more gives up. Until the daemon's upkeep has looked, its writer leaves one mark an hour: after the
look, and before it sums up, it asks the writer to `mark_anew`; what came before that is in the sum.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from groundstation.archive import statements
from groundstation.archive.aggregates import Sum, merged, sums_of
from groundstation.archive.chunks import Begin, packets_of
from groundstation.archive.columns import Time, encode_json
from groundstation.archive.engine import sqlite_cursor
from groundstation.archive.rows import HOUR_US, Row
from groundstation.archive.tables import rollup_dirty

MARKS = 10_000  # looked at together
PACKETS = 500  # read in one go: 3 ms


class MarksGoneError(Exception):
    """Somebody else has rolled up the same hours meanwhile; nothing was changed."""


@dataclass(slots=True)
class Hour:
    """A satellite's hour that packets have come to: the marks that they left, and what was summed up of it so far."""

    satellite: str
    begin_us: int
    unread: Begin | None  # where to go on; None where all was read
    marks: list[int] = field(default_factory=list)  # the newest last
    packets: int = 0
    sums: dict[str, Sum] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        return self.satellite, self.begin_us

    def rows(self) -> list[Row]:
        return [(self.satellite, name, self.begin_us, *summed) for name, summed in self.sums.items()]


def marked_hours(connection: Connection, most: int = MARKS) -> list[Hour]:
    """Return the hours of the `most` oldest marks, the longest waiting first."""
    c = rollup_dirty.c
    hours: dict[tuple[str, int], Hour] = {}
    for number, satellite, begin_us in connection.execute(select(c.id, c.satellite, c.hour).order_by(c.id).limit(most)):
        hour = hours.setdefault((satellite, begin_us), Hour(satellite, begin_us, unread=Begin(begin_us)))
        hour.marks.append(number)
    return list(hours.values())


def sum_some(connection: Connection, hours: Sequence[Hour], most: int = PACKETS) -> None:
    """Sum up the next `most` packets of the hours; of the archive it only reads."""
    for hour in hours:
        while hour.unread is not None and most > 0:
            chunk = packets_of(connection, hour.satellite, hour.unread, hour.begin_us + HOUR_US, most)
            for name, summed in sums_of(chunk.items).items():
                hour.sums[name] = merged(hour.sums[name], summed) if name in hour.sums else summed
            hour.packets += len(chunk.items)
            hour.unread = chunk.following
            most -= len(chunk.items)


def keep_rollups(connection: Connection, hours: Sequence[Hour]) -> None:
    """Keep what was summed up and take the marks off; raises MarksGoneError, after which the caller must roll back."""
    take_off(connection, [mark for hour in hours for mark in hour.marks])
    rows = [row for hour in hours for row in hour.rows()]
    statements.insert(connection, statements.ROLLUP, in_key_order(rows))


def take_off(connection: Connection, marks: Sequence[int]) -> None:
    """Take marks off; raises MarksGoneError, after which the caller must roll back.

    An hour that keeps its newest mark is as much to be rolled up as before.
    """
    if connection.dialect.name == "sqlite":
        sql = "DELETE FROM rollup_dirty WHERE id IN (SELECT value FROM json_each(?))"
        gone = sqlite_cursor(connection).execute(sql, (encode_json(marks).decode(),)).rowcount
    else:
        gone = connection.exec_driver_sql("DELETE FROM rollup_dirty WHERE id = ANY(%s)", (list(marks),)).rowcount
    if gone != len(marks):
        raise MarksGoneError


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
