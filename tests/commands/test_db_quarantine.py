"""`groundstation db` and `groundstation quarantine` as a person or a script meets them."""

import asyncio
import base64
import json
import re
from pathlib import Path

import msgpack
import pytest

from groundstation.archive.migrate import migrate
from groundstation.cli import main
from groundstation.telemetry.envelope import pack_frame, seal
from groundstation.telemetry.packet import Reason
from tests.archive.places import T0, Place, rejection
from tests.parts.config_files import DEFINITION, write_files

TOPIC = "gs/v1/hko/one-sat/telemetry"


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    return write_files(tmp_path / "station")


@pytest.fixture
def place(config_file: Path) -> Place:
    place = Place(f"sqlite:///{config_file.parent / 'test.db'}")
    migrate(place.url)
    return place


def message(sequence: int, packet_id: int = 1) -> bytes:
    frame = pack_frame(packet_id, sequence, T0 + sequence * 1_000_000, {"battery_voltage": 7000 + sequence})
    return seal(frame, T0 + sequence * 1_000_000, "realtime", {"rssi_dbm": -100.0})


def hold(place: Place, *payloads: bytes, reason: Reason = Reason.PACKET, topic: str = TOPIC) -> None:
    async def store() -> None:
        async with place.writer() as writer:
            held = [
                rejection(n, payload=one, reason=reason, topic=topic, link="mqtt") for n, one in enumerate(payloads)
            ]
            await writer.store([], held)

    asyncio.run(store())


def test_upgrade_says_from_where_to_where(config_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["db", "upgrade", "--config", str(config_file)]) == 0
    assert capsys.readouterr().out.startswith("revision none is now 00")
    assert main(["db", "upgrade", "--config", str(config_file)]) == 0
    assert capsys.readouterr().out.endswith(" already\n")


def test_check_is_0_for_a_good_archive_and_1_for_another(
    config_file: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["db", "check", "--config", str(config_file), "--format", "json"]) == 0
    assert {one["what"]: one["good"] for one in json.loads(capsys.readouterr().out)} == {
        "shape": True, "pages": True, "definitions": True, "latest": True
    }  # fmt: skip
    Path(place.url.removeprefix("sqlite:///")).write_bytes(b"")
    assert main(["db", "check", "--config", str(config_file)]) == 1
    assert "found revision None" in capsys.readouterr().out


def test_stats_backup_and_vacuum_answer_in_a_line(
    config_file: Path, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(place, message(1))
    assert main(["db", "stats", "--config", str(config_file), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"]["quarantine"] == 1
    assert main(["db", "stats", "--config", str(config_file)]) == 0
    assert "quarantine" in capsys.readouterr().out
    assert main(["db", "backup", str(tmp_path / "copy.db"), "--config", str(config_file)]) == 0
    assert Place(f"sqlite:///{tmp_path / 'copy.db'}").count("quarantine") == 1
    assert main(["db", "vacuum", "--full", "--config", str(config_file)]) == 0
    assert "now" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "status", "line"),
    [
        (["db", "backup"], 2, "FILE: found none, expected where the copy goes"),
        (["db", "stats", "x.db"], 2, "FILE: found x.db, expected none"),
        (["db", "backup", "{here}"], 1, "found a file, expected none"),
        (["db", "stats"], 1, "test.db: there is no such file; `groundstation run` makes one as it starts"),
        (["quarantine", "show"], 2, "NUMBER|FILE: found none, expected a message's number"),
        (["quarantine", "list", "7"], 2, "NUMBER|FILE: found 7, expected none"),
        (["quarantine", "list"], 1, "test.db: there is no such file; `groundstation run` makes one as it starts"),
        (["quarantine", "reprocess"], 1, "test.db: there is no such file; `groundstation run` makes one as it starts"),
    ],
)
def test_what_cannot_be_is_one_line(
    config_file: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, line: str
) -> None:
    words = [word.format(here=config_file) for word in arguments]
    assert main([*words, "--config", str(config_file)]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert line in said.err
    assert len(said.err.splitlines()) == 1


def test_a_message_is_listed_shown_and_exported_whole(
    config_file: Path, place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(place, b"\x1b[31m[bold]red", reason=Reason.ENVELOPE)
    config = ["--config", str(config_file)]
    assert main(["quarantine", "list", *config]) == 0
    assert "1 messages in quarantine" in capsys.readouterr().out
    assert main(["quarantine", "list", "--format", "json", "--reason", "envelope", *config]) == 0
    [listed] = json.loads(capsys.readouterr().out)
    assert main(["quarantine", "show", str(listed["number"]), *config]) == 0
    shown = capsys.readouterr().out
    assert "1b 5b 33 31" in shown
    assert "\x1b" not in shown
    assert main(["quarantine", "export", str(tmp_path / "held.jsonl"), *config]) == 0
    [line] = (tmp_path / "held.jsonl").read_text().splitlines()
    assert json.loads(line) == listed
    assert base64.b64decode(listed["payload"]) == b"\x1b[31m[bold]red"
    assert main(["quarantine", "export", str(tmp_path / "held.jsonl"), *config]) == 1
    assert main(["quarantine", "show", "99", *config]) == 2


def test_what_came_often_is_one_line_with_its_count(
    config_file: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(place, *[b"the same"] * 70, b"another", reason=Reason.ENVELOPE)  # one a second: within two hours at most
    config = ["--config", str(config_file)]
    assert main(["quarantine", "list", *config]) == 0
    said = capsys.readouterr().out
    assert re.search(r"^[23] messages in quarantine, which came 71 times", said)
    assert main(["quarantine", "list", "--format", "json", *config]) == 0
    listed = json.loads(capsys.readouterr().out)
    assert sum(one["times"] for one in listed) == 71
    often = max(listed, key=lambda one: one["times"])
    assert often["last_arrived_at"] > often["arrived_at"]
    assert main(["quarantine", "show", str(often["number"]), *config]) == 0
    assert f", {often['times']} times until {often['last_arrived_at']}" in capsys.readouterr().out


def test_a_corrected_definition_makes_packets_of_what_was_held(
    config_file: Path, place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    hold(place, *(message(n, packet_id=7) for n in range(1200)), b"never a packet")
    config = ["--config", str(config_file), "--format", "json"]
    assert main(["quarantine", "reprocess", *config]) == 0
    assert json.loads(capsys.readouterr().out)["stay"] == {"unknown_packet": 1200, "envelope": 1}
    file = config_file.parent / "satellites" / "one-sat.toml"
    file.write_text(DEFINITION.replace("match = 1", "match = 7"))
    assert main(["quarantine", "reprocess", "--dry-run", *config]) == 0
    assert json.loads(capsys.readouterr().out)["stored"] == 1200
    assert place.count("packet") == 0
    assert main(["quarantine", "reprocess", "--satellite", "two-sat", *config]) == 0
    assert json.loads(capsys.readouterr().out)["seen"] == 0
    assert main(["quarantine", "reprocess", *config]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "seen": 1201, "stored": 1200, "duplicate": 0, "stay": {"envelope": 1}
    }  # fmt: skip
    assert place.count("packet") == 1200
    assert place.rows("SELECT count(*), min(payload) FROM quarantine") == [(1, b"never a packet")]
    assert place.rows("SELECT value FROM latest") == [("8.199",)]
    assert place.count("definition") == 2


def test_what_was_cut_short_stays(config_file: Path, place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    hold(place, msgpack.packb(b"\0" * 2_000_000), reason=Reason.OVERSIZE)
    assert main(["quarantine", "reprocess", "--config", str(config_file)]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["1 stay: oversize"]
