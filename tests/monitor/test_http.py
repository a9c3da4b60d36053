"""The HTTP face, asked over a real socket."""

import asyncio
import dataclasses
import gzip
import html.parser
import json
import re
import socket
import sys
from collections.abc import AsyncIterator
from datetime import datetime

import aiohttp
import pytest
import pytest_asyncio

from groundstation.monitor.health import ArchiveHealth, ElementsHealth, HeardPass, LinkHealth, SatelliteHealth
from groundstation.monitor.http import HttpError, serve, url_of
from tests.parts.station import Station

PATHS = ("/", "/metrics", "/healthz", "/readyz", "/api/status", "/passes.ics")


@pytest.fixture
def station() -> Station:
    return Station(changes={"links": (LinkHealth("antenna", up=True),)})


@pytest.fixture
def missing() -> list[str]:
    return []


@pytest_asyncio.fixture
async def client(station: Station, missing: list[str]) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        serve("127.0.0.1", 0, station.health, lambda: missing, station.calendar) as url,
        aiohttp.ClientSession(base_url=url) as session,
    ):
        yield session


async def get(client: aiohttp.ClientSession, path: str, **headers: str) -> tuple[int, str]:
    async with client.get(path, headers=headers) as answer:
        return answer.status, await answer.text()


async def test_metrics_are_text_unless_openmetrics_is_asked_for(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", headers={"Accept": "*/*"}) as answer:
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert "groundstation_link_up" in await answer.text()
    async with client.get("/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0"}) as answer:
        assert answer.content_type == "application/openmetrics-text"
        assert (await answer.text()).endswith("# EOF\n")


async def test_metrics_are_compressed_for_who_asks(client: aiohttp.ClientSession) -> None:
    async with client.get("/metrics", headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["Content-Encoding"] == "gzip"
    async with client.get("/metrics", headers={"Accept-Encoding": "identity"}) as answer:
        assert "Content-Encoding" not in answer.headers
        assert len(gzip.compress(await answer.read())) < 5000


async def test_healthz_says_what_is_wrong(client: aiohttp.ClientSession, station: Station) -> None:
    status, text = await get(client, "/healthz")
    assert (status, json.loads(text)) == (200, {"healthy": True, "problems": []})
    station.changes["archive"] = ArchiveHealth(up=False)
    status, text = await get(client, "/healthz")
    assert (status, json.loads(text)) == (503, {"healthy": False, "problems": ["the archive cannot be written"]})


async def test_readyz_says_what_is_missing(client: aiohttp.ClientSession, missing: list[str]) -> None:
    missing.append("first subscription of link antenna")
    status, text = await get(client, "/readyz")
    assert (status, json.loads(text)) == (503, {"ready": False, "missing": ["first subscription of link antenna"]})
    missing.clear()
    status, text = await get(client, "/readyz")
    assert (status, json.loads(text)) == (200, {"ready": True, "missing": []})


async def test_status_is_the_whole_health(client: aiohttp.ClientSession, station: Station) -> None:
    station.changes.clear()
    station.started_at_us -= 60_000_000
    shown = json.loads((await get(client, "/api/status"))[1])
    sums = shown["conservation"]
    assert sums["received"] == sums["stored"] + sums["duplicate"] + sums["quarantined"] + sums["in_flight"] > 1000
    assert sums["holds"] is True
    assert shown["problems"] == ["link backup is down"]
    assert [link["imbalance"] for link in shown["links"]] == [0, 0]
    assert [one["satellite"] for one in shown["passes"]] == ["hk-one", "hk-two"]
    los, now = (datetime.fromisoformat(text) for text in (shown["passes"][0]["los"], shown["now"]))
    assert 400 < (los - now).total_seconds() < 480
    rows = shown["satellites"][0]["stored"]
    assert {"station": "hko", "packet": "eps", "kind": "dump", "count": 0} in rows
    assert sum(row["count"] for row in rows) == sums["stored"]


async def test_conservation_does_not_hold_when_two_links_cancel_out(
    client: aiohttp.ClientSession, station: Station
) -> None:
    station.changes["links"] = (LinkHealth("a", up=True, received=1), LinkHealth("b", up=True, stored=1))
    shown = json.loads((await get(client, "/api/status"))[1])
    assert shown["conservation"]["received"] == shown["conservation"]["stored"]
    assert shown["conservation"]["holds"] is False


async def test_the_calendar_is_of_what_was_asked_for(client: aiohttp.ClientSession) -> None:
    async with client.get("/passes.ics?station=hko&satellite=one-sat&satellite=two-sat") as answer:
        assert answer.headers["Content-Type"] == "text/calendar; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'inline; filename="passes.ics"'
        assert b"SUMMARY:['hko'] ['one-sat', 'two-sat']\r\n" in await answer.read()
    assert "SUMMARY:[] []" in (await get(client, "/passes.ics"))[1]
    assert await get(client, "/passes.ics?station=atlantis") == (404, "station: found atlantis, expected hko\n")


class Tags(html.parser.HTMLParser):
    """Fails on a tag that is not closed in order, and keeps what the page would load."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


async def test_the_page_is_whole_and_loads_nothing(client: aiohttp.ClientSession, station: Station) -> None:
    station.changes.clear()
    async with client.get("/") as answer:
        assert answer.content_type == "text/html"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        text = await answer.text()
    tags = Tags()
    tags.feed(text)
    assert tags.open == []
    assert not {tag for tag, _ in tags.seen} & {"script", "link", "img", "iframe"}
    links = [attrs["href"] for tag, attrs in tags.seen if tag == "a"]
    assert set(links) == set(PATHS) - {"/"}
    assert ("meta", {"http-equiv": "refresh", "content": "5"}) in tags.seen
    assert "link backup is down" in text


async def test_the_page_shows_what_the_antennas_take(client: aiohttp.ClientSession, station: Station) -> None:
    station.changes.clear()
    async with client.get("/") as response:
        contacts = (await response.text()).partition("<h2>Contacts</h2>")[2].partition("</section>")[0]
    assert contacts.index("hk-one") < contacts.index("committed") < contacts.index("hk-two") < contacts.index("planned")
    assert "under way" in contacts
    async with client.get("/api/status") as response:
        state = await response.json()
    assert [(one["satellite"], one["committed"]) for one in state["contacts"]] == [("hk-one", True), ("hk-two", False)]
    assert state["plans"] == [{"station": "hko", "planned": 6, "committed": 1, "skipped": {"low": 4, "conflict": 2}}]


async def test_page_and_status_number_the_last_passes_heard(client: aiohttp.ClientSession, station: Station) -> None:
    _, text = await get(client, "/")
    assert '<td class="dim" colspan="8">none</td>' in text.partition("<h2>Last passes heard</h2>")[2]
    now_us = station.health().now_us
    station.changes["heard"] = (
        HeardPass(412, "hk-one", "hko", now_us - 900_000_000, now_us - 300_000_000, 61.25, 1234),
    )
    _, text = await get(client, "/")
    section = text.partition("<h2>Last passes heard</h2>")[2].partition("</section>")[0]
    assert '<td class="n">412</td><td>hk-one</td><td>hko</td><td>5 min 00 s ago</td>' in section
    assert '<td class="n">61.2°</td><td class="n">1,234</td>' in section
    (shown,) = json.loads((await get(client, "/api/status"))[1])["heard"]
    assert (shown["number"], shown["packets"]) == (412, 1234)


async def test_page_and_status_say_how_far_aos_may_be_off(client: aiohttp.ClientSession, station: Station) -> None:
    given = station.health().passes
    assert [one.aos_uncertainty_s for one in given] == [1.4, 2240.5]
    station.changes["passes"] = (*given, dataclasses.replace(given[0], satellite="hk-three", aos_uncertainty_s=None))
    _, text = await get(client, "/")
    for cell in ("2 s", "37 min 21 s", "?"):  # never less than it is
        assert f"<td>{cell}</td>" in text
    shown = json.loads((await get(client, "/api/status"))[1])
    assert [one["aos_uncertainty_s"] for one in shown["passes"]] == [1.4, 2240.5, None]


async def test_the_page_colours_elements_that_expired(client: aiohttp.ClientSession, station: Station) -> None:
    now_us = station.health().now_us
    ages_d = {"hk-one": 13.9, "hk-two": 14.1}
    station.changes["elements"] = tuple(
        ElementsHealth(slug, epoch_us=now_us - round(age * 86_400e6), source="files") for slug, age in ages_d.items()
    )
    station.changes["satellites"] = tuple(SatelliteHealth(slug) for slug in ages_d)
    _, text = await get(client, "/")
    assert re.findall(r'<span class="old">(\d+) d', text) == ["14"]
    assert re.findall(r"<td>(\d+) d \d+ h old", text) == ["13"]


async def test_the_page_leaves_out_what_decayed_unless_it_was_heard(
    client: aiohttp.ClientSession, station: Station
) -> None:
    station.changes["satellites"] = (
        SatelliteHealth("flying"),
        SatelliteHealth("replayed", decayed=True, last_received_at_us=station.health().now_us),
        SatelliteHealth("gone", decayed=True),
    )
    _, text = await get(client, "/")
    shown = text.partition("<h2>Satellites</h2>")[2].partition("<h2>")[0]
    assert re.findall("<td>(flying|replayed|gone)</td>", shown) == ["flying", "replayed"]
    assert "Decayed and never heard, so not shown: 1." in shown
    status = json.loads((await get(client, "/api/status"))[1])
    assert [one["satellite"] for one in status["satellites"]] == ["flying", "replayed", "gone"]


async def test_the_page_is_safe_from_names(client: aiohttp.ClientSession, station: Station) -> None:
    hostile = "<script>alert(1)</script>"
    station.changes |= {
        "version": hostile,
        "links": (LinkHealth(hostile, up=False, disconnects={hostile: 1}),),
        "satellites": (SatelliteHealth(hostile, out_of_limits={hostile: 1}),),
        "rejected": {hostile: 1},
        "tasks": {hostile: 1.0},
    }
    _, text = await get(client, "/")
    assert "&lt;script&gt;" in text
    assert "<script>" not in text


@pytest.mark.parametrize("path", PATHS)
async def test_head_answers_like_get_without_a_body(client: aiohttp.ClientSession, path: str) -> None:
    async with client.head(path) as head, client.get(path) as whole:
        assert head.status == whole.status == 200
        assert head.content_type == whole.content_type
        assert head.headers["Cache-Control"] == "no-store"
        assert await head.read() == b""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_nothing_can_be_changed(client: aiohttp.ClientSession, path: str, method: str) -> None:
    async with client.request(method, path) as answer:
        assert answer.status == 405
        assert answer.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("path", ["/nothing", "/metrics/", "/api", "/../etc/passwd", "/%00"])
async def test_what_is_not_there_is_404(client: aiohttp.ClientSession, path: str) -> None:
    assert (await get(client, path))[0] == 404


async def test_scrapes_at_once_are_each_consistent(client: aiohttp.ClientSession, station: Station) -> None:
    station.changes.clear()
    answers = await asyncio.gather(*(get(client, "/metrics") for _ in range(20)))
    assert all('groundstation_conservation_imbalance_messages{link="antenna"} 0.0' in text for _, text in answers)


@pytest.mark.parametrize("request_bytes", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\r\n\r\n", b"X" * 20_000])
async def test_nonsense_is_refused_without_a_word_in_the_log(
    station: Station, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with serve("127.0.0.1", 0, station.health, list, station.calendar) as url:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rsplit(":", 1)[1]))
        writer.write(request_bytes)
        assert (await asyncio.wait_for(reader.readline(), 10)).split()[1] == b"400"
        writer.close()
    assert caplog.records == []


async def test_a_fault_of_ours_is_logged_and_the_server_goes_on(
    client: aiohttp.ClientSession, station: Station, caplog: pytest.LogCaptureFixture
) -> None:
    station.changes["links"] = None  # not a Health
    assert (await get(client, "/metrics"))[0] == 500
    assert "TypeError" in caplog.text
    station.changes.clear()
    assert (await get(client, "/metrics"))[0] == 200


async def test_a_port_in_use_is_one_clear_line(station: Station) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(HttpError) as caught:
            async with serve("127.0.0.1", port, station.health, list, station.calendar):
                pass
    assert str(caught.value) == f"http: cannot listen on 127.0.0.1:{port}: Address already in use"


async def test_a_host_that_is_not_ours_is_one_clear_line(station: Station) -> None:
    reason = "Cannot assign requested address" if sys.version_info < (3, 13) else "could not bind on any address .*"
    with pytest.raises(HttpError, match=rf"^http: cannot listen on 192\.0\.2\.1:0: {reason}$"):
        async with serve("192.0.2.1", 0, station.health, list, station.calendar):
            pass


async def test_the_server_stops_though_a_client_hangs(station: Station) -> None:
    loop = asyncio.get_running_loop()
    async with serve("127.0.0.1", 0, station.health, list, station.calendar) as url:
        port = int(url.rsplit(":", 1)[1])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n")  # and never the end of it
        await writer.drain()
        leaving = loop.time()
    assert loop.time() - leaving < 5
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://127.0.0.1:9108"),
        ("0.0.0.0", "http://127.0.0.1:9108"),
        ("::", "http://[::1]:9108"),
        ("2001:db8::7", "http://[2001:db8::7]:9108"),
    ],
)
def test_the_url_opens_from_this_machine(host: str, url: str) -> None:
    assert url_of(host, 9108) == url


async def test_a_satellite_without_anything_is_shown(client: aiohttp.ClientSession, station: Station) -> None:
    bare = dataclasses.replace(station.health(), satellites=(SatelliteHealth("new"),), passes=(), elements=(), tasks={})
    station.changes |= {field.name: getattr(bare, field.name) for field in dataclasses.fields(bare)}
    assert "new" in (await get(client, "/"))[1]
    assert json.loads((await get(client, "/api/status"))[1])["satellites"][0]["last_received_at"] is None
