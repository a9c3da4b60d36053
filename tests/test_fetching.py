"""A source is asked at most once in two hours, whoever starts how often, and less and less while it fails."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.elements.http import Outcome
from groundstation.elements.settings import SourceSettings
from groundstation.fetching import HOUR_US, Round, ask_source, now_us, wait_us
from tests.orbit.histories import QUIET
from tests.orbit.sets import shipped
from tests.parts.element_server import ElementServer, as_json, element_server

NUMBERS = (57696, 61231, 67748)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ElementServer]:
    async with element_server() as running:
        running.by_number = {str(one.norad_id): as_json(one) for one in shipped()}
        yield running


@pytest.fixture
def archive(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path / 'archive.db'}"
    migrate(url)
    return url


def source(server: ElementServer, **changes: object) -> SourceSettings:
    return SourceSettings(name="celestrak", kind="celestrak", url=server.url, **changes)  # type: ignore[arg-type]


async def ask(archive: str, asked: SourceSettings, catalogue: tuple[int, ...] = NUMBERS) -> Round:
    """Ask as a process does that has just started."""
    async with Writer(archive) as writer:
        return await ask_source(asked, catalogue, writer)


async def test_each_number_of_the_catalogue_is_asked_for_once(server: ElementServer, archive: str) -> None:
    found = await ask(archive, source(server))
    assert (found.outcome, sorted(one.norad_id for one in found.elements)) == (Outcome.UPDATED, list(NUMBERS))
    assert server.paths == [f"/gp.php?CATNR={number}&FORMAT=json" for number in NUMBERS]
    assert found.succeeded_at_us is not None


async def test_a_restart_loop_asks_once(server: ElementServer, archive: str) -> None:
    first = await ask(archive, source(server, group="active"))
    for _ in range(5):
        again = await ask(archive, source(server, group="active"))
        assert (again.outcome, again.next_at_us) == (None, first.next_at_us)
        assert again.succeeded_at_us == first.succeeded_at_us
    assert server.paths == ["/gp.php?GROUP=active&FORMAT=json"]


@pytest.mark.parametrize("mode", ["403", "500", "html", "half", "no data", "current"])
async def test_a_restart_loop_asks_a_source_that_fails_once_too(server: ElementServer, archive: str, mode: str) -> None:
    server.mode = mode
    for _ in range(4):
        await ask(archive, source(server, norad_ids=(57696,)))
    assert len(server.asked) == 1


async def test_who_is_refused_one_number_does_not_try_the_next_nor_after_a_restart(
    server: ElementServer, archive: str
) -> None:
    server.mode = "403"
    found = await ask(archive, source(server))
    assert (found.outcome, found.detail) == (Outcome.FORBIDDEN, "HTTP 403: Go away")
    server.mode = "good"
    assert (await ask(archive, source(server))).outcome is None
    assert len(server.asked) == 1


async def test_a_number_that_the_source_does_not_know_leaves_the_others(server: ElementServer, archive: str) -> None:
    server.by_number["61231"] = "No GP data found"
    found = await ask(archive, source(server))
    assert (found.outcome, len(found.elements)) == (Outcome.UPDATED, 2)
    assert len(server.asked) == 3


async def test_a_number_that_is_new_in_the_catalogue_is_asked_for_and_the_others_are_not(
    server: ElementServer, archive: str
) -> None:
    await ask(archive, source(server), (57696, 61231))
    await ask(archive, source(server), NUMBERS)
    assert [path.partition("=")[2][:5] for path in server.paths] == ["57696", "61231", "67748"]


async def test_current_is_only_believed_where_there_is_a_copy(server: ElementServer, archive: str) -> None:
    server.mode = "current"
    found = await ask(archive, source(server, norad_ids=(57696,)))
    assert found.outcome is Outcome.FORBIDDEN
    assert "there is none in this archive" in found.detail


async def test_sets_of_objects_that_were_not_asked_for_refuse_the_answer(server: ElementServer, archive: str) -> None:
    server.by_number["57696"] = as_json(*shipped()[:2])
    found = await ask(archive, source(server, norad_ids=(57696,)))
    assert (found.outcome, found.elements) == (Outcome.MALFORMED, ())
    assert found.detail == "has elements of 61231, which were not asked for"


async def test_the_next_time_is_conditional_across_restarts(server: ElementServer, archive: str) -> None:
    server.text, server.mode = as_json(QUIET), "conditional"
    await ask(archive, source(server, group="active"))
    async with Writer(archive) as writer:  # two hours and more go by
        await writer.commit(lambda connection: connection.exec_driver_sql("UPDATE element_fetch SET allowed_at = 0"))
        found = await ask_source(source(server, group="active"), (), writer)
    assert found.outcome is Outcome.CURRENT
    assert server.asked[1].headers["If-None-Match"] == '"one"'


async def test_where_the_archive_cannot_remember_nobody_is_asked(server: ElementServer, tmp_path: Path) -> None:
    with pytest.raises(ArchiveUnavailableError):
        await ask(f"sqlite:///{tmp_path / 'never-migrated.db'}", source(server))
    assert server.asked == []


def test_a_source_that_fails_is_left_alone_for_longer_each_time_but_for_a_day_at_most() -> None:
    often = SourceSettings(name="a", kind="celestrak", every_h=2)
    seldom = SourceSettings(name="a", kind="celestrak", every_h=48)
    assert [wait_us(often, failures) / HOUR_US for failures in range(6)] == [2, 4, 8, 16, 24, 24]
    assert [wait_us(seldom, failures) / HOUR_US for failures in range(6)] == [48] * 6


async def test_a_failure_is_remembered_in_the_time_of_the_next(server: ElementServer, archive: str) -> None:
    server.mode = "500"
    waits = []
    for _ in range(3):
        before = now_us()
        found = await ask(archive, source(server, norad_ids=(57696,), every_h=2))
        waits.append(round((found.next_at_us - before) / HOUR_US))
        async with Writer(archive) as writer:
            await writer.commit(
                lambda connection: connection.exec_driver_sql("UPDATE element_fetch SET allowed_at = 0")
            )
    assert waits == [4, 8, 16]
