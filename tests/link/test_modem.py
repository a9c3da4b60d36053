import asyncio
import io
import os
import re
import time
from pathlib import Path

import msgpack
import pytest

from groundstation.link.connection import LinkError
from groundstation.link.modem import READERS, Heard, ModemError, publish_frames
from groundstation.link.mqtt import connect_mqtt_5
from groundstation.telemetry.envelope import open_envelope
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.receiver import TOPIC, link_settings, receiving, receiving_politely


def read(kind: str, content: bytes) -> list[Heard]:
    return list(READERS[kind](io.BytesIO(content), "in"))


def test_a_json_line_with_a_frame_is_an_envelope() -> None:
    line = b'{"frame": "00ff", "received_at": 1795000000.5, "kind": "dump", "link": {"rssi_dbm": -112.5}}\n\n'
    assert read("jsonl", line) == [
        Heard("in:1", b"\x00\xff", 1_795_000_000_500_000, "dump", {"rssi_dbm": -112.5}),
    ]


def test_a_json_line_without_a_frame_is_one() -> None:
    (heard,) = read("jsonl", b'{"p": 1, "n": 7, "d": {"vbat": 8100}}')
    assert msgpack.unpackb(heard.frame) == {"p": 1, "n": 7, "d": {"vbat": 8100}}


def test_hex_lines_are_frames() -> None:
    assert [heard.frame for heard in read("hex", b"00 ff\n\nC0DE\r\n")] == [b"\x00\xff", b"\xc0\xde"]


def test_a_binary_file_is_one_frame() -> None:
    assert [heard.frame for heard in read("binary", b"\x00\n\xff")] == [b"\x00\n\xff"]


def test_kiss_gives_data_frames_unescaped_and_nothing_cut_short() -> None:
    stream = b"\x00half\xc0\x00ab\xc0\xc0\x00\xdb\xdc\xdb\xdd\xdc\xc0\x01\x20\xc0\x10second port\xc0\x00cut"
    assert [heard.frame for heard in read("kiss", stream)] == [b"ab", b"\xc0\xdb\xdc", b"second port"]


WRONG = {
    ("jsonl", b"{}\n{"): "in:2: found no JSON",
    ("jsonl", b"[1]"): "in:1: found b'[1]', expected a map",
    ("jsonl", b'{"frame": "xyz"}'): "in:1: found 'xyz', expected hexadecimal bytes",
    ("jsonl", b'{"frame": "00", "received_at": "now"}'): "in:1: received_at: found 'now', expected seconds since 1970",
    ("jsonl", b'{"frame": 12}'): "in:1: frame: found 12, expected hexadecimal bytes",
    ("jsonl", b'{"frame": "00", "received_at": true}'): "in:1: received_at: found True, expected seconds since 1970",
    ("jsonl", b'{"frame": "00", "link": 3}'): "in:1: link: found 3, expected a map",
    ("jsonl", b'{"n": 99999999999999999999999}'): "in:1: cannot be msgpack",
    ("hex", b"00\nno"): "in:2: found 'no', expected hexadecimal bytes",
    ("kiss", b"x" * 200_000): "in: found 131073 bytes without an end",
}


@pytest.mark.parametrize(("kind", "content"), WRONG, ids=[f"{kind} {n}" for n, (kind, _) in enumerate(WRONG)])
def test_what_is_no_frame_is_named_by_its_place(kind: str, content: bytes) -> None:
    with pytest.raises(ModemError) as error:
        read(kind, content)
    assert str(error.value).startswith(WRONG[kind, content])


async def test_frames_arrive_in_envelopes_in_order(mosquitto: Mosquitto) -> None:
    settings = link_settings(mosquitto.port)
    async with receiving_politely(settings, connect_mqtt_5) as receiver:
        before_us = time.time_ns() // 1000
        frames = io.BytesIO(b"".join(b"%06x\n" % number for number in range(500)))
        assert await publish_frames(settings, "hko", "try-sat", READERS["hex"](frames, "in")) == 500
        messages = await receiver.take(500)
        for message in messages:
            message.acknowledge()
        envelopes = [open_envelope(message.payload) for message in messages]
        assert {message.topic for message in messages} == {TOPIC}
        assert [envelope.frame for envelope in envelopes] == [number.to_bytes(3, "big") for number in range(500)]
        assert all(before_us <= (envelope.received_at_us or 0) for envelope in envelopes)


async def test_a_rate_is_kept(mosquitto: Mosquitto) -> None:
    began = time.monotonic()
    frames = io.BytesIO(b"00\n" * 11)
    await publish_frames(link_settings(mosquitto.port), "hko", "try-sat", READERS["hex"](frames, "in"), rate_hz=20)
    assert time.monotonic() - began >= 0.5


async def test_what_came_before_a_mistake_has_arrived(mosquitto: Mosquitto) -> None:
    settings = link_settings(mosquitto.port)
    async with receiving_politely(settings, connect_mqtt_5) as receiver:
        for content in (b"00\n01\nmistake\n02\n", b"00\n01\n" + b"00" * 70_000 + b"\n02\n"):
            with pytest.raises(ModemError, match="in:3: "):
                await publish_frames(settings, "hko", "try-sat", READERS["hex"](io.BytesIO(content), "in"))
            messages = await receiver.take(2)
            for message in messages:
                message.acknowledge()
            assert receiver.held() == 0


async def test_a_live_pipe_is_published_as_it_comes(mosquitto: Mosquitto, tmp_path: Path) -> None:
    settings = link_settings(mosquitto.port)
    os.mkfifo(tmp_path / "modem")
    async with receiving_politely(settings, connect_mqtt_5) as receiver:
        # Opened for both, a named pipe waits for nobody.
        with os.fdopen(os.open(tmp_path / "modem", os.O_RDWR), "r+b", buffering=0) as writing:
            reading = (tmp_path / "modem").open("rb")
            sending = asyncio.create_task(publish_frames(settings, "hko", "try-sat", READERS["kiss"](reading, "in")))
            writing.write(b"\xc0\x00first\xc0")
            (message,) = await receiver.take(1)
            message.acknowledge()
            assert open_envelope(message.payload).frame == b"first"
        assert await sending == 1
        reading.close()


async def test_a_broker_that_restarts_meanwhile_costs_no_frame(mosquitto: Mosquitto) -> None:
    settings = link_settings(mosquitto.port)
    frames = READERS["hex"](io.BytesIO(b"".join(b"%06x\n" % number for number in range(2000))), "in")
    async with receiving(settings, connect_mqtt_5) as receiver:
        sending = asyncio.create_task(publish_frames(settings, "hko", "try-sat", frames, rate_hz=1000))
        taken: list[bytes] = []
        while len(set(taken)) < 2000:
            messages = await receiver.take(1)
            taken += [open_envelope(message.payload).frame for message in messages]
            for message in messages:
                message.acknowledge()
            if len(taken) in (300, 900):
                await asyncio.to_thread(mosquitto.restart)
        assert await sending == 2000
    assert set(taken) == {number.to_bytes(3, "big") for number in range(2000)}


async def test_a_broker_that_does_not_come_back_is_named_with_what_is_in_doubt(
    mosquitto: Mosquitto, caplog: pytest.LogCaptureFixture
) -> None:
    settings = link_settings(mosquitto.port)
    frames = READERS["hex"](io.BytesIO(b"00\n" * 10_000), "in")
    sending = asyncio.create_task(publish_frames(settings, "hko", "try-sat", frames, rate_hz=100, patience_s=1.5))
    await asyncio.sleep(0.5)
    mosquitto.kill9()
    with pytest.raises(LinkError) as raised:
        await sending
    found = re.fullmatch(
        rf"127\.0\.0\.1:{mosquitto.port}: connection refused; the last (\d+) of \1 frames may not have arrived",
        str(raised.value),
    )
    assert found is not None, str(raised.value)
    assert int(found[1]) >= 10
    assert len(caplog.records) == 1
    assert f"lost 127.0.0.1:{mosquitto.port}, trying again" in caplog.text


async def test_a_broker_that_was_never_there_is_not_waited_for() -> None:
    began = time.monotonic()
    with pytest.raises(LinkError, match=r"^127\.0\.0\.1:\d+: connection refused$"):
        await publish_frames(link_settings(free_port()), "hko", "try-sat", READERS["hex"](io.BytesIO(b"00\n"), "in"))
    assert time.monotonic() - began < 10
