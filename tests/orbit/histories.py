"""Histories of element sets: a few real ones, and synthetic ones whose truth is known.

Real figures: CelesTrak and Space-Track (18th Space Defense Squadron), by their epochs.
"""

from dataclasses import replace
from datetime import timedelta
from math import degrees

from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements
from groundstation.orbit.satrec import to_satrec
from tests.orbit.sets import KUANFU

QUIET = parse_elements(KUANFU, "kuanfu.tle")[0]  # 57696, 530 km, epoch 2026-08-22 15:07


def later(elements: Elements, days: float, **changes: float) -> Elements:
    """Return the set that a perfect observer would publish `days` later: SGP4's own mean elements, carried there.

    `changes` are added to the fields that they name: km of a burn, degrees of a fault.
    """
    satrec = to_satrec(elements)
    satrec.sgp4(satrec.jdsatepoch, satrec.jdsatepochF)
    began = satrec.nm  # Brouwer's mean motion, where the published one is Kozai's
    error, *_ = satrec.sgp4(satrec.jdsatepoch, satrec.jdsatepochF + days)
    assert not error
    carried = {
        "raan_deg": degrees(satrec.Om),
        "argument_of_perigee_deg": degrees(satrec.om),
        "mean_anomaly_deg": degrees(satrec.mm),
        "mean_motion_rev_day": elements.mean_motion_rev_day * satrec.nm / began,
        "eccentricity": elements.eccentricity,
        "inclination_deg": elements.inclination_deg,
    }
    for field, change in changes.items():
        carried[field] += change
    for angle in ("raan_deg", "argument_of_perigee_deg", "mean_anomaly_deg"):
        carried[angle] %= 360
    return replace(elements, epoch=elements.epoch + timedelta(days=days), **carried)
