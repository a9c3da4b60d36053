"""A private Mosquitto on a free loopback port, to be started, stopped and killed by a test."""

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts.debian import need


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Mosquitto:
    """Debian's Mosquitto with the settings that lose nothing; `extra` lines go into its configuration."""

    host = "127.0.0.1"

    def __init__(self, directory: Path, *, extra: str = "", listener: str = "allow_anonymous true") -> None:
        self.directory = directory
        self.port = free_port()
        self.log = directory / "mosquitto.log"
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        directory.chmod(0o777)  # Debian's build leaves root for its own user
        self.configuration = directory / "mosquitto.conf"
        self.configuration.write_text(
            "per_listener_settings false\n"
            f"listener {self.port} 127.0.0.1\n{listener}\n"
            f"persistence true\npersistence_location {directory}/\n"
            "autosave_on_changes true\nautosave_interval 100\nmax_queued_messages 0\n"
            "max_inflight_messages 2000\n"  # of MQTT 3.1.1 clients, which cannot say it; 20 by default
            f"log_dest file {self.log}\nlog_type all\nlog_timestamp_format %H:%M:%S\n"
            f"user {os.environ.get('USER') or 'root'}\n{extra}\n"
        )

    def start(self) -> "Mosquitto":
        program = need("mosquitto", "mosquitto")
        self._process = subprocess.Popen([program, "-c", self.configuration], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection((self.host, self.port), 0.2):
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"mosquitto did not start: {self.log.read_text() if self.log.exists() else 'no log'}")

    def stop(self) -> None:
        """End it in order: it saves its state."""
        self._end(signal.SIGTERM)

    def kill9(self) -> None:
        """End it as a power cut would, less the disk."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        self.stop()
        self.start()

    def save(self) -> None:
        """Make it write its state now."""
        assert self._process is not None
        self._process.send_signal(signal.SIGUSR1)

    def freeze(self) -> None:
        """Make it keep its connections and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.send_signal(number)
            process.wait(10)


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    need("mosquitto", "mosquitto")
    broker = Mosquitto(tmp_path / "mosquitto").start()
    yield broker
    broker.kill9()  # nobody needs what it would save, and that takes it a tenth of a second
