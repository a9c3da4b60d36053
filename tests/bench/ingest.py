"""Measure the whole daemon, from broker to committed row: python -m tests.bench.ingest [--packets N] [--engine E].

`groundstation run` as a process of its own; real Mosquitto, QoS 1, acknowledged after the commit; packets of 20
parameters with calibration and limits, each by its name, 436 bytes (those of tests.bench.decode); SQLite with
synchronous=FULL. Throughput wants a quiet machine; CPU and the ratios to the floors stand better on a noisy one.

    backlog     the daemon is frozen while the broker's queue fills, then drains it. CPU is the daemon's, all threads;
                `one core` is what that leaves of a core, and what packets/s come to when nobody else wants the machine
    floors      in the same rounds, from the same broker: mosquitto_sub (C, keeps nothing) and tests.parts.bare_consumer
                (paho → msgpack → sqlite3 by hand, acknowledged after the commit)
    stages      the same functions on the same packets, each alone in a process; the rest is the event loop, the way
                between the threads and memory management. A profiler in the daemon would slow what it measures
    at 100/s    from before PUBLISH to when another connection can read the row, looked at every millisecond; then, with
                nobody looking, the CPU of the daemon, and of the bare consumer beside it
"""

import argparse
import asyncio
import contextlib
import os
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from groundstation.archive.batch import Batch, write_batch
from groundstation.archive.engine import open_engine
from groundstation.archive.rows import packet_row
from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from groundstation.pipeline import BATCH_MOST
from groundstation.tally import Tally
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.packet import Packet
from tests.archive.places import Place
from tests.bench.decode import TOPIC, definition, definition_text, generated_at_us, messages, payload
from tests.bench.link import measured
from tests.parts import bare_consumer
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess
from tests.parts.flood import flood
from tests.parts.mosquitto import Mosquitto
from tests.parts.postgresql import running

TICK_S = 1 / os.sysconf("SC_CLK_TCK")
SUBSCRIBER = "mosquitto_sub"
LINK_ENGINE = "mqtt5"  # the daemon's own towards a broker of MQTT 5
FILTER = "gs/v1/+/+/telemetry"
FLOOR_ROUNDS = 5
LIVE_PER_SECOND = 100
LIVE_US = 1_000_000 // LIVE_PER_SECOND  # from one to the next, by the satellite's clock too
SPELL_S, SPELLS = 10, 2  # of the daemon alone, then with the consumer by hand beside it, and so on
STAGE_PACKETS = 20_000


@dataclass(slots=True)
class Rounds:
    """Wall clock and CPU seconds of each round of `packets`."""

    packets: int
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)

    def add(self, wall_s: float, cpu_s: float) -> None:
        self.wall_s.append(wall_s)
        self.cpu_s.append(cpu_s)

    @property
    def cpu_us(self) -> float:
        return statistics.median(self.cpu_s) / self.packets * 1e6

    @property
    def per_second(self) -> float:
        return self.packets / statistics.median(self.wall_s)

    def shown(self, name: str) -> str:
        best = self.packets / min(self.wall_s)
        return (
            f"{name:14} {self.cpu_us:7.1f} µs CPU a packet (least {min(self.cpu_s) / self.packets * 1e6:5.1f})"
            f"  {self.per_second:9,.0f} packets/s (best {best:8,.0f})  one core {1e6 / self.cpu_us:8,.0f}/s"
        )


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def running_s(pid: int) -> float:
    """Return the same, of the threads that live, finer than in ticks of 10 ms."""
    found = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            found += int((task / "schedstat").read_text(encoding="ascii").split()[0])
    return found / 1e9


class Daemon(DaemonProcess):
    """The daemon, and what it takes of the machine."""

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def cpu_s(self) -> float:
        return cpu_s(self.pid)

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    def settled(self) -> tuple[int, float]:
        """Return how many packets are stored, and when the last commit was."""
        status = self.get("/api/status")[1]
        at = status["archive"]["last_commit_at"]
        stored = sum(link["stored"] for link in status["links"])
        return stored, datetime.fromisoformat(at).timestamp() if at else 0.0


@contextlib.contextmanager
def ingesting(folder: Path, place: Place) -> Iterator[tuple[Mosquitto, Daemon]]:
    """Run a broker and a daemon that is ready."""
    broker = Mosquitto(folder / "broker", extra="log_type none\nautosave_on_changes false").start()
    # A frozen daemon pings nobody, and must not be taken for dead.
    settings = SETTINGS.replace('name = "mqtt"', f'name = "mqtt"\nport = {broker.port}\nkeepalive_s = 65535')
    secret = f'\npassword_file = "{place.password_file}"' if place.password_file else ""
    settings = settings.replace('url = "sqlite:///test.db"', f'url = "{place.url}"{secret}')
    path = write_files(folder / "station", settings=settings)
    (path.parent / "satellites" / "bench-sat.toml").write_text(definition_text(), encoding="utf-8")
    daemon = Daemon(path)
    try:
        daemon.start().wait_until_ready()
        yield broker, daemon
    finally:
        daemon.stop()
        broker.kill9()


def drain(broker: Mosquitto, daemon: Daemon, first: int, count: int) -> tuple[float, float]:
    """Let a backlog of `count` packets into the daemon; return seconds of wall clock and CPU."""
    before, _ = daemon.settled()
    daemon.signal(signal.SIGSTOP)
    try:
        assert flood(broker.port, TOPIC, (payload(number) for number in range(first, first + count))) == count
    finally:
        cpu, began = daemon.cpu_s(), time.time()
        daemon.signal(signal.SIGCONT)
    while (now := daemon.settled())[0] < before + count:
        assert daemon.process is not None
        assert daemon.process.poll() is None, daemon.text()[-2000:]
        time.sleep(0.5)  # asking costs the daemon a few milliseconds
    assert now[0] == before + count
    return now[1] - began, daemon.cpu_s() - cpu


class Floors:
    """The other consumers of the same broker; each has a session, in which the same backlog gathers."""

    def __init__(self, broker: Mosquitto, folder: Path, count: int) -> None:
        self._port = str(broker.port)
        self._count = str(count)
        self._file = folder / "bare.db"
        python = sys.executable
        link_bench = [python, "-m", "tests.bench.link"]
        self._commands = {
            SUBSCRIBER: self._subscriber("-c", "-C", self._count),
            "bare": [python, "-m", "tests.parts.bare_consumer", self._port, self._count, str(self._file)],
            "link alone": [*link_bench, "--messages", self._count, "--drain", LINK_ENGINE, self._port],
        }
        # What it costs to start is no part of a packet's cost.
        self._start_s = {
            SUBSCRIBER: 0.0,
            "bare": measured([python, "-c", "import tests.parts.bare_consumer"])[1],
            "link alone": measured([python, "-c", "import tests.bench.link"])[1],
        }
        self.rounds = {name: Rounds(count) for name in self._commands}

    def _subscriber(self, *how: str, name: str = SUBSCRIBER) -> list[str]:
        return ["mosquitto_sub", "-p", self._port, "-i", name, "-q", "1", "-t", FILTER, *how]

    def open_sessions(self) -> None:
        for name in (SUBSCRIBER, bare_consumer.CLIENT_ID, LINK_ENGINE):
            measured(self._subscriber("-c", "-E", name=name))

    def end_sessions(self) -> None:
        for name in (SUBSCRIBER, bare_consumer.CLIENT_ID, LINK_ENGINE):
            measured(self._subscriber("-E", name=name))

    @contextlib.contextmanager
    def running_bare(self) -> Iterator[int]:
        """Run the consumer by hand beside the daemon, with a session and a file of its own; yield its process id."""
        client_id, file = "bare-live", self._file.with_name("bare-live.db")
        measured(self._subscriber("-c", "-E", name=client_id))
        program = [sys.executable, "-m", "tests.parts.bare_consumer", self._port, "1000000", str(file), client_id]
        with subprocess.Popen(program) as process:
            try:
                yield process.pid
            finally:
                process.kill()
        measured(self._subscriber("-E", name=client_id))
        with contextlib.closing(sqlite3.connect(file)) as database:
            (stored,) = database.execute("SELECT count(*) FROM packet").fetchone()
        assert stored > 0

    def drain(self) -> None:
        for name, command in self._commands.items():
            wall_s, cpu_s = measured(command)
            self.rounds[name].add(wall_s, cpu_s - self._start_s[name])
        with contextlib.closing(sqlite3.connect(self._file)) as database:
            (stored,) = database.execute("SELECT count(*) FROM packet").fetchone()
        assert stored == len(self.rounds["bare"].wall_s) * int(self._count)


def stages(folder: Path) -> dict[str, float]:
    """Return for each stage of the pipeline its microseconds of CPU a packet, alone."""
    place = Place(f"sqlite:///{folder / 'stages.db'}")
    place.migrate()
    decode = Decoder({"bench-sat": definition()}, ["hko"], {"main": "gs/v1"})
    tally = Tally({"bench-sat": definition()}, ["hko"])
    spent = dict.fromkeys(("decode", "rows", "insert", "tally"), 0.0)
    given = messages(STAGE_PACKETS, named=True)
    with open_engine(place.url).connect() as connection:
        for first in range(0, STAGE_PACKETS, BATCH_MOST):
            marks = [time.process_time()]
            packets = [one for m in given[first : first + BATCH_MOST] if isinstance(one := decode(m), Packet)]
            marks.append(time.process_time())
            batch = Batch(packets, (), 1_760_000_000_000_000 + first)
            with connection.begin():
                write_batch(connection, batch, (), careful=False)
            marks.append(time.process_time())
            for one in packets:
                packet_row(one, 0)
            marks.append(time.process_time())
            tally.observe(list(zip(packets, batch.fates, strict=True)), ())
            marks.append(time.process_time())
            decoded, written, made, observed = (later - sooner for sooner, later in pairwise(marks))
            for name, seconds in zip(spent, (decoded, made, written - made, observed), strict=True):
                spent[name] += seconds
    return {name: seconds / STAGE_PACKETS * 1e6 for name, seconds in spent.items()}


class Watch(threading.Thread):
    """Notes when each packet can first be read by somebody else."""

    def __init__(self, file: Path) -> None:
        super().__init__(name="watch")
        self.seen: dict[int, float] = {}  # when, by generation time
        self.done = threading.Event()
        self._file = file

    def run(self) -> None:
        with contextlib.closing(sqlite3.connect(f"file:{self._file}?mode=ro", uri=True)) as database:
            (last,) = database.execute("SELECT coalesce(max(rowid), 0) FROM packet").fetchone()
            while not self.done.wait(0.001):
                for rowid, generated_at_us in database.execute(
                    "SELECT rowid, generated_at FROM packet WHERE rowid > ? ORDER BY rowid", (last,)
                ):
                    last, self.seen[generated_at_us] = rowid, time.monotonic()


async def trickle(port: int, first: int, seconds: float) -> dict[int, float]:
    """Publish LIVE_PER_SECOND; return when each packet was handed to the publisher, by generation time."""
    published: dict[int, float] = {}
    async with Publisher(LinkSettings(name="bench", port=port, client_id="bench")) as publisher:
        began = time.monotonic()
        for place in range(int(seconds * LIVE_PER_SECOND)):
            await asyncio.sleep(began + place / LIVE_PER_SECOND - time.monotonic())
            message = payload(first + place, every_us=LIVE_US)
            published[generated_at_us(first + place, LIVE_US)] = time.monotonic()
            await publisher.publish(TOPIC, message)
    return published


def tell_delay(broker: Mosquitto, file: Path, first: int, seconds: float) -> None:
    """Print how long after its publication a packet can be read."""
    watch = Watch(file)
    watch.start()
    published = asyncio.run(trickle(broker.port, first, seconds))
    while len(watch.seen) < len(published):
        time.sleep(0.05)
    watch.done.set()
    watch.join()
    delays_ms = sorted((watch.seen[at] - then) * 1000 for at, then in published.items())
    p50, p99 = (delays_ms[int(len(delays_ms) * share)] for share in (0.5, 0.99))
    print(
        f"at {LIVE_PER_SECOND}/s: publish → committed p50 {p50:.1f} ms, p99 {p99:.1f} ms, worst {delays_ms[-1]:.1f} ms",
        flush=True,
    )


def tell_load(broker: Mosquitto, daemon: Daemon, floors: "Floors", first: int, seconds: float) -> None:
    """Print the share of a core that the daemon takes, and that the consumer by hand takes, turn and turn about."""
    turns = max(1, round(seconds / SPELL_S))
    ours, bare = list[float](), list[float]()
    for turn in range(turns):
        at = first + turn * 100_000
        ours += percents(broker, daemon.pid, at)
        with floors.running_bare() as bare_pid:
            bare += percents(broker, bare_pid, at + 50_000)
    time.sleep(1)  # the last are committed too, and no backlog is counted with them
    ratio = statistics.median(ours) / statistics.median(bare)
    print(
        f"at {LIVE_PER_SECOND}/s, medians of {len(ours)} spells of {SPELL_S} s: {spread(ours)} of a core; "
        f"bare {spread(bare)}, and groundstation {ratio:.2f} × it",
        flush=True,
    )


def spread(shares: Sequence[float]) -> str:
    mean = statistics.fmean(shares)
    return f"{statistics.median(shares):.2f} % ({min(shares):.2f} to {max(shares):.2f}, mean {mean:.2f})"


def percents(broker: Mosquitto, pid: int, first: int) -> list[float]:
    """Return the share of a core that a process takes in each of some spells at LIVE_PER_SECOND."""
    asyncio.run(trickle(broker.port, first, 2))  # the interpreter learns what is hot
    found = []
    for spell in range(SPELLS):
        before, began = running_s(pid), time.monotonic()
        asyncio.run(trickle(broker.port, first + 1000 + spell * 2000, SPELL_S))
        found.append(100 * (running_s(pid) - before) / (time.monotonic() - began))
    return found


def measure_sqlite(folder: Path, packets: int, rounds: int, live_s: float) -> None:
    place, count = Place(f"sqlite:///{folder / 'archive.db'}"), packets // rounds
    with ingesting(folder, place) as (broker, daemon):
        floors = Floors(broker, folder, count)
        ours, resident_mb = Rounds(count), [daemon.resident_mb()]
        tell_delay(broker, folder / "archive.db", packets, live_s)  # before there is much to roll up
        tell_load(broker, daemon, floors, packets + 100_000, live_s)
        floors.open_sessions()
        for number in range(rounds):
            ours.add(*drain(broker, daemon, number * count, count))
            resident_mb.append(daemon.resident_mb())
            if number < FLOOR_ROUNDS:
                floors.drain()
            if number == FLOOR_ROUNDS - 1:
                floors.end_sessions()
        tell(ours, floors.rounds)
        tell_stages(ours, floors.rounds["link alone"], stages(folder))
        shown = ", ".join(f"{mb:.0f}" for mb in resident_mb[:: max(1, len(resident_mb) // 10)])
        print(f"resident memory over {packets:,} packets: {shown} MB; most {max(resident_mb):.0f} MB", flush=True)


def tell(ours: Rounds, floors: dict[str, Rounds]) -> None:
    print(ours.shown("groundstation"))
    for name in ("bare", SUBSCRIBER):
        cpu, wall = ours.cpu_us / floors[name].cpu_us, ours.per_second / floors[name].per_second
        print(f"{floors[name].shown(name)}\n{'':14} groundstation takes {cpu:.2f} × its CPU, at {wall:.2f} × its speed")


def tell_stages(ours: Rounds, link: Rounds, spent: dict[str, float]) -> None:
    all_stages = {"link": link.cpu_us, **spent}
    all_stages["rest"] = ours.cpu_us - sum(all_stages.values())
    print("CPU by stage:", ", ".join(f"{name} {us:.1f}" for name, us in all_stages.items()), "µs a packet")


def measure_postgresql(folder: Path, packets: int, rounds: int) -> None:
    with contextlib.contextmanager(running)("shared_buffers = 128MB") as server:
        place = Place(server.url(server.new_database()), server.password_file)
        with ingesting(folder, place) as (broker, daemon):
            ours = Rounds(packets // rounds)
            for number in range(rounds):
                ours.add(*drain(broker, daemon, number * ours.packets, ours.packets))
            print(ours.shown("PostgreSQL"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--packets", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--live", type=float, default=30, metavar="SECONDS", help="how long to run at 100 packets/s, twice"
    )
    parser.add_argument("--long", action="store_true", help="2,000,000 packets in 20 rounds: is memory flat?")
    parser.add_argument("--engine", choices=["sqlite", "postgresql"])
    given = parser.parse_args()
    said = subprocess.run(["mosquitto", "-h"], capture_output=True, text=True, check=False).stdout
    print(
        said.partition("\n")[0], f"SQLite {sqlite3.sqlite_version}", f"{os.cpu_count()} processors", sep=", ", end=", "
    )
    print(f"load {os.getloadavg()[0]:.1f}", flush=True)
    packets, rounds = (2_000_000, 20) if given.long else (given.packets, given.rounds)
    if given.engine != "postgresql":
        with tempfile.TemporaryDirectory(prefix="groundstation-bench-") as folder:
            measure_sqlite(Path(folder), packets, rounds, given.live)
    if given.engine != "sqlite":
        with tempfile.TemporaryDirectory(prefix="groundstation-bench-") as folder:
            measure_postgresql(Path(folder), min(packets, 200_000), min(rounds, 5))


if __name__ == "__main__":
    main()
