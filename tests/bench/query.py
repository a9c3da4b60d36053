"""Measure what questions cost: python -m tests.bench.query [--packets N] [--engine sqlite|postgresql].

A year of five satellites, 20 parameters a packet, rolled up. Each question is asked of several stretches and its
median printed beside what it may take; the first asks are there for the caches, as the second look at a dashboard is.
"""

import argparse
import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

from sqlalchemy import Connection

from groundstation.archive import queries
from groundstation.archive.aggregates import Stretch
from groundstation.archive.rollups import keep_rollups, sum_up
from groundstation.archive.rows import HOUR_US
from groundstation.archive.series import samples, summaries
from tests.archive.places import SECOND, T0, Place, packet
from tests.parts.postgresql import running

SATELLITES = tuple(f"sat-{number}" for number in range(5))
YEAR_US = 365 * 24 * HOUR_US
PASS_US = 600 * SECOND
ROUNDS = 9
PARAMETER = "parameter_07"


def template(chance: random.Random) -> dict[str, float]:
    return {f"parameter_{place:02}": round(chance.uniform(-50, 50), 3) for place in range(20)}


async def fill(place: Place, count: int) -> None:
    """Store `count` packets, evenly over a year and the satellites, and roll them up."""
    chance = random.Random(20261122)
    one = packet(reception={"rssi_dbm": -101.5}, levels={})
    each = count // len(SATELLITES)
    async with place.writer() as writer, place.reader() as reader:
        for first in range(0, each, 1000):
            numbers = range(first, min(first + 1000, each))
            for slug in SATELLITES:
                batch = [
                    replace(
                        one,
                        satellite=slug,
                        generated_at_us=T0 + number * YEAR_US // each,
                        received_at_us=T0 + number * YEAR_US // each + 2,
                        digest=chance.getrandbits(63),
                        frame=chance.randbytes(202),
                        values=template(chance),
                    )
                    for number in numbers
                ]
                await writer.store(batch, [])
        began, hours = time.perf_counter(), 0
        while (summed := await reader.ask(sum_up, 200)) is not None:
            await writer.commit(keep_rollups, summed)
            hours += len(summed.rows) // 20
        took = time.perf_counter() - began
        print(f"  rolled up {hours} hours of a satellite in {took:.1f} s, {took / hours * 1e3:.2f} ms each")


def stretch(round_number: int, length_us: int) -> Stretch:
    begin = T0 + (YEAR_US - length_us) * round_number // ROUNDS
    return Stretch(SATELLITES[round_number % len(SATELLITES)], PARAMETER, begin, begin + length_us)


def measured(place: Place, ask: Callable[[Connection, int], list[Any]]) -> tuple[float, int]:
    """Return the median in milliseconds, and how many points the last answer had."""
    took, found = [], []
    with place.reader()._engine.connect() as connection:
        for number in (*range(ROUNDS), *range(ROUNDS)):
            began = time.perf_counter()
            with connection.begin():
                found = ask(connection, number)
            took.append((time.perf_counter() - began) * 1e3)
    return median(took[ROUNDS:]), len(found)


QUESTIONS: tuple[tuple[str, float, Callable[[Connection, int], list[Any]]], ...] = (
    ("last values", 5, lambda c, n: queries.latest(c, SATELLITES[n % 5])),
    ("a parameter over a pass", 5, lambda c, n: samples(c, stretch(n, PASS_US))),
    ("the same by reception time", 5, lambda c, n: samples(c, replace(stretch(n, PASS_US), by="received_at"))),
    ("7 days, every value", 20, lambda c, n: samples(c, stretch(n, 7 * 24 * HOUR_US))),
    ("7 days to 500 points", 20, lambda c, n: summaries(c, stretch(n, 7 * 24 * HOUR_US), 500)),
    ("a year to 500 points", 20, lambda c, n: summaries(c, stretch(n, YEAR_US), 500)),
)


@contextlib.contextmanager
def place_of(engine: str) -> Iterator[Place]:
    if engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="groundstation-bench-") as folder:
            yield Place(f"sqlite:///{Path(folder) / 'archive.db'}")
        return
    for server in running("shared_buffers = 256MB"):
        yield Place(server.url(server.new_database()), server.password_file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    options = parser.parse_args()
    slow = 0
    for engine in options.engine or ("sqlite", "postgresql"):
        print(f"{engine}, {options.packets:,} packets × 20 parameters")
        with place_of(engine) as place:
            place.migrate()
            asyncio.run(fill(place, options.packets))
            for name, most_ms, ask in QUESTIONS:
                took_ms, points = measured(place, ask)
                slow += took_ms > most_ms
                print(f"  {name:28} {took_ms:8.2f} ms of {most_ms:2.0f}, {points} points")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
