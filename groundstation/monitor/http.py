"""The daemon's face on the network: metrics for Prometheus, probes for machines, one page for people. Read only.

    /            the state as a page that a phone can read         /healthz   200, or 503 with what is wrong
    /metrics     text or OpenMetrics, as the scraper prefers       /readyz    200, or 503 with what is missing
    /api/status  everything that the page shows, as JSON
    /passes.ics  the passes as a calendar to subscribe to; ?station=S&satellite=T chooses, each as often as needed

`/healthz` tells whether somebody should come. A link that is down makes it 503, and restarting the daemon would not
help: leave restarts to systemd's watchdog.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler

from groundstation.monitor.health import Health
from groundstation.monitor.metrics import render
from groundstation.monitor.page import page
from groundstation.monitor.status import status

log = logging.getLogger(__name__)
# A client that speaks nonsense gets 400 and is no error of ours: a port scan must not fill the journal.
log.addFilter(lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError)))

READ_HEALTH = web.AppKey[Callable[[], Health]]("read_health")
READ_MISSING = web.AppKey[Callable[[], Sequence[str]]]("read_missing")
ReadCalendar = Callable[[Collection[str], Collection[str]], Awaitable[str]]
READ_CALENDAR = web.AppKey[ReadCalendar]("read_calendar")

SHUTDOWN_S = 1.0  # a scrape lasts milliseconds: a client that hangs must not delay the daemon's stop
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}


class HttpError(Exception):
    """The server cannot listen where the configuration says."""


class CalendarError(Exception):
    """There is no calendar to give: one line, and the HTTP status that says whose fault it is."""

    def __init__(self, http_status: int, line: str) -> None:
        self.http_status = http_status
        super().__init__(line)


@asynccontextmanager
async def serve(
    host: str,
    port: int,
    read_health: Callable[[], Health],
    missing: Callable[[], Sequence[str]],
    read_calendar: ReadCalendar,
) -> AsyncIterator[str]:
    """Serve until the block ends and yield the URL; port 0 takes a free one.

    `read_health` is called on the event loop, once a request. `missing` returns what the daemon still waits for
    before it is ready, and nothing once it is. `read_calendar` returns the passes of the stations and satellites that
    it is given (of all where none), or raises CalendarError. Raises HttpError, with one line, where it cannot listen.
    """
    app = application(read_health, missing, read_calendar)
    runner = web.AppRunner(app, access_log=None, logger=log, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, host, port).start()
        except OSError as error:
            # asyncio wraps the text in a sentence of its own; a failed name look-up has no errno worth a text, and
            # from Python 3.13 on an address that is not ours has neither.
            reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or error
            raise HttpError(f"http: cannot listen on {host}:{port}: {reason}") from error
        yield url_of(*runner.addresses[0][:2])
    finally:
        await runner.cleanup()


def url_of(host: str, port: int) -> str:
    """Return an address that opens from this machine: a wildcard is none."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  # compared with, not bound to
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


def application(
    read_health: Callable[[], Health], missing: Callable[[], Sequence[str]], read_calendar: ReadCalendar
) -> web.Application:
    app = web.Application(middlewares=[with_headers])
    app[READ_HEALTH] = read_health
    app[READ_MISSING] = missing
    app[READ_CALENDAR] = read_calendar
    handlers: Mapping[str, Callable[[web.Request], Awaitable[web.Response]]] = {
        "/": get_page,
        "/metrics": get_metrics,
        "/healthz": get_healthz,
        "/readyz": get_readyz,
        "/api/status": get_status,
        "/passes.ics": get_calendar,
    }
    for path, handler in handlers.items():
        app.router.add_get(path, handler)  # HEAD comes with it
    return app


@web.middleware
async def with_headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    response = await handler(request)
    response.headers.update(HEADERS)
    return response


async def get_page(request: web.Request) -> web.Response:
    return web.Response(text=page(request.app[READ_HEALTH](), request.app[READ_MISSING]()), content_type="text/html")


async def get_metrics(request: web.Request) -> web.Response:
    health = request.app[READ_HEALTH]()
    body, content_type = await asyncio.to_thread(render, health, request.headers.get("Accept", ""))
    response = web.Response(body=body, headers={"Content-Type": content_type})
    response.enable_compression()  # as the scraper asks for: a tenth of the bytes on a station's thin line
    return response


async def get_healthz(request: web.Request) -> web.Response:
    problems = request.app[READ_HEALTH]().problems()
    return json_response({"healthy": not problems, "problems": problems}, 503 if problems else 200)


async def get_readyz(request: web.Request) -> web.Response:
    missing = list(request.app[READ_MISSING]())
    return json_response({"ready": not missing, "missing": missing}, 503 if missing else 200)


async def get_status(request: web.Request) -> web.Response:
    return json_response(status(request.app[READ_HEALTH](), request.app[READ_MISSING]()))


async def get_calendar(request: web.Request) -> web.Response:
    wanted = (request.query.getall(key, []) for key in ("station", "satellite"))
    try:
        text = await request.app[READ_CALENDAR](*wanted)
    except CalendarError as error:
        return web.Response(text=f"{error}\n", status=error.http_status)
    headers = {"Content-Disposition": 'inline; filename="passes.ics"'}
    return web.Response(text=text, content_type="text/calendar", headers=headers)


def json_response(value: Any, http_status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(value), status=http_status, content_type="application/json")
