"""An element set as the figures that a recording's header carries, under OMM's keywords (CCSDS 502.0), and back."""

import json
from collections.abc import Mapping

from groundstation.orbit.elements import Elements
from groundstation.orbit.omm import parse_json


def omm_figures(elements: Elements) -> dict[str, str | int | float]:
    """Return every figure of the set; `elements_from` makes the same set of them."""
    return {
        "OBJECT_NAME": elements.name,
        "OBJECT_ID": elements.cospar_id,
        "EPOCH": elements.epoch.replace(tzinfo=None).isoformat(timespec="microseconds"),
        "MEAN_MOTION": elements.mean_motion_rev_day,
        "ECCENTRICITY": elements.eccentricity,
        "INCLINATION": elements.inclination_deg,
        "RA_OF_ASC_NODE": elements.raan_deg,
        "ARG_OF_PERICENTER": elements.argument_of_perigee_deg,
        "MEAN_ANOMALY": elements.mean_anomaly_deg,
        "EPHEMERIS_TYPE": 0,
        "CLASSIFICATION_TYPE": elements.classification,
        "NORAD_CAT_ID": elements.norad_id,
        "ELEMENT_SET_NO": elements.element_set_no,
        "REV_AT_EPOCH": elements.revolutions,
        "BSTAR": elements.bstar_per_earth_radius,
        "MEAN_MOTION_DOT": elements.mean_motion_dot_rev_day2,
        "MEAN_MOTION_DDOT": elements.mean_motion_ddot_rev_day3,
    }


def elements_from(figures: Mapping[str, str | int | float | None], where: str) -> Elements:
    """Return the set; raises ElementsError, which names `where`, for figures that are none."""
    (elements,) = parse_json(json.dumps(dict(figures)), where)
    return elements
