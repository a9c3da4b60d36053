"""A local stand-in for CelesTrak and Space-Track that answers as it is told, and remembers who asked for what."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from groundstation.orbit.elements import Elements
from groundstation.replay.omm_figures import omm_figures

NOT_UPDATED = """GP data has not updated since your last successful
download of GROUP=stations at 2026-11-22 08:11:36 UTC.
Data is updated once every 2 hours."""
LAST_MODIFIED = "Sun, 22 Nov 2026 08:00:00 GMT"
COOKIE = "chocolatechip"
BIG = 50_000_000


def as_json(*sets: Elements) -> str:
    """Return the sets as both services write them."""
    return json.dumps([omm_figures(one) for one in sets])


@dataclass(slots=True)
class ElementServer:
    """`mode` says how the next request is answered: good, or one of the ways in which things go wrong."""

    port: int = 0
    mode: str = "good"
    text: str = "[]"
    by_number: dict[str, str] = field(default_factory=dict)  # for CATNR; `text` for others
    asked: list[web.Request] = field(default_factory=list)
    logins: list[dict[str, str]] = field(default_factory=list)
    sent_bytes: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/gp.php"

    @property
    def paths(self) -> list[str]:
        return [request.path_qs for request in self.asked]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if request.path.startswith("/basicspacedata") and COOKIE not in request.cookies:
            return web.Response(status=401, text="You must be logged in to complete this action")
        match self.mode:
            case "current":
                return web.Response(status=403, text=NOT_UPDATED)
            case "conditional" if request.headers.get("If-None-Match") == '"one"':
                return web.Response(status=304)
            case "hang":
                await asyncio.sleep(3600)
            case "half":
                return await self.half(request)
            case "no length":
                return web.Response(text=self.text[: len(self.text) // 2])
            case "html":
                return web.Response(text="<!DOCTYPE html><html><body>Down for maintenance</body></html>")
            case "huge":
                return await self.huge(request, {})
            case "huge and says so":
                return await self.huge(request, {"Content-Length": str(BIG)})
            case "moved":
                return web.Response(status=301, headers={"Location": "https://elsewhere.invalid/"})
            case "no data":
                return web.Response(text="No GP data found")
            case status if status.isdigit():
                return web.Response(status=int(status), text="Go away")
        text = self.by_number.get(request.query.get("CATNR", ""), self.text)
        return web.Response(text=text, headers={"ETag": '"one"', "Last-Modified": LAST_MODIFIED})

    async def half(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": str(len(self.text))})
        await response.prepare(request)
        await response.write(self.text[: len(self.text) // 2].encode())
        assert request.transport
        request.transport.close()
        return response

    async def huge(self, request: web.Request, headers: dict[str, str]) -> web.StreamResponse:
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        chunk = b" " * 1_000_000
        while self.sent_bytes < BIG:
            await response.write(chunk)
            self.sent_bytes += len(chunk)
        return response

    async def login(self, request: web.Request) -> web.Response:
        form = {key: str(value) for key, value in (await request.post()).items()}
        self.logins.append(form)
        if form.get("password") != "secret":
            return web.json_response({"Login": "Failed"})
        response = web.Response(text='""')
        response.set_cookie(COOKIE, "abc")
        return response

    async def logout(self, request: web.Request) -> web.Response:
        self.logins.append({"logout": request.path})
        return web.Response(text="Successfully logged out")


@asynccontextmanager
async def element_server() -> AsyncIterator[ElementServer]:
    server = ElementServer()
    app = web.Application()
    app.router.add_post("/ajaxauth/login", server.login)
    app.router.add_get("/ajaxauth/logout", server.logout)
    app.router.add_get("/{path:.*}", server.answer)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()
