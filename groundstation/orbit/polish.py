"""Take a candidate pass to its exact edges, culmination and closest approach, with few calls of SGP4.

SGP4's velocity is not the derivative of its position (20 mm/s off in low orbit, metres a second when decaying), so
a single state only says where to look next; culmination and closest approach come from differences of positions.
"""

from collections.abc import Callable

import numpy as np

from groundstation.orbit.arcs import Arcs
from groundstation.orbit.earth_rotation import EARTH_RAD_S, Array
from groundstation.orbit.fleet import Flags, Fleet, Index
from groundstation.orbit.observer import MU_KM3_S2, Observer
from groundstation.orbit.sight import Sight, azimuth, length, sight

HALF_S = 0.5  # the two positions around a culmination lie so far to both sides of it
FAR_S, EDGE_FAR_S = 4.0, 0.5  # a longer step is followed by another look
# Where drag is fierce, SGP4's velocity is 1 m/s off: half a second by it put the edge of a graze 3 ms off.
BURNING_RAD_MIN, BURNING_FAR_S = 16.0 * 2 * np.pi / 1440, 0.02
CLOSE_S = 0.1  # likewise for culmination: overhead passes of low objects were 0.7 s off without
TCA_ERROR_S = 0.0001  # the range is then good to a few millimetres
ROUNDS = 8
GRAZE_SINE = 0.012  # so little above the mask, 0.7°, sin(elevation) is taken for a parabola
SLACK_SINE = 2e-4  # a culmination predicted so little below the mask is looked at


def polish(fleet: Fleet, index: Index, at_s: Array) -> tuple[Arcs, Index]:
    """Return the passes among the candidates, and the satellites that resist: SGP4 fails, or a step leads astray.

    Each candidate lies within seconds of a culmination, and each pass has one culmination. Passes that do not
    overlap the window are left out.
    """
    sine_mask = float(np.sin(fleet.observer.mask_rad))
    look, at_s, lost = _first_look(fleet, index, at_s)
    q, q1, q2 = look.sine_slopes()
    by_s = -q1 / q2
    keep = (q + 0.5 * q1 * by_s >= sine_mask - SLACK_SINE) & ~lost
    rows, by_s = index[keep], by_s[keep]
    half_s = _half_durations(fleet.observer, look.take(keep), by_s, sine_mask)
    arcs, astray = _second_look(fleet, rows, at_s[keep] + by_s, half_s, sine_mask)
    return arcs, np.union1d(index[lost], rows[astray])


def _first_look(fleet: Fleet, index: Index, at_s: Array) -> tuple[Sight, Array, Flags]:
    """Return one state within FAR_S of each culmination, its time, and which candidates have none."""
    position, velocity, lost = fleet.seen(index, at_s)
    look = sight(fleet.observer, position, velocity)
    _, q1, q2 = look.sine_slopes()
    lost |= q2 >= 0
    by_s = -q1 / q2
    for _ in range(ROUNDS):
        far = np.flatnonzero((np.abs(by_s) > FAR_S) & ~lost)
        if not len(far):
            break
        at_s[far] += by_s[far]
        position, velocity, failed = fleet.seen(index[far], at_s[far])
        closer = sight(fleet.observer, position, velocity)
        look.put(far, closer)
        _, q1, q2 = closer.sine_slopes()
        lost[far] |= failed | (q2 >= 0)
        by_s[far] = -q1 / q2
    return look, at_s, lost | (np.abs(by_s) > FAR_S)


def _half_durations(observer: Observer, look: Sight, by_s: Array, sine_mask: float) -> Array:
    """Return AOS − culmination and LOS − culmination in two rows, good to a fraction of a second.

    First the spherical triangle of site, culmination and edge, or for a graze a parabola; then one Newton step on the
    two-body arc through the state at culmination, with the site turning under it.
    """
    position = look.moved(by_s) + observer.place[:, None]
    velocity = look.velocity + by_s * look.acceleration
    radius = length(position)
    q, q1, q2 = look.sine_slopes()
    above = np.maximum(q + 0.5 * q1 * by_s - sine_mask, 0.0)
    horizon = np.arccos(np.minimum(observer.radius_km * np.cos(observer.mask_rad) / radius, 1)) - observer.mask_rad
    to_culmination = observer.place @ position / (observer.radius_km * radius)
    swept = np.arccos(np.clip(np.cos(horizon) / to_culmination, -1, 1))
    half = np.where(above < GRAZE_SINE, np.sqrt(-2 * above / q2), swept * radius / length(velocity))
    both = np.stack((-half, half))
    position, velocity = _two_body(position, velocity, both)
    edge = sight(observer, position.reshape(3, -1), velocity.reshape(3, -1))
    f, f1, _ = edge.over_mask(sine_mask)
    with np.errstate(divide="ignore", invalid="ignore"):
        step = np.nan_to_num((-f / f1).reshape(both.shape))
    return both + np.where(above < GRAZE_SINE, 0.0, np.clip(step, -half / 3, half / 3))


def _two_body(position: Array, velocity: Array, by_s: Array) -> tuple[Array, Array]:
    """Return states on the Kepler arc after `by_s`, all in the frame that turns with the earth.

    The f and g series to the fifth power of time (Bate, Mueller and White, section 5.2).
    """
    turning = EARTH_RAD_S
    x, y, z = position
    inertial = np.stack((velocity[0] - turning * y, velocity[1] + turning * x, velocity[2]))
    square = x * x + y * y + z * z
    u = MU_KM3_S2 / (square * np.sqrt(square))
    p = (x * inertial[0] + y * inertial[1] + z * inertial[2]) / square
    q = (inertial * inertial).sum(axis=0) / square - u
    t2 = by_s * by_s
    f3, f4 = u * p / 2, u * (3 * q - 15 * p * p + u) / 24
    g4, g5 = u * p / 4, u * (9 * q - 45 * p * p + u) / 120
    f = 1 + t2 * (-u / 2 + by_s * (f3 + by_s * f4))
    g = by_s * (1 + t2 * (-u / 6 + by_s * (g4 + by_s * g5)))
    f_dot = by_s * (-u + by_s * (3 * f3 + by_s * 4 * f4))
    g_dot = 1 + t2 * (-u / 2 + by_s * (4 * g4 + by_s * 5 * g5))
    r = f * position[:, None] + g * inertial[:, None]
    v = f_dot * position[:, None] + g_dot * inertial[:, None]
    c, s = np.cos(turning * by_s), np.sin(turning * by_s)
    moved = np.stack((c * r[0] + s * r[1], c * r[1] - s * r[0], r[2]))
    u_x, u_y = c * v[0] + s * v[1], c * v[1] - s * v[0]
    return moved, np.stack((u_x + turning * moved[1], u_y - turning * moved[0], v[2]))


def _second_look(fleet: Fleet, index: Index, peak_s: Array, half_s: Array, sine_mask: float) -> tuple[Arcs, Flags]:
    """Return the exact passes that overlap the window, and which candidates went astray.

    Four calls of SGP4 a pass: both edges, and both sides of culmination.
    """
    observer = fleet.observer
    times = np.stack((peak_s + half_s[0], peak_s - HALF_S, peak_s + HALF_S, peak_s + half_s[1]), axis=1)
    position, velocity, failed = fleet.seen(np.repeat(index, 4), times.ravel())
    lost = failed.reshape(-1, 4).any(axis=1)
    inner = [vectors.reshape(3, -1, 4)[:, :, 1:3].reshape(3, -1) for vectors in (position, velocity)]
    between = _between(observer, inner[0], inner[1])
    peak, peak_s, astray = extreme(lambda rows, at: around(fleet, index[rows], at), peak_s, between, sine_step)
    lost |= astray
    q, q1, q2 = peak.sine_slopes()
    top = q - 0.5 * q1 * q1 / q2
    keep = np.flatnonzero((top >= sine_mask) & ~lost)
    index, peak, peak_s, by_s, top = index[keep], peak.take(keep), peak_s[keep], (-q1 / q2)[keep], top[keep]
    rising = sight(observer, position[:, 0::4], velocity[:, 0::4]).take(keep)
    setting = sight(observer, position[:, 3::4], velocity[:, 3::4]).take(keep)
    far_s = _far(fleet)[index]
    aos_s, aos, no_aos = edge(fleet, index, times[keep, 0], rising, sign=1.0, far_s=far_s)
    los_s, los, no_los = edge(fleet, index, times[keep, 3], setting, sign=-1.0, far_s=far_s)
    tca, tca_s, no_tca = extreme(lambda rows, at: around(fleet, index[rows], at), peak_s, peak, range_step)
    tca_by_s = np.clip(tca_s + range_step(tca)[0], aos_s, los_s) - tca_s
    culmination_s, culmination, closest = peak_s + by_s, peak.moved(by_s), tca.moved(tca_by_s)
    astray = no_aos | no_los | no_tca | (aos_s > culmination_s) | (los_s < culmination_s)
    lost[keep] = astray
    arcs = Arcs(
        index=index,
        aos_s=aos_s,
        culmination_s=culmination_s,
        tca_s=tca_s + tca_by_s,
        los_s=los_s,
        aos_azimuth=azimuth(observer, aos),
        culmination_azimuth=azimuth(observer, culmination),
        tca_azimuth=azimuth(observer, closest),
        los_azimuth=azimuth(observer, los),
        aos_range_km=length(aos),
        culmination_range_km=length(culmination),
        tca_range_km=length(closest),
        los_range_km=length(los),
        max_elevation=np.arcsin(np.clip(top, -1, 1)),
        at_start=aos_s <= 0,
        at_end=los_s >= observer.window_s,
    )
    return arcs.take((los_s > 0) & (aos_s < observer.window_s) & ~astray), lost


def _far(fleet: Fleet) -> Array:
    """Return by satellite how long a step to an edge may be the last, from the mean motion that SGP4 last had."""
    return np.where([satrec.nm > BURNING_RAD_MIN for satrec in fleet.satrecs], BURNING_FAR_S, EDGE_FAR_S)


def edge(
    fleet: Fleet, index: Index, at_s: Array, look: Sight, *, sign: float, far_s: Array | float
) -> tuple[Array, Array, Flags]:
    """Return time and direction of the crossing next to each state, and where none is found; it may move `look`.

    `sign` is 1 for a rising and −1 for a setting satellite: which root of the parabola is meant.
    """
    sine_mask = float(np.sin(fleet.observer.mask_rad))
    by_s = _edge_step(look, sine_mask, sign)
    for _ in range(ROUNDS):
        far = np.flatnonzero(~(np.abs(by_s) <= far_s) & np.isfinite(by_s))
        if not len(far):
            break
        at_s[far] += by_s[far]
        position, velocity, failed = fleet.seen(index[far], at_s[far])
        closer = sight(fleet.observer, position, velocity)
        look.put(far, closer)
        by_s[far] = np.where(failed, np.nan, _edge_step(closer, sine_mask, sign))
    return at_s + by_s, look.moved(by_s), ~(np.abs(by_s) <= far_s)


def _edge_step(look: Sight, sine_mask: float, sign: float) -> Array:
    f, f1, f2 = look.over_mask(sine_mask)
    root = np.sqrt(np.maximum(f1 * f1 - 2 * f * f2, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        step: Array = -2 * f / (f1 + sign * root)
    return step


Near = Callable[[Index, Array], tuple[Sight, Flags]]
StepOf = Callable[[Sight], tuple[Array, Flags, Flags]]


def sine_step(look: Sight) -> tuple[Array, Flags, Flags]:
    """Return the step to culmination, where it is too long to be the last, and where there is no maximum."""
    _, q1, q2 = look.sine_slopes()
    step = -q1 / q2
    return step, np.isfinite(step), q2 >= 0


def dip_step(look: Sight) -> tuple[Array, Flags, Flags]:
    """Return the step to the least elevation between two culminations, and the same two doubts."""
    _, q1, q2 = look.sine_slopes()
    step = -q1 / q2
    return step, np.isfinite(step), q2 <= 0


def range_step(look: Sight) -> tuple[Array, Flags, Flags]:
    """Return the step to the closest approach, where it is too long to be the last, and where there is no minimum.

    Along a straight line the step's error is 1.5 Δ³ (v/d)².
    """
    step = -look.rate / look.bend
    speed = length(look.velocity) / look.distance
    return step, 1.5 * np.abs(step) ** 3 * speed**2 > TCA_ERROR_S, look.bend <= 0


def extreme(
    near: Near, at_s: Array, look: Sight, step_of: StepOf, close_s: Array | float = CLOSE_S
) -> tuple[Sight, Array, Flags]:
    """Return states next to the extremes that `step_of` leads to, their times, and which have none.

    `near` returns the states of some rows at new times.
    """
    look, at_s = look.copy(), at_s.copy()
    close_s = np.broadcast_to(close_s, at_s.shape)
    step, far, none = step_of(look)
    far &= np.abs(step) > close_s
    for _ in range(ROUNDS):
        again = np.flatnonzero(far & ~none)
        if not len(again):
            break
        at_s[again] += step[again]
        closer, failed = near(again, at_s[again])
        look.put(again, closer)
        step[again], far[again], none[again] = step_of(closer)
        far[again] &= np.abs(step[again]) > close_s[again]
        none[again] |= failed
    return look, at_s, far | none


def around(fleet: Fleet, index: Index, at_s: Array) -> tuple[Sight, Flags]:
    """Return states whose derivatives are differences of positions a second apart, and where SGP4 failed."""
    times = np.stack((at_s - HALF_S, at_s + HALF_S), axis=1).ravel()
    position, velocity, failed = fleet.seen(np.repeat(index, 2), times)
    either: Flags = failed[::2] | failed[1::2]
    return _between(fleet.observer, position, velocity), either


def _between(observer: Observer, position: Array, velocity: Array) -> Sight:
    """Return the state between each two neighbours."""
    acceleration = (velocity[:, 1::2] - velocity[:, ::2]) / (2 * HALF_S)
    middle = (position[:, ::2] + position[:, 1::2]) / 2 - HALF_S**2 / 2 * acceleration
    return sight(observer, middle, (position[:, 1::2] - position[:, ::2]) / (2 * HALF_S), acceleration)
