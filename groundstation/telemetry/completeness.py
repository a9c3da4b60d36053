"""How many packets never came, told by their sequence counts."""

from typing import NamedTuple

SILENCE_US = 600 * 1_000_000  # ten minutes: longer than any gap within a pass of a low satellite
HURRY = 100  # times faster than its period a spacecraft may send before a step looks like a restart


class Counting(NamedTuple):  # made anew for every packet, five times faster than by dataclasses.replace
    """What is known of one sequence of counts; begin with `Counting()`, go on with `count`."""

    last: int | None = None
    last_generated_at_us: int = 0
    missing: int = 0  # counts skipped within a pass and not heard since
    late: int = 0  # heard after one generated later: from another station, or replayed from a buffer
    resets: int = 0  # the count went back while time went on: the spacecraft restarted its counter


def missing_between(previous: int, current: int, modulus: int) -> int:
    """Return how many counts lie between two that were heard one after the other; 0 for a repeated count."""
    return (current - previous - 1) % modulus if current != previous else 0


def count(
    counting: Counting,
    sequence: int,
    generated_at_us: int,
    modulus: int,
    *,
    silence_us: int = SILENCE_US,
    period_us: int | None = None,
) -> Counting:
    """Return the counting after one more packet, each packet once (a duplicate is for the archive to recognise).

    Counts skipped while nobody listened are not missing: after `silence_us` without a packet a new run begins. A step
    larger than half the modulus is taken for a restart of the counter, and so is one far beyond what can have been
    sent at one packet each `period_us`; a restart that looks like a smaller step can't be told from a loss. A late
    packet fills one missing count.
    """
    last, last_generated_at_us, missing, late, resets = counting
    elapsed_us = generated_at_us - last_generated_at_us
    if last is None or elapsed_us > silence_us:
        return Counting(sequence, generated_at_us, missing, late, resets)
    if elapsed_us < 0:
        in_this_run = -elapsed_us <= silence_us
        return Counting(last, last_generated_at_us, max(0, missing - in_this_run), late + 1, resets)
    skipped = missing_between(last, sequence, modulus)
    most = modulus // 2 if period_us is None else min(modulus // 2, HURRY * (1 + elapsed_us // period_us))
    if skipped > most:
        return Counting(sequence, generated_at_us, missing, late, resets + 1)
    return Counting(sequence, generated_at_us, missing + skipped, late, resets)
