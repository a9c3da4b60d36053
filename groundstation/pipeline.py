"""A packet's whole way through the daemon, and the ledger that balances it.

    source ──► Inbox ──► decode ──► archive (one transaction) ──► acknowledge
                 │                                                     │
                 └───────────────────── Account ───────────────────────┘

For every link, always: received = stored + duplicate + quarantined + in flight. The first four are counted where
they happen, the last is counted by looking at what is held, so the equation is a check that can fail.
"""

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.packet import Fate, Message, Packet, Rejection

log = logging.getLogger(__name__)

BATCH_MOST = 1000  # messages in one transaction
BATCH_BYTES = 1_000_000  # payload in one transaction, the message that passes it included
SLICE_S = 0.01  # of decoding, after which others have their turn: hostile messages cost milliseconds each
FEW = 10  # messages, for which a task of their own costs more than it would save
PACE_S = 0.02  # from one batch to the next at least, unless it is full: one sync for many packets
IDLE_S = 5.0  # how often an idle pipeline shows that it is alive
RETRY_FIRST_S, RETRY_MOST_S = 0.25, 15.0


class Archive(Protocol):
    async def store(self, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Sequence[Fate]:
        """Commit everything in one transaction and return each packet's fate.

        Raises ArchiveUnavailableError where nothing was committed and the same call may succeed later.
        """


Decode = Callable[[Message], Packet | Rejection]
Observe = Callable[[Sequence[tuple[Packet, Fate]], Sequence[Rejection]], None]


@dataclass(slots=True)
class Account:
    """One link's side of the conservation equation."""

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    unprotected: int = 0  # the part of `received` that came at QoS 0: nobody would send it again

    def settled(self) -> int:
        return self.stored + self.duplicate + self.quarantined


class Inbox:
    """The bounded queue between the sources and the pipeline, with each link's account.

    A source calls `put`, and once `full` is true it stops reading until `room` returns. `put` never refuses: what a
    source has already read from its socket must not be lost, so the bound is kept by pausing and not by dropping.
    """

    def __init__(self, links: Sequence[str], capacity: int = 5000) -> None:
        self.capacity = capacity
        self.accounts = {name: Account() for name in links}
        self._waiting: deque[Message] = deque()
        self._in_hand: deque[Sequence[Message]] = deque()  # handed out and not settled, the oldest first
        self._handed_at = -math.inf
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._stirring: asyncio.TimerHandle | None = None
        self._closed = False

    @property
    def full(self) -> bool:
        return not self._room.is_set()

    def put(self, message: Message) -> None:
        account = self.accounts[message.link]
        account.received += 1
        account.unprotected += message.qos == 0
        self._waiting.append(message)
        self._arrived.set()
        if len(self._waiting) >= self.capacity:
            self._room.clear()

    async def room(self) -> None:
        """Wait until a source may read on."""
        await self._room.wait()

    def close(self) -> None:
        """Say that no more will come: `batch` returns what is left and then nothing."""
        self._closed = True
        self._arrived.set()

    @property
    def finished(self) -> bool:
        """Whether it is closed and all that came was handed out."""
        return self._closed and not self._waiting

    async def batch(self, most: int = BATCH_MOST, pace_s: float = PACE_S) -> Sequence[Message]:
        """Return the next messages in order of arrival; none where nothing came for a while, or will come.

        The first after a silence comes at once. Batches that are not full follow one another by `pace_s` or more.
        """
        if self._stirring is None:
            self._stirring = asyncio.get_running_loop().call_later(IDLE_S, self._stir)
        await self._arrived.wait()
        early_s = self._handed_at + pace_s - time.monotonic()
        if early_s > 0 and 0 < len(self._waiting) < most and not self._closed:
            await asyncio.sleep(early_s)
        waiting = self._waiting
        batch = list(first(waiting, most))
        if batch:
            self._in_hand.append(batch)
            self._handed_at = time.monotonic()
        if not waiting and not self._closed:
            self._arrived.clear()
        if len(waiting) <= self.capacity // 2:
            self._room.set()
        return batch

    def _stir(self) -> None:
        """Wake whoever waits for messages, to show that it lives: cheaper than a time limit on every wait."""
        self._stirring = None
        self._arrived.set()

    def settle(self, fates: Sequence[Fate]) -> Sequence[Message]:
        """Book the oldest batch in hand, whose order `fates` have, and return it."""
        for message, fate in zip(self._in_hand[0], fates, strict=True):
            account = self.accounts[message.link]
            if fate is Fate.STORED:
                account.stored += 1
            elif fate is Fate.DUPLICATE:
                account.duplicate += 1
            else:
                account.quarantined += 1
        return self._in_hand.popleft()

    def held(self) -> Counter[str]:
        """Count what is in memory by link, by looking: the equation's independent term."""
        return Counter(message.link for held in (self._waiting, *self._in_hand) for message in held)

    def imbalance(self) -> dict[str, int]:
        """Return received − settled − in flight for every link; anything but 0 is a bug."""
        held = self.held()
        return {name: a.received - a.settled() - held[name] for name, a in self.accounts.items()}


def first(waiting: deque[Message], most: int) -> Iterator[Message]:
    """Take the next messages off `waiting`, `most` of them and no more bytes than one transaction should have."""
    room = BATCH_BYTES
    while waiting and most > 0 and room > 0:
        message = waiting.popleft()
        most, room = most - 1, room - len(message.payload)
        yield message


async def record(
    inbox: Inbox, decode: Decode, archive: Archive, observe: Observe, beat: Callable[[], None] = lambda: None
) -> None:
    """Decode, commit and acknowledge batch after batch until the inbox is closed and empty.

    `beat` is called whenever this task has made progress, the idle and the retrying included.
    """
    committing: asyncio.Task[None] | None = None
    async with asyncio.TaskGroup() as tasks:
        while not inbox.finished:
            beat()
            batch = await inbox.batch()
            if not batch:
                continue
            decoded = await decode_all(decode, batch)
            if committing is not None:
                await committing
            # The database works outside the interpreter for the most part: meanwhile the next batch is decoded. With
            # a FEW messages the task for that would cost more than it saves.
            work = commit(inbox, decoded, archive, observe, beat)
            if len(batch) > FEW:
                committing = tasks.create_task(work, name="commit")
            else:
                committing = None
                await work


async def commit(
    inbox: Inbox, decoded: Sequence[Packet | Rejection], archive: Archive, observe: Observe, beat: Callable[[], None]
) -> None:
    """Store what became of the oldest batch in hand, then book and acknowledge it."""
    packets = [one for one in decoded if isinstance(one, Packet)]
    rejections = [one for one in decoded if isinstance(one, Rejection)]
    fates = await store_at_last(archive, packets, rejections, beat)
    of_packets = iter(fates)
    settled = inbox.settle([next(of_packets) if isinstance(one, Packet) else Fate.QUARANTINED for one in decoded])
    for message in reversed(settled):  # a connection waits for its first and then sends for all
        message.acknowledge()
    observe(list(zip(packets, fates, strict=True)), rejections)


async def decode_all(decode: Decode, batch: Sequence[Message]) -> list[Packet | Rejection]:
    """Return what each message is, and let the event loop live meanwhile."""
    decoded, due = [], time.monotonic() + SLICE_S
    for message in batch:
        decoded.append(decode(message))
        if time.monotonic() >= due:
            await asyncio.sleep(0)
            due = time.monotonic() + SLICE_S
    return decoded


async def store_at_last(
    archive: Archive, packets: Sequence[Packet], rejections: Sequence[Rejection], beat: Callable[[], None]
) -> Sequence[Fate]:
    """Return the fates once the batch is committed, however long the database is away.

    Nothing is acknowledged meanwhile: the inbox fills, the sources pause and the broker queues.
    """
    delay_s, failing_since = RETRY_FIRST_S, None
    while True:
        try:
            fates = await archive.store(packets, rejections)
        except ArchiveUnavailableError as error:
            failing_since = failing_since or time.monotonic()
            log.error("archive unavailable, nothing is lost, next try in %.1f s: %s", delay_s, error)
            beat()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_MOST_S)
        else:
            if failing_since is not None:
                log.warning("archive is back after %.0f s", time.monotonic() - failing_since)
            return fates
