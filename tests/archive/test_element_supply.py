"""The archive knows which elements served when, what was refused, and whether a source may be asked."""

import asyncio
from dataclasses import replace
from datetime import timedelta

from groundstation.archive.element_supply import (
    LONGEST_US,
    claim_fetches,
    current_sets,
    keep_refused,
    last_fetches,
    refused_since,
    set_of,
    sets_since,
    settle_fetches,
)
from tests.archive.places import T0, Place
from tests.orbit.histories import QUIET, later

HOUR_US = 3_600_000_000
NAMED = replace(QUIET, name="horyu-4", source="files")


async def test_the_set_that_was_admitted_last_serves_for_each_satellite_and_number(place: Place) -> None:
    next_one = replace(later(NAMED, 1), source="celestrak")
    other = replace(NAMED, norad_id=999_999_999, epoch=NAMED.epoch + timedelta(days=9))
    async with place.writer() as writer:
        await writer.save_elements([NAMED, other])
        await writer.save_elements([next_one])
        await writer.save_elements([NAMED])  # known: it does not begin to serve again
        served = await writer.commit(current_sets)
        assert {one.elements.norad_id: one.elements for one in served} == {57696: next_one, 999_999_999: other}
        assert served[0].since_us > 0
        epoch_us = (NAMED.epoch - timedelta(microseconds=0)).timestamp() * 1e6
        assert await writer.commit(set_of, "horyu-4", 57696, round(epoch_us)) == NAMED
        assert await writer.commit(set_of, "horyu-4", 57696, round(epoch_us) + 1) is None
    assert place.count("elements") == 3


async def test_the_history_of_satellites_is_every_set_since_an_epoch(place: Place) -> None:
    history = [later(NAMED, day) for day in range(5)]
    other = replace(NAMED, name="another", norad_id=999_999_999)
    async with place.writer() as writer:
        await writer.save_elements([*history, other])
        since_us = round(history[2].epoch.timestamp() * 1e6)
        found = await writer.commit(sets_since, ["horyu-4", "never-heard-of"], since_us)
        assert sorted(found, key=lambda one: one.epoch) == history[2:]
        assert await writer.commit(sets_since, ["another"], 0) == [other]
        assert await writer.commit(sets_since, [], 0) == []


async def test_a_refused_set_is_kept_once_and_found_by_reason_and_time(place: Place) -> None:
    async with place.writer() as writer:
        for _ in range(2):
            await writer.commit(keep_refused, NAMED, "implausible_jump", "900 km across", T0)
        await writer.commit(keep_refused, later(NAMED, 1), "sgp4_error", "words", T0)
        (found,) = await writer.commit(refused_since, "implausible_jump", T0)
        assert (found.elements, found.error, found.refused_at_us) == (NAMED, "900 km across", T0)
        assert await writer.commit(refused_since, "implausible_jump", T0 + 1) == []


async def test_what_is_claimed_may_not_be_claimed_again_before_its_time(place: Place) -> None:
    async with place.writer() as writer:
        (first,) = await writer.commit(claim_fetches, ["a"], "celestrak", T0, 2 * HOUR_US)
        assert (first.failures, first.succeeded_at_us, first.validators) == (0, None, {})
        assert await writer.commit(claim_fetches, ["a"], "renamed", T0 + 1, HOUR_US) == []
        assert [
            one.address for one in await writer.commit(claim_fetches, ["a", "b"], "celestrak", T0 + 1, HOUR_US)
        ] == ["b"]
        (again,) = await writer.commit(claim_fetches, ["a"], "celestrak", T0 + 2 * HOUR_US, HOUR_US)
        assert (again.outcome, again.failures) == ("interrupted", 1)


async def test_a_success_is_remembered_with_its_validators_and_forgets_the_failures(place: Place) -> None:
    async with place.writer() as writer:
        await writer.commit(claim_fetches, ["a"], "celestrak", T0, HOUR_US)
        await writer.commit(
            settle_fetches,
            ["a"],
            outcome="updated",
            detail="",
            allowed_at_us=T0 + HOUR_US,
            succeeded_at_us=T0 + 5,
            validators={"If-None-Match": '"x"'},
        )
        await writer.commit(claim_fetches, ["a"], "celestrak", T0 + HOUR_US, HOUR_US)
        await writer.commit(settle_fetches, ["a"], outcome="timeout", detail="hung", allowed_at_us=T0 + 9 * HOUR_US)
        last = (await writer.commit(last_fetches))["a"]
    assert (last.outcome, last.detail, last.failures, last.allowed_at_us) == ("timeout", "hung", 1, T0 + 9 * HOUR_US)
    assert (last.succeeded_at_us, last.validators) == (T0 + 5, {"If-None-Match": '"x"'})


async def test_a_time_that_a_wrong_clock_wrote_does_not_shut_a_source_for_years(place: Place) -> None:
    async with place.writer() as writer:
        await writer.commit(claim_fetches, ["a"], "celestrak", T0 + 10 * LONGEST_US, HOUR_US)
        assert len(await writer.commit(claim_fetches, ["a"], "celestrak", T0, HOUR_US)) == 1


async def test_of_daemons_that_claim_at_once_one_may_ask(place: Place) -> None:
    async def claim() -> int:
        async with place.writer() as writer:
            return len(await writer.commit(claim_fetches, ["a"], "celestrak", T0, HOUR_US))

    assert sum(await asyncio.gather(*(claim() for _ in range(6)))) == 1
