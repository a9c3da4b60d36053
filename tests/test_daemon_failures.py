"""A task that fails ends the daemon at once, with its traceback; systemd starts it again, whole."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from tests.no_loss.ground import TOPIC, numbered
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.mosquitto import Mosquitto

AT_ONCE_S = 30.0  # for a busy machine: it takes one second, and a hanging daemon would take for ever


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.stop()


async def publish_one(port: int) -> None:
    async with Publisher(LinkSettings(name="test", port=port, client_id="test-publisher")) as publisher:
        await publisher.publish(TOPIC, numbered(1).payload)


@pytest.mark.parametrize(
    ("task", "error", "where"),
    [
        ("follow", "AttributeError: 'str' object has no attribute", "in _follow"),
        ("predict", "AttributeError: 'NoneType' object has no attribute 'renew'", "in _predict"),
        ("record", "TypeError: 'NoneType' object is not callable", "in record"),
        ("tally", "KeyError: 'one-sat'", "in _count"),
        ("receive", "KeyError: 'mqtt'", "in _deliver"),
    ],
    ids=["follow", "predict", "record", "tally", "receive"],
)
def test_a_task_that_fails_ends_the_daemon_with_its_traceback_and_status_1(
    tmp_path: Path, broker: Mosquitto, task: str, error: str, where: str
) -> None:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    path = write_files(tmp_path / "station", settings=settings)
    command = [sys.executable, "-m", "tests.parts.sabotaged_daemon", str(path), task]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "spoilt\n"
        asyncio.run(publish_one(broker.port))
        try:
            _, said = process.communicate(timeout=AT_ONCE_S)
        finally:
            process.kill()
    assert process.returncode == 1, said
    assert "Traceback (most recent call last)" in said
    assert error in said
    assert where in said
