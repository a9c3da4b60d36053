"""One batch in one transaction: which packets are new, who else heard them, what the database refuses."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, select, tuple_

from groundstation.archive import statements
from groundstation.archive.engine import FAILURES, is_data_error, one_line
from groundstation.archive.rows import (
    STORED_AT,
    Key,
    Row,
    RowError,
    dirty_rows,
    key_of,
    latest_packet_rows,
    latest_parameter_rows,
    packet_row,
    quarantine_rows,
    reception_row,
    refused,
)
from groundstation.archive.tables import packet as packet_table
from groundstation.telemetry.packet import Fate, Packet, Rejection


@dataclass(slots=True)
class Batch:
    """Packets and rejections on their way in; `fates`, `refusals` and `marks` fill while they are written."""

    packets: Sequence[Packet]
    rejections: Sequence[Rejection]
    stored_at_us: int  # of the first row; each next one a microsecond more
    fates: list[Fate] = field(default_factory=list)
    refusals: list[Rejection] = field(default_factory=list)
    marks: list[Row] = field(default_factory=list)  # hours that it has marked

    def span(self) -> range:
        return range(self.stored_at_us, self.stored_at_us + max(len(self.packets), 1))


def write_batch(
    connection: Connection,
    batch: Batch,
    doubtful: Sequence[range],
    *,
    careful: bool,
    keep_refusals: bool = True,
    marked: Collection[Row] = (),
) -> None:
    """Write all of `batch` in the caller's transaction.

    Where not `careful`, a packet that the database refuses raises the driver's error for the whole batch; where
    careful, it is found by halving and goes to quarantine. `doubtful` are spans of `stored_at` whose commit may have
    succeeded unheard: a packet that is there from such a span is new and no duplicate. Without `keep_refusals` what is
    refused is only told, since it is in quarantine already. `marked` are hours that need no further mark.
    """
    batch.fates = [Fate.QUARANTINED] * len(batch.packets)
    batch.refusals = []
    ready = _prepare(batch)
    if careful:
        _write_by_halves(connection, batch, ready)
    else:
        _write(connection, batch, ready)
    # Once for all and in order of arrival: of two packets with equal times the first to come is the latest.
    stored = sorted(one for one in ready if batch.fates[one[0]] is not Fate.QUARANTINED)
    kept = [(batch.packets[place], row) for place, row in stored]
    statements.insert(connection, statements.LATEST_PACKET, latest_packet_rows(kept))
    statements.insert(connection, statements.LATEST_PARAMETER, latest_parameter_rows(kept))
    new = [one for one, fate in zip(batch.packets, batch.fates, strict=True) if fate is Fate.STORED]
    batch.marks = [mark for mark in dirty_rows(new) if mark not in marked]
    statements.insert(connection, statements.DIRTY, batch.marks)
    if doubtful:
        _recognise(connection, batch, doubtful)
    if held := [*batch.rejections, *(batch.refusals if keep_refusals else ())]:
        statements.insert(connection, statements.QUARANTINE, quarantine_rows(held, batch.stored_at_us))


def _prepare(batch: Batch) -> list[tuple[int, Row]]:
    """Return the rows with their places, in the order of the key.

    Two daemons that insert the same packets in the same order wait for each other; in different orders they deadlock.
    """
    ready = []
    for place, packet in enumerate(batch.packets):
        try:
            ready.append((place, packet_row(packet, batch.stored_at_us + place)))
        except (RowError, UnicodeEncodeError, OverflowError) as error:
            _refuse(batch, place, str(error))
    ready.sort(key=lambda one: one[1][:3])
    return ready


def _refuse(batch: Batch, place: int, error: str) -> None:
    batch.refusals.append(refused(batch.packets[place], error, batch.stored_at_us))


def _write_by_halves(connection: Connection, batch: Batch, ready: list[tuple[int, Row]]) -> None:
    try:
        with connection.begin_nested():
            _write(connection, batch, ready)
    except FAILURES as error:
        if not is_data_error(error):
            raise
        if len(ready) == 1:
            _refuse(batch, ready[0][0], one_line(error))
            return
        middle = len(ready) // 2
        _write_by_halves(connection, batch, ready[:middle])
        _write_by_halves(connection, batch, ready[middle:])


def _write(connection: Connection, batch: Batch, ready: list[tuple[int, Row]]) -> None:
    new = statements.insert_packets(connection, [row for _, row in ready])
    receptions = []
    for place, row in ready:
        if row[STORED_AT] in new:
            batch.fates[place] = Fate.STORED
        else:
            batch.fates[place] = Fate.DUPLICATE
            receptions.append(reception_row(batch.packets[place], row[STORED_AT]))
    statements.insert(connection, statements.RECEPTION, receptions)


def _recognise(connection: Connection, batch: Batch, doubtful: Sequence[range]) -> None:
    """Turn duplicates into stored where an earlier attempt at this batch had stored them."""
    places: dict[Key, int] = {}
    for place, (packet, fate) in enumerate(zip(batch.packets, batch.fates, strict=True)):
        if fate is Fate.DUPLICATE:
            places.setdefault(key_of(packet), place)
    c = packet_table.c
    key = (c.satellite, c.generated_at, c.digest)
    found = connection.execute(select(*key, c.stored_at).where(tuple_(*key).in_(list(places))))
    for satellite, generated_at_us, digest, stored_at_us in found:
        if any(stored_at_us in span for span in doubtful):
            batch.fates[places[satellite, generated_at_us, digest]] = Fate.STORED
