"""A batch is stored in one transaction, and every packet's fate is exact."""

import asyncio
import math
import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from groundstation.archive import queries
from groundstation.archive.rows import PAYLOAD_MOST
from groundstation.archive.tables import quarantine
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.packet import Fate, Level, Message, Reason
from tests.archive.places import SECOND, T0, Place, packet, rejection

STORED, DUPLICATE, QUARANTINED = Fate.STORED, Fate.DUPLICATE, Fate.QUARANTINED
ALL = (-1 << 52, 1 << 52)  # from 1827 to 2112


async def test_a_packet_comes_back_as_it_went_in(place: Place) -> None:
    given = [
        packet(0, values={"a": 1, "b": 1.0, "c": True, "d": "1.50", "e": None, "f": 2**63, "g": -1.5e-300, "ü": "€"}),
        packet(1, levels={"battery_v": Level.SEVERE, "mode": Level.WATCH}, faults=("reboots: found nil",)),
        packet(2, sequence=None, levels={}, reception={}, kind="dump", frame=bytes(range(256))),
        packet(3, generated_at_us=T0 - 1, received_at_us=1),
    ]
    async with place.writer() as writer, place.reader() as reader:
        assert await writer.store(given, []) == [STORED] * 4
        found = await reader.ask(queries.packets, "horyu-4", *ALL)
    assert sorted(found, key=lambda one: one.digest) == sorted(given, key=lambda one: one.digest)
    types = {name: type(value) for one in found for name, value in one.values.items()}
    assert [types[name] for name in "abcd"] == [int, float, bool, str]


async def test_every_time_keeps_its_microsecond(place: Place) -> None:
    times = [-62_135_596_800_000_000, -1, 0, 1, T0 + 999_999, 253_402_300_799_999_998]  # years 1 to 9999
    given = [packet(n, generated_at_us=time, received_at_us=time) for n, time in enumerate(times)]
    async with place.writer() as writer, place.reader() as reader:
        assert await writer.store(given, []) == [STORED] * len(times)
        found = await reader.ask(queries.packets, "horyu-4", -(1 << 62), 1 << 62)
        assert await writer.store(given, []) == [DUPLICATE] * len(times)
    assert [one.generated_at_us for one in found] == times
    assert [one.received_at_us for one in found] == times


async def test_a_packet_is_stored_once_whether_it_comes_again_at_once_or_later(place: Place) -> None:
    async with place.writer() as writer:
        assert await writer.store([packet(1), packet(2), packet(1)], []) == [STORED, STORED, DUPLICATE]
        assert await writer.store([packet(2), packet(3), packet(3)], []) == [DUPLICATE, STORED, DUPLICATE]
    assert place.count("packet") == 3
    assert place.count("reception") == 0


async def test_packets_differ_by_satellite_by_generation_time_and_by_frame(place: Place) -> None:
    given = [packet(), packet(satellite="aalto-1"), packet(generated_at_us=T0 + 1), packet(digest=7)]
    async with place.writer() as writer:
        assert await writer.store(given, []) == [STORED] * 4


async def test_another_station_adds_a_reception_and_no_packet(place: Place) -> None:
    first = packet(1)
    second = packet(1, station="cuhk", received_at_us=T0 + 9, link="other", reception={"snr_db": 3})
    third = packet(1, station="polyu", kind="dump")
    async with place.writer() as writer, place.reader() as reader:
        assert await writer.store([first, second], []) == [STORED, DUPLICATE]
        assert await writer.store([second, third, first], []) == [DUPLICATE] * 3
        counts = await reader.ask(queries.reception_counts)
        (heard,) = await reader.ask(queries.heard, "horyu-4", "cuhk", *ALL)
    assert place.count("packet") == 1
    assert counts == {("horyu-4", "hko"): 1, ("horyu-4", "cuhk"): 1, ("horyu-4", "polyu"): 1}
    assert isinstance(heard, queries.Heard)
    assert (heard.received_at_us, heard.link, heard.reception) == (T0 + 9, "other", {"snr_db": 3})
    assert heard.frame == first.frame


async def test_a_rejection_is_kept_whole_and_once(place: Place) -> None:
    odd = rejection(1, topic="gs/\0/\ud800", error="found \0 and \udfff", payload=bytes(range(256)))
    async with place.writer() as writer, place.reader() as reader:
        assert await writer.store([], [odd, rejection(2)]) == []
        assert await writer.store([], [odd]) == []  # the same call again, as after a lost answer
        _, first = sorted(await reader.ask(queries.quarantined), key=lambda one: one.payload, reverse=True)
    assert (first.topic, first.error) == ("gs/\ufffd/\\ud800", "found \ufffd and \\udfff")
    assert (first.payload, first.payload_bytes) == (odd.payload, 256)
    assert (first.link, first.arrived_at_us, first.reason) == ("main", odd.arrived_at_us, "frame")


async def test_equal_rejections_of_one_microsecond_are_all_counted(place: Place) -> None:
    async with place.writer() as writer:
        await writer.store([], [rejection(1)] * 3)
        await writer.store([], [rejection(1)] * 3)
    assert place.rows("SELECT times FROM quarantine") == [(3,)]


async def test_of_a_huge_payload_the_beginning_and_the_length_are_kept(place: Place) -> None:
    payload = b"\0" * (PAYLOAD_MOST + 5)
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([], [rejection(payload=payload, reason=Reason.OVERSIZE)])
        (found,) = await reader.ask(queries.quarantined)
    assert (len(found.payload), found.payload_bytes) == (PAYLOAD_MOST, PAYLOAD_MOST + 5)


@pytest.mark.parametrize(
    "change",
    [
        {"sequence": 2**63},
        {"generated_at_us": 2**62},
        {"received_at_us": -(2**62)},
        {"digest": 2**63},
        {"station": None},
        {"frame": None},
    ],
    ids=str,
)
async def test_what_the_database_refuses_goes_to_quarantine_alone(place: Place, change: dict[str, object]) -> None:
    message = Message("main", "gs/v1/hko/horyu-4/telemetry", b"as it came", T0 + 5)
    given = [packet(number) for number in range(9)]
    given[4] = packet(4, **change, message=message)
    async with place.writer() as writer, place.reader() as reader:
        fates = await writer.store(given, [rejection()])
        (held,) = await reader.ask(queries.quarantined, quarantine.c.reason == "unstorable")
        again = await writer.store(given, [rejection()])
        assert (writer.up, writer.errors, writer.commits) == (True, 0, 2)
    assert fates == [STORED] * 4 + [QUARANTINED] + [STORED] * 4
    assert again == [DUPLICATE] * 4 + [QUARANTINED] + [DUPLICATE] * 4
    assert place.count("packet") == 8
    assert place.count("quarantine") == 2
    assert (held.reason, held.topic, held.payload, held.arrived_at_us) == (
        "unstorable",
        message.topic,
        message.payload,
        message.arrived_at_us,
    )
    assert held.error


@pytest.mark.parametrize("whole", [True, False])
async def test_text_that_no_database_takes_does_not_cost_the_packet(place: Place, whole: bool) -> None:
    values = {"nul": "a\0b", "surrogate": "\ud800", "nan": math.nan, "endless": -math.inf, "escape": "\\u0000"}
    given = packet(values=values, faults=("nul: \0",), reception={"note": "\0"}, whole=whole)
    async with place.writer() as writer, place.reader() as reader:
        assert await writer.store([given], []) == [STORED]
        (found,) = await reader.ask(queries.packets, "horyu-4", *ALL)
        latest = {one.parameter: one.value for one in await reader.ask(queries.latest, "horyu-4")}
    assert found.values == latest
    assert latest == {"nul": "a\ufffdb", "surrogate": "\\ud800", "nan": None, "endless": None, "escape": "\\u0000"}
    assert (found.faults, found.reception) == (("nul: \ufffd",), {"note": "\ufffd"})


@pytest.mark.parametrize("whole", [True, False])
async def test_latest_is_the_newest_by_generation_time_in_any_order(place: Place, whole: bool) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(number, whole=whole) for number in (5, 7, 6)], [])
        await writer.store([packet(3, whole=whole)], [])
        await writer.store([packet(8, values={"mode": "NOMINAL"}, levels={"mode": Level.WATCH})], [])
        latest = {one.parameter: one for one in await reader.ask(queries.latest, "horyu-4")}
        assert await reader.ask(queries.latest, "aalto-1") == []
    assert latest["battery_v"].value == 14.25
    assert latest["battery_v"].generated_at_us == T0 + 7 * SECOND
    assert latest["battery_v"].level is Level.WARNING
    assert (latest["mode"].value, latest["mode"].level) == ("NOMINAL", Level.WATCH)
    assert latest["heater_on"].value is True


async def test_a_parameter_that_a_new_definition_has_no_longer_leaves_the_latest(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(1, values={"x": 1, "y": 1})], [])
        await writer.store([packet(2, values={"x": 2, "y": 2}, whole=True)], [])
        await writer.store([packet(3, values={"y": 3}, whole=True)], [])
        assert {one.parameter: one.value for one in await reader.ask(queries.latest, "horyu-4")} == {"y": 3}
        await writer.store([packet(4, values={"x": 4})], [])  # and is there again where it comes all the same
        latest = {one.parameter: one.value for one in await reader.ask(queries.latest, "horyu-4")}
    assert latest == {"x": 4, "y": 3}


@pytest.mark.parametrize("whole", [True, False])
async def test_latest_comes_from_realtime_packets_alone(place: Place, whole: bool) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(1, whole=whole), packet(9, kind="dump", whole=whole)], [])
        latest = {one.parameter: one.value for one in await reader.ask(queries.latest, "horyu-4")}
    assert latest["reboots"] == 1


@pytest.mark.parametrize("whole", [True, False])
async def test_of_equal_generation_times_the_first_to_come_stays_latest(place: Place, whole: bool) -> None:
    same = {"generated_at_us": T0, "whole": whole}
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(1, **same), packet(2, **same)], [])
        await writer.store([packet(3, **same)], [])
        await writer.store([packet(4, generated_at_us=T0, whole=not whole)], [])
        latest = {one.parameter: one.value for one in await reader.ask(queries.latest, "horyu-4")}
    assert latest["reboots"] == 1


async def test_packets_keep_their_order_of_arrival_where_their_times_are_equal(place: Place) -> None:
    given = [packet(n, generated_at_us=T0, received_at_us=T0) for n in (4, 1, 3, 0, 2)]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store(given[:3], [])
        await writer.store(given[3:], [])
        found = await reader.ask(queries.packets, "horyu-4", *ALL)
        heard = await reader.ask(queries.heard, "horyu-4", "hko", *ALL)
    assert [one.sequence for one in found] == [4, 1, 3, 0, 2]
    assert [one.frame for one in heard if isinstance(one, queries.Heard)] == [one.frame for one in given]


@pytest.mark.parametrize("whole", [True, False])
async def test_the_views_have_a_row_for_each_parameter(place: Place, whole: bool) -> None:
    values = {"v": 7.5, "mode": "SAFE", "on": True, "bad": None}
    async with place.writer() as writer:
        await writer.store([packet(1, values=values, levels={"v": Level.SEVERE}, whole=whole)], [])
    wanted = [
        ("bad", None, None, "in_limits"),
        ("mode", None, "SAFE", "in_limits"),
        ("on", 1.0, "true", "in_limits"),
        ("v", 7.5, "7.5", "severe"),
    ]
    columns = "parameter, value, text, level"
    assert place.rows(f"SELECT {columns} FROM telemetry ORDER BY parameter") == wanted
    assert place.rows(f"SELECT {columns} FROM telemetry_latest ORDER BY parameter") == wanted
    seconds = "time" if place.engine == "sqlite" else "extract(epoch FROM time)"
    assert {float(time) for (time,) in place.rows(f"SELECT {seconds} FROM telemetry")} == {(T0 + SECOND) / 1e6}


async def test_writers_that_share_a_database_store_each_packet_once_and_do_not_deadlock(server: Place) -> None:
    batches = [[packet(number) for number in range(first, first + 2000)] for first in range(0, 4000, 1000)]
    async with server.writer() as one, server.writer() as other:
        fates: list[Sequence[Fate]] = []
        for batch in batches:
            fates += await asyncio.gather(one.store(batch, []), other.store(batch[::-1], []))
        assert (one.errors, other.errors) == (0, 0)
    assert server.count("packet") == 5000
    assert sum(fate is STORED for batch_fates in fates for fate in batch_fates) == 5000


async def test_the_writer_waits_for_another_program_to_release_the_file(file: Place) -> None:
    path = file.url.removeprefix("sqlite:///")
    holder = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    holder.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: holder.execute("COMMIT"))
    release.start()
    async with file.writer() as writer:
        assert await writer.store([packet()], []) == [STORED]
        assert writer.write_seconds > 0.25
    release.join()
    holder.close()


async def test_a_reader_cannot_write_and_does_not_block_the_writer(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        with pytest.raises(ArchiveUnavailableError, match=r"read-?only"):
            await reader.ask(lambda connection: connection.exec_driver_sql("DELETE FROM packet"))
        inside, done = threading.Event(), threading.Event()

        def slow(connection: object) -> None:
            connection.exec_driver_sql("SELECT count(*) FROM packet").all()  # type: ignore[attr-defined]
            inside.set()
            done.wait(10)

        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(reader.ask_now, slow)
            inside.wait(10)
            assert await writer.store([packet()], []) == [STORED]
            done.set()
            reading.result()


async def test_counters_tell_what_was_written(place: Place) -> None:
    async with place.writer() as writer:
        assert (writer.commits, writer.last_commit_at_us, writer.up) == (0, None, True)
        await writer.store([packet()], [])
        await writer.store([], [])
        assert (writer.commits, writer.errors, writer.up) == (2, 0, True)
        assert writer.last_commit_at_us is not None
        assert writer.last_commit_at_us > T0 // 2
        assert 0 < writer.write_seconds < 10
