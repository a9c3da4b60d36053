"""A contact keeps its number while plans are made again; what was promised is remembered, what was not is forgotten."""

from collections.abc import Sequence
from datetime import timedelta

from groundstation.archive.contacts import commitments, last_contacts
from groundstation.archive.writer import Writer
from groundstation.orbit.contacts import ContactRules, Plan, choose_contacts, commit
from groundstation.orbit.passes import Pass
from groundstation.telemetry.moments import microseconds
from tests.archive.places import Place
from tests.archive.test_passes import MINUTE, NOW, a_pass, moved

SOON = NOW + 15 * MINUTE
DAY = timedelta(days=1)
OTHER = {"satellite": "aalto-1", "norad_id": 42775}
STATES = "SELECT id, state FROM contact ORDER BY id"


def planned(passes: Sequence[Pass], before: Plan | None = None) -> Plan:
    promised = [one.commitment() for one in before.contacts if one.committed] if before else []
    return commit(choose_contacts(passes, promised, ContactRules(), (NOW, NOW + DAY)), SOON)


async def save(writer: Writer, plan: Plan, station: str = "hko") -> list[int]:
    return (await writer.save_plans({station: plan}, {}, NOW))[station]


async def test_a_commitment_keeps_its_number_when_elements_move_its_pass(place: Place) -> None:
    promised, later = a_pass(10), a_pass(120, **OTHER)
    async with place.writer() as writer:
        first = planned([promised, later])
        numbers = await save(writer, first)
        better = a_pass(9, max_elevation_deg=88.0, **OTHER)  # it would have won, had it been there before
        again = planned([better, moved(promised, -42.5), moved(later, 80)], first)
        assert [one.committed for one in again.contacts] == [True, False]
        assert await save(writer, again) == numbers
    assert place.rows(STATES) == [(numbers[0], "committed"), (numbers[1], "planned")]
    times = place.rows("SELECT starts_at, ends_at FROM contact ORDER BY id")
    if place.engine == "sqlite":
        assert times[0] == (microseconds(NOW + 10 * MINUTE) - 42_500_000, microseconds(NOW + 20 * MINUTE) - 42_500_000)


async def test_a_commitment_survives_a_restart_to_the_microsecond(place: Place) -> None:
    promised = moved(a_pass(10), 0.123456)
    async with place.writer() as writer, place.reader() as reader:
        plan = planned([promised, a_pass(120)])
        await save(writer, plan)
        found = await reader.ask(commitments, NOW)
        assert found == {"hko": [one.commitment() for one in plan.contacts[:1]]}
        assert await reader.ask(commitments, NOW + 79 * MINUTE) == found  # newer elements may say it has not ended
        assert await reader.ask(commitments, NOW + 81 * MINUTE) == {}


async def test_a_contact_that_was_only_planned_is_forgotten_and_a_promised_one_cancelled(place: Place) -> None:
    async with place.writer() as writer:
        first = planned([a_pass(10), a_pass(120)])
        promised, _ = await save(writer, first)
        nothing_left = planned([], first)
        assert await save(writer, nothing_left) == []
        assert place.rows(STATES) == [(promised, "cancelled")]
        (new,) = await save(writer, planned([a_pass(10)]))
    assert new not in {promised, promised + 1}  # a number is never given again
    assert place.rows(STATES) == [(promised, "cancelled"), (new, "committed")]


async def test_what_was_planned_and_never_promised_leaves_nothing_behind(place: Place) -> None:
    async with place.writer() as writer:
        await save(writer, planned([a_pass(120)]))
        await writer.save_plans({"hko": Plan((), ())}, {}, NOW + DAY)  # the daemon was away when its time came
    assert place.count("contact") == 0


async def test_stations_have_contacts_of_their_own(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        (here,) = await save(writer, planned([a_pass(10)]))
        (there,) = await save(writer, planned([a_pass(10, site="cuhk")]), "cuhk")
        await save(writer, Plan((), ()))
        assert (await reader.ask(commitments, NOW)).keys() == {"hko", "cuhk"}
    assert here != there


async def test_a_contact_names_the_pass_that_it_takes(place: Place) -> None:
    passes = [a_pass(10), a_pass(120, **OTHER)]
    async with place.writer() as writer:
        numbers = await writer.save_passes(passes)
        plan = planned(passes)
        await writer.save_plans({"hko": plan}, dict(zip(passes, numbers, strict=True)), NOW)
    joined = "SELECT contact.satellite, pass.satellite FROM contact JOIN pass ON pass.id = contact.pass_id"
    assert sorted(place.rows(joined)) == [("aalto-1", "aalto-1"), ("horyu-4", "horyu-4")]


async def test_the_last_contact_is_the_newest_that_was_promised_and_is_over(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        await save(writer, planned([a_pass(0), a_pass(100, **OTHER)]))
        await save(writer, planned([a_pass(5, site="cuhk")]), "cuhk")
        assert await reader.ask(last_contacts, NOW + 5 * MINUTE) == {}
        assert await reader.ask(last_contacts, NOW + 12 * MINUTE) == {41340: NOW + 10 * MINUTE}
        assert await reader.ask(last_contacts, NOW + DAY) == {41340: NOW + 15 * MINUTE}
        assert await reader.ask(last_contacts, NOW + 8 * DAY) == {}
