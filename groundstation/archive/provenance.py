"""Which elements and which definition served: each one ever used is kept once and for good."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import msgspec
from sqlalchemy import Connection, Table
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from groundstation.archive.columns import EPOCH, MICROSECOND
from groundstation.archive.tables import definition, elements
from groundstation.orbit.elements import Elements
from groundstation.telemetry.definition import Definition


def keep_definitions(connection: Connection, given: Iterable[Definition], now_us: int) -> None:
    rows = [
        {
            "hash": one.hash,
            "satellite": one.slug,
            "version": one.version,
            "first_used_at": now_us,
            "content": msgspec.to_builtins(one, str_keys=True),
        }
        for one in given
    ]
    _insert_new(connection, definition, rows)


def keep_elements(connection: Connection, given: Iterable[Elements], now_us: int) -> None:
    """Keep each set under the satellite's name, our slug; the same set from another source is the same set."""
    rows = []
    for one in given:
        numbers = asdict(one)
        source = numbers.pop("source")
        numbers["epoch"] = one.epoch.isoformat()
        digest = hashlib.blake2b(msgspec.json.encode(numbers, order="sorted"), digest_size=8).digest()
        rows.append(
            {
                "satellite": one.name,
                "epoch": (one.epoch - EPOCH) // MICROSECOND,
                "digest": int.from_bytes(digest, "big", signed=True),
                "norad_id": one.norad_id,
                "source": source,
                "admitted_at": now_us,
                "mean_elements": numbers,
            }
        )
    _insert_new(connection, elements, rows)


def _insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        connection.execute(insert(table).on_conflict_do_nothing(), rows)
