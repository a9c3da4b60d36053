"""What can be asked of the archive about passes: known by number, by time, or by what was heard in them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, and_, func, or_, select

from groundstation.archive import tables

NUMBER_DIGITS = 9  # of a catalogue number


@dataclass(frozen=True, slots=True)
class PredictedPass:
    """A pass under its lasting number; an edge is None where it is unknown."""

    id: int
    satellite: str
    norad_id: int
    station: str
    aos_us: int | None
    culmination_us: int
    tca_us: int
    los_us: int | None
    aos_azimuth_deg: float | None
    culmination_azimuth_deg: float
    los_azimuth_deg: float | None
    max_elevation_deg: float
    tca_range_km: float
    elements_epoch_us: int
    predicted_at_us: int
    revision: int  # how often it moved, or got other elements
    revised_at_us: int | None


def passes_heard(
    connection: Connection,
    from_us: int,
    to_us: int,
    *,
    grace_us: int,
    satellites: Sequence[str] = (),
    station: str | None = None,
    most: int = 1000,
) -> list[tuple[PredictedPass, int]]:
    """Return the passes that were over by then, the last one first, each with how many packets its station heard in it.

    A pass is heard from `grace_us` before AOS to as long after LOS; one without an edge has no such span, and 0.
    `satellites` are slugs or catalogue numbers.
    """
    c = tables.passes.c
    within = _pass_columns().where(c.culmination >= from_us, c.los <= to_us)
    if satellites:
        numbers = [int(one) for one in satellites if one.isdecimal() and len(one) <= NUMBER_DIGITS]
        within = within.where(or_(c.satellite.in_(satellites), c.norad_id.in_(numbers)))
    if station is not None:
        within = within.where(c.station == station)
    found = _passes(connection, within.order_by(c.culmination.desc()), most)
    return [(one, _hearings(connection, one, grace_us)) for one in found]


def _hearings(connection: Connection, of: PredictedPass, grace_us: int) -> int:
    if of.aos_us is None or of.los_us is None:
        return 0
    return sum(
        connection.scalar(
            select(func.count()).where(
                c.satellite == of.satellite,
                c.station == of.station,
                c.received_at >= of.aos_us - grace_us,
                c.received_at < of.los_us + grace_us,
            )
        )
        or 0
        for c in (tables.packet.c, tables.reception.c)
    )


def passes_since(connection: Connection, from_us: int, most: int = 10_000) -> list[PredictedPass]:
    """Return the passes that culminate then or later, in order: those that have ended among them."""
    c = tables.passes.c
    return _passes(connection, _pass_columns().where(c.culmination >= from_us).order_by(c.culmination), most)


def pass_of(connection: Connection, number: int) -> PredictedPass | None:
    found = _passes(connection, _pass_columns().where(tables.passes.c.id == number), 1)
    return found[0] if found else None


def pass_at(connection: Connection, satellite: str, at_us: int, station: str | None = None) -> PredictedPass | None:
    """Return the satellite's pass that was under way at that time; of several stations' the one that began first."""
    c = tables.passes.c
    under_way = and_(or_(c.aos.is_(None), c.aos <= at_us), or_(c.los.is_(None), c.los >= at_us))
    query = _pass_columns().where(c.satellite == satellite, under_way).order_by(c.aos)
    found = _passes(connection, query if station is None else query.where(c.station == station), 1)
    return found[0] if found else None


def _pass_columns() -> Select[Any]:
    c = tables.passes.c
    return select(
        c.id, c.satellite, c.norad_id, c.station, c.aos, c.culmination, c.tca, c.los, c.aos_azimuth_deg,
        c.culmination_azimuth_deg, c.los_azimuth_deg, c.max_elevation_deg, c.tca_range_km, c.elements_epoch,
        c.predicted_at, c.revision, c.revised_at,
    )  # fmt: skip


def _passes(connection: Connection, query: Select[Any], most: int) -> list[PredictedPass]:
    return [PredictedPass(*row) for row in connection.execute(query.limit(most))]
