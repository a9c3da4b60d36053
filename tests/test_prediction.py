"""The daemon predicts without keeping its event loop, says how sure it is, and when the earth's tables are old."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.config import Config, load_config
from groundstation.orbit.ageing import aos_uncertainty_s
from groundstation.orbit.passes import find_passes, find_passes_in_chunks
from groundstation.prediction import Predictor, passes_over
from tests.orbit.histories import QUIET, later
from tests.orbit.sets import OBSERVATORY
from tests.parts.config_files import SETTINGS, write_files

HELD_MOST_S = 0.020
START = datetime(2026, 8, 23, tzinfo=UTC)
END = START + timedelta(days=1)
FLEET = [
    replace(
        QUIET,
        norad_id=100_000 + number,
        raan_deg=(7.3 * number) % 360,
        mean_anomaly_deg=(13.7 * number) % 360,
        mean_motion_rev_day=14.6 + 0.008 * (number % 97),
        inclination_deg=30.0 + number % 80,
    )
    for number in range(500)
]
NORTH = """
[[stations]]
slug = "svalbard"
name = "Svalbard"
latitude_deg = 78.23
longitude_deg = 15.39
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    config = load_config(write_files(tmp_path / "station", settings=SETTINGS + NORTH))
    migrate(config.settings.archive.url)
    return config


def nothing() -> None:
    """Stand for a beat that nobody listens to."""


async def held_s(work: Callable[[], Awaitable[object]]) -> float:
    """Return for how long `work` kept the loop from its other tasks at the most, in CPU time of the loop's thread.

    Wall-clock time would tell as much of what else this machine does.
    """
    longest = 0.0

    async def look() -> None:
        nonlocal longest
        while True:
            began = time.thread_time()
            await asyncio.sleep(0.0005)
            longest = max(longest, time.thread_time() - began)

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.01)
    longest = 0.0
    await work()
    await asyncio.sleep(0.001)
    looking.cancel()
    return longest


async def test_500_satellites_for_a_day_do_not_hold_the_loop(config: Config) -> None:
    predictor = Predictor(config)
    assert min([await held_s(lambda: predictor.predict(FLEET, START, END, nothing)) for _ in range(3)]) < HELD_MOST_S


async def test_a_longer_search_on_the_loop_itself_is_seen_to_hold_it() -> None:
    async def in_one_piece() -> None:
        find_passes(FLEET, OBSERVATORY, START, START + timedelta(days=4))

    find_passes(FLEET[:1], OBSERVATORY, START, END)  # the tables are read
    assert min([await held_s(in_one_piece) for _ in range(3)]) > HELD_MOST_S


def test_a_piece_is_short_in_cpu_time_for_its_thread_shares_the_interpreter() -> None:
    longest = []
    for _ in range(3):
        took, pieces = [], find_passes_in_chunks(FLEET, OBSERVATORY, START, END)
        while True:
            began = time.thread_time()
            piece = next(pieces, None)
            took.append(time.thread_time() - began)
            if piece is None:
                break
        longest.append(max(took))
    assert len(took) > 4
    assert min(longest) < HELD_MOST_S


async def test_pieces_give_the_same_passes_in_the_same_order() -> None:
    beats = []
    found = await passes_over(OBSERVATORY, FLEET, START, END, lambda: beats.append(1))
    expected = find_passes(FLEET, OBSERVATORY, START, END)
    assert [(one.norad_id, one.in_progress_at_start) for one in found] == [
        (one.norad_id, one.in_progress_at_start) for one in expected
    ]
    assert len(beats) > 4


async def test_every_station_has_its_passes_with_how_far_aos_may_be_off(config: Config) -> None:
    [elements] = config.elements
    predicted = await Predictor(config).predict(config.elements, START, END, nothing)
    assert {one.site for one in predicted.passes} == {"hko", "svalbard"}
    for one in predicted.passes:
        assert one.aos is not None
        assert predicted.aos_uncertainty_s[one] == aos_uncertainty_s(elements, one.aos)


async def test_the_archives_history_of_a_satellite_counts_once_other_elements_serve(config: Config) -> None:
    [elements] = config.elements
    history = [later(elements, -day, mean_anomaly_deg=-0.3 * (day % 2)) for day in range(1, 7)]
    predictor = Predictor(config)
    before = await predictor.predict([elements], START, END, nothing)
    async with Writer(config.settings.archive.url) as writer:
        await writer.save_elements([*history, elements])
    newer = later(elements, 0.1)
    after = await predictor.predict([newer], START, END, nothing)
    aos = after.passes[0].aos
    assert aos is not None
    expected = aos_uncertainty_s(newer, aos, [*history, elements])
    assert after.aos_uncertainty_s[after.passes[0]] == pytest.approx(expected)
    assert expected > 5 * before.aos_uncertainty_s[before.passes[0]]


async def test_passes_are_predicted_while_the_archive_is_away(tmp_path: Path) -> None:
    without = load_config(write_files(tmp_path / "without-archive"))
    predicted = await Predictor(without).predict(without.elements, START, END, nothing)
    assert len(predicted.aos_uncertainty_s) == len(predicted.passes) > 0


async def test_a_table_of_the_earths_rotation_that_is_too_old_is_one_warning(
    config: Config, caplog: pytest.LogCaptureFixture
) -> None:
    predictor, elements = Predictor(config), config.elements
    with caplog.at_level(logging.WARNING):
        await predictor.predict(elements, START, END, nothing)
        assert caplog.messages == []
        old = datetime(2036, 1, 1, tzinfo=UTC)
        for _ in range(2):
            await predictor.predict(elements, old, old + timedelta(hours=1), nothing)
    [line] = caplog.messages
    assert line.startswith("the table of the earth's rotation (iers 20")
    assert "expected 2036-01-01 or later" in line
