"""The sky at given times: against Skyfield with nutation and all, and against the earth's own tables."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from skyfield.api import EarthSatellite, wgs84

from groundstation.orbit.earth_rotation import Ut1Source, earth_rotation, why_stale
from groundstation.orbit.look_angles import look_angles
from groundstation.orbit.observer import observer
from groundstation.orbit.passes import find_passes
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.site import Site
from tests.orbit.sets import OBSERVATORY, at, shipped

NOON = at("2026-08-22T12:00:00.250000")
TIMES = [NOON + timedelta(minutes=7.3 * number) for number in range(400)]


@pytest.mark.parametrize("source", ["iers", "builtin"])
def test_look_angles_are_those_of_skyfields_full_model(source: Ut1Source) -> None:
    """altaz() turns both vectors through precession and nutation, which cancel; what is left of them is rounding."""
    scale = earth_rotation(source).scale
    for elements in shipped()[:2]:
        satellite = EarthSatellite.from_satrec(to_satrec(elements), scale)
        place = wgs84.latlon(OBSERVATORY.latitude_deg, OBSERVATORY.longitude_deg, OBSERVATORY.altitude_m)
        elevation, azimuth, distance = (satellite - place).at(scale.from_datetimes(TIMES)).altaz()
        found = look_angles(elements, OBSERVATORY, TIMES, ut1=source)
        assert found.elevation_deg == pytest.approx(elevation.degrees, abs=1e-8)
        assert found.azimuth_deg == pytest.approx(azimuth.degrees, abs=1e-6)
        assert found.range_km == pytest.approx(distance.km, abs=1e-6)


def test_range_rate_is_the_derivative_of_range() -> None:
    (elements, *_) = shipped()
    step = timedelta(milliseconds=100)
    before = look_angles(elements, OBSERVATORY, [time - step for time in TIMES]).range_km
    after = look_angles(elements, OBSERVATORY, [time + step for time in TIMES]).range_km
    found = look_angles(elements, OBSERVATORY, TIMES).range_rate_km_s
    assert found == pytest.approx((after - before) / 0.2, abs=1e-5)
    assert np.abs(found).max() > 6


def test_where_sgp4_fails_there_is_no_answer() -> None:
    elements = replace(shipped()[0], mean_motion_rev_day=16.4, bstar_per_earth_radius=0.01)
    found = look_angles(elements, OBSERVATORY, [elements.epoch, elements.epoch + timedelta(days=3)])
    assert np.isnan(found.elevation_deg).tolist() == [False, True]
    assert np.isnan(found.range_rate_km_s).tolist() == [False, True]


def test_no_times_have_no_angles() -> None:
    assert look_angles(shipped()[0], OBSERVATORY, []).range_km.shape == (0,)


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an aware UTC time"):
        look_angles(shipped()[0], OBSERVATORY, [NOON.replace(tzinfo=None)])


def test_a_leap_second_does_not_shift_the_earth() -> None:
    """Source: the tables that Skyfield reads, one instant at a time; 2016 ended with a leap second."""
    start, end = at("2016-12-30T06:30:00"), at("2017-01-02T06:30:00")
    rotation = earth_rotation("iers")
    here = observer(OBSERVATORY, start, end, rotation)
    times = [start + timedelta(minutes=17 * number) for number in range(250)]
    turn = here.angle(np.array([(time - start).total_seconds() for time in times]))
    moments = rotation.scale.from_datetimes(times)
    # The earth rotation angle differs from sidereal time by precession, which is smooth: only jumps could fail this.
    expected = 2 * np.pi * 1.00273781191135448 * (moments.ut1 - moments.ut1[0])
    drift = turn - turn[0] - expected
    assert np.abs(drift - np.linspace(0, drift[-1], len(drift))).max() < 1e-9 * 86400


@pytest.mark.parametrize("days", [1, 100, 400])
def test_the_earth_turns_evenly_between_knots_that_lie_apart(days: int) -> None:
    """The tables are read in blocks of 64 days, and a window may cross their borders."""
    start = at("2000-06-27T18:50:00")
    here = observer(OBSERVATORY, start, start + timedelta(days=days), earth_rotation("iers"), beyond_s=3 * 3600.0)
    assert np.diff(here.knots_s).min() > 0
    assert here.knots_s[0] <= -3 * 3600
    assert here.knots_s[-1] >= days * 86400 + 3 * 3600
    assert np.abs(np.diff(here.turn_rad)).max() < 1e-4


def test_the_earths_rotation_says_where_it_comes_from() -> None:
    assert earth_rotation("builtin").label == "builtin"
    assert earth_rotation("iers").label.startswith("iers 20")
    day = NOON + timedelta(days=1)
    assert find_passes(shipped(), OBSERVATORY, NOON, day, ut1="builtin")[0].ut1 == "builtin"
    assert find_passes(shipped(), OBSERVATORY, NOON, day)[0].ut1 == earth_rotation("iers").label


def test_an_old_table_is_called_stale() -> None:
    rotation = earth_rotation("iers")
    assert rotation.measured_until is not None
    fresh = at(f"{rotation.measured_until}T00:00:00")
    assert why_stale(rotation, fresh + timedelta(days=100)) is None
    assert "was last measured on" in str(why_stale(rotation, fresh + timedelta(days=130)))
    assert "ends on" in str(why_stale(rotation, fresh + timedelta(days=800)))


def test_the_sources_of_ut1_differ_by_what_the_earth_did() -> None:
    """Skyfield's own table is a prediction since January 2026 and knows no polar motion."""
    window = (NOON, NOON + timedelta(days=3))
    iers = find_passes(shipped()[:1], OBSERVATORY, *window, ut1="iers")
    own = find_passes(shipped()[:1], OBSERVATORY, *window, ut1="builtin")
    pairs = [(one.culmination, other.culmination) for one, other in zip(iers, own, strict=True)]
    assert 0.0005 < max(abs((one - other).total_seconds()) for one, other in pairs) < 1.0


@pytest.mark.parametrize("field", ["latitude_deg", "longitude_deg", "altitude_m", "mask_deg"])
@pytest.mark.parametrize("value", [float("nan"), 1e6, -1e6])
def test_a_site_that_cannot_be_is_refused(field: str, value: float) -> None:
    changes: dict[str, Any] = {field: value}
    with pytest.raises(ValueError, match=rf"site nowhere: {field} is .*, expected -"):
        replace(Site("nowhere", "", 0.0, 0.0), **changes)
