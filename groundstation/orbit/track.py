"""A satellite's way across a site's sky: where to point, and how far to tune."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from groundstation.orbit.doppler import doppler_shift_hz
from groundstation.orbit.earth_rotation import Array, Ut1Source
from groundstation.orbit.elements import Elements
from groundstation.orbit.look_angles import LookAngles, look_angles
from groundstation.orbit.site import Site


@dataclass(frozen=True, slots=True)
class Track:
    """Arrays of one length: NaN where SGP4 has no answer."""

    times: tuple[datetime, ...]
    look: LookAngles
    doppler_hz: Mapping[float, Array]  # received minus transmitted, by the transmitted frequency in Hz


def track(
    elements: Elements,
    site: Site,
    times: Iterable[datetime],
    frequencies_hz: Iterable[float],
    *,
    ut1: Ut1Source = "iers",
) -> Track:
    """Return where the satellite stands at each of the `times`, and the shift of each of the frequencies."""
    at = tuple(times)
    look = look_angles(elements, site, at, ut1=ut1)
    return Track(at, look, {each: doppler_shift_hz(each, look.range_rate_km_s) for each in frequencies_hz})


def times_between(start: datetime, end: datetime, step: timedelta) -> list[datetime]:
    """Return `start`, each `step` after it, and `end` itself."""
    steps = -((start - end) // step)  # rounded up: the last step may be a short one
    return [start + number * step for number in range(steps)] + [end]
