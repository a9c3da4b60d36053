"""Contacts are planned from real predictions and promised in time; promises outlast new elements and restarts."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.config import Config, load_config
from groundstation.orbit.contacts import Contact, Skip
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.synthetic import rising_over
from groundstation.planning import Planner, promise_until, rules_of
from groundstation.telemetry.moments import MICROSECOND
from tests.archive.places import Place
from tests.parts.config_files import DEFINITION, SETTINGS, write_files

NOW = datetime(2026, 8, 23, tzinfo=UTC)
DAY, MINUTE, SECOND = timedelta(days=1), timedelta(minutes=1), timedelta(seconds=1)


@dataclass
class Station:
    """A station that predicts and plans as the daemon does, at whatever time it is told."""

    config: Config
    planner: Planner
    writer: Writer

    async def plan(self, now: datetime, *, raised_deg: float = 0.0) -> list[Contact]:
        """Predict from elements whose satellites are `raised_deg` further on their orbits; return the contacts."""
        sets = [replace(one, mean_anomaly_deg=one.mean_anomaly_deg + raised_deg) for one in self.config.elements]
        passes: list[Pass] = []
        for site in self.config.sites.values():
            passes += find_passes(sets, site, now - DAY / 24, now + DAY)
        numbers = await self.writer.save_passes(passes)
        await self.planner.renew(passes, numbers, self.writer, now, now + DAY)
        return list(self.planner.plans["hko"].contacts)

    def rows(self) -> list[tuple[int, str, int]]:
        """Return what the archive has of the contacts: number, state, start in microseconds."""
        found = Place(self.config.settings.archive.url).rows("SELECT id, state, starts_at FROM contact ORDER BY id")
        return [(number, state, starts_at) for number, state, starts_at in found]


def rename(file: str, to: str) -> None:
    Path(file).rename(to)


@pytest_asyncio.fixture
async def station(tmp_path: Path) -> AsyncIterator[Station]:
    config = load_config(write_files(tmp_path / "station"))
    migrate(config.settings.archive.url)
    async with Writer(config.settings.archive.url) as writer:
        yield Station(config, Planner(config), writer)


async def test_a_commitment_keeps_its_number_when_newer_elements_move_the_pass(station: Station) -> None:
    first = (await station.plan(NOW))[0]
    now = first.start - 20 * MINUTE
    (before, *_) = await station.plan(now)
    assert before.committed
    number, state, starts_at = station.rows()[0]
    assert state == "committed"
    (after, *_) = await station.plan(now + MINUTE, raised_deg=-0.5)  # half a degree of the orbit is 8 s
    assert 5 < (after.start - before.start).total_seconds() < 15
    assert after.committed
    later_us = (after.start - before.start) // MICROSECOND
    assert station.rows()[0] == (number, "committed", starts_at + later_us)


async def test_a_restarted_daemon_keeps_what_was_promised(station: Station) -> None:
    first = (await station.plan(NOW))[0]
    before = (await station.plan(first.start - 20 * MINUTE))[0]
    numbers = station.rows()
    again = replace(station, planner=Planner(station.config))
    (after, *_) = await again.plan(first.start + MINUTE)  # in the middle of the contact
    assert (after.committed, after.weight) == (True, before.weight)
    assert abs(after.start - before.start) < SECOND / 1000
    assert station.rows()[0] == numbers[0]


async def test_a_contact_is_promised_with_the_last_prediction_that_is_early_enough(station: Station) -> None:
    settings = station.config.settings
    first, second = (await station.plan(NOW))[:2]
    early_enough = first.start - timedelta(seconds=settings.contacts.commit_s + settings.passes.refresh_s)
    assert [one.committed for one in (await station.plan(early_enough - MINUTE))[:2]] == [False, False]
    assert [one.committed for one in (await station.plan(early_enough + SECOND))[:2]] == [True, False]
    assert second.start - first.end > 30 * MINUTE


async def test_promises_survive_an_archive_that_is_away(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    first = (await station.plan(NOW))[0]
    file, now = station.config.settings.archive.url.removeprefix("sqlite:///"), first.start - 20 * MINUTE
    passes = find_passes(station.config.elements, station.config.sites["hko"], now, now + DAY)
    rename(file, f"{file}.away")
    for minutes in (0, 1):
        await station.planner.renew(passes, [], station.writer, now + minutes * MINUTE, now + DAY)
    assert "planned contacts are not in the archive yet" in caplog.text
    before = station.planner.plans["hko"].contacts[0]
    assert before.committed
    rename(f"{file}.away", file)
    moved = (await station.plan(now + 2 * MINUTE, raised_deg=-0.5))[0]
    assert moved.committed
    assert moved.start != before.start
    assert station.rows()[0][1] == "committed"


async def test_a_promise_that_cannot_be_kept_is_said(station: Station, caplog: pytest.LogCaptureFixture) -> None:
    first = (await station.plan(NOW))[0]
    now = first.start - 20 * MINUTE
    await station.plan(now)
    await station.planner.renew([], [], station.writer, now + MINUTE, now + DAY)
    assert f"hko: the contact with one-sat at {first.start:%H:%M:%SZ} will not happen" in caplog.text
    assert [state for _, state, _ in station.rows()] == ["cancelled"]


async def test_health_has_the_contact_under_way_or_next_and_counts_the_rest(station: Station) -> None:
    contacts = await station.plan(NOW)
    before = station.planner.health(contacts[0].start - MINUTE)
    under_way = station.planner.health(contacts[0].start + MINUTE)
    after = station.planner.health(contacts[0].end)
    assert [one.active for one in (*before, *under_way, *after)] == [False, True, False]
    assert before[0].start_us == under_way[0].start_us < after[0].start_us
    (summary,) = station.planner.summary(NOW)
    assert summary.planned + summary.committed == len(contacts)
    assert summary.skipped.keys() == set(Skip)
    assert sum(summary.skipped.values()) == len(station.planner.plans["hko"].skipped)


def test_rules_come_from_the_configuration(tmp_path: Path) -> None:
    settings = SETTINGS.replace("altitude_m = 32", "setup_s = 30\nmin_elevation_deg = 20\nmin_duration_s = 200")
    settings += "\n[contacts]\ncommit_s = 60\ntake_without_packets = false\npriorities = { one-sat = 3 }\n"
    several = DEFINITION.partition("[[packets]]")[0].replace("[61231]", "[61231, 61232, 61233]")
    config = load_config(write_files(tmp_path, settings=settings, definition=several))
    rules = rules_of(config, config.settings.stations[0])
    assert (rules.setup_s, rules.min_elevation_deg, rules.min_duration_s) == (30, 20, 200)
    assert rules.priorities == {"one-sat": 3}
    assert rules.candidates == {"one-sat": 3}
    assert rules.without_packets == {"one-sat"}
    assert promise_until(config, NOW) == NOW + timedelta(seconds=60 + 600)


def test_a_satellite_without_packets_is_taken_unless_the_operator_says_no(tmp_path: Path) -> None:
    config = load_config(write_files(tmp_path, definition=DEFINITION.partition("[[packets]]")[0]))
    assert rules_of(config, config.settings.stations[0]).without_packets == frozenset()


def test_a_synthetic_pass_over_a_station_is_a_contact_of_its_length(tmp_path: Path) -> None:
    config = load_config(write_files(tmp_path))
    planner, site = Planner(config), config.sites["hko"]
    elements = rising_over(site, NOW + 5 * MINUTE, 60, 999_999_999, "one-sat")
    passes = find_passes([elements], site, NOW, NOW + DAY / 12)
    plan = planner._plan("hko", passes, NOW, NOW + DAY / 12)
    assert [(one.start, one.end, one.committed) for one in plan.contacts] == [(passes[0].aos, passes[0].los, True)]


async def test_a_daemon_that_does_not_lead_plans_alike_and_saves_nothing(station: Station) -> None:
    leading = await station.plan(NOW)
    kept = station.rows()
    passes = [one for site in station.config.sites.values() for one in find_passes(
        station.config.elements, site, NOW - DAY / 24, NOW + DAY
    )]  # fmt: skip
    follower = Planner(station.config)
    await follower.renew(passes, (), None, NOW + MINUTE, NOW + DAY)
    assert [one.of.aos for one in follower.plans["hko"].contacts] == [one.of.aos for one in leading]
    assert station.rows() == kept
