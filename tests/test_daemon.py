"""The daemon as its operator meets it: ready, stopped, killed; on real Mosquitto and SQLite."""

import asyncio
import random
import re
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import icalendar
import msgpack
import pytest

from groundstation.config import load_config
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.link.settings import LinkSettings
from groundstation.orbit.ageing import aos_uncertainty_s
from groundstation.telemetry.envelope import seal, telemetry_topic
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto

TOPIC = telemetry_topic("gs/v1", "hko", "one-sat")
NOW_US = 1_795_000_000_000_000


def numbered(number: int) -> Outgoing:
    """Return the telemetry message with the sequence count `number`."""
    frame = {"p": 1, "n": number, "t": NOW_US / 1e6 + number, "d": {"battery_voltage": 7500 + number % 100}}
    return Outgoing(TOPIC, seal(msgpack.packb(frame), NOW_US + number))


async def publish(port: int, numbers: range, per_second: int | None = None) -> None:
    """Publish at QoS 1, many in flight, and return once all are confirmed."""
    async with Publisher(LinkSettings(name="test", port=port, client_id="test-publisher")) as publisher:
        started = time.monotonic()
        for first in range(numbers.start, numbers.stop, 100):
            await publisher.publish_all([numbered(n) for n in range(first, min(first + 100, numbers.stop))])
            if per_second:
                await asyncio.sleep(max(0.0, started + (first - numbers.start) / per_second - time.monotonic()))


def stored(daemon: DaemonProcess) -> list[int]:
    with closing(sqlite3.connect(daemon.path.parent / "test.db")) as connection:
        return [row[0] for row in connection.execute("SELECT sequence FROM packet ORDER BY sequence")]


def wait_for_rows(daemon: DaemonProcess, count: int, timeout_s: float = 60) -> None:
    deadline = time.monotonic() + timeout_s
    while len(stored(daemon)) < count:
        assert time.monotonic() < deadline, f"{len(stored(daemon))} of {count} stored: {daemon.text()[-2000:]}"
        time.sleep(0.1)


def wait_for_in_flight(daemon: DaemonProcess, count: int, timeout_s: float = 30) -> None:
    deadline = time.monotonic() + timeout_s
    while (found := daemon.get("/api/status")[1]["links"][0]["in_flight"]) != count:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


async def test_kill_9_in_the_middle_of_5000_packets_loses_none_and_doubles_none(
    daemon: DaemonProcess, broker: Mosquitto
) -> None:
    daemon.start().wait_until_ready()
    publishing = asyncio.create_task(publish(broker.port, range(5000), per_second=1500))
    instants = random.Random(2026)
    for _ in range(4):
        await asyncio.sleep(instants.uniform(0.1, 0.9))
        await asyncio.to_thread(daemon.kill9)
        daemon.start()
    await publishing
    await asyncio.to_thread(wait_for_rows, daemon, 5000)
    assert stored(daemon) == list(range(5000))
    assert await asyncio.to_thread(daemon.stop) == 0
    assert stored(daemon) == list(range(5000))


async def test_sigterm_in_the_middle_drains_and_what_is_left_comes_after_the_restart(
    daemon: DaemonProcess, broker: Mosquitto
) -> None:
    daemon.start().wait_until_ready()
    publishing = asyncio.create_task(publish(broker.port, range(3000), per_second=2000))
    await asyncio.sleep(0.5)
    assert await asyncio.to_thread(daemon.stop) == 0
    assert daemon.text().rstrip().endswith("stopped")
    await publishing
    daemon.start()
    await asyncio.to_thread(wait_for_rows, daemon, 3000)
    (link,) = daemon.get("/api/status")[1]["links"]
    assert link["duplicate"] == 0  # all that was committed before the stop was acknowledged too
    assert link["imbalance"] == 0


async def test_the_conservation_equation_holds_whenever_it_is_asked_for(
    daemon: DaemonProcess, broker: Mosquitto
) -> None:
    daemon.start().wait_until_ready()
    publishing = asyncio.create_task(publish(broker.port, range(4000)))
    in_flight = []
    while not publishing.done():
        (link,) = (await asyncio.to_thread(daemon.get, "/api/status"))[1]["links"]
        assert link["imbalance"] == 0
        in_flight.append(link["in_flight"])
    await publishing
    await asyncio.to_thread(wait_for_rows, daemon, 4000)
    assert max(in_flight) > 0  # it was asked while there was something to lose


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_status_0(daemon: DaemonProcess, number: signal.Signals) -> None:
    daemon.start().wait_until_ready()
    daemon.signal(number)
    assert daemon.wait() == 0
    assert "ERROR" not in daemon.text()


async def test_a_second_signal_ends_it_at_once(daemon: DaemonProcess, broker: Mosquitto) -> None:
    daemon.start().wait_until_ready()
    with closing(sqlite3.connect(daemon.path.parent / "test.db", isolation_level=None)) as locker:
        locker.execute("BEGIN IMMEDIATE")  # the daemon cannot commit, so it cannot drain
        await publish(broker.port, range(10))
        await asyncio.to_thread(wait_for_in_flight, daemon, 10)  # the broker has them before the daemon does
        daemon.signal(signal.SIGTERM)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(daemon.wait, 1.0), 0.7)
        daemon.signal(signal.SIGTERM)
        assert await asyncio.to_thread(daemon.wait, 3.0) == 1
    daemon.start()
    await asyncio.to_thread(wait_for_rows, daemon, 10)


def test_an_archive_that_is_away_at_the_start_is_waited_for(daemon: DaemonProcess) -> None:
    daemon.start().wait_until_ready()
    assert daemon.stop() == 0
    with closing(sqlite3.connect(daemon.path.parent / "test.db", isolation_level=None)) as locker:
        locker.execute("BEGIN EXCLUSIVE")
        daemon.start()
        deadline = time.monotonic() + 60
        while "archive unavailable" not in daemon.text():  # it waits ten seconds for the lock each time
            assert time.monotonic() < deadline, daemon.text()
            assert daemon.get("/readyz")[0] == 503
            time.sleep(0.1)
        [why] = [line for line in daemon.get("/readyz")[1]["missing"] if line.startswith("archive opened")]
        assert "database is locked" in why
        assert daemon.get("/healthz")[0] == 503
    daemon.wait_until_ready()
    assert "archive is back" in daemon.text()
    assert daemon.get("/healthz")[0] == 200


def test_a_stop_while_the_archive_is_away_ends_it_with_status_0(daemon: DaemonProcess) -> None:
    (daemon.path.parent / "test.db").write_bytes(b"this is no database" * 1000)
    daemon.start()
    deadline = time.monotonic() + 60
    while not any("not a database" in line for line in daemon.get("/readyz")[1]["missing"]):
        assert time.monotonic() < deadline, daemon.text()
        time.sleep(0.05)
    assert daemon.stop() == 0
    assert daemon.text().rstrip().endswith("stopped")


def test_an_archive_of_a_newer_version_is_not_waited_for(daemon: DaemonProcess) -> None:
    daemon.start().wait_until_ready()
    assert daemon.stop() == 0
    with closing(sqlite3.connect(daemon.path.parent / "test.db")) as archive, archive:
        archive.execute("UPDATE alembic_version SET version_num = '9999'")
    assert daemon.start().wait() == 2
    assert "found an archive of revision 9999" in daemon.text()


def test_it_is_ready_only_once_it_has_subscribed(daemon: DaemonProcess, broker: Mosquitto) -> None:
    broker.stop()
    daemon.start()
    deadline = time.monotonic() + 30
    while (missing := daemon.get("/readyz")[1]["missing"]) != ["link mqtt subscribed"]:
        assert time.monotonic() < deadline, missing
        time.sleep(0.05)
    why = "network: connection refused"
    unhealthy = 503, {"healthy": False, "problems": [f"link mqtt is down: {why}"]}
    while (said := daemon.get("/healthz")) != unhealthy:  # the first attempt may take a moment
        assert time.monotonic() < deadline, said
        time.sleep(0.05)
    (link,) = daemon.get("/api/status")[1]["links"]
    assert link["error"] == why
    assert link["failures"]["network"] >= 1
    broker.start()
    daemon.wait_until_ready()
    assert daemon.get("/healthz")[0] == 200


async def test_a_restart_forgets_neither_the_last_reception_nor_what_is_out_of_limits(
    daemon: DaemonProcess, broker: Mosquitto
) -> None:
    daemon.start().wait_until_ready()
    low = msgpack.packb({"p": 1, "n": 1, "t": NOW_US / 1e6, "d": {"battery_voltage": 6900}})
    async with Publisher(LinkSettings(name="test", port=broker.port, client_id="test-publisher")) as publisher:
        await publisher.publish(TOPIC, seal(low, NOW_US))
    await asyncio.to_thread(wait_for_rows, daemon, 1)

    def known() -> dict[str, object]:
        [satellite] = daemon.get("/api/status")[1]["satellites"]
        return {key: satellite[key] for key in ("last_received_at", "last_generated_at", "out_of_limits")}

    deadline = time.monotonic() + 10
    while known()["last_received_at"] is None:  # the row is there a moment before it is counted
        assert time.monotonic() < deadline
    before = known()
    assert before["out_of_limits"] == {"warning": 1}
    assert await asyncio.to_thread(daemon.stop) == 0
    daemon.start().wait_until_ready()
    assert known() == before
    await publish(broker.port, range(2, 3))
    await asyncio.to_thread(wait_for_rows, daemon, 2)
    deadline = time.monotonic() + 10
    while known()["out_of_limits"]:
        assert time.monotonic() < deadline, known()


async def test_what_nobody_can_decode_is_in_quarantine_and_in_the_metrics(
    daemon: DaemonProcess, broker: Mosquitto
) -> None:
    daemon.start().wait_until_ready()
    async with Publisher(LinkSettings(name="test", port=broker.port, client_id="test-publisher")) as publisher:
        await publisher.publish(TOPIC, b"\xc1 not msgpack")
        await publisher.publish(telemetry_topic("gs/v1", "hko", "no-such-sat"), numbered(1).payload)
    await publish(broker.port, range(1))
    await asyncio.to_thread(wait_for_rows, daemon, 1)
    status = daemon.get("/api/status")[1]
    assert status["conservation"] | {"holds": True, "quarantined": 2, "stored": 1} == status["conservation"]
    assert {"envelope": 1, "unknown_satellite": 1}.items() <= status["rejected"].items()


def test_its_log_warns_of_nothing_and_tells_of_a_prediction_once(tmp_path: Path, broker: Mosquitto) -> None:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    settings += '[passes]\nrefresh_s = 1\n[log]\nlevel = "debug"\n'
    daemon = DaemonProcess(write_files(tmp_path / "station", settings=settings)).start()
    deadline = time.monotonic() + 60
    while daemon.text().count(" passes predicted for") < 4:
        assert time.monotonic() < deadline, daemon.text()
        time.sleep(0.1)
    assert daemon.stop() == 0
    told = re.findall(r"(INFO|DEBUG) .*?(\d+ passes predicted for .*)", daemon.text())
    at_info = [text for level, text in told if level == "INFO"]
    assert 1 <= len(at_info) < len(told)
    assert all(one != other for one, other in pairwise(at_info))  # a pass may have ended meanwhile
    assert not re.search(r"\b(WARNING|ERROR)\b", daemon.text())


def test_its_calendar_has_the_passes_that_it_predicted(daemon: DaemonProcess) -> None:
    daemon.start().wait_until_ready()
    deadline = time.monotonic() + 30
    shown: list[icalendar.Component] = []
    while not shown:  # ready means predicted; the archive has them a moment later
        assert time.monotonic() < deadline
        with urllib.request.urlopen(f"{daemon.url()}/passes.ics?station=hko", timeout=10) as answer:
            shown = icalendar.Calendar.from_ical(answer.read()).walk("VEVENT")
    starts = [event.decoded("DTSTART") for event in shown]
    coming = [datetime.fromisoformat(one["aos"]) for one in daemon.get("/api/status")[1]["passes"]]
    assert coming
    for aos in coming:
        assert min(abs(start - aos) for start in starts) <= timedelta(seconds=0.5)


def test_it_says_how_far_the_next_aos_may_be_off(daemon: DaemonProcess) -> None:
    daemon.start().wait_until_ready()
    [coming] = daemon.get("/api/status")[1]["passes"]
    [elements] = load_config(daemon.path).elements
    seconds = aos_uncertainty_s(elements, datetime.fromisoformat(coming["aos"]))
    assert coming["aos_uncertainty_s"] == pytest.approx(seconds)
    with urllib.request.urlopen(f"{daemon.url()}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    [sample] = [line for line in lines if line.startswith("groundstation_pass_aos_uncertainty_seconds{")]
    assert float(sample.split()[-1]) == pytest.approx(seconds)


def test_what_ends_it_at_work_is_told_with_where_it_happened_and_status_1(tmp_path: Path) -> None:
    path = write_files(tmp_path / "station", settings=SETTINGS.replace("[[links]]", "[[links]]\nport = 9"))
    source = f"""\
import sys
from groundstation.cli import main

def forbid(event, arguments):  # a file that may not be read, which no permission is to root
    if event == "open" and "finals2000A" in str(arguments[0]):
        raise PermissionError(13, "Permission denied", str(arguments[0]))

sys.addaudithook(forbid)
sys.exit(main(["run", "--config", {str(path)!r}]))
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "CRITICAL a task failed, which ends the daemon" in done.stderr
    assert "in _predict" in done.stderr
    assert "PermissionError: [Errno 13] Permission denied: " in done.stderr


def test_a_taken_port_is_one_line_and_status_1(daemon: DaemonProcess, tmp_path: Path) -> None:
    daemon.start().wait_until_ready()
    port = daemon.url().rpartition(":")[2]
    second = DaemonProcess(
        write_files(tmp_path / "second", settings=SETTINGS.replace("[http]\nport = 0", f"[http]\nport = {port}"))
    )
    assert second.start().wait() == 1
    assert second.text().strip() == f"groundstation: http: cannot listen on 127.0.0.1:{port}: Address already in use"
