"""Three daemons share one broker and one PostgreSQL; one is killed and one is added: every packet is stored once."""

import asyncio
import contextlib
import http.client
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.archive.places import Place
from tests.no_loss.feed import Feed
from tests.no_loss.ground import COUNTING, eventually
from tests.parts.config_files import DEFINITION, SETTINGS, write_files
from tests.parts.daemon_process import STARTED, DaemonProcess
from tests.parts.mosquitto import Mosquitto
from tests.parts.postgresql import PostgreSQL

PACKETS = 3000
PER_SECOND = 500
SEED = 20261126


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.kill9()


@pytest.fixture
def place(postgresql: PostgreSQL) -> Place:
    return Place(postgresql.url(postgresql.new_database()), postgresql.password_file)


@contextlib.contextmanager
def daemons(directory: Path, broker: Mosquitto, place: Place, *names: str) -> Iterator[list[DaemonProcess]]:
    """Yield one member of the group for each name, not started; it is its folder and its client id."""
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}\nshare_group = "ground"')
    archive = f'url = "{place.url}"\npassword_file = "{place.password_file}"'
    settings = settings.replace('url = "sqlite:///test.db"', archive)
    made = [
        DaemonProcess(
            write_files(
                directory / name,
                settings=settings.replace("groundstation-test", f"groundstation-{name}"),
                definition=DEFINITION + COUNTING,
            )
        )
        for name in names
    ]
    try:
        yield made
    finally:
        for daemon in made:
            if daemon.process is not None and daemon.process.poll() is None:
                daemon.kill9()


async def watch(*members: DaemonProcess) -> Counter[str]:
    """Hold every daemon to the conservation equation at random moments and count the looks; a dead one has none."""
    chance, looks = random.Random(SEED), Counter[str]()
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            await asyncio.sleep(chance.uniform(0, 0.2))
            for daemon in members:
                if daemon.process is None or daemon.process.poll() is not None or not STARTED.search(daemon.text()):
                    continue
                with contextlib.suppress(OSError, http.client.HTTPException):  # killed in the middle
                    link = await asyncio.to_thread(link_of, daemon)
                    settled = link["stored"] + link["duplicate"] + link["quarantined"]
                    assert link["received"] == settled + link["in_flight"], (daemon.path, link)
                    looks[daemon.path.parent.name] += 1
    return looks


def link_of(daemon: DaemonProcess) -> dict[str, Any]:
    [link] = daemon.get("/api/status")[1]["links"]
    return dict(link)


async def links(*members: DaemonProcess) -> list[dict[str, Any]]:
    return [await asyncio.to_thread(link_of, daemon) for daemon in members]


async def all_at_work(*members: DaemonProcess) -> bool:
    return all(link["stored"] > 0 for link in await links(*members))


async def all_idle(*members: DaemonProcess) -> bool:
    return not any(link["in_flight"] for link in await links(*members))


async def test_one_of_three_is_killed_and_one_is_added_and_every_packet_is_stored_once(
    tmp_path: Path, broker: Mosquitto, place: Place
) -> None:
    with daemons(tmp_path, broker, place, "one", "two", "three", "four") as (one, two, three, four):
        for daemon in (one, two, three):  # at the same time, on an empty database: one migrates, the others wait
            daemon.start()
        for daemon in (one, two, three):
            await asyncio.to_thread(daemon.wait_until_ready)
        feed = Feed(broker.port, PER_SECOND)
        feeding = asyncio.create_task(feed.run(), name="feed")
        watching = asyncio.create_task(watch(one, two, three, four), name="watch")
        await eventually(lambda: all_at_work(one, two, three), "not everybody gets a share")
        await asyncio.to_thread(two.kill9)
        await asyncio.to_thread(four.start().wait_until_ready)
        await eventually(lambda: all_at_work(one, three, four), "the new one gets no share")
        await eventually(lambda: has_confirmed(feed, PACKETS), "the feed is slow")
        feed.enough.set()
        await feeding

        # Mosquitto goes on dealing out to the dead: its share waits in its session, and for nobody else.
        await eventually(lambda: all_idle(one, three, four), "they do not come to rest")
        waiting = feed.confirmed - await asyncio.to_thread(place.count, "packet")
        assert waiting > 0
        await asyncio.to_thread(two.start().wait_until_ready)
        await eventually(lambda: has_stored(place, feed.confirmed), "packets are missing")
        await eventually(lambda: all_idle(one, two, three, four), "they do not come to rest")
        assert (await links(two))[0]["stored"] > 0
        watching.cancel()
        looks = await watching
        assert len(looks) == 4, looks
        assert looks.total() >= 40, looks

        assert sequences(place) == list(range(feed.confirmed))
        assert await asyncio.to_thread(place.count, "quarantine") == 0
        for link in await links(one, two, three, four):
            assert link["imbalance"] == 0
        for daemon in (one, two, three, four):
            assert await asyncio.to_thread(daemon.stop) == 0
        assert sequences(place) == list(range(feed.confirmed))


async def has_confirmed(feed: Feed, count: int) -> bool:
    return feed.confirmed >= count


async def has_stored(place: Place, count: int) -> bool:
    return await asyncio.to_thread(place.count, "packet") >= count


def sequences(place: Place) -> list[int]:
    return [row[0] for row in place.rows("SELECT sequence FROM packet ORDER BY sequence, generated_at")]
