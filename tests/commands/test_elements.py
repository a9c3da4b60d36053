"""`groundstation elements`: what serves, what is wrong in a file, and newer sets now, by the daemon's own rules."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from groundstation.cli import main
from groundstation.orbit.elements import Elements
from groundstation.orbit.tle import parse_tle
from tests.orbit.histories import later
from tests.orbit.sets import KUANFU
from tests.parts.config_files import DEFINITION, ELEMENTS, SETTINGS, write_files
from tests.parts.element_server import ElementServer, as_json, element_server

FIRST: Elements = parse_tle(ELEMENTS, "one.tle")[0]
NEXT = later(FIRST, 2)


@pytest_asyncio.fixture
async def server() -> AsyncIterator[ElementServer]:
    async with element_server() as running:
        running.text = as_json(NEXT)
        yield running


def station(directory: Path, server: ElementServer | None = None, **files: str) -> Path:
    source = f'[[element_sources]]\nname = "near"\nkind = "celestrak"\nurl = "{server.url}"\n\n' if server else ""
    return write_files(directory / "station", settings=source + SETTINGS, **files)


def put(line: str, column: int, text: str) -> str:
    """Return the line with `text` from `column` on, counted from 1."""
    return line[: column - 1] + text + line[column - 1 + len(text) :]


async def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run a command on a thread, since the server answers on this one's loop."""
    status = await asyncio.to_thread(main, ["elements", *(str(one) for one in arguments)])
    said = capsys.readouterr()
    return status, said.out, said.err


async def test_update_fetches_and_list_shows_what_serves_since_when(
    tmp_path: Path, server: ElementServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = station(tmp_path, server)
    status, out, err = await run(capsys, "update", "--config", config)
    assert (status, err) == (0, "asking near …\n")
    assert out.startswith("near: current until ")
    assert out.endswith("; 1 new element sets serve\n")
    _, out, _ = await run(capsys, "list", "--config", config, "--format", "json")
    shown = json.loads(out)
    (one,) = shown["elements"]
    assert (one["satellite"], one["norad_id"], one["source"]) == ("one-sat", 61231, "near")
    assert one["epoch"] == "2026-08-24T14:55:40.296288Z"
    assert abs(datetime.now(UTC) - datetime.fromisoformat(one["since"])) < timedelta(minutes=2)
    (source,) = shown["sources"]
    assert (source["name"], source["outcome"]) == ("near", "updated")


async def test_update_again_asks_nobody_and_says_until_when_it_is_current(
    tmp_path: Path, server: ElementServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = station(tmp_path, server)
    await run(capsys, "update", "--config", config)
    status, out, _ = await run(capsys, "update", "near", "--config", config, "--format", "json")
    (said,) = json.loads(out)
    assert (status, said["asked"], said["outcome"]) == (0, False, "updated")
    wait = datetime.fromisoformat(said["next_at"]) - datetime.now(UTC)
    assert timedelta(hours=7, minutes=55) < wait < timedelta(hours=8)
    _, out, _ = await run(capsys, "update", "--config", config)
    assert out.endswith("Z (not asked now)\n")
    assert len(server.asked) == 1


async def test_a_source_that_fails_is_one_line_and_status_1(
    tmp_path: Path, server: ElementServer, capsys: pytest.CaptureFixture[str]
) -> None:
    server.mode = "500"
    status, out, _ = await run(capsys, "update", "--config", station(tmp_path, server))
    assert status == 1
    assert out.startswith("near: server_error at ")
    assert "(HTTP 500: Go away); may be asked again at" in out


async def test_passes_are_predicted_from_the_sets_that_were_fetched(
    tmp_path: Path, server: ElementServer, capsys: pytest.CaptureFixture[str]
) -> None:
    config = station(tmp_path, server)
    await run(capsys, "update", "--config", config)
    window = ["--from", "2026-08-24T00:00Z", "--to", "2026-08-25T00:00Z", "--format", "json"]
    assert main(["passes", "--config", str(config), *window]) == 0
    epochs = {one["elements_epoch"] for one in json.loads(capsys.readouterr().out)}
    assert epochs == {"2026-08-24T14:55:40.296288Z"}


def test_list_without_an_archive_shows_the_files_and_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["elements", "list", "--config", str(station(tmp_path))]) == 0
    heading, line = capsys.readouterr().out.splitlines()
    assert heading.split() == ["satellite", "NORAD", "epoch", "(UTC)", "age", "source", "serves", "since"]
    assert "one-sat" in line
    assert line.rstrip().endswith("not seen by a daemon")


def test_an_archive_that_cannot_be_read_is_said_and_the_files_serve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    config = station(tmp_path)
    database = config.parent / "test.db"
    database.write_bytes(b"no database at all, though it lies in the place of one" * 20)
    assert main(["elements", "list", "--config", str(config), "--format", "json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["elements"]) == 1
    assert caplog.messages[:1] == [
        (
            "the archive does not say which elements serve, so those in the files do: "
            f"sqlite:///{database}: file is not a database"
        )
    ]


def test_update_without_sources_or_with_an_unknown_one_is_asked_wrongly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = station(tmp_path)
    assert main(["elements", "update", "--config", str(config)]) == 2
    assert capsys.readouterr().err == f"{config}: expected element_sources to ask, found none\n"
    assert not (config.parent / "test.db").exists()
    config.write_text('[[element_sources]]\nname = "near"\nkind = "celestrak"\n' + SETTINGS)
    assert main(["elements", "update", "far", "--config", str(config)]) == 2
    assert capsys.readouterr().err == "SOURCE: found far, expected near\n"


@pytest.mark.parametrize("action", ["list x.tle", "check"])
def test_a_file_too_many_or_too_few_is_asked_wrongly(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["elements", *action.split()]) == 2
    assert capsys.readouterr().err.startswith("FILE: found ")


def test_check_names_each_fault_by_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name, line_1, line_2 = KUANFU.splitlines()
    bad_sum = put(line_2, 69, "1")
    sets = [name, line_1, line_2, "BAD SUM", line_1, bad_sum, "BAD EPOCH", put(line_1, 21, "9"), line_2]
    (tmp_path / "two.tle").write_text("\n".join(sets))
    (tmp_path / "good.json").write_text(as_json(FIRST, NEXT))
    (tmp_path / "low.csv").write_text("")
    (tmp_path / "inside.json").write_text(as_json(replace(FIRST, mean_motion_rev_day=17.5, eccentricity=0.2)))
    files = [str(tmp_path / one) for one in ("two.tle", "good.json", "low.csv", "none.tle", "inside.json")]
    assert main(["elements", "check", *files]) == 2
    said = capsys.readouterr().out.replace(f"{tmp_path}/", "").splitlines()
    assert said[0] == "good.json: good, 2 element sets of 1 objects"
    assert [line.split(": ")[0] for line in said[1:]] == [
        "two.tle:6",
        "two.tle:8",
        "low.csv",
        "none.tle",
        "inside.json:1",
    ]
    assert said[1] == "two.tle:6: the checksum is '1', expected '0'"


def test_check_of_good_files_is_status_0_also_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "good.tle").write_text(KUANFU.replace("\n", "\r\n"))
    assert main(["elements", "check", str(tmp_path / "good.tle"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["faults"] == []


def test_decayed_satellites_are_kept_and_not_predicted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = station(tmp_path, definition=DEFINITION.replace("in_orbit", "decayed"))
    assert main(["elements", "list", "--config", str(config), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"elements": [], "sources": []}
