import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.telemetry.definition import OUT_OF_LIMITS, Bounds, Limits
from groundstation.telemetry.limits import innermost, level_of
from groundstation.telemetry.packet import Level

ALL_FIVE = Limits(
    watch=Bounds(low=-1.0, high=1.0),
    warning=Bounds(low=-2.0, high=2.0),
    distress=Bounds(low=-3.0, high=3.0),
    critical=Bounds(low=-4.0, high=4.0),
    severe=Bounds(low=-5.0, high=5.0),
)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("bound", "level"), list(enumerate(Level)))
def test_a_value_on_a_bound_is_within_it_and_the_next_float_is_out(sign: int, bound: int, level: Level) -> None:
    assert level_of(sign * (bound + 0.5), ALL_FIVE) == level
    if bound:
        assert level_of(sign * float(bound), ALL_FIVE) == level - 1
        assert level_of(sign * math.nextafter(bound, math.inf), ALL_FIVE) == level


def test_a_level_without_bounds_is_never_found() -> None:
    limits = Limits(warning=Bounds(low=7.0), severe=Bounds(high=9.0))
    assert [level_of(value, limits) for value in (6.0, 7.0, 9.0, 9.5)] == [
        Level.WARNING,
        Level.IN_LIMITS,
        Level.IN_LIMITS,
        Level.SEVERE,
    ]
    assert level_of(math.inf, None) is Level.IN_LIMITS


@st.composite
def nested_limits(draw: st.DrawFn) -> Limits:
    """Return limits as a definition may have them: each severer level outside the milder ones."""
    levels = draw(st.lists(st.sampled_from(OUT_OF_LIMITS), min_size=1, unique=True).map(sorted))
    edges = draw(
        st.lists(st.floats(-1e6, 1e6), min_size=2 * len(levels), max_size=2 * len(levels), unique=True).map(sorted)
    )
    shown = draw(st.lists(st.sampled_from([(1, 1), (1, 0), (0, 1)]), min_size=len(levels), max_size=len(levels)))
    bounds = {}
    for index, (level, (low, high)) in enumerate(zip(levels, shown, strict=True)):
        inner = len(levels) - 1 - index
        bounds[level.name.lower()] = Bounds(low=edges[inner] if low else None, high=edges[-1 - inner] if high else None)
    return Limits(**bounds)


@given(nested_limits(), st.floats(-2e6, 2e6))
def test_a_value_is_in_limits_exactly_between_the_innermost_bounds(limits: Limits, value: float) -> None:
    low, high = innermost(limits)
    between = (low is None or value >= low) and (high is None or value <= high)
    assert (level_of(value, limits) is Level.IN_LIMITS) == between


@given(nested_limits(), st.lists(st.floats(-2e6, 2e6), min_size=2).map(sorted))
def test_further_out_is_never_milder(limits: Limits, values: list[float]) -> None:
    low, high = innermost(limits)
    above = [level_of(value, limits) for value in values if low is None or value >= low]
    below = [level_of(value, limits) for value in values if high is None or value <= high]
    assert all(milder <= severer for milder, severer in itertools.pairwise(above))
    assert all(severer >= milder for severer, milder in itertools.pairwise(below))
