"""How far predictions moved is told by satellite, for passes that are the same though their edges move."""

from dataclasses import replace
from datetime import timedelta

from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.shift import prediction_shifts
from tests.orbit.histories import QUIET, later
from tests.orbit.sets import OBSERVATORY

NOW = QUIET.epoch + timedelta(days=1)
DAY = timedelta(days=1)


def predicted(anomaly_deg: float, **changes: object) -> list[Pass]:
    """Return a day's passes by a set whose satellite is `anomaly_deg` ahead; a degree is 15.9 s early."""
    moved = replace(later(QUIET, 0.9, mean_anomaly_deg=anomaly_deg), name="sat", **changes)  # type: ignore[arg-type]
    return find_passes([moved], OBSERVATORY, NOW, NOW + DAY)


OLD = find_passes([replace(QUIET, name="sat")], OBSERVATORY, NOW - timedelta(hours=1), NOW + DAY)
DEGREE_S = 86400 / QUIET.mean_motion_rev_day / 360


def test_a_satellite_that_is_ahead_comes_early_by_as_much() -> None:
    for degrees in (0.01, 1.0, -1.0, 10.0):
        shift_s = prediction_shifts(OLD, predicted(degrees), NOW)["sat"]
        assert abs(shift_s + degrees * DEGREE_S) < 2 + 0.1 * abs(degrees * DEGREE_S)


def test_passes_that_no_longer_overlap_are_the_nearest() -> None:
    shift_s = prediction_shifts(OLD, predicted(-90.0), NOW)["sat"]
    assert 1000 < abs(shift_s) < 45 * 60 + 900


def test_the_same_elements_tell_nothing_however_often_they_are_predicted_from() -> None:
    again = find_passes([replace(QUIET, name="sat")], OBSERVATORY, NOW, NOW + 2 * DAY)
    assert prediction_shifts(OLD, again, NOW) == {}


def test_nothing_to_compare_with_is_no_shift() -> None:
    assert prediction_shifts([], predicted(1.0), NOW) == {}
    assert prediction_shifts(OLD, [], NOW) == {}
    assert prediction_shifts(OLD, predicted(1.0, norad_id=5), NOW) == {}


def test_of_several_candidate_numbers_the_largest_shift_counts() -> None:
    other = [replace(one, norad_id=5) for one in OLD]
    after = predicted(0.5) + predicted(2.0, norad_id=5)
    assert abs(prediction_shifts([*OLD, *other], after, NOW)["sat"]) > 1.5 * DEGREE_S
