"""A mask that differs by azimuth: hills and houses cut a pass short, or in two.

Passes are first found above the lowest part of the mask, all round, and then each is followed along the real one.
"""

import numpy as np

from groundstation.orbit.arcs import Arcs, join, measured
from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.fleet import Fleet, Index
from groundstation.orbit.mask import mask_deg
from groundstation.orbit.sight import azimuth, sight

POINTS = 257  # along a pass: every 3 s of a long one in low orbit; a shorter gap may be overlooked
HALVINGS = 40


def above_horizon(fleet: Fleet, arcs: Arcs) -> Arcs:
    """Return what of the passes is above the site's horizon and overlaps the window; a pass may become several.

    Where a part does not hold the whole pass's culmination, its own is at the edge that is nearer to it; TCA likewise.
    """
    if not len(arcs.index):
        return arcs
    window_s = fleet.observer.window_s
    low_s = np.where(np.isnan(arcs.aos_s), np.minimum(arcs.culmination_s, 0.0), arcs.aos_s)
    high_s = np.where(np.isnan(arcs.los_s), np.maximum(arcs.culmination_s, window_s), arcs.los_s)
    times_s = low_s[:, None] + (high_s - low_s)[:, None] * np.linspace(0, 1, POINTS)
    over = _over(fleet, np.repeat(arcs.index, POINTS), times_s.ravel()).reshape(-1, POINTS)
    parts = [_part(fleet, arcs, row, times_s[row], over[row]) for row in range(len(arcs.index))]
    cut = join([part for part in parts if part is not None] or [arcs.take(slice(0))])
    return cut.take((~(cut.los_s <= 0)) & (~(cut.aos_s >= window_s)))


def _over(fleet: Fleet, index: Index, at_s: Array) -> Array:
    """Return how many degrees each satellite stands above the horizon."""
    position, velocity, failed = fleet.seen(index, at_s)
    look = sight(fleet.observer, position, velocity)
    elevation = np.degrees(np.arcsin(np.clip(look.height / look.distance, -1, 1)))
    return np.where(failed, -90.0, elevation - mask_deg(fleet.observer.site, azimuth(fleet.observer, look.away)))


def _part(fleet: Fleet, arcs: Arcs, row: int, times_s: Array, over: Array) -> Arcs | None:
    """Return the stretches of one pass above the horizon."""
    up = over >= 0
    changes = np.flatnonzero(up[1:] != up[:-1])
    if not up.any():
        return None
    index = np.full(len(changes), arcs.index[row])
    low_s, high_s = times_s[changes], times_s[changes + 1]
    for _ in range(HALVINGS):
        middle_s = (low_s + high_s) / 2
        as_before = (_over(fleet, index, middle_s) >= 0) == up[changes]
        low_s, high_s = np.where(as_before, middle_s, low_s), np.where(as_before, high_s, middle_s)
    edges = np.concatenate([[arcs.aos_s[row]], (low_s + high_s) / 2, [arcs.los_s[row]]])
    ends = np.concatenate([[times_s[0]], (low_s + high_s) / 2, [times_s[-1]]])
    runs = np.flatnonzero(up[np.concatenate([changes, [len(up) - 1]])])
    culmination_s = np.clip(arcs.culmination_s[row], ends[runs], ends[runs + 1])
    tca_s = np.clip(arcs.tca_s[row], ends[runs], ends[runs + 1])
    at_start, at_end = ends[runs] <= 0, ends[runs + 1] >= fleet.observer.window_s
    index = np.full(len(runs), arcs.index[row])
    return measured(fleet, index, (edges[runs], culmination_s, tca_s, edges[runs + 1]), at_start, at_end)
