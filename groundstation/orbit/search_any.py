"""Passes of any orbit: eccentric, slow, geostationary or decaying; with several culminations, or without an edge."""

from collections.abc import Callable, Iterator

import numpy as np

from groundstation.orbit.arcs import Arcs, join, measured
from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.events import Events, events
from groundstation.orbit.fleet import Fleet, Index
from groundstation.orbit.sampling import MINUTE_S, PARTS, Spans, node_step_s, samples, valid
from groundstation.orbit.sight import Sight, sight

TURN = 2 * np.pi
Run = tuple[
    int, float | None, float | None
]  # a row of Spans, rise and set; None where it begins or ends above the mask


def search_any(fleet: Fleet, index: Index) -> Arcs:
    """Return the passes of the satellites `index` (in order) that overlap the window.

    What is under way at an end of the window is followed for one revolution outside it.
    """
    window_s = fleet.observer.window_s
    spans = valid(fleet, _window(fleet, index))
    found = events(fleet, spans, samples(fleet, spans))
    runs = list(_runs(found))
    early = {row for row, rise, _ in runs if rise is None and spans.low_s[row] <= 0}
    late = {row for row, _, fall in runs if fall is None and spans.high_s[row] >= window_s}
    whole = _arcs(fleet, spans, found, [run for run in runs if run[0] not in early | late])
    if not early | late:
        return whole
    longer = _longer(fleet, spans, early, late)
    found = events(fleet, longer, samples(fleet, longer))
    return join([whole, _arcs(fleet, longer, found, list(_runs(found)))])


def _window(fleet: Fleet, index: Index) -> Spans:
    """Return the window with a sample more at both ends: a peak is seen between two samples that are lower."""
    window = Spans(index, np.zeros(len(index)), np.full(len(index), fleet.observer.window_s))
    sample_s = node_step_s(fleet, window) / PARTS
    return Spans(index, window.low_s - sample_s, window.high_s + sample_s)


def _longer(fleet: Fleet, spans: Spans, early: set[int], late: set[int]) -> Spans:
    """Return the spans of both sets with a revolution added to the ends at which a pass is under way."""
    rows = sorted(early | late)
    index = spans.index[rows]
    revolution_s = np.array([TURN / fleet.satrecs[which].no_kozai * MINUTE_S for which in index.tolist()])
    low_s = spans.low_s[rows] - np.array([row in early for row in rows]) * revolution_s
    high_s = spans.high_s[rows] + np.array([row in late for row in rows]) * revolution_s
    found = valid(fleet, Spans(index, low_s, high_s))
    keep = (found.low_s < fleet.observer.window_s) & (found.high_s > 0)
    return Spans(found.index[keep], found.low_s[keep], found.high_s[keep])


def _runs(found: Events) -> Iterator[Run]:
    """Return each stretch above the mask, by pairing every rise with the set that follows it."""
    rows = np.concatenate([found.rises[0], found.sets[0]])
    times = np.concatenate([found.rises[1], found.sets[1]])
    rising = np.arange(len(rows)) < len(found.rises[0])
    order = np.lexsort((times, rows))
    by_row: dict[int, list[tuple[float, bool]]] = {row: [] for row in np.flatnonzero(found.up).tolist()}
    for row, at_s, rises in zip(rows[order].tolist(), times[order].tolist(), rising[order].tolist(), strict=True):
        by_row.setdefault(row, []).append((at_s, rises))
    for row in sorted(by_row):
        up, since = bool(found.up[row]), None
        for at_s, rises in by_row[row]:
            if up and not rises:
                yield row, since, at_s
            up, since = rises, at_s
        if up:
            yield row, since, None


def _arcs(fleet: Fleet, spans: Spans, found: Events, runs: list[Run]) -> Arcs:
    """Return the runs that overlap the window, each with its greatest elevation and least range.

    Where an edge is unknown, only what lies in the window counts.
    """
    window_s = fleet.observer.window_s
    rows = np.array([row for row, _, _ in runs], np.intp)
    aos_s = np.array([np.nan if rise is None else rise for _, rise, _ in runs])
    los_s = np.array([np.nan if fall is None else fall for _, _, fall in runs])
    low_s = np.where(np.isnan(aos_s), np.maximum(spans.low_s[rows], 0.0), aos_s)
    high_s = np.where(np.isnan(los_s), np.minimum(spans.high_s[rows], window_s), los_s)
    keep = np.flatnonzero((high_s > 0) & (low_s < window_s) & (high_s >= low_s))
    keep = keep[np.lexsort((low_s[keep], spans.index[rows[keep]]))]
    rows, aos_s, los_s, low_s, high_s = rows[keep], aos_s[keep], los_s[keep], low_s[keep], high_s[keep]
    index = spans.index[rows]
    highest_s = _best(
        fleet, index, *_within(rows, low_s, high_s, *found.peaks), lambda look: look.height / look.distance
    )
    nearest_s = _best(fleet, index, *_within(rows, low_s, high_s, *found.nears), lambda look: -look.distance)
    return measured(fleet, index, (aos_s, highest_s, nearest_s, los_s), low_s <= 0, high_s >= window_s)


def _within(rows: Index, low_s: Array, high_s: Array, event_rows: Index, event_s: Array) -> tuple[Index, Array]:
    """Return run and time of every event inside each run, with the run's own ends."""
    first = np.searchsorted(event_rows, rows)
    last = np.searchsorted(event_rows, rows, side="right")
    times = []
    for low, high, begin, end in zip(low_s.tolist(), high_s.tolist(), first.tolist(), last.tolist(), strict=True):
        times.append([low, *(at_s for at_s in event_s[begin:end].tolist() if low < at_s < high), high])
    runs = np.repeat(np.arange(len(rows)), [len(one) for one in times])
    return runs, np.array([at_s for one in times for at_s in one])


def _best(fleet: Fleet, index: Index, runs: Index, at_s: Array, score: Callable[[Sight], Array]) -> Array:
    """Return for each run the time whose sight scores best."""
    position, velocity, failed = fleet.seen(index[runs], at_s)
    scores = np.where(failed, -np.inf, score(sight(fleet.observer, position, velocity)))
    order = np.lexsort((scores, runs))
    last = np.flatnonzero(np.diff(runs[order], append=-1))
    return at_s[order][last]
