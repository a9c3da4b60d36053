"""From a raw value to an engineering value: linear, polynomial, enumeration."""

import math
from collections.abc import Callable
from typing import Any

from groundstation.telemetry.definition import Parameter

Calibrator = Callable[[Any], Any]
"""Takes a raw value of the parameter's type; returns the engineering value, or None where it has none."""


def calibrator(parameter: Parameter) -> Calibrator | None:
    """Return the function from raw to engineering value, or None where they are the same."""
    if parameter.linear is not None:
        return for_raw(parameter, linear(parameter.linear.slope, parameter.linear.offset))
    if parameter.polynomial is not None:
        return for_raw(parameter, polynomial(parameter.polynomial))
    if parameter.enumeration is not None:
        return parameter.enumeration.get
    if parameter.raw == "float":
        return float  # producers shorten 3.0 to the integer 3: the archive's column stays a number with a fraction
    if parameter.raw == "binary":
        return bytes.hex
    return None


def for_raw(parameter: Parameter, calibrate: Calibrator) -> Calibrator:
    """Return `calibrate`, giving NaN for a negative raw value where the parameter is unsigned."""
    if parameter.raw != "uint":
        return calibrate
    return lambda raw: calibrate(raw) if raw >= 0 else math.nan


def linear(slope: float, offset: float) -> Calibrator:
    """Return raw → slope × raw + offset."""

    def calibrate(raw: float) -> float:
        return slope * raw + offset

    return calibrate


def polynomial(coefficients: tuple[float, ...]) -> Calibrator:
    """Return raw → c0 + c1 raw + c2 raw² + …, by Horner's rule.

    Too large a result is an infinity, never an exception: only products and sums of floats are formed.
    """
    first, *others = reversed(coefficients)

    def calibrate(raw: float) -> float:
        value = first
        for coefficient in others:
            value = value * raw + coefficient
        return value

    return calibrate
