"""What the daemon says of itself, to systemd and to whoever asks, and what it leaves in the archive at its start."""

import asyncio
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from groundstation.archive.leadership import Leadership
from groundstation.config import load_config
from groundstation.daemon import Daemon
from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from groundstation.orbit.passes import find_passes
from groundstation.orbit.synthetic import rising_over
from groundstation.telemetry.definition import load_definition
from groundstation.telemetry.moments import microseconds
from tests.archive.places import Place
from tests.commands.test_replay import fill, housekeeping
from tests.no_loss.ground import numbered
from tests.parts.config_files import DEFINITION, SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
def station(tmp_path: Path, broker: Mosquitto) -> Path:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    return write_files(tmp_path / "station", settings=settings)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """The socket on which systemd hears its services."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "3000000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield listening


def heard_until(listening: socket.socket, last: str) -> list[str]:
    """Return every assignment up to `last`."""
    heard: list[str] = []
    while last not in heard:
        heard += listening.recv(4096).decode().split("\n")
    return heard


def test_systemd_hears_what_is_waited_for_then_ready_then_life_then_stopping(
    station: Path, broker: Mosquitto, systemd: socket.socket
) -> None:
    broker.stop()
    daemon = DaemonProcess(station).start()
    try:
        waiting = heard_until(systemd, "STATUS=waiting for link mqtt subscribed")
        broker.start()
        waiting += heard_until(systemd, "READY=1")[:-1]
        assert {one.partition(" for ")[0] for one in waiting} == {"STATUS=waiting"}
        assert len(waiting) == len(set(waiting))  # told when it changes
        alive = heard_until(systemd, "WATCHDOG=1")
        assert any(one.startswith("STATUS=next pass: one-sat over hko at ") or " until " in one for one in alive)
        assert daemon.stop() == 0
        assert "READY=1" not in heard_until(systemd, "STOPPING=1")
    finally:
        daemon.stop()


def test_a_daemon_that_has_not_begun_waits_for_its_link_its_archive_and_its_passes(station: Path) -> None:
    daemon = Daemon(load_config(station))
    assert daemon.missing() == ["link mqtt subscribed", "archive opened", "passes predicted"]


async def test_definitions_and_elements_are_in_the_archive_once_it_is_ready(station: Path) -> None:
    config = load_config(station)
    daemon, stopping = Daemon(config), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.wait_for(daemon.ready.wait(), 60)
    stopping.set()
    await running
    place = Place(config.settings.archive.url)
    used = load_definition(DEFINITION, "one-sat.toml")
    assert place.rows("SELECT hash FROM definition") == [(used.hash,)]
    assert place.rows("SELECT satellite, norad_id FROM elements") == [("one-sat", 61231)]


async def test_what_holds_the_loop_and_who_made_no_progress_meanwhile_is_seen(station: Path) -> None:
    daemon, stopping = Daemon(load_config(station)), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.wait_for(daemon.ready.wait(), 60)
    assert {"record", "predict", "follow", "receive-mqtt", "elements", "upkeep", "last-passes"} <= set(daemon.idle_s())
    time.sleep(1.7)  # noqa: ASYNC251  # that is the point
    assert daemon.idle_s()["follow"] >= 0.7
    async with asyncio.timeout(10):
        while daemon.health().loop_lag_s < 0.6:  # noqa: ASYNC110  (as a scraper looks)
            await asyncio.sleep(0.01)
    stopping.set()
    await running


async def test_passes_are_predicted_again_when_elements_change(station: Path) -> None:
    daemon, stopping = Daemon(load_config(station)), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.wait_for(daemon.ready.wait(), 60)
    first = daemon.watch.passes
    daemon.supply.changed.set()
    async with asyncio.timeout(30):
        while daemon.watch.passes is first:  # noqa: ASYNC110  (as a scraper looks)
            await asyncio.sleep(0.05)
    assert daemon.watch.passes
    stopping.set()
    await running


async def test_who_begins_to_lead_keeps_the_passes_without_waiting_for_the_next_prediction(
    station: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leading: list[bool] = []
    monkeypatch.setattr("groundstation.daemon.TAKE_OVER_S", 0.1)
    monkeypatch.setattr(Leadership, "leads", property(lambda _: bool(leading)))
    config = load_config(station)
    archive = Place(config.settings.archive.url)
    daemon, stopping = Daemon(config), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.wait_for(daemon.ready.wait(), 60)
    assert daemon.watch.passes
    assert archive.rows("SELECT count(*) FROM pass") == [(0,)]
    leading.append(True)
    async with asyncio.timeout(30):
        while archive.rows("SELECT count(*) FROM pass") == [(0,)]:  # noqa: ASYNC110  (another process writes)
            await asyncio.sleep(0.1)
    stopping.set()
    await running


@pytest.mark.parametrize("began_min", [2, 6], ids=["rising", "setting"])
async def test_a_pass_that_began_before_the_daemon_did_has_its_true_aos(station: Path, began_min: int) -> None:
    config = load_config(station)
    aos = datetime.now(UTC) - timedelta(minutes=began_min)
    rising = rising_over(config.sites["hko"], aos, 70, 61231, "one-sat")
    daemon, stopping = Daemon(replace(config, elements=(rising,))), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.wait_for(daemon.ready.wait(), 60)
    (this,) = daemon.health().passes
    assert this.active
    assert abs(this.aos_us - microseconds(aos)) < 5_000_000
    stopping.set()
    await running


async def test_a_pass_has_its_number_in_the_status_as_soon_as_it_is_over(station: Path) -> None:
    config = load_config(station)
    now = datetime.now(UTC)
    rising = rising_over(config.sites["hko"], now, 70, 61231, "one-sat")
    (trial,) = find_passes([rising], config.sites["hko"], now - timedelta(minutes=5), now + timedelta(minutes=20))
    assert trial.los is not None
    aos = datetime.now(UTC) + timedelta(seconds=8) - (trial.los - now)
    rising = rising_over(config.sites["hko"], aos, 70, 61231, "one-sat")
    daemon, stopping = Daemon(replace(config, elements=(rising,))), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    await asyncio.wait_for(daemon.ready.wait(), 60)
    (this,) = daemon.health().passes
    await fill(config, [housekeeping(this.aos_us + 10_000_000 + n, n) for n in range(3)])
    assert (this.active, daemon.health().heard) == (True, ())
    async with asyncio.timeout(30):
        while not daemon.last_passes.heard:  # noqa: ASYNC110  (as a page looks)
            await asyncio.sleep(0.05)
    (over,) = daemon.health().heard
    assert (over.los_us, over.packets) == (this.los_us, 3)
    (first, *_) = Place(config.settings.archive.url).rows("SELECT id FROM pass ORDER BY culmination")
    assert first == (over.number,)
    stopping.set()
    await running


async def test_a_stop_waits_for_the_commit_of_messages_that_nobody_would_send_again(
    station: Path, broker: Mosquitto
) -> None:
    daemon = DaemonProcess(station).start()
    try:
        daemon.wait_until_ready()
        with closing(sqlite3.connect(station.parent / "test.db", isolation_level=None)) as locker:
            locker.execute("BEGIN IMMEDIATE")
            async with Publisher(LinkSettings(name="test", port=broker.port, client_id="test-publisher")) as publisher:
                await publisher.publish_all([replace(numbered(number), qos=0) for number in range(5)])
            await until(daemon, lambda link: link["in_flight"] == 5)
            daemon.signal(signal.SIGTERM)
            await until(daemon, lambda link: not link["up"])  # the source has nothing to wait for: it is done
            locker.execute("ROLLBACK")
        assert await asyncio.to_thread(daemon.wait) == 0
        place = Place(f"sqlite:///{station.parent / 'test.db'}")
        assert place.rows("SELECT sequence FROM packet ORDER BY sequence") == [(n,) for n in range(5)]
    finally:
        daemon.stop()


async def until(daemon: DaemonProcess, claim: Callable[[dict[str, Any]], bool]) -> None:
    deadline = time.monotonic() + 30
    while not claim(link := (await asyncio.to_thread(daemon.get, "/api/status"))[1]["links"][0]):
        assert time.monotonic() < deadline, link
