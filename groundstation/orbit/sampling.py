"""Sample satellites of any orbit where they may be above the mask, with few calls of SGP4.

SGP4 is asked at nodes up to a radian of perigee apart. Position, velocity and the acceleration of a two-body orbit
about an oblate earth fix a quintic between two nodes, good to 0.2 km. The angle between satellite and site rules out
most intervals, and the rest are sampled on the quintic, or for slow satellites by SGP4 itself.
"""

from dataclasses import dataclass
from math import factorial

import numpy as np

from groundstation.orbit.earth_rotation import DAY_S, EARTH_RAD_S, Array
from groundstation.orbit.fleet import Flags, Fleet, Index, States
from groundstation.orbit.observer import MU_KM3_S2
from groundstation.orbit.sight import length, sight

STEP_LEAST_S, STEP_MOST_S = 300.0, 7200.0
SLOW_S = 1500.0  # of a radian at perigee
PARTS = 8
SLACK_RAD = np.radians(0.35)  # an oblate earth's part in the angle to the horizon
SLACK_KM = 25.0
FASTER = 1.05  # than the mean elements say, at perigee
J2, EARTH_KM = 1.082616e-3, 6378.135  # WGS72, as SGP4
HALVINGS = 44
PATH_POINTS = 48
MINUTE_S = 60.0

POINTS = np.linspace(0.0, 1.0, PARTS + 1)


def _hermite() -> Array:
    """Return what each of (r, v·h, a·h²) at both ends of an interval adds to the quintic at the POINTS."""
    powers = np.array([[0.0 if n < k else factorial(n) / factorial(n - k) for n in range(6)] for k in range(3)])
    corners = np.concatenate([powers * np.eye(3, 6), powers])
    weights: Array = POINTS[:, None] ** np.arange(6) @ np.linalg.inv(corners)
    return weights


QUINTIC = _hermite()


@dataclass(frozen=True, slots=True)
class Spans:
    """Stretches of time to search, in order of satellite; SGP4 may be asked anywhere in them."""

    index: Index
    low_s: Array
    high_s: Array

    def take(self, rows: Flags) -> "Spans":
        return Spans(self.index[rows], self.low_s[rows], self.high_s[rows])


@dataclass(frozen=True, slots=True)
class Samples:
    """What the site sees at points in time, in order of span and time."""

    row: Index  # of the span
    joined: Flags  # the point follows the one before it without a gap
    at_s: Array
    over: Array  # km: positive above the mask
    sine: Array  # of elevation
    distance: Array  # km


def samples(fleet: Fleet, spans: Spans) -> Samples:
    """Return the points at which the satellites may be above the mask, PARTS to an interval."""
    observer = fleet.observer
    row, node_s = _grid(fleet, spans)
    states = fleet.states(spans.index[row], node_s)
    begin = _worth_searching(fleet, spans, row, node_s, states)
    step_s = node_s[begin + 1] - node_s[begin]
    at_s = node_s[begin, None] + step_s[:, None] * POINTS
    position = _quintic(states, begin, step_s)
    slow = np.flatnonzero(np.repeat(is_slow(fleet, spans)[row[begin]], PARTS + 1))
    exact = fleet.states(spans.index[np.repeat(row[begin], PARTS + 1)[slow]], at_s.ravel()[slow])
    position[:, slow] = exact.r
    position, velocity = observer.earth_fixed(at_s.ravel(), position, position)
    look = sight(observer, position, velocity)
    joined = np.ones(at_s.shape, bool)
    joined[:, 0] = False
    # Where an interval follows another, its first point is the other's last, and is left out.
    follows = np.diff(begin, prepend=-2) == 1
    keep = np.concatenate([~follows[:, None], joined[:, 1:]], axis=1).ravel()
    return Samples(
        row=np.repeat(row[begin], PARTS + 1)[keep],
        joined=joined.ravel()[keep],
        at_s=at_s.ravel()[keep],
        over=(look.height - np.sin(observer.mask_rad) * look.distance)[keep],
        sine=(look.height / look.distance)[keep],
        distance=look.distance[keep],
    )


def _motions(fleet: Fleet, spans: Spans) -> tuple[Array, Array]:
    """Return mean motion in rad/s and eccentricity by span."""
    pairs = np.array([(s.no_kozai / MINUTE_S, s.ecco) for s in (fleet.satrecs[i] for i in spans.index.tolist())])
    motion, e = pairs.reshape(-1, 2).T
    return motion, e


def perigee_radian_s(fleet: Fleet, spans: Spans) -> Array:
    """Return the time of a radian at perigee, by span."""
    motion, e = _motions(fleet, spans)
    step_s: Array = (1 - e) ** 1.5 / (motion * np.sqrt(1 + e))
    return step_s


def is_slow(fleet: Fleet, spans: Spans) -> Flags:
    """Return whether each satellite is so slow against the turning earth that no quintic resolves how it moves."""
    slow: Flags = perigee_radian_s(fleet, spans) > SLOW_S
    return slow


def node_step_s(fleet: Fleet, spans: Spans) -> Array:
    """Return how far nodes are apart at most, by span; samples are so by PARTS of it."""
    return np.clip(perigee_radian_s(fleet, spans), STEP_LEAST_S, STEP_MOST_S)


def _grid(fleet: Fleet, spans: Spans) -> tuple[Index, Array]:
    """Return the row of its span and the time of each node."""
    step_s = node_step_s(fleet, spans)
    counts = np.maximum(np.ceil((spans.high_s - spans.low_s) / step_s), 1).astype(int)
    row = np.repeat(np.arange(len(counts)), counts + 1)
    number = np.arange(len(row)) - np.repeat(np.cumsum(counts + 1) - counts - 1, counts + 1)
    return row, spans.low_s[row] + (spans.high_s - spans.low_s)[row] * (number / counts[row])


def valid(fleet: Fleet, spans: Spans) -> Spans:
    """Return the part of each span, to the microsecond, that SGP4 reaches from the epoch without an error.

    Beyond an error it may return numbers again, of an orbit that a decayed satellite is not on.
    """
    epoch_s = epochs(fleet, spans.index)
    reached = _reached(fleet, spans, epoch_s)
    spans, epoch_s = spans.take(reached), epoch_s[reached]
    row, at_s = _grid(fleet, spans)
    failed = fleet.states(spans.index[row], at_s).failed
    if not failed.any():
        return spans
    same = row[1:] == row[:-1]
    change = np.flatnonzero(same & (failed[1:] != failed[:-1]))
    edge_s = _error_edges(fleet, spans.index[row[change]], at_s[change], at_s[change + 1], failed[change])
    first = np.flatnonzero(~failed & np.concatenate([[True], ~same | failed[:-1]]))
    last = np.flatnonzero(~failed & np.concatenate([~same | failed[1:], [True]]))
    low_s, high_s = at_s.copy(), at_s.copy()
    low_s[change[failed[change]] + 1] = edge_s[failed[change]]
    high_s[change[~failed[change]]] = edge_s[~failed[change]]
    start_s = np.clip(epoch_s, spans.low_s, spans.high_s)[row[first]]
    keep = (low_s[first] <= start_s) & (high_s[last] >= start_s)
    return Spans(spans.index[row[first]], low_s[first], high_s[last]).take(keep)


def _error_edges(fleet: Fleet, index: Index, before_s: Array, after_s: Array, fails_before: Flags) -> Array:
    """Return the last good time next to each change between error and no error."""
    good_s, bad_s = np.where(fails_before, after_s, before_s), np.where(fails_before, before_s, after_s)
    for _ in range(HALVINGS):
        middle_s = (good_s + bad_s) / 2
        fails = fleet.states(index, middle_s).failed
        good_s, bad_s = np.where(fails, good_s, middle_s), np.where(fails, middle_s, bad_s)
    return good_s


def epochs(fleet: Fleet, index: Index) -> Array:
    """Return each satellite's epoch, in seconds from the window's start."""
    satrecs = [fleet.satrecs[which] for which in index.tolist()]
    pairs = np.array([(one.jdsatepoch, one.jdsatepochF) for one in satrecs]).reshape(-1, 2)
    whole, fraction = pairs.T
    return ((whole - fleet.observer.jd_whole) + (fraction - fleet.observer.jd_fraction)) * DAY_S


def _reached(fleet: Fleet, spans: Spans, epoch_s: Array) -> Flags:
    """Return whether SGP4 comes from the epoch to the span without an error."""
    near_s = np.clip(epoch_s, spans.low_s, spans.high_s)
    path_s = epoch_s[:, None] + (near_s - epoch_s)[:, None] * np.linspace(0, 1, PATH_POINTS)
    failed = fleet.states(np.repeat(spans.index, PATH_POINTS), path_s.ravel()).failed
    reached: Flags = ~failed.reshape(-1, PATH_POINTS).max(axis=1, initial=False)
    return reached


def _worth_searching(fleet: Fleet, spans: Spans, row: Index, at_s: Array, states: States) -> Index:
    """Return the first nodes of the intervals that the satellite may spend above the mask.

    In half an interval the angle between satellite and site shrinks by no more than the two angular speeds allow.
    """
    observer = fleet.observer
    position, _ = observer.earth_fixed(at_s, states.r, states.v)
    radius = length(position)
    cosine = np.clip(observer.place @ position / (observer.radius_km * radius), -1, 1)
    apart = np.arccos(cosine)
    speed = (FASTER / perigee_radian_s(fleet, spans))[row] + EARTH_RAD_S
    step_s = np.diff(at_s)
    climb = np.abs((states.r * states.v).sum(axis=0) / radius)
    highest = np.maximum(radius[1:], radius[:-1]) + np.maximum(climb[1:], climb[:-1]) * step_s / 2 + SLACK_KM
    horizon = np.arccos(np.clip(observer.radius_km * np.cos(observer.mask_rad) / highest, -1, 1)) - observer.mask_rad
    near = (apart[1:] + apart[:-1] - speed[1:] * step_s) / 2 <= horizon + SLACK_RAD
    return np.flatnonzero(near & (row[1:] == row[:-1]) & (step_s > 0))


def _quintic(states: States, begin: Index, step_s: Array) -> Array:
    """Return positions at the points of each interval, one interval after the other."""
    pull = _pull(states.r)
    corners = [
        vectors[:, node] * step_s**power
        for node in (begin, begin + 1)
        for power, vectors in enumerate((states.r, states.v, pull))
    ]
    position: Array = np.einsum("pb,bck->ckp", QUINTIC, np.stack(corners)).reshape(3, -1)
    return position


def _pull(position: Array) -> Array:
    """Return the acceleration of gravity with the earth's oblateness, km/s²."""
    x, y, z = position
    square = x * x + y * y + z * z
    tilt = 5 * z * z / square
    oblate = 1.5 * J2 * EARTH_KM**2 / square
    pull = -MU_KM3_S2 / (square * np.sqrt(square))
    return np.stack(
        (
            pull * x * (1 + oblate * (1 - tilt)),
            pull * y * (1 + oblate * (1 - tilt)),
            pull * z * (1 + oblate * (3 - tilt)),
        )
    )
