"""Rules, runbook and dashboards agree with the code and with one another; promtool agrees with the rules."""

import json
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from groundstation.monitor.health import SatelliteHealth
from groundstation.monitor.metrics import METRICS, describe, render
from tests.parts.debian import need
from tests.parts.prometheus import CONFIG, DASHBOARDS, board_of, filled, panels_of, targets
from tests.parts.station import Station

PROMETHEUS = CONFIG / "prometheus"
OF_THE_PROCESS = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
OF_PROMETHEUS = {"up", "ALERTS"}
LABELS = {metric.full_name: {*metric.labels, "instance", "job"} for metric in METRICS}


def names_in(expr: str) -> set[str]:
    return set(re.findall(r"\b(?:groundstation|process)_\w+|\bup\b|\bALERTS\b", without_strings(expr)))


def without_strings(expr: str) -> str:
    return re.sub(r'"[^"]*"', '""', expr)


def alert_blocks() -> dict[str, str]:
    """Return the text of each rule by its alert's name."""
    text = (PROMETHEUS / "alerts.yml").read_text()
    blocks = re.split(r"^ +- alert: ", text, flags=re.MULTILINE)[1:]
    return {block.split("\n", 1)[0]: block for block in blocks}


def alert_expressions() -> dict[str, str]:
    found = {}
    for name, block in alert_blocks().items():
        expr = re.search(r"^ +expr: (?:\|\n)?(.*?)^ +(?:for|labels):", block, re.MULTILINE | re.DOTALL)
        assert expr, name
        found[name] = expr[1]
    return found


def all_expressions() -> Iterator[tuple[str, str]]:
    yield from alert_expressions().items()
    for dashboard in DASHBOARDS:
        yield from ((target.title, target.query["expr"]) for target in targets(dashboard))
        yield from (
            (f"annotation {one['name']}", one["expr"])
            for one in board_of(dashboard)["annotations"]["list"]
            if "expr" in one
        )
        yield from (
            (f"variable {one['name']}", one["query"]["query"])
            for one in board_of(dashboard)["templating"]["list"]
            if one["type"] == "query"
        )


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(
        [need("promtool", "prometheus"), *arguments], cwd=PROMETHEUS, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_promtool_accepts_the_configuration() -> None:
    promtool("check", "config", "--lint-fatal", "prometheus.yml")


def test_promtool_accepts_the_rules() -> None:
    promtool("check", "rules", "--lint-fatal", "alerts.yml")


def test_every_alert_behaves_as_its_unit_test_says() -> None:
    promtool("test", "rules", "alerts_test.yml")


def test_every_alert_has_a_test_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    text = (PROMETHEUS / "alerts_test.yml").read_text()
    quiet = re.findall(r"{alertname: (\w+), eval_time: \w+}", text)
    fires = re.findall(r"- alertname: (\w+)\n +eval_time: \w+\n +exp_alerts:\n +- exp_labels: {severity", text)
    assert set(quiet) == set(fires) == set(alert_blocks())


def test_a_rule_that_never_fires_fails_its_unit_test(tmp_path: Path) -> None:
    rules = (PROMETHEUS / "alerts.yml").read_text()
    (tmp_path / "alerts_test.yml").write_text((PROMETHEUS / "alerts_test.yml").read_text())
    (tmp_path / "alerts.yml").write_text(rules.replace("groundstation_link_up == 0\n", "groundstation_link_up == 7\n"))
    with pytest.raises(AssertionError, match="alertname: LinkDown"):
        promtool("test", "rules", tmp_path / "alerts_test.yml")


def test_every_alert_has_its_words_and_a_section_in_the_runbook() -> None:
    runbook = (PROMETHEUS / "runbook.md").read_text()
    sections = dict(re.findall(r"^## (\w+)\n(.*?)(?=^## |\Z)", runbook, re.MULTILINE | re.DOTALL))
    assert list(sections) == list(alert_blocks())
    for name, block in alert_blocks().items():
        assert re.search(r"severity: (critical|warning)\n", block), name
        assert re.search(r"summary: .{20,}\n +description: .{40,}\n", block), name
        assert f"runbook: runbook.md#{name.lower()}\n" in block
    for name, section in sections.items():
        for part in ("**Means**", "**Loss**", "**Look**", "**Do**", "**Over**"):
            assert part in section, (name, part)


def test_every_link_in_the_runbook_leads_somewhere() -> None:
    runbook = (PROMETHEUS / "runbook.md").read_text()
    anchors = {heading.lower() for heading in re.findall(r"^## (\w+)$", runbook, re.MULTILINE)}
    assert set(re.findall(r"\]\(#(\w+)\)", runbook)) <= anchors


def test_the_list_of_metrics_is_what_the_code_exports() -> None:
    assert (PROMETHEUS / "metrics.md").read_text().endswith("\n\n" + describe())


def test_rules_and_dashboards_name_only_metrics_that_exist() -> None:
    known = set(LABELS) | OF_THE_PROCESS | OF_PROMETHEUS
    unknown = {where: names_in(expr) - known for where, expr in all_expressions() if names_in(expr) - known}
    assert unknown == {}
    assert all(names_in(expr) for _, expr in all_expressions())


def test_every_metric_is_looked_at_by_a_rule_or_a_panel() -> None:
    used = set().union(*(names_in(expr) for _, expr in all_expressions()))
    assert set(LABELS) - used == set()


def test_selectors_filter_by_labels_that_the_metric_has() -> None:
    for where, expr in all_expressions():
        for name, selector in re.findall(r"(groundstation_\w+){([^}]*)}", expr):
            assert set(re.findall(r"(\w+)\s*=", without_strings(selector))) <= LABELS[name], (where, name)


def test_alerts_are_named_where_a_panel_speaks_of_them() -> None:
    for dashboard in DASHBOARDS:
        for panel in panels_of(board_of(dashboard)):
            for names in re.findall(r"Alerts?: ([\w, ]+)\.", panel.get("description", "")):
                assert set(names.split(", ")) <= set(alert_blocks()), panel["title"]


@pytest.fixture(params=DASHBOARDS, ids=lambda path: path.name)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    return board_of(request.param)


def drawn(board: dict[str, Any]) -> list[dict[str, Any]]:
    return [dict(panel) for panel in panels_of(board) if panel["type"] != "row"]


def test_there_is_a_dashboard() -> None:
    assert "station.json" in [path.name for path in DASHBOARDS]


def test_the_dashboard_is_one_that_grafana_11_reads(board: dict[str, Any]) -> None:
    assert board["schemaVersion"] == 39
    assert board["id"] is None  # Grafana gives it
    assert re.fullmatch(r"[a-z0-9-]{1,40}", board["uid"])
    assert board["timezone"] == "utc"


def test_panels_have_ids_titles_units_and_descriptions_of_their_own(board: dict[str, Any]) -> None:
    ids = Counter(panel["id"] for panel in panels_of(board))
    titles = Counter(panel["title"] for panel in drawn(board))
    assert ids.most_common(1)[0][1] == titles.most_common(1)[0][1] == 1
    for panel in drawn(board):
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert panel["description"].endswith("."), panel["title"]
        refs = [target["refId"] for target in panel["targets"]]
        assert len(refs) == len(set(refs)) > 0, panel["title"]


def test_panels_lie_in_the_grid_and_cover_nothing(board: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in board["panels"]:
        at = panel["gridPos"]
        assert 0 <= at["x"] < at["x"] + at["w"] <= 24, panel["title"]
        for cell in ((x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])):
            assert taken.setdefault(cell, panel["title"]) == panel["title"], cell


def test_every_panel_and_query_follows_the_data_source_variable(board: dict[str, Any]) -> None:
    chosen = {"type": "prometheus", "uid": "${datasource}"}
    [variable] = [one for one in board["templating"]["list"] if one["type"] == "datasource"]
    assert (variable["name"], variable["query"]) == ("datasource", "prometheus")
    for panel in drawn(board):
        assert panel["datasource"] == chosen, panel["title"]
        assert all(target["datasource"] == chosen for target in panel["targets"]), panel["title"]


def test_every_variable_is_used_and_every_used_one_exists(board: dict[str, Any]) -> None:
    built_in = {"__rate_interval"}
    names = {one["name"] for one in board["templating"]["list"]}
    used = {first or second for first, second in re.findall(r"\$(?:{(\w+)}|(\w+))", json.dumps(board["panels"]))}
    assert used - built_in == names
    assert filled('a{x=~"$x"}[${y}] $z', {"x": "1", "y": "2s"}) == 'a{x=~"1"}[2s] $z'


def test_tables_rename_and_format_columns_that_exist(board: dict[str, Any]) -> None:
    for panel in (panel for panel in drawn(board) if panel["type"] == "table"):
        [renamed] = [one["options"]["renameByName"] for one in panel["transformations"] if one["id"] == "organize"]
        refs = [target["refId"] for target in panel["targets"]]
        values = ["Value"] if len(refs) == 1 else [f"Value #{ref}" for ref in refs]
        assert set(values) <= set(renamed), panel["title"]
        formatted = {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]}
        assert formatted <= set(renamed.values()), panel["title"]
        assert all(target["format"] == "table" and target["instant"] for target in panel["targets"]), panel["title"]


def test_json_is_kept_tidy(board: dict[str, Any]) -> None:
    [path] = [path for path in DASHBOARDS if board_of(path)["uid"] == board["uid"]]
    lines = path.read_text().splitlines()
    assert all(line == line.rstrip() and "\t" not in line for line in lines)
    assert len(lines) > 200


def test_the_scrape_is_aimed_at_the_port_of_the_shipped_station() -> None:
    [target] = re.findall(r'targets: \["([^"]+)"\] +# `\[http\]`', (PROMETHEUS / "prometheus.yml").read_text())
    [port] = re.findall(r"^port = (\d+) +# 0 takes", (CONFIG / "groundstation.toml").read_text(), re.MULTILINE)
    assert target == f"127.0.0.1:{port}"


def test_grafana_is_told_the_interval_that_prometheus_scrapes_at() -> None:
    [scrape] = re.findall(r"scrape_interval: (\w+)", (PROMETHEUS / "prometheus.yml").read_text())
    source = (CONFIG / "grafana/provisioning/datasources/prometheus.yml").read_text()
    assert f"timeInterval: {scrape} " in source


@pytest.fixture
def of_the_station() -> dict[str, Any]:
    [path] = [path for path in DASHBOARDS if path.name == "station.json"]
    return board_of(path)


def test_what_fires_stands_on_top_of_the_dashboard(of_the_station: dict[str, Any]) -> None:
    board = of_the_station
    [y] = [panel["gridPos"]["y"] for panel in drawn(board) if "ALERTS" in str(panel["targets"])]
    assert y <= min(panel["gridPos"]["y"] for panel in board["panels"] if panel["type"] == "row")


def test_every_satellite_can_be_chosen_with_elements_or_without(of_the_station: dict[str, Any]) -> None:
    [variable] = [one for one in of_the_station["templating"]["list"] if one["name"] == "satellite"]
    [metric] = re.findall(r"label_values\((groundstation_\w+)", variable["query"]["query"])
    bare = Station(changes={"satellites": (SatelliteHealth("demo-sat"),), "elements": (), "passes": ()})
    assert re.search(rf'^{metric}{{[^}}]*satellite="demo-sat"', render(bare.health())[0].decode(), re.MULTILINE)
