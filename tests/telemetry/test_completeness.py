import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.telemetry.completeness import SILENCE_US, Counting, count, missing_between

MODULUS = 16384
SECOND = 1_000_000


def heard(*packets: tuple[int, int], modulus: int = MODULUS) -> Counting:
    """Return the counting after packets of (sequence count, second)."""
    counting = Counting()
    for sequence, second in packets:
        counting = count(counting, sequence, second * SECOND, modulus)
    return counting


@pytest.mark.parametrize(
    ("previous", "current", "missing"),
    [(1, 2, 0), (1, 3, 1), (5, 5, 0), (16383, 0, 0), (16383, 1, 1), (16380, 4, 7), (0, 16383, 16382), (2, 1, 16382)],
)
def test_missing_is_what_lies_between_with_the_wrap(previous: int, current: int, missing: int) -> None:
    assert missing_between(previous, current, MODULUS) == missing


@given(st.integers(2, 2**63 - 1), st.data())
def test_what_is_missing_leads_from_the_previous_to_the_current_count(modulus: int, data: st.DataObject) -> None:
    previous, current = (data.draw(st.integers(0, modulus - 1)) for _ in range(2))
    missing = missing_between(previous, current, modulus)
    assert 0 <= missing < modulus
    assert previous == current or (previous + missing + 1) % modulus == current


@given(
    first=st.integers(0, MODULUS - 1), kept=st.lists(st.booleans(), min_size=2, max_size=300), seed=st.integers(0, 9)
)
def test_in_any_order_of_arrival_the_missing_are_those_that_were_dropped(
    first: int, kept: list[bool], seed: int
) -> None:
    kept[0] = kept[-1] = True  # what was dropped before the first or after the last heard nobody can know
    sent = [((first + n) % MODULUS, n) for n, keep in enumerate(kept) if keep]
    shuffled = sorted(sent[1:], key=lambda packet: packet[1] + random.Random(seed * 1000 + packet[1]).uniform(0, 5))
    assert heard(sent[0], *sent[1:]).missing == kept.count(False)
    assert heard(sent[0], *shuffled).missing == kept.count(False)


def test_a_late_packet_fills_its_gap() -> None:
    assert heard((1, 0), (4, 3)) == Counting(4, 3 * SECOND, missing=2)
    assert heard((1, 0), (4, 3), (2, 1)) == Counting(4, 3 * SECOND, missing=1, late=1)


def test_a_gap_between_passes_is_not_missing() -> None:
    silence = SILENCE_US // SECOND
    assert heard((1, 0), (500, silence)).missing == 498
    assert heard((1, 0), (500, silence + 1)).missing == 0


def test_a_late_packet_of_an_earlier_pass_fills_no_gap_of_this_one() -> None:
    assert heard((1, 0), (500, 5000), (503, 5003), (2, 1)).missing == 2


def test_a_step_back_by_less_than_half_the_modulus_is_a_reset_and_no_loss() -> None:
    counting = heard((5000, 0), (0, 1), (1, 2))
    assert (counting.resets, counting.missing, counting.last) == (1, 0, 1)


def test_a_step_back_by_more_is_a_reset_where_the_period_forbids_so_many_packets() -> None:
    before = Counting(9000, 0)
    assert count(before, 0, SECOND, MODULUS, period_us=2 * SECOND) == Counting(0, SECOND, resets=1)
    assert count(before, 0, SECOND, MODULUS) == Counting(0, SECOND, missing=7383)


def test_a_loss_within_what_the_period_allows_is_a_loss() -> None:
    assert count(Counting(1, 0), 32, 60 * SECOND, MODULUS, period_us=2 * SECOND).missing == 30


def test_half_the_modulus_may_be_missing_and_no_more() -> None:
    assert heard((0, 0), (MODULUS // 2 + 1, 1)) == Counting(MODULUS // 2 + 1, SECOND, missing=MODULUS // 2)
    assert heard((0, 0), (MODULUS // 2 + 2, 1)) == Counting(MODULUS // 2 + 2, SECOND, resets=1)


def test_a_wrap_is_no_reset() -> None:
    counting = heard((16383, 0), (1, 2))
    assert (counting.resets, counting.missing) == (0, 1)


def test_the_same_count_again_is_nothing_missing() -> None:
    assert heard((7, 0), (7, 0), (7, 1)).missing == 0
