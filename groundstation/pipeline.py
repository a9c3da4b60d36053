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
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.packet import Fate, Message, Packet, Rejection

log = logging.getLogger(__name__)

BATCH_MOST = 1000  # messages in one transaction
BATCH_BYTES = 1_000_000  # payload in one transaction, the message that passes it included
SLICE_S = 0.01  # of decoding, after which others have their turn: hostile messages cost milliseconds each
# Of so FEW messages the commit is not waited for: they are acknowledged when the next come, or after a while. On a
# machine that sleeps in between, being woken by the database alone would take some percent of what such a stream takes.
FEW = 10
ACKNOWLEDGE_S = 0.06
# Where nothing came until then, the broker may have waited for us: so for a while they are acknowledged at once.
PROMPT_S = 1.0
PACE_S = 0.02  # from one batch to the next at least, unless it is full: one sync for many packets
IDLE_S = 5.0  # how often an idle pipeline shows that it is alive
RETRY_FIRST_S, RETRY_MOST_S = 0.25, 15.0


class Archive(Protocol):
    def store(self, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Awaitable[Sequence[Fate]]:
        """Begin to commit everything in one transaction; the answer, awaited when it suits, is each packet's fate.

        It raises ArchiveUnavailableError where nothing was committed and the same call may succeed later.
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

    async def batch(
        self, most: int = BATCH_MOST, pace_s: float = PACE_S, within_s: float | None = None
    ) -> Sequence[Message]:
        """Return the next messages in order of arrival; none where nothing came `within_s` or will come.

        The first after a silence comes at once. Batches that are not full follow one another by `pace_s` or more.
        """
        if self._stirring is None:
            self._stirring = asyncio.get_running_loop().call_later(IDLE_S, self._stir)
        if within_s is None:
            await self._arrived.wait()
        else:
            giving_up = asyncio.get_running_loop().call_later(within_s, self._arrived.set)
            await self._arrived.wait()
            giving_up.cancel()
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


@dataclass(frozen=True, slots=True)
class Commit:
    """The oldest batch in hand on its way into the archive."""

    decoded: Sequence[Packet | Rejection]
    packets: Sequence[Packet]
    rejections: Sequence[Rejection]
    fates: Awaitable[Sequence[Fate]]  # of the packets


async def record(
    inbox: Inbox, decode: Decode, archive: Archive, observe: Observe, beat: Callable[[], None] = lambda: None
) -> None:
    """Decode, commit and acknowledge batch after batch until the inbox is closed and empty.

    `beat` is called whenever this task has made progress, the idle and the retrying included.
    """
    conclude = partial(settle, inbox, archive, observe, beat)
    settling: asyncio.Task[None] | None = None
    few: Commit | None = None
    prompt_until = -math.inf
    async with asyncio.TaskGroup() as tasks:
        while not inbox.finished:
            beat()
            if few is not None and time.monotonic() < prompt_until:
                await conclude(few)
                few = None
            batch = await inbox.batch(within_s=None if few is None else ACKNOWLEDGE_S)
            if few is not None:
                await conclude(few)
                few = None
                if not batch:
                    prompt_until = time.monotonic() + PROMPT_S
            if not batch:
                continue
            decoded = await decode_all(decode, batch)
            if settling is not None:
                await settling
                settling = None
            begun = begin(archive, decoded)
            # The database works outside the interpreter for the most part: meanwhile the next batch is decoded.
            if len(batch) > FEW:
                settling = tasks.create_task(conclude(begun), name="commit")
            else:
                few = begun
        if few is not None:
            await conclude(few)


def begin(archive: Archive, decoded: Sequence[Packet | Rejection]) -> Commit:
    """Hand the archive what became of a batch."""
    packets = [one for one in decoded if isinstance(one, Packet)]
    rejections = [one for one in decoded if isinstance(one, Rejection)]
    return Commit(decoded, packets, rejections, archive.store(packets, rejections))


async def settle(inbox: Inbox, archive: Archive, observe: Observe, beat: Callable[[], None], commit: Commit) -> None:
    """Book and acknowledge the oldest batch in hand once it is committed."""
    fates = await fates_at_last(archive, commit, beat)
    of_packets = iter(fates)
    settled = inbox.settle(
        [next(of_packets) if isinstance(one, Packet) else Fate.QUARANTINED for one in commit.decoded]
    )
    for message in settled:
        message.acknowledge()
    observe(list(zip(commit.packets, fates, strict=True)), commit.rejections)


async def decode_all(decode: Decode, batch: Sequence[Message]) -> list[Packet | Rejection]:
    """Return what each message is, and let the event loop live meanwhile."""
    decoded, due = [], time.monotonic() + SLICE_S
    for message in batch:
        decoded.append(decode(message))
        if time.monotonic() >= due:
            await asyncio.sleep(0)
            due = time.monotonic() + SLICE_S
    return decoded


async def fates_at_last(archive: Archive, commit: Commit, beat: Callable[[], None]) -> Sequence[Fate]:
    """Return the fates once the batch is committed, however long the database is away.

    Nothing is acknowledged meanwhile: the inbox fills, the sources pause and the broker queues.
    """
    delay_s, failing_since, fates = RETRY_FIRST_S, None, commit.fates
    while True:
        try:
            found = await fates
        except ArchiveUnavailableError as error:
            failing_since = failing_since or time.monotonic()
            log.error("archive unavailable, nothing is lost, next try in %.1f s: %s", delay_s, error)
            beat()
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_MOST_S)
            fates = archive.store(commit.packets, commit.rejections)
        else:
            if failing_since is not None:
                log.warning("archive is back after %.0f s", time.monotonic() - failing_since)
            return found
