"""Hourly roll-ups are what all the packets of each hour say, whatever came when, and whoever rolled up meanwhile."""

import asyncio
import math
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundstation.archive import queries
from groundstation.archive.migrate import migrate
from groundstation.archive.rollups import (
    MarksGoneError,
    dirty_hours,
    keep_rollups,
    marked_hours,
    oldest_mark,
    sum_some,
    take_off,
)
from groundstation.archive.rows import HOUR_US, packet_row
from groundstation.archive.series import runs
from groundstation.archive.statements import insert_packets
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.telemetry.packet import Packet
from tests.archive.places import SECOND, T0, Place, migrations_to, packet
from tests.archive.rolling import roll_up, sum_up, sum_whole

HOUR0 = T0 // HOUR_US * HOUR_US
Rollups = dict[tuple[str, str, int], tuple[float, float, float, int]]
EVER = (-(1 << 60), 1 << 60)
ROLLUPS = "SELECT satellite, parameter, {hour}, min, max, mean, n FROM rollup_1h ORDER BY 1, 2, 3"


def rollups(place: Place) -> Rollups:
    hour = "hour" if place.engine == "sqlite" else "(extract(epoch FROM hour) * 1000000)::bigint"
    return {(row[0], row[1], row[2]): (row[3], row[4], row[5], row[6]) for row in place.rows(ROLLUPS.format(hour=hour))}


def recomputed(packets: list[Packet]) -> Rollups:
    """Return the roll-ups by another way: in Python, exactly added, from what `packets` answers."""
    values: dict[tuple[str, str, int], list[float]] = defaultdict(list)
    for one in packets:
        for name, value in one.values.items():
            if isinstance(value, bool | int | float):
                values[one.satellite, name, one.generated_at_us // HOUR_US * HOUR_US].append(float(value))
    return {key: (min(held), max(held), exact_mean(held), len(held)) for key, held in values.items()}


def exact_mean(held: list[float]) -> float:
    return math.fsum(value * 2.0**-40 for value in held) / len(held) * 2.0**40


def assert_same(found: Rollups, expected: Rollups) -> None:
    assert found.keys() == expected.keys()
    for key, (low, high, mean, n) in expected.items():
        assert found[key][:2] == (low, high)
        assert found[key][3] == n
        assert found[key][2] == pytest.approx(mean, rel=1e-12, abs=max(abs(low), abs(high)) * 1e-12)


async def everything(reader: queries.Reader) -> list[Packet]:
    found: list[Packet] = []
    for slug in await reader.ask(queries.stored_counts):
        found += await reader.ask(queries.packets, slug, *EVER)
    return found


async def test_hours_are_rolled_up_by_generation_time_numbers_alone(place: Place) -> None:
    given = [
        packet(0, generated_at_us=HOUR0, values={"v": 1.5, "mode": "SAFE", "on": True, "lost": None}),
        packet(1, generated_at_us=HOUR0 + HOUR_US - 1, values={"v": 2, "on": False}),
        packet(2, generated_at_us=HOUR0 + HOUR_US, values={"v": -4}),
        packet(3, generated_at_us=-1, values={"v": 7}),
        packet(4, generated_at_us=HOUR0, values={"v": 9}, satellite="aalto-1"),
    ]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store(given, [])
        await roll_up(writer, reader)
    assert rollups(place) == {
        ("horyu-4", "v", HOUR0): (1.5, 2, 1.75, 2),
        ("horyu-4", "on", HOUR0): (0, 1, 0.5, 2),
        ("horyu-4", "v", HOUR0 + HOUR_US): (-4, -4, -4, 1),
        ("horyu-4", "v", -HOUR_US): (7, 7, 7, 1),
        ("aalto-1", "v", HOUR0): (9, 9, 9, 1),
    }
    assert place.count("rollup_dirty") == 0
    seconds = place.rows("SELECT min(time), max(n) FROM telemetry_1h WHERE satellite = 'aalto-1'")
    assert seconds[0][0] == (HOUR0 / 1e6 if place.engine == "sqlite" else seconds[0][0])


@pytest.mark.parametrize("rolls_up", [False, True])
async def test_a_late_packet_makes_its_old_hour_dirty_again_and_a_duplicate_none(place: Place, rolls_up: bool) -> None:
    async with place.writer(rolls_up=rolls_up) as writer, place.reader() as reader:
        await writer.store([packet(0, values={"v": 1}), packet(9000, values={"v": 5})], [])
        await roll_up(writer, reader)
        await writer.store([packet(0, values={"v": 1}), packet(0, values={"v": 1}, station="cuhk")], [])
        assert await reader.ask(oldest_mark) == (0, None)
        await writer.store([packet(1, kind="dump", values={"v": 3})], [])
        assert await reader.ask(dirty_hours, "horyu-4", *EVER) == [HOUR0]
        await roll_up(writer, reader)
    assert rollups(place)["horyu-4", "v", HOUR0] == (1, 3, 2, 2)


@pytest.mark.parametrize("rolls_up", [False, True])
async def test_a_packet_that_comes_while_its_hour_is_summed_up_is_not_forgotten(place: Place, rolls_up: bool) -> None:
    async with place.writer(rolls_up=rolls_up) as writer, place.reader() as reader:
        await writer.store([packet(0, values={"v": 1})], [])
        summed = await sum_up(writer, reader)
        await writer.store([packet(1, values={"v": 3})], [])
        await writer.commit(keep_rollups, summed)
        assert rollups(place)["horyu-4", "v", HOUR0] == (1, 1, 1, 1)
        await roll_up(writer, reader)
    assert rollups(place)["horyu-4", "v", HOUR0] == (1, 3, 2, 2)


async def test_an_hour_is_summed_up_some_packets_at_a_time_whatever_comes_between(place: Place) -> None:
    at_once = [packet(n, generated_at_us=HOUR0 + 7, values={"v": n, "w": n % 3 == 0}) for n in range(10)]
    later = [packet(100 + n, generated_at_us=HOUR0 + 9, values={"v": -n}) for n in range(4)]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([*at_once, *later], [])
        hours = await reader.ask(marked_hours)
        for packets in (4, 3, 4, 3):
            assert hours[0].unread is not None
            await reader.ask(sum_some, hours, packets)
        await reader.ask(sum_some, hours, 1)
        assert hours[0].unread is None
        assert hours[0].packets == 14
        early = packet(200, generated_at_us=HOUR0, values={"v": 1000})
        await writer.store([early], [])
        await writer.commit(keep_rollups, hours)
        assert_same(rollups(place), recomputed([*at_once, *later]))
        assert await roll_up(writer, reader) == 1
    assert_same(rollups(place), recomputed([*at_once, *later, early]))


async def test_a_writer_that_is_told_of_each_look_leaves_one_mark_until_then(place: Place) -> None:
    on_file = place.engine == "sqlite"  # a server may have other daemons, of whose looks this writer hears nothing
    async with place.writer(rolls_up=True) as writer:
        for number in range(3):
            await writer.store([packet(number), packet(7200 + number)], [])
        assert place.count("rollup_dirty") == (2 if on_file else 6)
        await writer.mark_anew()
        await writer.store([packet(3)], [])
        await writer.store([packet(4)], [])
        assert place.count("rollup_dirty") == (3 if on_file else 8)


@pytest.mark.parametrize("moments", [{0}, {1}, {2}, {3}, {4}, {0, 1}, {1, 2}, {2, 3}, {3, 4}, {0, 1, 2, 3, 4}])
async def test_a_packet_may_come_at_any_moment_of_a_roll_up(place: Place, moments: set[int]) -> None:
    async with place.writer(rolls_up=True) as writer, place.reader() as reader:
        given = [packet(9)]
        await writer.store(given, [])
        for turn in range(2):  # the second turn finds what the first has left

            async def come(moment: int, turn: int = turn) -> None:
                if moment in moments and not turn:
                    given.append(packet(moment))
                    await writer.store(given[-1:], [])

            await come(0)
            hours = await reader.ask(marked_hours)
            await come(1)
            await writer.mark_anew()
            await come(2)
            await sum_whole(reader, hours, packets=1)
            await come(3)
            await writer.commit(keep_rollups, hours)
            await come(4)
        assert_same(rollups(place), recomputed(given))
        assert place.count("rollup_dirty") == 0


async def test_marks_that_another_program_took_off_are_left_anew(file: Place) -> None:
    async with file.writer(rolls_up=True) as one, file.writer(rolls_up=True) as other, file.reader() as reader:
        await one.store([packet(0, values={"v": 1})], [])
        await roll_up(other, reader)
        await one.store([packet(1, values={"v": 3})], [])
        await roll_up(other, reader)
    assert rollups(file)["horyu-4", "v", HOUR0] == (1, 3, 2, 2)


async def test_what_was_not_committed_has_left_no_mark_that_counts(file: Place) -> None:
    path = Path(file.url.removeprefix("sqlite:///"))
    async with file.writer(rolls_up=True) as writer:
        await writer.store([packet(0)], [])
        for part in path.parent.glob(f"{path.name}*"):
            part.unlink()
        file.migrate()
        with pytest.raises(ArchiveUnavailableError, match="deleted or replaced"):
            await writer.store([packet(1)], [])
        await writer.store([packet(1)], [])
    assert file.count("rollup_dirty") == file.count("packet") == 1


async def test_one_mark_is_as_good_as_many(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        for number in range(4):
            await writer.store([packet(number, values={"v": number})], [])
        [hour] = await reader.ask(marked_hours)
        await writer.commit(take_off, hour.marks[:-1])
        assert await reader.ask(oldest_mark) == (1, HOUR0)
        with pytest.raises(MarksGoneError):
            await writer.commit(take_off, hour.marks[1:])
        assert await reader.ask(oldest_mark) == (1, HOUR0)
        assert await roll_up(writer, reader) == 1
    assert rollups(place)["horyu-4", "v", HOUR0] == (0, 3, 1.5, 4)


async def test_of_two_that_roll_up_at_once_the_later_gives_up_whole(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(0, values={"v": 1})], [])
        old = await sum_up(writer, reader)
        await writer.store([packet(1, values={"v": 3}), packet(7200, values={"v": 0})], [])
        new = await sum_up(writer, reader)
        await writer.commit(keep_rollups, new)
        with pytest.raises(MarksGoneError):
            await writer.commit(keep_rollups, old)
        assert rollups(place)["horyu-4", "v", HOUR0] == (1, 3, 2, 2)
        assert await writer.store([packet(2)], []) != []  # the writer goes on


@pytest.mark.parametrize("rolls_up", [False, True])
async def test_two_that_roll_up_beside_what_comes_forget_nothing(place: Place, rolls_up: bool) -> None:
    done = False

    async def keep_rolling_up(writer: Writer, reader: queries.Reader) -> int:
        gave_up = 0
        while not done:
            try:
                await writer.commit(keep_rollups, await sum_up(writer, reader, packets=20))
            except MarksGoneError:
                gave_up += 1
        return gave_up

    async with place.writer(rolls_up=rolls_up) as writer, place.reader() as one, place.reader() as other:
        rolling = [asyncio.create_task(keep_rolling_up(writer, reader)) for reader in (one, other)]
        for first in range(0, 1000, 10):
            new = [
                packet(n, generated_at_us=HOUR0 + n % 3 * HOUR_US + n * 7 % 50, values={"v": n, "w": n % 7 == 0})
                for n in range(first, first + 10)
            ]
            await writer.store([*new, packet(first // 2)], [])
        done = True
        assert sum(await asyncio.gather(*rolling)) > 0  # they met
        await roll_up(writer, one)
        assert_same(rollups(place), recomputed(await everything(one)))


async def test_what_retention_left_of_an_hour_does_not_replace_the_whole(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(number, values={"v": number}) for number in range(4)], [])
        await roll_up(writer, reader)
        await writer.commit(lambda connection: connection.exec_driver_sql("DELETE FROM packet"))
        await writer.store([packet(4, values={"v": 4})], [])
        await roll_up(writer, reader)
    assert rollups(place)["horyu-4", "v", HOUR0] == (0, 3, 1.5, 4)
    assert place.count("rollup_dirty") == 0


async def test_the_greatest_numbers_there_are_do_not_stop_it(place: Place) -> None:
    huge = 1.7e308
    given = [packet(number, values={"v": sign * huge}) for number, sign in enumerate((1, 1, 1, -1))]
    async with place.writer() as writer, place.reader() as reader:
        await writer.store(given, [])
        await roll_up(writer, reader)
    [(low, high, mean, n)] = rollups(place).values()
    assert (low, high, n) == (-huge, huge, 4)
    assert mean == pytest.approx(huge / 2)


async def test_an_archive_from_before_roll_ups_is_rolled_up_whole(nowhere: Place, tmp_path: Path) -> None:
    migrate(nowhere.url, nowhere.password_file, migrations=migrations_to("0004", tmp_path))
    given = [packet(number * 1800, values={"v": number}) for number in (-1, 0, 1, 2, 3)]
    given.append(packet(77, generated_at_us=-1, values={"v": 1}))
    rows = [packet_row(one, T0 + number) for number, one in enumerate(given)]
    async with nowhere.writer() as writer, nowhere.reader() as reader:
        await writer.commit(insert_packets, rows)
        await asyncio.to_thread(nowhere.migrate)
        marks = await reader.ask(dirty_hours, "horyu-4", *EVER)
        assert marks == sorted({one.generated_at_us // HOUR_US * HOUR_US for one in given})
        await roll_up(writer, reader, hours=2)
        assert_same(rollups(nowhere), recomputed(given))


VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "c"]),
    st.one_of(
        st.floats(allow_nan=False, allow_infinity=False, width=32),
        st.integers(-(2**63), 2**63 - 1),
        st.booleans(),
        st.sampled_from(["SAFE", "12", ""]),
        st.none(),
    ),
    max_size=3,
)
PACKETS = st.lists(
    st.tuples(st.integers(-3 * HOUR_US, 3 * HOUR_US), VALUES, st.sampled_from(["horyu-4", "aalto-1"])), max_size=12
)
STEPS = st.lists(st.one_of(PACKETS, st.integers(1, 3)), max_size=6)  # packets that come, or some hours rolled up


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, rolls_up=st.booleans())
def test_in_whatever_order_things_happen_it_equals_a_full_recomputation(
    place: Place, steps: list[Any], rolls_up: bool
) -> None:
    asyncio.run(happen(place, steps, rolls_up=rolls_up))


async def happen(place: Place, steps: list[Any], *, rolls_up: bool) -> None:
    async with place.writer(rolls_up=rolls_up) as writer, place.reader() as reader:
        for number, step in enumerate(steps):
            if isinstance(step, int):
                await writer.commit(keep_rollups, await sum_up(writer, reader, step))
            else:
                given = [
                    packet(1000 * number + place_, generated_at_us=HOUR0 + at, values=values, satellite=slug)
                    for place_, (at, values, slug) in enumerate(step)
                ]
                await writer.store(given, [])
        await roll_up(writer, reader)
        assert_same(rollups(place), recomputed(await everything(reader)))


def test_runs_are_hours_without_a_hole() -> None:
    assert runs([0, HOUR_US, 3 * HOUR_US]) == [(0, HOUR_US), (3 * HOUR_US, 3 * HOUR_US)]
    assert SECOND * 3600 == HOUR_US
