"""What the archive needs beside its packets: hours rolled up soon, old rows forgotten, free space given back.

Each step is one short transaction of the writer, and between two of them the packets that came meanwhile have theirs.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable

from groundstation.archive.queries import Reader
from groundstation.archive.retention import Rule, forget, free_some, rules_of, satellites_kept
from groundstation.archive.rollups import MarksGoneError, keep_rollups, sum_up
from groundstation.archive.settings import RetentionSettings
from groundstation.archive.writer import ArchiveUnavailableError, Writer

log = logging.getLogger(__name__)

ROLL_UP_EVERY_S = 30
FORGET_EVERY_S = 3600


class Upkeep:
    """Rolls up and forgets again and again; its counters may be read at any time."""

    def __init__(self, archive: Reader, retention: RetentionSettings) -> None:
        self._archive = archive
        self._retention = retention
        self.rolled_up_at_us: int | None = None  # when no hour was left to do
        self.forgot_at_us: int | None = None  # when nothing was left that was too old
        self.forgotten: Counter[str] = Counter()  # rows by table

    async def run(self, writer: Writer, leads: Callable[[], bool], beat: Callable[[], None]) -> None:
        """Work while `leads` says so, until cancelled. A database that is away is tried again."""
        forget_at = time.monotonic()
        while True:
            if leads():
                try:
                    await self.roll_up(writer, beat)
                    if time.monotonic() >= forget_at:
                        await self.forget(writer, beat)
                        forget_at = time.monotonic() + FORGET_EVERY_S
                except ArchiveUnavailableError as error:
                    log.warning("the archive's upkeep waits: %s", error)
            for _ in range(ROLL_UP_EVERY_S):
                beat()
                await asyncio.sleep(1)

    async def roll_up(self, writer: Writer, beat: Callable[[], None] = lambda: None) -> None:
        """Roll up every hour that got packets, the longest waiting first; raises ArchiveUnavailableError."""
        while (summed := await self._archive.ask(sum_up)) is not None:
            try:
                await writer.commit(keep_rollups, summed)
            except MarksGoneError:
                log.info("another daemon rolls up the same hours")
                return
            await pause(beat)
        self.rolled_up_at_us = time.time_ns() // 1000

    async def forget(self, writer: Writer, beat: Callable[[], None] = lambda: None) -> None:
        """Delete all that is too old and give the space back; raises ArchiveUnavailableError."""
        before = self.forgotten.total()
        satellites = await self._archive.ask(satellites_kept)
        for rule in rules_of(self._retention, satellites, time.time_ns() // 1000):
            await self._forget_all(writer, rule, beat)
        if self.forgotten.total() > before:
            log.info("%d rows were older than the archive keeps", self.forgotten.total() - before)
            while await writer.commit(free_some):
                await pause(beat)
        self.forgot_at_us = time.time_ns() // 1000

    async def _forget_all(self, writer: Writer, rule: Rule, beat: Callable[[], None]) -> None:
        while gone := await writer.commit(forget, rule):
            self.forgotten[rule.table] += gone
            await pause(beat)


async def pause(beat: Callable[[], None]) -> None:
    """Let those who wait for the writer go first."""
    beat()
    await asyncio.sleep(0.01)
