"""A pass keeps its number while its prediction moves."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from groundstation.archive import pass_queries
from groundstation.archive.predictions import Known, match, overlap_us, pass_row
from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import Pass
from groundstation.telemetry.definition import load_definition
from tests.archive.places import Place

NOW = datetime.now(UTC).replace(microsecond=0)
MINUTE = timedelta(minutes=1)


def a_pass(begins_min: float, **changes: Any) -> Pass:
    """Return a pass of ten minutes that begins so many minutes from now."""
    aos = NOW + begins_min * MINUTE
    plain = Pass(
        satellite="horyu-4",
        norad_id=41340,
        site="hko",
        aos=aos,
        culmination=aos + 5 * MINUTE,
        tca=aos + 5 * MINUTE,
        los=aos + 10 * MINUTE,
        aos_azimuth_deg=10.5,
        culmination_azimuth_deg=100.25,
        los_azimuth_deg=190.125,
        max_elevation_deg=45.0,
        tca_range_km=750.0,
        in_progress_at_start=False,
        in_progress_at_end=False,
        elements_epoch=NOW - timedelta(days=1),
        ut1="builtin",
    )
    return replace(plain, **changes)


def moved(one: Pass, seconds: float) -> Pass:
    by = timedelta(seconds=seconds)
    assert one.aos is not None
    assert one.los is not None
    return replace(one, aos=one.aos + by, culmination=one.culmination + by, tca=one.tca + by, los=one.los + by)


async def test_a_pass_keeps_its_number_and_takes_its_new_times(place: Place) -> None:
    first = [a_pass(30), a_pass(125), a_pass(30, site="cuhk"), a_pass(33, satellite="aalto-1", norad_id=42775)]
    again = [moved(one, seconds) for one, seconds in zip(first, (2.5, -40, 0, 200), strict=True)]
    async with place.writer() as writer, place.reader() as reader:
        numbers = await writer.save_passes(first)
        assert await writer.save_passes(again[::-1]) == numbers[::-1]
        (later,) = await writer.save_passes([a_pass(220)])
        kept = await reader.ask(pass_queries.passes_since, 0)
        one = await reader.ask(pass_queries.pass_of, numbers[0])
        assert await reader.ask(pass_queries.pass_of, later + 1) is None
    assert len({*numbers, later}) == 5
    assert sorted(one.id for one in kept) == sorted([*numbers, later])
    assert one is not None
    assert again[0].aos is not None
    assert (one.aos_us, one.max_elevation_deg, one.station) == (microseconds(again[0].aos), 45.0, "hko")


async def test_the_pass_under_way_is_found(place: Place) -> None:
    given_passes = [a_pass(-200), a_pass(-100), a_pass(-5), a_pass(90)]
    async with place.writer() as writer, place.reader() as reader:
        numbers = await writer.save_passes(given_passes)
        under_way = await reader.ask(pass_queries.pass_at, "horyu-4", microseconds(NOW))
    assert under_way is not None
    assert under_way.id == numbers[2]


async def test_a_pass_whose_edges_are_unknown_is_one_pass(place: Place) -> None:
    always = a_pass(0, aos=None, los=None, aos_azimuth_deg=None, los_azimuth_deg=None)
    async with place.writer() as writer, place.reader() as reader:
        numbers = await writer.save_passes([always])
        assert await writer.save_passes([replace(always, culmination=NOW + 300 * MINUTE)]) == numbers
        (one,) = await reader.ask(pass_queries.passes_since, 0)
    assert (one.aos_us, one.los_us, one.aos_azimuth_deg) == (None, None, None)


async def test_a_pass_that_will_not_happen_goes_and_its_number_is_not_given_again(place: Place) -> None:
    window = (NOW - 60 * MINUTE, NOW + 600 * MINUTE)
    under_way, graze, beyond = a_pass(-5), a_pass(300), a_pass(700)
    async with place.writer() as writer, place.reader() as reader:
        numbers = await writer.save_passes([under_way, beyond, graze])
        assert await writer.save_passes([], window) == []
        left = await reader.ask(pass_queries.passes_since, 0)
        (new,) = await writer.save_passes([a_pass(300)], window)
    assert [one.id for one in left] == numbers[:2]  # begun, or not in the window
    assert new > max(numbers)


async def test_a_satellite_that_is_another_object_keeps_its_passes(place: Place) -> None:
    async with place.writer() as writer:
        one, other = await writer.save_passes([a_pass(30, norad_id=1), a_pass(31, norad_id=2)])
        assert await writer.save_passes([a_pass(31, norad_id=2), a_pass(30, norad_id=1)]) == [other, one]
        assert await writer.save_passes([a_pass(30.5, norad_id=3)]) in ([one], [other])


@given(
    known=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20), st.integers(1, 2)), max_size=8),
    predicted=st.lists(st.tuples(st.integers(0, 100), st.integers(1, 20), st.integers(1, 2)), max_size=8),
)
def test_no_number_is_given_twice_and_none_without_overlap(
    known: list[tuple[int, int, int]], predicted: list[tuple[int, int, int]]
) -> None:
    before = [Known(n, "s", norad_id, "hko", begin, begin + last) for n, (begin, last, norad_id) in enumerate(known)]
    rows: list[dict[str, Any]] = [
        {"satellite": "s", "station": "hko", "norad_id": norad_id, "aos": begin, "los": begin + last}
        for begin, last, norad_id in predicted
    ]
    found = match(before, rows)
    given_out = [one.id for one in found if one is not None]
    assert len(given_out) == len(set(given_out))
    for row, one in zip(rows, found, strict=True):
        if one is not None:
            assert one.aos_us is not None
            assert one.los_us is not None
            assert one.aos_us < row["los"]
            assert row["aos"] < one.los_us
        else:
            assert not [a for a in before if a.id not in given_out and overlap_us(a, row) > 0]


def test_a_row_says_what_the_pass_says() -> None:
    one = a_pass(30)
    row = pass_row(one, 5)
    assert row["tca_range_km"] == 750.0
    assert row["culmination"] - row["aos"] == 300_000_000


async def test_elements_and_definitions_are_kept_once(place: Place) -> None:
    elements = Elements(
        norad_id=41340,
        name="horyu-4",
        cospar_id="2016-012D",
        epoch=datetime(2026, 11, 20, 1, 2, 3, 456789, UTC),
        mean_motion_rev_day=15.1,
        eccentricity=0.001,
        inclination_deg=31.0,
        raan_deg=1.0,
        argument_of_perigee_deg=2.0,
        mean_anomaly_deg=3.0,
        source="tle/one.tle:1",
    )
    definition = load_definition(DEFINITION, "horyu-4.toml")
    async with place.writer() as writer:
        for _ in range(2):
            await writer.save_elements([elements, replace(elements, source="elsewhere")])
            await writer.save_elements([replace(elements, mean_anomaly_deg=3.0001)])
            await writer.save_definitions([definition, load_definition(DEFINITION + "# words\n", "horyu-4.toml")])
    assert place.count("elements") == 2
    assert place.rows("SELECT satellite, hash FROM definition") == [("horyu-4", definition.hash)]


def microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


DEFINITION = """
slug = "horyu-4"
version = "1"
name = "HORYU-4"
status = "in_orbit"
"""
