"""How far a satellite's motion moves what it transmits."""

from typing import TypeVar

from groundstation.orbit.earth_rotation import Array

LIGHT_KM_S = 299_792.458

Rate = TypeVar("Rate", float, Array)


def doppler_shift_hz(frequency_hz: float, range_rate_km_s: Rate) -> Rate:
    """Return received minus transmitted frequency; positive while approaching.

    First order in v/c: the term left out is under 0.3 Hz at 437 MHz and 7.5 km/s.
    """
    return range_rate_km_s * (-frequency_hz / LIGHT_KM_S)
