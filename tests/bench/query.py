"""Measure what questions cost: python -m tests.bench.query [--packets N] [--engine sqlite|postgresql] [--keep FILE].

A year of five satellites, 20 parameters a packet, rolled up. Each question is asked of several stretches and its
median printed beside what it may take; the first asks are there for the caches, as the second look at a dashboard is.
A million packets take minutes to store: FILE keeps SQLite's archive, and what is there already is asked again.
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
from groundstation.archive.chunks import Stretch
from groundstation.archive.rollups import PACKETS
from groundstation.archive.rows import HOUR_US
from groundstation.archive.series import samples, summaries
from groundstation.upkeep import HOURS
from tests.archive.places import SECOND, T0, Place, packet
from tests.archive.rolling import roll_up
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
        began = time.perf_counter()
        hours = await roll_up(writer, reader, hours=HOURS, packets=PACKETS)
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
def place_of(engine: str, keep: Path | None) -> Iterator[Place]:
    if engine == "sqlite" and keep is not None:
        yield Place(f"sqlite:///{keep}")
    elif engine == "sqlite":
        with tempfile.TemporaryDirectory(prefix="groundstation-bench-") as folder:
            yield Place(f"sqlite:///{Path(folder) / 'archive.db'}")
    else:
        with contextlib.contextmanager(running)("shared_buffers = 256MB") as server:
            yield Place(server.url(server.new_database()), server.password_file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--packets", type=int, default=100_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--keep", type=Path, metavar="FILE")
    options = parser.parse_args()
    slow = 0
    for engine in options.engine or ("sqlite", "postgresql"):
        with place_of(engine, options.keep) as place:
            place.migrate()
            if not (stored := place.count("packet")):
                asyncio.run(fill(place, options.packets))
                stored = place.count("packet")
            print(f"{engine}, {stored:,} packets × 20 parameters")
            for name, most_ms, ask in QUESTIONS:
                took_ms, points = measured(place, ask)
                slow += took_ms > most_ms
                print(f"  {name:28} {took_ms:8.2f} ms of {most_ms:2.0f}, {points} points")
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
