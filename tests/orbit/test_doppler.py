"""Shift and range rate, held to Skyfield's ranges and to the exact formula."""

from datetime import timedelta
from math import sqrt

import numpy as np
import pytest
from skyfield.api import EarthSatellite, wgs84

from groundstation.orbit.doppler import LIGHT_KM_S, doppler_shift_hz
from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.passes import find_passes
from groundstation.orbit.tle import parse_tle
from groundstation.orbit.track import times_between, track
from tests.orbit.sets import KUANFU, OBSERVATORY, at


def test_a_receding_satellite_is_heard_lower_and_an_approaching_one_higher() -> None:
    assert doppler_shift_hz(437e6, 7.0) < 0 < doppler_shift_hz(437e6, -7.0)


@pytest.mark.parametrize("range_rate_km_s", [-7.5, -1.0, 0.0, 3.0, 7.5])
def test_first_order_is_within_a_third_of_a_hertz_of_relativity(range_rate_km_s: float) -> None:
    beta = range_rate_km_s / LIGHT_KM_S
    exact = 437e6 * (sqrt((1 - beta) / (1 + beta)) - 1)
    assert doppler_shift_hz(437e6, range_rate_km_s) == pytest.approx(exact, abs=0.3)


def test_range_rate_over_a_pass_is_how_skyfields_range_changes() -> None:
    [elements] = parse_tle(KUANFU, "kuanfu")
    one = find_passes([elements], OBSERVATORY, at("2026-08-23"), at("2026-08-24"))[0]
    assert one.aos is not None
    assert one.los is not None
    found = track(elements, OBSERVATORY, times_between(one.aos, one.los, timedelta(seconds=20)), [437.375e6])

    _, line1, line2 = KUANFU.splitlines()
    scale = earth_rotation("iers").scale
    away = EarthSatellite(line1, line2, ts=scale) - wgs84.latlon(22.30194, 114.17417, elevation_m=32)
    half_s = 0.05  # not the step of the five-point difference
    before, after = (
        away.at(scale.from_datetimes([time + timedelta(seconds=s) for time in found.times])).distance().km
        for s in (-half_s, half_s)
    )
    assert np.abs((after - before) / (2 * half_s) - found.look.range_rate_km_s).max() < 1e-6  # km/s: 1.5 mHz
    assert found.doppler_hz[437.375e6][0] > 5000
    assert found.doppler_hz[437.375e6][-1] < -5000
    assert np.all(np.diff(found.doppler_hz[437.375e6]) < 0)
    assert len(found.times) > 20


def test_the_shift_is_nought_where_the_range_is_least() -> None:
    [elements] = parse_tle(KUANFU, "kuanfu")
    one = find_passes([elements], OBSERVATORY, at("2026-08-23"), at("2026-08-24"))[0]
    found = track(elements, OBSERVATORY, [one.tca], [437.375e6])
    assert found.look.range_km[0] == pytest.approx(one.tca_range_km, abs=1e-3)
    assert abs(found.doppler_hz[437.375e6][0]) < 1.0


def test_times_begin_and_end_with_the_edges_and_none_is_there_twice() -> None:
    start = at("2026-08-23T00:00:00.250")
    ten, minute = timedelta(seconds=10), timedelta(minutes=1)
    assert times_between(start, start + minute, ten) == [start + number * ten for number in range(7)]
    end = start + minute + timedelta(microseconds=1)
    assert times_between(start, end, ten)[-2:] == [start + minute, end]
    assert times_between(start, start + minute, timedelta(hours=1)) == [start, start + minute]
    assert times_between(start, start, ten) == [start]
