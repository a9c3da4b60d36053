"""Hold the fast search to Skyfield over a whole catalogue: python -m tests.orbit.whole_catalogue FILE [--part 1/8].

Every object of FILE (TLE or OMM) for one day over nine stations, against a second search that shares nothing with the
first but sgp4: Skyfield's places and axes every ten seconds, every 0.05 s where a satellite grazes the mask. Skyfield
is then asked around each edge, culmination and closest approach how far off it is. With --brute a sample is held to
the oracle instead, which looks for every pass anew: 60 low objects for 7 days and 100 others for 3 over one station.

The last line is JSON. The parts of a catalogue may be searched one by one and summed up:
python -m tests.orbit.whole_catalogue --sum LOG ...
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from skyfield.api import Timescale, wgs84
from skyfield.sgp4lib import TEME

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements, newest
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.site import Site
from tests.orbit.agreement import PROMISED, errors, seconds
from tests.orbit.oracle import FLAT_RAD_S, Array, Curve, Sky, find_arcs, sky_over

SITES = [
    Site("hko", "Hong Kong Observatory", 22.30194, 114.17417, 32.0, mask_deg=5.0),
    Site("svalbard", "Svalbard", 78.23, 15.40, 450.0, mask_deg=3.0),
    Site("north", "North Pole", 90.0, 0.0, 0.0, mask_deg=5.0),
    Site("south", "South Pole", -90.0, 0.0, 2835.0, mask_deg=10.0),
    Site("null", "Null Island", 0.0, 0.0, 0.0, mask_deg=0.0),
    Site("punta-arenas", "Punta Arenas", -53.15, -70.92, 35.0, mask_deg=7.0),
    Site("fairbanks", "Fairbanks", 64.86, -147.85, 180.0, mask_deg=5.0),
    Site("mauna-kea", "Mauna Kea", 19.82, -155.47, 4205.0, mask_deg=20.0),
    Site("suva", "Suva", -18.14, 178.44, 6.0, mask_deg=1.0),
]
STEP_S, FINE_S = 10.0, 0.05
NEAR_MASK_RAD = np.radians(0.2)  # an extreme so near the mask is sampled finely
LOW_REV_DAY, LOW_ECCENTRICITY = 11.25, 0.05
EDGE_APART_S = 0.05
TOUCHING_S = 0.001
CHUNK = 500


@dataclass
class Tally:
    """What one search found of the other's."""

    objects: int = 0
    passes: int = 0
    missed: int = 0
    spurious: int = 0
    flags: int = 0  # that are wrong: under way at the start, at the end
    worst: dict[str, float] = field(default_factory=dict)
    of: dict[str, str] = field(default_factory=dict)  # which pass was the worst

    def add(self, other: "Tally") -> None:
        for name in ("objects", "passes", "missed", "spurious", "flags"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name, error in other.worst.items():
            self.see(name, error, other.of[name])
        self.of = other.of | self.of

    def see(self, name: str, error: float, what: str) -> None:
        if not error <= self.worst.get(name, -1.0):
            self.worst[name], self.of[name] = error, what

    @property
    def good(self) -> bool:
        within = all(error <= PROMISED[name] for name, error in self.worst.items())
        return within and not self.missed + self.spurious + self.flags


@dataclass(frozen=True, slots=True)
class Grid:
    """Times, and each station's place and zenith in the frame that TEME becomes, as Skyfield has them."""

    at_s: Array
    whole: Array
    fraction: Array
    turned: Array  # from TEME
    places: list[Array]
    zeniths: list[Array]


def grid(start: datetime, window_s: float, scale: Timescale) -> Grid:
    at_s = np.linspace(0.0, window_s, int(window_s / STEP_S) + 1)
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    days, of_day = np.divmod(at_s + (start - midnight).total_seconds(), 86400)
    times = scale.utc(start.year, start.month, start.day + days, 0, 0, of_day)
    times.gast, times.M, times.MT = times.tt * 0.0, np.identity(3), np.identity(3)  # as the oracle does
    stations = [wgs84.latlon(site.latitude_deg, site.longitude_deg, elevation_m=site.altitude_m) for site in SITES]
    return Grid(
        at_s,
        times.whole,
        times.tai_fraction - times._leap_seconds() / 86400,
        np.swapaxes(TEME.rotation_at(times), 0, 1),
        [station.at(times).xyz.km for station in stations],
        [station.rotation_at(times)[2] for station in stations],
    )


def search(elements: Sequence[Elements], start: datetime, days: float) -> Tally:
    """Return what the dense search says of the fast one's passes."""
    window_s, end = days * 86400, start + timedelta(days=days)
    dense, tally = grid(start, window_s, earth_rotation("iers").scale), Tally(objects=len(elements))
    found = [by_number(find_passes(elements, site, start, end)) for site in SITES]
    for one in elements:
        satrec = to_satrec(one)
        failed, r, _ = satrec.sgp4_array(dense.whole, dense.fraction)
        away = np.einsum("ijn,nj->in", dense.turned, r)
        for row, site in enumerate(SITES):
            judged = [found[row].get(one.norad_id, [])]
            if row == 0:  # a satellite alone is searched in another way
                judged.append(find_passes([one], site, start, end))
            sky = sky_over(one, site, start)
            runs = None if failed.any() or not reached(sky, window_s) else dense_runs(sky, site, dense, away, row)
            for passes in judged:
                if runs is None:
                    tally.add(against_the_oracle(sky, site, passes, window_s))
                else:
                    tally.add(against_runs(sky, site, passes, runs))
    return tally


def by_number(passes: Iterable[Pass]) -> dict[int, list[Pass]]:
    found: dict[int, list[Pass]] = {}
    for one in passes:
        found.setdefault(one.norad_id, []).append(one)
    return found


def reached(sky: Sky, window_s: float) -> bool:
    """Return whether SGP4 comes from the epoch to the window without an error."""
    epoch_s = sky.epoch_s
    path = np.linspace(epoch_s, min(max(epoch_s, 0.0), window_s), 100)
    return bool(np.isfinite(sky.elevation(path)).all())


@dataclass(frozen=True, slots=True)
class Runs:
    """Stretches of nodes above the mask within a window, and what was seen at all nodes."""

    at_s: Array
    elevation: Array
    range_km: Array
    firsts: list[int]
    lasts: list[int]


def dense_runs(sky: Sky, site: Site, dense: Grid, away: Array, row: int) -> Runs:
    towards = away - dense.places[row]
    range_km = np.sqrt((towards * towards).sum(axis=0))
    elevation = np.arcsin((towards * dense.zeniths[row]).sum(axis=0) / range_km)
    at_s, mask = dense.at_s, np.radians(site.mask_deg)
    turns = (elevation[1:-1] - elevation[:-2]) * (elevation[2:] - elevation[1:-1]) <= 0
    near = np.flatnonzero(turns & (np.abs(elevation[1:-1] - mask) < NEAR_MASK_RAD)) + 1
    if len(near):
        fine = np.unique(np.concatenate([np.arange(at_s[i - 1], at_s[i + 1], FINE_S) for i in near.tolist()]))
        looked = sky.look(fine)
        at_s, order = np.unique(np.concatenate([at_s, fine]), return_index=True)
        elevation = np.concatenate([elevation, looked[0]])[order]
        range_km = np.concatenate([range_km, looked[2]])[order]
    above = np.concatenate([[False], elevation >= mask, [False]])
    changes = np.flatnonzero(above[1:] != above[:-1])
    return Runs(at_s, elevation, range_km, changes[::2].tolist(), (changes[1::2] - 1).tolist())


def against_runs(sky: Sky, site: Site, passes: Sequence[Pass], runs: Runs) -> Tally:
    """Return which passes and runs have no other, and how far those that do are from Skyfield."""
    tally = Tally(passes=len(passes))
    if not passes and not runs.firsts:
        return tally
    left = sorted(passes, key=lambda one: one.culmination)
    pairs = []
    for first, last in zip(runs.firsts, runs.lasts, strict=True):
        mine = [one for one in left if overlaps(sky, one, runs.at_s[first], runs.at_s[last])]
        if mine:
            left.remove(mine[0])
            pairs.append((mine[0], first, last))
        elif runs.at_s[last] - runs.at_s[first] or 0 < first < len(runs.at_s) - 1:
            tally.missed += 1
            tally.of.setdefault("missed", f"{sky.satellite.model.satnum} {site.slug} {runs.at_s[first]:.1f} s")
    for one in left:
        tally.spurious += 1
        tally.of.setdefault("spurious", f"{one.norad_id} {site.slug} {one.culmination}")
    if pairs:
        tally.add(judged(sky, site, pairs, runs))
    return tally


def overlaps(sky: Sky, one: Pass, first_s: float, last_s: float) -> bool:
    aos_s, los_s = seconds(one.aos, sky.start), seconds(one.los, sky.start)
    return (aos_s is None or aos_s <= last_s + TOUCHING_S) and (los_s is None or los_s >= first_s - TOUCHING_S)


Pair = tuple[Pass, int, int]  # a pass, and the first and last node of its run


def judged(sky: Sky, site: Site, pairs: Sequence[Pair], runs: Runs) -> Tally:
    """Return how far passes are from where Skyfield's elevation and range say that they should be."""
    tally = Tally()
    for one, first, last in pairs:
        tally.flags += wrong_flags(sky, (one, first, last), runs)
        highest, nearest = runs.elevation[first : last + 1].max(), runs.range_km[first : last + 1].min()
        tally.see("elevation_deg", max(float(np.degrees(highest)) - one.max_elevation_deg, 0.0), told(one))
        tally.see("range_km", max(one.tca_range_km - float(nearest), 0.0), told(one))
    for name, events, off in asked_of_skyfield(sky, np.radians(site.mask_deg), *events_of(sky, pairs, runs)):
        for one, error in zip(events.passes, off.tolist(), strict=True):
            tally.see(name, error, told(one))
    return tally


def wrong_flags(sky: Sky, pair: Pair, runs: Runs) -> int:
    """Return how many edges are not where the run begins or ends, and how many flags do not say so."""
    (one, first, last), final = pair, len(runs.at_s) - 1
    wrong = (one.in_progress_at_start != (first == 0)) + (one.in_progress_at_end != (last == final))
    for edge, before in ((one.aos, first - 1), (one.los, last)):
        if 0 <= before < final:
            at_s = seconds(edge, sky.start)
            low_s, high_s = runs.at_s[before] - TOUCHING_S, runs.at_s[before + 1] + TOUCHING_S
            wrong += at_s is None or not low_s < at_s < high_s
    return wrong


def events_of(sky: Sky, pairs: Sequence[Pair], runs: Runs) -> tuple["Events", "Events", "Events"]:
    """Return the edges, and the culminations and closest approaches that do not lie where the pass ends."""
    edges, peaks, nears = Events(), Events(), Events()
    for one, *_ in pairs:
        begin_s, end_s = seconds(one.aos, sky.start), seconds(one.los, sky.start)
        for at_s in (begin_s, end_s):
            if at_s is not None:
                edges.add(one, at_s)
        low_s, high_s = 0.0 if begin_s is None else begin_s, runs.at_s[-1] if end_s is None else end_s
        for moment, events in ((one.culmination, peaks), (one.tca, nears)):
            at_s = seconds(moment, sky.start)
            if at_s is not None and low_s + TOUCHING_S < at_s < high_s - TOUCHING_S:
                events.add(one, at_s)
    return edges, peaks, nears


def told(one: Pass) -> str:
    return f"{one.norad_id} {one.site} {one.culmination}"


@dataclass
class Events:
    """Moments of passes."""

    passes: list[Pass] = field(default_factory=list)
    moments: list[float] = field(default_factory=list)

    def add(self, one: Pass, at_s: float) -> None:
        self.passes.append(one)
        self.moments.append(at_s)

    @property
    def at_s(self) -> Array:
        return np.array(self.moments, float)


def asked_of_skyfield(
    sky: Sky, mask: float, edges: Events, peaks: Events, nears: Events
) -> Iterator[tuple[str, Events, Array]]:
    """Yield what is how far off at each event; Skyfield is asked once, around all of them."""
    h = sky.difference_s
    around = [
        (edges.at_s[:, None] + EDGE_APART_S * np.array([-1, 0, 1])).ravel(),
        *((events.at_s[:, None] + h * np.array([-2, -1, 0, 1, 2])).ravel() for events in (peaks, nears)),
    ]
    elevation, _, range_km = sky.look(np.concatenate(around))
    counts = np.cumsum([len(one) for one in around])
    before, at, after = elevation[: counts[0]].reshape(-1, 3).T
    # A graze has hardly a slope: there the parabola's vertex is taken into account.
    slope, bend = (after - before) / 2, after - 2 * at + before
    steep = np.abs(slope) + np.sqrt(np.maximum(slope**2 - 2 * bend * (at - mask), 0))
    yield "edge_s", edges, EDGE_APART_S * 2 * np.abs(at - mask) / steep
    tops, lows = elevation[counts[0] : counts[1]].reshape(-1, 5), range_km[counts[1] :].reshape(-1, 5)
    yield "culmination_s", peaks, off(sky, sky.elevation, peaks.at_s, tops, np.ones(len(tops)))
    yield "tca_s", nears, off(sky, sky.range, nears.at_s, lows, lows[:, 2])
    highest = np.array([one.max_elevation_deg for one in peaks.passes])
    yield "elevation_deg", peaks, np.abs(np.degrees(tops[:, 2]) - highest)
    yield "range_km", nears, np.abs(lows[:, 2] - np.array([one.tca_range_km for one in nears.passes]))


def off(sky: Sky, curve: Curve, at_s: Array, values: Array, scale: Array) -> Array:
    """Return how far the curve's extreme is from each time, by its five values around; `scale` as in the oracle."""
    h = sky.difference_s
    before2, before, at, after, after2 = values.T
    slope, bend = (8 * (after - before) - (after2 - before2)) / (12 * h), (after - 2 * at + before) / h**2
    error_s = np.abs(slope / bend)
    for flat in np.flatnonzero(np.abs(bend / scale) * h < FLAT_RAD_S).tolist():
        moment = float(at_s[flat])
        error_s[flat] = abs(sky.fitted(curve, moment, float(abs(bend[flat] / scale[flat]))) - moment)
    return np.asarray(error_s)


def against_the_oracle(sky: Sky, site: Site, passes: Sequence[Pass], window_s: float) -> Tally:
    arcs = find_arcs(sky, site.mask_deg, window_s)
    tally, gain = Tally(passes=len(passes)), len(passes) - len(arcs)
    if gain:
        tally.missed, tally.spurious = max(-gain, 0), max(gain, 0)
        tally.of["missed" if gain < 0 else "spurious"] = f"{sky.satellite.model.satnum} {site.slug}"
        return tally
    for arc, one in zip(arcs, sorted(passes, key=lambda one: one.culmination), strict=True):
        for name, error in errors(sky, arc, one).items():
            tally.see(name, error, told(one))
        tally.flags += (one.in_progress_at_start, one.in_progress_at_end) != (
            arc.in_progress_at_start,
            arc.in_progress_at_end,
        )
    return tally


def brute(every: Sequence[Elements], start: datetime) -> Iterator[Tally]:
    """Yield the tally of each satellite of a sample, searched alone and in company."""
    low = [one for one in every if is_low(one)]
    high = [one for one in every if not is_low(one)]
    for group, count, days in ((low, 60, 7.0), (high, 100, 3.0)):
        sample = group[:: max(len(group) // count, 1)][:count]
        end, site = start + timedelta(days=days), SITES[0]
        together = by_number(find_passes(sample, site, start, end))
        for one in sample:
            sky, window_s = sky_over(one, site, start), days * 86400
            tally = against_the_oracle(sky, site, together.get(one.norad_id, []), window_s)
            alone = against_the_oracle(sky, site, find_passes([one], site, start, start + timedelta(days=1)), 86400.0)
            tally.add(alone)
            tally.objects = 1
            yield tally


def is_low(one: Elements) -> bool:
    return one.mean_motion_rev_day > LOW_REV_DAY and one.eccentricity < LOW_ECCENTRICITY


def summed(logs: Iterable[Path]) -> Tally:
    tally = Tally()
    for log in logs:
        tally.add(Tally(**json.loads(log.read_text(encoding="utf-8").splitlines()[-1])))
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE")
    parser.add_argument("--part", default="1/1", help="which part of the catalogue, as 1/8")
    parser.add_argument("--days", type=float, default=1.0)
    parser.add_argument("--brute", action="store_true", help="a sample against the oracle")
    parser.add_argument("--sum", action="store_true", help="the files are logs of parts")
    options = parser.parse_args()
    if options.sum:
        total = summed(options.files)
    else:
        total = Tally()
        sets = [one for path in options.files for one in parse_elements(path.read_text(encoding="utf-8"), str(path))]
        every = list(newest(sets).values())
        start = sorted(one.epoch for one in every)[len(every) // 2].replace(microsecond=0)
        part, parts = (int(number) for number in options.part.split("/"))
        mine = every[part - 1 :: parts]
        chunks = (search(mine[first : first + CHUNK], start, options.days) for first in range(0, len(mine), CHUNK))
        for tally in brute(every, start) if options.brute else chunks:
            total.add(tally)
            print(f"{time.process_time():.0f} s: {total.objects} objects, {total.passes} passes, {total}", flush=True)
    print(json.dumps(asdict(total)))
    return 0 if total.good else 1


if __name__ == "__main__":
    sys.exit(main())
