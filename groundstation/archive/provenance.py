"""Which elements and which definition served: each one ever used is kept once and for good."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy import Connection, Table, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from groundstation.archive.tables import definition, elements
from groundstation.orbit.elements import Elements
from groundstation.telemetry.definition import Definition, DefinitionError
from groundstation.telemetry.moments import microseconds


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
    insert_new(connection, definition, rows)


def definition_kept(connection: Connection, content_hash: str) -> Definition | None:
    """Return the definition with that hash as it was in force, None where it was never kept.

    Raises DefinitionError for one that this version cannot read.
    """
    found = connection.scalar(select(definition.c.content).where(definition.c.hash == content_hash))
    try:
        return None if found is None else msgspec.convert(found, Definition, str_keys=True)
    except msgspec.ValidationError as error:
        raise DefinitionError(f"definition {content_hash} of the archive: {error}") from error


def keep_elements(connection: Connection, given: Iterable[Elements], now_us: int) -> None:
    """Keep each set under the satellite's name, our slug; the same set from another source is the same set."""
    insert_new(connection, elements, [elements_row(one, now_us) for one in given])


def elements_row(one: Elements, now_us: int) -> dict[str, Any]:
    numbers = asdict(one)
    source = numbers.pop("source")
    numbers["epoch"] = one.epoch.isoformat()
    return {
        "satellite": one.name,
        "epoch": microseconds(one.epoch),
        "digest": digest_of(numbers),
        "norad_id": one.norad_id,
        "source": source,
        "admitted_at": now_us,
        "mean_elements": numbers,
    }


def digest_of(numbers: Mapping[str, Any]) -> int:
    digest = hashlib.blake2b(msgspec.json.encode(numbers, order="sorted"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def insert_new(connection: Connection, table: Table, rows: list[dict[str, Any]]) -> None:
    if rows:
        insert = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
        connection.execute(insert(table).on_conflict_do_nothing(), rows)


def elements_used(connection: Connection, satellite: str, norad_id: int, epoch_us: int) -> Elements | None:
    """Return the satellite's set of that epoch as it was kept; of corrected ones the last that was admitted."""
    c = elements.c
    found = connection.execute(
        select(c.mean_elements, c.source)
        .where(c.satellite == satellite, c.epoch == epoch_us, c.norad_id == norad_id)
        .order_by(c.admitted_at.desc())
        .limit(1)
    ).first()
    if found is None:
        return None
    numbers = found.mean_elements | {"epoch": datetime.fromisoformat(found.mean_elements["epoch"])}
    return Elements(**numbers, source=found.source)
