"""Hold find_passes to the oracle: what differs, in words, by the exactness that the project promises."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np

from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import FEW_DAYS, Pass, find_passes
from groundstation.orbit.site import Site
from tests.orbit.oracle import Arc, Sky, find_arcs, sky_over

EDGE_S, CULMINATION_S, ELEVATION_DEG, RANGE_KM = 0.001, 0.005, 1e-5, 1e-5


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
    wrong = []
    for name, expected in (("aos", arc.aos_s), ("los", arc.los_s)):
        at_s = seconds(getattr(one, name), sky.start)
        if (at_s is None) != (expected is None) or (at_s and expected and abs(at_s - expected) > EDGE_S):
            wrong.append(f"{name} is {at_s}, expected {expected}")
    culmination_s, tca_s = seconds(one.culmination, sky.start), seconds(one.tca, sky.start)
    assert culmination_s is not None
    assert tca_s is not None
    top = np.degrees(sky.elevation(np.array([arc.culmination_s]))[0])
    if abs(culmination_s - arc.culmination_s) > CULMINATION_S:
        wrong.append(f"culmination is {culmination_s}, expected {arc.culmination_s}")
    if abs(one.max_elevation_deg - top) > ELEVATION_DEG:
        wrong.append(f"max_elevation_deg is {one.max_elevation_deg}, expected {top}")
    least = sky.range(np.array([arc.tca_s]))[0]
    if abs(tca_s - arc.tca_s) > CULMINATION_S:
        wrong.append(f"tca is {tca_s}, expected {arc.tca_s}")
    if abs(one.tca_range_km - least) > RANGE_KM:
        wrong.append(f"tca_range_km is {one.tca_range_km}, expected {least}")
    flags = (one.in_progress_at_start, one.in_progress_at_end)
    if flags != (arc.in_progress_at_start, arc.in_progress_at_end):
        wrong.append(f"in progress at start and end: {flags}, expected {arc}")
    return [f"{one.norad_id} {one.culmination}: {line}" for line in wrong]
