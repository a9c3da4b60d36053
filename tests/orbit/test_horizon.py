"""Hills, houses and air: a mask by azimuth may cut a pass in two, and refraction lets a satellite rise earlier."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from skyfield.api import EarthSatellite, wgs84

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import find_passes
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.site import Horizon, Site
from tests.orbit.agreement import seconds
from tests.orbit.oracle import sky_over
from tests.orbit.sets import OBSERVATORY, at, shipped, verification_sets

NOON = at("2026-08-22T12:00:00")
DAY = timedelta(days=1)
HILLS: Horizon = ((10.0, 3.0), (60.0, 25.0), (90.0, 8.0), (180.0, 40.0), (200.0, 2.0), (300.0, 15.0))
STEP_S = 0.5


def runs(elements: Elements, site: Site, days: float) -> list[tuple[float, float]]:
    """Return first and last sample above the horizon, by sampling every half second: another way to the same."""
    sky = sky_over(elements, site, NOON)
    at_s = np.arange(0, days * 86400, STEP_S)
    elevation, azimuth, _ = sky.look(at_s)
    azimuths, elevations = np.array(site.horizon).T
    wrapped = np.concatenate([azimuths - 360, azimuths, azimuths + 360])
    profile = np.interp(np.degrees(azimuth), wrapped, np.tile(elevations, 3))
    up = np.degrees(elevation) >= np.maximum(profile, site.mask_deg)
    edges = np.flatnonzero(np.diff(up.astype(int)))
    assert len(edges) % 2 == 0
    return [(float(at_s[first + 1]), float(at_s[last])) for first, last in edges.reshape(-1, 2)]


@pytest.mark.parametrize("elements", shipped()[:4], ids=lambda one: str(one.norad_id))
def test_passes_begin_and_end_behind_the_hills(elements: Elements) -> None:
    site = replace(OBSERVATORY, horizon=HILLS)
    truth = runs(elements, site, 1.0)
    found = find_passes([elements], site, NOON, NOON + DAY)
    assert len(found) == len(truth) > 1
    for one, (first_s, last_s) in zip(found, truth, strict=True):
        aos_s, los_s = seconds(one.aos, NOON), seconds(one.los, NOON)
        assert aos_s is not None
        assert los_s is not None
        assert first_s - STEP_S <= aos_s <= first_s
        assert last_s <= los_s <= last_s + STEP_S
        assert one.aos is not None
        assert one.los is not None
        assert one.aos <= one.culmination <= one.los
        assert one.aos <= one.tca <= one.los


def test_a_tower_cuts_a_pass_in_two() -> None:
    (elements, *_) = shipped()
    whole = max(find_passes([elements], OBSERVATORY, NOON, NOON + DAY), key=lambda one: one.max_elevation_deg)
    assert whole.aos is not None
    assert whole.los is not None
    there = whole.culmination_azimuth_deg
    tower: Horizon = tuple(sorted((((there + off) % 360, top) for off, top in ((-5, 0), (-4, 89), (4, 89), (5, 0)))))
    parts = find_passes([elements], replace(OBSERVATORY, horizon=tower), whole.aos - DAY / 48, whole.los + DAY / 48)
    assert len(parts) == 2
    assert (parts[0].aos, parts[1].los) == pytest.approx((whole.aos, whole.los), abs=timedelta(microseconds=5))
    assert parts[0].los is not None
    assert parts[1].aos is not None
    assert parts[0].los < whole.culmination < parts[1].aos
    assert parts[0].max_elevation_deg < whole.max_elevation_deg


def test_a_flat_horizon_is_a_mask() -> None:
    flat = replace(OBSERVATORY, mask_deg=0.0, horizon=((0.0, 5.0), (180.0, 5.0)))
    fleet = [*shipped(), *verification_sets()]
    plain = find_passes(fleet, OBSERVATORY, NOON, NOON + DAY)
    found = find_passes(fleet, flat, NOON, NOON + DAY)
    assert [one.norad_id for one in found] == [one.norad_id for one in plain]
    for ours, theirs in zip(found, plain, strict=True):
        if ours.aos and theirs.aos:
            assert abs(ours.aos - theirs.aos) < timedelta(milliseconds=1)


def test_a_window_cuts_parts_as_it_cuts_passes() -> None:
    site = replace(OBSERVATORY, horizon=HILLS)
    elements = shipped()[0]
    first = find_passes([elements], site, NOON, NOON + DAY)[0]
    assert first.aos is not None
    assert first.los is not None
    (cut,) = find_passes([elements], site, first.aos + timedelta(seconds=9), first.los - timedelta(seconds=9))
    assert (cut.in_progress_at_start, cut.in_progress_at_end) == (True, True)
    assert abs(cut.aos - first.aos) < timedelta(milliseconds=1) if cut.aos else False
    assert find_passes([elements], site, first.los + timedelta(seconds=1), first.los + timedelta(seconds=60)) == []


@pytest.mark.parametrize("mask", [0.0, 5.0, 30.0])
def test_refraction_is_skyfields(mask: float) -> None:
    (elements, *_) = shipped()
    site = replace(OBSERVATORY, mask_deg=mask, refraction=True)
    scale = earth_rotation("iers").scale
    satellite = EarthSatellite.from_satrec(to_satrec(elements), scale)
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, site.altitude_m)
    found = find_passes([elements], site, NOON, NOON + 2 * DAY)
    assert found
    edges = [edge for one in found for edge in (one.aos, one.los) if edge is not None]
    elevation, _, _ = (satellite - place).at(scale.from_datetimes(edges)).altaz(temperature_C=10.0)
    assert elevation.degrees == pytest.approx(mask, abs=2e-4)
    geometric = find_passes([elements], replace(site, refraction=False), NOON, NOON + 2 * DAY)
    assert geometric[0].aos is not None
    assert found[0].aos is not None
    assert found[0].aos < geometric[0].aos


@pytest.mark.parametrize(
    ("horizon", "complaint"),
    [
        (((360.0, 1.0),), "azimuth 360.0, elevation 1.0, expected 0 to less than 360"),
        (((0.0, 90.0),), "expected 0 to less than 360 and -89 to 89"),
        (((0.0, float("nan")),), "expected 0 to less than 360 and -89 to 89"),
        (((10.0, 1.0), (10.0, 2.0)), "expected azimuths in ascending order"),
    ],
)
def test_a_horizon_that_cannot_be_is_refused(horizon: Horizon, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        replace(OBSERVATORY, horizon=horizon)
