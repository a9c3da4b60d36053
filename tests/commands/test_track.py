"""`groundstation track`: which pass it takes, what it says about it, and that its picture can be read."""

import asyncio
import csv
import io
import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.projections.polar import PolarAxes
from matplotlib.text import Text

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.cli import main
from groundstation.commands.passes_query import Asked
from groundstation.commands.track_plot import SHADE, along, compose, marks_of, ticks_between
from groundstation.commands.track_query import TrackedPass, query_track
from groundstation.config import Config, load_config
from groundstation.figures import margin
from groundstation.orbit.ageing import aos_uncertainty_s
from groundstation.orbit.doppler import LIGHT_KM_S
from groundstation.orbit.look_angles import look_angles
from groundstation.orbit.passes import find_passes
from tests.parts.config_files import DEFINITION, write_files

DOWNLINKS = """
[[downlinks]]
name = "beacon"
frequency_hz = 437_375_000.0
mode = "GMSK, 9600 baud"

[[downlinks]]
name = "payload"
frequency_hz = 2_245_000_000.0
"""
DAY = datetime(2026, 8, 23, tzinfo=UTC)
AT = "one-sat@2026-08-23"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write_files(tmp_path / "station", definition=DEFINITION + DOWNLINKS)


@pytest.fixture
def config(config_file: Path) -> Config:
    return load_config(config_file)


def shown(config_file: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert main(["track", *arguments, "--config", str(config_file)]) == 0
    return capsys.readouterr().out


def as_json(config_file: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(shown(config_file, capsys, *arguments, "--format", "json"))
    return answer


def test_json_has_look_angles_and_the_shift_of_each_downlink(
    config_file: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    answer = as_json(config_file, capsys, AT, "--step", "30")
    first = find_passes(config.elements, config.sites["hko"], DAY, DAY + timedelta(days=1))[0]
    points = answer["points"]
    times = [datetime.fromisoformat(point["time"]) for point in points]
    assert first.aos is not None
    assert first.los is not None
    assert answer["aos"] == points[0]["time"]
    assert answer["los"] == points[-1]["time"]
    assert abs(times[0] - first.aos) < timedelta(milliseconds=1)
    assert abs(times[-1] - first.los) < timedelta(milliseconds=1)
    assert {later - before for before, later in pairwise(times[:-1])} == {timedelta(seconds=30)}
    look = look_angles(config.elements[0], config.sites["hko"], times)
    assert [point["azimuth_deg"] for point in points] == look.azimuth_deg.tolist()
    assert [point["elevation_deg"] for point in points] == look.elevation_deg.tolist()
    assert [link["frequency_hz"] for link in answer["downlinks"]] == [437_375_000.0, 2_245_000_000.0]
    for point in points:
        expected = [-hz * point["range_rate_km_s"] / LIGHT_KM_S for hz in (437_375_000.0, 2_245_000_000.0)]
        assert point["doppler_hz"] == pytest.approx(expected)


def test_csv_has_the_same_figures_as_json(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = as_json(config_file, capsys, AT)["points"]
    rows = list(csv.DictReader(io.StringIO(shown(config_file, capsys, AT, "--format", "csv"))))
    assert [row["time"] for row in rows] == [point["time"] for point in points]
    assert [float(row["doppler_hz_2245000000"]) for row in rows] == [point["doppler_hz"][1] for point in points]


SHADED = ["one-sat@2026-08-23T15:40Z", "--site", "-70,114.17,0"]


def test_each_point_says_whether_the_satellite_is_lit(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    answer = as_json(config_file, capsys, *SHADED)
    [[start, end]] = answer["sunlit"]
    assert start == answer["aos"]
    assert end < answer["culmination"]
    lit = [point["time"] <= end for point in answer["points"]]
    assert [point["sunlit"] for point in answer["points"]] == lit
    assert 5 < sum(lit) < len(lit) - 5
    rows = list(csv.DictReader(io.StringIO(shown(config_file, capsys, *SHADED, "--format", "csv"))))
    assert [row["sunlit"] for row in rows] == [str(one) for one in lit]
    table = shown(config_file, capsys, *SHADED).splitlines()[-len(lit) :]
    assert [line.split()[-1] for line in table] == ["yes" if one else "no" for one in lit]


def test_a_track_says_how_far_aos_may_be_off(
    config_file: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    late = "one-sat@2026-09-22"
    answer = as_json(config_file, capsys, late)
    seconds = aos_uncertainty_s(config.elements[0], datetime.fromisoformat(answer["aos"]))
    assert answer["aos_uncertainty_s"] == pytest.approx(seconds, rel=1e-6)
    title = " ".join(shown(config_file, capsys, late).splitlines()[:2])
    assert f", AOS {margin(seconds)}" in title


def test_the_picture_shades_the_track_where_the_earths_shadow_is(config: Config) -> None:
    tracked = query_track(config, SHADED[0], Asked(site=SHADED[2]), 5.0, DAY)
    figure = drawn(tracked)
    sky, elevation = figure.axes[:2]
    [[start, end]] = tracked.sunlit
    dark = [not start <= time <= end for time in tracked.track.times]
    for axes in (sky, elevation):
        [shade] = [line for line in axes.lines if line.get_color() == SHADE]
        assert [not math.isnan(y) for y in np.asarray(shade.get_ydata(), float)] == dark
    assert [line for line in sky.lines if line.get_label() == "in the earth's shadow"]
    noon = drawn(tracked_passes(config)[0]).axes[0]
    assert [line for line in noon.lines if line.get_color() == SHADE] == []


def test_the_table_says_what_pass_it_is(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = shown(config_file, capsys, AT, "--step", "60").splitlines()
    assert re.match(r"One-Sat \(61231\) over Hong Kong Observatory, 2026-08-23 \d\d:\d\d:\d\d to ", lines[0])
    [headings] = [number for number, line in enumerate(lines) if line.startswith("time (UTC)")]
    assert "Doppler Hz at 437.375 MHz" in lines[headings]
    assert lines[headings + 1].split()[2] == "5.00°"
    assert lines[-1].split()[2] == "5.00°"


def test_a_pass_under_way_is_taken_and_else_the_next(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first = as_json(config_file, capsys, AT)
    culmination, los = (datetime.fromisoformat(first[key]) for key in ("culmination", "los"))
    again = as_json(config_file, capsys, f"61231@{culmination.isoformat()}")
    assert again["aos"][:21] == first["aos"][:21]
    later = as_json(config_file, capsys, f"one-sat@{(los + timedelta(seconds=1)).isoformat()}")
    assert datetime.fromisoformat(later["aos"]) > los


def test_a_number_is_the_archives_pass_from_the_elements_of_then(
    config_file: Path, config: Config, capsys: pytest.CaptureFixture[str]
) -> None:
    [now] = config.elements
    then = replace(now, epoch=now.epoch - timedelta(seconds=20))  # the satellite is some 20 s early with these
    [early, *_] = find_passes([then], config.sites["hko"], DAY, DAY + timedelta(days=1))

    async def keep() -> int:
        async with Writer(config.settings.archive.url) as writer:
            await writer.save_elements([then, now])
            [number] = await writer.save_passes([early])
        return number

    migrate(config.settings.archive.url)
    number = asyncio.run(keep())
    answer = as_json(config_file, capsys, str(number))
    assert early.aos is not None
    assert abs(datetime.fromisoformat(answer["aos"]) - early.aos) < timedelta(milliseconds=1)
    assert datetime.fromisoformat(answer["elements_epoch"]) == then.epoch
    assert abs(datetime.fromisoformat(as_json(config_file, capsys, AT)["aos"]) - early.aos) > timedelta(seconds=10)
    assert main(["track", str(number + 1), "--config", str(config_file)]) == 2
    assert f"PASS: found {number + 1}, expected SATELLITE, SATELLITE@TIME or a pass" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["no-such-sat"], "PASS: found no-such-sat, expected one of one-sat"),
        (["one-sat@noon"], "PASS: after @ found noon, expected an ISO time like 2026-11-22T10:00Z"),
        (["one-sat@0001-01-01T00:00+14:00"], "PASS: after @ found 0001-01-01T00:00+14:00, expected an ISO time"),
        (["@2026-08-23"], "PASS: found no satellite before @, expected SATELLITE@TIME"),
        (
            [AT, "--site", "-89,0,0", "--mask", "80"],
            "PASS: found one-sat, which has no pass over -89,0,0 in the 7 days",
        ),
        (["9" * 30], "expected SATELLITE, SATELLITE@TIME or a pass that the archive knows"),
        (["1", "--site", "hko"], "PASS: found the number 1, expected no --site, --mask or --elements with it"),
        ([AT, "--step", "0"], "found 0, expected seconds from 0.001 to 86400"),
        ([AT, "--step", "nan"], "found nan, expected seconds from 0.001 to 86400"),
        ([AT, "--step", "0.001"], "--step: found 0.001, which makes more than 100000 rows"),
        ([AT, "--plot", "sky.gif"], "found sky.gif, expected a file name that ends in .png or .svg"),
    ],
)
def test_a_wrong_question_is_one_line_and_status_2(
    config_file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], line: str
) -> None:
    try:
        status = main(["track", *arguments, "--config", str(config_file)])
    except SystemExit as ended:  # argparse's own way
        status = int(str(ended.code))
    said = capsys.readouterr()
    assert status == 2
    assert line in said.err.splitlines()[-1]
    assert said.out == ""


def test_a_number_without_an_archive_is_one_line_and_status_1(
    config_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["track", "1", "--config", str(config_file)]) == 1
    url = f"sqlite:///{config_file.parent / 'test.db'}"
    why = "there is no such file; `groundstation run` makes one as it starts"
    assert capsys.readouterr().err == f"groundstation: {url}: {why}\n"


def test_a_picture_is_written_in_the_format_of_its_name(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    png, svg = config_file.with_name("sky.png"), config_file.with_name("sky.SVG")
    for file in (png, svg):
        shown(config_file, capsys, AT, "--plot", str(file))
    assert png.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert png.stat().st_size > 50_000
    texts = re.findall(r"<!-- (.*) -->", svg.read_text(encoding="utf-8"))
    aos = as_json(config_file, capsys, AT)["aos"]
    assert {"N", "E", "S", "W", "mask 5°", "beacon, 437.375 MHz", "payload, 2245 MHz", "elevation (°)"} <= set(texts)
    assert [text for text in texts if text.startswith(f"AOS {aos[11:19]}, azimuth ")]
    assert "north up, east right, as on a map; times in UTC" in texts
    before = svg.read_bytes()
    shown(config_file, capsys, AT, "--plot", str(svg))
    assert svg.read_bytes() == before


def test_a_picture_without_matplotlib_is_one_line_that_names_the_extra(config_file: Path) -> None:
    arguments = ["track", AT, "--config", str(config_file), "--plot", str(config_file.with_name("sky.png"))]
    without = "import sys; sys.modules['matplotlib'] = None; from groundstation.cli import main; "
    done = subprocess.run(
        [sys.executable, "-c", f"{without}sys.exit(main({arguments!r}))"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 1
    assert done.stderr == "groundstation: --plot needs matplotlib: pip install matplotlib\n"
    assert done.stdout == ""


def test_a_picture_that_cannot_be_written_is_one_line(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["track", AT, "--config", str(config_file), "--plot", "/nowhere/sky.png"]) == 1
    assert capsys.readouterr().err == "groundstation: [Errno 2] No such file or directory: '/nowhere/sky.png'\n"


def drawn(tracked: TrackedPass) -> Figure:
    figure = Figure(figsize=(12, 6.6), dpi=110)
    compose(figure, tracked, along(tracked, tracked.track.times))
    figure.savefig(io.BytesIO())
    return figure


def tracked_passes(config: Config) -> list[TrackedPass]:
    """Return four days of passes: low and high, east and west, north and south going."""
    found = find_passes(config.elements, config.sites["hko"], DAY, DAY + timedelta(days=4))
    return [query_track(config, f"one-sat@{one.culmination.isoformat()}", Asked(), 5.0, DAY) for one in found]


def test_north_is_up_and_east_is_right(config: Config) -> None:
    sky = drawn(tracked_passes(config)[0]).axes[0]
    assert isinstance(sky, PolarAxes)
    (north, east, zenith) = (sky.transData.transform(place) for place in ((0, 90), (1.5707963, 90), (0, 0)))
    assert north[1] - zenith[1] > 100
    assert east[0] - zenith[0] > 100
    assert abs(north[0] - zenith[0]) < 1
    assert abs(east[1] - zenith[1]) < 1


def words_of(figure: Figure) -> Iterator[Text]:
    """Yield what is written: axes have labels beyond their ends too, which are not drawn."""
    yield from figure.texts
    for axes in figure.axes:
        yield from (*axes.texts, axes.title, axes.yaxis.label)
        yield from (text for text in axes.get_xticklabels() if within(text.get_position()[0], axes.get_xlim()))
        yield from (text for text in axes.get_yticklabels() if within(text.get_position()[1], axes.get_ylim()))


def within(place: float, ends: tuple[float, float]) -> bool:
    return min(ends) <= place <= max(ends)


def test_the_marks_lie_on_the_track_where_hills_and_air_set_the_edges(config: Config) -> None:
    hills = replace(config.sites["hko"], horizon=((0, 5), (90, 20), (180, 12), (270, 3)), refraction=True)
    for tracked in tracked_passes(config)[:6]:
        found = find_passes([tracked.elements], hills, tracked.track.times[0], tracked.track.times[-1])
        for one in found:
            marks = list(marks_of(replace(tracked, of=one, site=hills)))
            assert len(marks) == 3
            look = look_angles(tracked.elements, hills, [mark.time for mark in marks])
            assert [mark.elevation_deg for mark in marks] == pytest.approx(look.elevation_deg.tolist(), abs=0.01)
            assert marks[0].elevation_deg != pytest.approx(5, abs=0.01)


def test_no_words_of_a_picture_lie_on_one_another(config: Config) -> None:
    passes = tracked_passes(config)
    assert len(passes) > 12
    for tracked in passes:
        figure = drawn(tracked)
        boxes = [(text.get_text(), text.get_window_extent()) for text in words_of(figure) if text.get_text()]
        page = figure.bbox
        assert [text for text, box in boxes if box.x0 < page.x0 or box.x1 > page.x1 or box.y0 < page.y0] == []
        overlaps = [(one, other) for (one, a), (other, b) in combinations(boxes, 2) if a.overlaps(b)]
        assert overlaps == [], tracked.of


def test_ticks_stand_on_round_times_and_have_room() -> None:
    start = datetime(2026, 8, 23, 23, 57, 10, tzinfo=UTC)
    for minutes in (0.3, 1, 4, 9.5, 15, 47, 300, 1440, 2880):
        end = start + timedelta(minutes=minutes)
        ticks = ticks_between(start, end, 12)
        assert len(ticks) <= 12
        assert ticks or minutes < 1
        assert all(start < tick < end for tick in ticks)
        steps = {later - before for before, later in pairwise(ticks)}
        assert len(steps) <= 1
        if minutes >= 15:
            assert all(tick.second == 0 for tick in ticks)
            midnight = datetime(2026, 8, 24, tzinfo=UTC)
            assert all((tick - midnight) % step == timedelta(0) for step in steps for tick in ticks)
