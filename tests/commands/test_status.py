"""`groundstation status` beside a daemon at work: its words and its exit status are the station's health."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundstation.cli import main
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto, free_port


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto) -> Iterator[DaemonProcess]:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    settings = settings.replace("[http]\nport = 0", f"[http]\nport = {free_port()}")
    process = DaemonProcess(write_files(tmp_path / "station", settings=settings))
    yield process
    process.stop()


def test_it_ends_with_0_while_the_station_is_well_and_with_1_while_it_is_not(
    daemon: DaemonProcess, broker: Mosquitto, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["status", "--config", str(daemon.path)]
    daemon.start().wait_until_ready()
    assert main(command) == 0
    told = capsys.readouterr().out
    assert ": ready\n" in told
    assert "problem" not in told
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["links"][0]["up"]
    broker.stop()
    deadline = time.monotonic() + 30
    while daemon.get("/healthz")[0] == 200:
        assert time.monotonic() < deadline, daemon.text()
        time.sleep(0.05)
    assert main(command) == 1
    assert "problem: link mqtt is down" in capsys.readouterr().out
    assert main([*command, "--json"]) == 1
    assert not json.loads(capsys.readouterr().out)["links"][0]["up"]
