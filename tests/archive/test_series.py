"""A parameter over a stretch of time: raw or rolled up, with its gaps, the same on either engine."""

from dataclasses import replace

import pytest
from sqlalchemy import Connection

from groundstation.archive import queries
from groundstation.archive.chunks import Stretch, values_of
from groundstation.archive.rows import HOUR_US
from groundstation.archive.series import Sample, Summary, samples, summaries
from groundstation.telemetry.packet import Packet, Value
from tests.archive.places import SECOND, T0, Place, packet
from tests.archive.rolling import roll_up

HOUR0 = T0 // HOUR_US * HOUR_US
DAY_US = 24 * HOUR_US


def at(second: int, value: object, **changes: object) -> Packet:
    return packet(second, generated_at_us=HOUR0 + second * SECOND, values={"v": value}, **changes)


def v(from_s: int, to_s: int, by: queries.By = "generated_at") -> Stretch:
    return Stretch("horyu-4", "v", HOUR0 + from_s * SECOND, HOUR0 + to_s * SECOND, by)


async def store(place: Place, given: list[Packet], *, rolled_up: bool = False) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await writer.store(given, [])
        if rolled_up:
            await roll_up(writer, reader)


async def test_every_value_comes_back_in_order_with_its_type(place: Place) -> None:
    values = [1, 2.5, True, "SAFE", None, -(2**63)]
    await store(place, [at(n, value) for n, value in reversed(list(enumerate(values)))] + [packet(50, values={"w": 1})])
    async with place.reader() as reader:
        found = await reader.ask(samples, v(0, 100))
        assert [(type(one.value), one.value) for one in found] == [(type(value), value) for value in values]
        assert [one.at_us for one in found] == [HOUR0 + n * SECOND for n in range(6)]
        assert [one.value for one in await reader.ask(samples, v(1, 3))] == [2.5, True]
        assert [one.value for one in await reader.ask(samples, v(0, 9), most=2)] == [1, 2.5]
        assert await reader.ask(samples, Stretch("aalto-1", "v", 0, 1 << 60)) == []


@pytest.mark.parametrize("by", ["generated_at", "received_at"])
async def test_values_read_some_packets_at_a_time_are_all_there_once(place: Place, by: queries.By) -> None:
    given = [at(n // 4, n, digest=n * 7 % 40, received_at_us=HOUR0 + n // 4 * SECOND) for n in range(40)]
    others = [replace(one, digest=-1 - n, values={"w": "[]"}) for n, one in enumerate(given[::3])]
    texts = [replace(one, digest=50 + n, values={"v": "[]"}) for n, one in enumerate(given[::9])]
    await store(place, given + others + texts)
    async with place.reader() as reader:
        whole = await reader.ask(all_values, v(0, 100, by), 1000)
        assert sorted(value for _, value in whole if isinstance(value, int)) == list(range(40))
        assert [value for _, value in whole if not isinstance(value, int)] == ["[]"] * 5
        assert [at_us for at_us, _ in whole] == sorted(at_us for at_us, _ in whole)
        for most in (1, 3, len(given + others + texts)):
            assert await reader.ask(all_values, v(0, 100, by), most) == whole


def all_values(connection: Connection, of: Stretch, most: int) -> list[tuple[int, Value]]:
    return [one for times_us, values in values_of(connection, of, most) for one in zip(times_us, values, strict=True)]


async def test_where_data_pauses_stands_a_point_without_a_value(place: Place) -> None:
    await store(place, [at(n, n) for n in (0, 10, 20, 600, 610, 620, 651)])
    async with place.reader() as reader:
        by_itself = await reader.ask(samples, v(0, 1000))
        told = await reader.ask(samples, v(0, 1000), pause_us=20 * SECOND)
    assert [one.value for one in by_itself] == [0, 10, 20, None, 600, 610, 620, None, 651]
    assert by_itself[3] == Sample(HOUR0 + 310 * SECOND, None)
    assert [one.value for one in told] == [0, 10, 20, None, 600, 610, 620, None, 651]


async def test_a_stretch_is_asked_for_by_reception_time_too(place: Place) -> None:
    dump = at(5, "late", kind="dump", received_at_us=HOUR0 + 500 * SECOND)
    await store(place, [at(1, 1, received_at_us=HOUR0 + 2 * SECOND), dump])
    async with place.reader() as reader:
        assert [one.value for one in await reader.ask(samples, v(0, 100))] == [1, "late"]
        assert [one.value for one in await reader.ask(samples, v(0, 100, "received_at"))] == [1]
        [late] = await reader.ask(samples, v(400, 600, "received_at"))
        assert late == Sample(HOUR0 + 500 * SECOND, "late")
        [rolled] = await reader.ask(summaries, v(0, 100, "received_at"), 1)
        assert rolled.n == 1


async def test_narrow_points_are_summed_up_from_packets_with_their_gaps(place: Place) -> None:
    await store(place, [at(n, value) for n, value in ((0, 1), (3, 3), (9, "no number"), (10, True), (45, -2.5))])
    async with place.reader() as reader:
        found = await reader.ask(summaries, v(0, 100), 10)
    assert [(one.at_us - HOUR0) // SECOND for one in found] == [0, 10, 20, 40]
    assert found[0] == Summary(HOUR0, 1, 3, 2, 2)
    assert found[1:3] == [Summary(HOUR0 + 10 * SECOND, 1, 1, 1, 1), Summary(HOUR0 + 20 * SECOND, None, None, None, 0)]


@pytest.mark.parametrize("rolled_up", [True, False])
async def test_wide_points_are_the_same_rolled_up_or_not_yet(place: Place, rolled_up: bool) -> None:
    given = [at(hour * 3600 + n, hour + n) for hour in (*range(50), 90, 91) for n in (0, 1800, 3599)]
    await store(place, given, rolled_up=rolled_up)
    stretch = v(0, 100 * 3600)
    async with place.reader() as reader:
        found = await reader.ask(summaries, stretch, 10)
        narrow = await reader.ask(summaries, replace(stretch, by="received_at"), 1)
    assert {one.at_us % (10 * HOUR_US) for one in found} == {0}
    real = [one for one in found if one.n]
    assert sum(one.n for one in real) == len(given)
    assert min(one.min for one in real if one.min is not None) == 0
    assert max(one.max for one in real if one.max is not None) == 91 + 3599
    total = sum(one.mean * one.n for one in real if one.mean is not None)
    assert total == pytest.approx(sum(float(str(one.values["v"])) for one in given))
    assert sum(one.n for one in narrow) > 0
    assert [one for one in found if not one.n] == [one for one in found if one.mean is None] != []


async def test_points_stay_as_they_are_while_the_window_moves(place: Place) -> None:
    await store(place, [at(n * 60, n) for n in range(300)])
    async with place.reader() as reader:
        one = await reader.ask(summaries, v(0, 10_000), 100)
        other = await reader.ask(summaries, v(1234, 11_234), 100)
    inner = {point.at_us: point for point in one[20:]}
    assert all(inner[point.at_us] == point for point in other[2:-20] if point.at_us in inner)
    assert len({point.at_us for point in other} & inner.keys()) > 50


async def test_hours_show_what_retention_took(place: Place) -> None:
    await store(place, [at(n, n) for n in range(10)], rolled_up=True)
    async with place.writer() as writer, place.reader() as reader:
        await writer.commit(lambda connection: connection.exec_driver_sql("DELETE FROM packet"))
        assert await reader.ask(summaries, v(0, 3600), 500) == [Summary(HOUR0, 0, 9, 4.5, 10)]
        assert await reader.ask(samples, v(0, 3600)) == []


async def test_an_hour_before_1970_is_found(place: Place) -> None:
    early = packet(1, generated_at_us=-1, values={"v": 5})
    await store(place, [early])
    stretch = Stretch("horyu-4", "v", -DAY_US, DAY_US)
    async with place.reader() as reader:
        assert [one.n for one in await reader.ask(summaries, stretch, 4)] == [1]
        assert (await reader.ask(summaries, stretch, 10_000))[0].n == 1


async def test_the_name_of_a_parameter_is_data_and_no_sql(place: Place) -> None:
    name = "a' OR 1=1 --"
    await store(place, [packet(1, values={name: 4, "b": 5})])
    async with place.reader() as reader:
        assert [one.value for one in await reader.ask(samples, Stretch("horyu-4", name, 0, 1 << 60))] == [4]
        assert await reader.ask(samples, Stretch("horyu-4", "x' OR '1", 0, 1 << 60)) == []
        with pytest.raises(ValueError, match="expected a name of letters"):
            await reader.ask(samples, Stretch("horyu-4", 'b"', 0, 1 << 60))
