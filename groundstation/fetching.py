"""One round of a network source under its rules: claimed in the archive, asked, settled in the archive.

The archive is asked first and told first, so that a restart loop, a second daemon and a hand at the command line share
one turn. A source that refuses is left alone for longer each time.
"""

import asyncio
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass

from groundstation.archive.element_supply import LastFetch, claim_fetches, last_fetches, settle_fetches
from groundstation.archive.writer import Writer
from groundstation.elements.http import GOOD, WAIT_S, Answer, Outcome, fetch
from groundstation.elements.settings import EVERY_LEAST_H, SourceSettings
from groundstation.orbit.elements import Elements

HOUR_US = 3_600_000_000
LONGEST_WAIT_H = 24.0
BETWEEN_S = 1.0  # from one number to the next


@dataclass(frozen=True, slots=True)
class Round:
    """What asking a source brought; `outcome` is None where it may not be asked yet."""

    outcome: Outcome | None
    detail: str
    elements: tuple[Elements, ...]
    next_at_us: int  # when it may be asked again
    succeeded_at_us: int | None  # when all that is asked of it was last had or confirmed


async def ask_source(
    source: SourceSettings,
    catalogue: Collection[int],
    writer: Writer,
    beat: Callable[[], None] = lambda: None,
    *,
    wait_s: float = WAIT_S,
) -> Round:
    """Ask `source` for what it may be asked now; raises ArchiveUnavailableError.

    The first request that fails ends the round for the rest too: whoever refuses one refuses all. `beat` is called from
    request to request, since twenty slow answers take longer than a task may be silent.
    """
    requests = {one.address: one for one in source.requests(catalogue)}
    free = await writer.commit(claim_fetches, list(requests), source.name, now_us(), EVERY_LEAST_H * HOUR_US)
    found: list[Elements] = []
    answers: list[Answer] = []
    for place, before in enumerate(free):
        if place:
            await asyncio.sleep(BETWEEN_S)
        beat()
        answer = await fetch(source, requests[before.address].url, before.validators, wait_s=wait_s)
        answer = believed(answer, before, source.norad_ids)
        good = answer.outcome in GOOD
        settled = [before.address] if goes_on(answer) else [one.address for one in free[place:]]
        await writer.commit(
            settle_fetches,
            settled,
            outcome=answer.outcome,
            detail=answer.detail,
            allowed_at_us=now_us() + wait_us(source, 0 if good else before.failures + 1),
            succeeded_at_us=now_us() if good else None,
            validators=answer.conditions,
        )
        answers.append(answer)
        found += answer.elements
        if not goes_on(answer):
            break
    known = await writer.commit(last_fetches)
    mine = [known[address] for address in requests]
    successes = [one.succeeded_at_us for one in mine if one.succeeded_at_us is not None]
    return Round(
        *summary(answers),
        tuple(found),
        next_at_us=max(one.allowed_at_us for one in mine),
        succeeded_at_us=min(successes) if len(successes) == len(mine) else None,
    )


def believed(answer: Answer, before: LastFetch, asked: Collection[int]) -> Answer:
    """Return `answer`, or what it is worth where it speaks of what we do not have or did not ask for."""
    if answer.outcome is Outcome.CURRENT and before.succeeded_at_us is None:
        # The copy that the source speaks of was taken by somebody else behind the same address.
        return Answer(Outcome.FORBIDDEN, "says that our copy is current, but there is none in this archive")
    strangers = {one.norad_id for one in answer.elements} - set(asked)
    if asked and strangers:
        numbers = ", ".join(str(number) for number in sorted(strangers)[:5])
        return Answer(Outcome.MALFORMED, f"has elements of {numbers}, which were not asked for")
    return answer


def goes_on(answer: Answer) -> bool:
    """A number that the source does not know is no reason to leave out the next."""
    return answer.outcome in GOOD or answer.outcome is Outcome.NO_DATA


def summary(answers: list[Answer]) -> tuple[Outcome | None, str]:
    """Return one outcome for the round: a failure if there was one, else news if there were any."""
    for answer in answers:
        if not goes_on(answer):
            return answer.outcome, answer.detail
    for outcome in (Outcome.UPDATED, Outcome.CURRENT):
        if any(answer.outcome is outcome for answer in answers):
            return outcome, ""
    return (answers[0].outcome, answers[0].detail) if answers else (None, "")


def wait_us(source: SourceSettings, failures: int) -> int:
    """Return how long to leave the source alone: its period, doubled from two hours up to a day while it fails."""
    backed_off_h = min(EVERY_LEAST_H * 2.0**failures, LONGEST_WAIT_H) if failures else 0.0
    return round(max(source.every_h, backed_off_h) * HOUR_US)


def now_us() -> int:
    return time.time_ns() // 1000
