"""What Prometheus reads: valid, complete, bounded, and true to the Health that it was rendered from."""

import dataclasses
import re
import subprocess
import time
from collections import Counter
from collections.abc import Iterable

import pytest
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from groundstation.monitor.health import ArchiveHealth, Health, LinkHealth, PassHealth
from groundstation.monitor.metrics import METRICS, describe, render
from groundstation.telemetry.packet import Reason
from tests.parts.debian import need
from tests.parts.station import health_at

OPENMETRICS = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]
START = 1_795_000_000_000_000
LATER = START + 60_000_000


def values(families: Iterable[Family]) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families
        for sample in family.samples
    }


def scraped(health: Health) -> Samples:
    return values(read_text(render(health)[0].decode()))


def ours(samples: Samples) -> Samples:
    return {key: value for key, value in samples.items() if key[0].startswith("groundstation_")}


def one(health: Health, name: str, **labels: str) -> float:
    return scraped(health)["groundstation_" + name, frozenset(labels.items())]


def test_promtool_has_nothing_to_say() -> None:
    promtool = need("promtool", "prometheus")
    body, _ = render(health_at(LATER, START))
    found = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, b"", b"")


def test_both_formats_carry_the_same_values() -> None:
    health = health_at(LATER, START)
    body, content_type = render(health, OPENMETRICS)
    assert content_type.startswith("application/openmetrics-text; version=1.0.0")
    families = openmetrics.text_string_to_metric_families(body.decode())  # type: ignore[no-untyped-call]  # theirs
    assert ours(values(families)) == ours(scraped(health))


def test_every_metric_has_a_sample_and_every_sample_is_in_the_table() -> None:
    seen = {(name, tuple(sorted(key for key, _ in labels))) for name, labels in ours(scraped(health_at(LATER, START)))}
    assert seen == {(metric.full_name, tuple(sorted(metric.labels))) for metric in METRICS}


def test_the_process_measures_itself() -> None:
    found = scraped(health_at(LATER, START))
    assert found["process_resident_memory_bytes", frozenset()] > 1e6
    assert found["process_cpu_seconds_total", frozenset()] == pytest.approx(time.process_time(), abs=1)


def test_names_are_unique_and_follow_the_practice() -> None:
    assert Counter(metric.full_name for metric in METRICS).most_common(1)[0][1] == 1
    for metric in METRICS:
        assert re.fullmatch(r"groundstation_[a-z]+(_[a-z]+)*", metric.full_name)
        assert metric.full_name.endswith("_total") == (metric.kind == "counter"), metric.full_name
        assert metric.help.endswith("."), metric.full_name


def test_the_conservation_terms_add_up_to_the_exported_imbalance() -> None:
    unbalanced = LinkHealth("a", up=True, received=100, stored=80, duplicate=7, quarantined=5, in_flight=3)
    health = dataclasses.replace(health_at(LATER, START), links=(unbalanced,))
    settled = sum(
        one(health, "link_settled_messages_total", link="a", fate=f) for f in ("stored", "duplicate", "quarantined")
    )
    balance = one(health, "link_messages_total", link="a") - settled - one(health, "link_in_flight_messages", link="a")
    assert one(health, "conservation_imbalance_messages", link="a") == balance == 5


def test_moments_are_seconds_since_1970() -> None:
    health = health_at(LATER, START)
    assert one(health, "archive_last_commit_timestamp_seconds") == (LATER - 20_000) / 1e6
    assert one(health, "task_progress_timestamp_seconds", task="predict") == LATER / 1e6 - 12


def test_what_never_happened_has_no_timestamp() -> None:
    names = {(name, *labels) for name, labels in scraped(health_at(LATER, START))}
    assert ("groundstation_link_last_message_timestamp_seconds", ("link", "antenna")) in names
    assert ("groundstation_link_last_message_timestamp_seconds", ("link", "backup")) not in names
    assert ("groundstation_packet_last_reception_timestamp_seconds", ("satellite", "hk-two")) not in names


def test_every_reason_and_level_is_there_before_it_happens() -> None:
    health = dataclasses.replace(health_at(START, START), rejected={})
    assert {reason: one(health, "messages_rejected_total", reason=reason) for reason in Reason} == dict.fromkeys(
        Reason, 0
    )
    assert one(health, "parameters_out_of_limits", satellite="hk-two", level="severe") == 0


def test_hostile_payloads_cannot_make_series() -> None:
    health = health_at(LATER, START)
    attacked = dataclasses.replace(
        health,
        rejected={"frame": 9, **{f"reason {n}": 1 for n in range(1000)}},
        satellites=tuple(
            dataclasses.replace(one, out_of_limits={f"level {n}": 1 for n in range(1000)}) for one in health.satellites
        ),
    )
    assert scraped(attacked).keys() == scraped(health).keys()


def test_as_time_goes_by_the_series_stay_the_same() -> None:
    minute, day = scraped(health_at(LATER, START)), scraped(health_at(START + 86_400_000_000, START))
    assert minute.keys() == day.keys()
    assert minute != day


def test_several_passes_of_one_satellite_are_one_series_the_earliest() -> None:
    later, sooner = PassHealth("s", "x", False, 2_000_000, 3_000_000, 10), PassHealth("s", "x", True, 0, 1_000_000, 80)
    health = dataclasses.replace(health_at(LATER, START), passes=(later, sooner))
    assert render(health)[0].count(b"\ngroundstation_pass_active{") == 1
    assert one(health, "pass_max_elevation_degrees", satellite="s", station="x") == 80


def test_an_uncertainty_that_nobody_can_tell_has_no_sample() -> None:
    known, unknown = PassHealth("s", "x", False, 0, 1, 10, 0, 2.5), PassHealth("t", "x", False, 0, 1, 10)
    health = dataclasses.replace(health_at(LATER, START), passes=(known, unknown))
    assert one(health, "pass_aos_uncertainty_seconds", satellite="s", station="x") == 2.5
    assert render(health)[0].count(b"\ngroundstation_pass_aos_uncertainty_seconds{") == 1


def test_a_server_s_archive_has_no_size_instead_of_a_wrong_one() -> None:
    health = dataclasses.replace(health_at(LATER, START), archive=ArchiveHealth(up=True))
    assert not [name for name, _ in scraped(health) if name.startswith("groundstation_archive_") and "bytes" in name]


@pytest.mark.parametrize("text", ['a "quoted" one', "back\\slash", "two\nlines", "香港"])
def test_label_values_are_escaped(text: str) -> None:
    health = dataclasses.replace(health_at(LATER, START), tasks={text: 1.0})
    assert one(health, "task_progress_timestamp_seconds", task=text) == pytest.approx(LATER / 1e6 - 1)


def test_the_description_has_a_row_for_every_metric() -> None:
    rows = describe().splitlines()[2:]
    assert [row.split("`")[1] for row in rows] == [metric.full_name for metric in METRICS]
    assert all(row.count(" | ") == 3 for row in rows)
