"""Passes as columns of numbers, before they become passes for people."""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np

from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.fleet import Flags, Fleet, Index
from groundstation.orbit.sight import Rows, azimuth, length, sight


@dataclass(frozen=True, slots=True)
class Arcs:
    """Passes, one row each: seconds from the window's start, radians, km; NaN where unknown."""

    index: Index  # of the satellite
    aos_s: Array
    culmination_s: Array
    tca_s: Array
    los_s: Array
    aos_azimuth: Array
    culmination_azimuth: Array
    tca_azimuth: Array
    los_azimuth: Array
    aos_range_km: Array
    culmination_range_km: Array
    tca_range_km: Array
    los_range_km: Array
    max_elevation: Array
    at_start: Flags  # under way when the window begins
    at_end: Flags

    def take(self, rows: Rows) -> Self:
        return type(self)(*(getattr(self, field.name)[rows] for field in fields(self)))


def join(parts: list[Arcs]) -> Arcs:
    return Arcs(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Arcs)))


COLUMNS = [field.name for field in fields(Arcs)][1:-2]


def measured(
    fleet: Fleet, index: Index, times_s: tuple[Array, Array, Array, Array], at_start: Flags, at_end: Flags
) -> Arcs:
    """Return passes with exact AOS, culmination, TCA and LOS, seen from the site once more; an unknown edge is NaN."""
    observer = fleet.observer
    times = np.stack(times_s, axis=1).ravel()
    known = np.isfinite(times)
    position, velocity, _ = fleet.seen(np.repeat(index, 4), np.where(known, times, 0.0))
    look = sight(observer, position, velocity)
    bearings = np.where(known, azimuth(observer, look.away), np.nan).reshape(-1, 4).T
    ranges = np.where(known, length(look.away), np.nan).reshape(-1, 4).T
    elevation = np.arcsin(np.clip((look.height / look.distance).reshape(-1, 4)[:, 1], -1, 1))
    columns = dict(zip(COLUMNS, [*times_s, *bearings, *ranges, elevation], strict=True))
    return Arcs(index=index, **columns, at_start=at_start, at_end=at_end)
