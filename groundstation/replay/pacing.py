"""When each recorded message is due again: pure arithmetic on arrival times, so that every speed can be tested."""

import math

SPEED_TEXT = "a number greater than 0, or max"


def parse_speed(text: str) -> float | None:
    """Return how many times faster than recorded to play; None for "max", as fast as the pipeline takes it.

    Raises ValueError, for the command line to show.
    """
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = math.nan
    if not (0 < speed < math.inf):
        raise ValueError(f"speed is {text!r:.40}, expected {SPEED_TEXT}")
    return speed


def due_at(arrived_at_us: int, first_arrived_at_us: int, started_at_s: float, speed: float | None) -> float:
    """Return when to play a message, on the clock of `started_at_s`, where the first is due at once.

    Before that moment it is early and after it late, by however much. Reckoned from the first message and not from
    the one before, so that no error adds up over a pass.
    """
    if speed is None:
        return started_at_s
    return started_at_s + (arrived_at_us - first_arrived_at_us) / 1e6 / speed


def cut_us(arrived_at_us: int, latest_arrived_at_us: int, longest_gap_s: float | None) -> int:
    """Return how much to leave out of the silence before a message, in recorded time; 0 where nothing is too long.

    Adding it to `first_arrived_at_us` makes this message and all that follow due that much sooner. `latest` is the
    latest arrival so far: after the recording station's clock stepped back, no silence is counted twice.
    """
    if longest_gap_s is None:
        return 0
    return max(arrived_at_us - latest_arrived_at_us - round(longest_gap_s * 1e6), 0)
