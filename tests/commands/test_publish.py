"""What a modem script hands to `groundstation publish` arrives in the archive through broker and daemon."""

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgpack
import pytest

from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.mosquitto import Mosquitto, mosquitto

__all__ = ["mosquitto"]


@pytest.fixture
def daemon(tmp_path: Path, mosquitto: Mosquitto) -> Iterator[DaemonProcess]:
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {mosquitto.port}')
    process = DaemonProcess(write_files(tmp_path / "station", settings=settings))
    yield process
    process.stop()


def publish(daemon: DaemonProcess, *arguments: str, frames: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "groundstation", "publish", *arguments, "--config", str(daemon.path)]
    return subprocess.run(command, input=frames, capture_output=True, check=False, timeout=60)


def to_hko(form: str) -> list[str]:
    return ["-", "--station", "hko", "--satellite", "one-sat", "--input", form]


def sequences(daemon: DaemonProcess) -> list[int]:
    with closing(sqlite3.connect(daemon.path.parent / "test.db")) as archive:
        return [row[0] for row in archive.execute("SELECT sequence FROM packet ORDER BY sequence")]


def frame(number: int) -> dict[str, object]:
    return {"p": 1, "n": number, "t": time.time(), "d": {"battery_voltage": 7500}}


def test_frames_as_json_lines_hex_binary_and_kiss_all_arrive(daemon: DaemonProcess) -> None:
    daemon.start().wait_until_ready()
    as_json = b"".join(json.dumps(frame(n)).encode() + b"\n" for n in range(50))
    as_hex = b"".join(msgpack.packb(frame(n)).hex(" ").encode() + b"\n" for n in range(50, 60))
    as_kiss = b"".join(
        b"\xc0\x00" + msgpack.packb(frame(n)).replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc") + b"\xc0"
        for n in range(60, 70)
    )
    for form, frames, count in (("jsonl", as_json, 50), ("hex", as_hex, 10), ("kiss", as_kiss, 10)):
        done = publish(daemon, *to_hko(form), frames=frames)
        assert (done.returncode, done.stdout) == (0, f"{count} frames published\n".encode()), done.stderr
    assert publish(daemon, *to_hko("binary"), frames=msgpack.packb(frame(70))).returncode == 0
    deadline = time.monotonic() + 20
    while len(sequences(daemon)) < 71 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert sequences(daemon) == list(range(71))


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["-", "--station", "none", "--satellite", "one-sat"], 2, "--station: found none, expected hko"),
        (["-", "--station", "hko", "--satellite", "none"], 2, "--satellite: found none, expected one-sat"),
        ([*to_hko("jsonl"), "--rate", "0"], 2, "--rate: found 0, expected frames a second, above 0"),
        (["nowhere", "--station", "hko", "--satellite", "one-sat"], 1, "No such file or directory: 'nowhere'"),
        (to_hko("hex"), 1, "standard input:1: found "),
    ],
)
def test_a_wrong_input_is_one_line(daemon: DaemonProcess, arguments: list[str], status: int, line: str) -> None:
    done = publish(daemon, *arguments, frames=b"not hex\n")
    assert done.returncode == status
    assert line in done.stderr.decode()
    assert len(done.stderr.splitlines()) == 1
