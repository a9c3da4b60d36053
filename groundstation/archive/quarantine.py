"""What is in quarantine: found by reason, by satellite and by number, and let go once it decodes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select

from groundstation.archive.batch import Batch, write_batch
from groundstation.archive.queries import Quarantined
from groundstation.archive.tables import quarantine
from groundstation.telemetry.packet import Fate, Packet, Reason


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which of the quarantine is meant; all of it where nothing is said."""

    reason: Reason | None = None
    satellite: str | None = None  # as the topic names it

    def conditions(self) -> list[ColumnElement[bool]]:
        c = quarantine.c
        found: list[ColumnElement[bool]] = []
        if self.reason is not None:
            found.append(c.reason == str(self.reason))
        if self.satellite is not None:
            found.append(c.topic.endswith(f"/{self.satellite}/telemetry", autoescape=True))
        return found


def held_back(connection: Connection, wanted: Wanted, *, after: int = 0, most: int = 100) -> list[Quarantined]:
    """Return what is wanted in order of number, from beyond number `after`: a page at a time."""
    c = quarantine.c
    query = select(quarantine).where(c.id > after, *wanted.conditions()).order_by(c.id).limit(most)
    return [_quarantined(row) for row in connection.execute(query)]


def held_back_count(connection: Connection, wanted: Wanted) -> int:
    return int(connection.scalar(select(func.count()).select_from(quarantine).where(*wanted.conditions())) or 0)


def held_back_one(connection: Connection, number: int) -> Quarantined | None:
    row = connection.execute(select(quarantine).where(quarantine.c.id == number)).first()
    return None if row is None else _quarantined(row)


def _quarantined(row: Row[Any]) -> Quarantined:
    return Quarantined(
        id=row.id,
        link=row.link,
        topic=row.topic,
        payload=bytes(row.payload),
        payload_bytes=row.payload_bytes,
        arrived_at_us=row.arrived_at,
        stored_at_us=row.stored_at,
        reason=row.reason,
        error=row.error,
    )


def release(connection: Connection, decoded: Sequence[tuple[int, Packet]], now_us: int) -> list[Fate]:
    """Store the packets and let the numbers that they had in quarantine go, all in the caller's transaction.

    A packet that the database refuses stays in quarantine. Each packet's fate is returned in order.
    """
    batch = Batch([packet for _, packet in decoded], [], now_us)
    write_batch(connection, batch, (), careful=True, keep_refusals=False)
    gone = [number for (number, _), fate in zip(decoded, batch.fates, strict=True) if fate is not Fate.QUARANTINED]
    connection.execute(delete(quarantine).where(quarantine.c.id.in_(gone)))
    return batch.fates
