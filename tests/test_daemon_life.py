"""What the daemon says of itself, to systemd and to whoever asks, and what it leaves in the archive at its start."""

import asyncio
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundstation.config import load_config
from groundstation.daemon import Daemon
from groundstation.telemetry.definition import load_definition
from tests.archive.places import Place
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
    assert {"record", "predict", "follow", "receive-mqtt", "elements", "upkeep"} <= set(daemon.idle_s())
    time.sleep(1.2)  # noqa: ASYNC251  # that is the point
    assert daemon.idle_s()["follow"] >= 0.7
    async with asyncio.timeout(10):
        while daemon.health().loop_lag_s < 0.6:  # noqa: ASYNC110  (as a scraper looks)
            await asyncio.sleep(0.01)
    stopping.set()
    await running
