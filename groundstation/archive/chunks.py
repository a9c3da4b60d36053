"""Many packets' values, some thousand packets at a time, which come as one row of JSON arrays: times, digests, values.

Row by row the driver would give the interpreter away before each and wait for it again: beside a busy thread the 3,835
values of a week took 40 to 200 ms, and take 20 to 40 in arrays; in an idle process 11 and 8.

A chunk begins behind the last packet of the one before, by time and digest, so that packets which come in between move
nothing. The two engines name the parts of a JSON value differently, and are asked in their own words.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection

from groundstation.archive.columns import Time
from groundstation.archive.engine import sqlite_cursor
from groundstation.archive.queries import By
from groundstation.telemetry.packet import Value

MOST = 5000  # packets in a chunk of one parameter's values
FIRST_DIGEST, LAST_DIGEST = -(1 << 63), (1 << 63) - 1
MISSING: list[Value] = []  # stands for what a packet of another kind does not have; no value is a list

decode_integers: Callable[[str], list[int]] = msgspec.json.Decoder(list[int]).decode
decode_items: Callable[[str], list[Any]] = msgspec.json.Decoder(list[Any]).decode


@dataclass(frozen=True, slots=True)
class Stretch:
    """One parameter from `from_us` to before `to_us`, by generation or by reception time."""

    satellite: str
    parameter: str
    from_us: int
    to_us: int
    by: By = "generated_at"


class Begin(NamedTuple):
    """Where a chunk begins: at the first packet of this time whose digest is not less."""

    at_us: int
    digest: int = FIRST_DIGEST


class Chunk(NamedTuple):
    times_us: list[int]
    items: list[Any]
    following: Begin | None  # where the next one begins; None where this is the last


def values_of(connection: Connection, of: Stretch, most: int = MOST) -> Iterator[tuple[list[int], list[Value]]]:
    """Yield times and values in order, of equal times by digest; None where a value could not be decoded.

    Up to `most` packets at a time. Raises ValueError for what no definition calls a parameter.
    """
    sql, name = SQLITE_VALUES[of.by], json_path(of.parameter)
    if connection.dialect.name != "sqlite":
        sql, name = POSTGRESQL_VALUES[of.by], of.parameter
    given = {"satellite": of.satellite, "to_us": of.to_us, "most": most, "parameter": name}
    begin: Begin | None = Begin(of.from_us)
    while begin is not None:
        times_us, values, begin = _chunk(connection, sql, given, begin)
        if MISSING in values:
            there = [place for place, value in enumerate(values) if value != MISSING]
            times_us, values = [times_us[place] for place in there], [values[place] for place in there]
        yield times_us, values


def packets_of(connection: Connection, satellite: str, begin: Begin, to_us: int, most: int) -> Chunk:
    """Return all values by name of up to `most` packets by generation time."""
    sql = SQLITE_PACKETS if connection.dialect.name == "sqlite" else POSTGRESQL_PACKETS
    return _chunk(connection, sql, {"satellite": satellite, "to_us": to_us, "most": most}, begin)


def json_path(parameter: str) -> str:
    """Return where SQLite finds the parameter; raises ValueError for what no definition calls one."""
    if '"' in parameter or "\\" in parameter:
        raise ValueError(f"parameter: found {parameter}, expected a name of letters, digits and _")
    return f'$."{parameter}"'


def _chunk(connection: Connection, sql: str, chosen: dict[str, Any], begin: Begin) -> Chunk:
    given = chosen | begin._asdict()
    if connection.dialect.name == "sqlite":
        row = sqlite_cursor(connection).execute(sql, given).fetchone()
    else:
        times = {name: Time().process_bind_param(given[name], connection.dialect) for name in ("at_us", "to_us")}
        row = connection.exec_driver_sql(sql, given | times).one()
    if row[0] is None:
        return Chunk([], [], None)
    times_us, digests, items = decode_integers(row[0]), decode_integers(row[1]), decode_items(row[2])
    return Chunk(times_us, items, _behind(times_us[-1], digests[-1]) if len(items) == chosen["most"] else None)


def _behind(at_us: int, digest: int) -> Begin:
    return Begin(at_us, digest + 1) if digest < LAST_DIGEST else Begin(at_us + 1)


def sqlite_chunk(at: str, item: str) -> str:
    return f"""
SELECT '[' || group_concat(at) || ']', '[' || group_concat(digest) || ']', '[' || group_concat(item) || ']' FROM (
    SELECT {at} AS at, digest, {item} AS item FROM packet
    WHERE satellite = :satellite AND {at} < :to_us AND ({at}, digest) >= (:at_us, :digest)
    ORDER BY {at}, digest LIMIT :most)"""  # noqa: S608  (our own names, here and below)


def postgresql_chunk(at: str, item: str) -> str:
    return f"""
SELECT '[' || string_agg(at::text, ',') || ']', '[' || string_agg(digest::text, ',') || ']',
    '[' || string_agg(item, ',') || ']' FROM (
    SELECT {microseconds(at)} AS at, digest, {item} AS item FROM packet
    WHERE satellite = %(satellite)s AND {at} < %(to_us)s AND ({at}, digest) >= (%(at_us)s, %(digest)s)
    ORDER BY packet.{at}, digest LIMIT %(most)s) AS chunk"""  # noqa: S608


def microseconds(column: str) -> str:
    """Return PostgreSQL's words for a time as the integer that it is in Python."""
    return f"(extract(epoch FROM {column}) * 1000000)::bigint"


BYS: tuple[By, ...] = ("generated_at", "received_at")
SQLITE_ITEM = f"coalesce(parameters -> :parameter, '{MISSING}')"
SQLITE_VALUES = {by: sqlite_chunk(by, SQLITE_ITEM) for by in BYS}
SQLITE_PACKETS = sqlite_chunk("generated_at", "parameters")
POSTGRESQL_ITEM = f"coalesce((parameters -> %(parameter)s::text)::text, '{MISSING}')"
POSTGRESQL_VALUES = {by: postgresql_chunk(by, POSTGRESQL_ITEM) for by in BYS}
POSTGRESQL_PACKETS = postgresql_chunk("generated_at", "parameters::text")
