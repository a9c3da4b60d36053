"""`groundstation telemetry` as mission staff and their programs meet it, on either engine."""

import asyncio
import csv
import fcntl
import io
import json
import os
import pty
import resource
import struct
import subprocess
import sys
import termios
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from groundstation.archive.rows import HOUR_US
from groundstation.cli import main
from groundstation.commands.telemetry_query import PAGE
from groundstation.config import load_config
from groundstation.figures import iso
from groundstation.telemetry.moments import moment_of
from groundstation.telemetry.packet import Level, Packet, Value
from tests.archive.conftest import nowhere, place, postgresql
from tests.archive.places import SECOND, T0, Place, packet
from tests.archive.rolling import roll_up
from tests.parts.config_files import DEFINITION, SETTINGS, write_files

__all__ = ["nowhere", "place", "postgresql"]  # fixtures

HOUR0 = T0 // HOUR_US * HOUR_US
RANGE = ("--from", iso(moment_of(HOUR0)), "--to", iso(moment_of(HOUR0 + HOUR_US)))
STRING = '\n[[packets.parameters]]\nname = "mode"\nraw = "string"\n'
DELAY = 2 * SECOND


def sent(second: int, values: dict[str, Value], **changes: Any) -> Packet:
    at_us = HOUR0 + second * SECOND
    plain = packet(second, satellite="one-sat", generated_at_us=at_us, received_at_us=at_us + DELAY, values=values)
    return replace(plain, **({"levels": {}} | changes))


class Station:
    """A configuration over an archive; `ask` runs the command in this process."""

    def __init__(self, directory: Path, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
        self.place, self.capsys = place, capsys
        archive = f'url = "{place.url}"' + (f'\npassword_file = "{place.password_file}"' if place.password_file else "")
        settings = SETTINGS.replace('url = "sqlite:///test.db"', archive)
        self.config = write_files(directory, settings=settings, definition=DEFINITION + STRING)
        self.said = ""

    def keep(self, *packets: Packet) -> None:
        async def store() -> None:
            async with self.place.writer() as writer:
                await writer.store(packets, [])

        asyncio.run(store())

    def ask(self, *words: str, status: int = 0) -> str:
        assert main(["telemetry", *words, "--config", str(self.config)]) == status
        out, self.said = self.capsys.readouterr()
        return out

    def rows(self, *words: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.ask(*words, "--format", "json"))
        return found

    def line(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "groundstation", "telemetry", *words, "--config", str(self.config)]


@pytest.fixture
def station(tmp_path: Path, place: Place, capsys: pytest.CaptureFixture[str]) -> Station:
    return Station(tmp_path / "station", place, capsys)


@pytest.fixture
def on_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Station:
    """A station on SQLite, for what does not depend on the engine."""
    place = Place(f"sqlite:///{tmp_path / 'archive.db'}")
    place.migrate()
    return Station(tmp_path / "station", place, capsys)


def test_without_a_parameter_the_latest_of_each_comes_with_level_unit_and_age(station: Station) -> None:
    now_us = time.time_ns() // 1000
    out = {"battery_voltage": Level.WARNING}
    old = sent(0, {"battery_voltage": 7.5, "mode": "SAFE"})
    new = sent(1, {"battery_voltage": 6.5}, generated_at_us=now_us - 90 * SECOND, levels=out)
    station.keep(old, new, sent(2, {"battery_voltage": 1.0}, kind="dump", generated_at_us=now_us))
    voltage, mode = station.rows("one-sat")
    assert (voltage["parameter"], voltage["value"], voltage["unit"]) == ("battery_voltage", 6.5, "V")
    assert (voltage["level"], voltage["packet"], voltage["station"]) == ("warning", "housekeeping", "hko")
    assert 90 <= voltage["age_s"] < 150
    assert voltage["generated_at"] == iso(moment_of(new.generated_at_us))
    assert (mode["value"], mode["unit"], mode["level"]) == ("SAFE", None, "in_limits")
    shown = station.ask("one-sat").splitlines()
    assert [shown[2].split()[:4], shown[3].split()[:3]] == [
        ["battery_voltage", "6.5", "V", "warning"],
        ["mode", "SAFE", "in_limits"],
    ]
    assert " 1 min 3" in shown[2]
    station.keep(sent(3, {"mode": "SAFE"}, generated_at_us=now_us + 48 * HOUR_US))
    assert "in_limits  1 d 23 h ahead" in station.ask("one-sat")


def test_values_come_raw_in_order_with_type_level_and_origin(station: Station) -> None:
    given: list[Value] = [7.25, 3, True, "SAFE", None, -(2**63), 'a;b,"c"\n', ""]
    packets = [sent(n, {"mode": value}, station="cuhk" if n else "hko") for n, value in enumerate(given)]
    packets[1] = replace(packets[1], levels={"mode": Level.CRITICAL}, kind="dump")
    station.keep(*reversed(packets), sent(50, {"battery_voltage": 7.0}), sent(3600, {"mode": "later"}))
    found = station.rows("one-sat", "mode", *RANGE)
    assert [(type(row["value"]), row["value"]) for row in found] == [(type(value), value) for value in given]
    assert [row["level"] for row in found[:5]] == ["in_limits", "critical", "in_limits", "in_limits", None]
    assert [row["station"] for row in found[:2]] == ["hko", "cuhk"]
    assert [row["kind"] for row in found[:2]] == ["realtime", "dump"]
    assert found[0]["generated_at"] == iso(moment_of(HOUR0))
    assert found[0]["received_at"] == iso(moment_of(HOUR0 + DELAY))
    as_csv = list(csv.DictReader(io.StringIO(station.ask("one-sat", "mode", *RANGE, "--format", "csv"))))
    assert [row.keys() for row in as_csv] == [row.keys() for row in found]
    texts = ["7.25", "3", "true", "SAFE", "", str(-(2**63)), 'a;b,"c"\n', ""]
    assert [row["value"] for row in as_csv] == texts
    table = station.ask("one-sat", "mode", *RANGE).splitlines()
    assert len(table) == len(given) + 1
    assert table[0].startswith("generated (UTC)")
    assert "not decoded" in table[5]
    assert 'a;b,"c"\ufffd' in table[7]
    assert station.said == ""


def test_several_parameters_come_packet_by_packet_with_their_units(station: Station) -> None:
    station.keep(*(sent(n, {"battery_voltage": float(n), "mode": "SAFE", "else": 1}) for n in range(3)))
    found = station.rows("one-sat", "mode", "battery_voltage", "mode", *RANGE)
    assert [row["parameter"] for row in found] == ["mode", "battery_voltage"] * 3
    assert {row["parameter"]: row["unit"] for row in found} == {"battery_voltage": "V", "mode": None}


@pytest.mark.parametrize("by", ["generation", "reception"])
def test_more_than_a_page_comes_whole_and_once(station: Station, by: str) -> None:
    """Equal times at the end of a page lose nothing: seven packets share each second."""
    count = 2 * PAGE + 5
    station.keep(*(replace(sent(n // 7, {"n": n}), digest=n * 7919 % 100_003, frame=b"%d" % n) for n in range(count)))
    found = station.rows("one-sat", "n", *RANGE, "--by", by)
    assert sorted(row["value"] for row in found) == list(range(count))
    times = [row["generated_at" if by == "generation" else "received_at"] for row in found]
    assert times == sorted(times)
    assert station.ask("one-sat", "n", *RANGE, "--by", by, "--format", "csv").count("\n") == count + 1


def test_a_dump_lies_where_it_was_generated_or_where_it_was_received(station: Station) -> None:
    late = sent(5, {"mode": "late"}, kind="dump", received_at_us=HOUR0 + 2 * HOUR_US)
    station.keep(sent(1, {"mode": "live"}), late)
    assert [row["value"] for row in station.rows("one-sat", "mode", *RANGE)] == ["live", "late"]
    assert [row["value"] for row in station.rows("one-sat", "mode", *RANGE, "--by", "reception")] == ["live"]
    assert station.ask("one-sat", "mode", *RANGE, "--by", "reception").startswith("received (UTC)")


def test_points_sum_up_and_a_gap_is_a_row_without_values(station: Station) -> None:
    times = (0, 30, 59, 60, 600)
    station.keep(*(sent(n, {"battery_voltage": float(n), "mode": "SAFE"}) for n in times))
    found = station.rows("one-sat", "battery_voltage", *RANGE, "--points", "60")
    first, second, gap, last = found
    assert first == {
        "time": iso(moment_of(HOUR0)), "parameter": "battery_voltage",
        "min": 0.0, "mean": 89 / 3, "max": 59.0, "n": 3, "unit": "V",
    }  # fmt: skip
    assert (second["mean"], last["mean"], last["time"]) == (60.0, 600.0, iso(moment_of(HOUR0 + 600 * SECOND)))
    assert (gap["min"], gap["mean"], gap["max"], gap["n"]) == (None, None, None, 0)
    as_csv = station.ask("one-sat", "battery_voltage", *RANGE, "--points", "60", "--format", "csv").splitlines()
    assert as_csv[3] == f"{gap['time']},battery_voltage,,,,0,V"
    assert station.ask("one-sat", "mode", *RANGE, "--points", "60") == ""
    assert station.said.startswith("warning: no number of mode generated from 20")


def test_packets_come_whole(station: Station) -> None:
    fault = "mode: found 9, expected one of 0, 1"
    one, other = sent(1, {"mode": "SAFE"}), sent(2, {"mode": None}, faults=(fault, "x: y"), sequence=None)
    station.keep(other, one)
    found = station.rows("one-sat", "--packets", *RANGE)
    assert [bytes.fromhex(row["frame"]) for row in found] == [one.frame, other.frame]
    assert found[1] | {"frame": ""} == {
        "generated_at": iso(moment_of(other.generated_at_us)), "received_at": iso(moment_of(other.received_at_us)),
        "packet": "housekeeping", "sequence": None, "kind": "realtime", "station": "hko", "link": "main",
        "definition": other.definition_hash, "faults": [fault, "x: y"], "frame": "",
    }  # fmt: skip
    shown = station.ask("one-sat", "--packets", *RANGE).splitlines()
    assert len(shown) == 3
    assert shown[1].split()[2:] == ["housekeeping", "1", "realtime", "hko", "7", "B"]
    assert shown[2].endswith(f"{fault}; x: y")
    as_csv = list(csv.DictReader(io.StringIO(station.ask("one-sat", "--packets", *RANGE, "--format", "csv"))))
    assert [row["faults"] for row in as_csv] == ["", f"{fault}; x: y"]


def test_where_nothing_is_found_a_line_says_where_the_newest_is(station: Station) -> None:
    assert station.rows("one-sat", "mode") == []
    assert station.said.endswith("; the archive has no packet of one-sat\n")
    station.keep(sent(1, {"mode": "SAFE"}, kind="dump"))
    newest = "; the newest packet of one-sat was generated 2026-09-21T14:00:01.000000Z\n"
    assert (station.rows("one-sat"), station.said) == ([], f"warning: no realtime values of one-sat yet{newest}")
    before = ("--to", iso(moment_of(HOUR0)))
    for words, what in (
        (("mode", "battery_voltage"), "value of mode, battery_voltage"),
        (("--packets",), "packet of one-sat"),
        (("mode", "--points", "9"), "number of mode"),
    ):
        assert station.ask("one-sat", *words, *before) == ""
        window = "from 2026-09-20T14:00:00.000000Z to 2026-09-21T14:00:00.000000Z"
        assert station.said == f"warning: no {what} generated {window}{newest}"
    station.ask("one-sat", "mode", "battery_voltage", *RANGE)
    assert station.said.startswith("warning: no value of battery_voltage generated from")
    assert station.ask("one-sat", "mode", *before, "--by", "reception", "--format", "csv").count("\n") == 1
    assert station.said.endswith("was received 2026-09-21T14:00:03.000000Z\n")


def test_hours_that_outlive_their_packets_are_pointed_to(station: Station) -> None:
    async def roll_up_and_forget() -> None:
        async with station.place.writer() as writer, station.place.reader() as reader:
            await roll_up(writer, reader)
            await writer.commit(lambda connection: connection.exec_driver_sql("DELETE FROM packet"))

    station.keep(sent(1, {"battery_voltage": 7.0, "mode": "SAFE"}))
    asyncio.run(roll_up_and_forget())
    hint = "warning: hours of battery_voltage are kept there: ask with --points"
    assert station.rows("one-sat", "mode", "battery_voltage", *RANGE) == []
    assert station.said.splitlines()[1:] == [hint]
    [hour] = station.rows("one-sat", "battery_voltage", *RANGE, "--points", "500")
    assert (hour["mean"], hour["n"], station.said) == (7.0, 1, "")
    for elsewhere in (("--to", RANGE[1]), (*RANGE, "--by", "reception")):
        assert station.rows("one-sat", "battery_voltage", *elsewhere) == []
        assert hint not in station.said


def test_without_times_it_is_the_last_24_hours(station: Station) -> None:
    now_us = time.time_ns() // 1000
    ages_h = (1, 23, 25)
    station.keep(*(sent(n, {"mode": n}, generated_at_us=now_us - n * HOUR_US) for n in ages_h))
    assert [row["value"] for row in station.rows("one-sat", "mode")] == [23, 1]
    since = ("--from", iso(moment_of(now_us - 400 * 24 * HOUR_US)))  # until now, and longer than passes are predicted
    assert [row["value"] for row in station.rows("one-sat", "mode", *since)] == [25, 23, 1]


def test_what_only_the_archive_knows_is_known(station: Station) -> None:
    """A satellite without a definition here, and a parameter that today's definition has no longer."""
    station.keep(packet(1), sent(1, {"gone": 4}), packet(2, satellite="dumper", kind="dump"))
    assert station.rows("one-sat", "gone", *RANGE)[0]["value"] == 4
    assert {row["parameter"] for row in station.rows("horyu-4")} == {"battery_v", "mode", "heater_on", "reboots"}
    assert len(station.rows("dumper", "--packets", *RANGE)) == 1


def test_parameters_of_an_earlier_definition_are_known(station: Station) -> None:
    async def keep(definitions: list[Any]) -> None:
        async with station.place.writer() as writer:
            await writer.save_definitions(definitions)

    asyncio.run(keep(list(load_config(station.config).definitions.values())))
    file = station.config.parent / "satellites" / "one-sat.toml"
    file.write_text(DEFINITION, encoding="utf-8")
    assert station.rows("one-sat", "mode") == []
    file.with_name("two-sat.toml").write_text(DEFINITION.replace("one-sat", "two-sat"), encoding="utf-8")
    file.unlink()
    assert station.rows("one-sat", "mode", "battery_voltage") == []


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["two-sat"], "SATELLITE: found two-sat, expected one of horyu-4, one-sat\n"),
        (["one-sat", "x", "mode", "y"], "PARAMETER: found x, y, expected one of battery_voltage, mode\n"),
        (["horyu-4", 'mode"'], 'PARAMETER: found mode", expected one of battery_v, heater_on, mode, reboots\n'),
        (["one-sat", "mode", *RANGE[:2], "--to", RANGE[1]], "--to: found 2026-09-21T14:00:00+00:00, expected later"),
        (["one-sat", "mode", "--packets"], "--packets: found with mode, expected alone"),
        (["one-sat", "--packets", "--points", "3"], "--packets: found with --points, expected alone"),
        (["one-sat", "--from", "2026-11-01"], "--from: found without PARAMETER or --packets, expected one"),
        (["one-sat", "--points", "5"], "--points: found without PARAMETER or --packets, expected one"),
    ],
)
def test_a_wrong_question_is_one_line_and_status_2(on_file: Station, words: list[str], line: str) -> None:
    on_file.keep(packet(1))
    done = subprocess.run(on_file.line(*words), capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(line)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("points", ["0", "-1", "100001", "x"])
def test_points_that_cannot_be_are_refused(on_file: Station, points: str) -> None:
    done = subprocess.run(
        on_file.line("one-sat", "mode", f"--points={points}"), capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "argument --points: " in done.stderr


def test_an_archive_that_is_away_is_one_line_and_status_1(on_file: Station) -> None:
    Path(on_file.place.url.removeprefix("sqlite:///")).unlink()
    assert on_file.ask("one-sat", "mode", status=1) == ""
    assert on_file.said.endswith("archive.db: there is no such file; `groundstation run` makes one as it starts\n")
    assert on_file.said.count("\n") == 1


def test_it_neither_waits_for_the_daemon_nor_keeps_it_waiting(station: Station) -> None:
    """Between two pages more packets are stored: those behind what was read come too, none twice."""
    count = 2 * PAGE
    station.keep(*(sent(n, {"n": n}) for n in range(count)))
    window = ("--from", RANGE[1], "--to", iso(moment_of(HOUR0 + 10 * HOUR_US)), "--format", "csv")
    with subprocess.Popen(station.line("one-sat", "n", *window), stdout=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        fcntl.fcntl(asking.stdout, fcntl.F_SETPIPE_SZ, 4096)
        first = [asking.stdout.readline() for _ in range(2)]  # the rest of the page waits for room in the pipe
        station.keep(sent(count, {"n": count}), replace(sent(0, {"n": -1}), digest=1, frame=b"late"))
        rest = asking.stdout.read().splitlines()
    assert asking.returncode == 0
    values = [int(row.split(",")[3]) for row in [*first[1:], *rest]]
    assert values == list(range(count + 1))


def test_a_reader_that_goes_away_is_no_failure(on_file: Station) -> None:
    on_file.keep(*(sent(n, {"n": n}) for n in range(3000)))
    for form in ("table", "csv", "json"):
        line = " ".join(on_file.line("one-sat", "n", *RANGE, "--format", form))
        done = subprocess.run(
            ["bash", "-c", f"{line} | head -1; exit ${{PIPESTATUS[0]}}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


def on_a_terminal(command: list[str], out: Path | None, **environment: str) -> tuple[str, str]:
    """Return what came to a terminal, and to the file `out` where the output goes there instead."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    surroundings = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    surroundings |= {"TERM": "xterm-256color"} | environment
    with (out or Path(os.devnull)).open("w", encoding="utf-8") as file:
        stdout = file if out else slave
        with subprocess.Popen(command, stdin=slave, stdout=stdout, stderr=slave, env=surroundings) as running:
            os.close(slave)
            said = b""
            try:
                while some := os.read(master, 65536):
                    said += some
            except OSError:  # EIO: the other end is closed
                pass
    os.close(master)
    assert running.returncode == 0
    return said.decode(), out.read_text(encoding="utf-8") if out else ""


def test_long_work_shows_on_the_terminal_how_far_it_is_and_the_file_gets_the_rows_alone(
    on_file: Station, tmp_path: Path
) -> None:
    count = PAGE + 10
    on_file.keep(*(sent(n, {"n": n}) for n in range(count)))
    command = on_file.line("one-sat", "n", *RANGE, "--format", "csv")
    said, kept = on_a_terminal(command, tmp_path / "out.csv")
    assert "hours read" in said
    assert "housekeeping" not in said
    assert [int(line.split(",")[3]) for line in kept.splitlines()[1:]] == list(range(count))
    shown, _ = on_a_terminal(command, None)
    assert "hours read" not in shown
    assert "\x1b" not in shown
    assert shown.count("housekeeping") == count


def test_a_level_has_its_colour_on_a_terminal_unless_no_color_is_set(on_file: Station) -> None:
    on_file.keep(sent(1, {"mode": "[red]A[/]\x1b[2J"}, levels={"mode": Level.WARNING}))
    plain, _ = on_a_terminal(on_file.line("one-sat"), None, NO_COLOR="1")
    coloured, _ = on_a_terminal(on_file.line("one-sat"), None)
    assert "[red]A[/]\ufffd[2J" in plain
    assert "\x1b[33m" in coloured
    assert "\x1b[33m" not in plain
    assert "\x1b[2J" not in plain + coloured


def test_a_long_answer_takes_no_more_memory_than_a_short_one(on_file: Station, tmp_path: Path) -> None:
    for first in range(0, 20 * PAGE, PAGE):
        on_file.keep(*(sent(n, {"mode": "x" * 200, "n": n}, frame=b"%0200d" % n) for n in range(first, first + PAGE)))
    window = ("--from", RANGE[1], "--to", iso(moment_of(HOUR0 + 100 * HOUR_US)))
    short = peak_kib(on_file, tmp_path, "one-sat", "mode", *RANGE)
    long = peak_kib(on_file, tmp_path, "one-sat", "mode", *window, "--format", "json")
    assert long < short + 10_000  # 40,000 rows of 400 characters would be 16,000 as text alone


def peak_kib(station: Station, tmp_path: Path, *words: str) -> int:
    with (tmp_path / "out").open("w") as out:
        started = subprocess.Popen(station.line(*words), stdout=out)
        _, status, usage = os.wait4(started.pid, 0)
    started.returncode = status
    assert status == 0
    peak: resource.struct_rusage = usage
    return peak.ru_maxrss
