"""Of two daemons on one PostgreSQL one keeps passes, plans and roll-ups; the other goes on when that one is killed."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from tests.archive.places import Place
from tests.no_loss.ground import eventually, numbered
from tests.no_loss.test_share_group import daemons
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto
from tests.parts.postgresql import PostgreSQL

TAKEN_OVER_S = 30.0
ROLLED_UP_S = 60.0  # it looks every half minute for hours that got packets


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.kill9()


def archive_of(daemon: DaemonProcess) -> dict[str, Any]:
    return dict(daemon.get("/api/status")[1]["archive"])


async def test_a_keeper_that_is_killed_is_followed_within_30_s_and_its_work_goes_on(
    tmp_path: Path, broker: Mosquitto, postgresql: PostgreSQL
) -> None:
    database = postgresql.new_database()
    place = Place(postgresql.url(database), postgresql.password_file)

    async def leads(daemon: DaemonProcess) -> bool:
        return bool((await asyncio.to_thread(archive_of, daemon))["leads"])

    async def has(query: str) -> bool:
        return bool(await asyncio.to_thread(place.rows, query))

    with daemons(tmp_path, broker, place, "one", "two") as (one, two):
        for daemon in (one, two):
            await asyncio.to_thread(daemon.start().wait_until_ready)
        assert [await leads(daemon) for daemon in (one, two)] == [True, False]
        assert await has("SELECT 1 FROM pass")
        await asyncio.to_thread(one.kill9)
        killed_at = time.monotonic()
        with postgresql.connect(database) as connection:
            connection.execute("TRUNCATE pass CASCADE")  # whatever is there from now on is the follower's
        await eventually(lambda: leads(two), "nobody takes over", TAKEN_OVER_S)
        await eventually(lambda: has("SELECT 1 FROM pass"), "no passes are saved", TAKEN_OVER_S)
        await eventually(lambda: has("SELECT 1 FROM contact"), "no contacts are saved", TAKEN_OVER_S)
        assert time.monotonic() - killed_at < TAKEN_OVER_S
        await asyncio.to_thread(one.start().wait_until_ready)  # a restarted one does not take it back
        assert [await leads(daemon) for daemon in (one, two)] == [False, True]
        async with Publisher(LinkSettings(name="test", port=broker.port, client_id="test-publisher")) as publisher:
            await publisher.publish_all([numbered(n) for n in range(100)])
        await eventually(lambda: has("SELECT 1 FROM rollup_1h"), "nothing is rolled up", ROLLED_UP_S)
        assert (await asyncio.to_thread(archive_of, one))["rolled_up_at"] is None
