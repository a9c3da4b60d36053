"""The shipped unit, the wheel and a Mosquitto under a real systemd: what an operator does, and what may befall them."""

import json
import random
import re
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from tests.parts.config_files import DEFINITION
from tests.parts.debian import need
from tests.parts.systemd_box import Box, boot

UNIT_FILE = Path(__file__).parents[2] / "systemd" / "groundstation.service"
UNIT, BROKER = "groundstation.service", "broker.service"
PROGRAM = "/opt/groundstation/venv/bin/groundstation"
PYTHON = "/opt/groundstation/venv/bin/python"
MESSAGES = 40_000  # as many as all the tests here publish
MOSQUITTO = ("mosquitto", "-c", "/run/broker.conf")

# A broker that lets nobody in without the password, which the daemon gets as a credential.
BROKER_CONFIGURATION = """\
listener 1883 127.0.0.1
allow_anonymous false
password_file /run/broker.passwords
persistence true
persistence_location /run/
log_dest stderr
log_type all
user root
"""
DROP_IN = """\
[Service]
# The interpreter of these tests stands elsewhere in the box, and would look for its library at home.
Environment=LD_LIBRARY_PATH=/opt/groundstation/python/lib
LoadCredential=mqtt-password:/etc/groundstation/mqtt-password
# Shorter than in service, so that a test need not wait.
RestartSec=500ms
WatchdogSec=3
"""
PUBLISH = """\
import asyncio, sys
from pathlib import Path
import msgspec
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.link.settings import LinkSettings

async def main(first, count):
    password_file = Path("/etc/groundstation/mqtt-password")
    settings = LinkSettings(name="test", client_id="test", username="station", password_file=password_file)
    frames = msgspec.msgpack.decode(Path("/box/messages").read_bytes())[first:first + count]
    async with Publisher(settings) as publisher:
        print(await publisher.publish_all(Outgoing("gs/v1/hko/one-sat/telemetry", frame) for frame in frames))

asyncio.run(main(*map(int, sys.argv[1:])))
"""


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Box]:
    """A machine on which everything is installed as the unit's comments say, and nothing is started."""
    need("mosquitto", "mosquitto")
    folder = tmp_path_factory.mktemp("box")
    with boot(folder, {python_home(): "/opt/groundstation/python", dependencies(): "/opt/groundstation/needs"}) as box:
        install_program(box, wheel)
        configure(box)
        yield box


@pytest.fixture
def station(box: Box) -> Iterator[Box]:
    """The broker and the daemon, ready; both stopped afterwards."""
    start_broker(box)
    box.run("systemctl", "start", UNIT)
    yield box
    box.run("systemctl", "stop", UNIT, BROKER)
    box.attempt("systemctl", "reset-failed", UNIT)


def python_home() -> Path:
    return Path(sys.base_prefix).resolve()


def dependencies() -> Path:
    return Path(sysconfig.get_path("purelib"))


def install_program(box: Box, wheel: Path) -> None:
    """Make the virtual environment that the unit names; what the wheel needs is borrowed from this test's own."""
    (box.folder / wheel.name).write_bytes(wheel.read_bytes())
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    box.run(f"/opt/groundstation/python/bin/{version}", "-m", "venv", "--without-pip", "/opt/groundstation/venv")
    write(box, f"/opt/groundstation/venv/lib/{version}/site-packages/needs.pth", "/opt/groundstation/needs\n")
    box.run(PYTHON, "-m", "pip", "install", "--no-index", "--no-deps", "--ignore-installed", "-q", f"/box/{wheel.name}")


def configure(box: Box) -> None:
    """Follow the unit's comments, with a satellite whose packets the tests know and a broker with a password."""
    box.run(PROGRAM, "init", "/etc/groundstation")
    box.run("cp", "/etc/groundstation/systemd/groundstation.service", "/etc/systemd/system/")
    write(box, "/etc/groundstation/satellites/one-sat.toml", DEFINITION.replace("[61231]", "[99001]"))
    write(box, "/etc/groundstation/mqtt-password", "open sesame\n", mode="600")
    settings = box.run("cat", "/etc/groundstation/groundstation.toml")
    write(box, "/etc/groundstation/groundstation.toml", with_password(settings))
    box.run("mkdir", f"/etc/systemd/system/{UNIT}.d")
    write(box, f"/etc/systemd/system/{UNIT}.d/test.conf", DROP_IN)
    write(box, "/run/broker.conf", BROKER_CONFIGURATION)
    box.run("mosquitto_passwd", "-b", "-c", "/run/broker.passwords", "station", "open sesame")
    box.run("systemctl", "daemon-reload")
    (box.folder / "publish.py").write_text(PUBLISH)
    (box.folder / "messages").write_bytes(msgspec.msgpack.encode([message(n) for n in range(MESSAGES)]))


def with_password(settings: str) -> str:
    """Return the shipped configuration with the link's commented lines for a password put into use."""
    before, link, after = re.split(r"(^\[\[links\]\]\n(?:[^\[\n].*\n)*)", settings, maxsplit=1, flags=re.MULTILINE)
    used = re.sub(r"^# username = .*$", 'username = "station"', link, flags=re.MULTILINE)
    used = re.sub(r"^# (password_file = \"mqtt-password\")", r"\1", used, flags=re.MULTILINE)
    assert used.count("\nusername") == used.count("\npassword_file") == 1
    return before + used + after


def message(number: int) -> bytes:
    frame = {"p": 1, "n": number, "t": time.time(), "d": {"battery_voltage": 8000 + number % 100}}
    return msgspec.msgpack.encode({"v": 1, "kind": "realtime", "frame": msgspec.msgpack.encode(frame)})


def write(box: Box, path: str, text: str, mode: str = "644") -> None:
    (box.folder / "handed-in").write_text(text)
    box.run("install", f"--mode={mode}", "/box/handed-in", path)


def start_broker(box: Box) -> None:
    box.run("systemd-run", "--quiet", "--collect", f"--unit={BROKER}", "--property=Type=notify", *MOSQUITTO)


def publish(box: Box, first: int, count: int) -> None:
    """Return once the broker has taken `count` messages, from number `first` on."""
    assert box.run(PYTHON, "/box/publish.py", str(first), str(count)) == f"{count}\n"


def ask(box: Box, question: str) -> int:
    """Return the one number that the archive answers."""
    asking = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchone()[0])"
    return int(box.run(PYTHON, "-c", asking, "/var/lib/groundstation/groundstation.db", question))


def await_stored(box: Box, expected: int, within_s: float = 30) -> None:
    """Return once exactly that many packets are in the archive."""
    deadline = time.monotonic() + within_s
    while (found := ask(box, "select count(*) from packet where satellite = 'one-sat'")) != expected:
        assert found < expected, f"{found} packets stored, should be {expected}"
        assert time.monotonic() < deadline, f"{found} packets stored, should be {expected}: {box.journal(UNIT)}"
        time.sleep(0.1)


def this_run(box: Box, *options: str) -> str:
    """Return what the daemon that runs, or ran last, has logged."""
    return box.run("journalctl", "--quiet", "--output=cat", f"_PID={box.properties(UNIT)['ExecMainPID']}", *options)


def test_systemd_rates_the_unit_as_well_protected() -> None:
    need("systemd-analyze", "systemd")
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", "--json=short", str(UNIT_FILE)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert rated.returncode == 0, [check for check in json.loads(rated.stdout) if check["exposure"]]


def test_systemd_finds_no_fault_in_the_installed_unit(box: Box) -> None:
    verified = box.attempt("systemd-analyze", "verify", f"/etc/systemd/system/{UNIT}")
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")


def test_it_is_ready_only_once_migrated_and_subscribed(box: Box) -> None:
    box.run("systemctl", "start", "--no-block", UNIT)
    # The broker is away: everything else is done, and yet systemd waits.
    box.await_properties(UNIT, StatusText="waiting for link mqtt subscribed", ActiveState="activating")
    assert ask(box, "select count(*) from alembic_version") == 1
    start_broker(box)
    active = box.await_properties(UNIT, ActiveState="active", SubState="running")
    assert subscribed_at_us(box) < int(active["ActiveEnterTimestampMonotonic"])
    box.run("systemctl", "stop", UNIT, BROKER)


def subscribed_at_us(box: Box) -> int:
    """Return when the broker confirmed a subscription, on the clock that systemd's properties use."""
    entries = map(json.loads, box.journal(BROKER, "--output=json").splitlines())
    confirmed = [int(entry["__MONOTONIC_TIMESTAMP"]) for entry in entries if "Sending SUBACK" in entry["MESSAGE"]]
    return confirmed[0]


def test_a_good_run_stores_packets_and_has_no_complaint(station: Box) -> None:
    before = ask(station, "select count(*) from packet")
    publish(station, 0, 100)
    await_stored(station, before + 100)
    assert this_run(station, "--priority=err") == ""
    assert not re.search(r"\b(ERROR|CRITICAL|Traceback)\b", this_run(station))
    status = station.properties(UNIT)["StatusText"]  # whatever is in the real sky just now
    assert re.search(r"\bpass\b|^\S+ over hko until ", status), status


def test_it_runs_as_a_passing_user_with_a_folder_of_its_own(station: Box) -> None:
    daemon = station.properties(UNIT)["MainPID"]
    user = station.run("stat", "--format=%u", f"/proc/{daemon}").strip()
    assert int(user) >= 61184  # the first of systemd's dynamic users
    assert station.run("stat", "--format=%u %a", "/var/lib/groundstation/").split() == [user, "750"]
    assert station.run("stat", "--format=%u", "/var/lib/groundstation/groundstation.db").strip() == user


def test_its_process_metrics_survive_the_hardening(station: Box) -> None:
    read = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9108/metrics').read().decode())"
    metrics = station.run(PYTHON, "-c", read)
    assert re.search(r"^process_resident_memory_bytes [1-9]", metrics, re.MULTILINE)
    assert re.search(r"^process_start_time_seconds [1-9]", metrics, re.MULTILINE)


def test_a_stop_drains_and_loses_nothing(station: Box) -> None:
    before = ask(station, "select count(*) from packet")
    publish(station, 100, 1000)
    station.run("systemctl", "stop", UNIT)
    stopped = station.properties(UNIT)
    assert (stopped["Result"], stopped["ExecMainStatus"], stopped["ActiveState"]) == ("success", "0", "inactive")
    assert "not committed" not in this_run(station)
    station.run("systemctl", "start", UNIT)  # what had not reached it is with the broker
    await_stored(station, before + 1000)


def test_a_killed_daemon_is_ready_again_and_loses_nothing(station: Box) -> None:
    before = ask(station, "select count(*) from packet")
    publish(station, 1100, 1000)
    station.run("kill", "-KILL", station.properties(UNIT)["MainPID"])
    station.await_properties(UNIT, NRestarts="1", ActiveState="active")
    await_stored(station, before + 1000)


def test_a_daemon_that_hangs_is_ended_shows_its_stack_and_is_ready_again(station: Box) -> None:
    station.run("kill", "-STOP", station.properties(UNIT)["MainPID"])
    station.await_properties(UNIT, NRestarts="1", ActiveState="active")
    log = station.journal(UNIT)
    assert "Watchdog timeout (limit 3s)!" in log
    assert "Fatal Python error: Aborted" in log
    assert re.search(r'File ".*/groundstation/cli.py", line \d+ in main', log), log


def test_a_wrong_configuration_is_not_tried_again(box: Box) -> None:
    path = "/etc/groundstation/groundstation.toml"
    good = box.run("cat", path)
    write(box, path, good.replace("keepalive_s", "keepalive_seconds"))
    try:
        assert box.attempt("systemctl", "start", UNIT).returncode != 0
        failed = box.properties(UNIT)
        assert (failed["ActiveState"], failed["SubState"], failed["NRestarts"]) == ("failed", "failed", "0")
        assert failed["ExecMainStatus"] == "2"
        assert "keepalive_seconds" in this_run(box)
    finally:
        write(box, path, good)
        box.run("systemctl", "reset-failed", UNIT)


@pytest.mark.soak
@pytest.mark.timeout(900)
def test_thirty_kills_at_any_instant_lose_nothing(station: Box) -> None:
    before = ask(station, "select count(*) from packet")
    instants = random.Random(2026)
    for kill in range(30):
        first = str(10_000 + kill * 1000)
        station.run("systemd-run", "--quiet", "--collect", PYTHON, "/box/publish.py", first, "1000")
        time.sleep(instants.uniform(0.2, 2.0))
        station.run("kill", "-KILL", station.properties(UNIT)["MainPID"])
        station.await_properties(UNIT, NRestarts=str(kill + 1), ActiveState="active")
    await_stored(station, before + 30_000)
