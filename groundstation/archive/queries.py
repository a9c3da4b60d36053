"""What can be asked of the archive: functions of a connection that can only read.

async with Reader(url) as reader:
    newest = await reader.ask(latest, "horyu-4")
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Concatenate, Literal, ParamSpec, Self, TypeVar

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, func, literal, select, tuple_

from groundstation.archive import tables
from groundstation.archive.columns import Time
from groundstation.archive.engine import FAILURES, ArchiveUnavailableError, is_shape_error, open_engine, told_of
from groundstation.archive.rows import HOUR_US
from groundstation.telemetry.packet import Level, Packet, Value

P = ParamSpec("P")
T = TypeVar("T")
KEYS_MOST = 1000  # in one question; SQLite takes 32766 values
KEPT = 2  # idle connections: signing in to PostgreSQL takes longer than most answers
By = Literal["generated_at", "received_at"]


class Reader:
    """A way to ask the archive that cannot change it, nor keep the writer waiting.

    Inside `async with` it keeps connections for the next question; else each question makes its own.
    """

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        self.url = url
        self._place = (url, password_file)
        self._engine = open_engine(url, password_file, read_only=True)

    async def __aenter__(self) -> Self:
        self._engine = open_engine(*self._place, read_only=True, keep=KEPT)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._engine.dispose()

    async def ask(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `query` finds; raises ArchiveUnavailableError."""
        return await asyncio.to_thread(lambda: self.ask_now(query, *args, **kwargs))

    def ask_now(self, query: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `query` finds, for callers without an event loop."""
        try:
            with self._engine.connect() as connection, connection.begin():
                return query(connection, *args, **kwargs)
        except FAILURES as error:
            other = self._other_revision() if is_shape_error(error) else None
            raise ArchiveUnavailableError(
                f"{self._engine.url}: {other}" if other else told_of(self._engine.url, error)
            ) from error

    def _other_revision(self) -> str | None:
        """Return what to do about an archive that another version made; None where it is this one's."""
        # Alembic takes a quarter of a second, which `passes` must not wait for.
        from groundstation.archive.migrate import newest_revision, revision_of

        try:
            with self._engine.connect() as connection:
                found, expected = revision_of(connection), newest_revision()
        except FAILURES:
            return None
        if found == expected:
            return None
        hint = "`groundstation db upgrade` makes it so, where it is older"
        return f"found an archive of revision {found or 'none'}, expected {expected}: {hint}"


@dataclass(frozen=True, slots=True)
class LatestValue:
    parameter: str
    packet: str
    generated_at_us: int
    received_at_us: int
    station: str
    value: Value
    level: Level


@dataclass(frozen=True, slots=True)
class Quarantined:
    id: int
    link: str
    topic: str
    payload: bytes
    payload_bytes: int  # as it came; more than len(payload) where it was too long to keep whole
    arrived_at_us: int  # the first time
    last_arrived_at_us: int
    times: int  # how often it came within an hour
    stored_at_us: int
    reason: str
    error: str


@dataclass(frozen=True, slots=True)
class Heard:
    """One station's hearing of a frame: what an envelope is made of, and what the packet was decoded with."""

    satellite: str
    station: str
    link: str
    kind: str
    received_at_us: int
    stored_at_us: int
    reception: dict[str, Value]  # the envelope's `link` map
    frame: bytes
    definition_hash: str


def latest(connection: Connection, satellite: str) -> list[LatestValue]:
    """Return the newest value of each parameter, by name."""
    c = tables.latest.c
    found = connection.execute(
        select(c.parameter, c.packet, c.generated_at, c.received_at, c.station, c.value, c.level)
        .where(c.satellite == satellite)
        .order_by(c.parameter)
    )
    return [LatestValue(*row[:6], level=Level[row.level.upper()]) for row in found]


def packets(
    connection: Connection,
    satellite: str,
    from_us: int,
    to_us: int,
    *,
    by: By = "generated_at",
    station: str | None = None,
    name: str | None = None,
    most: int | None = None,
) -> list[Packet]:
    """Return the packets from `from_us` to before `to_us`, ordered by that time and then as they came.

    `station` is the first that heard a packet; `most` bounds how many are returned.
    """
    c = tables.packet.c
    moment = c[by]
    query = select(tables.packet).where(c.satellite == satellite, moment >= from_us, moment < to_us)
    if station is not None:
        query = query.where(c.station == station)
    if name is not None:
        query = query.where(c.name == name)
    found = connection.execute(query.order_by(moment, c.stored_at).limit(most))
    return [_packet(row) for row in found]


def packet_page(
    connection: Connection,
    satellite: str,
    from_us: int,
    to_us: int,
    *,
    by: By,
    beyond: Packet | None,
    most: int,
) -> list[Packet]:
    """Return the next `most` packets beyond that one, ordered by time and then by digest, as the index has them.

    Packets that come in between two pages move nothing.
    """
    c = tables.packet.c
    moment = c[by]
    begin: ColumnElement[bool] = moment >= from_us
    if beyond is not None:  # the one bound below: beside another SQLite would begin each page at `from_us` again
        last_us = beyond.generated_at_us if by == "generated_at" else beyond.received_at_us
        begin = tuple_(moment, c.digest) > tuple_(literal(last_us, Time()), beyond.digest)
    query = select(tables.packet).where(c.satellite == satellite, begin, moment < to_us)
    found = connection.execute(query.order_by(moment, c.digest).limit(most))
    return [_packet(row) for row in found]


def _packet(row: Row[Any]) -> Packet:
    return Packet(
        link=row.link,
        satellite=row.satellite,
        station=row.station,
        packet=row.name,
        kind=row.kind,
        sequence=row.sequence,
        generated_at_us=row.generated_at,
        received_at_us=row.received_at,
        digest=row.digest,
        definition_hash=row.definition_hash,
        frame=bytes(row.frame),
        values=row.parameters,
        levels={parameter: Level[level.upper()] for parameter, level in (row.levels or {}).items()},
        faults=tuple(row.faults or ()),
        reception=row.link_quality or {},
    )


def newest_us(connection: Connection, satellite: str, by: By) -> int | None:
    """Return when the satellite's newest packet was generated or received; None where there is none."""
    c = tables.packet.c
    newest: int | None = connection.scalar(select(func.max(c[by])).where(c.satellite == satellite))
    return newest


def stored_counts(connection: Connection) -> dict[str, int]:
    """Count the packets of each satellite: reads a whole index, so not for each scrape."""
    c = tables.packet.c
    return _counts(connection, select(c.satellite, func.count()).group_by(c.satellite))


def _counts(connection: Connection, query: Select[Any]) -> dict[str, int]:
    return {row[0]: row[1] for row in connection.execute(query)}


def reception_counts(connection: Connection) -> dict[tuple[str, str], int]:
    """Count the hearings by satellite and station, those after a packet's first station among them."""
    first, further = tables.packet.c, tables.reception.c
    hearings = select(first.satellite, first.station).union_all(select(further.satellite, further.station)).subquery()
    query = select(hearings.c.satellite, hearings.c.station, func.count()).group_by(*hearings.c)
    return {(satellite, station): count for satellite, station, count in connection.execute(query)}


def quarantined(connection: Connection, *wanted: ColumnElement[bool], most: int | None = None) -> list[Quarantined]:
    """Return what is in quarantine and fulfils the conditions, in order of number."""
    c = tables.quarantine.c
    query = select(
        c.id, c.link, c.topic, c.payload, c.payload_bytes, c.arrived_at, c.last_arrived_at, c.times, c.stored_at,
        c.reason, c.error,
    ).where(*wanted).order_by(c.id).limit(most)  # fmt: skip
    return [Quarantined(row.id, row.link, row.topic, bytes(row.payload), *row[4:]) for row in connection.execute(query)]


def heard(connection: Connection, satellite: str, station: str, from_us: int, to_us: int) -> list[Heard | Quarantined]:
    """Return everything the station heard from the satellite from `from_us` to before `to_us`, in order of arrival.

    Packets by the time they were received, and what went to quarantine from the station's topic by the time it
    arrived here. A redelivery is one hearing.
    """
    frames = _frames(connection, satellite, station, from_us, to_us)
    rejected = _rejected(connection, satellite, station, from_us, to_us)
    return sorted((*frames, *rejected), key=lambda one: (_moment_us(one), one.stored_at_us))


def decoded_otherwise(connection: Connection, packets: Sequence[Packet]) -> dict[str, int]:
    """Count by definition hash those of `packets` that the archive keeps as another definition decoded them."""
    c, found = tables.packet.c, dict[str, int]()
    hashes = {(one.satellite, one.generated_at_us, one.digest): one.definition_hash for one in packets}
    keys, key = list(hashes), (c.satellite, c.generated_at, c.digest)
    for start in range(0, len(keys), KEYS_MOST):
        some = tuple_(*key).in_(keys[start : start + KEYS_MOST])
        for satellite, generated_at_us, digest, kept in connection.execute(select(*key, c.definition_hash).where(some)):
            if kept != hashes[satellite, generated_at_us, digest]:
                found[kept] = found.get(kept, 0) + 1
    return found


def _moment_us(one: Heard | Quarantined) -> int:
    return one.received_at_us if isinstance(one, Heard) else one.arrived_at_us


def _frames(connection: Connection, satellite: str, station: str, from_us: int, to_us: int) -> Iterator[Heard]:
    first, further = tables.packet, tables.reception
    same = and_(*(first.c[name] == further.c[name] for name in ("satellite", "generated_at", "digest")))
    for hearing, source in ((first, first), (further, further.join(first, same))):
        c = hearing.c
        query = (
            select(
                c.satellite,
                c.station,
                c.link,
                c.kind,
                c.received_at,
                c.stored_at,
                c.link_quality,
                first.c.frame,
                first.c.definition_hash,
            )
            .select_from(source)
            .where(c.satellite == satellite, c.station == station, c.received_at >= from_us, c.received_at < to_us)
        )
        for row in connection.execute(query):
            yield Heard(*row[:6], row.link_quality or {}, bytes(row.frame), row.definition_hash)


def _rejected(connection: Connection, satellite: str, station: str, from_us: int, to_us: int) -> list[Quarantined]:
    """Return what came then, equal messages of an hour once: at the first of their times that is known and then."""
    c = tables.quarantine.c
    topic = c.topic.endswith(f"/{station}/{satellite}/telemetry", autoescape=True)
    within = (c.arrived_at >= from_us - HOUR_US, c.arrived_at < to_us)  # an index has the first time alone
    found = quarantined(connection, topic, *within)
    times = [one.arrived_at_us if one.arrived_at_us >= from_us else one.last_arrived_at_us for one in found]
    return [replace(one, arrived_at_us=at) for one, at in zip(found, times, strict=True) if from_us <= at < to_us]
