"""Hold find_passes to the oracle: what differs, in words, by the exactness that the project promises."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from math import inf

import numpy as np

from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import FEW_DAYS, Pass, find_passes
from groundstation.orbit.site import Site
from tests.orbit.oracle import Arc, Sky, find_arcs, sky_over

PROMISED = {"edge_s": 0.001, "culmination_s": 0.005, "tca_s": 0.005, "elevation_deg": 1e-5, "range_km": 1e-5}


def disagreements(elements: Elements, site: Site, start: datetime, days: float) -> list[str]:
    """Return what is wrong with the predicted passes of one satellite; empty when all agree with the oracle.

    A single satellite is searched in plain numbers and many in arrays, so both are asked.
    """
    sky = sky_over(elements, site, start)
    truth = find_arcs(sky, site.mask_deg, days * 86400)
    end = start + timedelta(days=days)
    others = [replace(elements, norad_id=elements.norad_id + more) for more in range(1, int(FEW_DAYS / days) + 2)]
    many = [one for one in find_passes([elements, *others], site, start, end) if one.norad_id == elements.norad_id]
    wrong = []
    for found in (find_passes([elements], site, start, end), many):
        if len(truth) != len(found):
            wrong.append(f"{len(found)} passes, expected {len(truth)}: {moments(found, truth, start)}")
        else:
            wrong += [line for arc, one in zip(truth, found, strict=True) for line in differences(sky, arc, one)]
    return wrong


def moments(found: Sequence[Pass], truth: Sequence[Arc], start: datetime) -> str:
    return f"{[seconds(one.culmination, start) for one in found]} / {[arc.culmination_s for arc in truth]}"


def seconds(time: datetime | None, start: datetime) -> float | None:
    return None if time is None else (time - start) / timedelta(seconds=1)


def differences(sky: Sky, arc: Arc, one: Pass) -> list[str]:
    wrong = [f"{name} is {error} off" for name, error in errors(sky, arc, one).items() if not error <= PROMISED[name]]
    flags = (one.in_progress_at_start, one.in_progress_at_end)
    if flags != (arc.in_progress_at_start, arc.in_progress_at_end):
        wrong.append(f"in progress at start and end: {flags}, expected {arc}")
    return [f"{one.norad_id} {one.culmination}: {line}" for line in wrong]


def errors(sky: Sky, arc: Arc, one: Pass) -> dict[str, float]:
    """Return how far the pass is from the oracle's, by what PROMISED names; infinite where one knows an edge alone."""
    found = [seconds(moment, sky.start) for moment in (one.aos, one.los, one.culmination, one.tca)]
    expected = (arc.aos_s, arc.los_s, arc.culmination_s, arc.tca_s)
    aos, los, culmination, tca = (apart(at_s, right_s) for at_s, right_s in zip(found, expected, strict=True))
    top = np.degrees(sky.elevation(np.array([arc.culmination_s]))[0])
    least = sky.range(np.array([arc.tca_s]))[0]
    return {
        "edge_s": max(aos, los),
        "culmination_s": culmination,
        "tca_s": tca,
        "elevation_deg": float(abs(one.max_elevation_deg - top)),
        "range_km": float(abs(one.tca_range_km - least)),
    }


def apart(at_s: float | None, right_s: float | None) -> float:
    if at_s is None or right_s is None:
        return 0.0 if at_s is right_s else inf
    return abs(at_s - right_s)
