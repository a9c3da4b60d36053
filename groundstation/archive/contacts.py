"""Contacts under lasting numbers: a plan made again moves a contact, it does not make another one.

planned ──► committed ──► (its time comes)
   │            └───────► cancelled: its pass is no longer predicted
   └► forgotten, where another plan takes its place
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, and_, delete, func, insert, or_, select, update

from groundstation.archive.predictions import Known, match
from groundstation.archive.tables import contact
from groundstation.orbit.contacts import LONGEST_WAIT_D, Commitment, Contact, Plan
from groundstation.telemetry.moments import microseconds, moment_of

if TYPE_CHECKING:  # Skyfield takes half a second to import, and only annotations need it here
    from groundstation.orbit.passes import Pass

PLANNED, COMMITTED, CANCELLED = "planned", "committed", "cancelled"
JUST_ENDED = timedelta(hours=1)  # newer elements may say that it has not
REMEMBERED = timedelta(days=LONGEST_WAIT_D)  # an older contact changes no plan


def keep_plans(
    connection: Connection, plans: Mapping[str, Plan], pass_numbers: Mapping["Pass", int], now: datetime
) -> dict[str, list[int]]:
    """Keep the plans of the stations and return the number of each contact, in the order of the plan.

    Every station's plan is whole: what was only planned and is not in it goes; what was promised and is in its
    `cancelled` stays, and says so.
    """
    return {station: _keep_plan(connection, station, plan, pass_numbers, now) for station, plan in plans.items()}


def _keep_plan(
    connection: Connection, station: str, plan: Plan, pass_numbers: Mapping["Pass", int], now: datetime
) -> list[int]:
    known = _known(connection, station, now)
    rows = [_row(one, station, pass_numbers.get(one.of), now) for one in plan.contacts]
    shown = [{**row, "aos": row["starts_at"], "los": row["ends_at"]} for row in rows]
    numbers = []
    for row, one in zip(rows, match(known, shown), strict=True):
        if one is None:
            numbers.append(connection.execute(insert(contact).values(row).returning(contact.c.id)).scalar_one())
        else:
            connection.execute(update(contact).where(contact.c.id == one.id).values(row))
            numbers.append(one.id)
    left = [one for one in known if one.id not in set(numbers)]
    _forget(connection, left)
    _cancel(connection, left, plan.cancelled, now)
    return numbers


def _known(connection: Connection, station: str, now: datetime) -> list[Known]:
    """Return the station's contacts that may be in a plan: those not promised, and those not long over."""
    c = contact.c
    recent = and_(c.state == COMMITTED, c.ends_at > microseconds(now - JUST_ENDED))
    found = connection.execute(
        select(c.id, c.satellite, c.norad_id, c.station, c.starts_at, c.ends_at)
        .where(c.station == station, or_(c.state == PLANNED, recent))
        .order_by(c.id)
    )
    return [Known(*row) for row in found]


def _forget(connection: Connection, left: Sequence[Known]) -> None:
    numbers = [one.id for one in left]
    connection.execute(delete(contact).where(contact.c.id.in_(numbers), contact.c.state == PLANNED))


def _cancel(connection: Connection, left: Sequence[Known], cancelled: Sequence[Commitment], now: datetime) -> None:
    gone = {(one.norad_id, microseconds(one.start), microseconds(one.end)) for one in cancelled}
    numbers = [one.id for one in left if (one.norad_id, one.aos_us, one.los_us) in gone]
    values = {"state": CANCELLED, "planned_at": microseconds(now)}
    connection.execute(update(contact).where(contact.c.id.in_(numbers), contact.c.state == COMMITTED).values(values))


def _row(one: Contact, station: str, pass_number: int | None, now: datetime) -> dict[str, Any]:
    return {
        "station": station,
        "satellite": one.of.satellite,
        "norad_id": one.of.norad_id,
        "pass_id": pass_number,
        "starts_at": microseconds(one.start),
        "ends_at": microseconds(one.end),
        "max_elevation_deg": one.of.max_elevation_deg,
        "weight": one.weight,
        "state": COMMITTED if one.committed else PLANNED,
        "planned_at": microseconds(now),
    }


def commitments(connection: Connection, now: datetime) -> dict[str, list[Commitment]]:
    """Return what each station has promised: contacts under way or to come, and those that ended in the last hour."""
    c = contact.c
    found = connection.execute(
        select(c.station, c.satellite, c.norad_id, c.starts_at, c.ends_at, c.weight)
        .where(c.state == COMMITTED, c.ends_at > microseconds(now - JUST_ENDED))
        .order_by(c.id)
    )
    promised: dict[str, list[Commitment]] = defaultdict(list)
    for station, satellite, norad_id, starts_at, ends_at, weight in found:
        promised[station].append(Commitment(satellite, norad_id, moment_of(starts_at), moment_of(ends_at), weight))
    return dict(promised)


def last_contacts(connection: Connection, now: datetime) -> dict[int, datetime]:
    """Return when each object's last contact with any station ended, as far back as a plan asks."""
    c = contact.c
    recent = c.ends_at.between(microseconds(now - REMEMBERED), microseconds(now))
    query = select(c.norad_id, func.max(c.ends_at)).where(c.state == COMMITTED, recent).group_by(c.norad_id)
    return {norad_id: moment_of(ends_at) for norad_id, ends_at in connection.execute(query)}
