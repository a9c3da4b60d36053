"""Debian's Prometheus on the shipped configuration, and a reader of dashboards that asks it what Grafana would ask.

async with prometheus(tmp_path, "http://127.0.0.1:9108") as server:
    await server.until("groundstation_build_info")
    for answer in await server.panels(Path("config/grafana/dashboards/station.json")):
        assert answer.series, answer
"""

import asyncio
import json
import math
import re
import socket
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.parts.debian import need

CONFIG = Path(__file__).parents[2] / "config"
DASHBOARDS = sorted((CONFIG / "grafana" / "dashboards").glob("*.json"))
START_MOST_S = 30.0
LOOK_BACK_S = 30  # how far a panel with a time axis looks back
RATE_INTERVAL = "5s"  # as Grafana makes it, four scrapes, and one that a busy machine may miss


@dataclass(frozen=True, slots=True)
class Target:
    """One query of one panel, as the dashboard has it."""

    dashboard: str
    panel: Mapping[str, Any]
    query: Mapping[str, Any]

    @property
    def title(self) -> str:
        return f"{self.dashboard}, panel {self.panel['title']!r}, query {self.query['refId']}"

    @property
    def instant(self) -> bool:
        return bool(self.query.get("instant"))


@dataclass(frozen=True, slots=True)
class Answer:
    """What Prometheus returned for a target: label sets with their points (time, value)."""

    target: Target
    expr: str  # with the variables filled in
    series: tuple[tuple[Mapping[str, str], tuple[tuple[float, float], ...]], ...]

    def labels(self) -> list[Mapping[str, str]]:
        return [labels for labels, _ in self.series]

    def values(self) -> list[float]:
        return [value for _, points in self.series for _, value in points]

    def wrong(self) -> str | None:
        """Return what Grafana could not draw in this answer, or None. An empty answer is not wrong."""
        legend = re.findall(r"{{(\w+)}}", self.target.query.get("legendFormat", ""))
        for labels in self.labels():
            if absent := [name for name in legend if name not in labels]:
                return f"{self.target.title}: the legend names {absent}, the series has {sorted(labels)}"
        drawn = [self.drawn_name(labels) for labels in self.labels()]
        if self.target.query.get("format") != "table" and len(set(drawn)) < len(drawn):
            return f"{self.target.title}: several series are drawn under one name: {sorted(drawn)}"
        if infinite := [value for value in self.values() if math.isinf(value)]:
            return f"{self.target.title}: {len(infinite)} infinite values"
        return None

    def drawn_name(self, labels: Mapping[str, str]) -> str:
        legend = self.target.query.get("legendFormat", json.dumps(dict(labels)))
        return re.sub(r"{{(\w+)}}", lambda found: labels.get(found[1], ""), legend)


def targets(dashboard: Path) -> Iterator[Target]:
    """Yield every query of every panel, collapsed rows included."""
    for panel in panels_of(board_of(dashboard)):
        for query in panel.get("targets", ()):
            yield Target(dashboard.name, panel, query)


def board_of(dashboard: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(dashboard.read_text())
    return board


def panels_of(board: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", ())


def filled(expr: str, variables: Mapping[str, str]) -> str:
    """Return the expression with its variables replaced; an unknown one stays, and Prometheus refuses the `$`."""
    return re.sub(r"\$(?:{(\w+)(?::\w+)?}|(\w+))", lambda found: variables.get(found[1] or found[2], found[0]), expr)


@dataclass(frozen=True, slots=True)
class Prometheus:
    url: str
    session: aiohttp.ClientSession

    async def api(self, path: str, **parameters: str) -> Any:
        async with self.session.get(f"/api/v1/{path}", params=parameters) as response:
            answer = await response.json()
        assert answer["status"] == "success", f"{parameters}: {answer.get('error')}"
        return answer["data"]

    async def query(self, expr: str) -> list[dict[str, Any]]:
        """Return the instant vector of an expression as Prometheus' JSON has it."""
        found: list[dict[str, Any]] = (await self.api("query", query=expr))["result"]
        return found

    async def until(self, expr: str, timeout_s: float = 30.0) -> list[dict[str, Any]]:
        """Return the answer as soon as there is one."""
        end = time.monotonic() + timeout_s
        while not (found := await self.query(expr)):
            assert time.monotonic() < end, f"no data in {timeout_s:.0f} s: {expr}"
            await asyncio.sleep(0.1)
        return found

    async def variables(self, dashboard: Path) -> dict[str, str]:
        """Return a value for each variable: everything where the dashboard allows it, else the first there is."""
        values = {"__rate_interval": RATE_INTERVAL, "__interval": "1s", "__range": f"{LOOK_BACK_S}s"}
        for variable in board_of(dashboard)["templating"]["list"]:
            if variable["type"] == "datasource":
                continue
            asked = re.fullmatch(r"label_values\((.*), (\w+)\)", filled(variable["query"]["query"], values))
            assert asked, f"{dashboard.name}: variable {variable['name']} is not label_values(METRIC, LABEL)"
            found = await self.api(f"label/{asked[2]}/values", **{"match[]": asked[1]})
            assert found, f"{dashboard.name}: variable {variable['name']} has no value"
            values[variable["name"]] = variable["allValue"] if variable["includeAll"] else found[0]
        return values

    async def panels(self, dashboard: Path) -> list[Answer]:
        """Ask every query of every panel as Grafana would; a query that Prometheus refuses fails with its panel."""
        variables = await self.variables(dashboard)
        return [await self.panel(target, filled(target.query["expr"], variables)) for target in targets(dashboard)]

    async def complaints(self, dashboard: Path, may_be_empty: Collection[str] = ()) -> list[str]:
        """Return what is wrong with the panels, one line each; those titled in `may_be_empty` may show nothing."""
        answers = await self.panels(dashboard)
        empty = [a for a in answers if not a.series and a.target.panel["title"] not in may_be_empty]
        return [f"{a.target.title}: no data" for a in empty] + [wrong for a in answers if (wrong := a.wrong())]

    async def panel(self, target: Target, expr: str) -> Answer:
        now = time.time()
        span = {"start": str(now - LOOK_BACK_S), "end": str(now), "step": "1"}
        try:
            result = await (self.query(expr) if target.instant else self.range(expr, span))
        except AssertionError as error:
            raise AssertionError(f"{target.title}: {error}") from error
        series = tuple(
            (one["metric"], tuple((float(at), float(value)) for at, value in one.get("values") or [one["value"]]))
            for one in result
        )
        return Answer(target, expr, series)

    async def range(self, expr: str, span: Mapping[str, str]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.api("query_range", query=expr, **span))["result"]
        return found


@asynccontextmanager
async def prometheus(folder: Path, daemon_url: str) -> AsyncIterator[Prometheus]:
    """Run Prometheus on the shipped configuration, pointed at `daemon_url`, scraping and evaluating every second."""
    program = need("prometheus", "prometheus")
    config = folder / "prometheus.yml"
    shipped = (CONFIG / "prometheus" / "prometheus.yml").read_text()
    config.write_text(
        shipped.replace("127.0.0.1:9108", daemon_url.removeprefix("http://").rstrip("/"))
        .replace("_interval: 15s", "_interval: 1s")
        .replace("- alerts.yml", f"- {CONFIG / 'prometheus' / 'alerts.yml'}")
    )
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=1h",
            stdout=output,
            stderr=output,
        )
    try:
        async with aiohttp.ClientSession(base_url=url) as session:
            await until_ready(process, session, log)
            yield Prometheus(url, session)
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def until_ready(process: asyncio.subprocess.Process, session: aiohttp.ClientSession, log: Path) -> None:
    end = time.monotonic() + START_MOST_S
    while True:
        with suppress(aiohttp.ClientConnectionError):
            async with session.get("/-/ready") as response:
                if response.status == 200:
                    return
        assert process.returncode is None, f"Prometheus ended with {process.returncode}: {tail(log)}"
        assert time.monotonic() < end, f"Prometheus is not ready after {START_MOST_S} s: {tail(log)}"
        await asyncio.sleep(0.1)


def tail(log: Path) -> str:
    return log.read_text()[-2000:]
