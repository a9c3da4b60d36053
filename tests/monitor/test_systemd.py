"""systemd's side of the notification protocol, on a real datagram socket."""

import asyncio
import logging
import os
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from groundstation.monitor.systemd import notify, stuck, watch, watchdog_s


@pytest.fixture(params=["path", "abstract"])
def receiver(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[socket.socket]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@groundstation-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(address.replace("@", "\0", 1) if request.param == "abstract" else address)
        listening.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        monkeypatch.delenv("WATCHDOG_USEC", raising=False)
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        yield listening


@asynccontextmanager
async def watching(idle_s: dict[str, float], status: str = "fine") -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(watch(lambda: idle_s, lambda: status, stuck_s=5))
    yield task
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def received(listening: socket.socket) -> list[str]:
    datagram = await asyncio.wait_for(asyncio.get_running_loop().sock_recv(listening, 4096), 10)
    return datagram.decode().split("\n")


async def test_assignments_arrive_in_one_datagram(receiver: socket.socket) -> None:
    assert notify("READY=1", "STATUS=next pass at 12:00") is True
    assert await received(receiver) == ["READY=1", "STATUS=next pass at 12:00"]


async def test_a_status_cannot_smuggle_another_assignment(receiver: socket.socket) -> None:
    notify("STATUS=a\nMAINPID=1")
    assert await received(receiver) == ["STATUS=a MAINPID=1"]


def test_outside_systemd_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False


async def test_outside_systemd_the_watch_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    await asyncio.wait_for(watch(dict, str), 5)


def test_a_socket_that_is_gone_is_logged_and_survived(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert notify("WATCHDOG=1") is False
    assert f"systemd cannot be notified at {tmp_path}/gone: No such file or directory" in caplog.text


@pytest.mark.usefixtures("receiver")
def test_a_process_without_a_free_file_descriptor_goes_on_unnotified(caplog: pytest.LogCaptureFixture) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        assert notify("WATCHDOG=1") is False
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert "Too many open files" in caplog.text
    assert notify("WATCHDOG=1") is True


def test_an_address_too_long_for_a_socket_is_told_and_survived(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/" + "x" * 200)
    assert notify("WATCHDOG=1") is False
    assert "AF_UNIX path too long" in caplog.text


async def test_text_that_no_encoding_has_is_sent_with_a_mark_instead(receiver: socket.socket) -> None:
    assert notify("STATUS=next pass of \udcff") is True
    assert await received(receiver) == ["STATUS=next pass of ?"]


def test_a_full_socket_does_not_hold_the_daemon(receiver: socket.socket, caplog: pytest.LogCaptureFixture) -> None:
    assert receiver
    assert not all(notify("WATCHDOG=1") for _ in range(10_000))
    assert "Resource temporarily unavailable" in caplog.text


@pytest.mark.parametrize(
    ("environment", "period_s"),
    [
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_ours_only_when_systemd_says_so(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], period_s: float | None
) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert watchdog_s() == period_s


async def test_life_is_reported_often_enough(receiver: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "300000")
    loop = asyncio.get_running_loop()
    async with watching({"record": 4.9}, "next pass at 12:00"):
        times = []
        for _ in range(4):
            assert await received(receiver) == ["STATUS=next pass at 12:00", "WATCHDOG=1"]
            times.append(loop.time())
    assert 0.25 < times[-1] - times[0] < 5  # three thirds of 300 ms; the upper bound allows for a busy machine


async def test_without_a_watchdog_only_the_status_is_told(receiver: socket.socket) -> None:
    async with watching({"record": 0}):
        assert await received(receiver) == ["STATUS=fine"]


async def test_a_stuck_task_stops_the_reports_of_life_until_it_goes_on(
    receiver: socket.socket, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "60000")
    idle_s = {"record": 0.0, "predict": 1.0}
    async with watching(idle_s):
        assert "WATCHDOG=1" in await received(receiver)
        idle_s["record"] = 65.0
        while (found := await received(receiver)) == ["STATUS=fine", "WATCHDOG=1"]:
            pass
        assert found == await received(receiver) == ["STATUS=stuck: record for 65 s"]
        idle_s["record"] = 0.0
        while (found := await received(receiver)) == ["STATUS=stuck: record for 65 s"]:
            pass
        assert found == ["STATUS=fine", "WATCHDOG=1"]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert errors == ["stuck: record for 65 s; systemd restarts the daemon unless that ends"]


def test_the_task_that_is_stuck_longest_is_named_first() -> None:
    assert stuck({"a": 61.0, "b": 3.0, "c": 400.2}, 60) == ["c for 400 s", "a for 61 s"]
