"""A pass counts how often what was said about it had to be said anew."""

import shutil
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from groundstation.archive import pass_queries
from groundstation.archive.engine import open_engine
from groundstation.archive.migrate import MIGRATIONS, migrate
from groundstation.archive.pass_queries import PredictedPass
from groundstation.orbit.passes import Pass
from tests.archive.places import Place
from tests.archive.test_passes import MINUTE, NOW, a_pass, microseconds, moved

HOUR = timedelta(hours=1)


async def kept(place: Place, *predictions: Pass) -> PredictedPass:
    """Return what the archive says once it has been given the predictions one after another."""
    async with place.writer() as writer, place.reader() as reader:
        numbers = {number for one in predictions for number in await writer.save_passes([one])}
        assert len(numbers) == 1
        [found] = await reader.ask(pass_queries.passes_since, microseconds(NOW))
    return found


async def test_a_pass_is_first_kept_unrevised(place: Place) -> None:
    one = await kept(place, a_pass(30))
    assert one.revision == 0
    assert one.revised_at_us == one.predicted_at_us


async def test_predicting_again_from_the_same_elements_revises_nothing(place: Place) -> None:
    first = a_pass(30)
    before = await kept(place, first)
    after = await kept(place, moved(first, 20e-6), moved(first, -0.9))
    assert after.aos_us != before.aos_us  # the newest times are kept all the same
    assert (after.revision, after.revised_at_us) == (0, before.revised_at_us)
    assert after.predicted_at_us > before.predicted_at_us


async def test_each_new_set_of_elements_is_a_revision(place: Place) -> None:
    first = a_pass(30)
    before = await kept(place, first)
    newer = [replace(moved(first, seconds), elements_epoch=first.elements_epoch + seconds * HOUR) for seconds in (1, 2)]
    after = await kept(place, newer[0], newer[1], newer[1])
    assert after.revision == 2
    assert after.revised_at_us is not None
    assert before.revised_at_us is not None
    assert before.revised_at_us < after.revised_at_us < after.predicted_at_us
    assert after.aos_us == microseconds(NOW + 30 * MINUTE) + 2_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"norad_id": 41341},
        {"los": NOW + 41 * MINUTE},
        {"aos": None, "aos_azimuth_deg": None},
        {"los": None, "los_azimuth_deg": None},
        {"elements_epoch": NOW - 3 * HOUR},
    ],
)
async def test_other_edges_or_another_object_are_a_revision(place: Place, changes: dict[str, object]) -> None:
    first = a_pass(30)
    other = replace(first, **changes)  # type: ignore[arg-type]
    assert (await kept(place, first, other)).revision == 1
    assert (await kept(place, first)).revision == 2


async def test_a_moved_mask_revises_though_the_elements_are_the_same(place: Place) -> None:
    assert (await kept(place, a_pass(30), moved(a_pass(30), 1.5))).revision == 1


async def test_passes_since_a_time_are_in_order_and_none_ended_before(place: Place) -> None:
    async with place.writer() as writer, place.reader() as reader:
        numbers = await writer.save_passes([a_pass(90), a_pass(-500), a_pass(-100), a_pass(-5)])
        found = await reader.ask(pass_queries.passes_since, microseconds(NOW - 120 * MINUTE))
        two = await reader.ask(pass_queries.passes_since, 0, most=2)
    assert [one.id for one in found] == [numbers[2], numbers[3], numbers[0]]
    assert [one.id for one in two] == [numbers[1], numbers[2]]


async def test_passes_of_an_older_archive_begin_unrevised(nowhere: Place, tmp_path: Path) -> None:
    older = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, older)
    for script in (older / "versions").glob("*.py"):
        if script.name >= "0004":
            script.unlink()
    migrate(nowhere.url, nowhere.password_file, migrations=older)
    one = a_pass(30)
    columns = "satellite, norad_id, station, aos, culmination, tca, los, culmination_azimuth_deg, max_elevation_deg"
    time = str if nowhere.engine == "sqlite" else (lambda us: f"to_timestamp({us} / 1e6)")
    aos, top, los, epoch = (
        time(microseconds(moment)) for moment in (one.aos, one.culmination, one.los, one.elements_epoch) if moment
    )
    with open_engine(nowhere.url, nowhere.password_file).begin() as connection:
        connection.exec_driver_sql(
            f"INSERT INTO pass ({columns}, tca_range_km, elements_epoch, predicted_at) VALUES"
            f" ('horyu-4', 41340, 'hko', {aos}, {top}, {top}, {los}, 100, 45, 750, {epoch}, {epoch})"
        )
    nowhere.migrate()
    async with nowhere.reader() as reader:
        [old] = await reader.ask(pass_queries.passes_since, 0)
    assert (old.revision, old.revised_at_us) == (0, None)
    assert (await kept(nowhere, one)).revision == 0
    assert (await kept(nowhere, replace(one, elements_epoch=NOW))).revision == 1
