"""What is in quarantine: found by reason, by satellite and by number, and let go once it decodes."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, func, select

from groundstation.archive.batch import Batch, write_batch
from groundstation.archive.queries import Quarantined, quarantined
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
    return quarantined(connection, quarantine.c.id > after, *wanted.conditions(), most=most)


def held_back_count(connection: Connection, wanted: Wanted) -> tuple[int, int]:
    """Return how many different messages there are, and how often they came in all."""
    c = quarantine.c
    found = connection.execute(select(func.count(), func.sum(c.times)).where(*wanted.conditions())).one()
    return int(found[0]), int(found[1] or 0)


def held_back_one(connection: Connection, number: int) -> Quarantined | None:
    return next(iter(quarantined(connection, quarantine.c.id == number)), None)


def release(connection: Connection, decoded: Sequence[tuple[int, Packet]], now_us: int) -> list[Fate]:
    """Store the packets and let the numbers that they had in quarantine go, all in the caller's transaction.

    A packet that the database refuses stays in quarantine. Each packet's fate is returned in order.
    """
    batch = Batch([packet for _, packet in decoded], [], now_us)
    write_batch(connection, batch, (), careful=True, keep_refusals=False)
    gone = [number for (number, _), fate in zip(decoded, batch.fates, strict=True) if fate is not Fate.QUARANTINED]
    connection.execute(delete(quarantine).where(quarantine.c.id.in_(gone)))
    return batch.fates
