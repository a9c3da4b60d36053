"""The pipeline between a source and the archive: order, balance, patience."""

import asyncio
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.pipeline import BATCH_BYTES, FEW, IDLE_S, Account, Inbox, record
from groundstation.telemetry.packet import Fate, Message, Packet, Reason, Rejection

PACKET = Packet(
    link="mqtt",
    satellite="demo-sat",
    station="hko",
    packet="housekeeping",
    kind="realtime",
    sequence=0,
    generated_at_us=0,
    received_at_us=0,
    digest=0,
    definition_hash="",
    frame=b"",
    values={},
    levels={},
)


def decode(message: Message) -> Packet | Rejection:
    """Decode a payload of one number; anything else is rejected."""
    if message.payload.isdigit():
        return replace(PACKET, link=message.link, sequence=int(message.payload))
    return Rejection(message.link, message.topic, message.payload, message.arrived_at_us, Reason.FRAME, "not a number")


class MemoryArchive:
    """Keeps sequence counts in a set; refuses the first `failures` calls as a database does that is away."""

    def __init__(self, failures: int = 0) -> None:
        self.kept: set[int | None] = set()
        self.failures = failures
        self.calls: list[int] = []

    async def store(self, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Sequence[Fate]:
        await asyncio.sleep(0)
        if self.failures:
            self.failures -= 1
            raise ArchiveUnavailableError("database is away")
        self.calls.append(len(packets) + len(rejections))
        fates = []
        for packet in packets:
            fates.append(Fate.DUPLICATE if packet.sequence in self.kept else Fate.STORED)
            self.kept.add(packet.sequence)
        return fates


async def play(payloads: Sequence[bytes], archive: MemoryArchive) -> tuple[Inbox, list[int]]:
    """Send `payloads` through a pipeline; return its inbox and the order of acknowledgement."""
    inbox = Inbox(["mqtt"])
    acknowledged: list[int] = []
    for number, payload in enumerate(payloads):
        inbox.put(Message("mqtt", "topic", payload, 0, acknowledge=partial(acknowledged.append, number)))
    inbox.close()
    await record(inbox, decode, archive, lambda *_: None)
    return inbox, acknowledged


@given(st.lists(st.one_of(st.integers(0, 20).map(lambda n: str(n).encode()), st.just(b"x")), max_size=60))
def test_every_message_is_booked_once_and_the_equation_holds(payloads: list[bytes]) -> None:
    inbox, acknowledged = asyncio.run(play(payloads, MemoryArchive()))
    account = inbox.accounts["mqtt"]
    good = [p for p in payloads if p != b"x"]
    assert account.received == len(payloads)
    assert account.stored == len(set(good))
    assert account.duplicate == len(good) - len(set(good))
    assert account.quarantined == len(payloads) - len(good)
    assert inbox.imbalance() == {"mqtt": 0}
    assert acknowledged == list(reversed(range(len(payloads))))  # of one batch: its first message frees all


async def test_nothing_is_acknowledged_while_the_archive_is_away() -> None:
    archive = MemoryArchive(failures=2)
    inbox = Inbox(["mqtt"])
    acknowledged: list[str] = []
    inbox.put(Message("mqtt", "topic", b"1", 0, acknowledge=lambda: acknowledged.append("1")))
    tried = asyncio.Event()

    def beat() -> None:
        if archive.failures < 2:
            tried.set()

    task = asyncio.create_task(record(inbox, decode, archive, lambda *_: None, beat))
    await tried.wait()
    assert acknowledged == []
    assert inbox.held() == {"mqtt": 1}
    assert inbox.imbalance() == {"mqtt": 0}
    inbox.close()
    await task
    assert acknowledged == ["1"]
    assert archive.kept == {1}


async def test_a_full_inbox_says_so_until_half_of_it_is_gone() -> None:
    inbox = Inbox(["mqtt"], capacity=10)
    full = []
    for number in range(10):
        inbox.put(Message("mqtt", "topic", b"%d" % number, 0))
        full.append(inbox.full)
    assert full == [False] * 9 + [True]
    after = []
    for _ in range(2):
        batch = await inbox.batch(most=4, pace_s=0)
        inbox.settle([Fate.STORED] * len(batch))
        after.append(inbox.full)
    assert after == [True, False]
    await asyncio.wait_for(inbox.room(), 1)


async def test_a_message_more_than_the_bound_is_kept_all_the_same() -> None:
    inbox = Inbox(["mqtt"], capacity=2)
    for _ in range(5):
        inbox.put(Message("mqtt", "topic", b"1", 0))
    assert inbox.held() == {"mqtt": 5}


async def test_a_batch_has_no_more_messages_than_one_transaction_should() -> None:
    archive = MemoryArchive()
    await play([b"%d" % number for number in range(1500)], archive)
    assert archive.calls == [1000, 500]


async def test_the_first_message_after_a_silence_is_handed_out_at_once() -> None:
    inbox = Inbox(["mqtt"])
    inbox.put(Message("mqtt", "topic", b"1", 0))
    assert len(await asyncio.wait_for(inbox.batch(pace_s=3600), 1)) == 1


async def test_a_batch_soon_after_another_takes_what_comes_until_its_time() -> None:
    inbox = Inbox(["mqtt"])
    inbox.put(Message("mqtt", "topic", b"0", 0))
    await inbox.batch()
    inbox.put(Message("mqtt", "topic", b"1", 0))
    taking = asyncio.create_task(inbox.batch(pace_s=0.5))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not taking.done()  # it has the first, and waits for company
    inbox.put(Message("mqtt", "topic", b"2", 0))
    assert [message.payload for message in await taking] == [b"1", b"2"]


async def test_the_next_batch_is_decoded_while_one_is_committed() -> None:
    begun, released, decoded = asyncio.Event(), asyncio.Event(), []

    class Slow(MemoryArchive):
        async def store(self, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Sequence[Fate]:
            begun.set()
            await released.wait()
            return await super().store(packets, rejections)

    def noted(message: Message) -> Packet | Rejection:
        decoded.append(message.payload)
        if message.payload == b"last":
            released.set()
        return decode(message)

    inbox = Inbox(["mqtt"])
    recording = asyncio.create_task(record(inbox, noted, Slow(), lambda *_: None))
    for number in range(FEW + 1):
        inbox.put(Message("mqtt", "topic", b"%d" % number, 0))
    await asyncio.wait_for(begun.wait(), 5)
    inbox.put(Message("mqtt", "topic", b"last", 0))
    inbox.close()
    await asyncio.wait_for(recording, 5)
    assert decoded == [*(b"%d" % number for number in range(FEW + 1)), b"last"]
    assert inbox.accounts["mqtt"].settled() == FEW + 2
    assert inbox.imbalance() == {"mqtt": 0}


async def test_each_link_is_booked_what_became_of_its_own_messages() -> None:
    inbox = Inbox(["mqtt", "backup"])
    seen: list[tuple[int | None, Fate]] = []
    for link, payload in [("mqtt", b"1"), ("backup", b"1"), ("mqtt", b"2"), ("backup", b"x"), ("mqtt", b"3")]:
        inbox.put(Message(link, "topic", payload, 0))
    inbox.close()
    await record(inbox, decode, MemoryArchive(), lambda fates, _: seen.extend((p.sequence, f) for p, f in fates))
    assert inbox.accounts == {
        "mqtt": Account(received=3, stored=3),
        "backup": Account(received=2, duplicate=1, quarantined=1),
    }
    assert seen == [(1, Fate.STORED), (1, Fate.DUPLICATE), (2, Fate.STORED), (3, Fate.STORED)]


async def test_tries_at_an_archive_that_is_away_become_rarer(caplog: pytest.LogCaptureFixture) -> None:
    archive = MemoryArchive(failures=3)
    started = time.monotonic()
    await play([b"1"], archive)
    told = [re.search(r"next try in ([\d.]+) s", record.getMessage()) for record in caplog.records]
    assert [found[1] for found in told if found] == ["0.2", "0.5", "1.0"]
    assert time.monotonic() - started >= 0.25 + 0.5 + 1.0


async def test_an_idle_pipeline_shows_that_it_is_alive() -> None:
    inbox, beats = Inbox(["mqtt"]), 0
    again = asyncio.Event()

    def beat() -> None:
        nonlocal beats
        beats += 1
        if beats > 1:
            again.set()

    recording = asyncio.create_task(record(inbox, decode, MemoryArchive(), lambda *_: None, beat))
    await asyncio.wait_for(again.wait(), 4 * IDLE_S)
    inbox.close()
    await recording


async def test_a_batch_ends_with_the_message_that_passes_its_bound_of_bytes() -> None:
    inbox = Inbox(["mqtt"])
    for _ in range(40):
        inbox.put(Message("mqtt", "topic", bytes(60_000), 0))
    lengths = []
    while inbox.held():
        lengths.append(len(await inbox.batch(pace_s=0)))
        inbox.settle([Fate.QUARANTINED] * lengths[-1])
    assert lengths == [17, 17, 6]
    assert 16 * 60_000 < BATCH_BYTES <= 17 * 60_000


async def test_the_event_loop_lives_while_a_batch_is_slow_to_decode() -> None:
    def slowly(message: Message) -> Packet | Rejection:
        end = time.monotonic() + 0.002
        while time.monotonic() < end:
            pass
        return decode(message)

    inbox = Inbox(["mqtt"])
    for number in range(200):
        inbox.put(Message("mqtt", "topic", b"%d" % number, 0))
    inbox.close()
    recording = asyncio.create_task(record(inbox, slowly, MemoryArchive(), lambda *_: None))
    turns = 0
    while not recording.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns >= 200 / 6  # 5 messages fill a slice, and a busy machine makes them fewer


async def test_a_message_that_was_lost_between_would_show_as_an_imbalance() -> None:
    inbox = Inbox(["mqtt"])
    inbox.put(Message("mqtt", "topic", b"1", 0))
    await inbox.batch(pace_s=0)
    inbox._in_hand.clear()  # what a bug would do
    assert inbox.imbalance() == {"mqtt": 1}


async def test_qos_0_is_counted_as_unprotected() -> None:
    inbox = Inbox(["mqtt"])
    inbox.put(Message("mqtt", "topic", b"1", 0, qos=0))
    inbox.put(Message("mqtt", "topic", b"1", 0, qos=1))
    assert (inbox.accounts["mqtt"].received, inbox.accounts["mqtt"].unprotected) == (2, 1)
