"""`groundstation demo` as a stranger sees it: passes, a live pass, a summary that balances, and metrics for Grafana."""

import asyncio
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.parts.debian import need
from tests.parts.prometheus import DASHBOARDS, Answer, prometheus

in_one_loop = pytest.mark.asyncio(loop_scope="module")  # the demo and Prometheus run once for all

SUMMARY = re.compile(
    r"received (\d+) = stored (\d+) \+ duplicate (\d+) \+ quarantined (\d+) \+ in flight (\d+)  every packet"
)
# What shows only while something is wrong, and what a station without a network source of elements does not have.
QUIET = {"Alerts that fire", "Prediction shift", "Since the last good fetch"}


@dataclass(frozen=True, slots=True)
class Shown:
    """A whole demo: what it printed, how it ended, what Prometheus saw in the middle of its pass."""

    output: str
    status: int
    answers: list[Answer]
    kept: Path


async def start(*arguments: str | Path) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "groundstation",
        "demo",
        *arguments,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )


async def until(process: asyncio.subprocess.Process, *texts: str) -> str:
    """Return what is printed up to the line that has all `texts`."""
    assert process.stdout is not None
    lines: list[str] = []
    async with asyncio.timeout(40):
        while not lines or not all(text in lines[-1] for text in texts):
            line = await process.stdout.readline()
            assert line, f"the demo ended before {texts}: {''.join(lines)}"
            lines.append(line.decode())
    return "".join(lines)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    need("mosquitto", "mosquitto")
    kept = tmp_path_factory.mktemp("kept [here]")
    process = await start("--duration", "40", "--keep", kept)
    output = await until(process, "metrics: http://")
    url = output.rpartition("metrics: ")[2].removesuffix("/metrics\n")
    output += await until(process, "pass of ", "demo-sat ")  # real satellites may be up too
    async with prometheus(tmp_path_factory.mktemp("prometheus"), url) as server:
        await server.until("sum(groundstation_messages_rejected_total) > 0 and on () count_over_time(up[1m]) >= 7")
        [board] = DASHBOARDS
        answers = await server.panels(board)
    rest, _ = await process.communicate()
    assert process.returncode is not None
    yield Shown(output + rest.decode(), process.returncode, answers, kept)


@in_one_loop
async def test_real_passes_of_the_next_day_are_listed_first(shown: Shown) -> None:
    head = shown.output.partition("broker: mosquitto")[0]
    assert head.startswith("passes of the next 24 h")
    for name in ("HKUST-FYBB#1", "CUHK-1", "Hong Kong Youth", "Demo-Sat (synthetic orbit)"):
        assert name in head


@in_one_loop
async def test_the_summary_balances_and_says_what_was_stored(shown: Shown) -> None:
    assert shown.status == 0
    found = SUMMARY.search(shown.output)
    assert found, shown.output
    received, stored, duplicate, quarantined, in_flight = map(int, found.groups())
    assert received == stored + duplicate + quarantined
    assert in_flight == 0
    assert stored > 60
    assert duplicate > 0
    assert quarantined > 0


@in_one_loop
async def test_what_it_counted_is_what_lies_in_the_archive(shown: Shown) -> None:
    found = SUMMARY.search(shown.output)
    assert found
    with closing(sqlite3.connect(shown.kept / "groundstation.db")) as archive:
        assert archive.execute("SELECT count(*) FROM packet").fetchone() == (int(found[2]),)
        assert archive.execute("SELECT sum(times) FROM quarantine").fetchone() == (int(found[4]),)


@in_one_loop
async def test_every_panel_of_the_dashboard_has_data_from_the_running_daemon(shown: Shown) -> None:
    assert {a.target.panel["title"] for a in shown.answers if not a.series} <= QUIET
    assert [wrong for answer in shown.answers if (wrong := answer.wrong())] == []
    values = {answer.target.panel["title"]: answer.values() for answer in shown.answers}
    assert set(values["Conservation"]) == {0.0}


def test_the_command_that_it_prints_plays_its_recording_into_another_archive_with_the_same_rows(
    shown: Shown, tmp_path: Path
) -> None:
    again = shown.kept / "again.db"
    command = shown.output.partition("; play it again with\n")[2].splitlines()[0]
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"}, timeout=60)
    columns = "satellite, generated_at, digest, name, sequence, kind, received_at, station, frame, parameters, levels"
    rows = []
    for archive in (shown.kept / "groundstation.db", again):
        with closing(sqlite3.connect(archive)) as connection:
            packets = connection.execute(f"SELECT {columns} FROM packet ORDER BY generated_at, digest").fetchall()
            refused = connection.execute("SELECT topic, payload, reason FROM quarantine ORDER BY arrived_at").fetchall()
            rows.append((packets, refused))
    assert len(rows[0][0]) > 60
    assert rows[0] == rows[1]


@in_one_loop
async def test_ctrl_c_ends_it_cleanly_before_the_pass_has_begun() -> None:
    need("mosquitto", "mosquitto")
    process = await start()
    output = await until(process, "metrics: http://")
    process.send_signal(signal.SIGINT)
    rest, _ = await process.communicate()
    assert process.returncode == 0
    assert SUMMARY.search(output + rest.decode())
    assert "Traceback" not in rest.decode()


@in_one_loop
async def test_without_mosquitto_it_brings_its_own_broker() -> None:
    process = await start("--duration", "22", "--broker", "iotcore")
    output = await until(process, "metrics: http://")
    assert "broker: iotcore" in output
    rest, _ = await process.communicate()
    assert process.returncode == 0, rest.decode()
    found = SUMMARY.search(rest.decode())
    assert found
    assert int(found[2]) > 5
