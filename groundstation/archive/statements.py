"""The statements on the hot path: written once for both engines, compiled by neither.

    INSERT INTO t (...) SELECT ... FROM (<given>) AS given WHERE ... ON CONFLICT ...

<given> is a VALUES list in SQLite and an unnest of one binary array a column in PostgreSQL: hundreds of rows in one
call of the driver, during which the interpreter is free to decode. Measured with 20 parameters a packet, 1000 a batch:

    SQLite      VALUES of 512 · row by row   as fast alone; 46,000 · 13,000 to 37,000 rows/s beside a busy thread
                row by row of 6          a third less of our CPU than VALUES of 6, at 100 packets/s
    PostgreSQL  binary arrays · executemany  41,000 · 31,000 rows/s, 5 · 12 µs of our CPU a row
                text arrays                  14,000 rows/s
                COPY to a temporary table    48,000 rows/s, but slower than the others at 20 rows a batch
"""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from itertools import chain

from sqlalchemy import BigInteger, Connection, Double, LargeBinary, Table

from groundstation.archive import rows, tables
from groundstation.archive.columns import Json, Time
from groundstation.archive.engine import sqlite_cursor
from groundstation.archive.rows import Row

NOTHING = "ON CONFLICT DO NOTHING"
NEWER_PACKET = """ON CONFLICT (satellite, packet) DO UPDATE SET generated_at = excluded.generated_at,
    received_at = excluded.received_at, stored_at = excluded.stored_at, station = excluded.station,
    parameters = excluded.parameters, levels = excluded.levels
    WHERE excluded.generated_at > latest_packet.generated_at"""
NEWER_PARAMETER = """ON CONFLICT (satellite, parameter) DO UPDATE SET packet = excluded.packet,
    generated_at = excluded.generated_at, received_at = excluded.received_at, stored_at = excluded.stored_at,
    station = excluded.station, value = excluded.value, level = excluded.level
    WHERE excluded.generated_at > latest_parameter.generated_at"""
# Packets are never taken out of an hour but by retention, so the one with more values is the whole one.
MORE = """ON CONFLICT (satellite, parameter, hour) DO UPDATE SET min = excluded.min, max = excluded.max,
    mean = excluded.mean, n = excluded.n WHERE excluded.n >= rollup_1h.n"""
# A batch that is tried again and a recording that is played again bring no arrival that is not known.
AGAIN = """ON CONFLICT (link, hour, reason, digest) DO UPDATE SET times = quarantine.times + excluded.times,
    last_arrived_at = CASE WHEN excluded.last_arrived_at > quarantine.last_arrived_at
        THEN excluded.last_arrived_at ELSE quarantine.last_arrived_at END
    WHERE excluded.last_arrived_at NOT IN (quarantine.arrived_at, quarantine.last_arrived_at)"""
BY_ANOTHER_STATION = """NOT EXISTS (SELECT 1 FROM packet WHERE packet.satellite = given.satellite
    AND packet.generated_at = given.generated_at AND packet.digest = given.digest
    AND packet.station = given.station)"""
STORED_AT_US = "(extract(epoch FROM stored_at) * 1000000)::bigint"

# A statement is prepared once for each length, so long ones are powers of two; 512 rows are 8192 values, of 32766.
# A batch so small that it comes when little else happens goes row by row, by one statement that is in the caches; one
# somewhat larger in one statement, for beginning another takes longer than a row.
LENGTH_MOST, EXACT_MOST, SINGLE_MOST = 512, 32, 10


@dataclass(frozen=True, eq=False)  # each is one of its kind, and known as itself in the caches below
class Statement:
    """One INSERT for rows of a shape; the conflict and the condition are SQL."""

    table: Table
    columns: tuple[str, ...]
    conflict: str = NOTHING
    where: str = "TRUE"

    def sql(self, given: str) -> str:
        names = ", ".join(self.columns)
        source = f"SELECT {names} FROM ({given}) AS given WHERE {self.where}"  # noqa: S608  (our own names)
        return f"INSERT INTO {self.table.name} ({names}) {source} {self.conflict}"

    @cache  # noqa: B019  (the statements live as long as the program)
    def sqlite(self, length: int) -> str:
        named = ", ".join(f"column{place} AS {name}" for place, name in enumerate(self.columns, start=1))
        row = f"({', '.join('?' * len(self.columns))})"
        return self.sql(f"SELECT {named} FROM (VALUES {', '.join([row] * length)})")  # noqa: S608

    @cache  # noqa: B019
    def sqlite_row(self) -> str:
        if self.where != "TRUE":
            return self.sqlite(1)
        row = ", ".join("?" * len(self.columns))
        return f"INSERT INTO {self.table.name} ({', '.join(self.columns)}) VALUES ({row}) {self.conflict}"  # noqa: S608

    @cache  # noqa: B019
    def postgresql(self) -> str:
        wanted = ", ".join(_wanted(self.table, name) for name in self.columns)
        arrays = ", ".join(f"%b::{_sent(self.table, name)}[]" for name in self.columns)
        return self.sql(f"SELECT {wanted} FROM unnest({arrays}) AS sent ({', '.join(self.columns)})")  # noqa: S608


def _sent(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, LargeBinary):
        return "bytea"
    if isinstance(kind, Double):
        return "float8"
    return "bigint" if isinstance(kind, Time | BigInteger) else "text"


def _wanted(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, Time):  # in two parts: the multiplication is one of doubles, exact to 2**53 µs, the year 2255
        seconds, rest = (
            f"{column} / 1000000 * interval '1 second'",
            f"mod({column}, 1000000) * interval '1 microsecond'",
        )
        return f"timestamptz 'epoch' + {seconds} + {rest} AS {column}"
    return f"{column}::jsonb AS {column}" if isinstance(kind, Json) else column


PACKET = Statement(tables.packet, rows.PACKET_COLUMNS)
RECEPTION = Statement(tables.reception, rows.RECEPTION_COLUMNS, where=BY_ANOTHER_STATION)
LATEST_PACKET = Statement(tables.latest_packet, rows.LATEST_PACKET_COLUMNS, conflict=NEWER_PACKET)
LATEST_PARAMETER = Statement(tables.latest_parameter, rows.LATEST_PARAMETER_COLUMNS, conflict=NEWER_PARAMETER)
DIRTY = Statement(tables.rollup_dirty, rows.DIRTY_COLUMNS)
ROLLUP = Statement(tables.rollup_1h, rows.ROLLUP_COLUMNS, conflict=MORE)
QUARANTINE = Statement(tables.quarantine, rows.QUARANTINE_COLUMNS, conflict=AGAIN)


def insert(connection: Connection, statement: Statement, given: Sequence[Row]) -> None:
    """Insert the rows, or what the statement's conflict says."""
    if given and connection.dialect.name == "sqlite":
        _insert_values(sqlite_cursor(connection), statement, given)
    elif given:
        connection.exec_driver_sql(statement.postgresql(), _columns(given))


def insert_packets(connection: Connection, given: Sequence[Row]) -> set[int]:
    """Insert the packets that are new and return the `stored_at` of those: it differs from row to row."""
    if not given:
        return set()
    if connection.dialect.name != "sqlite":
        answer = connection.exec_driver_sql(f"{PACKET.postgresql()} RETURNING {STORED_AT_US}", _columns(given))
        return set(answer.scalars())
    # RETURNING would hand the rows over one by one. Since in this transaction nobody else writes, what is new has the
    # last numbers of all, and comes as one value; mostly all is new and nobody needs to ask.
    cursor = sqlite_cursor(connection)
    count = _insert_values(cursor, PACKET, given)
    if count == len(given):
        return {row[rows.STORED_AT] for row in given}
    new = "SELECT group_concat(stored_at) FROM (SELECT stored_at FROM packet ORDER BY rowid DESC LIMIT ?)"
    (found,) = cursor.execute(new, (count,)).fetchone()
    return {int(stored_at) for stored_at in found.split(",")} if count else set()


def _columns(given: Sequence[Row]) -> Row:
    return tuple(list(column) for column in zip(*given, strict=True))


def _insert_values(cursor: sqlite3.Cursor, statement: Statement, given: Sequence[Row]) -> int:
    """Return how many rows were new or changed."""
    if len(given) <= SINGLE_MOST:
        return cursor.executemany(statement.sqlite_row(), given).rowcount
    changed = start = 0
    while left := len(given) - start:
        length = left if left <= EXACT_MOST else min(1 << left.bit_length() - 1, LENGTH_MOST)
        cursor.execute(statement.sqlite(length), tuple(chain.from_iterable(given[start : start + length])))
        changed += cursor.rowcount
        start += length
    return changed
