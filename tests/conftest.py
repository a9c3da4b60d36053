"""What every test folder shares: fixtures that are costly to make, and the long proofs left to `make soak`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto
from tests.parts.wheel import wheel

__all__ = ["wheel"]


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    mosquitto = Mosquitto(tmp_path / "broker").start()
    yield mosquitto
    mosquitto.stop()


@pytest.fixture
def daemon(tmp_path: Path, broker: Mosquitto) -> Iterator[DaemonProcess]:
    """Give a daemon that listens to the broker and was not started yet."""
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    process = DaemonProcess(write_files(tmp_path / "station", settings=settings))
    yield process
    process.stop()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "soak: a proof of minutes or hours, run by `make soak` alone")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long proofs out unless -m asks for something by itself."""
    if config.option.markexpr:
        return
    long = [item for item in items if item.get_closest_marker("soak")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
