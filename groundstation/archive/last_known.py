"""What the archive knows of each satellite's present, so that a restart forgets neither values nor levels."""

from collections.abc import Iterable
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from groundstation.archive import tables
from groundstation.archive.queries import LatestValue, latest


@dataclass(frozen=True, slots=True)
class LastKnown:
    """Where a satellite stood: when a packet of it last reached an antenna, and its newest realtime values."""

    received_at_us: int | None
    values: tuple[LatestValue, ...]


def last_known(connection: Connection, satellites: Iterable[str]) -> dict[str, LastKnown]:
    """Return what is known of each satellite; the index answers, however many packets there are."""
    c = tables.packet.c
    return {
        satellite: LastKnown(
            received_at_us=connection.scalar(select(func.max(c.received_at)).where(c.satellite == satellite)),
            values=tuple(latest(connection, satellite)),
        )
        for satellite in satellites
    }
