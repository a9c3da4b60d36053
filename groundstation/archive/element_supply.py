"""What the archive remembers of the supply of elements: what served since when, what was refused, what was fetched.

A fetch is claimed before it is made and settled after it, so that no restart, no second daemon on the same database and
no hand at the command line asks a source again before it may be asked.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, select, update

from groundstation.archive.provenance import elements_row, insert_new
from groundstation.archive.tables import element_fetch, elements, elements_refused
from groundstation.orbit.elements import Elements

LONGEST_US = 8 * 86_400_000_000  # longer than any wait
PENDING = "interrupted"  # stands until the answer is there


@dataclass(frozen=True, slots=True)
class Served:
    """A set that was admitted, named by our slug; its source is `files` or the name of a network source."""

    elements: Elements
    since_us: int


@dataclass(frozen=True, slots=True)
class RefusedSet:
    elements: Elements
    reason: str
    error: str
    refused_at_us: int


@dataclass(frozen=True, slots=True)
class LastFetch:
    """How a source was last asked; `succeeded_at_us` is when it last had or confirmed its data."""

    address: str
    source: str
    asked_at_us: int
    outcome: str
    detail: str
    allowed_at_us: int
    failures: int  # in a row
    succeeded_at_us: int | None
    validators: Mapping[str, str]  # ETag and Last-Modified, as the next request sends them


def current_sets(connection: Connection) -> list[Served]:
    """Return the set that was admitted last for each satellite and number."""
    c = elements.c
    last = (
        select(c.satellite, c.norad_id, func.max(c.admitted_at).label("at"))
        .group_by(c.satellite, c.norad_id)
        .subquery()
    )
    same = (c.satellite == last.c.satellite) & (c.norad_id == last.c.norad_id) & (c.admitted_at == last.c.at)
    found = connection.execute(select(elements).select_from(elements.join(last, same)).order_by(c.epoch))
    newest = {(row.satellite, row.norad_id): Served(elements_of(row), row.admitted_at) for row in found}
    return list(newest.values())


def set_of(connection: Connection, satellite: str, norad_id: int, epoch_us: int) -> Elements | None:
    """Return the set of that epoch that served last."""
    c = elements.c
    found = connection.execute(
        select(elements)
        .where(c.satellite == satellite, c.norad_id == norad_id, c.epoch == epoch_us)
        .order_by(c.admitted_at.desc())
    ).first()
    return elements_of(found) if found else None


def sets_since(connection: Connection, satellites: Sequence[str], epoch_us: int) -> list[Elements]:
    """Return every set of these satellites whose epoch is not before `epoch_us`, in the order they were admitted."""
    c = elements.c
    found = connection.execute(
        select(elements).where(c.satellite.in_(satellites), c.epoch >= epoch_us).order_by(c.admitted_at)
    )
    return [elements_of(row) for row in found]


def elements_of(row: Row[Any]) -> Elements:
    figures = dict(row.mean_elements)
    figures["epoch"] = datetime.fromisoformat(figures["epoch"])
    return Elements(**figures, source=row.source)


def refused_since(connection: Connection, reason: str, since_us: int) -> list[RefusedSet]:
    """Return what was refused for `reason` since then, oldest first."""
    c = elements_refused.c
    found = connection.execute(
        select(elements_refused).where(c.reason == reason, c.refused_at >= since_us).order_by(c.refused_at)
    )
    return [RefusedSet(elements_of(row), row.reason, row.error, row.refused_at) for row in found]


def keep_refused(connection: Connection, given: Elements, reason: str, error: str, now_us: int) -> None:
    """Keep a refused set once, under the name that it carries, with why."""
    row = elements_row(given, now_us)
    row["refused_at"] = row.pop("admitted_at")
    insert_new(connection, elements_refused, [row | {"reason": reason, "error": error}])


def last_fetches(connection: Connection) -> dict[str, LastFetch]:
    """Return by address how each source was last asked."""
    found = connection.execute(select(element_fetch))
    return {row.address: last_fetch_of(row) for row in found}


def last_fetch_of(row: Row[Any]) -> LastFetch:
    return LastFetch(
        row.address,
        row.source,
        row.asked_at,
        row.outcome,
        row.detail,
        row.allowed_at,
        row.failures,
        row.succeeded_at,
        row.validators or {},
    )


def claim_fetches(
    connection: Connection, addresses: Sequence[str], source: str, now_us: int, wait_us: int
) -> list[LastFetch]:
    """Return how those of `addresses` that may be asked now were asked before.

    They may not be asked again for `wait_us`: this transaction says so before anything is sent.
    """
    never = {"source": source, "asked_at": 0, "outcome": PENDING, "detail": "", "allowed_at": 0, "failures": 0}
    insert_new(connection, element_fetch, [never | {"address": address} for address in addresses])
    c = element_fetch.c
    rows = connection.execute(select(element_fetch).where(c.address.in_(addresses)).with_for_update()).all()
    before = {row.address: last_fetch_of(row) for row in rows}
    free = [before[address] for address in addresses if may_ask(before[address], now_us)]
    claim = {"source": source, "asked_at": now_us, "outcome": PENDING, "detail": "", "allowed_at": now_us + wait_us}
    connection.execute(
        update(element_fetch)
        .where(c.address.in_([one.address for one in free]))
        .values(claim | {"failures": c.failures + 1})
    )
    return free


def may_ask(last: LastFetch, now_us: int) -> bool:
    """A time far ahead was written by a clock that was wrong, and must not keep the source shut for years."""
    return not now_us < last.allowed_at_us <= now_us + LONGEST_US


def settle_fetches(
    connection: Connection,
    addresses: Sequence[str],
    *,
    outcome: str,
    detail: str,
    allowed_at_us: int,
    succeeded_at_us: int | None = None,
    validators: Mapping[str, str] | None = None,
) -> None:
    """Keep how claimed fetches ended; only one that succeeded forgets the failures before and moves the validators."""
    found: dict[str, Any] = {"outcome": outcome, "detail": detail, "allowed_at": allowed_at_us}
    if succeeded_at_us is not None:
        found |= {"failures": 0, "succeeded_at": succeeded_at_us, "validators": dict(validators or {})}
    connection.execute(update(element_fetch).where(element_fetch.c.address.in_(addresses)).values(found))
