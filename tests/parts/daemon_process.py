"""`groundstation run` as a process of its own, to be asked, stopped and killed."""

import json
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

STARTED = re.compile(r"metrics at (http://\S+)/metrics")


class DaemonProcess:
    """The daemon with the configuration `path`; its log is a file beside it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.log = path.with_suffix(".log")
        self.process: subprocess.Popen[bytes] | None = None
        self._read_from = 0

    def start(self) -> "DaemonProcess":
        self._read_from = self.log.stat().st_size if self.log.exists() else 0
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "groundstation", "run", "--config", self.path], stdout=log, stderr=log
            )
        return self

    def text(self) -> str:
        """Return what was logged since the last start."""
        return self.log.read_bytes()[self._read_from :].decode()

    def url(self, timeout_s: float = 30) -> str:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if found := STARTED.search(self.text()):
                return found[1]
            assert self.process is not None
            assert self.process.poll() is None, self.text()
            time.sleep(0.02)
        raise AssertionError(f"the daemon did not start to serve: {self.text()}")

    def get(self, path: str) -> tuple[int, Any]:
        """Return HTTP status and JSON."""
        try:
            with urllib.request.urlopen(self.url() + path, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def wait_until_ready(self, timeout_s: float = 60) -> None:
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            if self.get("/readyz")[0] == 200:
                return
            time.sleep(0.05)
        raise AssertionError(f"the daemon is not ready: {self.get('/readyz')} {self.text()}")

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, timeout_s: float = 40) -> int:
        assert self.process is not None
        return self.process.wait(timeout_s)

    def kill9(self) -> None:
        self.signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """End it in order and return its exit status; nothing where it is not running."""
        if self.process is None or self.process.poll() is not None:
            return 0
        self.signal(signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill9()
            raise
