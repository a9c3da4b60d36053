"""Who takes what: the plans of several stations beside one another, each opportunity to hear a satellite once."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from groundstation.orbit.contacts import Contact, Plan, Skipped
from groundstation.orbit.passes import Pass

ALWAYS = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))  # where an edge is unknown


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A stretch of time during which at least one station sees an object, and what each of them does about it."""

    satellite: str
    norad_id: int
    taken: tuple[Contact, ...]
    left: tuple[Skipped, ...]

    @property
    def entries(self) -> list[Contact | Skipped]:
        return [*self.taken, *self.left]

    @property
    def covered(self) -> bool:
        """Whether any station takes it."""
        return bool(self.taken)

    @property
    def start(self) -> datetime | None:
        """When the first station sees it; None where that is unknown."""
        edges = [one.of.aos for one in self.entries]
        return None if None in edges else min(edge for edge in edges if edge)

    @property
    def end(self) -> datetime | None:
        """When the last station loses it; None where that is unknown."""
        edges = [one.of.los for one in self.entries]
        return None if None in edges else max(edge for edge in edges if edge)


def opportunities(plans: Iterable[Plan]) -> list[Opportunity]:
    """Return every opportunity of the stations' plans, by start.

    Passes of one object over several stations are one opportunity where they overlap, directly or through others:
    then the stations hear the same packets. Stations far apart see the same revolution at different times, which
    are opportunities of their own.
    """
    entries: list[Contact | Skipped] = []
    for plan in plans:
        entries += [*plan.contacts, *plan.skipped]
    open_until: dict[int, datetime] = {}
    merged: dict[int, list[list[Contact | Skipped]]] = {}
    for one in sorted(entries, key=lambda one: span(one.of)):
        (start, end), number = span(one.of), one.of.norad_id
        stretches = merged.setdefault(number, [])
        if not stretches or start >= open_until[number]:
            stretches.append([])
            open_until[number] = end
        stretches[-1].append(one)
        open_until[number] = max(end, open_until[number])
    found = [opportunity(stretch) for stretches in merged.values() for stretch in stretches]
    return sorted(found, key=lambda one: (one.start or ALWAYS[0], one.norad_id))


def span(one: Pass) -> tuple[datetime, datetime]:
    return one.aos or ALWAYS[0], one.los or ALWAYS[1]


def opportunity(entries: Iterable[Contact | Skipped]) -> Opportunity:
    """Return what stations do about one stretch; in each part by AOS."""
    by_aos = sorted(entries, key=lambda one: span(one.of))
    of = by_aos[0].of
    return Opportunity(
        satellite=of.satellite,
        norad_id=of.norad_id,
        taken=tuple(one for one in by_aos if isinstance(one, Contact)),
        left=tuple(one for one in by_aos if isinstance(one, Skipped)),
    )
