"""Passes are followed from AOS to LOS though predictions move, and counted by what was stored meanwhile."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from groundstation.orbit.passes import Pass
from groundstation.telemetry.moments import microseconds, moment_of
from groundstation.watch import PassWatch

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
PASS = Pass(
    satellite="demo-sat",
    norad_id=1,
    site="hko",
    aos=NOON,
    culmination=NOON + timedelta(minutes=5),
    tca=NOON + timedelta(minutes=5),
    los=NOON + timedelta(minutes=10),
    aos_azimuth_deg=180.0,
    culmination_azimuth_deg=90.0,
    los_azimuth_deg=0.0,
    max_elevation_deg=60.0,
    tca_range_km=550.0,
    in_progress_at_start=False,
    in_progress_at_end=False,
    elements_epoch=NOON,
    ut1="builtin",
)


def shifted(seconds: float) -> Pass:
    """Return the pass as a newer element set would have it."""
    by = timedelta(seconds=seconds)
    assert PASS.aos is not None
    assert PASS.los is not None
    return replace(PASS, aos=PASS.aos + by, los=PASS.los + by)


def test_a_pass_is_told_once_at_aos_and_once_at_los_with_its_packets() -> None:
    watch, heard = PassWatch(), Counter({("demo-sat", "hko"): 7})
    watch.passes = (PASS,)
    told = []
    for second in range(-5, 700, 5):
        if second == 100:
            heard["demo-sat", "hko"] += 30
        told += [(second, e.kind, e.packets) for e in watch.update(NOON + timedelta(seconds=second), heard)]
    assert told == [(0, "aos", 0), (600, "los", 30)]


def test_a_prediction_that_moves_while_the_pass_is_under_way_tells_nothing_twice() -> None:
    watch, heard = PassWatch(), Counter[tuple[str, str]]()
    watch.passes = (PASS,)
    assert [e.kind for e in watch.update(NOON + timedelta(seconds=1), heard)] == ["aos"]
    heard["demo-sat", "hko"] += 5
    watch.passes = (shifted(-0.4),)
    assert watch.update(NOON + timedelta(seconds=2), heard) == []
    (health,) = watch.health(NOON + timedelta(seconds=3), heard)
    assert (health.active, health.packets) == (True, 5)


def test_what_was_stored_before_a_pass_never_counts_as_its_own() -> None:
    watch, heard = PassWatch(), Counter({("demo-sat", "hko"): 1000})
    watch.passes = (PASS,)
    (just_begun,) = watch.health(NOON + timedelta(seconds=1), heard)  # `update` comes every second
    assert (just_begun.active, just_begun.packets) == (True, 0)
    watch.update(NOON + timedelta(seconds=1), heard)
    heard["demo-sat", "hko"] += 5
    watch.passes = (shifted(-0.4),)  # predicted again, and not followed yet
    (predicted_again,) = watch.health(NOON + timedelta(seconds=2), heard)
    assert (predicted_again.active, predicted_again.packets) == (True, 5)


def test_candidates_that_are_up_together_are_one_pass_and_its_packets_are_told_once() -> None:
    watch, heard = PassWatch(), Counter[tuple[str, str]]()
    watch.passes = (PASS, replace(shifted(120), norad_id=2))
    told = []
    for second in range(-5, 800, 5):
        if second in (60, 300, 650):
            heard["demo-sat", "hko"] += 10
        told += [(second, e.kind, e.packets) for e in watch.update(NOON + timedelta(seconds=second), heard)]
        assert len(watch.health(NOON + timedelta(seconds=second), heard)) == (second < 720)
    assert told == [(0, "aos", 0), (720, "los", 30)]


def test_health_has_the_pass_under_way_and_else_the_next_one() -> None:
    watch, heard = PassWatch(), Counter[tuple[str, str]]()
    later = shifted(6000)
    watch.passes = (later, PASS)
    (before,) = watch.health(NOON - timedelta(hours=1), heard)
    assert (before.active, before.aos_us) == (False, microseconds(NOON))
    (after,) = watch.health(NOON + timedelta(minutes=11), heard)
    assert (after.active, moment_of(after.aos_us)) == (False, later.aos)


def test_the_summary_names_the_pass_under_way_else_the_next() -> None:
    watch = PassWatch()
    assert watch.summary(NOON) == "no pass in the horizon"
    watch.passes = (PASS,)
    assert watch.summary(NOON - timedelta(minutes=1)) == "next pass: demo-sat over hko at 12:00:00Z, 60°"
    assert watch.summary(NOON + timedelta(minutes=1)) == "demo-sat over hko until 12:10:00Z"


def test_microseconds_round_trip_exactly() -> None:
    for moment in (NOON, datetime(2026, 11, 22, 12, 0, 0, 999_999, UTC), datetime(1969, 12, 31, tzinfo=UTC)):
        assert moment_of(microseconds(moment)) == moment
