"""Measure what storing costs: python -m tests.bench.archive [--packets N] [--engine sqlite|postgresql].

Packets of 20 parameters and 202 bytes through the Writer, committed with a sync each batch, on this disk. The floor is
the driver alone, executemany of the very same finished rows into the same tables: no packets turned into rows, no
fates, no latest values. `busy` is the Writer beside a thread that never stops computing, as while decoding.
"""

import argparse
import asyncio
import contextlib
import os
import random
import sqlite3
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg

from groundstation.archive.columns import Json, Time
from groundstation.archive.engine import SQLITE_WRITING
from groundstation.archive.rows import PACKET_COLUMNS, Row, packet_row
from groundstation.archive.tables import packet as packet_table
from groundstation.telemetry.moments import moment_of
from groundstation.telemetry.packet import Fate, Level, Packet
from tests.archive.places import SECOND, T0, Place, packet
from tests.parts.postgresql import PASSWORD, running

BATCHES = (1, 20, 1000)
COMMITS_MOST = 400  # so that small batches do not take the whole day


def made(count: int) -> list[Packet]:
    chance = random.Random(20261122)
    return [
        packet(
            number,
            generated_at_us=T0 + number * SECOND,
            digest=chance.getrandbits(64) - (1 << 63),
            frame=chance.randbytes(202),
            values={f"parameter_{place:02}": round(chance.uniform(-50, 50), 3) for place in range(20)},
            levels={"parameter_07": Level.WARNING} if number % 20 == 0 else {},
            reception={"rssi_dbm": -101.5, "snr_db": 7.25},
        )
        for number in range(count)
    ]


@contextlib.contextmanager
def computing(busy: bool) -> Iterator[None]:
    """Keep the interpreter busy from another thread."""
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            sum(range(200))

    thread = threading.Thread(target=compute if busy else lambda: None)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


async def store(place: Place, packets: Sequence[Packet], batch: int, wanted: Fate) -> float:
    """Return packets a second."""
    async with place.writer() as writer:
        await writer.store([], [])
        began = time.perf_counter()
        for first in range(0, len(packets), batch):
            fates = await writer.store(packets[first : first + batch], [])
            assert set(fates) == {wanted}
        return len(packets) / (time.perf_counter() - began)


def in_batches(rows: Sequence[Row], batch: int, insert: Callable[[Sequence[Row]], None]) -> float:
    began = time.perf_counter()
    for first in range(0, len(rows), batch):
        insert(rows[first : first + batch])
    return len(rows) / (time.perf_counter() - began)


def sqlite_floor(place: Place, rows: Sequence[Row], batch: int) -> float:
    connection = sqlite3.connect(place.url.removeprefix("sqlite:///"), isolation_level=None)
    for pragma in SQLITE_WRITING:
        connection.execute(pragma)
    marks = ", ".join("?" * len(PACKET_COLUMNS))
    sql = f"INSERT INTO packet ({', '.join(PACKET_COLUMNS)}) VALUES ({marks}) ON CONFLICT DO NOTHING"

    def insert(some: Sequence[Row]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        connection.executemany(sql, some)
        connection.execute("COMMIT")

    with contextlib.closing(connection):
        return in_batches(rows, batch, insert)


def postgresql_floor(place: Place, rows: Sequence[Row], batch: int) -> float:
    kinds = [packet_table.c[name].type for name in PACKET_COLUMNS]
    times = [number for number, kind in enumerate(kinds) if isinstance(kind, Time)]
    marks = ", ".join("%s::jsonb" if isinstance(kind, Json) else "%s" for kind in kinds)
    sql = f"INSERT INTO packet ({', '.join(PACKET_COLUMNS)}) VALUES ({marks}) ON CONFLICT DO NOTHING"
    ready = [tuple(moment_of(value) if n in times else value for n, value in enumerate(row)) for row in rows]
    with psycopg.connect(place.url, password=PASSWORD) as connection, connection.cursor() as cursor:

        def insert(some: Sequence[Row]) -> None:
            cursor.executemany(sql.encode(), some)
            connection.commit()

        return in_batches(ready, batch, insert)


def measure(new_place: Callable[[], Place], packets: Sequence[Packet]) -> None:
    print(
        f"{'batch':>6} {'stored/s':>10} {'CPU µs':>8} {'floor/s':>10} {'ratio':>6} {'busy/s':>10} {'duplicates/s':>13}"
    )
    for batch in BATCHES:
        some = packets[: min(len(packets), batch * COMMITS_MOST)]
        place, floor_place, busy_place = new_place(), new_place(), new_place()
        cpu = time.process_time()
        stored = asyncio.run(store(place, some, batch, Fate.STORED))
        cpu = (time.process_time() - cpu) / len(some) * 1e6
        again = asyncio.run(store(place, some, batch, Fate.DUPLICATE))
        rows = [packet_row(one, T0 + number) for number, one in enumerate(some)]
        floor = (sqlite_floor if place.engine == "sqlite" else postgresql_floor)(floor_place, rows, batch)
        with computing(busy=True):
            busy = asyncio.run(store(busy_place, some, batch, Fate.STORED))
        print(
            f"{batch:6} {stored:10,.0f} {cpu:8.1f} {floor:10,.0f} {stored / floor:6.2f} {busy:10,.0f} {again:13,.0f}",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packets", type=int, default=40_000)
    parser.add_argument("--engine", choices=["sqlite", "postgresql"])
    arguments = parser.parse_args()
    packets = made(arguments.packets)
    if arguments.engine != "postgresql":
        with tempfile.TemporaryDirectory(prefix="groundstation-bench-") as folder:
            numbers = iter(range(sys.maxsize))

            def file() -> Place:
                place = Place(f"sqlite:///{Path(folder) / f'{next(numbers)}.db'}")
                place.migrate()
                return place

            print(f"SQLite {sqlite3.sqlite_version}, {os.cpu_count()} processors")
            measure(file, packets)
    if arguments.engine != "sqlite":
        with contextlib.contextmanager(running)("shared_buffers = 128MB") as server:

            def database() -> Place:
                place = Place(server.url(server.new_database()), server.password_file)
                place.migrate()
                return place

            with server.connect() as connection:
                print(f"PostgreSQL {connection.info.server_version // 10000}, fsync on")
            measure(database, packets)


if __name__ == "__main__":
    main()
