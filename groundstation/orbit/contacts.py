"""Which passes a station's one antenna takes, and why it does not take the others.

What a pass is worth:

    weight = priority / candidates × quality × (1 + wait)
    quality = (duration, 15 minutes at most) / 15 minutes × sin(maximum elevation)
    wait = days since the object's last contact, a week at most

A satellite that may be one of several catalogued objects is one satellite still: each of its candidates is it with
the same chance, so a pass of one is worth that share. The wait is each object's own, so the antenna goes round them
until the operator knows which it is and strikes the others from `norad_ids`.

The chosen contacts have the greatest sum of weights that one antenna can have, exactly, by dynamic programming. The
wait depends on what was chosen before, so the passes are taken in groups: all that compete with one another for the
antenna, directly or through others. Nothing chosen in one group can stand in the way of another, so each is solved
by itself, in the order of time, with waits that count from the contacts chosen until then. Inside a group weights
are fixed and the sum is the greatest there is. This is also what planning again and again comes to: contacts chosen
today are past tomorrow.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import accumulate, pairwise
from math import radians, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Skyfield takes half a second to import, and only annotations need it here
    from groundstation.orbit.passes import Pass

LONGEST_S = 900.0  # what low orbits give at most; a pass of hours shall not be worth a day of others
LEAST_SINE = 0.01  # a pass along the horizon is worth little, not nothing
LONGEST_WAIT_D = 7.0
DAY = timedelta(days=1)


class Skip(StrEnum):
    """Why a pass is not taken."""

    LOW = "low"
    SHORT = "short"
    PRIORITY = "priority"  # the operator gave its satellite none
    NO_PACKETS = "no_packets"
    COMMITTED = "committed"  # the antenna is promised to another
    CONFLICT = "conflict"  # others are worth more


@dataclass(frozen=True, slots=True)
class ContactRules:
    """What one station takes; the defaults are those of the configuration."""

    setup_s: float = 60.0  # from the end of one contact to the beginning of the next
    min_elevation_deg: float = 10.0  # the pass must culminate this high
    min_duration_s: float = 60.0  # of what is left of the pass
    priorities: Mapping[str, float] = field(default_factory=dict)  # by satellite; 1 where none, 0 is never taken
    candidates: Mapping[str, int] = field(default_factory=dict)  # objects that each satellite may be; 1 where none
    without_packets: frozenset[str] = frozenset()  # satellites not to be taken because nothing of theirs is decoded


@dataclass(frozen=True, slots=True)
class Commitment:
    """What a station has promised, as it was promised: its pass may have moved since."""

    satellite: str
    norad_id: int
    start: datetime
    end: datetime
    weight: float


@dataclass(frozen=True, slots=True)
class Contact:
    """A planned use of a pass by one station."""

    of: "Pass"
    start: datetime  # AOS, or the beginning of the plan for a pass under way
    end: datetime  # LOS, or the end of the plan where it is unknown
    weight: float
    committed: bool = False  # kept by every later plan, however its pass moves

    def commitment(self) -> Commitment:
        return Commitment(self.of.satellite, self.of.norad_id, self.start, self.end, self.weight)


@dataclass(frozen=True, slots=True)
class Skipped:
    """A pass that the station does not take."""

    of: "Pass"
    reason: Skip
    why: str  # for people, with the figures
    weight: float | None = None  # None where it was not weighed
    in_the_way: tuple[Contact, ...] = ()  # the contacts that it is not taken for


@dataclass(frozen=True, slots=True)
class Plan:
    """What one station does with every pass that has not ended: each is in `contacts` or in `skipped`."""

    contacts: tuple[Contact, ...]  # by start
    skipped: tuple[Skipped, ...]  # by start
    cancelled: tuple[Commitment, ...] = ()  # promised, but their passes are no longer predicted


def choose_contacts(
    passes: Iterable["Pass"],
    committed: Sequence[Commitment],
    rules: ContactRules,
    window: tuple[datetime, datetime],
    last_contacts: Mapping[int, datetime] | None = None,
) -> Plan:
    """Return what one station does with its `passes` in `window`, which begins now.

    `last_contacts` has the end of the last contact by catalogue number; an object that is not in it has waited for
    the longest time that counts. A commitment is kept while a pass of its satellite overlaps it, whatever the rules
    say, also where two of them have moved into each other's set-up time.
    """
    now, setup = window[0], timedelta(seconds=rules.setup_s)
    offers = sorted((offer(one, *window) for one in passes), key=lambda one: (one.start, one.end, one.of.norad_id))
    kept_by_place, cancelled = keep_commitments(offers, committed, now)
    kept = [one for one in kept_by_place.values() if one.end > now]
    left = [one for place, one in enumerate(offers) if place not in kept_by_place and one.end > now]
    refused = {place: why for place, one in enumerate(left) if (why := why_not(one, rules, kept, setup))}
    history = History(last_contacts or {}, kept)
    chosen, skipped = [], list(refused.values())
    for group in competing([one for place, one in enumerate(left) if place not in refused], setup):
        weighed = [replace(one, weight=weight(one, rules, history)) for one in group]
        taken = heaviest(weighed, setup)
        history.add(taken)
        chosen += taken
        skipped += outweighed(weighed, taken, setup)
    return Plan(
        contacts=tuple(sorted((*kept, *chosen), key=lambda one: one.start)),
        skipped=tuple(sorted(skipped, key=lambda one: (one.of.aos or now, one.of.norad_id))),
        cancelled=tuple(cancelled),
    )


def offer(one: "Pass", start: datetime, end: datetime) -> Contact:
    """Return the whole use of a pass that is left; an edge that is unknown lies at the plan's own."""
    begins = start if one.aos is None else max(one.aos, start)
    return Contact(one, begins, end if one.los is None else one.los, 0.0)


def keep_commitments(
    offers: Sequence[Contact], committed: Sequence[Commitment], now: datetime
) -> tuple[dict[int, Contact], list[Commitment]]:
    """Return the commitments with the times of their passes now, by place in `offers`, and those without a pass.

    Predicting again moves AOS, so a commitment is known by satellite and overlap, never by equal times. First each
    finds a pass of the same object; then what is left may be a satellite that turned out to be another object.
    """
    pairs = [
        (one.of.norad_id == promise.norad_id, overlap(one, promise), -number, -place)
        for number, promise in enumerate(committed)
        for place, one in enumerate(offers)
        if one.of.satellite == promise.satellite and overlap(one, promise) > timedelta(0)
    ]
    kept: dict[int, Contact] = {}
    found: set[int] = set()
    for *_, number, place in sorted(pairs, reverse=True):
        if -number not in found and -place not in kept:
            found.add(-number)
            kept[-place] = as_promised(offers[-place], committed[-number], now)
    return kept, [promise for number, promise in enumerate(committed) if number not in found and promise.end > now]


def overlap(one: Contact, promise: Commitment) -> timedelta:
    begins = one.start if one.of.aos is None else one.of.aos  # of the pass under way, not of what is left of it
    return min(one.end, promise.end) - max(begins, promise.start)


def as_promised(one: Contact, promise: Commitment, now: datetime) -> Contact:
    """Return the contact with its pass's times; one that is under way began when it began."""
    begun = min(promise.start, now)
    start = begun if one.of.aos is None else max(one.of.aos, begun)
    return replace(one, start=start, weight=promise.weight, committed=True)


def why_not(one: Contact, rules: ContactRules, promised: Iterable[Contact], setup: timedelta) -> Skipped | None:
    """Return why the station cannot take this pass, or None where it is free to."""
    of, lasts_s = one.of, (one.end - one.start).total_seconds()
    if rules.priorities.get(of.satellite, 1.0) <= 0:
        return Skipped(of, Skip.PRIORITY, f"the priority of {of.satellite} is 0")
    if of.satellite in rules.without_packets:
        return Skipped(of, Skip.NO_PACKETS, f"the definition of {of.satellite} has no packets")
    if of.max_elevation_deg < rules.min_elevation_deg:
        found = f"culminates at {of.max_elevation_deg:.1f}°, below {rules.min_elevation_deg:g}°"
        return Skipped(of, Skip.LOW, found)
    if lasts_s < rules.min_duration_s:
        return Skipped(of, Skip.SHORT, f"lasts {lasts_s:.0f} s, less than {rules.min_duration_s:g} s")
    others = tuple(other for other in promised if in_conflict(one, other, setup))
    return Skipped(of, Skip.COMMITTED, f"promised to {named(others)}", in_the_way=others) if others else None


class History:
    """When each object's contacts end: those past, those promised and those chosen so far."""

    def __init__(self, last: Mapping[int, datetime], promised: Iterable[Contact]) -> None:
        self._ends: dict[int, list[datetime]] = {number: [end] for number, end in last.items()}
        self.add(promised)

    def add(self, contacts: Iterable[Contact]) -> None:
        for one in contacts:
            insort(self._ends.setdefault(one.of.norad_id, []), one.end)

    def wait_d(self, norad_id: int, start: datetime) -> float:
        """Return the days from the object's last contact to `start`, as many as count."""
        ends = self._ends.get(norad_id, [])
        before = bisect_right(ends, start)
        return min((start - ends[before - 1]) / DAY, LONGEST_WAIT_D) if before else LONGEST_WAIT_D


def weight(one: Contact, rules: ContactRules, history: History) -> float:
    """Return what taking this pass is worth; always above 0."""
    of, lasts_s = one.of, (one.end - one.start).total_seconds()
    worth = rules.priorities.get(of.satellite, 1.0) / rules.candidates.get(of.satellite, 1)
    quality = min(lasts_s, LONGEST_S) / LONGEST_S * max(sin(radians(of.max_elevation_deg)), LEAST_SINE)
    return worth * quality * (1 + history.wait_d(of.norad_id, one.start))


def in_conflict(one: Contact, other: Contact, setup: timedelta) -> bool:
    """Tell whether one antenna cannot do both."""
    return one.start < other.end + setup and other.start < one.end + setup


def competing(offers: Sequence[Contact], setup: timedelta) -> Iterator[Sequence[Contact]]:
    """Yield groups of `offers`, which are sorted by start: two of different groups are never in conflict."""
    busy_until = [end + setup for end in accumulate((one.end for one in offers), max)]
    cuts = [place for place in range(1, len(offers)) if offers[place].start >= busy_until[place - 1]]
    for first, last in pairwise((0, *cuts, len(offers))):
        yield offers[first:last]


def heaviest(offers: Iterable[Contact], setup: timedelta) -> list[Contact]:
    """Return the contacts with the greatest sum of weights of which no two are in conflict.

    Weighted interval scheduling: by end, the best of the first n either leaves the last of them out, or has it and
    the best of all that end early enough before it. Of equal sums the one that is free earlier is taken.
    """
    by_end = sorted(offers, key=lambda one: (one.end, one.start))
    ends = [one.end + setup for one in by_end]
    best = [0.0]
    before = [bisect_right(ends, one.start, hi=place) for place, one in enumerate(by_end)]
    for place, one in enumerate(by_end):
        best.append(max(best[place], one.weight + best[before[place]]))
    chosen = []
    place = len(by_end)
    while place:
        if best[place] == best[place - 1]:
            place -= 1
        else:
            chosen.append(by_end[place - 1])
            place = before[place - 1]
    return chosen[::-1]


def outweighed(offers: Iterable[Contact], taken: Sequence[Contact], setup: timedelta) -> Iterator[Skipped]:
    """Yield each of the offers that was not taken with the contacts that stand in its way."""
    starts, ends, found = [one.start for one in taken], [one.end + setup for one in taken], set(taken)
    for one in offers:
        if one not in found:
            others = tuple(taken[bisect_right(ends, one.start) : bisect_left(starts, one.end + setup)])
            why = f"{named(others)}: {sum(other.weight for other in others):.2f} against {one.weight:.2f}"
            yield Skipped(one.of, Skip.CONFLICT, why, one.weight, others)


def named(contacts: Sequence[Contact]) -> str:
    """Return satellites and times as operators say them, the first two of many."""
    shown = [
        f"{one.of.satellite} ({one.of.norad_id}) {one.start:%H:%M:%S} to {one.end:%H:%M:%S}" for one in contacts[:2]
    ]
    return " and ".join(shown) + (f" and {len(contacts) - 2} more" if len(contacts) > 2 else "")


def commit(plan: Plan, until: datetime) -> Plan:
    """Return the plan with every contact that starts by `until` committed."""
    contacts = tuple(replace(one, committed=one.committed or one.start <= until) for one in plan.contacts)
    return replace(plan, contacts=contacts)
