"""The search that judges a whole catalogue: it agrees where all is well, and sees what is not."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from groundstation.orbit.earth_rotation import earth_rotation
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.satrec import to_satrec
from tests.orbit.oracle import sky_over
from tests.orbit.sets import at, shipped, verification_sets
from tests.orbit.whole_catalogue import SITES, Tally, against_runs, dense_runs, grid, search, summed

NOON = at("2026-08-22T12:00:00")
DAY = timedelta(days=1)
LEO = shipped()[0]
GEOSTATIONARY = replace(LEO, norad_id=1, mean_motion_rev_day=1.00271, eccentricity=1e-4, inclination_deg=0.05)
MOLNIYA = replace(LEO, norad_id=2, mean_motion_rev_day=2.006, eccentricity=0.7, bstar_per_earth_radius=0.0)


def test_satellites_of_all_kinds_agree_with_the_dense_search() -> None:
    tally = search([*shipped()[:4], GEOSTATIONARY, MOLNIYA], NOON, 1.0)
    assert tally.good, tally
    assert tally.passes > 300


def test_a_satellite_that_decays_in_the_window_is_held_to_the_oracle() -> None:
    (spent,) = (one for one in verification_sets() if one.norad_id == 29141)
    tally = search([spent], spent.epoch, 1.0)
    assert tally.good, tally
    assert tally.passes > 10


@pytest.mark.parametrize(("mean_motion_rev_day", "bstar"), [(16.3, 2e-3), (16.4, 8e-4)])
def test_the_edges_of_a_burning_satellite_are_as_good_as_others(mean_motion_rev_day: float, bstar: float) -> None:
    """SGP4's velocity is 1 m/s off there: what relies on it for half a second is up to a millisecond off."""
    burning = replace(LEO, mean_motion_rev_day=mean_motion_rev_day, bstar_per_earth_radius=bstar, inclination_deg=53.0)
    tally = search([burning], burning.epoch + DAY / 2, 1.0)
    assert tally.good, tally
    assert tally.worst["edge_s"] < 1e-4


def later(by_s: float, *names: str) -> Callable[[Pass], Pass]:
    by = timedelta(seconds=by_s)

    def moved(one: Pass) -> Pass:
        moments: dict[str, datetime] = {name: getattr(one, name) + by for name in names}
        return replace(one, **moments)  # type: ignore[arg-type]

    return moved


def judge(passes: Sequence[Pass]) -> Tally:
    dense, satrec, sky = (
        grid(NOON, 86400.0, earth_rotation("iers").scale),
        to_satrec(LEO),
        sky_over(LEO, SITES[0], NOON),
    )
    _, r, _ = satrec.sgp4_array(dense.whole, dense.fraction)
    runs = dense_runs(sky, SITES[0], dense, np.einsum("ijn,nj->in", dense.turned, r), 0)
    return against_runs(sky, SITES[0], passes, runs)


@pytest.fixture(scope="module")
def passes() -> list[Pass]:
    return find_passes([LEO], SITES[0], NOON, NOON + DAY)


def test_a_pass_too_few_or_too_many_is_counted(passes: list[Pass]) -> None:
    assert judge(passes).good
    fewer, more = judge(passes[1:]), judge([*passes, later(3600.0, "aos", "culmination", "tca", "los")(passes[0])])
    assert (fewer.missed, fewer.spurious, fewer.good) == (1, 0, False)
    assert (more.missed, more.spurious, more.good) == (0, 1, False)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (later(0.0015, "aos"), "edge_s"),
        (later(-0.0015, "los"), "edge_s"),
        (later(0.006, "culmination"), "culmination_s"),
        (later(-0.006, "tca"), "tca_s"),
        (lambda one: replace(one, max_elevation_deg=one.max_elevation_deg + 2e-5), "elevation_deg"),
        (lambda one: replace(one, tca_range_km=one.tca_range_km + 2e-5), "range_km"),
    ],
)
def test_a_pass_that_is_off_by_little_more_than_is_promised_is_seen(
    spoil: Callable[[Pass], Pass], name: str, passes: list[Pass]
) -> None:
    right, wrong = judge(passes), judge([spoil(passes[0]), *passes[1:]])
    assert right.good
    assert not wrong.good
    assert {each for each in wrong.worst if wrong.worst[each] != right.worst[each]} >= {name}
    assert wrong.of[name].endswith(str(spoil(passes[0]).culmination))


def test_a_flag_that_is_wrong_is_counted(passes: list[Pass]) -> None:
    assert judge([replace(passes[0], in_progress_at_start=True), *passes[1:]]).flags == 1


def test_parts_are_summed_up(tmp_path: Path) -> None:
    tallies = [
        Tally(2, 10, 0, 0, 0, {"edge_s": 1e-4, "tca_s": 1e-3}, {"edge_s": "a", "tca_s": "a"}),
        Tally(3, 20, 1, 0, 0, {"edge_s": 2e-4, "tca_s": 5e-4}, {"edge_s": "b", "tca_s": "b"}),
    ]
    logs = [tmp_path / "1.log", tmp_path / "2.log"]
    for log, tally in zip(logs, tallies, strict=True):
        log.write_text(f"what went before\n{json.dumps(asdict(tally))}\n")
    assert summed(logs) == Tally(5, 30, 1, 0, 0, {"edge_s": 2e-4, "tca_s": 1e-3}, {"edge_s": "b", "tca_s": "a"})
