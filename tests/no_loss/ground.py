"""One whole ground segment for a test to hurt: real broker, `groundstation run` as a process, its archive.

Packets are numbered: number n is sequence count n, generated n milliseconds after T0. So what is missing, or there
twice, can be named.
"""

import asyncio
import contextlib
import http.client
import json
import time
import urllib.error
import urllib.request
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundstation.link.publisher import Outgoing
from groundstation.telemetry.envelope import pack_frame, seal, telemetry_topic
from tests.archive.places import T0, Place
from tests.parts.config_files import DEFINITION, SETTINGS, write_files
from tests.parts.daemon_process import STARTED, DaemonProcess
from tests.parts.mosquitto import Mosquitto

TOPIC = telemetry_topic("gs/v1", "hko", "one-sat")
PATIENCE_S = 60.0
SECOND_STATION = """
[[stations]]
slug = "cuhk"
name = "Chinese University of Hong Kong"
latitude_deg = 22.4196
longitude_deg = 114.2068
altitude_m = 60
"""
# A count that never begins again, so that it names the packet.
COUNTING = "\n[frame]\nmodulus = 1_000_000_000\n"


@dataclass(frozen=True, slots=True)
class Ground:
    broker: Mosquitto
    daemon: DaemonProcess
    place: Place

    def ask(self, path: str = "/api/status") -> Any:
        """Return the daemon's JSON, or None where nobody answers: it is starting, or dead."""
        text = self.ask_text(path)
        return None if text is None else json.loads(text)

    def ask_text(self, path: str) -> str | None:
        served = STARTED.search(self.daemon.text())
        if served is None:
            return None
        try:
            with urllib.request.urlopen(served[1] + path, timeout=10) as answer:
                return str(answer.read().decode())
        except (OSError, http.client.HTTPException) as error:  # an answer of 503 is an OSError too
            if not isinstance(error, urllib.error.HTTPError):
                return None
            if error.code != 503:
                raise AssertionError(self.daemon.text()) from error
            return error.read().decode()

    async def link(self) -> dict[str, Any] | None:
        """Return how the one link stands, or None where nobody answers."""
        status = await asyncio.to_thread(self.ask)
        return None if status is None else dict(status["links"][0])

    def sequences(self) -> list[int]:
        return [row[0] for row in self.place.rows("SELECT sequence FROM packet ORDER BY sequence, generated_at")]

    async def has_stored(self, count: int) -> bool:
        return await asyncio.to_thread(self.place.count, "packet") >= count

    async def is_at_work(self) -> bool:
        """Tell whether the daemon has stored something since it was started."""
        link = await self.link()
        return link is not None and link["stored"] > 0

    async def has_something_in_flight(self) -> bool:
        link = await self.link()
        return link is not None and link["in_flight"] > 0

    async def is_idle(self) -> bool:
        link = await self.link()
        return link is not None and link["received"] > 0 and link["in_flight"] == 0

    def resident_mb(self) -> float:
        assert self.daemon.process is not None
        status = Path(f"/proc/{self.daemon.process.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@contextlib.contextmanager
def ground_segment(directory: Path, place: Place) -> Iterator[Ground]:
    """Yield a segment whose broker is up and whose daemon has not been started."""
    # Without its log, and saved when it is stopped in order: this is not where a broker's crash is tested.
    broker = Mosquitto(directory / "broker", extra="log_type none\nautosave_on_changes false").start()
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}')
    secret = f'\npassword_file = "{place.password_file}"' if place.password_file else ""
    settings = settings.replace('url = "sqlite:///test.db"', f'url = "{place.url}"{secret}') + SECOND_STATION
    daemon = DaemonProcess(write_files(directory / "station", settings=settings, definition=DEFINITION + COUNTING))
    try:
        yield Ground(broker, daemon, place)
    finally:
        if daemon.process is not None and daemon.process.poll() is None:
            daemon.kill9()
        broker.kill9()


def numbered(number: int, topic: str = TOPIC, kind: str = "realtime", at_us: int = T0) -> Outgoing:
    """Return the telemetry message of packet `number`."""
    generated_at_us = at_us + number * 1000
    frame = pack_frame(1, number, generated_at_us, {"battery_voltage": 7500 + number % 100})
    return Outgoing(topic, seal(frame, generated_at_us + 250_000, kind))


async def eventually(claim: Callable[[], Awaitable[bool]], what: str, within_s: float = PATIENCE_S) -> None:
    """Wait for what other processes do; there is no event to await."""
    deadline = time.monotonic() + within_s
    while not await claim():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)
