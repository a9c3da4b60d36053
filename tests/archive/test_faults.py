"""Whatever happens to the database or to us: what was acknowledged is there, once, and recovery needs no hand."""

import asyncio
import os
import random
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.telemetry.packet import Fate, Packet, Rejection
from tests.archive.cut import relay
from tests.archive.places import Place, packet, rejection
from tests.archive.storing import BATCH
from tests.parts.postgresql import PostgreSQL

STORED, DUPLICATE = Fate.STORED, Fate.DUPLICATE
KILLS = 4


async def store_at_last(writer: Writer, packets: Sequence[Packet], rejections: Sequence[Rejection]) -> Sequence[Fate]:
    """Try again as the pipeline does, only faster."""
    while True:
        try:
            return await writer.store(packets, rejections)
        except ArchiveUnavailableError:
            await asyncio.sleep(0.02)


async def test_kill_9_loses_nothing_that_was_acknowledged(place: Place) -> None:
    chance = random.Random(20261122)
    password_file = [str(place.password_file)] if place.password_file else []
    stored = 0
    for _ in range(KILLS):
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.archive.storing", place.url, str(stored), *password_file),
            stdout=asyncio.subprocess.PIPE,
        )
        assert process.stdout is not None
        said = [await process.stdout.readline() for _ in range(chance.randrange(1, 30))]
        await asyncio.sleep(chance.uniform(0, 0.02))  # so that it dies anywhere, not just after an answer
        process.kill()
        said += (await process.stdout.read()).splitlines(keepends=True)
        await process.wait()
        acknowledged = stored + BATCH * sum(line.endswith(b"\n") for line in said)
        # Whole batches, all that was acknowledged, and at most the one that was on its way.
        stored = place.count("packet")
        assert stored in (acknowledged, acknowledged + BATCH)
    async with place.writer() as writer:
        fates = await writer.store([packet(number) for number in range(stored + BATCH)], [])
    assert fates == [DUPLICATE] * stored + [STORED] * BATCH
    if place.engine == "sqlite":
        assert place.rows("PRAGMA integrity_check") == [("ok",)]


async def test_a_file_that_was_taken_away_is_not_written_to(file: Place) -> None:
    path = Path(file.url.removeprefix("sqlite:///"))
    async with file.writer() as writer:
        assert await writer.store([packet(1)], []) == [STORED]
        parts = [path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")]
        away = [part.rename(f"{part}.away") for part in parts]
        for _ in range(2):
            with pytest.raises(ArchiveUnavailableError, match=r"deleted or replaced|there is no such file"):
                await writer.store([packet(2)], [])
        for part, moved in zip(parts, away, strict=True):
            moved.rename(part)
        assert await writer.store([packet(2)], []) == [STORED]
        assert writer.up
    assert file.count("packet") == 2


async def test_a_commit_whose_answer_was_lost_counts_once(server: Place, postgresql: PostgreSQL) -> None:
    batch = [packet(1), packet(2), packet(1), packet(3, station="cuhk")]
    async with relay(postgresql.port) as between:
        through = Place(server.url.replace(str(postgresql.port), str(between.port)), server.password_file)
        async with through.writer() as writer:
            assert await writer.store([packet(3)], []) == [STORED]
            between.cut_next_commit = True
            with pytest.raises(ArchiveUnavailableError):
                await writer.store(batch, [rejection()])
            assert not writer.up
            assert between.cuts == 1
            assert server.count("packet") == 3  # the commit did succeed
            assert await writer.store(batch, [rejection()]) == [STORED, STORED, DUPLICATE, DUPLICATE]
            assert await writer.store(batch, [rejection()]) == [DUPLICATE] * 4
            assert (writer.up, writer.errors) == (True, 1)
    assert server.count("packet") == 3
    assert server.count("reception") == 1
    assert server.count("quarantine") == 1


async def test_a_server_that_restarts_and_crashes_costs_no_packet(server: Place, postgresql: PostgreSQL) -> None:
    enough, fates = asyncio.Event(), list[Fate]()
    async with server.writer() as writer:

        async def store_until_enough() -> None:
            while not enough.is_set():
                first = len(fates)
                fates.extend(await store_at_last(writer, [packet(first + place) for place in range(50)], []))

        async def until(holds: Callable[[], bool]) -> None:
            while not holds():  # noqa: ASYNC110  (the writer's counters are not events)
                await asyncio.sleep(0.001)

        storing = asyncio.create_task(store_until_enough())
        for how in (signal.SIGINT, signal.SIGQUIT):
            before = writer.commits
            await until(lambda before=before: writer.commits >= before + 5)  # type: ignore[misc]
            await asyncio.to_thread(postgresql.stop, how)
            await until(lambda: not writer.up)
            await asyncio.to_thread(postgresql.start)
            await until(lambda: writer.up)
        enough.set()
        await storing
        assert fates == [STORED] * len(fates)
        assert writer.up
        assert writer.errors > 0
    assert server.count("packet") == len(fates)


async def test_a_server_that_says_nothing_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:  # the kernel accepts, nobody answers
        port = listening.getsockname()[1]
        async with Place(f"postgresql://operator@127.0.0.1:{port}/archive?connect_timeout=2").writer() as writer:
            with pytest.raises(ArchiveUnavailableError, match="timeout"):
                await writer.store([packet()], [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 3 MB."""
    if os.geteuid() != 0:
        pytest.skip("needs root to mount a tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], capture_output=True, text=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip(f"this kernel refuses a container its own tmpfs: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


async def test_a_full_disk_stops_nothing_for_good(small_disk: Path) -> None:
    place = Place(f"sqlite:///{small_disk / 'archive.db'}")
    place.migrate()
    ballast = small_disk / "ballast"
    async with place.writer() as writer:
        assert await writer.store([packet(0)], []) == [STORED]
        with pytest.raises(OSError, match="No space left"):
            ballast.write_bytes(bytes(3 << 20))
        batch = [packet(number, frame=bytes(500)) for number in range(1, 500)]
        for _ in range(3):
            with pytest.raises(ArchiveUnavailableError, match=r"full|disk I/O"):
                await writer.store(batch, [rejection()])
        assert (writer.up, writer.errors) == (False, 3)
        assert place.count("packet") == 1  # and what is there can still be read
        ballast.unlink()
        assert await writer.store(batch, [rejection()]) == [STORED] * 499
        assert writer.up
    assert place.count("packet") == 500
    assert place.rows("PRAGMA integrity_check") == [("ok",)]


async def test_a_file_that_may_not_grow_stops_nothing_for_good(file: Place) -> None:
    batch = [packet(number, frame=bytes(500)) for number in range(1, 1000)]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    async with file.writer() as writer:
        assert await writer.store([packet(0)], []) == [STORED]
        resource.setrlimit(resource.RLIMIT_FSIZE, (256 * 1024, hard))
        try:
            with pytest.raises(ArchiveUnavailableError, match=r"full|disk I/O"):
                await writer.store(batch, [])
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert (writer.up, writer.errors) == (False, 1)
        assert await writer.store(batch, []) == [STORED] * 999
        assert (writer.up, writer.errors) == (True, 1)
    assert file.rows("PRAGMA integrity_check") == [("ok",)]


async def test_a_write_whose_caller_went_away_is_finished_before_the_archive_closes(place: Place) -> None:
    async with place.writer() as writer:
        storing = asyncio.create_task(writer.store([packet(number) for number in range(1000)], []))
        await asyncio.sleep(0)
        storing.cancel()
        await asyncio.wait([storing])
    assert place.count("packet") in (0, 1000)
