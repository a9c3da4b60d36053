"""The gate lets true sets pass, also after a burn and in a satellite's last weeks, and stops what cannot be."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta

import pytest

from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements
from groundstation.orbit.gate import Reason, Refusal, confirms, judge, jump, remark
from groundstation.orbit.satrec import to_satrec
from tests.orbit.histories import QUIET, later
from tests.orbit.sets import shipped

NOW = QUIET.epoch + timedelta(days=60)

# Real sets that followed one another, with the largest jumps of the histories that the bounds were fitted to.
BURN = """\
1 57696U 23127A   26076.03641396  .00003727  00000+0  23290-3 0  9998
2 57696  97.5535 171.1132 0009278 291.3148  68.7090 15.10034901141728
1 57696U 23127A   26076.56662630  .00003307  00000+0  20870-3 0  9995
2 57696  97.5536 171.6359 0010300 294.1692  65.8460 15.09744650141803
"""  # 57696, in half a day: 68 km
THRUSTING = """\
1 67751U 26027F   26078.18864849  .00002504  00000+0  13144-3 0  9990
2 67751  97.4937 207.1282 0004961 174.5163 185.6125 15.16645884  5300
1 67751U 26027F   26081.68680246  .00003620  00000+0  19400-3 0  9997
2 67751  97.4940 210.5827 0001479 163.1167 197.0115 15.15623716  5839
"""  # 67751, which raised its orbit for days: 944 km in 3.5 days


def ask(candidate: Elements, last: Elements | None = QUIET) -> Reason | None:
    refusal = judge(candidate, last, [57696, 61231], NOW)
    return None if refusal is None else refusal.reason


@pytest.mark.parametrize("days", [0.01, 0.3, 1, 3, 7, 30, 300])
def test_the_next_set_of_the_same_orbit_passes_at_any_age(days: float) -> None:
    following = replace(later(QUIET, days), source="")
    assert judge(following, QUIET, [57696], NOW + timedelta(days=days)) is None
    assert remark(QUIET, following) is None


def test_a_first_set_passes() -> None:
    assert ask(QUIET, None) is None


def test_what_sgp4_makes_of_carried_elements_is_the_same_orbit() -> None:
    found = jump(QUIET, later(QUIET, 1))
    assert found is not None
    assert abs(found.along_km) < 1
    assert abs(found.up_km) < 0.1
    assert found.across_km < 0.1


@pytest.mark.parametrize(
    ("days", "changes"),
    [
        (1, {"mean_anomaly_deg": 2.0}),  # 240 km: a burn of nearly 1 m/s a day ago
        (1, {"mean_motion_rev_day": 0.005}),  # 1.5 km lower
        (3, {"mean_anomaly_deg": -7.5}),  # 905 km, as a thruster does that works for three days
        (7, {"mean_anomaly_deg": 25.0}),
        (14, {"mean_anomaly_deg": 1.7}),  # 205 km: the tenth part of real sets of two weeks
    ],
)
def test_a_burn_and_a_solar_storm_pass(days: float, changes: Mapping[str, float]) -> None:
    assert ask(later(QUIET, days, **changes)) is None


def test_a_burn_is_remarked_on() -> None:
    words = remark(QUIET, later(QUIET, 1, mean_anomaly_deg=2.0))
    assert words is not None
    assert words.startswith("242 km along its orbit (expected 2")


@pytest.mark.parametrize(
    ("days", "changes"),
    [
        (1, {"mean_anomaly_deg": 5.0}),
        (3, {"mean_anomaly_deg": 20.0}),
        (1, {"raan_deg": 0.1}),
        (7, {"raan_deg": 0.5}),
        (1, {"inclination_deg": 0.1}),
        (1, {"eccentricity": 0.003}),
        (1, {"mean_motion_rev_day": 0.05}),
        (1, {"argument_of_perigee_deg": 10.0}),
    ],
)
def test_a_spoilt_element_is_an_implausible_jump(days: float, changes: Mapping[str, float]) -> None:
    assert ask(later(QUIET, days, **changes)) is Reason.IMPLAUSIBLE_JUMP


@pytest.mark.parametrize("seconds", [60, 3600, 86400, -3600, 7 * 86400])
def test_a_shifted_epoch_is_an_implausible_jump(seconds: float) -> None:
    right = later(QUIET, 1)
    assert ask(replace(right, epoch=right.epoch + timedelta(seconds=seconds))) is Reason.IMPLAUSIBLE_JUMP


def test_an_epoch_of_next_year_is_malformed_though_nothing_is_known_of_the_satellite() -> None:
    ahead = replace(QUIET, epoch=NOW + timedelta(days=365))
    assert judge(ahead, None, [57696], NOW) == Refusal(
        Reason.MALFORMED, "the epoch is 2027-10-21 15:07:02, expected 2026-10-21 15:07 or earlier"
    )
    assert judge(replace(QUIET, epoch=NOW + timedelta(hours=30)), None, [57696], NOW) is None


def test_a_set_under_the_number_of_another_object_is_refused_each_for_each_of_the_catalogue() -> None:
    """The seven of CUHK-1's launch fly one after the other: their designators tell them apart, or their places."""
    swaps = 0
    for one in shipped():
        for other in shipped():
            if other.norad_id == one.norad_id:
                continue
            swapped = replace(other, norad_id=one.norad_id, epoch=one.epoch + timedelta(minutes=1))
            assert judge(swapped, one, [one.norad_id], NOW).reason is Reason.WRONG_OBJECT  # type: ignore[union-attr]
            unnamed = replace(swapped, cospar_id="")
            assert judge(unnamed, one, [one.norad_id], NOW).reason is Reason.IMPLAUSIBLE_JUMP  # type: ignore[union-attr]
            swaps += 1
    assert swaps == 72


def test_another_number_is_another_object() -> None:
    assert judge(replace(QUIET, norad_id=5), None, [57696, 61231], NOW) == Refusal(
        Reason.WRONG_OBJECT, "the catalogue number is 5, expected 57696 or 61231"
    )
    assert ask(replace(later(QUIET, 1), norad_id=61231)) is Reason.WRONG_OBJECT


def test_a_name_in_place_of_a_designator_is_no_other_object() -> None:
    assert ask(replace(later(QUIET, 1), cospar_id="TBA")) is None


@pytest.mark.parametrize("days", [0, -0.1, -40])
def test_what_is_not_newer_is_older(days: float) -> None:
    assert ask(replace(QUIET, epoch=QUIET.epoch + timedelta(days=days))) is Reason.OLDER


def test_an_orbit_inside_the_earth_is_an_sgp4_error_in_words() -> None:
    refusal = judge(replace(later(QUIET, 1), mean_motion_rev_day=17.5), QUIET, [57696], NOW)
    assert refusal is not None
    assert refusal.reason is Reason.SGP4_ERROR
    assert refusal.text.startswith("SGP4 says")


@pytest.mark.parametrize("text", [BURN, THRUSTING])
def test_the_largest_jumps_of_real_histories_pass_and_are_remarked_on(text: str) -> None:
    last, following = parse_elements(text, "real.tle")
    assert judge(following, last, [last.norad_id], NOW) is None
    words = remark(last, following)
    assert words is not None
    assert "km along its orbit" in words


def test_a_thruster_that_works_for_weeks_passes_day_by_day() -> None:
    last = parse_elements(THRUSTING, "real.tle")[0]
    for _ in range(20):  # a km a day higher
        raised = later(last, 1.0, mean_motion_rev_day=-0.0033, mean_anomaly_deg=-0.6)
        assert judge(raised, last, [67751], NOW) is None
        last = raised


def falling(days_left: float) -> Elements:
    """Return a set of a satellite so low that SGP4 brings it down within about so many days."""
    return replace(
        QUIET, mean_motion_rev_day=16.2, mean_motion_dot_rev_day2=0.02, bstar_per_earth_radius=2e-2 / days_left
    )


def test_in_the_last_weeks_the_drag_itself_is_what_is_uncertain() -> None:
    last = falling(10)
    assert judge(later(last, 1, mean_motion_rev_day=0.01, mean_anomaly_deg=8.0), last, [57696], NOW) is None
    assert ask(later(QUIET, 1, mean_motion_rev_day=0.01, mean_anomaly_deg=8.0)) is Reason.IMPLAUSIBLE_JUMP


def test_where_the_old_set_is_down_before_the_new_epoch_they_are_compared_at_the_old_one() -> None:
    last, new = falling(1), replace(falling(10), epoch=QUIET.epoch + timedelta(days=8))
    down = to_satrec(last)
    assert down.sgp4(down.jdsatepoch, down.jdsatepochF + 8)[0]
    found = jump(last, new)
    assert found is not None
    assert found.age_days == 8
    assert ask(replace(new, inclination_deg=60.0), last) is Reason.IMPLAUSIBLE_JUMP


def test_a_jump_that_no_bound_foresees_is_confirmed_by_the_next_set_of_the_new_orbit() -> None:
    jumped = later(QUIET, 1, inclination_deg=0.3)
    assert ask(jumped) is Reason.IMPLAUSIBLE_JUMP
    following = later(jumped, 0.5)
    assert ask(following) is Reason.IMPLAUSIBLE_JUMP
    assert confirms(following, jumped)


def test_neither_the_same_fit_again_nor_the_old_orbit_nor_another_fault_confirms_a_jump() -> None:
    jumped = later(QUIET, 1, inclination_deg=0.3)
    assert not confirms(jumped, jumped)
    assert not confirms(later(jumped, 0.02), jumped)  # within the same revolution: the same observations
    assert not confirms(later(QUIET, 1.5), jumped)
    assert not confirms(later(jumped, 0.5, raan_deg=0.3), jumped)
    assert not confirms(replace(later(jumped, 0.5), norad_id=1), jumped)
