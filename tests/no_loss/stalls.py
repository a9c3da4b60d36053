"""A database that stalls at random moments, as a slow disk or a backup makes it: time to be killed in mid-commit.

On a fast disk a commit takes a few milliseconds of each batch's twenty, and a kill would seldom meet one.
"""

import asyncio
import contextlib
import random
import sqlite3
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import psycopg

from tests.archive.places import Place

LONGEST_S = 0.2


@contextlib.contextmanager
def locked(place: Place) -> Iterator[None]:
    """Let nobody else write into the archive while the block lasts; it can be read."""
    if place.password_file is None:
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)) as file:
            file.execute("BEGIN IMMEDIATE")
            yield
    else:
        password = place.password_file.read_text(encoding="utf-8").removesuffix("\n")
        with closing(psycopg.connect(place.url, password=password)) as connection:
            connection.execute("LOCK TABLE packet IN EXCLUSIVE MODE")
            yield


def stall(place: Place, for_s: float) -> None:
    with locked(place):
        time.sleep(for_s)


@contextlib.asynccontextmanager
async def stalling(place: Place, seed: int) -> AsyncIterator[None]:
    """Stall the archive for about a third of the time while the block lasts."""
    chance = random.Random(seed)

    async def stall_again_and_again() -> None:
        while True:
            await asyncio.to_thread(stall, place, chance.uniform(0, LONGEST_S))
            await asyncio.sleep(chance.uniform(0, 2 * LONGEST_S))

    task = asyncio.create_task(stall_again_and_again(), name="stall")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled(), task.exception()
