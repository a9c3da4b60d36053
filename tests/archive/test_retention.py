"""What is too old goes, by satellite and kind, a few rows at a time beside the packets that come; roll-ups stay."""

import asyncio
import os
import time
from typing import Any

from groundstation.archive import queries
from groundstation.archive.retention import CHUNK, Rule, forget, rules_of, satellites_kept
from groundstation.archive.settings import RetentionSettings, SatelliteRetention
from groundstation.telemetry.packet import Fate, Packet
from groundstation.upkeep import Upkeep
from tests.archive.places import SECOND, T0, Place, packet, rejection

DAY_US = 86_400 * SECOND
ALL = (-(1 << 60), 1 << 60)
KEEP_10 = RetentionSettings(realtime_d=10, dump_d=10, quarantine_d=10)


def old(number: int, days: float, **changes: Any) -> Packet:
    now_us = time.time_ns() // 1000
    return packet(number, **{"received_at_us": now_us - round(days * DAY_US), **changes})


async def kept(place: Place) -> dict[str, list[int]]:
    async with place.reader() as reader:
        return {
            slug: sorted(one.sequence or 0 for one in await reader.ask(queries.packets, slug, *ALL))
            for slug in await reader.ask(satellites_kept)
        }


async def upkept(place: Place, settings: RetentionSettings) -> Upkeep:
    async with place.writer() as writer, place.reader() as reader:
        upkeep = Upkeep(reader, settings)
        await upkeep.roll_up(writer)
        await upkeep.forget(writer)
    return upkeep


async def test_what_is_older_goes_and_what_is_younger_stays(place: Place) -> None:
    given = [old(1, 11), old(2, 9), old(3, 0), old(4, 12, kind="dump"), old(5, 30, satellite="aalto-1")]
    async with place.writer() as writer:
        await writer.store(given, [rejection(1), rejection(2, arrived_at_us=time.time_ns() // 1000)])
    upkeep = await upkept(place, KEEP_10)
    assert await kept(place) == {"horyu-4": [2, 3]}
    assert upkeep.forgotten == {"packet": 3, "quarantine": 1}
    assert place.count("quarantine") == 1


async def test_a_satellite_and_a_kind_may_be_kept_longer_or_for_ever(place: Place) -> None:
    given = [old(n, days, kind=kind, satellite=slug) for n, (slug, kind, days) in enumerate(
        (slug, kind, days) for slug in ("a", "b", "c") for kind in ("realtime", "dump") for days in (5, 50)
    )]  # fmt: skip
    async with place.writer() as writer:
        await writer.store(given, [])
    special = {"b": SatelliteRetention(realtime_d=100), "c": SatelliteRetention(realtime_d=0, dump_d=1)}
    await upkept(place, RetentionSettings(realtime_d=10, satellites=special))
    assert await kept(place) == {"a": [0, 2, 3], "b": [4, 5, 6, 7], "c": [8, 9]}


def test_nothing_goes_unless_it_is_asked_for() -> None:
    assert rules_of(RetentionSettings(), ["a", "b"], 0) == []


async def test_receptions_go_with_their_own_age(place: Place) -> None:
    async with place.writer() as writer:
        await writer.store([old(1, 11), old(1, 11, station="cuhk"), old(1, 1, station="polyu")], [])
    await upkept(place, KEEP_10)
    assert place.count("packet") == 0
    assert place.rows("SELECT station FROM reception") == [("polyu",)]


async def test_a_wrong_clock_on_board_does_not_age_a_packet(place: Place) -> None:
    async with place.writer() as writer:
        await writer.store([old(1, 1, generated_at_us=0), old(2, 11, generated_at_us=1 << 51)], [])
    await upkept(place, KEEP_10)
    assert await kept(place) == {"horyu-4": [1]}


async def test_roll_ups_stay_and_an_hour_without_one_keeps_its_packets(place: Place) -> None:
    rule = Rule("packet", 1 << 60, "horyu-4", "realtime")
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(n, values={"v": n}) for n in range(4)], [])
        assert await writer.commit(forget, rule) == 0
        await Upkeep(reader, KEEP_10).roll_up(writer)
        await writer.store([packet(7200, values={"v": 9})], [])
        assert await writer.commit(forget, rule) == 4
    assert await kept(place) == {"horyu-4": [7200]}
    assert place.rows("SELECT min, max, mean, n FROM rollup_1h") == [(0, 3, 1.5, 4)]


async def test_an_hour_before_1970_keeps_its_packets_until_it_is_rolled_up(place: Place) -> None:
    rule = Rule("packet", 1 << 60, "horyu-4", "realtime")
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(1, generated_at_us=1)], [])
        await Upkeep(reader, KEEP_10).roll_up(writer)
        await writer.store([packet(2, generated_at_us=-1)], [])
        assert await writer.commit(forget, rule) == 1
        assert await kept(place) == {"horyu-4": [2]}
        await Upkeep(reader, KEEP_10).roll_up(writer)
        assert await writer.commit(forget, rule) == 1


async def test_rows_go_in_chunks_while_packets_come(place: Place) -> None:
    count = 2 * CHUNK + 7
    async with place.writer() as writer, place.reader() as reader:
        for first in range(0, count, 1000):
            await writer.store([old(n, 20) for n in range(first, min(first + 1000, count))], [])
        upkeep = Upkeep(reader, KEEP_10)
        await upkeep.roll_up(writer)
        before = writer.commits
        forgetting = asyncio.create_task(upkeep.forget(writer))
        stored, waited_s = 0, 0.0
        while not forgetting.done():
            began = time.monotonic()
            new = old(count + stored, 0, generated_at_us=T0 - DAY_US)  # in an hour of its own
            assert await writer.store([new], []) == [Fate.STORED]
            waited_s = max(waited_s, time.monotonic() - began)
            stored += 1
        await forgetting
        chunks = writer.commits - before - stored
    assert upkeep.forgotten["packet"] == count
    assert chunks >= 3
    assert stored >= 3  # packets were committed between the chunks
    assert waited_s < 5
    assert place.count("packet") == stored


async def test_sqlite_gives_the_space_back(file: Place) -> None:
    async with file.writer() as writer, file.reader() as reader:
        await writer.store([old(n, 20, frame=os.urandom(4000)) for n in range(1000)], [])
        upkeep = Upkeep(reader, KEEP_10)
        await upkeep.roll_up(writer)
        await upkeep.forget(writer)
        pages = await reader.ask(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar())
        assert pages is not None
        assert pages < 200  # of more than 1000
        commits = writer.commits
    assert commits < 15  # some hundred pages in each, and not one
    assert upkeep.forgot_at_us is not None
    assert upkeep.rolled_up_at_us is not None
