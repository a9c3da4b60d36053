"""One parameter's values out of the JSON of many packets, read and summed up by the database itself.

The two engines name the parts of a JSON value differently, and are asked here in their own words and by their own
drivers: through SQLAlchemy each row of an answer would cost as much as the database takes for it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import Any

from sqlalchemy import Connection

from groundstation.archive.columns import Time, decode_json
from groundstation.archive.engine import sqlite_cursor
from groundstation.archive.queries import By
from groundstation.archive.rows import HOUR_US, Row
from groundstation.telemetry.packet import Value

# Added up at a scale where no sum of finite numbers is infinite: PostgreSQL would refuse it, whatever else was asked.
SCALE = 2.0**-40
SUMS = f"min(value), max(value), sum(value * {SCALE!r}) / count(*) / {SCALE!r}, count(*)"
NUMBERS = "('integer', 'real', 'true', 'false')"  # of SQLite's json_type


@dataclass(frozen=True, slots=True)
class Stretch:
    """One parameter from `from_us` to before `to_us`, by generation or by reception time."""

    satellite: str
    parameter: str
    from_us: int
    to_us: int
    by: By = "generated_at"


def hours_of(connection: Connection, satellite: str, from_us: int, to_us: int) -> list[Row]:
    """Return parameter, hour, min, max, mean and count of every parameter with numbers; `from_us` begins an hour."""
    given = (satellite, from_us, to_us)
    if connection.dialect.name == "sqlite":
        return _sqlite(connection, SQLITE_HOURS, (from_us, *given))
    return _postgresql(connection, POSTGRESQL_HOURS, (satellite, *_moments(connection, from_us, to_us)))


def buckets_of(connection: Connection, of: Stretch, width_us: int) -> list[Row]:
    """Return bucket number, min, max, mean and count; bucket n holds the times from n·`width_us` on."""
    first = of.from_us // width_us  # the engines divide towards zero, which is wrong before 1970
    grid = (first * width_us, width_us)
    if connection.dialect.name == "sqlite":
        given: tuple[Any, ...] = (json_path(of.parameter), of.satellite, of.from_us, of.to_us, *grid)
        found = _sqlite(connection, sqlite_buckets(of.by), given)
    else:
        given = (*grid, of.parameter, of.satellite, *_moments(connection, of.from_us, of.to_us))
        found = _postgresql(connection, postgresql_buckets(of.by), given)
    return [(first + row[0], *row[1:]) for row in found]


def rollups_of(connection: Connection, of: Stretch, width_us: int) -> list[Row]:
    """Return what `buckets_of` does, out of the roll-ups of the hours that have no mark; the stretch begins an hour."""
    first = of.from_us // width_us
    given = (first * width_us, width_us, of.satellite, of.parameter)
    if connection.dialect.name == "sqlite":
        found = _sqlite(connection, SQLITE_ROLLUPS, (*given, of.from_us, of.to_us, of.satellite))
    else:
        moments = _moments(connection, of.from_us, of.to_us)
        found = _postgresql(connection, POSTGRESQL_ROLLUPS, (*given, *moments, of.satellite))
    return [(first + row[0], *row[1:]) for row in found]


def values_of(connection: Connection, of: Stretch, most: int | None) -> list[tuple[int, Value]]:
    """Return each time and value in order; None where the parameter came but could not be decoded."""
    if connection.dialect.name == "sqlite":
        given: tuple[Any, ...] = (json_path(of.parameter), of.satellite, of.from_us, of.to_us)
        rows = sqlite_cursor(connection).execute(sqlite_values(of.by), given)
        # A condition in the statement would take the JSON apart twice.
        found: Iterable[Row] = islice((row for row in rows if row[1] is not None), most)
    else:
        moments = _moments(connection, of.from_us, of.to_us)
        given = (of.parameter, of.satellite, *moments, of.parameter, most)
        found = _postgresql(connection, postgresql_values(of.by), given)
    return [(at_us, decode_json(text)) for at_us, text in found]


def json_path(parameter: str) -> str:
    """Return where SQLite finds the parameter; raises ValueError for what no definition calls one."""
    if '"' in parameter or "\\" in parameter:
        raise ValueError(f"parameter: found {parameter}, expected a name of letters, digits and _")
    return f'$."{parameter}"'


def _sqlite(connection: Connection, sql: str, given: Sequence[Any]) -> list[Row]:
    return sqlite_cursor(connection).execute(sql, given).fetchall()


def _postgresql(connection: Connection, sql: str, given: tuple[Any, ...]) -> list[Row]:
    return [tuple(row) for row in connection.exec_driver_sql(sql, given)]


def _moments(connection: Connection, *times_us: int) -> list[Any]:
    return [Time().process_bind_param(time_us, connection.dialect) for time_us in times_us]


SQLITE_HOURS = f"""
SELECT name, generated_at - (generated_at - ?) % {HOUR_US} AS hour, {SUMS} FROM (
    SELECT item.key AS name, packet.generated_at AS generated_at, CAST(item.atom AS REAL) AS value
    FROM packet, json_each(packet.parameters) AS item
    WHERE packet.satellite = ? AND packet.generated_at >= ? AND packet.generated_at < ? AND item.type IN {NUMBERS})
GROUP BY 1, 2"""  # noqa: S608  (our own constants, here and below)


@cache
def sqlite_buckets(by: By) -> str:
    # Materialized, for else the JSON is taken apart again at each mention of the value.
    return f"""
WITH given AS MATERIALIZED (
    SELECT {by} AS at, json_extract(parameters, ?) AS value FROM packet
    WHERE satellite = ? AND {by} >= ? AND {by} < ?)
SELECT (at - ?) / ? AS bucket, {SUMS} FROM (
    SELECT at, CAST(value AS REAL) AS value FROM given WHERE typeof(value) IN ('integer', 'real'))
GROUP BY 1 ORDER BY 1"""  # noqa: S608


@cache
def sqlite_values(by: By) -> str:
    return f"""
SELECT {by}, parameters -> ? FROM packet
WHERE satellite = ? AND {by} >= ? AND {by} < ? ORDER BY {by}, stored_at"""  # noqa: S608


def rollups(hour_us: str, mark: str) -> str:
    return f"""
SELECT ({hour_us} - {mark}) / {mark} AS bucket, min(min), max(max), sum(mean * {SCALE!r} * n) / sum(n) / {SCALE!r},
    CAST(sum(n) AS BIGINT)
FROM rollup_1h WHERE satellite = {mark} AND parameter = {mark} AND hour >= {mark} AND hour < {mark}
    AND hour NOT IN (SELECT hour FROM rollup_dirty WHERE satellite = {mark})
GROUP BY 1 ORDER BY 1"""  # noqa: S608


SQLITE_ROLLUPS = rollups("hour", "?")


def microseconds(column: str) -> str:
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


def number(item: str) -> str:
    """Return PostgreSQL's words for a JSON value as a number, true and false as 1 and 0, others as NULL."""
    text = f"({item} #>> '{{}}')"
    truth = f"{text}::boolean::int::float8"
    return f"CASE jsonb_typeof({item}) WHEN 'number' THEN {text}::float8 WHEN 'boolean' THEN {truth} END"


POSTGRESQL_HOURS = f"""
SELECT name, {microseconds("hour")}, {SUMS} FROM (
    SELECT item.key AS name, date_trunc('hour', packet.generated_at) AS hour, {number("item.value")} AS value
    FROM packet, jsonb_each(packet.parameters) AS item
    WHERE packet.satellite = %s AND packet.generated_at >= %s AND packet.generated_at < %s) AS given
WHERE value IS NOT NULL GROUP BY name, hour"""  # noqa: S608


POSTGRESQL_ROLLUPS = rollups(microseconds("hour"), "%s")


@cache
def postgresql_buckets(by: By) -> str:
    return f"""
SELECT ({microseconds(by)} - %s) / %s AS bucket, {SUMS} FROM (
    SELECT {by}, {number("item")} AS value FROM (
        SELECT {by}, parameters -> %s::text AS item FROM packet
        WHERE satellite = %s AND {by} >= %s AND {by} < %s) AS chosen) AS given
WHERE value IS NOT NULL GROUP BY bucket ORDER BY bucket"""  # noqa: S608


@cache
def postgresql_values(by: By) -> str:
    return f"""
SELECT {microseconds(by)}, (parameters -> %s::text)::text FROM packet
WHERE satellite = %s AND {by} >= %s AND {by} < %s AND parameters ? %s::text
ORDER BY {by}, stored_at LIMIT %s"""  # noqa: S608
