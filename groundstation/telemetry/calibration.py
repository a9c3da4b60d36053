"""From a raw value to an engineering value: linear, polynomial, enumeration."""

import math
from collections.abc import Callable
from typing import Any

from groundstation.telemetry.definition import Parameter

Calibrator = Callable[[Any], Any]
"""Takes a raw value of the parameter's type; returns the engineering value, or None where it has none."""


def calibrator(parameter: Parameter) -> Calibrator | None:
    """Return the function from raw to engineering value, or None where they are the same.

    Where the parameter is unsigned, a negative raw value calibrates to NaN. Too large a result is an infinity, never
    an exception: only products and sums of floats are formed, and msgpack's integers have 64 bits.
    """
    least = 0 if parameter.raw == "uint" else -math.inf
    if parameter.linear is not None:
        return linear(parameter.linear.slope, parameter.linear.offset, least)
    if parameter.polynomial is not None:
        return polynomial(parameter.polynomial, least)
    if parameter.enumeration is not None:
        return parameter.enumeration.get
    if parameter.raw == "float":
        return float  # producers shorten 3.0 to the integer 3: the archive's column stays a number with a fraction
    if parameter.raw == "binary":
        return bytes.hex
    return None


def linear(slope: float, offset: float, least: float = -math.inf) -> Calibrator:
    """Return raw → slope × raw + offset, NaN for a raw value below `least`."""

    def calibrate(raw: float) -> float:
        return slope * raw + offset if raw >= least else math.nan

    return calibrate


def polynomial(coefficients: tuple[float, ...], least: float = -math.inf) -> Calibrator:
    """Return raw → c0 + c1 raw + c2 raw² + … by Horner's rule, NaN for a raw value below `least`."""
    if len(coefficients) <= 4:  # nearly all: written out, a cubic takes a third of the loop's time
        c0, c1, c2, c3 = (*coefficients, 0.0, 0.0, 0.0)[:4]

        def cubic(raw: float) -> float:
            return ((c3 * raw + c2) * raw + c1) * raw + c0 if raw >= least else math.nan

        return cubic

    def calibrate(raw: float) -> float:
        value = 0.0 if raw >= least else math.nan
        for coefficient in reversed(coefficients):
            value = value * raw + coefficient
        return value

    return calibrate
