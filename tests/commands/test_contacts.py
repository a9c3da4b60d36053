"""`groundstation contacts`: every pass with what the antenna does about it, and who takes what."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.cli import main
from groundstation.config import load_config
from groundstation.orbit.passes import find_passes
from groundstation.planning import Planner
from tests.parts.config_files import SETTINGS, write_files

START = datetime(2026, 8, 23, tzinfo=UTC)
END = START + timedelta(days=1)
WINDOW = ["--from", START.isoformat(), "--to", END.isoformat()]
# As high as the mast of Cape D'Aguilar, but it takes nothing below 80°.
SECOND = """
[[stations]]
slug = "picky"
name = "Picky"
latitude_deg = 22.20778
longitude_deg = 114.26056
min_elevation_deg = 80

[[links]]"""


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write_files(tmp_path / "station", settings=SETTINGS.replace("[[links]]", SECOND, 1))


def shown(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> Any:
    assert main(["contacts", *map(str, arguments), *WINDOW, "--format", "json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_every_pass_of_every_station_is_there_taken_or_with_its_reason(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    entries = shown(capsys, "--config", config_file)
    config = load_config(config_file)
    passes = [one for site in config.sites.values() for one in find_passes(config.elements, site, START, END)]
    assert len(entries) == len(passes) >= 4
    assert [one["start"] for one in entries] == sorted(one["start"] for one in entries)
    assert all(one["taken"] == (one["reason"] is None) == (one["why"] is None) for one in entries)
    assert any(one["taken"] for one in entries if one["station"] == "hko")
    assert {one["reason"] for one in entries if one["station"] == "picky"} == {"low"}


def test_one_station_alone_is_listed(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert {one["station"] for one in shown(capsys, "--config", config_file, "--site", "picky")} == {"picky"}


def test_the_network_has_each_opportunity_once_and_says_who_takes_it(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = shown(capsys, "--config", config_file, "--network")
    each = shown(capsys, "--config", config_file)
    assert sum(len(one["stations"]) for one in found) == len(each)
    assert {len(one["stations"]) for one in found} == {2}
    assert any(one["covered"] for one in found)
    for one in found:
        assert one["covered"] == any(station["taken"] for station in one["stations"])
        assert one["start"] == min(station["start"] for station in one["stations"])


def test_what_the_daemon_promised_is_shown_as_committed(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = load_config(config_file)
    passes = find_passes(config.elements, config.sites["hko"], START, END)
    taken = next(one for one in passes if one.max_elevation_deg > 10 and one.aos)
    assert taken.aos is not None
    soon = taken.aos - timedelta(minutes=5)

    async def promise() -> None:
        migrate(config.settings.archive.url)
        async with Writer(config.settings.archive.url) as writer:
            await Planner(config).renew(passes, [], writer, soon, END)

    asyncio.run(promise())
    assert main(["contacts", "--config", str(config_file), "--from", soon.isoformat(), "--format", "json"]) == 0
    out, err = capsys.readouterr()
    assert "nothing were promised" not in err
    first = next(one for one in json.loads(out) if one["station"] == "hko")
    assert (first["taken"], first["committed"]) == (True, True)


@pytest.mark.parametrize(("flags", "words"), [([], ["takes it", "low: culminates at"]), (["--network"], ["taken by"])])
def test_the_tables_say_it_in_words(
    config_file: Path, capsys: pytest.CaptureFixture[str], flags: list[str], words: list[str]
) -> None:
    assert main(["contacts", "--config", str(config_file), *flags, *WINDOW]) == 0
    out, err = capsys.readouterr()
    assert out.startswith("hko, picky, 2026-08-23 00:00 to 2026-08-24 00:00 UTC")
    assert "One-Sat" in out
    assert all(word in out for word in words)
    assert "planned as if nothing were promised or contacted yet" in err  # the daemon never ran here


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--site", "nowhere"], "--site: found nowhere, expected a station: hko, picky"),
        (["--from", "2026-08-24", "--to", "2026-08-23"], "--to: found 2026-08-23T00:00:00+00:00, expected later"),
    ],
)
def test_a_wrong_question_is_one_line_and_status_2(
    config_file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    assert main(["contacts", "--config", str(config_file), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(line)
    assert err.count("\n") == 1
