"""When satellites are above a site's mask.

Near-circular low orbits, nearly all there are, go the way of `search_leo`; all others that of `search_any`. Both end in
the same exact model, Skyfield's, and both are held to it by a search that shares nothing with them
(tests/orbit/oracle.py).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, make_dataclass
from datetime import datetime, timedelta
from itertools import starmap
from math import degrees
from typing import cast

import numpy as np

from groundstation.orbit.arcs import Arcs
from groundstation.orbit.earth_rotation import DAY_S, Array, Ut1Source, earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.fleet import Fleet
from groundstation.orbit.horizon import above_horizon
from groundstation.orbit.observer import Observer, expect_utc, observer
from groundstation.orbit.polish import polish
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.search_any import search_any
from groundstation.orbit.search_leo import candidates, mean_elements
from groundstation.orbit.search_one import Row, search_one
from groundstation.orbit.site import Site

BEYOND_S = 3 * 3600.0  # how far a low satellite's pass may reach out of the window; its revolution is shorter
# Satellite-days searched together, by search_leo and by search_any: more saves little and leaves the cache.
AT_ONCE = (512, 128)
IN_A_CHUNK = (96, 4)  # 4 to 8 ms, the longest of a whole catalogue's 18 on a busy machine
FEW_DAYS = 5.0  # up to here plain numbers are sooner done than arrays


@dataclass(frozen=True, slots=True)
class Pass:
    """One satellite above one site's mask, as the whole pass is, also where the window cuts it.

    An edge is None where it is unknown: the satellite does not cross the mask within a revolution of the
    window, or SGP4 cannot follow it there. Culmination is where elevation is greatest, TCA where range is least; where
    an edge is unknown, within the window. Angles are geometric: refraction, which lifts a satellite by 0.16° at 5° and
    by 0.5° at the horizon, is left out; where the site asks for it, AOS and LOS are taken with it.
    """

    satellite: str
    norad_id: int
    site: str
    aos: datetime | None
    culmination: datetime
    tca: datetime
    los: datetime | None
    aos_azimuth_deg: float | None  # from true north through east
    culmination_azimuth_deg: float
    los_azimuth_deg: float | None
    max_elevation_deg: float
    tca_range_km: float
    in_progress_at_start: bool
    in_progress_at_end: bool
    elements_epoch: datetime
    ut1: str  # where the earth's rotation came from, and until when it was measured
    tca_azimuth_deg: float | None = None
    aos_range_km: float | None = None
    culmination_range_km: float | None = None
    los_range_km: float | None = None


# A frozen dataclass sets its fields one by one through object.__setattr__, 1.9 µs a pass: a third of the whole search.
# The same slots in a class that is not frozen are filled in 0.2 µs, and the object then takes its proper class.
_Draft = make_dataclass("_Draft", [(field.name, field.type) for field in fields(Pass)], slots=True)


def find_passes(
    elements: Iterable[Elements], site: Site, start: datetime, end: datetime, *, ut1: Ut1Source = "iers"
) -> list[Pass]:
    """Return every pass that overlaps the window, by AOS; those already under way at the start come first.

    Edges are within 1 ms, culminations and TCAs within 5 ms and elevations within 1e-5° of what Skyfield computes;
    where a satellite hangs so still that SGP4's jumps would place them, of a smooth curve through it (`smooth`). Raises
    ElementsError where SGP4 cannot begin with a set; a satellite that decays inside the window has passes until then.
    """
    batches = list(_batches(elements, site, (start, end), ut1, AT_ONCE))
    found = [one for batch in batches for one in batch.passes]
    order = np.argsort([at_s for batch in batches for at_s in batch.begin_s], kind="stable")
    return [found[row] for row in order.tolist()]


def find_passes_in_chunks(
    elements: Iterable[Elements], site: Site, start: datetime, end: datetime, *, ut1: Ut1Source = "iers"
) -> Iterator[list[Pass]]:
    """Return the same passes bit by bit, unsorted: for an event loop that lets others run between two chunks.

    One chunk takes 4 to 8 ms for windows of up to a month; for longer ones a single satellite may take longer. The
    first call in a process reads the earth's tables as well: call earth_rotation() at the start, not in the loop.
    """
    yield from (batch.passes for batch in _batches(elements, site, (start, end), ut1, IN_A_CHUNK))


@dataclass(frozen=True, slots=True)
class Batch:
    """Passes, and when each begins: seconds from the window's start, or 0 where that is unknown."""

    passes: list[Pass]
    begin_s: list[float]


def _batches(
    elements: Iterable[Elements], site: Site, window: tuple[datetime, datetime], ut1: Ut1Source, sizes: tuple[int, int]
) -> Iterator[Batch]:
    start, end = window
    expect_utc(start, end)
    if end <= start:
        raise ValueError(f"the window ends at {end.isoformat()}, expected later than {start.isoformat()}")
    days = (end - start) / timedelta(days=1)
    rotation = earth_rotation(ut1)
    here = observer(site, start, end, rotation, BEYOND_S)
    remaining: list[Elements] = []
    for chunk in _chunks(list(elements), sizes[0] / days):
        few = len(chunk) * days <= FEW_DAYS and not site.horizon
        batch, left = (_few if few else _low)(here, chunk, rotation.label)
        remaining += left
        yield batch
    if not remaining:
        return
    slowest_s = DAY_S / min(one.mean_motion_rev_day for one in remaining)
    here = observer(site, start, end, rotation, slowest_s + BEYOND_S)
    for chunk in _chunks(remaining, sizes[1] / days):
        yield _any(here, chunk, rotation.label)


def _chunks(elements: Sequence[Elements], size: float) -> Iterator[Sequence[Elements]]:
    step = max(int(size), 1)
    yield from (elements[first : first + step] for first in range(0, len(elements), step))


def _low(here: Observer, elements: Sequence[Elements], label: str) -> tuple[Batch, list[Elements]]:
    """Return the passes of the low satellites, and the sets that need the general search."""
    satrecs = [to_satrec(one) for one in elements]
    mean, suits = mean_elements(Fleet(satrecs, here))
    low = np.flatnonzero(suits)
    if not len(low):
        return Batch([], []), list(elements)
    index, at_s = candidates(here, mean.take(low))
    fleet = Fleet([satrecs[row] for row in low.tolist()], here)
    arcs, resist = polish(fleet, index, at_s)
    if len(resist):
        arcs = arcs.take(~np.isin(arcs.index, resist))
        suits[low[resist]] = False
    left = [elements[row] for row in np.flatnonzero(~suits).tolist()]
    return _as_passes(_in_sight(fleet, arcs), [elements[row] for row in low.tolist()], here, label), left


def _few(here: Observer, elements: Sequence[Elements], label: str) -> tuple[Batch, list[Elements]]:
    """Do the same as `_low`, sooner where there is little to do."""
    passes, begin_s, left = [], [], []
    for one in elements:
        rows = search_one(here, to_satrec(one))
        if rows is None:
            left.append(one)
        else:
            passes += [_as_pass(row, one, here, label) for row in rows]
            begin_s += [row[0] for row in rows]
    return Batch(passes, begin_s), left


def _as_pass(row: Row, elements: Elements, here: Observer, label: str) -> Pass:
    aos_s, culmination_s, tca_s, los_s = row[:4]
    aos_azimuth, culmination_azimuth, tca_azimuth, los_azimuth = row[4:8]
    return Pass(
        satellite=elements.name,
        norad_id=elements.norad_id,
        site=here.site.slug,
        aos=here.start + timedelta(seconds=aos_s),
        culmination=here.start + timedelta(seconds=culmination_s),
        tca=here.start + timedelta(seconds=tca_s),
        los=here.start + timedelta(seconds=los_s),
        aos_azimuth_deg=degrees(aos_azimuth),
        culmination_azimuth_deg=degrees(culmination_azimuth),
        los_azimuth_deg=degrees(los_azimuth),
        max_elevation_deg=degrees(row[12]),
        tca_range_km=row[10],
        in_progress_at_start=aos_s <= 0,
        in_progress_at_end=los_s >= here.window_s,
        elements_epoch=elements.epoch,
        ut1=label,
        tca_azimuth_deg=degrees(tca_azimuth),
        aos_range_km=row[8],
        culmination_range_km=row[9],
        los_range_km=row[11],
    )


def _any(here: Observer, elements: Sequence[Elements], label: str) -> Batch:
    fleet = Fleet([to_satrec(one) for one in elements], here)
    return _as_passes(_in_sight(fleet, search_any(fleet, np.arange(len(elements)))), elements, here, label)


def _in_sight(fleet: Fleet, arcs: Arcs) -> Arcs:
    """Return what of the passes the site's horizon leaves."""
    return above_horizon(fleet, arcs) if fleet.observer.site.horizon else arcs


def _as_passes(arcs: Arcs, elements: Sequence[Elements], here: Observer, label: str) -> Batch:
    """Make objects of columns: the columns go through numpy whole, which is most of what keeps this cheap."""
    sets = [elements[row] for row in arcs.index.tolist()]
    count = len(sets)
    rows = zip(
        [one.name for one in sets],
        [one.norad_id for one in sets],
        [here.site.slug] * count,
        _times(here, arcs.aos_s),
        _times(here, arcs.culmination_s),
        _times(here, arcs.tca_s),
        _times(here, arcs.los_s),
        _numbers(np.degrees(arcs.aos_azimuth)),
        np.degrees(arcs.culmination_azimuth).tolist(),
        _numbers(np.degrees(arcs.los_azimuth)),
        np.degrees(arcs.max_elevation).tolist(),
        arcs.tca_range_km.tolist(),
        arcs.at_start.tolist(),
        arcs.at_end.tolist(),
        [one.epoch for one in sets],
        [label] * count,
        np.degrees(arcs.tca_azimuth).tolist(),
        _numbers(arcs.aos_range_km),
        arcs.culmination_range_km.tolist(),
        _numbers(arcs.los_range_km),
        strict=True,
    )
    passes = list(starmap(_Draft, rows))
    for one in passes:
        one.__class__ = Pass
    begin_s = np.where(np.isnan(arcs.aos_s), 0.0, arcs.aos_s)
    return Batch(cast("list[Pass]", passes), begin_s.tolist())


def _times(here: Observer, at_s: Array) -> list[datetime | None]:
    """Return aware datetimes to the nearest microsecond, None for NaN."""
    unknown = np.isnan(at_s)
    since = np.rint(np.where(unknown, 0.0, at_s) * 1e6).astype("timedelta64[us]").tolist()
    times: list[datetime | None] = [here.start + one for one in since]
    for row in np.flatnonzero(unknown).tolist():
        times[row] = None
    return times


def _numbers(values: Array) -> list[float | None]:
    """Return plain numbers, None for NaN."""
    numbers: list[float | None] = values.tolist()
    for row in np.flatnonzero(np.isnan(values)).tolist():
        numbers[row] = None
    return numbers
