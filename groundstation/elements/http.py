"""Asks a source for element sets, once and under its rules: conditional, bounded, and honest about who asks.

CelesTrak answers 403 and "has not updated since your last successful download" to who comes back within two hours:
the copy is current. To any other refusal it wants no second try, and blocks addresses that go on. Space-Track wants a
login, all numbers in one query, and no more than one an hour. When a source may be asked again is decided elsewhere,
and remembered across restarts: this module only asks.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path

import aiohttp

from groundstation import __version__
from groundstation.elements.settings import SourceSettings
from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements, ElementsError

AGENT = f"groundstation/{__version__} (satellite ground station; one request a source in two hours at most)"
BYTES_MOST = 32_000_000  # the whole catalogue of 16,000 objects is 8 MB as JSON
WAIT_S = 30.0  # for one request: login and query together are less than what makes a task look stuck
LOGOUT = aiohttp.ClientTimeout(total=3)  # a courtesy: it must not delay a stop
NOT_UPDATED = "has not updated since your last successful download"
NOTHING = ("No GP data found", "No SupGP data found")

Conditions = Mapping[str, str]  # request headers that ask for news alone


class Outcome(StrEnum):
    """What became of a fetch: a closed set, the label of a metric."""

    UPDATED = "updated"
    CURRENT = "current"  # 304, or the 403 that means so
    NO_DATA = "no_data"  # the source knows none of what was asked for
    FORBIDDEN = "forbidden"  # 401, 403, 429
    NOT_FOUND = "not_found"
    MOVED = "moved"
    SERVER_ERROR = "server_error"
    STATUS = "status"  # any other
    TIMEOUT = "timeout"
    NETWORK = "network"
    CUT_OFF = "cut_off"
    TOO_LARGE = "too_large"
    MALFORMED = "malformed"
    CREDENTIALS = "credentials"
    INTERRUPTED = "interrupted"  # asked, and the daemon ended before it had the answer


GOOD = {Outcome.UPDATED, Outcome.CURRENT}
STATUSES: Mapping[int, Outcome] = {
    HTTPStatus.NOT_MODIFIED: Outcome.CURRENT,
    HTTPStatus.UNAUTHORIZED: Outcome.FORBIDDEN,
    HTTPStatus.FORBIDDEN: Outcome.FORBIDDEN,
    HTTPStatus.TOO_MANY_REQUESTS: Outcome.FORBIDDEN,
    HTTPStatus.NOT_FOUND: Outcome.NOT_FOUND,
    HTTPStatus.GONE: Outcome.NOT_FOUND,
}


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    detail: str = ""  # one line for people, where it is no success
    elements: tuple[Elements, ...] = ()
    conditions: Conditions = field(default_factory=dict)  # for the next time


class FetchError(Exception):
    """The fetch is over without an answer of use: the outcome, and one line for people."""

    def __init__(self, outcome: Outcome, detail: str) -> None:
        self.outcome = outcome
        super().__init__(detail)


async def fetch(source: SourceSettings, url: str, conditions: Conditions, *, wait_s: float = WAIT_S) -> Answer:
    """Return what `source` answers; nothing is raised, and never is a part of the data taken for the whole."""
    try:
        async with session_with(source, wait_s) as session:
            outcome, text, fresh = await ask(session, url, conditions)
        found = await asyncio.to_thread(parse, text, source.name) if outcome is Outcome.UPDATED else ()
    except FetchError as error:
        return Answer(error.outcome, str(error))
    detail = "the source has no elements of what was asked for" if outcome is Outcome.NO_DATA else ""
    return Answer(outcome, detail, tuple(found), fresh)


@asynccontextmanager
async def session_with(source: SourceSettings, wait_s: float) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a session that knows who we are, logged in where the source wants it; all errors become FetchError."""
    timeout = aiohttp.ClientTimeout(total=wait_s)
    # The jar must keep a cookie for a host without a name too: this session speaks to one host alone.
    jar = aiohttp.CookieJar(unsafe=True)
    try:
        async with aiohttp.ClientSession(timeout=timeout, cookie_jar=jar, headers={"User-Agent": AGENT}) as session:
            if source.kind != "space-track":
                yield session
                return
            await log_in(session, source)
            try:
                yield session
            finally:
                with suppress(aiohttp.ClientError, TimeoutError):
                    await session.get(f"{source.base()}/ajaxauth/logout", timeout=LOGOUT)
    except TimeoutError as error:
        raise FetchError(Outcome.TIMEOUT, f"no whole answer within {wait_s:g} s") from error
    except aiohttp.ClientPayloadError as error:
        raise FetchError(Outcome.CUT_OFF, "the answer ended before its end") from error
    except aiohttp.ClientError as error:
        raise FetchError(Outcome.NETWORK, str(error) or type(error).__name__) from error


async def log_in(session: aiohttp.ClientSession, source: SourceSettings) -> None:
    fields = {"identity": source.username or "", "password": password(source.password_file)}
    async with session.post(f"{source.base()}/ajaxauth/login", data=fields, allow_redirects=False) as response:
        text = await body(response)
        if response.status == HTTPStatus.UNAUTHORIZED or "failed" in text.lower():
            raise FetchError(Outcome.CREDENTIALS, f"the login of {source.username} was refused")
        if response.status != HTTPStatus.OK:
            raise refused(response, text)


def password(file: Path | None) -> str:
    """Read the password afresh, so that a changed one needs no restart."""
    try:
        return file.read_text(encoding="utf-8").removesuffix("\n") if file else ""
    except (OSError, UnicodeDecodeError) as error:
        raise FetchError(Outcome.CREDENTIALS, f"password_file {file}: cannot be read") from error


async def ask(session: aiohttp.ClientSession, url: str, conditions: Conditions) -> tuple[Outcome, str, Conditions]:
    """Return the outcome, the text where there is news, and the conditions for the next time."""
    async with session.get(url, headers=conditions, allow_redirects=False) as response:
        text = await body(response)
        if response.status == HTTPStatus.OK:
            if text.strip() in {"", "[]"} or text.startswith(NOTHING):
                return Outcome.NO_DATA, "", {}
            return Outcome.UPDATED, text, conditions_of(response)
        if response.status == HTTPStatus.NOT_MODIFIED or says_current(response, text):
            return Outcome.CURRENT, "", conditions
        raise refused(response, text)


def conditions_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    pairs = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
    return {asked: response.headers[told] for asked, told in pairs if told in response.headers}


def says_current(response: aiohttp.ClientResponse, text: str) -> bool:
    return response.status == HTTPStatus.FORBIDDEN and NOT_UPDATED in " ".join(text.split())


def refused(response: aiohttp.ClientResponse, text: str) -> FetchError:
    status = response.status
    outcome = STATUSES.get(status, Outcome.STATUS)
    if 300 <= status < 400:
        return FetchError(Outcome.MOVED, f"HTTP {status} to {response.headers.get('Location', 'nowhere')[:200]}")
    if status >= 500:
        outcome = Outcome.SERVER_ERROR
    first = " ".join(text.split())[:120]
    return FetchError(outcome, f"HTTP {status}: {first}" if first else f"HTTP {status}")


async def body(response: aiohttp.ClientResponse) -> str:
    """Return the whole body; it is counted as it comes, after any decompression, and never held beyond the bound."""
    if (response.content_length or 0) > BYTES_MOST:
        raise FetchError(Outcome.TOO_LARGE, f"{response.content_length} bytes, expected {BYTES_MOST} at most")
    parts, size = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        size += len(part)
        if size > BYTES_MOST:
            raise FetchError(Outcome.TOO_LARGE, f"more than {BYTES_MOST} bytes")
        parts.append(part)
    return b"".join(parts).decode("utf-8", errors="replace")


def parse(text: str, source: str) -> Sequence[Elements]:
    try:
        return parse_elements(text, source)
    except ElementsError as error:
        raise FetchError(Outcome.MALFORMED, str(error)) from error
