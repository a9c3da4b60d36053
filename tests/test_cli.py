"""The commands as a person or a script meets them: output, exit status, one clear line for each mistake."""

import argparse
import csv
import io
import json
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path

import pytest

from groundstation.cli import main, parser
from groundstation.config import load_config
from groundstation.orbit.passes import find_passes
from tests.parts.config_files import SETTINGS, write_files

WINDOW = ["--from", "2026-08-23T00:00Z", "--to", "2026-08-24T00:00Z"]


def run(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "groundstation", *arguments],
        capture_output=True,
        text=True,
        cwd=cwd,
        check=False,
        timeout=60,
    )


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write_files(tmp_path / "station")


def test_passes_as_json_are_those_of_the_predictor(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["passes", "--config", str(config_file), "--format", "json", *WINDOW]) == 0
    shown = json.loads(capsys.readouterr().out)
    config = load_config(config_file)
    start, end = datetime(2026, 8, 23, tzinfo=UTC), datetime(2026, 8, 24, tzinfo=UTC)
    expected = find_passes(config.elements, config.sites["hko"], start, end)
    assert len(shown) == len(expected) >= 2
    for one, other in zip(shown, expected, strict=True):
        assert one["satellite"] == "one-sat"
        assert re.fullmatch(r"2026-08-2\dT\d\d:\d\d:\d\d\.\d{6}Z", one["aos"])
        assert datetime.fromisoformat(one["aos"]) == other.aos
        assert one["max_elevation_deg"] == other.max_elevation_deg


def test_csv_has_the_same_figures_as_json(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["passes", "--config", str(config_file), "--format", "json", *WINDOW])
    from_json = json.loads(capsys.readouterr().out)
    main(["passes", "--config", str(config_file), "--format", "csv", *WINDOW])
    from_csv = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["aos"] for row in from_csv] == [row["aos"] for row in from_json]
    assert [float(row["max_elevation_deg"]) for row in from_csv] == [row["max_elevation_deg"] for row in from_json]


def test_the_table_is_plain_text_where_it_is_piped(config_file: Path) -> None:
    done = run("passes", "--config", config_file, *WINDOW)
    assert done.returncode == 0
    assert "\x1b" not in done.stdout
    assert done.stdout.startswith("Hong Kong Observatory, mask 5°, 2026-08-23 00:00 to 2026-08-24 00:00 UTC")
    assert "One-Sat" in done.stdout


def test_passes_need_no_configuration_at_all(tmp_path: Path) -> None:
    done = run("passes", "hkust-fybb-1", "--format", "json", *WINDOW, cwd=tmp_path)
    assert done.returncode == 0
    assert {one["norad_id"] for one in json.loads(done.stdout)} == {57696}


def test_a_mask_and_a_place_of_ones_own_are_taken(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["passes", "--config", str(config_file), "--format", "json", *WINDOW]
    assert main([*arguments, "--site", "78.23,15.39,450", "--mask", "40"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown
    assert all(one["max_elevation_deg"] >= 40 for one in shown)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["no-such-sat"], "SATELLITE: found no-such-sat, expected one of one-sat"),
        (["--site", "atlantis"], "--site: found atlantis, expected hko, or LAT,LON,ALT_M in degrees and metres"),
        (["--site", "91,0"], "--site: found 91,0"),
        (["--mask", "90"], "--mask: found 90, expected 0 to 90 degrees"),
        (["--mask", "-1"], "--mask: found -1, expected 0 to 90 degrees"),
        (["--elements", "nowhere.tle"], "nowhere.tle: cannot be read: No such file or directory"),
        (["--from", "2026-08-24", "--to", "2026-08-23"], "--to: found 2026-08-23T00:00:00+00:00, expected later than"),
        (["--from", "tomorrow"], "found tomorrow, expected an ISO time"),
        (
            ["--from", "1958-01-01", "--to", "2100-01-01"],
            "--to: found 2100-01-01T00:00:00+00:00, expected 366 days after",
        ),
        (["--from", "9999-12-31"], "found 9999-12-31, expected an ISO time like 2026-11-22T10:00Z, from 1957 to 2100"),
        (["--to", "0001-01-01T00:00+14:00"], "found 0001-01-01T00:00+14:00, expected an ISO time"),
    ],
)
def test_a_wrong_question_is_one_line_and_status_2(config_file: Path, arguments: list[str], line: str) -> None:
    done = run("passes", "--config", config_file, *arguments)
    assert done.returncode == 2
    assert line in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("flag", ["--after", "--most"])
@pytest.mark.parametrize("number", ["-1", "99999999999999999999"])
def test_a_number_that_no_database_counts_is_refused_at_once(config_file: Path, flag: str, number: str) -> None:
    done = run("quarantine", "list", f"{flag}={number}", "--config", config_file)
    assert done.returncode == 2
    assert f"argument {flag}: found {number}, expected 0 or more" in done.stderr


def test_every_command_has_a_module_of_its_name_and_help_imports_none_of_them() -> None:
    [sub] = [action for action in parser()._actions if isinstance(action, argparse._SubParsersAction)]
    for name in sub.choices:
        assert callable(import_module(f"groundstation.commands.{name}").command), name
    source = "import sys\nfrom groundstation.cli import parser\nparser()\nprint('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True, timeout=60)
    loaded = set(done.stdout.split())
    assert not loaded & {f"groundstation.commands.{name}" for name in sub.choices}
    assert not loaded & {"asyncio", "msgspec", "numpy", "rich", "sqlalchemy"}


@pytest.mark.parametrize("module", ["config", "commands.demo", "daemon", "link.broker", "orbit.passes"])
def test_ctrl_c_while_a_command_is_still_being_loaded_is_no_traceback(module: str) -> None:
    source = f"""\
import os, signal, sys
from groundstation.cli import main

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == "groundstation.{module}":
            print("loading")
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.exit(main(["demo", "--duration", "1"]))
"""
    done = subprocess.run(
        [sys.executable, "-c", source],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )
    assert (done.returncode, done.stderr, done.stdout) == (130, "", "loading\n")


def test_check_says_what_is_there_and_what_is_missing(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--config", str(config_file)]) == 0
    assert capsys.readouterr().out.endswith("good. 1 stations, 1 links, 1 satellites, 1 element sets\n")
    (config_file.parent / "tle" / "one.tle").unlink()
    assert main(["check", "--config", str(config_file)]) == 0
    assert "note: one-sat is in orbit and has no elements in" in capsys.readouterr().out


def test_a_station_without_a_link_is_good_and_told_that_it_receives_nothing(tmp_path: Path) -> None:
    link = '[[links]]\nname = "mqtt"\nclient_id = "groundstation-test"\n'
    assert link in SETTINGS
    path = write_files(tmp_path / "deaf", settings=SETTINGS.replace(link, ""))
    done = run("check", "--config", path)
    assert (done.returncode, done.stderr) == (0, f"warning: {path}: links: found none: nothing will be received\n")
    assert "good. 1 stations, 0 links" in done.stdout


@pytest.mark.parametrize("command", ["check", "run", "passes"])
def test_a_wrong_configuration_ends_every_command_with_status_2(tmp_path: Path, command: str) -> None:
    path = write_files(tmp_path / "wrong", settings=SETTINGS.replace("port = 0", "port = -1"))
    done = run(command, "--config", path)
    assert done.returncode == 2
    assert done.stderr.startswith(f"{path}: http.port: found -1")
    assert len(done.stderr.splitlines()) == 1


def test_init_writes_a_station_that_checks_good_and_never_overwrites(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    made = run("init", directory)
    assert made.returncode == 0
    next_step = made.stdout.partition("then\n")[2].splitlines()[0].strip()
    assert next_step.endswith(f"groundstation check --config {directory / 'groundstation.toml'}")
    checked = typed_in(tmp_path, next_step)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert "16 satellites, 9 element sets" in checked.stdout
    again = run("init", directory)
    assert again.returncode == 2
    assert "expected a directory without them" in again.stderr


@pytest.mark.parametrize("place", ["on PATH", "elsewhere", "behind another"])
def test_init_says_the_next_step_as_it_was_called(tmp_path: Path, place: str) -> None:
    folder, other = tmp_path / "our programs", tmp_path / "others"
    for one, source in ((folder, "import sys\nfrom groundstation.cli import main\nsys.exit(main())"), (other, "")):
        one.mkdir()
        (one / "groundstation").write_text(f"#!{sys.executable}\n{source}\n")
        (one / "groundstation").chmod(0o755)
    path = {"on PATH": [folder, other], "elsewhere": [], "behind another": [other, folder]}[place]
    made = typed_in(tmp_path, f"'{folder}/groundstation' init new", *path)
    next_step = made.stdout.partition("then\n")[2].splitlines()[0].strip()
    ours = "groundstation" if place == "on PATH" else f"'{folder}/groundstation'"
    assert next_step == f"{ours} check --config new/groundstation.toml"
    assert ": good." in typed_in(tmp_path, next_step, *path).stdout


def typed_in(directory: Path, line: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Return what a shell with these folders before the system's on its PATH makes of a line."""
    searched = {"PATH": ":".join(map(str, (*path, "/usr/bin", "/bin")))}
    return subprocess.run(
        line, shell=True, cwd=directory, env=searched, capture_output=True, text=True, check=False, timeout=60
    )


def test_status_without_a_daemon_is_one_line_and_status_1(config_file: Path) -> None:
    settings = config_file.read_text().replace("[http]\nport = 0", "[http]\nport = 9")
    config_file.write_text(settings)
    done = run("status", "--config", config_file)
    assert done.returncode == 1
    assert done.stderr.startswith("groundstation: no daemon answers at http://127.0.0.1:9/api/status")


def test_replay_of_what_is_no_recording_is_one_line_and_status_1(config_file: Path, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.gspass"
    wrong.write_bytes(b"not a recording")
    done = run("replay", wrong, "--to", f"sqlite:///{tmp_path / 'b.db'}", "--config", config_file)
    assert done.returncode == 1
    assert done.stderr.startswith(f"groundstation: {wrong}: not a recording")
    assert not (tmp_path / "b.db").exists()


def test_output_into_a_closed_pipe_is_no_failure(config_file: Path) -> None:
    command = (
        f"{sys.executable} -m groundstation passes --config {config_file} --format json {' '.join(WINDOW)} | head -1"
    )
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, timeout=60)
    assert (done.stdout, done.stderr) == ("[\n", "")
