"""A stop fits into TimeoutStopSec of the unit, whatever the database does; what it leaves is with the broker."""

import asyncio
import os
import re
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from groundstation.daemon import STOPPED_BY_S
from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from tests.archive.places import Place
from tests.no_loss.ground import Ground, eventually, ground_segment, numbered
from tests.parts.postgresql import PostgreSQL

UNIT = Path(__file__).parents[2] / "systemd" / "groundstation.service"
SESSIONS = "SELECT pid FROM pg_stat_activity WHERE datname = %s AND application_name = 'groundstation'"


@contextmanager
def frozen(server: PostgreSQL, database: str) -> Iterator[None]:
    """Stop the processes that serve the daemon: its connections stay and nothing ever answers."""
    with server.connect() as connection:
        pids = [pid for (pid,) in connection.execute(SESSIONS, (database,))]
    assert pids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")
        yield


async def stop_with_ten_in_flight(ground: Ground) -> tuple[int, float]:
    """Return the exit status and how long the stop took."""
    async with Publisher(LinkSettings(name="feed", port=ground.broker.port, client_id="feed")) as publisher:
        await publisher.publish_all([numbered(number) for number in range(10)])
    await eventually(ground.has_something_in_flight, "nothing came")
    asked = time.monotonic()
    ground.daemon.signal(signal.SIGTERM)
    return await asyncio.to_thread(ground.daemon.wait, 60), time.monotonic() - asked


async def all_came_after_all(ground: Ground) -> None:
    ground.daemon.start()
    await eventually(lambda: ground.has_stored(10), "packets are missing")
    assert ground.sequences() == list(range(10))
    assert await asyncio.to_thread(ground.daemon.stop) == 0


async def test_a_server_that_answers_nothing_does_not_hold_up_a_stop(tmp_path: Path, postgresql: PostgreSQL) -> None:
    database = postgresql.new_database()
    with ground_segment(tmp_path, Place(postgresql.url(database), postgresql.password_file)) as ground:
        ground.daemon.start().wait_until_ready()
        with frozen(postgresql, database):
            status, took_s = await stop_with_ten_in_flight(ground)
        assert status == 0
        assert took_s < STOPPED_BY_S + 5
        assert "leaving; the broker sends again" in ground.daemon.text()
        await all_came_after_all(ground)


@pytest.mark.soak
async def test_a_file_that_another_has_locked_does_not_hold_up_a_stop(tmp_path: Path) -> None:
    file = tmp_path / "archive.db"
    with ground_segment(tmp_path, Place(f"sqlite:///{file}")) as ground:
        ground.daemon.start().wait_until_ready()
        with locked(file):
            status, took_s = await stop_with_ten_in_flight(ground)
        assert status == 0
        assert took_s < STOPPED_BY_S + 5
        await all_came_after_all(ground)


def test_the_unit_allows_a_stop_more_time_than_it_takes() -> None:
    allowed = re.search(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(encoding="utf-8"), re.MULTILINE)
    assert allowed is not None
    assert int(allowed[1]) >= STOPPED_BY_S + 5
