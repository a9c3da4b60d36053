"""The quarantine is found by reason and satellite, and lets go what decodes: all of a chunk or nothing."""

import asyncio

import pytest

from groundstation.archive.quarantine import Wanted, held_back, held_back_count, held_back_one, release
from groundstation.archive.rows import HOUR_US
from groundstation.archive.space import space
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.packet import Fate, Reason
from tests.archive.places import SECOND, T0, Place, packet, rejection

ALL = Wanted()


async def fill(place: Place) -> None:
    given = [
        rejection(1),
        rejection(2, reason=Reason.PACKET),
        rejection(3, topic="gs/v1/hko/aalto-1/telemetry"),
        rejection(4, topic="gs/v1/hko/my%alto-1/telemetry"),
    ]
    async with place.writer() as writer:
        await writer.store([], given)


async def test_it_is_found_by_reason_by_satellite_and_a_page_at_a_time(place: Place) -> None:
    await fill(place)
    async with place.reader() as reader:
        every = await reader.ask(held_back, ALL)
        numbers = [one.id for one in every]
        by_reason = await reader.ask(held_back, Wanted(reason=Reason.PACKET))
        by_satellite = await reader.ask(held_back, Wanted(satellite="aalto-1"))
        page = await reader.ask(held_back, ALL, after=every[0].id, most=2)
        assert await reader.ask(held_back_count, ALL) == (4, 4)
        assert await reader.ask(held_back_count, Wanted(Reason.FRAME, "horyu-4")) == (1, 1)
        assert await reader.ask(held_back_one, every[2].id) == every[2]
        assert await reader.ask(held_back_one, 999) is None
    assert numbers == sorted(numbers)
    assert {one.payload for one in every} == {b"payload 1", b"payload 2", b"payload 3", b"payload 4"}
    assert [one.payload for one in by_reason] == [b"payload 2"]
    assert [one.payload for one in by_satellite] == [b"payload 3"]
    assert page == every[1:3]


async def test_equal_messages_of_an_hour_are_one_row_that_counts_them(place: Place) -> None:
    hour = T0 // HOUR_US * HOUR_US
    first, again, last = (rejection(7, arrived_at_us=hour + second * SECOND) for second in (1, 2, 3599))
    others = [
        rejection(7, arrived_at_us=hour + 3600 * SECOND),
        rejection(7, arrived_at_us=first.arrived_at_us, reason=Reason.TIME),
        rejection(7, arrived_at_us=first.arrived_at_us, topic="gs/v1/hko/aalto-1/telemetry"),
        rejection(7, arrived_at_us=first.arrived_at_us, link="other"),
        rejection(8, arrived_at_us=first.arrived_at_us),
    ]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([], [first, *others, again])
        await writer.store([], [last])
        assert await reader.ask(held_back_count, ALL) == (6, 8)
        (counted,) = [one for one in await reader.ask(held_back, ALL) if one.times > 1]
    assert (counted.times, counted.payload, counted.error) == (3, first.payload, first.error)
    assert (counted.arrived_at_us, counted.last_arrived_at_us) == (first.arrived_at_us, last.arrived_at_us)


async def test_a_hundred_thousand_of_one_message_take_the_room_of_one(file: Place) -> None:
    async with file.writer() as writer, file.reader() as reader:
        for first in range(0, 100_000, 1000):
            given = [rejection(payload=bytes(1000), arrived_at_us=T0 + n) for n in range(first, first + 1000)]
            await writer.store([], given)
        assert await reader.ask(held_back_count, ALL) == (1, 100_000)
        size, _ = await reader.ask(space)
    assert size < 1_000_000


async def test_a_batch_that_is_tried_again_and_a_replay_count_nothing_twice(place: Place) -> None:
    three = [rejection(7, arrived_at_us=T0 + n) for n in (0, 5, 9)]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([], three)
        await writer.store([], three)
        await writer.store([], three[:1])  # what a recording has of them
        assert await reader.ask(held_back_count, ALL) == (1, 3)
        await writer.store(
            [], [rejection(7, arrived_at_us=T0 + 4)]
        )  # of another daemon, or of a clock that was set back
        (one,) = await reader.ask(held_back, ALL)
    assert (one.times, one.last_arrived_at_us) == (4, T0 + 9)


async def test_daemons_that_hold_back_the_same_in_another_order_do_not_deadlock(server: Place) -> None:
    async with server.writer() as one, server.writer() as other, server.reader() as reader:
        for turn in range(20):
            given = [rejection(n, arrived_at_us=T0 + turn) for n in range(300)]
            later = [rejection(n, arrived_at_us=T0 + 1000 + turn) for n in range(300)]
            await asyncio.gather(one.store([], given), other.store([], later[::-1]))
        assert (one.errors, other.errors) == (0, 0)
        assert await reader.ask(held_back_count, ALL) == (300, 12_000)


async def test_what_is_released_is_stored_once_and_gone(place: Place) -> None:
    await fill(place)
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(2)], [])
        held = await reader.ask(held_back, ALL)
        fates = await writer.commit(release, [(held[0].id, packet(1)), (held[1].id, packet(2))], 1)
        assert fates == [Fate.STORED, Fate.DUPLICATE]
        assert await reader.ask(held_back, ALL) == held[2:]
    assert place.count("packet") == 2


async def test_what_the_database_refuses_stays_and_is_there_once(place: Place) -> None:
    await fill(place)
    async with place.writer() as writer, place.reader() as reader:
        held = await reader.ask(held_back, ALL)
        impossible = packet(1, generated_at_us=1 << 62)
        fates = await writer.commit(release, [(held[0].id, impossible), (held[1].id, packet(2))], 1)
        assert fates == [Fate.QUARANTINED, Fate.STORED]
        assert await reader.ask(held_back, ALL) == [held[0], *held[2:]]


async def test_a_failure_after_the_packets_moves_nothing(place: Place) -> None:
    await fill(place)
    async with place.writer() as writer, place.reader() as reader:
        held = await reader.ask(held_back, ALL)
        with pytest.raises(ArchiveUnavailableError):
            await writer.commit(
                lambda connection: (
                    release(connection, [(held[0].id, packet(1))], 1),
                    connection.exec_driver_sql("SELECT no_such_function_of_ours()"),
                )
            )
        assert await reader.ask(held_back, ALL) == held
    assert place.count("packet") == 0
