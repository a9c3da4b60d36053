"""`groundstation status` beside a daemon at work: its words and its exit status are the station's health."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from groundstation.archive.migrate import migrate
from groundstation.cli import main
from groundstation.config import load_config
from groundstation.orbit.passes import find_passes
from tests.commands.test_replay import at, fill, housekeeping
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto, free_port


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto) -> Iterator[DaemonProcess]:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    settings = settings.replace("[http]\nport = 0", f"[http]\nport = {free_port()}")
    process = DaemonProcess(write_files(tmp_path / "station", settings=settings))
    yield process
    process.stop()


def test_it_tells_the_number_of_the_last_pass_heard_and_record_takes_it(
    daemon: DaemonProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    config = load_config(daemon.path)
    migrate(config.settings.archive.url)
    now = datetime.now(UTC)
    found = find_passes(config.elements, config.sites["hko"], now - timedelta(days=2), now)
    first, heard = [one for one in found if one.los is not None and one.los < now][:2]
    asyncio.run(fill(config, [housekeeping(at(heard.aos, 10 + n), n) for n in range(3)], (first, heard)))
    daemon.start().wait_until_ready()
    deadline = time.monotonic() + 30
    while not daemon.get("/api/status")[1]["heard"]:
        assert time.monotonic() < deadline, daemon.text()
        time.sleep(0.05)
    command = ["--config", str(daemon.path)]
    assert main(["status", *command]) == 0
    assert f"pass 2 of one-sat over hko: ended {heard.los:%Y-%m-%dT%H:%M:%S}Z, 3 packets\n" in capsys.readouterr().out
    with urllib.request.urlopen(daemon.url(), timeout=10) as page:
        section = page.read().decode().partition("<h2>Last passes heard</h2>")[2].partition("</section>")[0]
    assert '<td class="n">2</td><td>one-sat</td><td>hko</td>' in section
    assert main(["record", *command, "2", str(daemon.path.with_name("pass.gspass"))]) == 0
    assert "3 messages of one-sat recorded" in capsys.readouterr().out


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
