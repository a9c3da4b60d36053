"""Sunlight on a satellite, against Skyfield's is_sunlit with the JPL ephemeris and against what must be so."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import as_file, files

import numpy as np
import pytest
from skyfield.api import EarthSatellite, load_file
from skyfield.jpllib import SpiceKernel
from skyfield.sgp4lib import TEME

from groundstation.orbit.earth_rotation import Array, earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.sun import FIRST_DAY, LAST_DAY, SunError, sun_km
from groundstation.orbit.sunlit import Span, sunlit_spans
from tests.orbit.sets import at, shipped

NOON = at("2026-08-22T12:00:00")
EQUINOX = at("2026-09-22T12:00:00")
HOURS = timedelta(hours=6)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DENSE = 4320
LEO = shipped()[0]
GEOSTATIONARY = replace(LEO, mean_motion_rev_day=1.00271, eccentricity=1e-4, inclination_deg=0.05)
MOLNIYA = replace(LEO, mean_motion_rev_day=2.006, eccentricity=0.7, inclination_deg=63.4, bstar_per_earth_radius=0.0)
WINDOWS = [
    *((elements, NOON, HOURS) for elements in shipped()[:3]),
    (replace(LEO, inclination_deg=51.6, raan_deg=150.0), NOON, HOURS),
    (GEOSTATIONARY, EQUINOX, timedelta(days=1)),  # 70 minutes of shadow
    (MOLNIYA, NOON, timedelta(days=1)),
]


@pytest.fixture(scope="module")
def ephemeris() -> Iterator[SpiceKernel]:
    with as_file(files("skyfield_data") / "data" / "de421.bsp") as path, closing(load_file(str(path))) as loaded:
        yield loaded


def is_lit(elements: Elements, ephemeris: SpiceKernel, times: Sequence[datetime]) -> list[bool]:
    """Return what Skyfield says."""
    scale = earth_rotation("iers").scale
    satellite = EarthSatellite.from_satrec(to_satrec(elements), scale)
    lit: list[bool] = satellite.at(scale.from_datetimes(times)).is_sunlit(ephemeris).tolist()
    return lit


@pytest.mark.parametrize(("elements", "start", "lasts"), WINDOWS)
@pytest.mark.parametrize("apart_s", [0.1, 0.002])
def test_the_light_changes_for_skyfield_at_each_edge(
    elements: Elements, start: datetime, lasts: timedelta, apart_s: float, ephemeris: SpiceKernel
) -> None:
    apart, window = timedelta(seconds=apart_s), {start, start + lasts}
    spans = sunlit_spans(elements, start, start + lasts)
    brighter = [first for first, _ in spans if first not in window]
    darker = [last for _, last in spans if last not in window]
    assert brighter or darker
    before = [False] * len(brighter) + [True] * len(darker)
    assert is_lit(elements, ephemeris, [edge - apart for edge in brighter + darker]) == before
    assert is_lit(elements, ephemeris, [edge + apart for edge in brighter + darker]) == [not lit for lit in before]


@pytest.mark.parametrize(("elements", "start", "lasts"), WINDOWS)
def test_between_the_edges_it_is_as_bright_as_for_skyfield(
    elements: Elements, start: datetime, lasts: timedelta, ephemeris: SpiceKernel
) -> None:
    """Densely: every 5 s, or 20 s for the slow ones, whatever the search takes for its steps."""
    spans = sunlit_spans(elements, start, start + lasts)
    times = [start + lasts * (number / DENSE) for number in range(DENSE + 1)]
    assert [any(first <= time <= last for first, last in spans) for time in times] == is_lit(elements, ephemeris, times)


def test_a_graze_of_the_shadow_is_not_overlooked(ephemeris: SpiceKernel) -> None:
    """Turn the orbit until the shadow is missed by a hair: the eclipse before that lasts seconds."""
    dark, light = 150.0, 240.0  # right ascensions of the node
    assert len(turned(dark)) > 1
    assert len(turned(light)) == 1
    for _ in range(24):
        middle = (dark + light) / 2
        dark, light = (dark, middle) if len(turned(middle)) == 1 else (middle, light)
    spans = turned(dark)
    (begins, ends), elements = (spans[0][1], spans[1][0]), replace(LEO, raan_deg=dark)
    assert timedelta(0) < ends - begins < timedelta(seconds=4)
    middle_of_it = begins + (ends - begins) / 2
    times = [middle_of_it + timedelta(seconds=seconds) for seconds in (-3, 0, 3)]
    assert is_lit(elements, ephemeris, times) == [True, False, True]


def turned(raan_deg: float) -> list[Span]:
    return sunlit_spans(replace(LEO, raan_deg=raan_deg), NOON, NOON + HOURS)


@pytest.mark.parametrize(
    ("days", "error_rad"),
    [
        (np.sort([*np.linspace(FIRST_DAY, LAST_DAY, 1001), FIRST_DAY + 0.5, LAST_DAY - 0.5]), 1e-8),
        (np.array([(at("1990-12-31T18:00:00") - EPOCH) / timedelta(days=1)]), 2e-7),  # a leap second follows
    ],
)
def test_the_suns_place_is_that_of_de421(days: Array, error_rad: float, ephemeris: SpiceKernel) -> None:
    whole, part = np.divmod(days, 1.0)
    times = earth_rotation("iers").scale.utc(1970, 1, 1 + whole, 0, 0, part * 86400)
    truth = np.einsum("ijk,jk->ki", TEME.rotation_at(times), (ephemeris["sun"] - ephemeris["earth"]).at(times).xyz.km)
    found = np.concatenate([sun_km(days[row : row + 1]) for row in range(len(days))])
    assert np.linalg.norm(found - truth, axis=1).max() < error_rad * np.linalg.norm(truth, axis=1).min()
    assert sun_km(days[-40:]) == pytest.approx(found[-40:], rel=1e-12)


def test_the_days_are_all_that_de421_holds_whole(ephemeris: SpiceKernel) -> None:
    tdb = (
        earth_rotation("iers").scale.utc(1970, 1, 1 + np.array([FIRST_DAY - 1, FIRST_DAY, LAST_DAY, LAST_DAY + 1])).tdb
    )
    for segment in ephemeris.spk.segments:
        assert tdb[0] < segment.start_jd <= tdb[1]
        assert tdb[2] <= segment.end_jd < tdb[3]


@pytest.mark.parametrize("time", ["1899-07-28T23:59:00", "2053-10-07T23:59:00", "2100-01-01T00:00:00"])
def test_beyond_de421_nobody_says_where_the_sun_is(time: str) -> None:
    start = at(time)
    with pytest.raises(SunError, match=r"^\d{4}-\d\d-\d\d: the sun's place .* from 1899-07-29 to 2053-10-07$") as told:
        sunlit_spans(GEOSTATIONARY, start, start + timedelta(minutes=2))
    assert str(told.value)[:10] in {f"{start:%Y-%m-%d}", f"{start + timedelta(minutes=2):%Y-%m-%d}"}


def test_the_last_day_of_de421_is_lit() -> None:
    midnight = at("2053-10-08T00:00:00")
    spans = sunlit_spans(replace(GEOSTATIONARY, epoch=midnight), midnight - timedelta(days=1), midnight)
    assert sum((last - first for first, last in spans), timedelta()) > timedelta(hours=22)


def test_a_low_satellite_is_in_shadow_for_a_third_of_its_way() -> None:
    spans = sunlit_spans(replace(LEO, raan_deg=150.0), NOON, NOON + HOURS)
    lit = sum(((end - start) for start, end in spans), timedelta())
    assert len(spans) >= 3
    assert 0.55 < lit / HOURS < 0.75


def test_a_geostationary_satellite_in_july_never_leaves_the_light() -> None:
    assert sunlit_spans(GEOSTATIONARY, at("2026-07-01T00:00:00"), at("2026-07-02T00:00:00")) == [
        (at("2026-07-01T00:00:00"), at("2026-07-02T00:00:00"))
    ]


def test_there_is_no_light_where_sgp4_fails() -> None:
    spent = replace(LEO, mean_motion_rev_day=16.4, bstar_per_earth_radius=0.01)
    assert sunlit_spans(spent, spent.epoch + timedelta(days=5), spent.epoch + timedelta(days=5.1)) == []


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an aware UTC time"):
        sunlit_spans(GEOSTATIONARY, NOON.replace(tzinfo=None), NOON)
