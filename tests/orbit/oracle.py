"""The oracle: finds passes with Skyfield's own altaz(), by sampling elevation closely and halving every bracket.

Plain and slow, and it shares nothing with the search that it judges but sgp4. Times are seconds from the start of
the window, and the window is searched a revolution further on both sides, so that a pass which it cuts is seen whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray
from skyfield.api import EarthSatellite, Timescale, wgs84
from skyfield.toposlib import GeographicPosition

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.elements import Elements
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.site import Site

Array = NDArray[np.float64]
Curve = Callable[[Array], Array]

UNIX, UNIX_JD = datetime(1970, 1, 1, tzinfo=UTC), 2440587.5
STEP_RAD = 0.03  # a step turns the satellite by this much at perigee: 27 s in low orbit
HALVINGS = 34  # of a step of minutes: well under a microsecond
FLAT_RAD_S = 1.5e-9  # SGP4's jumps of 1e-12 rad may shift an extreme that bends less, by this over the step, by 1 ms
FIT_RAD_S, FIT_STEPS = 4e-9, (3, 10)  # the flatter, the longer is the fit, within these bounds
FIT_POINTS, FIT_DEGREE = 61, 10


@dataclass(frozen=True, slots=True)
class Sky:
    """One satellite in the sky of one place; seconds count from `start`."""

    satellite: EarthSatellite
    place: GeographicPosition
    scale: Timescale
    start: datetime

    def look(self, at_s: Array) -> tuple[Array, Array, Array]:
        """Return elevation and azimuth in radians and range in km; NaN where SGP4 fails."""
        midnight_s = (self.start - self.start.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        days, seconds = np.divmod(np.asarray(at_s) + midnight_s, 86400)  # as datetime counts: no leap second between
        times = self.scale.utc(self.start.year, self.start.month, self.start.day + days, 0, 0, seconds)
        # Precession and nutation turn the satellite and the place alike, and cost a hundred times the rest.
        times.gast, times.M, times.MT = times.tt * 0.0, np.identity(3), np.identity(3)
        position = (self.satellite - self.place).at(times)
        elevation, azimuth, distance = position.altaz()
        failed = np.array([message is not None for message in position.message])
        return (
            np.where(failed, np.nan, elevation.radians),
            np.where(failed, np.nan, azimuth.radians),
            np.where(failed, np.nan, distance.km),
        )

    def elevation(self, at_s: Array) -> Array:
        return self.look(at_s)[0]

    def range(self, at_s: Array) -> Array:
        return self.look(at_s)[2]

    @property
    def difference_s(self) -> float:
        """A twentieth of a step: 1.4 s in low orbit; nearer samples of a slow satellite differ by rounding only."""
        return self.step_s / 20

    def range_rate(self, at_s: Array) -> Array:
        """Return d(range)/dt in km/s; SGP4's own velocity is not the derivative of its position."""
        return slope(self.range, at_s, self.difference_s)

    def top(self, low_s: Array, high_s: Array) -> Array:
        """Return when elevation is greatest, or least, in each bracket."""
        return self._settled(self.elevation, 1.0, root(self._slope(self.elevation), low_s, high_s))

    def nearest(self, low_s: Array, high_s: Array) -> Array:
        """Return when the range is least, or greatest, in each bracket."""
        at_s = root(self.range_rate, low_s, high_s)
        return self._settled(self.range, self.range(at_s), at_s)

    def _slope(self, curve: Curve) -> Curve:
        return lambda at_s: slope(curve, at_s, self.difference_s)

    def _settled(self, curve: Curve, scale: Array | float, at_s: Array) -> Array:
        """Return the times again, those of the flattest extremes from a fit; `scale` is what a radian makes of it."""
        h = self.difference_s
        bend = (curve(at_s + h) - 2 * curve(at_s) + curve(at_s - h)) / h**2 / scale
        at_s = at_s.copy()
        for flat in np.flatnonzero(np.abs(bend) * h < FLAT_RAD_S):
            at_s[flat] = self.fitted(curve, float(at_s[flat]), float(abs(bend[flat])))
        return at_s

    def fitted(self, curve: Curve, at_s: float, bend: float) -> float:
        """Return the extreme next to `at_s` of a fit that is long enough for a bend in rad/s²."""
        least, most = FIT_STEPS
        half_s = min(max(FIT_RAD_S / max(bend, 1e-20), least * self.step_s), most * self.step_s)
        return fitted(curve, at_s, half_s, self.midnight_s)

    @property
    def epoch_s(self) -> float:
        model, days = self.satellite.model, (self.start - UNIX).total_seconds() / 86400 + UNIX_JD
        return float(((model.jdsatepoch - days) + model.jdsatepochF) * 86400)

    @property
    def midnight_s(self) -> float:
        """The first midnight, UTC, in the window."""
        return 86400 - (self.start - self.start.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()

    @property
    def revolution_s(self) -> float:
        return float(2 * np.pi / self.satellite.model.no_kozai * 60)

    @property
    def step_s(self) -> float:
        e = self.satellite.model.ecco
        return float(STEP_RAD * self.revolution_s / (2 * np.pi) * (1 - e) ** 1.5 / (1 + e) ** 0.5)


@dataclass(frozen=True, slots=True)
class Arc:
    """One stretch above the mask; a time is None where it is unknown."""

    aos_s: float | None
    los_s: float | None
    culmination_s: float
    tca_s: float
    in_progress_at_start: bool
    in_progress_at_end: bool


def sky_over(elements: Elements, site: Site, start: datetime) -> Sky:
    scale = earth_rotation("iers").scale
    place = wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m)
    return Sky(EarthSatellite.from_satrec(to_satrec(elements), scale), place, scale, start)


def slope(curve: Curve, at_s: Array, h: float) -> Array:
    """Return the derivative by a five-point difference."""
    return (8 * (curve(at_s + h) - curve(at_s - h)) - (curve(at_s + 2 * h) - curve(at_s - 2 * h))) / (12 * h)


def root(curve: Curve, low_s: Array, high_s: Array) -> Array:
    """Return where `curve` changes sign in each bracket, by halving."""
    rising = curve(high_s) > curve(low_s)
    for _ in range(HALVINGS):
        middle = (low_s + high_s) / 2
        beyond = (curve(middle) > 0) == rising
        low_s, high_s = np.where(beyond, low_s, middle), np.where(beyond, middle, high_s)
    return (low_s + high_s) / 2


def fitted(curve: Curve, at_s: float, half_s: float, midnight_s: float) -> float:
    """Return the extreme next to `at_s` of the curve that fits best around it: it knows no jumps of SGP4's.

    At midnight UTC the tables of the earth's rotation change their slope, so the fit may bend there.
    """
    x = np.linspace(-1, 1, FIT_POINTS)
    values = curve(at_s + half_s * x)
    bend_at = ((midnight_s - at_s + 43200) % 86400 - 43200) / half_s
    beyond = np.maximum(x - bend_at, 0)
    bends = [beyond, beyond**2] if abs(bend_at) < 1 else []
    terms = np.stack([*(x**power for power in range(FIT_DEGREE + 1)), *bends], axis=1)
    factors, *_ = np.linalg.lstsq(terms, values - values.mean())

    def rate(at: Array) -> Array:
        rates = sum(power * factors[power] * at ** (power - 1) for power in range(1, FIT_DEGREE + 1))
        if bends:
            rates += np.where(at > bend_at, factors[-2] + 2 * factors[-1] * (at - bend_at), 0)
        return np.asarray(rates)

    low, high = np.array([-1.0]), np.array([1.0])
    turns = rate(low) * rate(high) < 0
    return at_s + half_s * float(root(rate, low, high)[0]) if turns[0] else at_s


def turning_points(search: Callable[[Array, Array], Array], nodes_s: Array, values: Array) -> Array:
    """Return the times of every maximum and minimum that the samples bracket."""
    turns = np.flatnonzero((values[1:-1] - values[:-2]) * (values[2:] - values[1:-1]) <= 0) + 1
    return search(nodes_s[turns - 1], nodes_s[turns + 1]) if len(turns) else np.empty(0)


def find_arcs(sky: Sky, mask_deg: float, window_s: float) -> list[Arc]:
    """Return the stretches above the mask that overlap 0 to `window_s`, in order."""
    mask = np.radians(mask_deg)
    beyond = sky.revolution_s
    nodes = np.linspace(-beyond, window_s + beyond, int((window_s + 2 * beyond) / sky.step_s) + 2)
    nodes = np.union1d(nodes, turning_points(sky.top, nodes, sky.elevation(nodes)))
    height = sky.elevation(nodes) - mask
    known = _since_epoch(sky, nodes, np.isfinite(height))
    above = np.where(known, height, -1.0) >= 0
    changes = np.flatnonzero(above[1:] != above[:-1])
    clean = known[changes] & known[changes + 1]
    edges = np.full(len(changes), np.nan)
    if clean.any():
        low, high = nodes[changes[clean]], nodes[changes[clean] + 1]
        edges[clean] = root(lambda at_s: sky.elevation(at_s) - mask, low, high)
    bounds = [np.nan, *edges, np.nan]
    firsts, lasts = [0, *(changes + 1)], [*changes, len(nodes) - 1]
    runs = zip(firsts, lasts, bounds[:-1], bounds[1:], strict=True)
    arcs = [_arc(sky, nodes[first : last + 1], aos, los, window_s) for first, last, aos, los in runs if above[first]]
    return [arc for arc in arcs if arc is not None]


def _since_epoch(sky: Sky, nodes: Array, known: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which nodes SGP4 reaches from the epoch without an error: beyond one its numbers mean nothing."""
    epoch_s = sky.epoch_s
    begin = int(np.searchsorted(nodes, epoch_s))
    gap = np.linspace(epoch_s, np.clip(epoch_s, nodes[0], nodes[-1]), 500)
    if np.isnan(sky.elevation(gap)).any():
        return np.zeros(len(nodes), bool)
    before, after = known[:begin], known[begin:]
    return np.concatenate([np.logical_and.accumulate(before[::-1])[::-1], np.logical_and.accumulate(after)])


def _arc(sky: Sky, nodes: Array, aos: float, los: float, window_s: float) -> Arc | None:
    low = aos if np.isfinite(aos) else max(nodes[0], 0.0)
    high = los if np.isfinite(los) else min(nodes[-1], window_s)
    if high <= 0 or low >= window_s or low > high:
        return None
    inside = np.concatenate([[low], nodes[(nodes > low) & (nodes < high)], [high]])
    # One step further on both sides: the range may fall on from AOS and rise again before the first node.
    around = np.concatenate([[low - sky.step_s], inside, [high + sky.step_s]])
    turns = turning_points(sky.nearest, around, sky.range(around))
    inside_closest = np.concatenate([inside, turns[(turns > low) & (turns < high)]])
    return Arc(
        aos_s=float(aos) if np.isfinite(aos) else None,
        los_s=float(los) if np.isfinite(los) else None,
        culmination_s=float(inside[np.nanargmax(sky.elevation(inside))]),
        tca_s=float(inside_closest[np.nanargmin(sky.range(inside_closest))]),
        in_progress_at_start=bool(low <= 0),
        in_progress_at_end=bool(high >= window_s),
    )
