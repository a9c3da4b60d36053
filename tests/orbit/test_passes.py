"""The fast search, held to Skyfield: every pass, to the millisecond, in every kind of orbit."""

import dataclasses
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.fleet import Fleet
from groundstation.orbit.observer import observer
from groundstation.orbit.passes import Pass, find_passes, find_passes_in_chunks
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.search_leo import mean_elements
from groundstation.orbit.site import Site
from groundstation.orbit.synthetic import rising_over
from tests.orbit.agreement import disagreements, seconds
from tests.orbit.oracle import Sky, sky_over
from tests.orbit.sets import OBSERVATORY, at, shipped, verification_sets

NOON = at("2026-08-22T12:00:00")
DAY = timedelta(days=1)
SVALBARD = Site("svalbard", "Svalbard", 78.23, 15.40, 450.0, mask_deg=3.0)
NORTH_POLE = Site("north", "North Pole", 90.0, 0.0, 0.0, mask_deg=5.0)
SOUTH_POLE = Site("south", "South Pole", -90.0, 0.0, 2835.0, mask_deg=5.0)
EQUATOR = Site("equator", "Null Island", 0.0, 0.0)

LOW = Elements(
    norad_id=1,
    name="low",
    cospar_id="",
    epoch=NOON,
    mean_motion_rev_day=15.2,
    eccentricity=0.001,
    inclination_deg=97.5,
    raan_deg=20.0,
    argument_of_perigee_deg=90.0,
    mean_anomaly_deg=10.0,
    bstar_per_earth_radius=1e-4,
)
DECAYING = replace(LOW, mean_motion_rev_day=16.3, bstar_per_earth_radius=5e-4)
GEOSTATIONARY = replace(LOW, mean_motion_rev_day=1.00271, eccentricity=1e-4, inclination_deg=0.05)


def over(longitude_deg: float, elements: Elements) -> Elements:
    """Return a geostationary set at that longitude."""
    sidereal_deg = 280.46062 + 360.98564737 * ((elements.epoch - datetime(2000, 1, 1, 12, tzinfo=UTC)) / DAY)
    angles = elements.raan_deg + elements.argument_of_perigee_deg
    return replace(elements, mean_anomaly_deg=(sidereal_deg + longitude_deg - angles) % 360)


def elevation_deg(sky: Sky, moment: datetime) -> float:
    at_s = seconds(moment, sky.start)
    assert at_s is not None
    return float(np.degrees(sky.elevation(np.array([at_s])))[0])


@pytest.mark.parametrize("elements", shipped(), ids=lambda one: str(one.norad_id))
def test_the_shipped_satellites_agree_with_the_oracle(elements: Elements) -> None:
    assert disagreements(elements, OBSERVATORY, NOON, 0.7) == []


@pytest.mark.parametrize("elements", verification_sets(), ids=lambda one: str(one.norad_id))
def test_every_kind_of_orbit_agrees_with_the_oracle(elements: Elements) -> None:
    """Vallado's verification sets: Molniya, GPS, geostationary, decaying within hours, perigee under 100 km.

    Four days from the epoch, one in low orbit; a leap second (2005-12-31) is among them.
    """
    days = 1.0 if elements.mean_motion_rev_day > 9 else 4.0
    assert disagreements(elements, OBSERVATORY, elements.epoch, days) == []


@pytest.mark.parametrize("site", [SVALBARD, NORTH_POLE, SOUTH_POLE, EQUATOR], ids=lambda site: site.slug)
@pytest.mark.parametrize("inclination_deg", [0.0, 51.6, 90.0, 144.0, 180.0])
def test_every_latitude_and_inclination_agrees_with_the_oracle(site: Site, inclination_deg: float) -> None:
    assert disagreements(replace(LOW, inclination_deg=inclination_deg), site, NOON, 0.5) == []


@pytest.mark.parametrize("days", [1.0, 2.0, 3.0, 4.0])
@pytest.mark.parametrize("mean_anomaly_deg", [2.0, 42.0, 122.0])
def test_an_orbit_of_days_agrees_with_the_oracle(mean_anomaly_deg: float, days: float) -> None:
    """As Cluster II's of August 2026: so flat is elevation around apogee that interpolation moves it by minutes."""
    elements = replace(
        LOW,
        mean_motion_rev_day=0.4446,
        eccentricity=0.9123,
        inclination_deg=149.7,
        raan_deg=63.2,
        argument_of_perigee_deg=281.0,
        mean_anomaly_deg=mean_anomaly_deg,
        bstar_per_earth_radius=0.0,
    )
    assert disagreements(elements, NORTH_POLE, NOON, days) == []


@pytest.mark.parametrize("mean_motion_rev_day", [9.05, 12.0, 16.4])
@pytest.mark.parametrize("eccentricity", [0.0, 0.02])
def test_every_low_height_agrees_with_the_oracle(mean_motion_rev_day: float, eccentricity: float) -> None:
    """16.4 rev/day is 170 km high: overhead, culmination must be iterated or it is 0.7 s off."""
    elements = replace(LOW, mean_motion_rev_day=mean_motion_rev_day, eccentricity=eccentricity)
    assert disagreements(elements, replace(OBSERVATORY, mask_deg=0.0), NOON + timedelta(hours=3), 0.6) == []


@pytest.mark.parametrize(
    ("mean_motion_rev_day", "bstar", "days_later"),
    [(16.3, 5e-4, -6), (16.3, 5e-4, 0.5), (16.3, 5e-4, 4), (16.3, 1e-2, 0), (15.6, 2e-3, 25), (15.2, 3e-4, 92)],
)
def test_a_decaying_satellite_agrees_with_the_oracle_at_any_age(
    mean_motion_rev_day: float, bstar: float, days_later: float
) -> None:
    """Drag shifts its phase by turns, which once lost every pass; from some day on SGP4 fails."""
    elements = replace(LOW, mean_motion_rev_day=mean_motion_rev_day, bstar_per_earth_radius=bstar)
    assert disagreements(elements, OBSERVATORY, NOON + timedelta(days=days_later), 1.0) == []


def test_the_phase_of_a_decaying_satellite_is_not_trusted() -> None:
    here = observer(OBSERVATORY, NOON + DAY, NOON + 2 * DAY, earth_rotation("iers"))
    fierce = replace(DECAYING, bstar_per_earth_radius=6e-3)
    _, suits = mean_elements(Fleet([to_satrec(LOW), to_satrec(fierce)], here))
    assert suits.tolist() == [True, False]


def test_a_satellite_that_decays_in_the_window_has_passes_until_then() -> None:
    (spent,) = (one for one in verification_sets() if one.norad_id == 29141)
    last = spent.epoch + timedelta(seconds=25_360)  # then SGP4 fails, and hours later returns numbers again
    found = find_passes([spent], SVALBARD, spent.epoch, spent.epoch + DAY)
    assert found
    assert max(one.culmination for one in found) < last
    assert find_passes([spent], SVALBARD, last, last + 3 * DAY) == []


@settings(deadline=None, max_examples=25)
@given(
    st.builds(
        replace,
        st.just(LOW),
        mean_motion_rev_day=st.floats(0.9, 16.2),
        inclination_deg=st.floats(0, 180),
        raan_deg=st.floats(0, 360),
        argument_of_perigee_deg=st.floats(0, 360),
        mean_anomaly_deg=st.floats(0, 360),
        eccentricity=st.just(0.0) | st.floats(0.0, 0.02),
    ),
    st.builds(
        Site,
        st.just("any"),
        st.just(""),
        st.floats(-90, 90),
        st.floats(-180, 180),
        st.floats(0, 5000),
        st.floats(0, 60),
    ),
)
def test_half_a_second_before_aos_it_is_below_the_mask_and_after_it_above(elements: Elements, site: Site) -> None:
    sky = sky_over(elements, site, NOON)
    half = timedelta(milliseconds=500)
    for one in find_passes([elements], site, NOON, NOON + DAY):
        if one.aos is not None and one.los is not None and one.los - one.aos > 4 * half:
            assert elevation_deg(sky, one.aos - half) < site.mask_deg < elevation_deg(sky, one.aos + half)
            assert elevation_deg(sky, one.los - half) > site.mask_deg > elevation_deg(sky, one.los + half)
        assert one.max_elevation_deg >= site.mask_deg
        for edge in (one.aos, one.los):
            assert edge is None or elevation_deg(sky, edge) == pytest.approx(site.mask_deg, abs=1e-5)


@pytest.mark.parametrize("duration_s", [0.1, 1.0, 2.0, 4.0])
@pytest.mark.parametrize("elements", [LOW, GEOSTATIONARY, DECAYING], ids=["low", "slow", "decaying"])
def test_a_graze_is_found_and_a_near_miss_is_not(elements: Elements, duration_s: float) -> None:
    elements = replace(elements, inclination_deg=97.5)
    first = find_passes([elements], OBSERVATORY, NOON, NOON + 2 * DAY)[1]
    sky = sky_over(elements, OBSERVATORY, first.culmination)
    half = timedelta(seconds=duration_s / 2)
    edge_deg = elevation_deg(sky, first.culmination - half)
    window = (first.culmination - timedelta(minutes=20), first.culmination + timedelta(minutes=20))
    (graze,) = find_passes([elements], replace(OBSERVATORY, mask_deg=edge_deg), *window)
    assert graze.aos is not None
    assert graze.los is not None
    assert (graze.los - graze.aos).total_seconds() == pytest.approx(duration_s, abs=0.06)
    assert graze.max_elevation_deg == pytest.approx(first.max_elevation_deg, abs=1e-7)
    assert find_passes([elements], replace(OBSERVATORY, mask_deg=first.max_elevation_deg + 1e-7), *window) == []


FIERCE = replace(DECAYING, inclination_deg=97.5, bstar_per_earth_radius=6e-3)  # left to the general search
MOLNIYA = replace(LOW, mean_motion_rev_day=2.006, eccentricity=0.7, inclination_deg=63.4)


@pytest.mark.parametrize("beside_s", [0.5, 10.0, 30.0, 60.0, 300.0])
@pytest.mark.parametrize("elements", [LOW, FIERCE, MOLNIYA], ids=["low", "fierce", "eccentric"])
def test_a_graze_at_an_end_of_the_window_is_found(elements: Elements, beside_s: float) -> None:
    """No sample need fall on the pass, and none is taken far outside the window."""
    beside = timedelta(seconds=beside_s)
    whole = next(one for one in find_passes([elements], SVALBARD, NOON, NOON + DAY) if one.aos and one.aos > NOON)
    mask_deg = elevation_deg(sky_over(elements, SVALBARD, NOON), whole.culmination - timedelta(seconds=5))
    site = replace(SVALBARD, mask_deg=mask_deg)
    (graze,) = find_passes([elements], site, whole.culmination - DAY / 48, whole.culmination + DAY / 48)
    assert graze.aos is not None
    assert graze.los is not None
    for window in ((NOON, graze.los + beside), (graze.aos - beside, graze.los + DAY / 48)):
        found = [
            one for one in find_passes([elements], site, *window) if abs(one.culmination - graze.culmination) < beside
        ]
        assert len(found) == 1, window


def test_a_pass_that_the_window_cuts_is_seen_whole() -> None:
    whole = find_passes([LOW], OBSERVATORY, NOON, NOON + DAY)[0]
    assert whole.aos is not None
    assert whole.los is not None
    before, after = whole.aos + timedelta(seconds=30), whole.los - timedelta(seconds=30)
    (cut,) = find_passes([LOW], OBSERVATORY, before, after)
    assert (cut.in_progress_at_start, cut.in_progress_at_end) == (True, True)
    for field in ("aos", "culmination", "tca", "los"):
        assert abs(getattr(cut, field) - getattr(whole, field)) <= timedelta(microseconds=2)
    late = find_passes([LOW], OBSERVATORY, after, after + DAY)[0]
    assert late.culmination < after
    assert (late.in_progress_at_start, late.in_progress_at_end) == (True, False)


def test_nothing_outside_the_window_is_returned() -> None:
    whole = find_passes([LOW], OBSERVATORY, NOON, NOON + DAY)[0]
    assert whole.aos is not None
    assert whole.los is not None
    hour, instant = timedelta(hours=1), timedelta(milliseconds=1)
    assert find_passes([LOW], OBSERVATORY, whole.los + instant, whole.los + hour) == []
    assert find_passes([LOW], OBSERVATORY, whole.aos - hour, whole.aos - instant) == []


def test_a_geostationary_satellite_in_sight_is_always_up() -> None:
    (one,) = find_passes([over(110.0, GEOSTATIONARY)], OBSERVATORY, NOON, NOON + 2 * DAY)
    assert (one.aos, one.los, one.aos_azimuth_deg, one.los_range_km) == (None, None, None, None)
    assert (one.in_progress_at_start, one.in_progress_at_end) == (True, True)
    assert NOON <= one.culmination <= NOON + 2 * DAY
    assert disagreements(over(110.0, GEOSTATIONARY), OBSERVATORY, NOON, 2.0) == []


@pytest.mark.parametrize("longitude_deg", [60.0, 105.0, 114.0, 150.0])
@pytest.mark.parametrize(("inclination_deg", "eccentricity"), [(0.005, 2e-5), (0.02, 3e-4), (0.08, 1e-4), (5.0, 5e-4)])
def test_the_flattest_culmination_is_found_to_5_ms(
    longitude_deg: float, inclination_deg: float, eccentricity: float
) -> None:
    """Elevation bends by 1e-12 rad/s²: a jump of SGP4's of 1e-12 rad, or rounding to 1e-15, may not place it."""
    elements = replace(GEOSTATIONARY, inclination_deg=inclination_deg, eccentricity=eccentricity)
    for day in range(3):
        start = NOON + timedelta(days=2 * day, hours=3 * day)
        assert disagreements(over(longitude_deg, elements), OBSERVATORY, start, 2.0) == []


@pytest.mark.parametrize(
    ("elements", "site"),
    [(over(-60.0, GEOSTATIONARY), OBSERVATORY), (replace(LOW, inclination_deg=1.0), NORTH_POLE)],
    ids=["geostationary over Brazil", "equatorial from the pole"],
)
def test_what_never_rises_has_no_passes(elements: Elements, site: Site) -> None:
    assert find_passes([elements], site, NOON, NOON + DAY) == []


def test_many_satellites_have_the_passes_of_each_in_order_of_aos() -> None:
    fleet = [*shipped(), GEOSTATIONARY, DECAYING, *(replace(LOW, raan_deg=float(raan)) for raan in range(0, 360, 3))]
    fleet = [replace(one, norad_id=number) for number, one in enumerate(fleet, start=1)]
    together = find_passes(fleet, OBSERVATORY, NOON, NOON + 3 * DAY)
    alone = [one for elements in fleet for one in find_passes([elements], OBSERVATORY, NOON, NOON + 3 * DAY)]
    assert len(together) == len(alone) > 1000
    begins = [one.aos or NOON for one in together]
    assert begins == sorted(begins)
    ordered = sorted(alone, key=lambda one: (one.norad_id, one.culmination))
    for ours, theirs in zip(sorted(together, key=lambda one: (one.norad_id, one.culmination)), ordered, strict=True):
        assert ours.norad_id == theirs.norad_id
        assert abs(ours.culmination - theirs.culmination) < timedelta(milliseconds=5)
        assert (ours.aos is None) == (theirs.aos is None)


def test_the_chunks_hold_the_same_passes() -> None:
    fleet = [replace(LOW, norad_id=number, raan_deg=float(number % 360)) for number in range(1, 400)]
    chunks = list(find_passes_in_chunks(fleet, OBSERVATORY, NOON, NOON + DAY))
    assert len(chunks) > 1
    found = find_passes(fleet, OBSERVATORY, NOON, NOON + DAY)
    assert sorted((one.norad_id, one.culmination) for chunk in chunks for one in chunk) == sorted(
        (one.norad_id, one.culmination) for one in found
    )


def test_a_pass_cannot_be_changed_and_equals_its_copy() -> None:
    one = find_passes([LOW], OBSERVATORY, NOON, NOON + DAY)[0]
    assert type(one) is Pass
    assert replace(one) == one
    assert len({one, replace(one)}) == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.satellite = "other"  # type: ignore[misc]


def test_catalogue_numbers_beyond_sgp4s_own_are_kept() -> None:
    found = find_passes([replace(LOW, norad_id=999_999_999)], OBSERVATORY, NOON, NOON + DAY)
    assert {one.norad_id for one in found} == {999_999_999}


@pytest.mark.parametrize("mean_motion_rev_day", [1.0, 15.2])
def test_an_inclination_of_next_to_nothing_is_none(mean_motion_rev_day: float) -> None:
    flat = replace(LOW, mean_motion_rev_day=mean_motion_rev_day, eccentricity=0.0, inclination_deg=0.0)
    found = find_passes([replace(flat, inclination_deg=1e-308)], EQUATOR, NOON, NOON + DAY)
    assert found
    assert found == find_passes([flat], EQUATOR, NOON, NOON + DAY)


def test_no_satellites_have_no_passes() -> None:
    assert find_passes([], OBSERVATORY, NOON, NOON + DAY) == []


def test_times_must_be_aware_and_in_order() -> None:
    naive = NOON.replace(tzinfo=None)
    with pytest.raises(ValueError, match="is not an aware UTC time"):
        find_passes([LOW], OBSERVATORY, naive, NOON)
    with pytest.raises(ValueError, match="expected later than 2026-08-22T12:00:00"):
        find_passes([LOW], OBSERVATORY, NOON, NOON)


def test_sgp4_is_still_called_the_way_that_the_fleet_does() -> None:
    """Fleet fills arrays of its own through Satrec._sgp4, which is private to the sgp4 package."""
    here = observer(OBSERVATORY, NOON, NOON + DAY, earth_rotation("iers"))
    fleet = Fleet([to_satrec(LOW), to_satrec(DECAYING)], here)
    at_s = np.array([0.0, 5000.0, 100.0, 86400.0])
    states = fleet.states(np.array([0, 0, 1, 1]), at_s)
    for row, elements in enumerate((LOW, LOW, DECAYING, DECAYING)):
        error, r, v = to_satrec(elements).sgp4(here.jd_whole, here.jd_fraction + at_s[row] / 86400)
        assert states.failed[row] == (error > 0)
        assert states.r[:, row].tolist() == list(r)
        assert states.v[:, row].tolist() == list(v)


def test_a_synthetic_satellite_rises_when_it_is_told_to() -> None:
    for latitude_deg in (-67.0, -35.0, 0.0, 22.3, 60.0):
        site = Site("any", "", latitude_deg, 114.17, 32.0, mask_deg=5.0)
        for wanted_deg in (12.0, 45.0, 88.0):
            elements = rising_over(site, NOON, wanted_deg, 99_999, "demo")
            first = find_passes([elements], site, NOON - timedelta(seconds=15), NOON + timedelta(hours=1))[0]
            assert first.aos is not None
            assert abs(first.aos - NOON) < timedelta(milliseconds=100)
            assert first.max_elevation_deg == pytest.approx(wanted_deg, abs=1.0)
            assert elements.source == "synthetic"


def test_a_synthetic_pass_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="no pass over hko was found that culminates at 3°"):
        rising_over(OBSERVATORY, NOON, 3, 99_999, "demo")
