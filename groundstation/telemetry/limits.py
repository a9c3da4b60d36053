"""Whether an engineering value is out of limits, and how severely."""

from groundstation.telemetry.definition import Limits
from groundstation.telemetry.packet import Level


def level_of(value: float, limits: Limits | None) -> Level:
    """Return the severest level whose bounds `value` is beyond; a value on a bound is within it."""
    found = Level.IN_LIMITS
    for level, bounds in limits.by_level() if limits is not None else ():
        below = bounds.low is not None and value < bounds.low
        above = bounds.high is not None and value > bounds.high
        if below or above:
            found = level
    return found


def innermost(limits: Limits | None) -> tuple[float | None, float | None]:
    """Return the low and the high between which a value is in limits at every level."""
    every = [bounds for _, bounds in limits.by_level()] if limits is not None else []
    lows = [bounds.low for bounds in every if bounds.low is not None]
    highs = [bounds.high for bounds in every if bounds.high is not None]
    return max(lows, default=None), min(highs, default=None)
