"""Measure pass prediction against the libraries people use: python -m tests.bench.passes [ELEMENTS FILE ...].

Without files a synthetic constellation is searched, so no network and no data are needed. CPU time of this process,
best of a few rounds; every row is measured in the same run, because the ratios are what counts on a noisy machine.
Skyfield is completed with altaz() at each event. sgp4-predict (Rust; measured where installed: pip install
sgp4-predict) is completed to our columns with its own calls: peak, azimuths, and closest approach from range rate.
"""

import argparse
import gc
import importlib
import resource
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from skyfield.api import EarthSatellite, wgs84

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import find_passes, find_passes_in_chunks
from groundstation.orbit.satrec import to_satrec
from groundstation.orbit.site import Site

SITE = Site("hko", "Hong Kong Observatory", 22.30194, 114.17417, 32.0, mask_deg=5.0)
LOW_REV_DAY, LOW_ECCENTRICITY = 11.25, 0.05
ROUND_S = 0.02


def synthetic(count: int, epoch: datetime) -> list[Elements]:
    """Return a constellation spread over heights, inclinations and planes, one in twenty of them high or eccentric."""
    low_inclinations = (53.0, 70.0, 97.5, 43.0, 87.9, 28.5)
    made = []
    for n in range(count):
        motion, e = 13.0 + 3.0 * (n * 0.618 % 1), 0.0005 + 0.002 * (n * 0.414 % 1)
        if n % 20 == 19:
            motion, e = [(2.0056, 0.005), (1.0027, 0.0002), (2.0061, 0.7), (4.8, 0.3)][n // 20 % 4]
        made.append(
            Elements(
                norad_id=n + 1,
                name=f"SYNTHETIC {n + 1}",
                cospar_id="",
                epoch=epoch - timedelta(hours=n * 7 % 60),
                mean_motion_rev_day=motion,
                eccentricity=e,
                inclination_deg=low_inclinations[n % 6] if e < 0.1 else 63.4,
                raan_deg=n * 137.508 % 360,
                argument_of_perigee_deg=n * 61.8 % 360,
                mean_anomaly_deg=n * 222.5 % 360,
                bstar_per_earth_radius=1e-4,
            )
        )
    return made


def cpu_s(work: Callable[[], object], rounds: int) -> float:
    """Return the CPU time of one piece of work: the least of some rounds, each of at least 20 ms."""
    begin = time.process_time()
    work()
    times = max(int(ROUND_S / max(time.process_time() - begin, 1e-5)), 1)
    best = float("inf")
    for _ in range(rounds):
        gc.collect()
        begin = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - begin) / times)
    return best


def by_skyfield(elements: Sequence[Elements], start: datetime, end: datetime) -> list[tuple[Any, ...]]:
    scale = earth_rotation("iers").scale
    place = wgs84.latlon(SITE.latitude_deg, SITE.longitude_deg, SITE.altitude_m)
    first, last = scale.from_datetime(start), scale.from_datetime(end)
    found: list[tuple[Any, ...]] = []
    for one in elements:
        satellite = EarthSatellite.from_satrec(to_satrec(one), scale)
        times, kinds = satellite.find_events(place, first, last, SITE.mask_deg)
        elevation, azimuth, distance = (satellite - place).at(times).altaz()
        found += zip(times.utc_datetime(), kinds, elevation.degrees, azimuth.degrees, distance.km, strict=True)
    return found


def by_sgp4_predict(elements: Sequence[Elements], start: datetime, end: datetime) -> list[tuple[Any, ...]]:
    theirs: Any = importlib.import_module("sgp4_predict")
    place = theirs.GeodeticPoint(SITE.latitude_deg, SITE.longitude_deg, SITE.altitude_m)
    window = theirs.Interval(start, end)
    found: list[tuple[Any, ...]] = []
    for one in elements:
        predictor = theirs.Predictor(
            theirs.Elements(
                norad_id=min(one.norad_id, 99_999),
                epoch=one.epoch,
                mean_motion=one.mean_motion_rev_day,
                eccentricity=one.eccentricity,
                inclination=one.inclination_deg,
                right_ascension=one.raan_deg,
                argument_of_perigee=one.argument_of_perigee_deg,
                mean_anomaly=one.mean_anomaly_deg,
                mean_motion_dot=one.mean_motion_dot_rev_day2,
                drag_term=one.bstar_per_earth_radius,
            )
        )
        for transit in predictor.transits_iter(place, window, SITE.mask_deg, skip_leading_partial=False):
            top, peak = predictor.max_elevation(place, transit)
            tca, closest = closest_approach(predictor, place, top)
            aos, los = predictor.observe_at(transit.start, place), predictor.observe_at(transit.end, place)
            found.append((transit.start, aos, top, peak, tca, closest, transit.end, los))
    return found


def closest_approach(predictor: Any, place: Any, near: datetime) -> tuple[datetime, Any]:
    """Return when range rate crosses zero, by two secant steps from culmination."""
    step = timedelta(seconds=1)
    before = predictor.observe_at(near, place)
    for _ in range(2):
        after = predictor.observe_at(near + step, place)
        gain = after.range_rate - before.range_rate
        if not gain:
            break
        near -= step * (before.range_rate / gain)
        before = predictor.observe_at(near, place)
        if abs(before.range_rate) < 1:
            break
    return near, before


def row(what: str, seconds: float, satellite_days: float, ours: float | None = None) -> None:
    ratio = "" if ours is None else f"{seconds / ours:8.1f} x ours"
    print(f"{what:52}{seconds * 1e3:10.2f} ms{seconds / satellite_days * 1e6:10.1f} µs/satellite-day {ratio}")


def compare(elements: Sequence[Elements], start: datetime, days: float, rounds: int) -> None:
    """Print one search by all libraries."""
    end, work = start + timedelta(days=days), len(elements) * days
    print(f"\n{len(elements)} satellites x {days:g} d: {len(find_passes(elements, SITE, start, end))} passes")
    ours = cpu_s(lambda: find_passes(elements, SITE, start, end), rounds)
    row("groundstation.orbit.passes", ours, work)
    try:
        theirs = cpu_s(lambda: by_sgp4_predict(elements, start, end), max(rounds // 4, 2))
        row("sgp4-predict, completed to the same columns", theirs, work, ours)
    except ImportError:
        print("sgp4-predict is not installed (pip install sgp4-predict): not compared")
    except RuntimeError as error:
        print(f"sgp4-predict cannot: {error}")
    row(
        "skyfield find_events with altaz",
        cpu_s(lambda: by_skyfield(elements, start, end), max(rounds // 8, 1)),
        work,
        ours,
    )


def scale_up(elements: Sequence[Elements], start: datetime) -> None:
    """Print one day of very many satellites: time, memory, and how long an event loop would be held."""
    end = start + timedelta(days=1)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    begin = time.process_time()
    found = find_passes(elements, SITE, start, end)
    took_s = time.process_time() - begin
    more_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    print(f"\n{len(elements)} satellites x 1 d: {len(found)} passes, {more_mb:.0f} MB more memory")
    row("groundstation.orbit.passes", took_s, len(elements))
    del found
    gc.collect()
    held_s, begin = [], time.process_time()
    for _ in find_passes_in_chunks(elements, SITE, start, end):
        now = time.process_time()
        held_s.append(now - begin)
        begin = time.process_time()
    ordered = np.sort(held_s) * 1e3
    print(f"in {len(ordered)} chunks: median {np.median(ordered):.1f} ms, longest {ordered[-1]:.1f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="element sets, TLE or OMM")
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    start = datetime(2026, 8, 22, 12, tzinfo=UTC)
    every = [one for path in options.files for one in parse_elements(path.read_text(encoding="utf-8"), str(path))]
    every = every or synthetic(10_000, start)
    if options.files:
        start = sorted(one.epoch for one in every)[len(every) // 2].replace(microsecond=0)
    low = [one for one in every if one.mean_motion_rev_day > LOW_REV_DAY and one.eccentricity < LOW_ECCENTRICITY]
    high = [one for one in every if one.mean_motion_rev_day <= LOW_REV_DAY or one.eccentricity >= LOW_ECCENTRICITY]
    print(f"{len(every)} element sets; {SITE.name}, mask {SITE.mask_deg:g}°, UT1: {earth_rotation('iers').label}")
    compare(low[:: max(len(low) // 60, 1)][:60], start, 7.0, options.rounds)
    compare(low[:1], start, 1.0, options.rounds)
    if high:
        compare(high[:: max(len(high) // 100, 1)][:100], start, 3.0, max(options.rounds // 2, 1))
    scale_up(every[:10_000], start)
    if len(every) > 10_000:
        scale_up(every, start)


if __name__ == "__main__":
    main()
