"""Sunlight on a satellite, against Skyfield with the JPL ephemeris and against what must be so."""

from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from skyfield.api import EarthSatellite, load_file

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.sunlit import sun_km, sunlit_spans
from tests.orbit.sets import at, shipped

NOON = at("2026-08-22T12:00:00")
HOURS = timedelta(hours=6)
GEOSTATIONARY = replace(shipped()[0], mean_motion_rev_day=1.00271, eccentricity=1e-4, inclination_deg=0.05)


def ephemeris_path() -> Path:
    found = find_spec("skyfield_data")
    if found is None or found.origin is None:
        pytest.skip("needs the JPL ephemeris de421 (pip install skyfield-data)")
    return Path(found.origin).parent / "data" / "de421.bsp"


@pytest.mark.parametrize("elements", [*shipped()[:3], GEOSTATIONARY], ids=lambda one: str(one.norad_id))
def test_the_edges_of_shadow_are_skyfields(elements: Elements) -> None:
    scale = earth_rotation("iers").scale
    spans = sunlit_spans(elements, NOON, NOON + HOURS)
    edges = [edge for span in spans for edge in span if edge not in {NOON, NOON + HOURS}]
    inside = [start + (end - start) / 2 for start, end in spans]
    with closing(load_file(str(ephemeris_path()))) as ephemeris:
        satellite = EarthSatellite.from_satrec(to_satrec(elements), scale)
        for edge in edges:
            near = [edge + timedelta(seconds=seconds) for seconds in (-0.5, 0.5)]
            before, after = satellite.at(scale.from_datetimes(near)).is_sunlit(ephemeris)
            assert before != after, edge
        assert satellite.at(scale.from_datetimes(inside)).is_sunlit(ephemeris).all()


def test_the_suns_place_is_good_to_a_hundredth_of_a_degree() -> None:
    scale = earth_rotation("iers").scale
    times = [NOON + timedelta(days=13 * number) for number in range(30)]
    days = np.array([(time - at("2000-01-01T12:00:00")) / timedelta(days=1) for time in times])
    with closing(load_file(str(ephemeris_path()))) as ephemeris:
        moments = scale.from_datetimes(times)
        truth = (ephemeris["sun"] - ephemeris["earth"]).at(moments)
        right_ascension, declination, distance = truth.radec(epoch="date")
    x, y, z = sun_km(days).T
    apart_deg = (np.degrees(np.arctan2(y, x)) - right_ascension.hours * 15 + 180) % 360 - 180
    assert np.abs(apart_deg).max() < 0.02
    assert np.abs(np.degrees(np.arcsin(z / np.linalg.norm((x, y, z), axis=0))) - declination.degrees).max() < 0.01
    assert np.linalg.norm((x, y, z), axis=0) == pytest.approx(distance.km, rel=2e-4)


def test_a_low_satellite_is_in_shadow_for_a_third_of_its_way() -> None:
    spans = sunlit_spans(replace(shipped()[0], raan_deg=150.0), NOON, NOON + HOURS)
    lit = sum(((end - start) for start, end in spans), timedelta())
    assert len(spans) >= 3
    assert 0.55 < lit / HOURS < 0.75


def test_a_geostationary_satellite_in_august_never_leaves_the_light() -> None:
    assert sunlit_spans(GEOSTATIONARY, at("2026-07-01T00:00:00"), at("2026-07-02T00:00:00")) == [
        (at("2026-07-01T00:00:00"), at("2026-07-02T00:00:00"))
    ]


def test_there_is_no_light_where_sgp4_fails() -> None:
    spent = replace(shipped()[0], mean_motion_rev_day=16.4, bstar_per_earth_radius=0.01)
    assert sunlit_spans(spent, spent.epoch + timedelta(days=5), spent.epoch + timedelta(days=5.1)) == []


def test_a_naive_time_is_refused() -> None:
    with pytest.raises(ValueError, match="is not an aware UTC time"):
        sunlit_spans(GEOSTATIONARY, NOON.replace(tzinfo=None), NOON)
