"""Plays a recording into the pipeline: one more source, and nothing behind the inbox knows the difference."""

import asyncio
import contextlib
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Protocol

from groundstation.replay.pacing import cut_us, due_at
from groundstation.replay.recording import Recording
from groundstation.telemetry.packet import Message

BREATHE_EVERY = 200  # messages played in a row before other tasks get a turn: some 2 ms


class Inbox(Protocol):
    @property
    def full(self) -> bool: ...

    def put(self, message: Message) -> None: ...

    async def room(self) -> None: ...


@dataclass(slots=True, kw_only=True)
class Player:
    """A recording on its way into the pipeline, with how far it has come.

    Topic, payload, QoS and arrival time are as they were, so that the rows are the same; only the link is the
    player's own. Reading blocks for less than a millisecond at a time, which a thread would not make shorter.
    """

    recording: Recording
    link: str
    speed: float | None = 1.0  # None: as fast as the pipeline takes it
    longest_gap_s: float | None = None  # longer silences, in recorded time, are shortened to this
    played: int = 0

    @property
    def total(self) -> int:
        return self.recording.count

    async def run(self, inbox: Inbox, stopping: asyncio.Event) -> None:
        """Play until the end, or until `stopping` is set, which is obeyed at once.

        Raises RecordingError where the file was changed after it was opened.
        """
        clock = asyncio.get_running_loop().time
        started_at_s = clock()
        first_us = latest_us = None
        with contextlib.closing(self.recording.messages()) as messages:
            for message in messages:
                if first_us is None or latest_us is None:
                    first_us = latest_us = message.arrived_at_us
                first_us += cut_us(message.arrived_at_us, latest_us, self.longest_gap_s)
                latest_us = max(latest_us, message.arrived_at_us)
                early_s = due_at(message.arrived_at_us, first_us, started_at_s, self.speed) - clock()
                if early_s > 0:
                    await before(stopping, asyncio.sleep(early_s))
                elif self.played % BREATHE_EVERY == 0:
                    await asyncio.sleep(0)
                if inbox.full:
                    await before(stopping, inbox.room())
                if stopping.is_set():
                    return
                inbox.put(replace(message, link=self.link))
                self.played += 1


async def before(stopping: asyncio.Event, awaited: Coroutine[Any, Any, None]) -> None:
    """Wait for `awaited`, but not longer than until `stopping` is set."""
    waits: list[asyncio.Task[Any]] = [asyncio.create_task(awaited), asyncio.create_task(stopping.wait())]
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in done:
            wait.result()
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
