"""The network's view has each opportunity once, and loses nothing of what the stations plan."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from groundstation.orbit.contacts import Plan, Skip
from groundstation.orbit.network import ALWAYS, opportunities
from groundstation.orbit.passes import Pass
from tests.orbit.test_contacts import MINUTE, a_pass, moved, plan_of, promise


def over(site: str, one: Pass, by: timedelta = timedelta(0)) -> Pass:
    return replace(moved(one, by), site=site)


def test_a_pass_over_two_neighbours_is_one_opportunity_and_one_far_away_another() -> None:
    one = a_pass(30)
    plans = [
        plan_of([over("hko", one)]),
        plan_of([over("cuhk", one, MINUTE)]),
        plan_of([over("svalbard", one, 20 * MINUTE)]),
    ]
    near, far = opportunities(plans)
    assert [contact.of.site for contact in near.taken] == ["hko", "cuhk"]
    assert (near.start, near.end) == (one.aos, one.los and one.los + MINUTE)
    assert [contact.of.site for contact in far.taken] == ["svalbard"]


def test_what_no_station_takes_is_uncovered_and_says_why_for_each() -> None:
    one, promised = a_pass(30), a_pass(29, satellite="two", norad_id=2)
    plans = [
        plan_of([over("hko", one), over("hko", promised)], [promise(promised)]),
        plan_of([over("cuhk", replace(one, max_elevation_deg=7))]),
    ]
    theirs, ours = opportunities(plans)
    assert theirs.covered
    assert not ours.covered
    assert [(left.of.site, left.reason) for left in ours.left] == [("hko", Skip.COMMITTED), ("cuhk", Skip.LOW)]


def test_one_station_is_enough_to_cover() -> None:
    one = a_pass(30)
    (found,) = opportunities([plan_of([over("hko", one)]), plan_of([replace(one, site="cuhk", max_elevation_deg=7)])])
    assert found.covered
    assert ([c.of.site for c in found.taken], [c.of.site for c in found.left]) == (["hko"], ["cuhk"])


def test_candidates_of_one_satellite_are_objects_of_their_own() -> None:
    plans = [plan_of([a_pass(30, satellite="cuhk", norad_id=number) for number in (67746, 67747)])]
    assert [one.norad_id for one in opportunities(plans)] == [67746, 67747]


def test_an_unknown_edge_stays_unknown() -> None:
    always = replace(a_pass(0), aos=None, los=None)
    (found,) = opportunities([plan_of([always]), plan_of([over("cuhk", a_pass(600))])])
    assert (found.start, found.end) == (None, None)
    assert len(found.taken) == 2


@given(
    st.lists(
        st.lists(st.tuples(st.integers(0, 90), st.integers(1, 20), st.integers(1, 3)), max_size=6, unique=True),
        max_size=4,
    )
)
def test_every_entry_of_every_plan_is_in_one_opportunity_of_its_object(drawn: list[list[tuple[int, int, int]]]) -> None:
    plans: list[Plan] = [
        plan_of([over(f"station-{n}", a_pass(at, lasts, norad_id=number)) for at, lasts, number in passes])
        for n, passes in enumerate(drawn)
    ]
    found = opportunities(plans)
    entries = [str(entry) for plan in plans for entry in (*plan.contacts, *plan.skipped)]
    shown = [str(entry) for one in found for entry in one.entries]
    assert sorted(shown) == sorted(entries)
    for one in found:
        assert {entry.of.norad_id for entry in one.entries} == {one.norad_id}
        for other in found:
            if other is not one and other.norad_id == one.norad_id:
                assert (one.end or ALWAYS[1]) <= (other.start or ALWAYS[0]) or (other.end or ALWAYS[1]) <= (
                    one.start or ALWAYS[0]
                )
