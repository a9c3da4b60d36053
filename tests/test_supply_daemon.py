"""The running daemon takes new elements from files and network without a restart, and says by how much passes moved."""

import asyncio
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from groundstation.config import load_config
from groundstation.orbit.elements import Elements
from groundstation.orbit.synthetic import rising_over
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.element_server import ElementServer, as_json, element_server

WITHOUT_LINKS = SETTINGS.replace('[[links]]\nname = "mqtt"\nclient_id = "groundstation-test"\n', "")
AOS = datetime.now(UTC) + timedelta(minutes=30)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ElementServer]:
    async with element_server() as running:
        yield running


@pytest.fixture
def daemon(tmp_path: Path, server: ElementServer) -> Iterator[DaemonProcess]:
    source = f'[[element_sources]]\nname = "near"\nkind = "celestrak"\nurl = "{server.url}"\n\n'
    path = write_files(tmp_path / "station", settings=source + WITHOUT_LINKS)
    (path.parent / "tle" / "one.tle").unlink()
    site = load_config(path).sites["hko"]
    (path.parent / "tle" / "one.json").write_text(as_json(rising(site, 0)))
    server.mode = "500"
    process = DaemonProcess(path)
    yield process
    process.stop()


def rising(site: Any, seconds: float) -> Elements:
    """Return a set of our satellite that rises so much later than half an hour from now; its epoch is as much later."""
    return rising_over(site, AOS + timedelta(seconds=seconds), 60.0, 61231, "ONE")


async def until(daemon: DaemonProcess, holds: Callable[[dict[str, Any]], Any], timeout_s: float = 30) -> dict[str, Any]:
    """Return the state as soon as `holds` of it."""
    end = asyncio.get_running_loop().time() + timeout_s
    while True:
        state: dict[str, Any] = (await asyncio.to_thread(daemon.get, "/api/status"))[1]
        if holds(state):
            return state
        assert asyncio.get_running_loop().time() < end, f"{state['elements']} {daemon.text()[-3000:]}"
        await asyncio.sleep(0.1)


def aos_of(state: dict[str, Any]) -> datetime:
    return min(datetime.fromisoformat(one["aos"]) for one in state["passes"])


def text_of(daemon: DaemonProcess) -> str:
    with urllib.request.urlopen(daemon.url() + "/metrics", timeout=10) as answer:
        text: str = answer.read().decode()
    return text


async def test_a_changed_file_moves_the_passes_and_the_metrics_tell_by_how_much(daemon: DaemonProcess) -> None:
    file = daemon.path.parent / "tle" / "one.json"
    site = load_config(daemon.path).sites["hko"]
    await asyncio.to_thread(daemon.start().wait_until_ready)
    before = await until(daemon, lambda state: state["passes"])
    assert abs(aos_of(before) - AOS) < timedelta(seconds=0.2)
    assert before["elements"][0]["shift_s"] is None

    file.write_text(as_json(rising(site, 1.5)))
    after = await until(daemon, lambda state: state["elements"][0]["shift_s"])
    assert abs(aos_of(after) - AOS - timedelta(seconds=1.5)) < timedelta(seconds=0.2)
    assert after["elements"][0]["shift_s"] == pytest.approx(1.5, abs=0.2)
    metrics = await asyncio.to_thread(text_of, daemon)
    assert 'groundstation_elements_prediction_shift_seconds{satellite="one-sat"} 1.' in metrics
    assert 'groundstation_elements_epoch_timestamp_seconds{satellite="one-sat",source="files"}' in metrics

    file.write_text(as_json(rising(site, 600)))  # ten minutes late within seconds: no satellite does that
    refused = await until(daemon, lambda state: state["satellites"][0]["elements_refused"]["implausible_jump"])
    assert aos_of(refused) == aos_of(after)


async def test_a_file_that_stays_half_written_changes_nothing_until_it_is_whole(daemon: DaemonProcess) -> None:
    file = daemon.path.parent / "tle" / "one.json"
    text = as_json(rising(load_config(daemon.path).sites["hko"], 1.5))
    await asyncio.to_thread(daemon.start().wait_until_ready)
    before = await until(daemon, lambda state: state["passes"])
    file.write_text(text[: len(text) // 2])
    halfway = await until(daemon, lambda state: state["element_sources"][0]["errors"]["malformed"])
    assert halfway["elements"][0]["epoch"] == before["elements"][0]["epoch"]
    file.write_text(text)
    await until(daemon, lambda state: state["elements"][0]["epoch"] > before["elements"][0]["epoch"])


async def test_a_source_is_asked_once_however_often_the_daemon_is_killed_and_its_set_serves_on(
    daemon: DaemonProcess, server: ElementServer
) -> None:
    server.mode, server.text = "good", as_json(rising(load_config(daemon.path).sites["hko"], 1.5))
    await asyncio.to_thread(daemon.start().wait_until_ready)
    await until(daemon, lambda state: state["elements"][0]["source"] == "near")
    for _ in range(2):
        await asyncio.to_thread(daemon.kill9)
        await asyncio.to_thread(daemon.start().wait_until_ready)
        state = await until(daemon, lambda state: state["elements"])
        assert state["elements"][0]["source"] == "near"
        assert state["element_sources"][1]["succeeded_at"] is not None
    assert await asyncio.to_thread(daemon.stop) == 0
    assert len(server.asked) == 1


async def test_a_source_that_hangs_delays_no_stop_and_is_not_asked_again(
    daemon: DaemonProcess, server: ElementServer
) -> None:
    server.mode = "hang"
    await asyncio.to_thread(daemon.start().wait_until_ready)
    await until(daemon, lambda _: server.asked)
    begun = asyncio.get_running_loop().time()
    assert await asyncio.to_thread(daemon.stop) == 0
    assert asyncio.get_running_loop().time() - begun < 15
    await asyncio.to_thread(daemon.start().wait_until_ready)
    await until(daemon, lambda state: "fetch-near" in state["tasks"])
    assert await asyncio.to_thread(daemon.stop) == 0
    assert len(server.asked) == 1


async def test_a_source_that_fails_is_told(daemon: DaemonProcess) -> None:
    await asyncio.to_thread(daemon.start().wait_until_ready)
    state = await until(daemon, lambda state: state["element_sources"][1]["errors"]["server_error"])
    assert state["element_sources"][1]["succeeded_at"] is None
    assert "WARNING near: server_error: HTTP 500: Go away" in daemon.text()
