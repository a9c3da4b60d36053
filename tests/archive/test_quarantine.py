"""The quarantine is found by reason and satellite, and lets go what decodes: all of a chunk or nothing."""

import pytest

from groundstation.archive.quarantine import Wanted, held_back, held_back_count, held_back_one, release
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.packet import Fate, Reason
from tests.archive.places import Place, packet, rejection

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
        by_reason = await reader.ask(held_back, Wanted(reason=Reason.PACKET))
        by_satellite = await reader.ask(held_back, Wanted(satellite="aalto-1"))
        page = await reader.ask(held_back, ALL, after=every[0].id, most=2)
        assert await reader.ask(held_back_count, ALL) == 4
        assert await reader.ask(held_back_count, Wanted(Reason.FRAME, "horyu-4")) == 1
        assert await reader.ask(held_back_one, every[2].id) == every[2]
        assert await reader.ask(held_back_one, 999) is None
    assert [one.payload for one in every] == [b"payload 1", b"payload 2", b"payload 3", b"payload 4"]
    assert by_reason == [every[1]]
    assert by_satellite == [every[2]]
    assert page == every[1:3]


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
