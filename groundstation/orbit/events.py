"""Make exact what samples bracket: rises and sets, greatest elevations and closest approaches."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from groundstation.orbit.earth_rotation import Array
from groundstation.orbit.fleet import Flags, Fleet, Index
from groundstation.orbit.observer import Observer
from groundstation.orbit.polish import CLOSE_S, StepOf, dip_step, edge, extreme, range_step, sine_step
from groundstation.orbit.sampling import HALVINGS, Samples, Spans, epochs, is_slow, perigee_radian_s
from groundstation.orbit.sight import Sight, sight
from groundstation.orbit.smooth import smooth_fleet

APART_S = 0.5
SLOW_APART_S = 60.0  # nearer positions of a slow satellite differ by little more than SGP4's last digits
EDGE_CLOSE_S = 0.001  # SGP4's velocity misleads where a satellite creeps along the mask
FLAT_RAD_S = 1.2e-9  # SGP4's jumps of 1e-12 rad, in differences of positions, may shift such an extreme by 1 ms
# Over so long a time a jump shifts the fit by 1 ms at most. A longer fit would reach further over the bends that SGP4
# puts into a slow orbit every 720 minutes from the epoch; a third of it is long enough to keep clear of one.
SMOOTH_RAD_S, SMOOTH_LEAST_RAD, SMOOTH_MOST_RAD = 5e-9, 0.05, 0.5
RESONANCE_S = 43200.0
SMOOTH_APART_S = 10.0
STRAY_S = 5.0  # the quintic's error may put a crossing just outside its bracket, but no further
STRAY_WIDTHS = 4.0  # where a slow satellite's elevation or range is flat, it moves the extreme further


@dataclass(frozen=True, slots=True)
class Brackets:
    """Times between which something happens, each with the row of its span, in order."""

    row: Index
    low_s: Array
    high_s: Array
    guess_s: Array
    below: Flags  # the satellite is below the mask at both ends
    above: Flags  # above it at both

    def take(self, rows: Flags | Index) -> "Brackets":
        return Brackets(*(getattr(self, field)[rows] for field in Brackets.__slots__))


@dataclass(frozen=True, slots=True)
class Search:
    """What every exact search needs."""

    fleet: Fleet
    satellites: Index  # by row of the spans
    apart_s: Array  # by row of the spans: the step of differences of positions
    radian_s: Array  # by row of the spans: the time of a radian at perigee


@dataclass(frozen=True, slots=True)
class Events:
    """Exact times, each with the row of its span; by row, but not by time."""

    rises: tuple[Index, Array]
    sets: tuple[Index, Array]
    peaks: tuple[Index, Array]  # greatest elevations
    nears: tuple[Index, Array]  # least ranges
    up: Flags  # by span: above the mask where it begins


def events(fleet: Fleet, spans: Spans, found: Samples) -> Events:
    """Return all that happens within the spans."""
    sine_mask = float(np.sin(fleet.observer.mask_rad))
    up = np.zeros(len(spans.index), bool)
    starts = np.flatnonzero(np.diff(found.row, prepend=-1))
    starts = starts[found.at_s[starts] <= spans.low_s[found.row[starts]]]
    up[found.row[starts]] = found.over[starts] >= 0
    apart_s = np.where(is_slow(fleet, spans), SLOW_APART_S, APART_S)
    search = Search(fleet, spans.index, apart_s, perigee_radian_s(fleet, spans))
    peaks, peak_s, tops = _extremes(search, _turns(found, found.sine), PEAK)
    dips, dip_s, lows = _extremes(search, _turns(found, -found.sine), DIP)
    nears, near_s, _ = _extremes(search, _turns(found, -found.distance), NEAREST)
    # What rises above the mask and falls below it again between two samples, or the other way round.
    graze = _split(peaks, peak_s, peaks.below & (tops >= sine_mask))
    gap = _split(dips, dip_s, dips.above & (lows < sine_mask))
    rises = _edges(search, _merge(_crossings(found, found.over), graze[0], gap[1]), 1.0)
    sets = _edges(search, _merge(_crossings(found, -found.over), graze[1], gap[0]), -1.0)
    return Events(rises, sets, (peaks.row, peak_s), (nears.row, near_s), up)


def _crossings(found: Samples, curve: Array) -> Brackets:
    """Return where the curve rises through zero between two samples."""
    after = np.flatnonzero(found.joined[1:] & (curve[:-1] < 0) & (curve[1:] >= 0)) + 1
    low_s, high_s = found.at_s[after - 1], found.at_s[after]
    share = curve[after - 1] / (curve[after - 1] - curve[after])
    neither = np.zeros(len(after), bool)
    return Brackets(found.row[after], low_s, high_s, low_s + share * (high_s - low_s), neither, neither)


def _turns(found: Samples, curve: Array) -> Brackets:
    """Return where the curve has a maximum among its samples; the guess is the vertex of a parabola."""
    rise, fall = np.diff(curve)[:-1], -np.diff(curve)[1:]
    top = np.flatnonzero(found.joined[1:-1] & found.joined[2:] & (rise >= 0) & (fall > 0)) + 1
    low_s, top_s, high_s = found.at_s[top - 1], found.at_s[top], found.at_s[top + 1]
    vertex = 0.5 * (rise[top - 1] - fall[top - 1]) / (rise[top - 1] + fall[top - 1])
    over = np.stack((found.over[top - 1], found.over[top], found.over[top + 1]))
    guess_s = top_s + vertex * (high_s - low_s) / 2
    return Brackets(found.row[top], low_s, high_s, guess_s, over.max(axis=0) < 0, over.min(axis=0) >= 0)


def _split(brackets: Brackets, at_s: Array, which: Flags) -> tuple[Brackets, Brackets]:
    """Return the brackets before and after the extreme."""
    chosen, middle_s = brackets.take(which), at_s[which]
    before = replace(chosen, high_s=middle_s, guess_s=(chosen.low_s + middle_s) / 2)
    return before, replace(chosen, low_s=middle_s, guess_s=(middle_s + chosen.high_s) / 2)


def _merge(*parts: Brackets) -> Brackets:
    merged = Brackets(*(np.concatenate([getattr(part, name) for part in parts]) for name in Brackets.__slots__))
    return merged.take(np.lexsort((merged.low_s, merged.row)))


@dataclass(frozen=True, slots=True)
class Extreme:
    """What kind of extreme is meant, by what a sight says of it."""

    step: StepOf
    slope: Callable[[Sight], Array]  # falls through zero there
    bend: Callable[[Sight], Array]  # how sharp it is, rad/s²


def _nearing_step(look: Sight) -> tuple[Array, Flags, Flags]:
    """Return `range_step`, every long step of which is too long: a slow satellite does not go straight."""
    step, _, none = range_step(look)
    return step, np.isfinite(step), none


PEAK = Extreme(sine_step, lambda look: look.sine_slopes()[1], lambda look: np.abs(look.sine_slopes()[2]))
DIP = Extreme(
    dip_step, lambda look: -look.sine_slopes()[1], lambda look: np.full_like(look.rate, np.inf)
)  # its time is told to nobody
NEAREST = Extreme(_nearing_step, lambda look: -look.rate, lambda look: np.abs(look.bend) / look.distance)


def _extremes(search: Search, brackets: Brackets, kind: Extreme) -> tuple[Brackets, Array, Array]:
    """Return the brackets that hold an extreme, its time and the sine of elevation there.

    Newton's steps find nearly all; a slope that falls through zero is halved where they lead astray. The flattest are
    then found once more, on the satellite's smoothed way.
    """
    fleet, index, apart_s = search.fleet, search.satellites[brackets.row], search.apart_s[brackets.row]

    def near(rows: Index, at: Array) -> tuple[Sight, Flags]:
        return _state(fleet, index[rows], at, apart_s[rows])

    look, failed = near(np.arange(len(index)), brackets.guess_s)
    look, at_s, none = extreme(near, brackets.guess_s, look, kind.step, np.maximum(CLOSE_S, apart_s / 60))
    at_s = at_s + kind.step(look)[0]
    far_s = np.maximum(STRAY_S, STRAY_WIDTHS * (brackets.high_s - brackets.low_s))
    stray = np.flatnonzero(_outside(brackets, at_s, far_s) | none | failed)
    if len(stray):

        def slope(at: Array) -> Array:
            return kind.slope(near(stray, at)[0])

        at_s[stray] = _halved(slope, brackets.take(stray))
    found = np.flatnonzero(np.isfinite(at_s))
    brackets, at_s, bend, apart_s = brackets.take(found), at_s[found], kind.bend(look)[found], apart_s[found]
    position, velocity, failed = fleet.seen(index[found], at_s)
    look = sight(fleet.observer, position, velocity)
    sine = np.where(failed, np.nan, look.height / look.distance)
    flat = np.flatnonzero((bend * apart_s < FLAT_RAD_S) & (sine >= np.sin(fleet.observer.mask_rad)))
    if len(flat):
        at_s[flat] = _smoothed(search, brackets.row[flat], at_s[flat], bend[flat], kind)
    return brackets, at_s, sine


def _smoothed(search: Search, row: Index, at_s: Array, bend: Array, kind: Extreme) -> Array:
    """Return the times of extremes of the satellites' smoothed ways; what has none there stays where it is."""
    index, radian_s = search.satellites[row], search.radian_s[row]
    with np.errstate(divide="ignore"):
        half_s = np.clip(SMOOTH_RAD_S / bend, SMOOTH_LEAST_RAD * radian_s, SMOOTH_MOST_RAD * radian_s)
    step_s = (at_s - epochs(search.fleet, index)) % RESONANCE_S
    half_s = np.minimum(half_s, np.maximum(np.minimum(step_s, RESONANCE_S - step_s), half_s / 3))
    ways = smooth_fleet(search.fleet, index, at_s, half_s)
    apart_s = np.full(len(row), SMOOTH_APART_S)

    def near(rows: Index, at: Array) -> tuple[Sight, Flags]:
        return _state(ways, rows, at, apart_s[rows])

    look, failed = near(np.arange(len(row)), at_s)
    look, found_s, none = extreme(near, at_s, look, kind.step)
    found_s = found_s + kind.step(look)[0]
    return np.where(failed | none | ~(np.abs(found_s - at_s) < half_s / 2), at_s, found_s)


class Ways(Protocol):
    """A fleet, smoothed or not."""

    @property
    def observer(self) -> Observer: ...

    def seen(self, index: Index, at_s: Array) -> tuple[Array, Array, Flags]: ...


def _state(fleet: Ways, index: Index, at_s: Array, apart_s: Array) -> tuple[Sight, Flags]:
    """Return states whose position and velocity come from four positions around them, and where SGP4 failed."""
    times = (at_s + np.array([-2.0, -1.0, 1.0, 2.0])[:, None] * apart_s).T.ravel()
    position, velocity, failed = fleet.seen(np.repeat(index, 4), times)
    before2, before, after, after2 = position.reshape(3, -1, 4).transpose(2, 0, 1)
    _, v_before, v_after, _ = velocity.reshape(3, -1, 4).transpose(2, 0, 1)
    look = sight(
        fleet.observer,
        (4 * (before + after) - (before2 + after2)) / 6,
        (8 * (after - before) - (after2 - before2)) / (12 * apart_s),
        (v_after - v_before) / (2 * apart_s),
    )
    return look, failed.reshape(-1, 4).max(axis=1, initial=False)


def _edges(search: Search, brackets: Brackets, sign: float) -> tuple[Index, Array]:
    """Return span and time of each crossing of the mask; `sign` is 1 for a rise and −1 for a set."""
    fleet, index = search.fleet, search.satellites[brackets.row]
    sine_mask = float(np.sin(fleet.observer.mask_rad))

    def look_at(which: Index, at_s: Array) -> Sight:
        position, velocity, _ = fleet.seen(which, at_s)
        return sight(fleet.observer, position, velocity)

    look = look_at(index, brackets.guess_s)
    at_s, _, none = edge(fleet, index, brackets.guess_s.copy(), look, sign=sign, far_s=EDGE_CLOSE_S)
    stray = np.flatnonzero(none | _outside(brackets, at_s, STRAY_S))
    if len(stray):

        def depth(at: Array) -> Array:
            return -sign * look_at(index[stray], at).over_mask(sine_mask)[0]

        at_s[stray] = _halved(depth, brackets.take(stray))
    found = np.isfinite(at_s)
    return brackets.row[found], at_s[found]


def _outside(brackets: Brackets, at_s: Array, by_s: Array | float) -> Flags:
    inside: Flags = (at_s >= brackets.low_s - by_s) & (at_s <= brackets.high_s + by_s)
    return ~inside


def _halved(curve: Callable[[Array], Array], brackets: Brackets) -> Array:
    """Return where the curve falls through zero, and NaN where it does not."""
    low_s, high_s = brackets.low_s, brackets.high_s
    falls = (curve(low_s) > 0) & (curve(high_s) <= 0)
    for _ in range(HALVINGS):
        middle_s = (low_s + high_s) / 2
        positive = curve(middle_s) > 0
        low_s, high_s = np.where(positive, middle_s, low_s), np.where(positive, high_s, middle_s)
    return np.where(falls, (low_s + high_s) / 2, np.nan)
