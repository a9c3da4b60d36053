"""`record` and `replay` on an archive filled as the daemon fills it: through Decoder, Writer and the predictor."""

import asyncio
import csv
import io
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from groundstation.archive.migrate import migrate
from groundstation.archive.writer import Writer
from groundstation.cli import main
from groundstation.commands.playback import replay
from groundstation.config import Config, load_config
from groundstation.orbit.passes import Pass, find_passes
from groundstation.replay.recording import DefinitionText, Header, Recording, open_recording, write_recording
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.definition import load_definition
from groundstation.telemetry.envelope import pack_frame, seal
from groundstation.telemetry.moments import microseconds
from groundstation.telemetry.packet import Message, Packet, Rejection
from tests.parts.config_files import DEFINITION, SETTINGS, write_files
from tests.parts.mosquitto import Mosquitto, mosquitto
from tests.parts.postgresql import PostgreSQL, postgresql
from tests.parts.receiver import eventually, receiving

__all__ = ["mosquitto", "postgresql"]  # fixtures

SECOND = 1_000_000
TOPIC = "gs/v1/hko/one-sat/telemetry"
OTHER_STATION = """
[[stations]]
slug = "hku"
name = "Hong Kong University"
latitude_deg = 22.283
longitude_deg = 114.137
"""
CORRECTED = DEFINITION.replace("slope = 0.001", "slope = 0.002")
BEFORE_S, AFTER_S = -90, 90  # of AOS and LOS


@dataclass(frozen=True, slots=True)
class Heard:
    """A station whose archive has two passes; it heard the second one."""

    path: Path  # the configuration
    passes: tuple[Pass, Pass]

    @property
    def archive(self) -> Path:
        return self.path.parent / "test.db"

    @property
    def definition(self) -> Path:
        return self.path.parent / "satellites" / "one-sat.toml"

    @property
    def config(self) -> Config:
        return load_config(self.path)

    def run(self, *arguments: str | Path) -> int:
        command, *rest = map(str, arguments)
        return main([command, "--config", str(self.path), *rest])

    def record(self, of: str = "2", name: str = "pass") -> Recording:
        file = self.path.parent / f"{name}.gspass"
        assert self.run("record", of, file) == 0
        return open_recording(file)

    def replay(self, of: Path | str, to: Path) -> int:
        return self.run("replay", of, "--speed", "max", "--to", f"sqlite:///{to}")


def at(moment: datetime | None, seconds: float) -> int:
    assert moment is not None
    return microseconds(moment) + round(seconds * SECOND)


def housekeeping(at_us: int, number: int, station: str = "hko") -> Message:
    frame = pack_frame(1, number, at_us - SECOND, {"battery_voltage": 7000 + number})
    payload = seal(frame, at_us, "realtime", {"snr_db": 9.5})
    return Message("mqtt", f"gs/v1/{station}/one-sat/telemetry", payload, at_us)


def messages(of: Pass) -> list[Message]:
    """Return ten packets of the pass, one early, one late, one refused, and one that the other station heard."""
    times = [at(of.aos, BEFORE_S), *(at(of.aos, 10 + number) for number in range(10)), at(of.los, AFTER_S)]
    refused = Message("mqtt", TOPIC, b"no envelope", at(of.aos, 30))
    return [*map(housekeeping, times, range(len(times))), refused, housekeeping(at(of.aos, 40), 40, "hku")]


async def fill(config: Config, given: list[Message], passes: tuple[Pass, ...] = ()) -> None:
    decode = Decoder(config.definitions, set(config.sites), {"mqtt": "gs/v1", "second": "other/v1"})
    decoded = [decode(message) for message in given]
    archive = config.settings.archive
    async with Writer(archive.url, archive.password_file) as writer:
        await writer.save_definitions(list(config.definitions.values()))
        await writer.save_elements(config.elements)
        await writer.save_passes(passes)
        packets = [one for one in decoded if isinstance(one, Packet)]
        await writer.store(packets, [one for one in decoded if isinstance(one, Rejection)])


def station_at(directory: Path, settings: str = SETTINGS + OTHER_STATION) -> Heard:
    path = write_files(directory, settings=settings)
    config = load_config(path)
    window = datetime(2026, 8, 23, tzinfo=UTC), datetime(2026, 8, 24, tzinfo=UTC)
    one, other, *_ = find_passes(config.elements, config.sites["hko"], *window)
    migrate(config.settings.archive.url, config.settings.archive.password_file)
    asyncio.run(fill(config, messages(other), (one, other)))
    return Heard(path, (one, other))


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Heard:
    return station_at(tmp_path_factory.mktemp("original") / "station")


@pytest.fixture
def heard(original: Heard, tmp_path: Path) -> Heard:
    """A copy of the station that a test may spoil."""
    path = write_files(tmp_path / "station", settings=original.path.read_text())
    with (
        closing(sqlite3.connect(original.archive)) as source,
        closing(sqlite3.connect(path.parent / "test.db")) as copy,
    ):
        source.backup(copy)
    return Heard(path, original.passes)


def rows(archive: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(archive)) as connection:
        return connection.execute(query).fetchall()


def voltages(archive: Path) -> list[float]:
    return [value for (value,) in rows(archive, "SELECT parameters ->> 'battery_voltage' FROM packet ORDER BY 1")]


def without(header: Header, **changes: Any) -> Header:
    fields = {name: getattr(header, name) for name in header.__dataclass_fields__}
    return Header(**(fields | changes))


def test_a_number_is_that_pass_and_no_other(heard: Heard) -> None:
    assert heard.run("record", "1", heard.path.parent / "1.gspass") == 1  # nothing was heard in it
    for number, of in zip("12", heard.passes, strict=True):
        file = heard.path.parent / f"{number}.gspass"
        heard.run("record", number, file)
        prediction = open_recording(file).header.prediction
        assert prediction is not None
        assert prediction.aos_us == at(of.aos, 0)


def test_passes_that_are_over_are_listed_with_the_number_that_record_takes(
    heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    window = ("--past", "--from", "2026-08-23", "--to", "2026-08-24")
    assert heard.run("passes", *window, "--format", "json") == 0
    second, first = json.loads(capsys.readouterr().out)
    assert (first["number"], first["station"], first["packets"]) == (1, "hko", 0)
    assert (second["number"], second["satellite"], second["packets"]) == (2, "one-sat", 12)
    assert datetime.fromisoformat(second["aos"]) == heard.passes[1].aos
    assert heard.run("passes", "61231", *window, "--site", "hko", "--format", "csv") == 0
    [line, *_] = csv.DictReader(io.StringIO(capsys.readouterr().out))
    assert (line["number"], line["packets"], line["los"]) == ("2", "12", second["los"])
    assert heard.run("passes", *window) == 0
    assert re.search(r"^ *2 +One-Sat +hko +2026-08-23 .*° +12$", capsys.readouterr().out, re.MULTILINE)
    assert heard.run("passes", *window[:-1], "2026-08-23T00:01", "--format", "json") == 0
    assert capsys.readouterr().out == "[]\n"
    for wrong in (("one-sat", "--site", "hku"), ("other-sat",)):
        assert heard.run("passes", *wrong, *window, "--format", "json") == 0
        assert capsys.readouterr().out == "[]\n"
    assert heard.run("passes", *window, "--mask", "10") == 2
    assert heard.run("passes", *window, "--site", "atlantis") == 2


def test_what_came_before_aos_or_after_los_is_recorded_and_told(
    heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = heard.record()
    arrivals = [message.arrived_at_us for message in recording.messages()]
    assert (arrivals[0], arrivals[-1]) == (at(heard.passes[1].aos, BEFORE_S), at(heard.passes[1].los, AFTER_S))
    assert "13 messages of one-sat recorded, 2 of them before AOS or after LOS" in capsys.readouterr().out


def test_a_recording_carries_definition_and_elements(heard: Heard) -> None:
    header = heard.record().header
    assert header.definition == DefinitionText(load_definition(DEFINITION, "one-sat.toml").hash, DEFINITION)
    assert header.elements is not None
    assert header.elements["NORAD_CAT_ID"] == 61231


def test_the_definition_in_force_is_recorded_and_not_the_corrected_one(heard: Heard) -> None:
    first = heard.record().header.definition
    heard.definition.write_text(CORRECTED)
    again = heard.record().header.definition
    assert first is not None
    assert again is not None
    assert again.hash == first.hash
    assert load_definition(again.toml, "again") == load_definition(DEFINITION, "one-sat.toml")


def test_a_definition_that_changed_during_the_pass_is_told(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    heard.definition.write_text(CORRECTED)
    asyncio.run(fill(heard.config, [housekeeping(at(heard.passes[1].aos, 60), 60)]))
    definition = heard.record().header.definition
    old, new = load_definition(DEFINITION, "old").hash, load_definition(CORRECTED, "new").hash
    assert definition == DefinitionText(new, CORRECTED)
    said = f"12 packets were stored under definition {old}, the others under {new}\n"
    assert f"warning: {said}" in capsys.readouterr().err
    assert heard.replay("2", heard.path.parent / "again.db") == 0
    assert said in capsys.readouterr().out


def test_a_corrected_definition_decodes_a_recording_anew(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    file = heard.record().path
    heard.definition.write_text(CORRECTED)
    assert heard.replay(file, heard.path.parent / "again.db") == 0
    assert voltages(heard.path.parent / "again.db") == pytest.approx([14.0 + number * 0.002 for number in range(12)])
    old, new = load_definition(DEFINITION, "old").hash, load_definition(CORRECTED, "new").hash
    assert f"decoded with {new}, recorded under {old}\n" in capsys.readouterr().out


def test_old_values_that_stay_where_they_are_are_a_failure(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    file, again = heard.record().path, heard.path.parent / "again.db"
    assert heard.replay(file, again) == 0
    assert heard.replay(file, again) == 0  # once more is no change
    assert capsys.readouterr().err == ""
    heard.definition.write_text(CORRECTED)
    assert heard.replay(file, again) == 1
    assert voltages(again)[0] == 7.0
    old = load_definition(DEFINITION, "old").hash
    said = f"warning: 12 packets were there already, decoded with {old}: their values stay, expected a new archive\n"
    assert capsys.readouterr().err == said


def test_a_recording_is_decoded_where_neither_its_satellite_nor_its_station_is_known(heard: Heard) -> None:
    file, again = heard.record().path, heard.path.parent / "again.db"
    heard.definition.rename(heard.definition.with_name("two-sat.toml"))
    (heard.definition.with_name("two-sat.toml")).write_text(DEFINITION.replace("one-sat", "two-sat"))
    heard.path.write_text(SETTINGS.replace('slug = "hko"', 'slug = "elsewhere"'))
    assert heard.replay(file, again) == 0
    assert rows(again, "SELECT count(*) FROM packet") == [(12,)]
    assert {slug for (slug,) in rows(again, "SELECT satellite FROM definition")} == {"one-sat", "two-sat"}


def test_a_replay_leaves_an_archive_from_which_the_pass_is_recorded_again(heard: Heard) -> None:
    first = heard.record()
    assert heard.replay(first.path, heard.path.parent / "again.db") == 0
    heard.path.write_text(heard.path.read_text().replace("test.db", "again.db"))
    again = heard.record("1", "again")
    for before, after in zip(first.messages(), again.messages(), strict=True):
        assert (after.topic, after.payload, after.arrived_at_us) == (before.topic, before.payload, before.arrived_at_us)
    assert without(again.header, created_at_us=0) == without(first.header, created_at_us=0)
    assert heard.replay(first.path, heard.path.parent / "third.db") == 0
    assert heard.replay(first.path, heard.path.parent / "third.db") == 0
    assert rows(heard.path.parent / "third.db", "SELECT count(*) FROM pass") == [(1,)]


def test_a_pass_is_chosen_by_station_too(heard: Heard) -> None:
    config = heard.config
    [over_hku] = [
        one
        for one in find_passes(
            config.elements, config.sites["hku"], *(datetime(2026, 8, d, tzinfo=UTC) for d in (23, 24))
        )
        if one.aos and one.los and heard.passes[1].aos and one.aos < heard.passes[1].culmination < one.los
    ]
    asyncio.run(fill(config, [], (over_hku,)))
    middle = f"{heard.passes[1].culmination:%Y-%m-%dT%H:%M:%SZ}"
    for station, count in (("hko", 13), ("hku", 1)):
        recording = heard.record(f"one-sat@{middle}@{station}")
        assert (recording.header.station, recording.count) == (station, count)


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("99999999999999999999", "found 99999999999999999999, expected a pass that the archive knows"),
        ("3", "found 3, expected a pass that the archive knows"),
        ("one-sat@0001-01-01T00:00+14:00", "found 0001-01-01T00:00+14:00, expected an ISO time"),
        ("one-sat@soon", "found soon, expected an ISO time"),
        ("one-sat", "found one-sat, expected a recording's file, a number, SATELLITE@TIME or SATELLITE@TIME@STATION"),
    ],
)
def test_a_wrong_pass_is_one_line_and_status_2(
    heard: Heard, capsys: pytest.CaptureFixture[str], wanted: str, said: str
) -> None:
    assert heard.run("record", wanted, heard.path.parent / "a.gspass") == 2
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("PASS: ")
    assert said in line


def test_a_pass_in_which_nothing_was_heard_is_a_failure(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    file = heard.path.parent / "1.gspass"
    assert heard.run("record", "1", file) == 1
    assert capsys.readouterr().err == "warning: nothing was heard in this pass\n"
    assert heard.replay(file, heard.path.parent / "again.db") == 1
    assert "the recording holds no message" in capsys.readouterr().err


def test_a_replay_of_which_nothing_becomes_a_packet_is_a_failure(
    heard: Heard, capsys: pytest.CaptureFixture[str]
) -> None:
    recording = heard.record()
    bare = heard.path.parent / "bare.gspass"
    header = without(recording.header, definition=None, satellite="unknown")
    write_recording(bare, header, [Message("mqtt", "gs/v1/hko/unknown/telemetry", seal(b"frame", 1), 1)])
    assert heard.replay(bare, heard.path.parent / "again.db") == 1
    said = "no message became a packet (unknown_satellite), and there is no definition of unknown"
    assert said in capsys.readouterr().err


def test_a_recording_whose_own_definition_is_bad_is_one_line(heard: Heard, capsys: pytest.CaptureFixture[str]) -> None:
    bad = heard.path.parent / "bad.gspass"
    header = without(heard.record().header, satellite="unknown", definition=DefinitionText("00", "slug = 1"))
    write_recording(bad, header, [])
    assert heard.replay(bad, heard.path.parent / "again.db") == 1
    assert f"groundstation: {bad}: definition: " in capsys.readouterr().err


def test_a_directory_called_1_does_not_hide_pass_1(
    heard: Heard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert heard.replay("2", tmp_path / "again.db") == 0
    assert rows(tmp_path / "again.db", "SELECT count(*) FROM packet") == [(12,)]


@pytest.mark.parametrize("name", ["test.db", "satellites/../test.db", "link.db"])
def test_nothing_is_replayed_into_the_stations_own_archive(
    heard: Heard, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    (heard.path.parent / "link.db").symlink_to(heard.archive)
    assert heard.replay("2", heard.path.parent / name) == 2
    assert "the station's own archive, expected another one" in capsys.readouterr().err


@pytest.fixture
def on_a_server(postgresql: PostgreSQL, tmp_path: Path) -> Heard:
    url = postgresql.url(postgresql.new_database())
    archive = f'url = "{url}"\npassword_file = "{postgresql.password_file}"'
    return station_at(tmp_path / "station", (SETTINGS + OTHER_STATION).replace('url = "sqlite:///test.db"', archive))


def test_a_server_by_another_name_is_the_stations_own_archive_too(
    on_a_server: Heard, postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str]
) -> None:
    own = on_a_server.config.settings.archive.url
    password = ("--password-file", postgresql.password_file)
    for url in (own, own.replace("127.0.0.1", "localhost"), f"{own}?application_name=again"):
        assert on_a_server.run("replay", "2", "--speed", "max", "--to", url, *password) == 2
        assert "the station's own archive, expected another one" in capsys.readouterr().err
    other = postgresql.url(postgresql.new_database())
    assert on_a_server.run("replay", "2", "--speed", "max", "--to", other, *password) == 0
    assert "received 13 = stored 12 + duplicate 0 + quarantined 1" in capsys.readouterr().out


def test_a_servers_password_comes_from_a_file_and_from_nowhere_else(
    heard: Heard, postgresql: PostgreSQL, capsys: pytest.CaptureFixture[str]
) -> None:
    url = postgresql.url(postgresql.new_database())
    assert heard.run("replay", "2", "--to", url.replace("operator", "operator:secret")) == 2
    said = capsys.readouterr().err
    assert "--password-file" in said
    assert "PGPASSFILE" in said
    assert "secret" not in said
    assert heard.run("replay", "2", "--to", url, "--password-file", heard.path.parent / "none") == 2
    assert capsys.readouterr().err.startswith("--password-file: ")
    assert heard.run("replay", "2", "--to", "mqtt", "--password-file", postgresql.password_file) == 2


def with_broker(heard: Heard, port: int, more: str = "") -> None:
    settings = (SETTINGS + OTHER_STATION).replace('name = "mqtt"', f'name = "mqtt"\nport = {port}\n{more}')
    heard.path.write_text(settings)


async def test_a_replay_to_the_broker_reaches_a_daemon_that_stays_connected(heard: Heard, mosquitto: Mosquitto) -> None:
    recording = heard.record()
    with_broker(heard, mosquitto.port)
    config = heard.config
    async with receiving(config.settings.links[0]) as daemon:
        played = await replay(config, str(recording.path), None, "mqtt", asyncio.Event())
        taken = await daemon.take(recording.count)
        assert (daemon.source.connects, dict(daemon.source.disconnects)) == (1, {})
    assert (played.messages, played.warnings) == (13, ())
    assert played.summary == f"13 messages confirmed by 127.0.0.1:{mosquitto.port}"
    expected = Counter((message.topic, message.payload) for message in recording.messages())
    assert Counter((message.topic, message.payload) for message in taken) == expected
    assert {message.qos for message in taken} == {1}


async def test_a_replay_goes_under_the_prefix_of_the_link_that_it_goes_to(heard: Heard, mosquitto: Mosquitto) -> None:
    recording = heard.record()
    with_broker(heard, mosquitto.port, 'topic_prefix = "other/v1"')
    config = heard.config
    async with receiving(config.settings.links[0]) as daemon:
        await replay(config, str(recording.path), None, "mqtt", asyncio.Event())
        taken = await daemon.take(recording.count)
    assert {message.topic for message in taken} == {"other/v1/hko/one-sat/telemetry"}


def test_what_a_second_link_refused_is_recorded_under_the_one_prefix(heard: Heard) -> None:
    second = '[[links]]\nname = "second"\nclient_id = "second"\ntopic_prefix = "other/v1"\n\n[archive]'
    heard.path.write_text(heard.path.read_text().replace("[archive]", second))
    topic = "other/v1/hko/one-sat/telemetry"
    refused = Message("second", topic, b"no envelope either", at(heard.passes[1].aos, 31))
    asyncio.run(fill(heard.config, [refused]))
    recording = heard.record()
    assert recording.count == 14
    assert {message.topic for message in recording.messages()} == {TOPIC}
    again = heard.path.parent / "again.db"
    assert heard.replay(recording.path, again) == 0
    reasons = rows(again, "SELECT reason FROM quarantine")
    assert reasons == [("envelope",), ("envelope",)]


async def test_a_stopped_replay_is_called_partial(heard: Heard, tmp_path: Path) -> None:
    recording, stopping = heard.record(), asyncio.Event()
    to = f"sqlite:///{tmp_path / 'again.db'}"
    playing = asyncio.create_task(replay(heard.config, str(recording.path), 1.0, to, stopping))
    await eventually(lambda: (tmp_path / "again.db").exists() and counted(tmp_path / "again.db") == 1)
    stopping.set()
    played = await playing
    assert (played.messages, played.total, played.whole, played.digest) == (1, 13, False, None)


def counted(archive: Path) -> int:
    try:
        [(count,)] = rows(archive, "SELECT count(*) FROM packet")
    except sqlite3.OperationalError:  # not migrated yet
        return 0
    return int(count)


def test_ctrl_c_ends_a_replay_whose_archive_has_gone(heard: Heard, tmp_path: Path) -> None:
    recording, again = heard.record(), tmp_path / "again.db"
    arguments = ("replay", "--config", heard.path, recording.path, "--speed", "100", "--to", f"sqlite:///{again}")
    process = subprocess.Popen(
        [sys.executable, "-m", "groundstation", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        until(lambda: again.exists() and counted(again) > 0)
        again.unlink()
        assert process.stderr is not None
        while "archive unavailable" not in process.stderr.readline():
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 130
    assert re.match(r"partial: played \d+ of 13 messages: received \d+ = stored \d+ .* in flight [1-9]", out)
    assert "digest" not in out
    assert "Traceback" not in err


def test_ctrl_c_ends_a_replay_whose_server_never_answers(heard: Heard, postgresql: PostgreSQL) -> None:
    recording, name = heard.record(), postgresql.new_database()
    migrate(postgresql.url(name), postgresql.password_file)
    to = ("--to", postgresql.url(name), "--password-file", postgresql.password_file)
    arguments = ("replay", "--config", heard.path, recording.path, "--speed", "max", *to)
    waiting = (
        "SELECT pid FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND datname = current_database()"
    )
    with postgresql.connect(name) as holder, postgresql.connect(name) as onlooker:
        holder.execute("BEGIN")
        holder.execute("LOCK TABLE packet IN ACCESS EXCLUSIVE MODE")
        process = subprocess.Popen(
            [sys.executable, "-m", "groundstation", *arguments], stderr=subprocess.PIPE, text=True
        )
        backends: list[tuple[int]] = []
        try:
            until(lambda: onlooker.execute(waiting).fetchone() is not None)
            backends += onlooker.execute(waiting).fetchall()
            os.kill(backends[0][0], signal.SIGSTOP)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=40)
        finally:
            process.kill()
            process.communicate()
            for (backend,) in backends:
                os.kill(backend, signal.SIGCONT)
    assert process.returncode == 130
    assert "partial: not stopped after 8 s" in err


def until(claim: Callable[[], bool]) -> None:
    """Wait for what another process does, where there is nothing to await."""
    deadline = time.monotonic() + 30
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.02)
