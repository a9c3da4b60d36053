"""Every answer of a source becomes one outcome of a closed set, and no part of the data passes as the whole."""

import tracemalloc
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest
import pytest_asyncio

from groundstation.elements.http import BYTES_MOST, GOOD, Outcome, fetch
from groundstation.elements.settings import SourceSettings
from tests.orbit.histories import QUIET
from tests.orbit.sets import shipped
from tests.parts.element_server import LAST_MODIFIED, ElementServer, as_json, element_server


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ElementServer]:
    async with element_server() as running:
        running.text = as_json(QUIET)
        yield running


def celestrak(server: ElementServer) -> SourceSettings:
    return SourceSettings(name="celestrak", kind="celestrak", url=server.url, norad_ids=(57696,))


def url_of(source: SourceSettings) -> str:
    return source.requests(())[0].url


async def test_a_good_answer_has_the_sets_and_what_to_ask_with_next_time(server: ElementServer) -> None:
    source = celestrak(server)
    answer = await fetch(source, url_of(source), {})
    assert (answer.outcome, answer.detail) == (Outcome.UPDATED, "")
    assert [one.epoch for one in answer.elements] == [QUIET.epoch]
    assert answer.conditions == {"If-None-Match": '"one"', "If-Modified-Since": LAST_MODIFIED}
    assert server.paths == ["/gp.php?CATNR=57696&FORMAT=json"]


async def test_the_second_request_is_conditional_and_304_means_current(server: ElementServer) -> None:
    server.mode = "conditional"
    source = celestrak(server)
    first = await fetch(source, url_of(source), {})
    second = await fetch(source, url_of(source), first.conditions)
    assert (first.outcome, second.outcome) == (Outcome.UPDATED, Outcome.CURRENT)
    assert second.conditions == first.conditions
    assert server.asked[1].headers["If-Modified-Since"] == LAST_MODIFIED


async def test_celestraks_403_for_who_asks_too_soon_means_current(server: ElementServer) -> None:
    server.mode = "current"
    source = celestrak(server)
    answer = await fetch(source, url_of(source), {"If-None-Match": '"kept"'})
    assert answer.outcome is Outcome.CURRENT
    assert answer.conditions == {"If-None-Match": '"kept"'}


@pytest.mark.parametrize(
    ("mode", "outcome", "detail"),
    [
        ("403", Outcome.FORBIDDEN, "HTTP 403: Go away"),
        ("429", Outcome.FORBIDDEN, "HTTP 429: Go away"),
        ("404", Outcome.NOT_FOUND, "HTTP 404: Go away"),
        ("500", Outcome.SERVER_ERROR, "HTTP 500: Go away"),
        ("503", Outcome.SERVER_ERROR, "HTTP 503: Go away"),
        ("418", Outcome.STATUS, "HTTP 418: Go away"),
        ("moved", Outcome.MOVED, "HTTP 301 to https://elsewhere.invalid/"),
        ("hang", Outcome.TIMEOUT, "no whole answer within 0.3 s"),
        ("half", Outcome.CUT_OFF, "the answer ended before its end"),
        ("no length", Outcome.MALFORMED, "celestrak:1: "),
        ("html", Outcome.MALFORMED, "celestrak:1: found an HTML page"),
        ("huge and says so", Outcome.TOO_LARGE, "50000000 bytes, expected 32000000 at most"),
        ("no data", Outcome.NO_DATA, "the source has no elements"),
    ],
)
async def test_what_goes_wrong_has_its_outcome_and_one_line(
    server: ElementServer, mode: str, outcome: Outcome, detail: str
) -> None:
    server.mode = mode
    source = celestrak(server)
    answer = await fetch(source, url_of(source), {}, wait_s=0.3 if mode == "hang" else 20)
    assert answer.outcome is outcome
    assert answer.outcome not in GOOD
    assert answer.detail.startswith(detail)
    assert "\n" not in answer.detail
    assert answer.elements == ()
    assert len(server.asked) == 1  # nothing is tried again


async def test_fifty_megabytes_are_given_up_at_the_bound_and_never_held(server: ElementServer) -> None:
    server.mode = "huge"
    source = celestrak(server)
    tracemalloc.start()
    answer = await fetch(source, url_of(source), {})
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert (answer.outcome, answer.detail) == (Outcome.TOO_LARGE, f"more than {BYTES_MOST} bytes")
    assert peak < 1.5 * BYTES_MOST


async def test_nobody_there_is_a_network_error_in_words(server: ElementServer) -> None:
    source = msgspec.structs.replace(celestrak(server), url="http://127.0.0.1:9/gp.php")
    answer = await fetch(source, url_of(source), {})
    assert answer.outcome is Outcome.NETWORK
    assert "127.0.0.1:9" in answer.detail


async def test_it_says_honestly_who_asks(server: ElementServer) -> None:
    source = celestrak(server)
    await fetch(source, url_of(source), {})
    assert server.asked[0].headers["User-Agent"].startswith("groundstation/")


async def test_one_malformed_set_refuses_the_whole_answer(server: ElementServer) -> None:
    server.text = as_json(*shipped()).replace('"EPOCH": "2026-08-22', '"EPOCH": "2026-08-32', 1)
    source = celestrak(server)
    answer = await fetch(source, url_of(source), {})
    assert (answer.outcome, answer.elements) == (Outcome.MALFORMED, ())


def space_track(server: ElementServer, directory: Path, secret: str = "secret\n") -> SourceSettings:
    (directory / "password").write_text(secret)
    return SourceSettings(
        name="st",
        kind="space-track",
        url=f"http://127.0.0.1:{server.port}",
        username="me@example.org",
        password_file=directory / "password",
    )


async def test_space_track_is_asked_once_for_all_numbers_between_login_and_logout(
    server: ElementServer, tmp_path: Path
) -> None:
    server.text = as_json(*shipped())
    source = space_track(server, tmp_path)
    (request,) = source.requests([61231, 57696, 57696])
    answer = await fetch(source, request.url, {})
    assert (answer.outcome, len(answer.elements)) == (Outcome.UPDATED, 9)
    assert server.paths == ["/basicspacedata/query/class/gp/NORAD_CAT_ID/57696,61231/format/json"]
    assert server.logins == [
        {"identity": "me@example.org", "password": "secret"},
        {"logout": "/ajaxauth/logout"},
    ]


async def test_a_refused_login_asks_for_nothing_and_does_not_repeat_the_password(
    server: ElementServer, tmp_path: Path
) -> None:
    source = space_track(server, tmp_path, "wrong-one")
    answer = await fetch(source, source.requests([57696])[0].url, {})
    assert (answer.outcome, answer.detail) == (Outcome.CREDENTIALS, "the login of me@example.org was refused")
    assert server.paths == []


async def test_a_password_file_that_is_gone_sends_nothing(server: ElementServer, tmp_path: Path) -> None:
    source = space_track(server, tmp_path)
    (tmp_path / "password").unlink()
    answer = await fetch(source, source.requests([57696])[0].url, {})
    assert answer.outcome is Outcome.CREDENTIALS
    assert server.logins == []
