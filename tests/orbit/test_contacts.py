"""One antenna takes the best contacts that it can, keeps its promises, and says why it leaves each other pass."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from math import radians, sin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.orbit.contacts import (
    Commitment,
    Contact,
    ContactRules,
    Plan,
    Skip,
    choose_contacts,
    commit,
)
from groundstation.orbit.passes import Pass

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WINDOW = (NOON, NOON + DAY)
RULES = ContactRules(setup_s=60, min_elevation_deg=10, min_duration_s=60)
ALL = replace(RULES, min_elevation_deg=0, min_duration_s=0)


def a_pass(
    start_min: float, lasts_min: float = 10, elevation_deg: float = 45, satellite: str = "one", norad_id: int = 1
) -> Pass:
    """Return a pass `start_min` minutes after noon; where it stands in the sky says nothing."""
    aos = NOON + start_min * MINUTE
    middle, los = aos + lasts_min / 2 * MINUTE, aos + lasts_min * MINUTE
    return Pass(
        satellite=satellite,
        norad_id=norad_id,
        site="hko",
        aos=aos,
        culmination=middle,
        tca=middle,
        los=los,
        aos_azimuth_deg=180.0,
        culmination_azimuth_deg=90.0,
        los_azimuth_deg=0.0,
        max_elevation_deg=elevation_deg,
        tca_range_km=900.0,
        in_progress_at_start=False,
        in_progress_at_end=False,
        elements_epoch=NOON - DAY,
        ut1="builtin",
    )


def moved(one: Pass, by: timedelta) -> Pass:
    """Return the pass as newer elements have it."""
    assert one.aos is not None
    assert one.los is not None
    return replace(one, aos=one.aos + by, culmination=one.culmination + by, tca=one.tca + by, los=one.los + by)


def promise(one: Pass) -> Commitment:
    assert one.aos is not None
    assert one.los is not None
    return Commitment(one.satellite, one.norad_id, one.aos, one.los, 0.5)


def plan_of(
    passes: Iterable[Pass],
    committed: Sequence[Commitment] = (),
    rules: ContactRules = RULES,
    last: dict[int, datetime] | None = None,
    now: datetime = NOON,
) -> Plan:
    return choose_contacts(passes, committed, rules, (now, NOON + DAY), last)


def taken(plan: Plan) -> list[Pass]:
    return [one.of for one in plan.contacts]


def apart(one: Pass, other: Pass, setup_s: float) -> bool:
    assert one.aos
    assert one.los
    assert other.aos
    assert other.los
    setup = timedelta(seconds=setup_s)
    return one.los + setup <= other.aos or other.los + setup <= one.aos


def worth(one: Pass, rules: ContactRules, wait_d: float) -> float:
    """Return the weight as the module's first lines have it, written again."""
    assert one.aos
    assert one.los
    quality = min((one.los - one.aos).total_seconds(), 900) / 900 * max(sin(radians(one.max_elevation_deg)), 0.01)
    share = rules.priorities.get(one.satellite, 1) / rules.candidates.get(one.satellite, 1)
    return share * quality * (1 + wait_d)


def best_of_all(weights: Sequence[tuple[Pass, float]], setup_s: float) -> float:
    """Return the greatest sum by trying every subset."""
    return max(
        sum(weight for _, weight in subset)
        for size in range(len(weights) + 1)
        for subset in combinations(weights, size)
        if all(apart(one, other, setup_s) for (one, _), (other, _) in combinations(subset, 2))
    )


numbers = st.tuples(st.integers(0, 90), st.integers(1, 20), st.integers(0, 90), st.integers(1, 3))
setups = st.sampled_from([0.0, 60.0, 300.0])


@given(st.lists(numbers, max_size=9), setups, st.floats(0.1, 10))
def test_no_other_choice_is_worth_more(drawn: list[tuple[int, int, int, int]], setup_s: float, priority: float) -> None:
    rules = replace(ALL, setup_s=setup_s, priorities={"2": priority}, candidates={"3": 7})
    passes = [a_pass(at, lasts, up, str(of), number) for number, (at, lasts, up, of) in enumerate(drawn)]
    plan = plan_of(passes, rules=rules)
    expected = best_of_all([(one, worth(one, rules, 7)) for one in passes], setup_s)
    assert sum(worth(one, rules, 7) for one in taken(plan)) == pytest.approx(expected)
    assert all(apart(one, other, setup_s) for one, other in pairwise(taken(plan)))


@given(st.lists(numbers, max_size=9, unique=True), setups, st.lists(numbers, max_size=2))
def test_within_each_group_that_competes_no_other_choice_is_worth_more(
    drawn: list[tuple[int, int, int, int]], setup_s: float, promised: list[tuple[int, int, int, int]]
) -> None:
    rules = replace(ALL, setup_s=setup_s)
    passes = [a_pass(at, lasts, up, str(of), of) for at, lasts, up, of in drawn]
    promises = [a_pass(at, lasts, up, "promised", 9) for at, lasts, up, _ in promised]
    plan = plan_of([*passes, *promises], [promise(one) for one in promises], rules)
    kept = [one for one in taken(plan) if one in promises]
    free = [one for one in passes if all(apart(one, other, setup_s) for other in kept)]
    for group in groups(free, setup_s):
        weights = [(one, worth(one, rules, wait_d(one, group, plan))) for one in group]
        chosen = sum(weight for one, weight in weights if one in taken(plan))
        assert chosen == pytest.approx(best_of_all(weights, setup_s))


def groups(passes: Sequence[Pass], setup_s: float) -> list[list[Pass]]:
    """Return the connected components of the passes' conflicts."""
    found: list[list[Pass]] = []
    for one in passes:
        touched = [group for group in found if not all(apart(one, other, setup_s) for other in group)]
        found = [group for group in found if group not in touched]
        found.append([one, *(other for group in touched for other in group)])
    return found


def wait_d(one: Pass, group: Sequence[Pass], plan: Plan) -> float:
    """Return the days since the object's last contact outside the pass's own group."""
    assert one.aos
    before = [c.end for c in plan.contacts if c.of not in group and c.of.norad_id == one.norad_id and c.end <= one.aos]
    return min((one.aos - max(before)) / DAY, 7.0) if before else 7.0


@given(st.lists(numbers, max_size=12, unique=True), setups)
def test_every_pass_is_taken_or_left_with_a_reason_that_holds(
    drawn: list[tuple[int, int, int, int]], setup_s: float
) -> None:
    rules = replace(RULES, setup_s=setup_s, min_duration_s=180, priorities={"3": 0})
    passes = [a_pass(at, lasts, up, str(of), of) for at, lasts, up, of in drawn]
    plan = plan_of(passes, rules=rules)
    shown = [*taken(plan), *(one.of for one in plan.skipped)]
    assert len(shown) == len(passes)
    assert set(shown) == set(passes)
    for one in plan.skipped:
        match one.reason:
            case Skip.PRIORITY:
                assert one.of.satellite == "3"
            case Skip.LOW:
                assert one.of.max_elevation_deg < 10
            case Skip.SHORT:
                assert one.of.los is not None
                assert one.of.aos is not None
                assert one.of.los - one.of.aos < 3 * MINUTE
            case _:
                assert one.reason is Skip.CONFLICT
                assert one.weight is not None
                assert set(one.in_the_way) == {c for c in plan.contacts if not apart(c.of, one.of, setup_s)}
                assert sum(other.weight for other in one.in_the_way) >= one.weight * (1 - 1e-12)


@given(st.lists(numbers, max_size=12), st.integers(0, 120))
def test_time_alone_does_not_change_a_plan(drawn: list[tuple[int, int, int, int]], later_min: int) -> None:
    passes = [a_pass(at, lasts, up, str(of), of) for at, lasts, up, of in drawn]
    now = NOON + later_min * MINUTE
    eligible = [one for one in passes if one.max_elevation_deg >= RULES.min_elevation_deg]
    edges = [{edge > now for one in group for edge in (one.aos, one.los) if edge} for group in groups(eligible, 60)]
    if all(len(beyond) == 1 for beyond in edges):  # in the middle of a group the commitments see to it
        first = plan_of(passes)
        past = {one.of.norad_id: one.end for one in first.contacts if one.end <= now}
        again = plan_of(passes, last=past, now=now)
        assert taken(again) == [one.of for one in first.contacts if one.end > now]


@given(st.lists(numbers, max_size=9), st.integers(-119, 119), st.integers(0, 3))
def test_a_commitment_is_kept_while_its_pass_overlaps_it(
    drawn: list[tuple[int, int, int, int]], by_s: int, how_many: int
) -> None:
    passes = [a_pass(at + 20, lasts + 1, up, str(of), number) for number, (at, lasts, up, of) in enumerate(drawn)]
    promised = passes[:how_many]
    by = timedelta(seconds=by_s)
    plan = plan_of([moved(one, by) for one in passes], [promise(one) for one in promised], replace(ALL, setup_s=600))
    kept = [one for one in plan.contacts if one.committed]
    assert sorted((one.of.satellite, one.of.norad_id) for one in kept) == sorted(
        (one.satellite, one.norad_id) for one in promised
    )
    assert not plan.cancelled
    for one in kept:
        assert (one.start, one.end) == (one.of.aos, one.of.los)
    free = [one.of for one in plan.contacts if not one.committed]
    assert all(apart(one, other.of, 600) for one in free for other in kept)


def test_a_commitment_stands_against_a_pass_that_is_worth_more() -> None:
    small, great = a_pass(30, 5, 12), a_pass(32, 12, 88, "two", 2)
    assert taken(plan_of([small, great])) == [great]
    plan = plan_of([moved(small, MINUTE), great], [promise(small)])
    assert taken(plan) == [moved(small, MINUTE)]
    (left,) = plan.skipped
    assert left.reason is Skip.COMMITTED
    assert left.why == "promised to one (1) 12:31:00 to 12:36:00"
    assert left.in_the_way == plan.contacts


def test_a_commitment_is_kept_though_the_rules_would_not_take_its_pass_today() -> None:
    before = a_pass(30, elevation_deg=10.2)
    lower = replace(moved(before, -3 * MINUTE), max_elevation_deg=9.7)
    assert [one.reason for one in plan_of([lower]).skipped] == [Skip.LOW]
    (kept,) = plan_of([lower], [promise(before)]).contacts
    assert (kept.of, kept.committed, kept.weight) == (lower, True, 0.5)


def test_a_commitment_without_a_pass_is_cancelled_and_frees_the_antenna() -> None:
    gone, other = a_pass(30), a_pass(32, satellite="two", norad_id=2)
    plan = plan_of([other], [promise(gone)])
    assert plan.cancelled == (promise(gone),)
    assert taken(plan) == [other]


def test_a_commitment_that_ended_is_over_and_not_cancelled() -> None:
    ended = a_pass(-20)
    plan = plan_of([ended], [promise(ended), promise(a_pass(-40))])
    assert plan == Plan((), ())
    earlier = moved(a_pass(-9), -2 * MINUTE)  # it was to last until 12:01, and newer elements end it at 11:59
    assert plan_of([earlier], [promise(a_pass(-9))]) == Plan((), ())


def test_of_two_candidates_of_one_satellite_each_keeps_its_own_commitment() -> None:
    first, second = a_pass(30, satellite="cuhk", norad_id=67746), a_pass(32, satellite="cuhk", norad_id=67747)
    plan = plan_of([moved(first, 2 * MINUTE), moved(second, 2 * MINUTE)], [promise(second)])
    assert [(one.of.norad_id, one.committed) for one in plan.contacts] == [(67747, True)]
    renamed = plan_of([a_pass(31, satellite="cuhk", norad_id=67748)], [promise(second)])
    assert [(one.of.norad_id, one.committed) for one in renamed.contacts] == [(67748, True)]


def test_a_contact_under_way_keeps_its_beginning_however_often_it_is_planned_again() -> None:
    (contact,) = plan_of([a_pass(-3)]).contacts  # the daemon started in the middle of the pass
    assert (contact.start, contact.end) == (NOON, NOON + 7 * MINUTE)
    for minutes, shift_s in ((1, 2), (3, -4), (6, 30)):
        moving = moved(a_pass(-3), timedelta(seconds=shift_s))
        (contact,) = plan_of([moving], [contact.commitment()], now=NOON + minutes * MINUTE).contacts
        assert (contact.start, contact.end) == (NOON, moving.los)
        assert contact.committed


def test_what_is_left_of_a_pass_under_way_must_last_long_enough() -> None:
    (left,) = plan_of([a_pass(-9.5)]).skipped
    assert (left.reason, left.why) == (Skip.SHORT, "lasts 30 s, less than 60 s")


@pytest.mark.parametrize("gap_s", [59, 60])
def test_set_up_time_lies_between_two_contacts(gap_s: int) -> None:
    passes = [a_pass(0), a_pass(10 + gap_s / 60, satellite="two", norad_id=2)]
    assert len(plan_of(passes).contacts) == (2 if gap_s >= 60 else 1)


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        (a_pass(30, elevation_deg=50), a_pass(30, elevation_deg=40, norad_id=2)),
        (a_pass(30, 10), a_pass(30, 9, norad_id=2)),
        (a_pass(30, 9, 40, "liked", 2), a_pass(30)),
    ],
    ids=["higher", "longer", "of a higher priority"],
)
def test_of_two_that_conflict_the_better_is_taken(better: Pass, worse: Pass) -> None:
    rules = replace(RULES, priorities={"liked": 1.5})
    for passes in ([better, worse], [worse, better]):
        plan = plan_of(passes, rules=rules)
        assert taken(plan) == [better]
        (left,) = plan.skipped
        assert left.reason is Skip.CONFLICT
        assert left.why.startswith(f"{better.satellite} ({better.norad_id}) 12:30:00 to ")


def test_who_has_waited_longer_goes_first() -> None:
    passes = [a_pass(30, satellite="one", norad_id=1), a_pass(31, 9, 44, satellite="two", norad_id=2)]
    assert taken(plan_of(passes, last={1: NOON - 2 * DAY, 2: NOON - 2 * DAY})) == passes[:1]
    assert taken(plan_of(passes, last={1: NOON - DAY, 2: NOON - 2 * DAY})) == passes[1:]
    assert taken(plan_of(passes, last={1: NOON - DAY})) == passes[1:]


def test_a_promise_for_later_shortens_no_wait_before_it() -> None:
    soon, later = a_pass(10), a_pass(110)
    (alone,) = plan_of([soon], last={1: NOON - DAY}).contacts
    before, promised = plan_of([soon, later], [promise(later)], last={1: NOON - DAY}).contacts
    assert promised.committed
    assert before.weight == alone.weight


def test_two_satellites_that_always_come_together_take_turns() -> None:
    passes = [a_pass(100 * n + after, satellite=name, norad_id=number)
              for n in range(6) for name, number, after in (("one", 1, 0), ("two", 2, 3))]  # fmt: skip
    order = [one.satellite for one in taken(plan_of(passes))]
    assert order[0] != order[1]
    assert order == order[:2] * 3


def test_an_idle_antenna_takes_a_poor_pass_though_a_good_one_comes_later() -> None:
    # Weights that depend on every earlier choice would leave it: having waited longer makes the good one worth more.
    poor, good = a_pass(10, 3, 12), a_pass(370, 12, 80)
    together = worth(poor, RULES, 7) + worth(good, RULES, 6 / 24)
    assert together < worth(good, RULES, 7)
    assert taken(plan_of([poor, good])) == [poor, good]


def test_seven_candidates_of_one_satellite_do_not_take_the_antenna_from_a_known_one() -> None:
    train = [a_pass(30 + 2 * n, 8, 50, "cuhk", 67746 + n) for n in range(7)]
    known = a_pass(35, 8, 40, "known", 1)
    recently = {1: NOON - DAY / 4} | {67746 + n: NOON - DAY / 2 for n in range(7)}
    as_one = replace(RULES, candidates={"cuhk": 7})
    assert known not in taken(plan_of([*train, known], last=recently))
    assert taken(plan_of([*train, known], last=recently, rules=as_one)).count(known) == 1


def test_an_idle_antenna_goes_round_the_candidates() -> None:
    trains = [a_pass(100 * n + number, 9, 50, "cuhk", number) for n in range(7) for number in range(1, 8)]
    listened = [one.norad_id for one in taken(plan_of(trains, rules=replace(RULES, candidates={"cuhk": 7})))]
    assert sorted(listened[:7]) == [1, 2, 3, 4, 5, 6, 7]


def test_each_refusal_says_what_was_found_and_what_is_asked() -> None:
    rules = replace(RULES, priorities={"tired": 0}, without_packets=frozenset({"mute"}))
    passes = [a_pass(0, elevation_deg=9.94), a_pass(60, 0.5), a_pass(90, satellite="tired"), a_pass(120, 9, 80, "mute")]
    assert [(one.reason, one.why) for one in plan_of(passes, rules=rules).skipped] == [
        (Skip.LOW, "culminates at 9.9°, below 10°"),
        (Skip.SHORT, "lasts 30 s, less than 60 s"),
        (Skip.PRIORITY, "the priority of tired is 0"),
        (Skip.NO_PACKETS, "the definition of mute has no packets"),
    ]


def test_a_satellite_that_never_sets_yields_to_passes_that_are_worth_more_together() -> None:
    always = replace(a_pass(0, 10, 60, "geo", 3), aos=None, los=None)
    assert plan_of([always]).contacts == (Contact(always, *WINDOW, weight=8 * sin(radians(60))),)
    passes = [a_pass(100 * n, 10, 45, f"leo-{n}", 10 + n) for n in range(3)]
    plan = plan_of([always, *passes])
    assert taken(plan) == passes
    (left,) = plan.skipped
    assert (
        left.why == "leo-0 (10) 12:00:00 to 12:10:00 and leo-1 (11) 13:40:00 to 13:50:00 and 1 more: 11.31 against 6.93"
    )


def test_what_starts_in_time_is_committed_and_stays_so() -> None:
    passes = [a_pass(20), a_pass(60, norad_id=2)]
    plan = commit(plan_of(passes), NOON + 20 * MINUTE)
    assert [one.committed for one in plan.contacts] == [True, False]
    assert [one.committed for one in commit(plan, NOON).contacts] == [True, False]


def test_no_passes_are_no_plan() -> None:
    assert plan_of([]) == Plan((), ())


def test_a_crowded_fortnight_is_planned_within_a_second() -> None:
    passes = [a_pass(n * 4 % 20_160, 10, 10 + n * 7 % 80, f"s{n % 60}", n % 60) for n in range(5_000)]
    began = time.process_time()
    plan = choose_contacts(passes, [], RULES, (NOON, NOON + 14 * DAY))
    assert time.process_time() - began < 1
    assert len(plan.contacts) + len(plan.skipped) == 5_000
