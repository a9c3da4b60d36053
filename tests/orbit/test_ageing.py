"""How far AOS may be off: grows with age, and learns from how the satellite's own sets aged."""

from dataclasses import replace
from datetime import timedelta
from math import inf

import pytest

from groundstation.orbit.ageing import AGE_DAYS, ERROR_KM, aos_uncertainty_s, drift_factor, usual_error_km
from groundstation.orbit.elements import Elements
from tests.orbit.histories import QUIET, later

SPEED_KM_S = 7.6  # at 530 km


def drifting(km_per_day2: float, sets: int = 12) -> list[Elements]:
    """Return sets a day apart, each of which has the satellite run early by so much more than the last foretold."""
    degrees_per_km = 360 / (2 * 3.14159 * 6900)
    history = [QUIET]
    for _ in range(sets):
        history.append(later(history[-1], 1.0, mean_anomaly_deg=km_per_day2 * degrees_per_km))
    return history


@pytest.mark.parametrize(("age_days", "error_km"), list(zip(AGE_DAYS, ERROR_KM, strict=True)))
def test_without_a_history_the_age_decides(age_days: float, error_km: float) -> None:
    found = aos_uncertainty_s(QUIET, QUIET.epoch + timedelta(days=age_days))
    assert found == pytest.approx(error_km / SPEED_KM_S, rel=0.02)


def test_uncertainty_never_shrinks_with_age() -> None:
    errors = [usual_error_km(days / 4) for days in range(400)]
    assert errors == sorted(errors)
    assert errors[0] == pytest.approx(0.5)
    assert usual_error_km(60.0) > 2 * usual_error_km(30.0)


def test_a_set_serves_backwards_as_well() -> None:
    week = timedelta(days=7)
    assert aos_uncertainty_s(QUIET, QUIET.epoch - week) == pytest.approx(
        aos_uncertainty_s(QUIET, QUIET.epoch + week), rel=0.01
    )


def test_a_satellite_that_keeps_its_time_is_trusted_more_and_one_that_does_not_less() -> None:
    faithful, unruly = drift_factor(drifting(0.05)), drift_factor(drifting(20.0))
    assert faithful < 0.2
    assert unruly > 5
    aos = QUIET.epoch + timedelta(days=14)
    usual = aos_uncertainty_s(QUIET, aos)
    assert aos_uncertainty_s(QUIET, aos, drifting(0.05)) == pytest.approx(usual * faithful, rel=0.1)


def test_the_factor_covers_nine_of_ten_of_the_errors_it_has_seen() -> None:
    history = drifting(3.0)
    promised_s = aos_uncertainty_s(history[0], history[5].epoch, history)
    slipped_s = 5 * 3.0 / SPEED_KM_S
    assert slipped_s < promised_s < 8 * slipped_s


def test_too_short_a_history_says_nothing() -> None:
    assert drift_factor([]) == 1.0
    assert drift_factor(drifting(50.0, sets=1)) == 1.0


def test_where_sgp4_ends_there_is_no_telling() -> None:
    spent = replace(QUIET, mean_motion_rev_day=16.4, bstar_per_earth_radius=0.01)
    assert aos_uncertainty_s(spent, spent.epoch + timedelta(days=5)) == inf
