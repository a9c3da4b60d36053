"""Predicted passes under lasting numbers: predicting again moves a pass, it does not make another one."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, delete, insert, select, update

from groundstation.archive.tables import passes
from groundstation.telemetry.moments import microseconds

if TYPE_CHECKING:  # Skyfield takes half a second to import, and only annotations need it here
    from groundstation.orbit.passes import Pass

ALWAYS_US = 1 << 62  # an edge that is unknown lies beyond every time
MOVED_US = 1_000_000  # predicting again from the same elements moves an edge by microseconds


@dataclass(frozen=True, slots=True)
class Known:
    """A pass that already has a number."""

    id: int
    satellite: str
    norad_id: int
    station: str
    aos_us: int | None
    los_us: int | None
    elements_epoch_us: int | None = None
    revision: int = 0


def overlap_us(known: Known, row: dict[str, Any]) -> int:
    """Return how long both last together; not above 0 where they do not meet."""
    begin = max(_begin(known.aos_us), _begin(row["aos"]))
    return min(_end(known.los_us), _end(row["los"])) - begin


def _begin(aos_us: int | None) -> int:
    return -ALWAYS_US if aos_us is None else aos_us


def _end(los_us: int | None) -> int:
    return ALWAYS_US if los_us is None else los_us


def match(known: Sequence[Known], rows: Sequence[dict[str, Any]]) -> list[Known | None]:
    """Return for each row the known pass that it is, or None where it is new; no known pass is given twice.

    Edges move by fractions of a second with each new element set, so a pass is known by satellite, station and
    overlap. First each object finds its own; then what is left may be a satellite that turned out to be another
    object of the catalogue.
    """
    found: list[Known | None] = [None] * len(rows)
    over: dict[tuple[str, str], tuple[list[Known], list[int]]] = defaultdict(lambda: ([], []))
    for one in known:
        over[one.satellite, one.station][0].append(one)
    for place, row in enumerate(rows):
        over[row["satellite"], row["station"]][1].append(place)
    for candidates, places in over.values():
        pairs = [
            (one.norad_id == rows[place]["norad_id"], overlap_us(one, rows[place]), -one.id, place, one)
            for place in places
            for one in candidates
        ]
        taken: set[int] = set()
        for _, shared_us, _, place, one in sorted(pairs, key=lambda pair: pair[:4], reverse=True):
            if shared_us > 0 and found[place] is None and one.id not in taken:
                found[place] = one
                taken.add(one.id)
    return found


def keep_passes(
    connection: Connection, given: Sequence["Pass"], now_us: int, window: tuple[datetime, datetime] | None
) -> list[int]:
    """Keep the passes and return their numbers, in order.

    With `window`, `given` is all that it holds: a pass known before that culminates inside it, has not begun and
    is not among them will not happen, and goes.
    """
    rows = [pass_row(one, now_us) for one in given]
    known = _known(connection, rows, window)
    matched = match(known, rows)
    numbers = []
    for row, one in zip(rows, matched, strict=True):
        if one is None:
            new = row | {"revised_at": now_us}
            numbers.append(connection.execute(insert(passes).values(new).returning(passes.c.id)).scalar_one())
        else:
            if is_revised(one, row):
                row |= {"revision": one.revision + 1, "revised_at": now_us}
            connection.execute(update(passes).where(passes.c.id == one.id).values(row))
            numbers.append(one.id)
    if window is not None:
        kept = set(numbers)
        gone = [one.id for one in known if one.id not in kept and _begin(one.aos_us) > now_us]
        _forget(connection, gone, window)
    return numbers


def keep_replayed(connection: Connection, row: dict[str, Any]) -> int:
    """Keep a pass that another archive predicted, unless this one knows it, and return its number here."""
    [known] = match(_known(connection, [row], None), [row])
    if known is not None:
        return known.id
    return int(connection.execute(insert(passes).values(row).returning(passes.c.id)).scalar_one())


def is_revised(known: Known, row: dict[str, Any]) -> bool:
    """Tell whether who looks the pass up again is told something new: other elements, or other times."""
    edges = ((known.aos_us, row["aos"]), (known.los_us, row["los"]))
    return (known.norad_id, known.elements_epoch_us) != (row["norad_id"], row["elements_epoch"]) or any(
        (was is None) != (now is None) or (was is not None and abs(now - was) >= MOVED_US) for was, now in edges
    )


def _known(
    connection: Connection, rows: Iterable[dict[str, Any]], window: tuple[datetime, datetime] | None
) -> list[Known]:
    """Return the passes with numbers that may be among `rows` or should be, a day about them."""
    moments = [row["culmination"] for row in rows] + [microseconds(moment) for moment in window or ()]
    if not moments:
        return []
    day_us = 86_400_000_000
    c = passes.c
    found = connection.execute(
        select(c.id, c.satellite, c.norad_id, c.station, c.aos, c.los, c.elements_epoch, c.revision).where(
            c.culmination.between(min(moments) - day_us, max(moments) + day_us)
        )
    )
    return [Known(*row) for row in found]


def _forget(connection: Connection, numbers: Sequence[int], window: tuple[datetime, datetime]) -> None:
    if numbers:
        inside = passes.c.culmination.between(microseconds(window[0]), microseconds(window[1]))
        connection.execute(delete(passes).where(passes.c.id.in_(numbers), inside))


def pass_row(one: "Pass", now_us: int) -> dict[str, Any]:
    return {
        "satellite": one.satellite,
        "norad_id": one.norad_id,
        "station": one.site,
        "aos": None if one.aos is None else microseconds(one.aos),
        "culmination": microseconds(one.culmination),
        "tca": microseconds(one.tca),
        "los": None if one.los is None else microseconds(one.los),
        "aos_azimuth_deg": one.aos_azimuth_deg,
        "culmination_azimuth_deg": one.culmination_azimuth_deg,
        "los_azimuth_deg": one.los_azimuth_deg,
        "max_elevation_deg": one.max_elevation_deg,
        "tca_range_km": one.tca_range_km,
        "elements_epoch": microseconds(one.elements_epoch),
        "predicted_at": now_us,
    }
