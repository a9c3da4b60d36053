"""What the archive needs beside its packets: hours rolled up soon, old rows forgotten, free space given back.

Each step is one short transaction of the writer, and between two of them the packets that came meanwhile have theirs.
All that takes a tenth of a core at most while there is much to do, as after a backlog. An hour that packets still come
to is summed up again after a while that grows with it, and sooner when none came since the last look: a few
ten-thousandths of a core while they come, a thousandth at most. Until then its packets answer what is asked about it.
"""

import asyncio
import logging
import math
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from groundstation.archive.queries import Reader
from groundstation.archive.retention import Rule, forget, free_some, rules_of, satellites_kept
from groundstation.archive.rollups import Hour, MarksGoneError, keep_rollups, marked_hours, sum_some, take_off
from groundstation.archive.settings import RetentionSettings
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.resting import rest

log = logging.getLogger(__name__)

ROLL_UP_EVERY_S = 30
FORGET_EVERY_S = 3600
HOURS = 20  # summed up together
ROWS = 500  # kept in one transaction: 3 ms
MARKS = 1000  # taken off in one transaction: 2 ms
SHARE = 0.1  # of a core, while there is something to do
REST_LEAST_S, REST_MOST_S = 0.01, 1.0
AGAIN_AFTER_S = 0.02  # for each packet in the hour; to sum one up takes 5 µs
QUIET_AFTER_S = 0.005  # where no packet came since the last look


class Upkeep:
    """Rolls up and forgets again and again; its counters may be read at any time."""

    def __init__(self, archive: Reader, retention: RetentionSettings) -> None:
        self._archive = archive
        self._retention = retention
        self.rolled_up_at_us: int | None = None  # when no hour was left that was due
        self.forgot_at_us: int | None = None  # when nothing was left that was too old
        self.forgotten: Counter[str] = Counter()  # rows by table
        self._forget_at = time.monotonic()
        # By satellite and hour: when it was summed up and of how many packets, and its newest mark at the last look.
        self._summed: dict[tuple[str, int], tuple[float, int]] = {}
        self._newest_marks: dict[tuple[str, int], int] = {}

    async def run(self, writer: Writer, leads: Callable[[], bool], beat: Callable[[], None]) -> None:
        """Work while `leads` says so, until cancelled. A database that is away is tried again."""
        while True:
            if leads():
                try:
                    async with self._archive:  # one connection for all, closed then: the file may be replaced
                        await self._keep_up(writer, beat)
                except ArchiveUnavailableError as error:
                    log.warning("the archive's upkeep waits: %s", error)
            await rest(ROLL_UP_EVERY_S, beat)

    async def _keep_up(self, writer: Writer, beat: Callable[[], None]) -> None:
        forgetting = time.monotonic() >= self._forget_at
        if forgetting:
            self._summed.clear()  # what is not rolled up is not forgotten
        await self.roll_up(writer, beat)
        if forgetting:
            await self.forget(writer, beat)
            self._forget_at = time.monotonic() + FORGET_EVERY_S

    async def roll_up(self, writer: Writer, beat: Callable[[], None] = lambda: None) -> None:
        """Roll up every hour that is due, the longest waiting first; raises ArchiveUnavailableError."""
        before, self._newest_marks = self._newest_marks, {}
        try:
            while due := await self._due_hours(writer, beat, before):
                for first in range(0, len(due), HOURS):
                    await self._roll_up(writer, due[first : first + HOURS], beat)
        except MarksGoneError:
            log.info("another daemon rolls up the same hours")
            return
        self.rolled_up_at_us = time.time_ns() // 1000

    async def _due_hours(
        self, writer: Writer, beat: Callable[[], None], before: Mapping[tuple[str, int], int]
    ) -> list[Hour]:
        """Return the marked hours that need not wait, and leave no more than one mark on any.

        `before` are the newest marks at the last look: where there is no newer one, nothing came meanwhile.

        On a server each transaction leaves some, a hundred thousand in an hour, and every question about hours looks
        at them.
        """
        while True:
            hours = await self._archive.ask(marked_hours)
            await writer.mark_anew()  # what is stored after this marks its hour, what was before is summed up
            spare = [mark for hour in hours for mark in hour.marks[:-1]]
            for first in range(0, len(spare), MARKS):
                async with sharing(beat):
                    await writer.commit(take_off, spare[first : first + MARKS])
            for hour in hours:
                del hour.marks[:-1]
            self._newest_marks |= {hour.key: hour.marks[-1] for hour in hours}
            due = [hour for hour in hours if self._is_due(hour, quiet=before.get(hour.key) == hour.marks[-1])]
            if due or len(spare) < MARKS:
                return due

    def _is_due(self, hour: Hour, *, quiet: bool) -> bool:
        summed_at, packets = self._summed.get(hour.key, (-math.inf, 0))
        return time.monotonic() >= summed_at + (QUIET_AFTER_S if quiet else AGAIN_AFTER_S) * packets

    async def _roll_up(self, writer: Writer, hours: list[Hour], beat: Callable[[], None]) -> None:
        while any(hour.unread for hour in hours):
            async with sharing(beat):
                await self._archive.ask(sum_some, hours)
        together = max(1, ROWS // max(1, *(len(hour.sums) for hour in hours)))
        for first in range(0, len(hours), together):
            async with sharing(beat):
                await writer.commit(keep_rollups, hours[first : first + together])
        for hour in hours:
            self._summed[hour.key] = time.monotonic(), hour.packets

    async def forget(self, writer: Writer, beat: Callable[[], None] = lambda: None) -> None:
        """Delete all that is too old and give the space back; raises ArchiveUnavailableError."""
        before = self.forgotten.total()
        satellites = await self._archive.ask(satellites_kept)
        for rule in rules_of(self._retention, satellites, time.time_ns() // 1000):
            await self._forget_all(writer, rule, beat)
        if self.forgotten.total() > before:
            log.info("%d rows were older than the archive keeps", self.forgotten.total() - before)
            more = True
            while more:
                async with sharing(beat):
                    more = await writer.commit(free_some)
        self.forgot_at_us = time.time_ns() // 1000

    async def _forget_all(self, writer: Writer, rule: Rule, beat: Callable[[], None]) -> None:
        while True:
            async with sharing(beat):
                gone = await writer.commit(forget, rule)
            if not gone:
                return
            self.forgotten[rule.table] += gone


@asynccontextmanager
async def sharing(beat: Callable[[], None]) -> AsyncIterator[None]:
    """Pause after what is done here, so long that it takes its share of a core, and those who wait go first."""
    began = time.monotonic()
    yield
    took_s = time.monotonic() - began
    beat()
    await asyncio.sleep(min(max(took_s * (1 / SHARE - 1), REST_LEAST_S), REST_MOST_S))
