"""The daemon keeps its archive: hours are rolled up and old rows go while it runs, by whoever leads."""

import asyncio
import time
from pathlib import Path
from statistics import median

import pytest

from groundstation.archive.settings import RetentionSettings
from groundstation.config import ConfigError, load_config
from groundstation.daemon import Daemon
from groundstation.upkeep import AGAIN_AFTER_S, QUIET_AFTER_S, ROWS, Upkeep, sharing
from tests.archive.conftest import file
from tests.archive.places import SECOND, Place, packet
from tests.parts.config_files import SETTINGS, write_files

__all__ = ["file"]

NOW_US = time.time_ns() // 1000
COUNTED = "SELECT n FROM rollup_1h WHERE parameter = 'reboots' ORDER BY n"
OLD_US = NOW_US - 40 * 86_400 * SECOND


async def test_a_daemon_rolls_up_and_forgets_what_it_finds_at_its_start(tmp_path: Path) -> None:
    settings = SETTINGS + "[archive.retention]\nrealtime_d = 30\n"
    config = load_config(write_files(tmp_path / "station", settings=settings))
    place = Place(config.settings.archive.url)
    await asyncio.to_thread(place.migrate)
    async with place.writer() as writer:
        await writer.store([packet(1, received_at_us=OLD_US), packet(2, received_at_us=NOW_US)], [])
    daemon, stopping = Daemon(config), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    async with asyncio.timeout(30):
        while daemon.health().archive.forgot_at_us is None:  # noqa: ASYNC110  (as a scraper looks)
            await asyncio.sleep(0.05)
    archive = daemon.health().archive
    stopping.set()
    await running
    assert archive.leads
    assert archive.rolled_up_at_us is not None
    assert archive.rolled_up_at_us >= NOW_US
    assert place.rows("SELECT sequence FROM packet") == [(2,)]
    assert place.rows("SELECT n FROM rollup_1h WHERE parameter = 'battery_v'") == [(2,)]


async def test_who_does_not_lead_leaves_the_archive_alone(tmp_path: Path) -> None:
    place = Place(f"sqlite:///{tmp_path / 'archive.db'}")
    await asyncio.to_thread(place.migrate)
    alive = asyncio.Event()
    async with place.writer() as writer, place.reader() as reader:
        await writer.store([packet(1)], [])
        upkeep = Upkeep(reader, RetentionSettings(realtime_d=1))
        keeping = asyncio.create_task(upkeep.run(writer, lambda: False, alive.set))
        await asyncio.wait_for(alive.wait(), 10)
        keeping.cancel()
    assert upkeep.rolled_up_at_us is None
    assert place.count("rollup_dirty") == 1


async def test_an_hour_that_packets_still_come_to_waits_as_long_as_it_is_big(file: Place) -> None:
    waits_s = 100 * AGAIN_AFTER_S
    async with file.writer(rolls_up=True) as writer, file.reader() as reader:
        upkeep = Upkeep(reader, RetentionSettings())
        await writer.store([packet(number) for number in range(100)], [])
        await upkeep.roll_up(writer)
        rolled_up = time.monotonic()
        for number in range(100, 105):
            await writer.store([packet(number)], [])
            await upkeep.roll_up(writer)
            assert file.count("rollup_dirty") == 1  # however often something came
        assert time.monotonic() < rolled_up + waits_s
        assert file.rows(COUNTED) == [(100,)]
        await asyncio.sleep(rolled_up + waits_s - time.monotonic())
        await writer.store([packet(105), packet(7200)], [])  # another hour does not wait for that one
        await upkeep.roll_up(writer)
    assert file.rows(COUNTED) == [(1,), (106,)]
    assert file.count("rollup_dirty") == 0


async def test_an_hour_waits_less_where_nothing_came_between_two_looks(file: Place) -> None:
    async with file.writer(rolls_up=True) as writer, file.reader() as reader:
        upkeep = Upkeep(reader, RetentionSettings())
        await writer.store([packet(number) for number in range(200)], [])
        await upkeep.roll_up(writer)
        await writer.store([packet(200)], [])
        await asyncio.sleep(200 * QUIET_AFTER_S)
        await upkeep.roll_up(writer)
        assert file.rows(COUNTED) == [(200,)]
        await upkeep.roll_up(writer)
    assert file.rows(COUNTED) == [(201,)]
    assert file.count("rollup_dirty") == 0


async def test_a_backlog_is_rolled_up_in_short_turns_beside_what_comes(file: Place) -> None:
    async with file.writer(rolls_up=True) as writer, file.reader() as reader:
        for first in range(0, 6000, 1000):
            await writer.store([packet(number) for number in range(first, first + 1000)], [])
            await writer.store([packet(number * 3600) for number in range(first // 20, first // 20 + 50)], [])
        upkeep, waited_s, before = Upkeep(reader, RetentionSettings()), list[float](), writer.commits
        cpu, began = time.process_time(), time.monotonic()
        rolling = asyncio.create_task(upkeep.roll_up(writer))
        while not rolling.done():
            asked = time.monotonic()
            await writer.store([packet(10_000_000 + len(waited_s))], [])
            waited_s.append(time.monotonic() - asked)
            await asyncio.sleep(0.02)
        await rolling
        share = (time.process_time() - cpu) / (time.monotonic() - began)
    assert writer.commits - before - len(waited_s) > 300 * 4 / ROWS  # transactions for the roll-ups of 300 hours
    assert median(waited_s) < 0.05
    assert share < 0.4  # with what the new packets take; without rests all of a core
    assert upkeep.rolled_up_at_us is not None


async def test_rest_follows_work_in_proportion() -> None:
    beats = list[float]()
    began = time.monotonic()
    async with sharing(lambda: beats.append(time.monotonic())):
        time.sleep(0.02)  # noqa: ASYNC251  (the work, as whoever holds the loop sees it)
    assert len(beats) == 1
    assert 0.2 <= time.monotonic() - began < 1


@pytest.mark.parametrize(
    ("retention", "line"),
    [
        ("realtime_d = -1", "archive.retention.realtime_d: found -1"),
        (
            "satellites = { nobody = { dump_d = 1 } }",
            'archive.retention.satellites: found "nobody", expected a satellite of',
        ),
        ("satellites = { one-sat = { days = 1 } }", "archive.retention.satellites"),
    ],
)
def test_a_wrong_retention_is_one_line(tmp_path: Path, retention: str, line: str) -> None:
    path = write_files(tmp_path / "station", settings=f"{SETTINGS}[archive.retention]\n{retention}\n")
    with pytest.raises(ConfigError) as wrong:
        load_config(path)
    assert line in str(wrong.value)
    assert len(wrong.value.lines) == 1


async def test_a_daemon_makes_a_view_for_each_packet_type(tmp_path: Path) -> None:
    config = load_config(write_files(tmp_path / "station"))
    daemon, stopping = Daemon(config), asyncio.Event()
    running = asyncio.create_task(daemon.run(stopping))
    async with asyncio.timeout(30):
        while not daemon.idle_s().get("upkeep"):  # noqa: ASYNC110  (as a watchdog looks)
            await asyncio.sleep(0.05)
    stopping.set()
    await running
    assert Place(config.settings.archive.url).count("telemetry_one_sat_housekeeping") == 0
