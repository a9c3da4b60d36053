"""The statements on the hot path: written once for both engines, compiled by neither.

    INSERT INTO t (...) SELECT ... FROM <given> WHERE ... ON CONFLICT ...

<given> is one row of parameters in SQLite, executed row by row (6 µs each, and its row count is exact); in PostgreSQL
it is an unnest of one binary array a column, so that a batch is one statement and one answer. Measured there with
1000 rows of 20 parameters: 41,000 rows/s and 5 µs of our CPU a row, against 31,000 and 12 with executemany and
14,000 and 44 with text arrays; COPY through a temporary table gave 48,000, but half of that for small batches.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import BigInteger, Connection, LargeBinary, Table

from groundstation.archive import rows, tables
from groundstation.archive.columns import Json, Time
from groundstation.archive.rows import Row

NOTHING = "ON CONFLICT DO NOTHING"
NEWER = """ON CONFLICT (satellite, parameter) DO UPDATE SET packet = excluded.packet,
    generated_at = excluded.generated_at, received_at = excluded.received_at, station = excluded.station,
    value = excluded.value, level = excluded.level
    WHERE excluded.generated_at > latest.generated_at"""
BY_ANOTHER_STATION = """NOT EXISTS (SELECT 1 FROM packet WHERE packet.satellite = given.satellite
    AND packet.generated_at = given.generated_at AND packet.digest = given.digest
    AND packet.station = given.station)"""


@dataclass(frozen=True, slots=True)
class Statement:
    """One INSERT for rows of a shape; `returning` names what PostgreSQL answers for each row that was new."""

    table: Table
    columns: Sequence[str]
    conflict: str = NOTHING
    where: str = "TRUE"
    returning: Sequence[str] = ()

    def sql(self, dialect: str) -> str:
        names = ", ".join(self.columns)
        given = self._one_row() if dialect == "sqlite" else self._arrays()
        text = f"INSERT INTO {self.table.name} ({names}) SELECT {names} FROM ({given}) AS given"  # noqa: S608  (our names)
        text += f" WHERE {self.where} {self.conflict}"
        if self.returning and dialect != "sqlite":
            text += f" RETURNING {', '.join(self.returning)}"
        return text

    def _one_row(self) -> str:
        return "SELECT " + ", ".join(f"?{place} AS {name}" for place, name in enumerate(self.columns, start=1))

    def _arrays(self) -> str:
        names = ", ".join(self.columns)
        wanted = ", ".join(_wanted(self.table, name) for name in self.columns)
        arrays = ", ".join(f"%b::{_sent(self.table, name)}[]" for name in self.columns)
        return f"SELECT {wanted} FROM unnest({arrays}) AS sent ({names})"  # noqa: S608  (our own column names)


def _sent(table: Table, column: str) -> str:
    kind = table.c[column].type
    if isinstance(kind, LargeBinary):
        return "bytea"
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


KEY = ("satellite", "(extract(epoch FROM generated_at) * 1000000)::bigint", "digest")
PACKET = Statement(tables.packet, rows.PACKET_COLUMNS, returning=KEY)
RECEPTION = Statement(tables.reception, rows.RECEPTION_COLUMNS, where=BY_ANOTHER_STATION)
LATEST = Statement(tables.latest, rows.LATEST_COLUMNS, conflict=NEWER)
QUARANTINE = Statement(tables.quarantine, rows.QUARANTINE_COLUMNS)
_SQL = {
    (statement.table.name, dialect): statement.sql(dialect)
    for statement in (PACKET, RECEPTION, LATEST, QUARANTINE)
    for dialect in ("sqlite", "postgresql")
}


def insert(connection: Connection, statement: Statement, given: Sequence[Row]) -> list[bool]:
    """Insert the rows and return for each whether it was new; meaningful where the statement says NOTHING."""
    if not given:
        return []
    sql = _SQL[statement.table.name, connection.dialect.name]
    if connection.dialect.name == "sqlite":
        return _insert_each(connection, sql, given)
    answer = connection.exec_driver_sql(sql, tuple(list(column) for column in zip(*given, strict=True)))
    if not statement.returning or answer.rowcount == len(given):
        return [True] * len(given)
    # Of rows that share a key the server took the first, so the first is the new one here, too.
    new = {tuple(row) for row in answer}
    fates = []
    for row in given:
        fates.append(row[:3] in new)
        new.discard(row[:3])
    return fates


def _insert_each(connection: Connection, sql: str, given: Sequence[Row]) -> list[bool]:
    driver = connection.connection.dbapi_connection
    assert driver is not None
    cursor = driver.cursor()
    fates = []
    for row in given:
        cursor.execute(sql, row)
        fates.append(cursor.rowcount == 1)
    cursor.close()
    return fates
