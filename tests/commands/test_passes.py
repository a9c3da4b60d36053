"""`groundstation passes`: the keys that programs rely on, edges that are unknown, and doubts said beside the output."""

import asyncio
import csv
import io
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.cli import main
from groundstation.config import load_config
from groundstation.figures import margin
from groundstation.orbit.ageing import aos_uncertainty_s
from groundstation.orbit.elements import Elements
from groundstation.orbit.sunlit import sunlit_spans
from groundstation.replay.omm_figures import omm_figures
from tests.orbit.histories import later
from tests.orbit.sets import with_checksums
from tests.parts.config_files import ELEMENTS, write_files

KEYS = [
    *("satellite", "norad_id", "aos", "culmination", "tca", "los", "aos_azimuth_deg", "culmination_azimuth_deg"),
    *("los_azimuth_deg", "max_elevation_deg", "tca_range_km", "in_progress_at_start", "in_progress_at_end"),
    *("elements_epoch", "ut1"),
]
WINDOW = ["--from", "2026-08-23T00:00Z", "--to", "2026-08-24T00:00Z"]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write_files(tmp_path / "station")


class Asking:
    """Asks for passes as JSON and keeps what was said on stderr."""

    def __init__(self, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config_file = config_file
        self.capsys = capsys
        self.warnings: list[str] = []

    def __call__(self, *arguments: str) -> list[dict[str, Any]]:
        assert main(["passes", "--config", str(self.config_file), "--format", "json", *arguments]) == 0
        said = self.capsys.readouterr()
        self.warnings = said.err.splitlines()
        shown: list[dict[str, Any]] = json.loads(said.out)
        return shown


@pytest.fixture
def ask(config_file: Path, capsys: pytest.CaptureFixture[str]) -> Asking:
    return Asking(config_file, capsys)


def test_json_has_every_key_that_programs_rely_on(ask: Asking) -> None:
    for one in ask(*WINDOW):
        assert [key for key in one if key in KEYS] == KEYS
        for key in ("aos", "culmination", "tca", "los", "elements_epoch"):
            assert one[key].endswith("Z")
            assert len(one[key]) == len("2026-08-23T00:00:00.000000Z")


def test_a_pass_that_the_window_cuts_is_whole_and_says_so(ask: Asking) -> None:
    whole = ask(*WINDOW)[0]
    moment = datetime.fromisoformat(whole["culmination"]).astimezone(UTC).isoformat()
    [rising] = ask("--from", WINDOW[1], "--to", moment)
    [setting] = [one for one in ask("--from", moment, "--to", WINDOW[3]) if one["in_progress_at_start"]]
    assert (rising["in_progress_at_end"], setting["in_progress_at_end"]) == (True, False)
    assert rising["los"][:21] == setting["los"][:21] == whole["los"][:21]  # to a tenth of a second
    assert setting["aos"][:21] == whole["aos"][:21]


def test_edges_that_do_not_exist_are_null(ask: Asking, tmp_path: Path) -> None:
    lines = (files("sgp4") / "SGP4-VER.TLE").read_text(encoding="ascii").splitlines()
    pair = next(place for place, line in enumerate(lines) if line.startswith("1 28626U"))  # a geostationary one
    file = tmp_path / "geostationary.tle"
    file.write_text("\n".join(line[:69] for line in lines[pair : pair + 2]), encoding="ascii")
    arguments = ["--elements", str(file), "--mask", "0", "--from", "2006-06-26T00:00Z", "--to", "2006-06-27T00:00Z"]
    seen = [ask("--site", f"0,{longitude},0", *arguments) for longitude in range(-180, 180, 60)]
    [always, *_] = [found for found in seen if found]
    assert [] in seen  # and from the other side of the earth it is never up
    [one] = always
    assert [one[key] for key in ("aos", "los", "aos_azimuth_deg", "los_azimuth_deg")] == [None] * 4
    assert one["in_progress_at_start"]
    assert one["in_progress_at_end"]
    assert one["culmination"]


def test_the_source_of_the_earths_rotation_is_chosen_and_named(ask: Asking) -> None:
    measured, builtin = ask(*WINDOW)[0], ask("--ut1", "builtin", *WINDOW)[0]
    assert measured["ut1"].startswith("iers 20")
    assert builtin["ut1"] == "builtin"
    apart = datetime.fromisoformat(measured["aos"]) - datetime.fromisoformat(builtin["aos"])
    assert 0 < abs(apart.total_seconds()) < 0.5


def test_old_elements_are_one_warning_a_satellite_beside_the_output(ask: Asking, config_file: Path) -> None:
    satellites = config_file.parent / "satellites" / "one-sat.toml"
    satellites.write_text(satellites.read_text().replace("[61231]", "[61231, 61232]"))
    (config_file.parent / "tle" / "two.tle").write_text(with_checksums(ELEMENTS.replace("61231", "61232")))
    assert len({one["norad_id"] for one in ask(*WINDOW)}) == 2
    assert ask.warnings == []
    assert ask("--from", "2026-09-10", "--to", "2026-09-11")
    assert len(ask.warnings) == 1
    assert ask.warnings[0].startswith("warning: one-sat: its elements (61231) are of 2026-08-22, 18 days from")


def test_elements_of_a_file_go_by_our_name_for_the_satellite(ask: Asking, tmp_path: Path) -> None:
    file = tmp_path / "other.tle"
    file.write_text(ELEMENTS.replace("2024-173E", "SOME CATALOGUE'S NAME"), encoding="ascii")
    assert {one["satellite"] for one in ask("one-sat", "--elements", str(file), *WINDOW)} == {"one-sat"}


def unsteady(elements: Elements) -> list[Elements]:
    """Return six earlier sets, one a day, of which every second was 36 km behind."""
    named = replace(elements, name="one-sat", source="")
    return [later(named, -day, mean_anomaly_deg=-0.3 * (day % 2 == 0)) for day in range(1, 7)]


def test_the_uncertainty_is_that_of_the_sets_age_where_it_is_alone(ask: Asking, config_file: Path) -> None:
    [elements] = load_config(config_file).elements
    for one in ask(*WINDOW):
        aos = datetime.fromisoformat(one["aos"])
        assert one["aos_uncertainty_s"] == pytest.approx(aos_uncertainty_s(elements, aos), rel=1e-6)
    late = ask("--from", "2026-09-22", "--to", "2026-09-23")
    assert all(one["aos_uncertainty_s"] > 60 for one in late)


def test_the_uncertainty_follows_the_earlier_sets_in_files_and_archive(ask: Asking, config_file: Path) -> None:
    config = load_config(config_file)
    [elements] = config.elements
    alone = ask(*WINDOW)[0]["aos_uncertainty_s"]
    history = unsteady(elements)

    async def keep() -> None:
        async with Writer(config.settings.archive.url) as writer:
            await writer.save_elements(history)

    migrate(config.settings.archive.url)
    asyncio.run(keep())
    [first, *_] = ask(*WINDOW)
    expected = aos_uncertainty_s(elements, datetime.fromisoformat(first["aos"]), history)
    assert first["aos_uncertainty_s"] == pytest.approx(expected, rel=1e-6)
    assert expected > 5 * alone
    Path(config.settings.archive.url.removeprefix("sqlite:///")).unlink()
    assert ask(*WINDOW)[0]["aos_uncertainty_s"] == alone
    (config_file.parent / "tle" / "history.json").write_text(json.dumps([omm_figures(one) for one in history]))
    assert ask(*WINDOW)[0]["aos_uncertainty_s"] == pytest.approx(expected, rel=1e-6)


def test_sunlit_spans_lie_within_the_pass_and_change_where_the_light_does(ask: Asking, config_file: Path) -> None:
    [elements] = load_config(config_file).elements
    window = ["--from", "2026-08-23T12:00Z", "--to", "2026-08-23T22:00Z"]
    found = ask("--sunlit", "--site", "-70,114.17,0", *window)
    partly = [one for one in found if one["sunlit"] and one["sunlit"] != [[one["aos"], one["los"]]]]
    assert len(partly) >= 3
    for one in partly:
        [[start, end]] = one["sunlit"]
        assert one["aos"] <= start < end <= one["los"]
        edge = datetime.fromisoformat(end if end != one["los"] else start)
        around = [(edge + timedelta(seconds=s), edge + timedelta(seconds=s + 0.1)) for s in (-1, 1)]
        assert sorted(len(sunlit_spans(elements, *each)) for each in around) == [0, 1]


def test_beyond_the_suns_ephemeris_one_line_says_so(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tle = config_file.parent / "far.tle"
    tle.write_text(with_checksums(ELEMENTS.replace("26234.62199417", "53281.50000000")))
    config = ["--config", str(config_file), "--elements", str(tle)]
    window = ["--from", "2053-10-08T12:00Z", "--to", "2053-10-09T12:00Z"]
    told = "the sun's place is known (JPL's de421) from 1899-07-29 to 2053-10-07\n"
    asked = [["passes", "--sunlit", "--format", form, *window] for form in ("json", "csv")]
    for arguments in (*asked, ["track", "one-sat@2053-10-08T12:00Z"]):
        assert main([*arguments, *config]) == 2
        said = capsys.readouterr()
        assert said.out == ""
        assert re.fullmatch(r"2053-10-0[89]: ", said.err.splitlines(keepends=True)[-1].removesuffix(told))
    assert main(["passes", *window, *config, "--format", "ics"]) == 0
    assert "sunlit: unknown" in capsys.readouterr().out.replace("\r\n ", "")


def test_csv_has_the_same_figures_as_json(ask: Asking, config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = ask("--sunlit", "--site", "-70,114.17,0", *WINDOW)
    assert {len(one["sunlit"]) for one in found} == {0, 1}
    arguments = ["--config", str(config_file), "--sunlit", "--site", "-70,114.17,0", *WINDOW]
    assert main(["passes", *arguments, "--format", "csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [list(row) for row in rows] == [list(one) for one in found]
    assert [float(row["aos_uncertainty_s"]) for row in rows] == [one["aos_uncertainty_s"] for one in found]
    assert [row["sunlit"] for row in rows] == [" ".join("/".join(span) for span in one["sunlit"]) for one in found]


def test_the_table_fits_a_narrow_terminal_and_says_how_far_aos_may_be_off(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["passes", "--config", str(config_file), "--from", "2026-09-22", "--to", "2026-09-23"]
    assert main(arguments) == 0
    _, headings, *rows = capsys.readouterr().out.splitlines()
    assert headings.split()[-1] == "±"
    for row in rows:
        assert len(row) <= 80
        assert row.endswith(" min")
        assert "±" in row


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(None, "?"), (0.02, "±1 s"), (1.2, "±2 s"), (99, "±99 s"), (99.5, "±2 min"), (2240, "±38 min"),
     (6000, "±2 h"), (1e6, "±12 d"), (1e9, "±99 d")],
)  # fmt: skip
def test_a_margin_is_told_in_two_figures_and_never_too_small(seconds: float | None, told: str) -> None:
    assert margin(seconds) == told
