"""What the archive answers, and in which order."""

import os
import shutil
from pathlib import Path

import pytest

from groundstation.archive import pass_queries, queries
from groundstation.archive.migrate import MIGRATIONS, migrate, newest_revision
from groundstation.archive.rows import HOUR_US
from groundstation.archive.space import space
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.packet import Reason
from tests.archive.places import SECOND, T0, Place, packet, rejection

ALL = (-(1 << 62), 1 << 62)


async def test_packets_are_found_by_generation_or_by_reception_time(place: Place) -> None:
    late = packet(1, kind="dump", received_at_us=T0 + 50 * SECOND)
    given = [packet(3), packet(5), late, packet(4, station="cuhk", packet="beacon")]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store(given, [])
        ask = reader.ask
        by_generation = await ask(queries.packets, "horyu-4", T0 + 1 * SECOND, T0 + 5 * SECOND)
        by_reception = await ask(queries.packets, "horyu-4", T0 + 4 * SECOND, T0 + 60 * SECOND, by="received_at")
        of_station = await ask(queries.packets, "horyu-4", *ALL, station="cuhk")
        of_name = await ask(queries.packets, "horyu-4", *ALL, name="housekeeping")
        first = await ask(queries.packets, "horyu-4", *ALL, most=1)
        assert await ask(queries.packets, "aalto-1", *ALL) == []
    assert [one.sequence for one in by_generation] == [1, 3, 4]
    assert [one.sequence for one in by_reception] == [4, 5, 1]
    assert [one.sequence for one in of_station] == [4]
    assert [one.sequence for one in of_name] == [1, 3, 5]
    assert [one.sequence for one in first] == [1]


async def test_what_a_station_heard_holds_its_quarantine_and_nobody_elses(place: Place) -> None:
    shared = packet(2)
    given = [
        packet(1),
        shared,
        packet(2, station="cuhk", received_at_us=shared.received_at_us + 7),
        packet(4, station="cuhk"),
        packet(9),
        packet(3, satellite="aalto-1"),
    ]
    wrong = [
        rejection(3),
        rejection(3, topic="gs/v1/cuhk/horyu-4/telemetry", payload=b"of cuhk"),
        rejection(3, topic="gs/v1/hko/horyu-4x/telemetry"),
        rejection(3, topic="gs/v1/hko/horyu-4/status"),
        rejection(8),
    ]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store(given, wrong)
        hko = await reader.ask(queries.heard, "horyu-4", "hko", T0, T0 + 8 * SECOND)
        cuhk = await reader.ask(queries.heard, "horyu-4", "cuhk", T0, T0 + 8 * SECOND)
    assert [described(one) for one in hko] == [b"frame 1", b"frame 2", b"payload 3"]
    assert [described(one) for one in cuhk] == [b"frame 2", b"of cuhk", b"frame 4"]


async def test_a_message_that_came_before_a_stretch_and_in_it_is_heard_in_it(place: Place) -> None:
    first = T0 // HOUR_US * HOUR_US
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([], [rejection(1, arrived_at_us=first + second * SECOND) for second in (5, 100, 2000)])
        heard = queries.heard
        found = [
            [one.arrived_at_us - first for one in await reader.ask(heard, "horyu-4", "hko", first + a, first + b)
             if isinstance(one, queries.Quarantined)]
            for a, b in ((0, 6 * SECOND), (1000 * SECOND, HOUR_US), (HOUR_US, 2 * HOUR_US))
        ]  # fmt: skip
    assert found == [[5 * SECOND], [2000 * SECOND], []]


def described(one: queries.Heard | queries.Quarantined) -> bytes:
    return one.frame if isinstance(one, queries.Heard) else one.payload


async def test_counts_are_by_satellite_and_by_reason(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        assert await reader.ask(queries.stored_counts) == {}
        await writer.store(
            [packet(1), packet(2), packet(1), packet(1, satellite="aalto-1")],
            [rejection(1), rejection(2), rejection(3, reason=Reason.TIME)],
        )
        assert await reader.ask(queries.stored_counts) == {"horyu-4": 2, "aalto-1": 1}


async def test_space_is_what_the_archive_takes(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        before, _ = await reader.ask(space)
        await writer.store([packet(number, frame=os.urandom(2000)) for number in range(500)], [])
        after, free = await reader.ask(space)
    assert 500_000 < after - before < 5_000_000
    assert (free is None) == (place.engine == "postgresql")


async def test_times_are_found_through_an_index(place: Place) -> None:
    async with place.writer() as writer:
        await writer.store([packet(number) for number in range(3000)], [])
    plan = "EXPLAIN QUERY PLAN" if place.engine == "sqlite" else "EXPLAIN"
    literal = str if place.engine == "sqlite" else lambda us: f"to_timestamp({us / 1e6})"
    for column, index in (("generated_at", "pk_packet|autoindex"), ("received_at", "ix_packet_satellite_received_at")):
        within = f"{column} >= {literal(T0)} AND {column} < {literal(T0 + SECOND)}"
        said = str(place.rows(f"{plan} SELECT * FROM packet WHERE satellite = 'horyu-4' AND {within}"))
        assert any(name in said for name in index.split("|")), said


def test_an_archive_of_another_revision_is_called_that(nowhere: Place, tmp_path: Path) -> None:
    old = shutil.copytree(MIGRATIONS, tmp_path / "migrations")
    for later in old.glob("versions/000[4-9]*"):
        later.unlink()
    migrate(nowhere.url, nowhere.password_file, migrations=old)
    revisions = f"found an archive of revision 0003, expected {newest_revision()}: `groundstation db upgrade`"
    with pytest.raises(ArchiveUnavailableError, match=revisions):
        nowhere.reader().ask_now(pass_queries.pass_of, 1)
    nowhere.migrate()
    assert nowhere.reader().ask_now(pass_queries.pass_of, 1) is None
    with pytest.raises(ArchiveUnavailableError, match="nowhere"):  # the driver's own words where that is not why
        nowhere.reader().ask_now(lambda connection: connection.exec_driver_sql("SELECT * FROM nowhere"))
