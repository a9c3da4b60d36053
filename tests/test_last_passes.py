"""The passes that were heard last, with the numbers that `record` takes."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from groundstation.archive.migrate import migrate
from groundstation.archive.queries import Reader
from groundstation.config import Config, load_config
from groundstation.last_passes import BACK, TOLD, LastPasses
from groundstation.orbit.passes import Pass, find_passes
from tests.commands.test_replay import at, fill, housekeeping
from tests.parts.config_files import DEFINITION, write_files

NIGHT = datetime(2026, 8, 23, tzinfo=UTC), datetime(2026, 8, 26, tzinfo=UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    found = load_config(write_files(tmp_path / "station"))
    migrate(found.settings.archive.url)
    return found


def archive_of(config: Config) -> Path:
    return Path(config.settings.archive.url.removeprefix("sqlite:///"))


def passes_of(config: Config) -> list[Pass]:
    return sorted(find_passes(config.elements, config.sites["hko"], *NIGHT), key=lambda one: one.culmination)


def last_passes(config: Config) -> LastPasses:
    return LastPasses(Reader(config.settings.archive.url), config.definitions.values())


def numbers(last: LastPasses) -> list[int]:
    return [one.number for one in last.heard]


async def test_the_last_ones_heard_are_told_with_number_and_packets(config: Config) -> None:
    passes = passes_of(config)
    silent = passes[-2]
    heard = [one for one in passes if one is not silent]
    given = [housekeeping(at(one.aos, 10 + n), n) for count, one in enumerate(heard) for n in range(count + 1)]
    await fill(config, given, tuple(passes))
    last = last_passes(config)
    await last.renew(NIGHT[1])
    assert [one.aos_us for one in last.heard] == [at(one.aos, 0) for one in heard[: -TOLD - 1 : -1]]
    assert numbers(last) == [passes.index(one) + 1 for one in heard[: -TOLD - 1 : -1]]
    assert [one.packets for one in last.heard] == [heard.index(passes[one - 1]) + 1 for one in numbers(last)]


async def test_a_pass_under_way_and_one_long_ago_are_not_among_them(config: Config) -> None:
    (first, *_) = passes_of(config)
    await fill(config, [housekeeping(at(first.aos, 10), 1)], (first,))
    assert first.los is not None
    for now, told in ((first.culmination, 0), (first.los, 1), (first.culmination + BACK, 1), (first.los + BACK, 0)):
        last = last_passes(config)
        await last.renew(now)
        assert len(last.heard) == told, now


async def test_while_the_archive_is_away_what_was_known_stays(config: Config) -> None:
    (first, *_) = passes_of(config)
    await fill(config, [housekeeping(at(first.aos, 10), 1)], (first,))
    last = last_passes(config)
    await last.renew(NIGHT[1])
    (known,) = last.heard
    archive_of(config).write_bytes(b"this is no database")
    await last.renew(NIGHT[1])
    assert last.heard == (known,)


async def test_the_end_of_a_pass_is_not_waited_for_until_the_next_round(config: Config) -> None:
    now = datetime.now(UTC)
    long_ago = passes_of(config)[0]
    shift = now - long_ago.culmination - BACK / 2
    assert long_ago.aos is not None
    assert long_ago.los is not None
    lately = replace(long_ago, aos=long_ago.aos + shift, culmination=now - BACK / 2, los=long_ago.los + shift)
    last = last_passes(config)
    async with asyncio.TaskGroup() as tasks:
        keeping = tasks.create_task(last.keep(lambda: None))
        await asyncio.sleep(0.5)
        assert numbers(last) == []
        await fill(config, [housekeeping(at(lately.aos, 10), 1)], (lately,))
        last.pass_ended()
        async with asyncio.timeout(10):
            while not numbers(last):  # noqa: ASYNC110  (as a page looks)
                await asyncio.sleep(0.05)
        keeping.cancel()


def test_satellites_that_send_no_packets_are_not_asked_for(tmp_path: Path) -> None:
    silent = DEFINITION.partition("[[packets]]")[0]
    config = load_config(write_files(tmp_path / "station", definition=silent))
    asyncio.run(last_passes(config).renew(NIGHT[1]))
    assert not archive_of(config).exists()
