"""Candidates for passes of near-circular low orbits, from mean elements alone.

A satellite passes a site about once a revolution: when its argument of latitude u equals that of the site's
projection on the orbital plane, u_s. Both are known without SGP4 to a few seconds, so most revolutions are ruled
out by geometry and SGP4 is asked once for each pass that remains.
"""

from dataclasses import dataclass

import numpy as np
from sgp4.api import Satrec

from groundstation.orbit.earth_rotation import DAY_S, EARTH_RAD_S, Array
from groundstation.orbit.fleet import Flags, Fleet, Index
from groundstation.orbit.observer import Observer

TURN = 2 * np.pi
AHEAD = 0.3  # of a revolution: a pass culminates at most so far outside the window that it reaches into
SLACK_RAD = np.radians(1.2)  # what mean elements and a spherical earth leave out of the angle to the horizon
SLACK_KM = 25.0  # short-period terms of J2 in the radius
DRAG_FROM_S = 20_000.0  # nearer to the epoch, drag has not shifted the phase by anything
MEAN_MOTION_LEAST_REV_DAY = 9.0
ECCENTRICITY_MOST = 0.1
DRAG_PHASE_MOST_RAD = 1.0
MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Mean:
    """Mean elements along the window, one column a satellite; angles in radians, times from the window's start."""

    epoch_s: Array
    phase: Array  # mean argument of latitude at epoch
    rate: Array  # of the phase, rad/s
    drag2: Array  # rad/s²
    drag3: Array  # rad/s³
    node: Array
    node_rate: Array
    node_drag: Array
    perigee: Array
    perigee_rate: Array
    eccentricity: Array
    semi_major_km: Array
    sin_i: Array
    cos_i: Array

    def take(self, index: Index) -> "Mean":
        return Mean(*(getattr(self, field)[index] for field in Mean.__slots__))


def wrap(angle: Array) -> Array:
    """Return the angle from −π to π."""
    return angle - TURN * np.rint(angle / TURN)


def mean_elements(fleet: Fleet) -> tuple[Mean, Flags]:
    """Return the mean elements, and for which satellites this search may be trusted with them.

    SGP4 is asked once, at the window's end, for the phase that drag has added by then (modulo a turn) and for the mean
    motion, which say the same thing unless drag is fierce. Where they do not agree, whole turns may hide: this once
    lost every pass of a decaying object, so such satellites are left to the general search.
    """
    observer, count = fleet.observer, len(fleet.satrecs)
    failed = fleet.states(np.arange(count), np.full(count, observer.window_s)).failed
    table = np.array([_attributes(satrec) for satrec in fleet.satrecs]).T
    jd, part, mo, argpo, nodeo, inclo, ecco, mdot, argpdot, nodedot, axis, xke, earth_km, nm, mm, om, node, near = table
    epoch_s = ((jd - observer.jd_whole) + (part - observer.jd_fraction)) * DAY_S
    age_s = observer.window_s - epoch_s
    old = np.abs(age_s) > DRAG_FROM_S
    age_or_1 = np.where(old, age_s, 1.0)
    rate, node_rate = (mdot + argpdot) / MINUTE_S, nodedot / MINUTE_S
    faster = np.where(old, (nm - xke * axis**-1.5) / MINUTE_S, 0.0)
    expected = 0.5 * faster * age_s
    surplus = wrap(mm + om - mo - argpo - rate * age_s - expected)
    drag_phase = np.where(old, expected + surplus, 0.0)
    mean = Mean(
        epoch_s=epoch_s,
        phase=mo + argpo,
        rate=rate,
        drag2=(3 * drag_phase / age_or_1 - faster) / age_or_1,
        drag3=(faster - 2 * drag_phase / age_or_1) / age_or_1**2,
        node=nodeo,
        node_rate=node_rate,
        node_drag=np.where(old, wrap(node - nodeo - node_rate * age_s), 0.0) / age_or_1**2,
        perigee=argpo,
        perigee_rate=argpdot / MINUTE_S,
        eccentricity=ecco,
        semi_major_km=axis * earth_km,
        sin_i=np.sin(inclo),
        cos_i=np.cos(inclo),
    )
    low = (near > 0) & (ecco < ECCENTRICITY_MOST) & (rate * DAY_S / TURN >= MEAN_MOTION_LEAST_REV_DAY)
    aloft = nm < xke  # a mean radius under one earth radius means that SGP4 has lost a decayed satellite
    return mean, low & aloft & ~failed & (np.abs(surplus) < DRAG_PHASE_MOST_RAD)


def _attributes(s: Satrec) -> tuple[float, ...]:
    return (
        *(s.jdsatepoch, s.jdsatepochF, s.mo, s.argpo, s.nodeo, s.inclo, s.ecco, s.mdot, s.argpdot, s.nodedot, s.a),
        *(s.xke, s.radiusearthkm, s.nm, s.mm, s.om, s.Om, s.method == "n"),
    )


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where the satellite's track and the site stand to each other; arrays over satellites and times."""

    apart: Array  # u − u_s
    out_of_plane: Array  # Z, the sine of the site's angle above the orbital plane
    alpha: Array  # the site's right ascension from the node
    drift: Array  # dα/dt


def _crossing(observer: Observer, mean: Mean, at_s: Array) -> Crossing:
    age_s = at_s - mean.epoch_s
    x, y, z = observer.place
    sin_lat, cos_lat, longitude = z / observer.radius_km, np.hypot(x, y) / observer.radius_km, np.arctan2(y, x)
    alpha = observer.angle(at_s) + longitude - mean.node - age_s * (mean.node_rate + mean.node_drag * age_s)
    sin_a, cos_a = np.sin(alpha), np.cos(alpha)
    site_u = np.arctan2(cos_lat * mean.cos_i * sin_a + sin_lat * mean.sin_i, cos_lat * cos_a)
    return Crossing(
        apart=mean.phase + age_s * (mean.rate + age_s * (mean.drag2 + age_s * mean.drag3)) - site_u,
        out_of_plane=sin_lat * mean.cos_i - cos_lat * mean.sin_i * sin_a,
        alpha=alpha,
        drift=EARTH_RAD_S - mean.node_rate - 2 * mean.node_drag * age_s,
    )


def candidates(observer: Observer, mean: Mean) -> tuple[Index, Array]:
    """Return satellite and time of every culmination that may rise above the mask, good to seconds.

    Satellites come in order, and the times of each in order.
    """
    column = Mean(*(getattr(mean, field)[:, None] for field in Mean.__slots__))
    index, at_s = _coarse(observer, column)
    return _refined(observer, mean.take(index), index, at_s)


def _coarse(observer: Observer, mean: Mean) -> tuple[Index, Array]:
    """Walk node after node a revolution apart: u − u_s grows by about a turn, and each whole turn is a candidate."""
    period_s = TURN / mean.rate
    steps = int(np.ceil(observer.window_s / period_s.min() + 2 * AHEAD)) + 1
    nodes_s = (np.arange(steps + 1) - AHEAD) * period_s
    crossing = _crossing(observer, mean, nodes_s)
    turns = crossing.apart / TURN
    # u advances through a whole turn while u_s moves by less than half of one either way.
    gain = np.diff(turns)
    gain -= np.rint(gain - 1)
    begin = turns - np.floor(turns)
    whole = np.rint(begin[:, :-1] + gain - begin[:, 1:])
    plane = crossing.out_of_plane
    least = np.where(plane[:, :-1] * plane[:, 1:] > 0, np.minimum(np.abs(plane[:, :-1]), np.abs(plane[:, 1:])), 0.0)
    cos_lat = np.hypot(observer.place[0], observer.place[1]) / observer.radius_km
    bulge = cos_lat * mean.sin_i * (EARTH_RAD_S * period_s) ** 2 / 8  # by how much Z may dip between two nodes
    farthest = mean.semi_major_km * (1 + mean.eccentricity) + SLACK_KM
    near = least - bulge <= np.sin(np.minimum(_horizon(observer, farthest) + SLACK_RAD, np.pi / 2))
    near &= nodes_s[:, :-1] <= observer.window_s + AHEAD * period_s
    rows, times = [np.empty(0, np.intp)], [np.empty(0)]
    for number in range(1, int(whole.max(initial=0)) + 1):
        found = np.nonzero(near & (whole >= number))
        rows.append(found[0])
        times.append(nodes_s[found] + period_s[found[0], 0] * (number - begin[found]) / gain[found])
    row, at_s = np.concatenate(rows), np.concatenate(times)
    order = np.lexsort((at_s, row))
    return row[order], at_s[order]


def _refined(observer: Observer, mean: Mean, index: Index, at_s: Array) -> tuple[Index, Array]:
    """Move each candidate to its culmination by one Newton step, and drop those that stay below the mask.

    The equation of the centre turns mean into true argument of latitude; the satellite culminates a little off u_s
    where the site drifts through the plane meanwhile.
    """
    crossing = _crossing(observer, mean, at_s)
    age_s = at_s - mean.epoch_s
    anomaly = (
        mean.phase - mean.perigee + age_s * (mean.rate - mean.perigee_rate + age_s * (mean.drag2 + age_s * mean.drag3))
    )
    e, sin_m, cos_m = mean.eccentricity, np.sin(anomaly), np.cos(anomaly)
    centre = 2 * e * sin_m * (1 + 1.25 * e * cos_m)
    z, x = observer.place[2], np.hypot(observer.place[0], observer.place[1])
    sin_lat, cos_lat = z / observer.radius_km, x / observer.radius_km
    sin_a, cos_a = np.sin(crossing.alpha), np.cos(crossing.alpha)
    plane = crossing.out_of_plane
    plane_rate = -cos_lat * mean.sin_i * cos_a * crossing.drift
    along, across = cos_lat * cos_a, cos_lat * sin_a * mean.cos_i + sin_lat * mean.sin_i
    in_plane = np.maximum(1 - plane * plane, 1e-12)
    site_rate = cos_lat * crossing.drift * (along * cos_a * mean.cos_i + across * sin_a) / in_plane
    relative = mean.rate * (1 + 2 * e * cos_m) - site_rate
    target = -plane * plane_rate / (in_plane * relative)
    step_s = (target - wrap(crossing.apart + centre)) / relative
    radius_km = mean.semi_major_km * (1 - e * e) / (1 + e * np.cos(anomaly + centre)) + SLACK_KM
    high = np.abs(plane + plane_rate * step_s) <= np.sin(
        np.minimum(_horizon(observer, radius_km) + SLACK_RAD, np.pi / 2)
    )
    return index[high], (at_s + step_s)[high]


def _horizon(observer: Observer, radius_km: Array) -> Array:
    """Return the earth-central angle at which a satellite of that radius stands at the mask."""
    cosine = np.clip(observer.radius_km * np.cos(observer.mask_rad) / radius_km, -1, 1)
    angle: Array = np.arccos(cosine) - observer.mask_rad
    return angle
