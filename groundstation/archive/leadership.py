"""Which of several daemons on one PostgreSQL predicts passes, rolls up and forgets: who holds an advisory lock.

    async with Leadership(url, password_file) as leadership:
        await leadership.keep(beat)        # in a task of its own; `leads` says how it is

The lock lives as long as its connection: a daemon that is killed gives it back at once, one whose machine vanished
within half a minute. A holder that cannot reach the server stops leading before another may begin. On SQLite, which
one daemon has for itself, it always leads.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from sqlalchemy import Connection

from groundstation.archive.caller import CallThread
from groundstation.archive.engine import FAILURES, one_line, open_engine
from groundstation.archive.migrate import LOCK as MIGRATION_LOCK

log = logging.getLogger(__name__)

LOCK = MIGRATION_LOCK + 1
ASK_EVERY_S = 5.0
PROOF_LASTS_S = 15.0
# The server looks for a silent holder after 10 s and gives it up 10 s later; others ask within the next 5.
NOTICE_THE_DEAD = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 2"


class Leadership:
    """One daemon's claim; another's stands while that holds the lock."""

    def __init__(self, url: str, password_file: Path | None = None, ask_every_s: float = ASK_EVERY_S) -> None:
        engine = open_engine(url, password_file)
        self._alone = engine.dialect.name == "sqlite"
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._ask_every_s = ask_every_s
        self._thread = CallThread("leadership")
        self._connection: Connection | None = None
        self._proved: float | None = None  # when the server last said that the lock is ours
        self._told = False  # what the log last said
        self._reached = True  # the server, when last asked

    @property
    def leads(self) -> bool:
        return self._alone or (self._proved is not None and time.monotonic() - self._proved < PROOF_LASTS_S)

    async def __aenter__(self) -> Self:
        if not self._alone:
            await self._thread.call(self._ask)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Give the lock back, so that another need not wait."""
        await self._thread.call(self._drop)  # after a question that is still being asked
        self._thread.close()

    async def keep(self, beat: Callable[[], None] = lambda: None) -> None:
        """Ask for the lock, and prove that it is still ours, until cancelled."""
        while True:
            beat()
            if not self._alone:
                await self._thread.call(self._ask)
            self._tell()
            await asyncio.sleep(self._ask_every_s)

    def _ask(self) -> None:
        try:
            if self._connection is None:
                self._connection = self._engine.connect()
                for setting in NOTICE_THE_DEAD.split("; "):
                    self._connection.exec_driver_sql(setting)
            asked = time.monotonic()
            query = "SELECT true" if self._proved is not None else f"SELECT pg_try_advisory_lock({LOCK})"
            self._proved = asked if self._connection.exec_driver_sql(query).scalar() else None
            self._reached = True
        except FAILURES as error:
            if self._reached:
                log.warning("cannot ask who leads: %s", one_line(error))
            self._reached = False
            self._drop()

    def _drop(self) -> None:
        self._proved = None
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()

    def _tell(self) -> None:
        if not self._alone and self.leads != self._told:
            self._told = self.leads
            log.info("passes, roll-ups and retention are %s", "ours" if self.leads else "another daemon's")
