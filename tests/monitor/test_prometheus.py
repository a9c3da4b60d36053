"""The shipped Prometheus and Grafana files on a real Prometheus that scrapes a station which changes."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from groundstation.monitor.http import serve
from groundstation.monitor.metrics import render
from tests.parts.prometheus import DASHBOARDS, Prometheus, prometheus
from tests.parts.station import Station

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.fixture(scope="module")
def station() -> Station:
    return Station()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(station: Station, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    async with (
        serve("127.0.0.1", 0, station.health, list, station.calendar) as url,
        prometheus(tmp_path_factory.mktemp("prometheus"), url) as running,
    ):
        await running.until("count_over_time(groundstation_build_info[1m]) >= 7")  # a rate needs a whole interval
        yield running


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda path: path.name)
async def test_every_panel_shows_data_that_grafana_can_draw(server: Prometheus, dashboard: Path) -> None:
    await server.until('ALERTS{alertname="SevereLimit", alertstate="firing"}')
    assert await server.complaints(dashboard) == []


async def test_tables_have_one_row_for_each_key(server: Prometheus) -> None:
    """Grafana's merge joins rows whose labels are equal: every column must come under the same labels."""
    columns: dict[str, set[frozenset[frozenset[tuple[str, str]]]]] = {}
    for dashboard in DASHBOARDS:
        for answer in await server.panels(dashboard):
            if answer.target.panel["type"] == "table":
                keys = frozenset(frozenset(labels.items()) for labels in answer.labels())
                columns.setdefault(answer.target.panel["title"], set()).add(keys)
    assert {title: len(distinct) for title, distinct in columns.items()} == dict.fromkeys(columns, 1)
    assert columns["Next passes"] == {
        frozenset(
            {
                frozenset({("satellite", "hk-one"), ("station", "hko")}),
                frozenset({("satellite", "hk-two"), ("station", "hko")}),
            }
        )
    }


async def test_panels_show_what_the_station_is_doing(server: Prometheus) -> None:
    [board] = DASHBOARDS
    shown: dict[str, list[float]] = {}
    for answer in await server.panels(board):
        shown.setdefault(answer.target.panel["title"], []).extend(answer.values())
    assert shown["Conservation"] == [0]
    assert shown["Problems"] == [1]  # the link `backup` is down
    assert sorted(shown["Links"]) == [0, 1]
    assert 2300 < shown["Next AOS"][0] < 2400
    assert 60 / 540 < shown["Pass under way"][0] < 0.5
    assert max(shown["Packets stored"]) == pytest.approx(17, rel=0.4)  # 20 a second less 15 %
    assert shown["Time per transaction"][-1] == pytest.approx(0.004)
    assert sorted(shown["Element age"]) == pytest.approx([0.5 * 86400, 5 * 86400], abs=60)


async def test_the_exported_terms_and_the_exported_imbalance_agree_in_every_scrape(server: Prometheus) -> None:
    settled = "sum by (link) (groundstation_link_settled_messages_total)"
    balance = (
        f"groundstation_link_messages_total - on (link) {settled} - on (link) groundstation_link_in_flight_messages"
    )
    off = f"{balance} - on (link) groundstation_conservation_imbalance_messages"
    found = await server.query(f"max_over_time(abs({off})[30s:1s])")
    assert {one["metric"]["link"]: float(one["value"][1]) for one in found} == {"antenna": 0, "backup": 0}


async def test_the_rules_are_loaded_and_evaluate(server: Prometheus) -> None:
    groups = (await server.api("rules"))["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert {rule["health"] for rule in rules} == {"ok"}
    states = {rule["name"]: rule["state"] for rule in rules}
    assert states["SevereLimit"] == "firing"
    assert states["LinkDown"] in {"pending", "firing"}
    assert states["GroundstationDown"] == states["ConservationViolated"] == states["ArchiveDown"] == "inactive"


async def test_an_imbalance_fires_within_seconds_and_is_over_when_it_is(server: Prometheus, station: Station) -> None:
    broken = next(link for link in station.health().links if link.name == "backup")
    station.changes["links"] = (type(broken)("backup", up=True, received=5),)
    fired = await server.until('ALERTS{alertname="ConservationViolated", alertstate="firing"}')
    assert [(one["metric"]["link"], one["metric"]["severity"]) for one in fired] == [("backup", "critical")]
    del station.changes["links"]
    await server.until('absent(ALERTS{alertname="ConservationViolated"})')


async def test_scrapes_succeed_and_store_every_sample_under_its_name(server: Prometheus, station: Station) -> None:
    [share] = await server.query('avg_over_time(up{job="groundstation"}[1m])')
    assert float(share["value"][1]) > 0.8  # a busy machine may miss the second that a scrape has here
    [stored] = await server.query('count({job="groundstation", __name__=~"groundstation_.*"})')
    samples = re.findall(rb"^groundstation_", render(station.health())[0], re.MULTILINE)
    assert int(stored["value"][1]) == len(samples) > 60
