"""Candidates from anywhere serve once the gate admits them, and what served is known after a restart."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from groundstation.archive.element_supply import refused_since
from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.config import load_config
from groundstation.orbit.elements import Elements
from groundstation.orbit.passes import find_passes
from groundstation.orbit.tle import parse_tle
from groundstation.supply import Supply
from tests.orbit.histories import later
from tests.parts.config_files import DEFINITION, ELEMENTS, write_files
from tests.parts.element_server import as_json

FIRST: Elements = parse_tle(ELEMENTS, "one.tle")[0]
NEXT = later(FIRST, 1)
JUMPED = later(FIRST, 1, inclination_deg=0.3)


@pytest.fixture
def station(tmp_path: Path) -> Path:
    path = write_files(tmp_path / "station")
    migrate(url(path))
    return path


def url(station: Path) -> str:
    return f"sqlite:///{station.parent / 'test.db'}"


@pytest_asyncio.fixture
async def writer(station: Path) -> AsyncIterator[Writer]:
    async with Writer(url(station)) as opened:
        yield opened


async def opened(station: Path, writer: Writer) -> Supply:
    """Return the supply as a daemon has it that has just started."""
    supply = Supply(load_config(station))
    await supply.open(writer)
    return supply


def counts(supply: Supply) -> dict[tuple[str, str], int]:
    return {key: count for key, count in supply.refused.items() if count}


async def test_the_files_serve_at_first_and_newer_sets_after_them(station: Path, writer: Writer) -> None:
    supply = await opened(station, writer)
    assert [(one.name, one.epoch, one.source) for one in supply.elements] == [("one-sat", FIRST.epoch, "files")]
    assert not supply.changed.is_set()
    assert await supply.offer(writer, [NEXT, FIRST], "celestrak") == 1
    assert [(one.epoch, one.source) for one in supply.elements] == [(NEXT.epoch, "celestrak")]
    assert supply.changed.is_set()
    assert counts(supply) == {}


async def test_what_served_before_a_restart_serves_after_it_and_the_old_file_is_no_refusal(
    station: Path, writer: Writer
) -> None:
    await (await opened(station, writer)).offer(writer, [NEXT], "celestrak")
    supply = await opened(station, writer)
    assert [(one.epoch, one.source) for one in supply.elements] == [(NEXT.epoch, "celestrak")]
    assert counts(supply) == {}


async def test_an_older_set_that_never_served_is_counted_once(station: Path, writer: Writer) -> None:
    supply = await opened(station, writer)
    for _ in range(3):
        await supply.offer(writer, [later(FIRST, -3)], "celestrak")
    assert counts(supply) == {("one-sat", "older"): 1}


async def test_an_implausible_set_is_refused_and_kept_and_the_old_one_goes_on(station: Path, writer: Writer) -> None:
    supply = await opened(station, writer)
    for _ in range(3):
        assert await supply.offer(writer, [JUMPED], "celestrak") == 0
    assert [one.epoch for one in supply.elements] == [FIRST.epoch]
    assert counts(supply) == {("one-sat", "implausible_jump"): 1}
    (kept,) = await writer.commit(refused_since, "implausible_jump", 0)
    assert kept.elements == replace(JUMPED, name="one-sat", source="celestrak")
    assert await supply.offer(writer, [later(FIRST, 2)], "celestrak") == 1  # the true orbit goes on


async def test_a_jump_serves_once_a_second_set_agrees_also_over_a_restart(station: Path, writer: Writer) -> None:
    await (await opened(station, writer)).offer(writer, [JUMPED], "celestrak")
    supply = await opened(station, writer)
    confirming = later(JUMPED, 0.5)
    assert await supply.offer(writer, [confirming], "space-track") == 1
    assert [one.epoch for one in supply.elements] == [confirming.epoch]
    assert await supply.offer(writer, [later(confirming, 0.5)], "celestrak") == 1


async def test_a_wrong_set_of_today_does_not_keep_out_the_good_one_before_it(station: Path, writer: Writer) -> None:
    supply = await opened(station, writer)
    assert await supply.offer(writer, [later(FIRST, 2, raan_deg=20.0), NEXT], "celestrak") == 1
    assert [one.epoch for one in supply.elements] == [NEXT.epoch]
    assert counts(supply) == {("one-sat", "implausible_jump"): 1}


async def test_other_objects_are_no_concern_of_ours(station: Path, writer: Writer) -> None:
    supply = await opened(station, writer)
    assert await supply.offer(writer, [replace(NEXT, norad_id=25544)], "celestrak") == 0
    assert counts(supply) == {}


async def test_the_object_that_a_source_has_under_our_number_by_mistake_is_refused(
    station: Path, writer: Writer
) -> None:
    supply = await opened(station, writer)
    assert await supply.offer(writer, [replace(NEXT, cospar_id="1998-067A")], "celestrak") == 0
    assert counts(supply) == {("one-sat", "wrong_object"): 1}


async def test_each_candidate_number_has_a_set_of_its_own_up_to_nine_digits(tmp_path: Path) -> None:
    long = 987_654_321
    station = write_files(tmp_path / "s", definition=DEFINITION.replace("[61231]", f"[61231, {long}]"))
    migrate(url(station))
    async with Writer(url(station)) as writer:
        await (await opened(station, writer)).offer(
            writer, [NEXT, replace(FIRST, norad_id=long, cospar_id="")], "celestrak"
        )
        supply = await opened(station, writer)
    assert [(one.name, one.norad_id, one.epoch) for one in supply.elements] == [
        ("one-sat", 61231, NEXT.epoch),
        ("one-sat", long, FIRST.epoch),
    ]
    start = NEXT.epoch.replace(hour=0)
    site = load_config(station).sites["hko"]
    found = find_passes(supply.elements, site, start, start.replace(hour=23))
    assert {one.norad_id for one in found} == {61231, long}


async def test_a_first_start_tells_of_its_sets_in_one_line_and_news_by_the_satellite(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = replace(FIRST, norad_id=61232, epoch=NEXT.epoch)
    station = write_files(tmp_path / "s", definition=DEFINITION.replace("[61231]", "[61231, 61232]"))
    migrate(url(station))
    caplog.set_level("INFO", "groundstation.supply")
    async with Writer(url(station)) as writer:
        supply = Supply(replace(load_config(station), elements=(FIRST, second)))
        await supply.open(writer)
        [line] = caplog.messages
        span = f"{FIRST.epoch:%Y-%m-%d %H:%M:%SZ} to {NEXT.epoch:%Y-%m-%d %H:%M:%SZ}"
        assert line == f"2 element sets from files begin to serve, epoch {span}"
        await supply.offer(writer, [NEXT], "celestrak")
    [_, line] = caplog.messages
    assert line.startswith(f"elements of one-sat (61231): epoch {NEXT.epoch:%Y-%m-%d %H:%M:%SZ} from ")


async def test_sets_of_a_decayed_satellite_are_kept_and_not_predicted_from(tmp_path: Path) -> None:
    station = write_files(tmp_path / "s", definition=DEFINITION.replace("in_orbit", "decayed"))
    migrate(url(station))
    async with Writer(url(station)) as writer:
        supply = await opened(station, writer)
        assert await supply.offer(writer, [FIRST], "files") == 1
        assert supply.elements == ()
        again = await opened(station, writer)
        assert await again.offer(writer, [FIRST], "files") == 0  # known


async def test_new_sets_serve_though_the_archive_is_away_and_are_kept_when_it_is_back(
    station: Path, writer: Writer
) -> None:
    supply = await opened(station, writer)
    database = Path(url(station).removeprefix("sqlite:///"))
    async with Writer(f"sqlite:///{database.parent / 'no-such-folder' / 'x.db'}") as nowhere:
        assert await supply.offer(nowhere, [NEXT], "celestrak") == 1
    assert [one.epoch for one in supply.elements] == [NEXT.epoch]
    await supply.offer(writer, [], "files")
    assert [one.epoch for one in (await opened(station, writer)).elements] == [NEXT.epoch]


async def test_what_another_process_admits_is_taken_over_from_the_archive(station: Path, writer: Writer) -> None:
    daemon, by_hand = await opened(station, writer), await opened(station, writer)
    await by_hand.offer(writer, [NEXT], "celestrak")
    await daemon.catch_up(writer)
    assert [(one.epoch, one.source) for one in daemon.elements] == [(NEXT.epoch, "celestrak")]
    assert daemon.changed.is_set()


async def watched(supply: Supply, writer: Writer, until: Callable[[], bool]) -> None:
    watching = asyncio.create_task(supply.watch_files(writer, lambda: None))
    async with asyncio.timeout(20):
        while not until():  # noqa: ASYNC110  (as a scraper looks)
            await asyncio.sleep(0.01)
    watching.cancel()


async def test_a_new_file_serves_after_a_second_look_that_comes_soon(
    station: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundstation.supply.LOOK_EVERY_S", 3600.0)
    monkeypatch.setattr("groundstation.supply.LOOK_AGAIN_S", 0.01)
    daemon = await opened(station, writer)
    (station.parent / "tle" / "new.json").write_text(as_json(replace(NEXT, name="ONE")))
    await watched(daemon, writer, lambda: [one.epoch for one in daemon.elements] == [NEXT.epoch])


async def test_whoever_watches_files_looks_into_the_archive_too(
    station: Path, writer: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("groundstation.supply.LOOK_EVERY_S", 0.01)
    monkeypatch.setattr("groundstation.supply.LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr("groundstation.supply.RECALL_EVERY_S", 0.1)
    daemon, by_hand = await opened(station, writer), await opened(station, writer)
    await by_hand.offer(writer, [NEXT], "celestrak")
    await watched(daemon, writer, lambda: [one.epoch for one in daemon.elements] == [NEXT.epoch])
