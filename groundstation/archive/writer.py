"""The one thread that writes: a batch in, one transaction, each packet's fate out."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Concatenate, ParamSpec, Self, TypeVar

from sqlalchemy import Connection

from groundstation.archive.batch import Batch, write_batch
from groundstation.archive.caller import CallThread
from groundstation.archive.contacts import keep_plans
from groundstation.archive.engine import (
    FAILURES,
    ArchiveUnavailableError,
    FileIdentity,
    begin_on_driver,
    is_data_error,
    open_engine,
    sqlite_cursor,
    tell_of_old_sqlite,
    told_of,
)
from groundstation.archive.predictions import keep_passes
from groundstation.archive.provenance import keep_definitions, keep_elements
from groundstation.archive.rows import Row
from groundstation.orbit.contacts import Plan
from groundstation.orbit.elements import Elements
from groundstation.telemetry.definition import Definition
from groundstation.telemetry.packet import Fate, Packet, Rejection

if TYPE_CHECKING:  # Skyfield takes half a second to import, and only annotations need it here
    from groundstation.orbit.passes import Pass

__all__ = ["ArchiveUnavailableError", "Writer"]

P = ParamSpec("P")
T = TypeVar("T")
Begin = Callable[[Connection], AbstractContextManager[object]]

STUCK_S = 30.0  # a write that takes longer is no longer "up", though it may still succeed


class Writer:
    """The archive's only writing connection and the thread that owns it; it connects when it is first needed.

    After any failure the connection is dropped and the next call makes a new one, so that recovery needs no hand.
    The counters are written by the thread and may be read at any time.

    With `rolls_up` whoever sums up hours of a SQLite archive asks this writer to `mark_anew` first: until then an hour
    that it has marked gets no second mark, two pages less in most transactions. A server has writers elsewhere.
    """

    def __init__(self, url: str, password_file: Path | None = None, *, rolls_up: bool = False) -> None:
        self._engine = open_engine(url, password_file)
        self._knows_marks = rolls_up and self._engine.dialect.name == "sqlite"
        self._marked: set[Row] = set()  # hours whose mark nobody has looked at
        self._written_by_others = 0  # what the file says of it; another number where somebody has since
        self._file = FileIdentity(self._engine.url)
        self._thread = CallThread("archive")
        self._connection: Connection | None = None
        self._doubtful: list[range] = []
        self._last_stored_at_us = 0
        self._began: float | None = None
        self._failed = False
        self.commits = 0
        self.errors = 0
        self.write_seconds = 0.0  # over all commits
        self.last_commit_at_us: int | None = None

    @property
    def up(self) -> bool:
        """Whether the last write succeeded and none is stuck."""
        began = self._began
        return not self._failed and (began is None or time.monotonic() - began < STUCK_S)

    async def __aenter__(self) -> Self:
        if self._engine.dialect.name == "sqlite":
            tell_of_old_sqlite()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Finish what was begun, then close: a write whose caller was cancelled still commits or fails whole."""
        try:
            await self._thread.call(self._disconnect)
        finally:
            self._thread.close()

    async def store(self, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Sequence[Fate]:
        """Commit everything in one transaction and return each packet's fate.

        A packet that the database refuses for itself goes to quarantine. Raises ArchiveUnavailableError where nothing
        was committed, or where the answer to the commit was lost: then the same call finds its own packets, and
        still returns STORED for them.
        """
        return await self._thread.call(lambda: self._store(packets, rejections))

    async def mark_anew(self) -> None:
        """From now on every hour that packets come to gets a mark, though it may have one."""
        await self._thread.call(self._marked.clear)

    async def save_definitions(self, definitions: Sequence[Definition]) -> None:
        """Keep each definition once, by its hash."""
        await self._thread.call(lambda: self._transact(lambda c: keep_definitions(c, definitions, now_us())))

    async def save_elements(self, elements: Sequence[Elements]) -> None:
        """Keep each element set once, under the name that it carries: our slug."""
        await self._thread.call(lambda: self._transact(lambda c: keep_elements(c, elements, now_us())))

    async def save_passes(
        self, passes: Sequence["Pass"], window: tuple[datetime, datetime] | None = None
    ) -> Sequence[int]:
        """Keep the passes and return their numbers in order: the old ones where they were known before.

        With `window`, `passes` are all that culminate in it, and known ones that are not among them and have not
        begun are forgotten.
        """
        return await self._thread.call(lambda: self._transact(lambda c: keep_passes(c, passes, now_us(), window)))

    async def save_plans(
        self, plans: Mapping[str, Plan], pass_numbers: Mapping["Pass", int], now: datetime
    ) -> dict[str, list[int]]:
        """Keep each station's plan and return its contacts' numbers in order: the old ones where they were known."""
        return await self._thread.call(lambda: self._transact(lambda c: keep_plans(c, plans, pass_numbers, now)))

    async def commit(self, work: Callable[Concatenate[Connection, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what `work` did with the writing connection, once it is committed; raises ArchiveUnavailableError."""
        return await self._thread.call(lambda: self._transact(lambda c: work(c, *args, **kwargs)))

    def _store(self, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Sequence[Fate]:
        batch = Batch(packets, rejections, self._next_stored_at_us(len(packets) + len(rejections)))
        # What has to be recognised is asked through SQLAlchemy, which then begins the transaction itself.
        begin = Connection.begin if self._doubtful else begin_on_driver
        try:
            self._transact(lambda connection: self._write(connection, batch, careful=False), begin)
        except FAILURES as error:
            if not is_data_error(error):
                raise
            self._transact(lambda connection: self._write(connection, batch, careful=True))
        self._doubtful.clear()
        if self._knows_marks:
            self._marked.update(batch.marks)
        return batch.fates

    def _next_stored_at_us(self, rows: int) -> int:
        first = max(now_us(), self._last_stored_at_us + 1)
        self._last_stored_at_us = first + rows
        return first

    def _write(self, connection: Connection, batch: Batch, *, careful: bool) -> None:
        if self._knows_marks:
            self._doubt_marks(connection)
        write_batch(connection, batch, self._doubtful, careful=careful, marked=self._marked)
        self._doubtful.append(batch.span())  # from here on a failure may be a success that nobody heard of

    def _doubt_marks(self, connection: Connection) -> None:
        """Mark anew where another connection has written: another daemon, by mistake, or a hand, may take marks off."""
        (number,) = sqlite_cursor(connection).execute("PRAGMA data_version").fetchone()
        if number != self._written_by_others:
            self._written_by_others = number
            self._marked.clear()

    def _transact(self, work: Callable[[Connection], T], begin: Begin = Connection.begin) -> T:
        """Return what `work` returns once it is committed.

        Raises ArchiveUnavailableError, or the driver's own error where the database refuses the data.
        """
        self._began = began = time.monotonic()
        try:
            connection = self._connected()
            with begin(connection):
                result = work(connection)
            self._file.check()
        except FAILURES as error:
            self._disconnect()
            if is_data_error(error):
                raise
            self._failed = True
            self.errors += 1
            raise ArchiveUnavailableError(told_of(self._engine.url, error)) from error
        finally:
            self._began = None
        self._failed = False
        self.commits += 1
        self.write_seconds += time.monotonic() - began
        self.last_commit_at_us = now_us()
        return result

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._engine.connect()
            self._file.remember()
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        self._marked.clear()  # the next may lead to another file
        if connection is not None:
            connection.invalidate()  # closes the driver's connection whatever state it is in
            connection.close()


def now_us() -> int:
    return time.time_ns() // 1000
