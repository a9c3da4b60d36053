"""The database away, the disk full: nothing is lost, memory is bounded, no hand is needed, nobody is deceived."""

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from groundstation.pipeline import BATCH_MOST, Inbox
from tests.archive.places import Place
from tests.no_loss.feed import Feed
from tests.no_loss.ground import Ground, eventually, ground_segment
from tests.no_loss.witness import Witness, witnessed
from tests.parts.postgresql import PostgreSQL

SEED = 20261123
PER_SECOND = 2000
INBOX = Inbox([]).capacity
GROWTH_MOST_MB = 60  # of 6,001 packets with what they came in and went out as; each outage brings ever more than that


@asynccontextmanager
async def under_load(ground: Ground, seed: int) -> AsyncIterator[tuple[Feed, Witness]]:
    """Feed packets while the block lasts, and judge afterwards: all there, once, and the daemon as well as before."""
    print(f"seed {seed}")
    ground.daemon.start().wait_until_ready()
    feed = Feed(ground.broker.port, PER_SECOND)
    async with witnessed(ground, seed) as witness:
        feeding = asyncio.create_task(feed.run(), name="feed")
        await eventually(ground.is_at_work, "the daemon does nothing")
        resident_mb = ground.resident_mb()
        yield feed, witness
        feed.enough.set()
        await feeding
        await eventually(lambda: ground.has_stored(feed.confirmed), "packets are missing")
        await eventually(ground.is_idle, "it does not come to rest")
    assert ground.sequences() == list(range(feed.confirmed))
    assert (status := ground.ask())["healthy"], status["problems"]
    assert metric(ground, "groundstation_archive_up") == 1
    assert metric(ground, "groundstation_archive_errors_total") > 0
    assert ground.daemon.process is not None
    assert ground.daemon.process.poll() is None  # it is the very process that lived through it
    # One batch that is being committed, and one decoded meanwhile.
    assert witness.most_in_flight <= INBOX + 2 * BATCH_MOST
    assert witness.most_resident_mb - resident_mb < GROWTH_MOST_MB
    assert await asyncio.to_thread(ground.daemon.stop) == 0


async def the_truth_is_told(ground: Ground, feed: Feed) -> None:
    """Wait until the daemon has noticed, and read what it says to machines of every kind."""
    await eventually(lambda: says(ground, "/healthz", "healthy", wanted=False), "the trouble is not noticed")
    assert ground.ask("/healthz")["problems"] == ["the archive cannot be written"]
    assert ground.ask("/readyz") == {"ready": True, "missing": []}  # a restart would help nobody
    assert metric(ground, "groundstation_archive_up") == 0
    assert metric(ground, "groundstation_archive_errors_total") > 0
    stored = metric(ground, "groundstation_packets_stored_total")
    await eventually(lambda: is_behind(ground, feed), "nothing gathers at the broker")
    link = await ground.link()
    assert link is not None
    assert link["up"]  # it keeps its connection, and leaves the rest to the broker
    assert metric(ground, "groundstation_packets_stored_total") == stored


async def says(ground: Ground, path: str, key: str, *, wanted: Any) -> bool:
    answer = await asyncio.to_thread(ground.ask, path)
    return answer is not None and answer[key] == wanted


async def is_behind(ground: Ground, feed: Feed) -> bool:
    """Tell whether more has gathered at the broker than the daemon would ever hold."""
    link = await ground.link()
    return link is not None and feed.confirmed - link["received"] > INBOX


def metric(ground: Ground, name: str) -> float:
    """Return the sum of the metric's samples."""
    text = ground.ask_text("/metrics")
    assert text is not None
    lines = [line for line in text.splitlines() if line.partition(" ")[0].partition("{")[0] == name]
    assert lines, f"no {name}: {text}"
    return sum(float(line.rpartition(" ")[2]) for line in lines)


@pytest.fixture
def on_postgresql(tmp_path: Path, postgresql: PostgreSQL) -> Iterator[Ground]:
    with ground_segment(
        tmp_path, Place(postgresql.url(postgresql.new_database()), postgresql.password_file)
    ) as segment:
        yield segment


@pytest.mark.parametrize(
    "away_s",
    [
        pytest.param(3, id="3 s"),
        pytest.param(20, id="20 s", marks=[pytest.mark.soak, pytest.mark.timeout(300)]),
    ],
)
async def test_postgresql_may_go_away(on_postgresql: Ground, postgresql: PostgreSQL, away_s: float) -> None:
    async with under_load(on_postgresql, SEED) as (feed, _):
        await asyncio.to_thread(postgresql.stop)
        try:
            gone_at = asyncio.get_running_loop().time()
            await the_truth_is_told(on_postgresql, feed)
            await asyncio.sleep(gone_at + away_s - asyncio.get_running_loop().time())
        finally:
            await asyncio.to_thread(postgresql.start)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 32 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode != 0:
        pytest.skip(f"this kernel refuses a container its own tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_the_disk_may_fill(tmp_path: Path, small_disk: Path) -> None:
    ballast = small_disk / "ballast"
    with ground_segment(tmp_path, Place(f"sqlite:///{small_disk / 'archive.db'}")) as ground:
        async with under_load(ground, SEED) as (feed, _):
            with pytest.raises(OSError, match="No space left"):
                ballast.write_bytes(bytes(32 << 20))
            await the_truth_is_told(ground, feed)
            ballast.unlink()
        assert ground.place.rows("PRAGMA integrity_check") == [("ok",)]
