"""A pass goes through the real pipeline into one archive, from there into a file, and from the file into another."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest
from sqlalchemy import select

from groundstation.archive import tables
from groundstation.archive.engine import open_engine
from groundstation.archive.migrate import migrate
from groundstation.archive.queries import Heard, Quarantined, Reader, heard
from groundstation.archive.writer import Writer
from groundstation.pipeline import Inbox, record
from groundstation.replay.digest import DecodedDigest
from groundstation.replay.from_archive import messages_again
from groundstation.replay.player import Player
from groundstation.replay.recording import RecordingError, open_recording, write_recording
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.definition import load_definition
from groundstation.telemetry.envelope import pack_frame, seal
from groundstation.telemetry.packet import Message, Packet, Rejection, Value
from tests.parts.postgresql import PostgreSQL, postgresql
from tests.replay.recordings import AOS_US, HEADER

__all__ = ["postgresql"]  # a fixture

DEFINITION = """
slug = "fictional-1"
version = "1"
name = "Fictional-1, of these tests alone"
status = "simulated"
[[packets]]
name = "housekeeping"
match = 1
[[packets.parameters]]
name = "battery_voltage"
raw = "uint"
unit = "V"
linear = { slope = 0.001, offset = 0.0 }
limits.warning = { low = 7.0, high = 8.4 }
[[packets.parameters]]
name = "temperature"
raw = "float"
[[packets.parameters]]
name = "mode"
raw = "uint"
enumeration = { 0 = "SAFE", 1 = "NOMINAL" }
levels = { SAFE = "critical" }
"""


KEPT = (
    "id", "link", "topic", "payload", "payload_bytes", "arrived_at", "last_arrived_at", "times", "stored_at", "reason",
    "error",
)  # fmt: skip


@dataclass(frozen=True)
class Archive:
    url: str
    password_file: Path | None = None

    def read(self, table: str) -> list[dict[str, Any]]:
        """Return the rows of a table in the order in which they were stored, those of a view in that of its columns."""
        columns = getattr(tables, table)
        engine = open_engine(self.url, self.password_file, read_only=True)
        with engine.connect() as connection:
            query = select(columns).order_by(*([columns.c.stored_at] if "stored_at" in columns.c else columns.c))
            return [dict(row._mapping) for row in connection.execute(query)]


def heard_in(archive: Archive) -> Iterator[Heard]:
    """Yield every station's hearing of every packet, by time."""
    packets = archive.read("packet")
    same = {(row["satellite"], row["generated_at"], row["digest"]): row for row in packets}
    for row in sorted(packets + archive.read("reception"), key=lambda row: int(row["received_at"])):
        yield Heard(
            satellite=row["satellite"],
            station=row["station"],
            link=row["link"],
            kind=row["kind"],
            received_at_us=row["received_at"],
            stored_at_us=row["stored_at"],
            reception=row["link_quality"] or {},
            frame=same[row["satellite"], row["generated_at"], row["digest"]]["frame"],
            definition_hash=same[row["satellite"], row["generated_at"], row["digest"]]["definition_hash"],
        )


def quarantined_in(archive: Archive) -> list[Quarantined]:
    rows = sorted(archive.read("quarantine"), key=lambda row: int(row["arrived_at"]))
    return [Quarantined(**{f"{name}_us" if name.endswith("_at") else name: row[name] for name in KEPT}) for row in rows]


def told(archive: Archive) -> dict[str, list[dict[str, Any]]]:
    """Return every row less what must differ: who brought it, when it was stored, its number."""
    return {
        table: [
            {name: value for name, value in row.items() if name not in {"id", "link", "stored_at"}}
            for row in archive.read(table)
        ]
        for table in ("packet", "reception", "latest", "quarantine")
    }


def sent_by(station: str, at_s: float, payload: bytes, satellite: str = "fictional-1", **fields: Any) -> Message:
    topic = f"gs/v1/{station}/{satellite}/telemetry"
    return Message("mqtt", topic, payload, AOS_US + round(at_s * 1e6), **fields)


def a_pass() -> list[Message]:
    """Return a pass with everything that can happen to one."""
    timeless = pack_frame(1, None, None, {"battery_voltage": 7100, "temperature": -4.5, "mode": 1})
    positional = pack_frame("housekeeping", 1, AOS_US - 9_000_000_000, [7300, 1.5, 0])
    faulty = pack_frame(1, 2, AOS_US, {"temperature": "hot", "mode": 9})
    unknown = pack_frame(99, 1, AOS_US, {})
    by_hand = msgpack.packb({"v": 1, "received_at": AOS_US / 1e6 + 303.25, "frame": timeless, "tuner": "B"})
    return [
        *(message for number in range(300) for message in housekeeping(number)),
        sent_by("hko", 301, seal(timeless, None)),  # our arrival time stands for both
        sent_by("hko", 302, seal(positional, None, "dump")),
        sent_by("hko", 303, seal(faulty, AOS_US + 302_500_000)),
        sent_by("hko", 304, by_hand),
        sent_by("hko", 305, b"not msgpack"),
        sent_by("hko", 306, b""),
        sent_by("hko", 307, bytes(70_000)),
        sent_by("hko", 308, seal(timeless, None), satellite="unheard-of"),
        sent_by("nowhere", 309, seal(timeless, None)),
        sent_by("hko", 310, seal(unknown, None), qos=0, retained=True),
        Message("mqtt", "gs/v1/é\x00/nonsense", b"\xff", AOS_US + 311_000_000),
    ]


def housekeeping(number: int) -> Iterator[Message]:
    """Yield one packet as one or two stations heard it, some redelivered."""
    at_s = number + 0.125
    raws = {"battery_voltage": 6900 + number * 7, "temperature": 20 + number / 7, "mode": int(number % 50 != 0)}
    frame = pack_frame(1, number, AOS_US + number * 1_000_000, raws)
    quality: dict[str, Value] = {"snr_db": 3.1 + number / 3, "rssi_dbm": -110.0, "frequency_hz": 437_000_000 + number}
    first = sent_by("hko", at_s, seal(frame, AOS_US + round(at_s * 1e6), "realtime", quality))
    yield first
    if number % 7 == 0:
        yield first
    if number % 3 == 0:
        yield sent_by(
            "hku", at_s + 0.01, seal(frame, AOS_US + round(at_s * 1e6) + 9_999, "realtime", {"doppler_hz": 1})
        )


def decoder() -> Decoder:
    definition = load_definition(DEFINITION, "fictional-1.toml")
    return Decoder({"fictional-1": definition}, {"hko", "hku"}, {"mqtt": "gs/v1", "replay": "gs/v1"})


async def store(archive: Archive, feed: Callable[[Inbox], Any]) -> DecodedDigest:
    """Run the pipeline into `archive` until `feed` has put everything."""
    migrate(archive.url, archive.password_file)
    inbox, digest = Inbox(["mqtt", "replay"]), DecodedDigest()
    async with Writer(archive.url, archive.password_file) as writer, asyncio.TaskGroup() as tasks:
        tasks.create_task(record(inbox, decoder(), writer, digest.observe))
        await feed(inbox)
        inbox.close()
    assert inbox.imbalance() == {"mqtt": 0, "replay": 0}
    return digest


async def hear(archive: Archive, messages: Sequence[Message]) -> DecodedDigest:
    async def feed(inbox: Inbox) -> None:
        for message in messages:
            inbox.put(message)

    return await store(archive, feed)


async def play(path: Path, archive: Archive, speed: float | None = None) -> DecodedDigest:
    player = Player(recording=open_recording(path), link="replay", speed=speed)
    digest = await store(archive, lambda inbox: player.run(inbox, asyncio.Event()))
    assert player.played == player.total
    return digest


def export(archive: Archive, path: Path) -> None:
    write_recording(path, HEADER, messages_again(heard_in(archive), quarantined_in(archive), "gs/v1"))


@pytest.fixture(params=["sqlite", "postgresql"])
def first(request: pytest.FixtureRequest, tmp_path: Path) -> Archive:
    """The archive that hears the pass; the second one is always a SQLite file."""
    if request.param == "sqlite":
        return Archive(f"sqlite:///{tmp_path / 'first.db'}")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return Archive(server.url(server.new_database()), server.password_file)


async def test_a_replayed_pass_gives_the_same_rows(first: Archive, tmp_path: Path) -> None:
    live = await hear(first, a_pass())
    export(first, tmp_path / "pass.gspass")
    second = Archive(f"sqlite:///{tmp_path / 'second.db'}")
    played = await play(tmp_path / "pass.gspass", second)

    rows = told(first)
    assert {name: len(found) for name, found in rows.items()} == {
        "packet": 304, "reception": 100, "latest": 3, "quarantine": 7
    }  # fmt: skip
    assert any(row["levels"] for row in rows["packet"])
    assert any(row["faults"] for row in rows["packet"])
    assert {row["kind"] for row in rows["packet"]} == {"realtime", "dump"}
    assert told(second) == rows
    # The redelivered messages are not in the archive, so the digest over messages heard counts them once more.
    assert live.packets == played.packets + sum(number % 7 == 0 for number in range(300))


async def test_what_one_station_heard_in_a_pass_is_replayed_alone(first: Archive, tmp_path: Path) -> None:
    await hear(first, a_pass())
    async with Reader(first.url, first.password_file) as reader:
        found = await reader.ask(heard, "fictional-1", "hku", AOS_US + 60_000_000, AOS_US + 120_000_000)
    packets = [one for one in found if isinstance(one, Heard)]
    quarantined = [one for one in found if isinstance(one, Quarantined)]
    write_recording(tmp_path / "hku.gspass", HEADER, messages_again(packets, quarantined, "gs/v1"))
    second = Archive(f"sqlite:///{tmp_path / 'second.db'}")
    await play(tmp_path / "hku.gspass", second)

    receptions = [row for row in first.read("reception") if 60_000_000 <= row["received_at"] - AOS_US < 120_000_000]
    again = second.read("packet")
    assert len(again) == len(receptions) == 20
    assert second.read("reception") == second.read("quarantine") == []
    shared = ("satellite", "generated_at", "digest", "station", "kind", "received_at", "link_quality")
    assert [[row[name] for name in shared] for row in again] == [[row[name] for name in shared] for row in receptions]
    values = {row["digest"]: (row["parameters"], row["levels"]) for row in first.read("packet")}
    assert all(values[row["digest"]] == (row["parameters"], row["levels"]) for row in again)


async def test_a_replay_of_the_replay_gives_the_same_file(first: Archive, tmp_path: Path) -> None:
    await hear(first, a_pass())
    export(first, tmp_path / "1.gspass")
    second = Archive(f"sqlite:///{tmp_path / 'second.db'}")
    await play(tmp_path / "1.gspass", second)
    export(second, tmp_path / "2.gspass")
    one, two = open_recording(tmp_path / "1.gspass"), open_recording(tmp_path / "2.gspass")
    assert one.count == two.count == 304 + 100 + 7
    for before, after in zip(one.messages(), two.messages(), strict=True):
        assert (before.topic, before.payload, before.arrived_at_us) == (after.topic, after.payload, after.arrived_at_us)


async def test_what_a_station_sealed_with_its_reception_time_comes_back_bit_for_bit(tmp_path: Path) -> None:
    sealed = [message for number in range(50) for message in housekeeping(number) if number % 7]
    archive = Archive(f"sqlite:///{tmp_path / 'a.db'}")
    await hear(archive, sealed)
    again = list(messages_again(heard_in(archive), [], "gs/v1"))
    assert [(m.topic, m.payload) for m in again] == [(m.topic, m.payload) for m in sealed]


async def test_every_speed_gives_one_digest(tmp_path: Path) -> None:
    short = [message for number in range(3) for message in housekeeping(number)] + [sent_by("hko", 2.5, b"\xc1")]
    path = tmp_path / "short.gspass"
    write_recording(path, HEADER, short)
    digests = set()
    for number, speed in enumerate([None, 20.0, 5.0, None]):
        archive = Archive(f"sqlite:///{tmp_path / f'{number}.db'}")
        digest = await play(path, archive, speed)
        assert (digest.packets, digest.rejections) == (len(short) - 1, 1)
        digests.add(digest.hexdigest())
    again = await play(path, archive)  # into an archive that has it all already
    assert {again.hexdigest()} == digests


def test_a_bare_frame_that_fits_in_no_envelope_is_told(tmp_path: Path) -> None:
    too_long = a_hearing(AOS_US, bytes(65_530))
    with pytest.raises(
        RecordingError, match=f"fictional-1: the packet received by hko at {AOS_US} µs cannot be recorded"
    ):
        write_recording(tmp_path / "a.gspass", HEADER, messages_again([too_long], [], "gs/v1"))
    assert list(tmp_path.iterdir()) == []


def a_hearing(at_us: int, frame: bytes) -> Heard:
    return Heard("fictional-1", "hko", "mqtt", "realtime", at_us, at_us, {}, frame, "00")


def test_packets_and_rejections_are_merged_by_time() -> None:
    hearings = [a_hearing(AOS_US + at, b"\x80") for at in (0, 20, 40)]
    refused = [
        Quarantined(1, "mqtt", "t", b"", 0, AOS_US + at, AOS_US + at, 1, AOS_US, "topic", "") for at in (10, 20, 30)
    ]
    again = messages_again(hearings, refused, "gs/v1")
    assert [m.arrived_at_us - AOS_US for m in again] == [0, 10, 20, 20, 30, 40]


def test_these_messages_decode_as_the_tests_above_assume() -> None:
    decoded = [decoder()(message) for message in a_pass()]
    rejected = [one.reason.value for one in decoded if isinstance(one, Rejection)]
    assert rejected == [
        "envelope",
        "envelope",
        "oversize",
        "unknown_satellite",
        "unknown_station",
        "unknown_packet",
        "topic",
    ]
    assert sum(isinstance(one, Packet) for one in decoded) == 300 + 43 + 100 + 4
