import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.replay.pacing import cut_us, due_at, parse_speed

times_us = st.integers(0, 2**50)
speeds = st.floats(0.01, 1e4)


@given(times_us, times_us, st.floats(0, 1e6), speeds | st.none())
def test_the_first_is_due_at_once(first_us: int, later_us: int, started_at_s: float, speed: float | None) -> None:
    assert due_at(first_us, first_us, started_at_s, speed) == started_at_s
    if later_us >= first_us:
        assert due_at(later_us, first_us, started_at_s, speed) >= started_at_s


@given(times_us, times_us, times_us, speeds)
def test_order_is_kept(a_us: int, b_us: int, first_us: int, speed: float) -> None:
    a_us, b_us = sorted([a_us, b_us])
    assert due_at(a_us, first_us, 5.0, speed) <= due_at(b_us, first_us, 5.0, speed)


@given(st.integers(0, 10**12), speeds)
def test_a_silence_lasts_its_length_by_the_speed(gap_us: int, speed: float) -> None:
    assert math.isclose(due_at(gap_us, 0, 0.0, speed), gap_us / 1e6 / speed, rel_tol=1e-12)


def test_max_is_due_at_once_always() -> None:
    assert due_at(10**15, 0, 7.0, None) == 7.0


@given(times_us, times_us, st.floats(0, 1e5))
def test_what_is_left_of_a_silence_is_at_most_the_longest_gap(
    arrived_us: int, latest_us: int, longest_s: float
) -> None:
    left_us = arrived_us - cut_us(arrived_us, latest_us, longest_s) - latest_us
    assert left_us <= round(longest_s * 1e6)
    if arrived_us - latest_us <= round(longest_s * 1e6):
        assert cut_us(arrived_us, latest_us, longest_s) == 0


def test_no_limit_cuts_nothing() -> None:
    assert cut_us(10**15, 0, None) == 0


@pytest.mark.parametrize(("text", "speed"), [("1", 1.0), ("0.5", 0.5), ("20", 20.0), ("1e3", 1000.0), ("max", None)])
def test_speeds_are_read(text: str, speed: float | None) -> None:
    assert parse_speed(text) == speed


@pytest.mark.parametrize("text", ["0", "-1", "nan", "inf", "", "fast", "1x", "x" * 500])
def test_other_speeds_are_refused_with_what_was_found(text: str) -> None:
    with pytest.raises(ValueError, match=r"^speed is '.{0,40}, expected a number greater than 0, or max$"):
        parse_speed(text)
