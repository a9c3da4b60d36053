"""The calendar as a calendar program reads it: events that stay themselves while their passes move."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import icalendar
import pytest

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.cli import main
from groundstation.commands.passes_calendar import events_of_prediction
from groundstation.commands.passes_query import Asked, Found, query_passes
from groundstation.config import Config, load_config
from groundstation.figures import margin
from groundstation.monitor.http import CalendarError, serve
from groundstation.orbit.ageing import aos_uncertainty_s
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.sunlit import sunlit_spans
from groundstation.pass_calendar import as_calendar, read_calendar
from tests.orbit.histories import later
from tests.parts.config_files import DEFINITION, SETTINGS, write_files
from tests.parts.station import Station

DOWNLINK = """
[[downlinks]]
name = "beacon; main, left"
frequency_hz = 437_375_000.0
mode = "GMSK, 9600 baud"
"""
START = datetime(2026, 8, 23, tzinfo=UTC)
END = START + timedelta(days=1)
SECOND_STATION = """
[[stations]]
slug = "svalbard"
name = "Svalbard"
latitude_deg = 78.23
longitude_deg = 15.39
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = write_files(tmp_path / "station", settings=SETTINGS + SECOND_STATION, definition=DEFINITION + DOWNLINK)
    config = load_config(path)
    migrate(config.settings.archive.url)
    return config


def predicted(config: Config, later: timedelta = timedelta(0), site: str = "hko") -> list[Pass]:
    """Return a day's passes, from elements that are the same so much later."""
    sets = [replace(one, epoch=one.epoch + later) for one in config.elements]
    return find_passes(sets, config.sites[site], START, END)


def asked(config: Config, later: timedelta = timedelta(0)) -> Found:
    """Return the same passes as the command line has them."""
    sets = tuple(replace(one, epoch=one.epoch + later) for one in config.elements)
    return query_passes(replace(config, elements=sets), Asked(), START, END)


async def kept(config: Config, passes: Sequence[Pass]) -> Sequence[int]:
    async with Writer(config.settings.archive.url) as writer:
        return await writer.save_passes(passes)


@dataclass(frozen=True)
class Shown:
    """What a calendar program takes from an event."""

    uid: str
    sequence: int
    stamp: datetime
    modified: datetime
    start: datetime
    end: datetime
    summary: str
    location: str
    lines: Sequence[str]


async def events(config: Config, stations: Sequence[str] = (), satellites: Sequence[str] = ()) -> list[Shown]:
    return read(await read_calendar(config, stations, satellites, START))


def read(text: str) -> list[Shown]:
    calendar = icalendar.Calendar.from_ical(text)
    assert calendar["VERSION"] == "2.0"
    found = []
    for event in calendar.walk("VEVENT"):
        assert isinstance(event, icalendar.Event)
        assert event.errors == []
        found.append(
            Shown(
                uid=str(event["UID"]),
                sequence=event.decoded("SEQUENCE"),
                stamp=event.decoded("DTSTAMP"),
                modified=event.decoded("LAST-MODIFIED"),
                start=event.decoded("DTSTART"),
                end=event.decoded("DTEND"),
                summary=str(event["SUMMARY"]),
                location=str(event["LOCATION"]),
                lines=str(event["DESCRIPTION"]).split("\n"),
            )
        )
    assert len({one.uid for one in found}) == len(found)
    return found


async def test_each_pass_is_an_event_with_what_an_operator_needs(config: Config) -> None:
    passes = predicted(config)
    numbers = await kept(config, passes)
    shown = await events(config)
    assert len(shown) == len(passes) >= 2
    for event, one, number in zip(shown, passes, numbers, strict=True):
        assert one.aos is not None
        assert one.los is not None
        assert event.uid == f"pass-{number}-one-sat-hko@groundstation"
        assert event.sequence == 0
        assert abs(event.start - one.aos) <= timedelta(seconds=0.5)
        assert abs(event.end - one.los) <= timedelta(seconds=0.5)
        assert event.summary == f"One-Sat, {one.max_elevation_deg:.0f}°"
        assert event.location == "Hong Kong Observatory"
        assert event.lines[0] == f"AOS {one.aos:%H:%M:%S}Z, azimuth {one.aos_azimuth_deg:.0f}°"
        assert event.lines[1].startswith(f"up to {one.max_elevation_deg:.1f}° at {one.culmination:%H:%M:%S}Z, azimuth ")
        assert "beacon; main, left: 437.375 MHz, GMSK, 9600 baud" in event.lines
        assert event.lines[-1].startswith("elements of 2026-08-22 ")


def light_of(sunlit: Sequence[tuple[datetime, datetime]], one: Pass) -> str:
    """Return the words for it, where the light changes once at the most."""
    if not sunlit:
        return "sunlit: no"
    [(start, end)] = sunlit
    whole = (start, end) == (one.aos, one.los)
    return "sunlit: yes" if whole else f"sunlit: partly, {start:%H:%M:%S}Z to {end:%H:%M:%S}Z"


async def test_an_event_says_the_light_and_how_far_aos_may_be_off(tmp_path: Path) -> None:
    antarctic = SECOND_STATION.replace("78.23", "-70").replace("15.39", "114.17")
    config = load_config(write_files(tmp_path / "antarctic", settings=SETTINGS + antarctic))
    migrate(config.settings.archive.url)
    [elements] = config.elements
    passes = predicted(config, site="svalbard")
    await kept(config, passes)
    words = [light_of(sunlit_spans(elements, one.aos, one.los), one) for one in passes if one.aos and one.los]
    assert {word.split()[1] for word in words} == {"yes", "partly,", "no"}
    shown = await events(config, ["svalbard"])
    assert [event.lines[-3] for event in shown] == words
    for event in shown:
        assert event.lines[-2] == f"AOS {margin(aos_uncertainty_s(elements, event.start))}, nine times of ten"
    [first, *_] = shown
    history = [later(elements, -day, mean_anomaly_deg=-0.9 * (day % 2)) for day in range(1, 6)]  # up to 110 km behind
    async with Writer(config.settings.archive.url) as writer:
        await writer.save_elements([*history, elements])
    [unsteady, *_] = await events(config, ["svalbard"])
    seconds = aos_uncertainty_s(elements, first.start, history)
    assert unsteady.lines[-2] == f"AOS {margin(seconds)}, nine times of ten" != first.lines[-2]
    async with Writer(config.settings.archive.url) as writer:
        await writer.save_passes([replace(one, elements_epoch=START) for one in passes])
    [unknown, *_] = await events(config, ["svalbard"])
    assert not [line for line in unknown.lines if line.startswith("sunlit") or "nine times" in line]


async def test_newer_elements_move_the_events_and_add_none(config: Config) -> None:
    def high(later: timedelta) -> list[Pass]:
        """Leave out the grazes, which may come and go."""
        return [one for one in predicted(config, later) if one.max_elevation_deg > 10]

    await kept(config, high(timedelta(0)))
    before = {event.uid: event for event in await events(config)}
    assert len(before) >= 2
    for number in (1, 2):  # each set says that the satellite is twenty seconds later
        newer = high(number * timedelta(seconds=20))
        await kept(config, newer)
        await kept(config, newer)  # predicting again tells nothing new
        after = {event.uid: event for event in await events(config)}
        assert after.keys() == before.keys()
        for uid, event in after.items():
            assert timedelta(seconds=10 * number) < event.start - before[uid].start < timedelta(seconds=30 * number)
            assert event.sequence == number
            assert event.stamp == event.modified


async def test_the_same_passes_give_the_same_calendar(config: Config) -> None:
    await kept(config, predicted(config))
    first = await read_calendar(config, (), (), START)
    await kept(config, predicted(config))
    assert await read_calendar(config, (), (), START) == first


async def test_a_calendar_is_of_the_stations_and_satellites_asked_for(config: Config) -> None:
    here, north = predicted(config), predicted(config, site="svalbard")
    await kept(config, [*here, *north])
    assert len(await events(config)) == len(here) + len(north)
    shown = await events(config, ["svalbard"], ["one-sat"])
    assert [event.location for event in shown] == ["Svalbard"] * len(north)
    with pytest.raises(CalendarError, match="station: found atlantis, expected one of hko, svalbard") as caught:
        await events(config, ["atlantis"])
    assert caught.value.http_status == 404
    with pytest.raises(CalendarError, match="satellite: found two-sat, expected one of one-sat"):
        await events(config, [], ["two-sat"])


async def test_passes_of_the_last_week_stay_and_older_ones_go(config: Config) -> None:
    passes = predicted(config)
    await kept(config, passes)
    for days, count in ((6.0, len(passes)), (9.0, 0)):
        assert len(read(await read_calendar(config, (), (), START + timedelta(days=days)))) == count


async def test_a_pass_without_an_edge_is_no_event(config: Config) -> None:
    one, *others = predicted(config)
    await kept(config, [replace(one, los=None, los_azimuth_deg=None), *others])
    assert len(await events(config)) == len(others)


async def test_an_archive_that_is_away_is_503(tmp_path: Path) -> None:
    config, station = load_config(write_files(tmp_path / "without-archive")), Station()

    async def calendar(stations: Collection[str], satellites: Collection[str]) -> str:
        return await read_calendar(config, stations, satellites, START)

    async with (
        serve("127.0.0.1", 0, station.health, list, calendar) as url,
        aiohttp.ClientSession(base_url=url) as client,
        client.get("/passes.ics") as answer,
    ):
        assert answer.status == 503
        archive = config.settings.archive.url
        why = "there is no such file; `groundstation run` makes one as it starts"
        assert await answer.text() == f"the archive does not answer: {archive}: {why}\n"


def test_the_command_prints_a_calendar_of_the_same_passes(config: Config, capsys: pytest.CaptureFixture[str]) -> None:
    window = ["--from", START.isoformat(), "--to", END.isoformat()]
    assert main(["passes", "--config", str(config.path), "--format", "ics", *window]) == 0
    said = capsys.readouterr()
    shown, expected = read(said.out), predicted(config)
    assert said.out.count("\r\n") == said.out.count("\n")
    assert [event.start.replace(second=0) for event in shown] == [
        (one.aos + timedelta(seconds=0.5)).replace(second=0, microsecond=0) for one in expected if one.aos
    ]


def test_without_an_archive_newer_elements_move_most_events_too(config: Config) -> None:
    def shown(later: timedelta) -> dict[str, Shown]:
        found = events_of_prediction(asked(config, later), START)
        return {event.uid: event for event in read(as_calendar(found, config))}

    before, after = shown(timedelta(0)), shown(timedelta(minutes=1))
    common = before.keys() & after.keys()
    assert len(common) >= len(before) - 1
    assert all(after[uid].sequence == before[uid].sequence + 1 for uid in common)


def test_two_passes_in_one_half_hour_are_two_events(config: Config) -> None:
    found = asked(config)
    one, *_ = found.passes
    second = replace(one, culmination=one.culmination + timedelta(seconds=1))
    uids = [event.uid for event in events_of_prediction(replace(found, passes=(one, second, second)), START)]
    assert len(set(uids)) == 3


def test_a_satellite_that_may_be_several_objects_is_told_with_its_number(config: Config, tmp_path: Path) -> None:
    several = DEFINITION.replace("[61231]", "[61231, 61232]")
    other = load_config(write_files(tmp_path / "several", definition=several))
    for each, summary in ((config, r"One-Sat, \d+°"), (other, r"One-Sat \(61231\), \d+°")):
        found = read(as_calendar(events_of_prediction(asked(each), START), each))
        assert found
        for event in found:
            assert re.fullmatch(summary, event.summary)
