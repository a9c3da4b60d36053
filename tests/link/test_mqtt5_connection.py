"""What is this engine's own: taking packets out of a stream, whatever the pieces they come in."""

import asyncio
import ssl
from pathlib import Path

import mqtt5
import pytest

from groundstation.link.mqtt import Connect
from groundstation.link.mqtt5_connection import BUFFER_BYTES, FEW, TOLERATED_PACKET, Mqtt5Connection, whole_size
from tests.parts.certificates import Authority
from tests.parts.receiver import TOPIC, eventually, link_settings, numbered, payloads, receiving
from tests.parts.scripted_broker import Client, scripted_broker


def published(payload: bytes, packet_id: int = 1) -> bytes:
    return mqtt5.PublishPacket(TOPIC, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id).write()


@pytest.mark.parametrize("piece", [1, 7, 100])
async def test_packets_come_whole_from_pieces_of_any_size(piece: int) -> None:
    stream = b"".join(published(b"x" * length, length + 1) for length in range(60))

    async def speak(client: Client) -> None:
        await client.connect_and_subscribe()
        for start in range(0, len(stream), piece):
            await client.say(stream[start : start + piece])
        await client.gone()

    async with scripted_broker(speak) as port, receiving(link_settings(port), Mqtt5Connection) as receiver:
        messages = await receiver.take(60)
        assert payloads(messages) == [b"x" * length for length in range(60)]


@pytest.mark.parametrize("length", [BUFFER_BYTES - 40, BUFFER_BYTES, 5 * BUFFER_BYTES])
async def test_a_packet_larger_than_the_buffer_comes_whole_between_others(length: int) -> None:
    async def speak(client: Client) -> None:
        await client.connect_and_subscribe()
        for number, payload in enumerate((b"before", bytes(length), b"after", bytes(length), b"last"), 1):
            await client.say(published(payload, number))
        await client.gone()

    async with scripted_broker(speak) as port, receiving(link_settings(port), Mqtt5Connection) as receiver:
        assert [len(payload) for payload in payloads(await receiver.take(5))] == [6, length, 5, length, 4]


async def test_a_packet_that_announces_far_too_much_ends_the_connection_before_it_is_read() -> None:
    async def speak(client: Client) -> None:
        await client.connect_and_subscribe()
        await client.say(b"\x32\xff\xff\xff\x7f" + bytes(2 * BUFFER_BYTES))
        await client.gone()

    async with scripted_broker(speak) as port, receiving(link_settings(port), Mqtt5Connection) as receiver:
        await eventually(lambda: receiver.source.disconnects["protocol"] >= 1)


async def test_a_whole_packet_that_is_wrong_within_is_not_waited_for() -> None:
    async def speak(client: Client) -> None:
        await client.connect_and_subscribe()
        await client.say(b"\x32\x05\x00\x50abc")  # a topic of 80 bytes in a packet of 5
        await client.gone()

    async with scripted_broker(speak) as port, receiving(link_settings(port), Mqtt5Connection) as receiver:
        await eventually(lambda: receiver.source.disconnects["protocol"] >= 1)


async def trickled(
    count: int,
    at_once: int,
    context: ssl.SSLContext | None = None,
    engine: Connect = Mqtt5Connection,
    **changes: object,
) -> list[list[bytes]]:
    """Return the payloads that each turn brought, of `count` messages that were sent `at_once` every 10 ms."""

    async def speak(client: Client) -> None:
        await client.connect_and_subscribe()
        sent = numbered(count)
        for first in range(0, count, at_once):
            numbers = range(first, first + at_once)
            await client.say(b"".join(published(sent[number], number + 1) for number in numbers))
            await asyncio.sleep(0.01)
        await client.gone()

    turns: list[list[bytes]] = []
    async with (
        scripted_broker(speak, tls=context) as port,
        receiving(link_settings(port, **changes), engine) as receiver,
    ):
        while sum(map(len, turns)) < count:
            turn = await receiver.take(1)
            turn += await receiver.take(held) if (held := receiver.held()) else []
            turns.append(payloads(turn))
    return turns


class FromAfar(Mqtt5Connection):
    """Takes the broker for one on another machine."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._near = False


@pytest.mark.parametrize("engine", [Mqtt5Connection, FromAfar])
async def test_few_messages_are_gathered_so_that_the_machine_wakes_less_often(engine: Connect) -> None:
    turns = await trickled(60, at_once=1, engine=engine)
    assert len(turns) <= 30  # five in a turn, on a quiet machine; from afar in two
    assert [payload for turn in turns for payload in turn] == numbered(60)


async def test_few_encrypted_messages_are_gathered_too(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*authority.sign("localhost"))
    turns = await trickled(60, 1, context, host="localhost", tls=True, tls_ca_file=authority.certificate)
    assert len(turns) <= 30
    assert [payload for turn in turns for payload in turn] == numbered(60)


async def test_messages_acknowledged_from_the_last_to_the_first_are_so_in_one_write_and_in_order() -> None:
    written: list[bytes] = []

    class Spied(Mqtt5Connection):
        def _write(self, data: bytes) -> None:
            written.append(data)
            super()._write(data)

    async def speak(client: Client) -> None:
        await client.connect_and_subscribe()
        await client.say(b"".join(published(b"x", number) for number in (5, 3, 7)))
        await client.gone()

    async with scripted_broker(speak) as port, receiving(link_settings(port), Spied) as receiver:
        messages = await receiver.take(3)
        written.clear()
        for message in reversed(messages):
            message.acknowledge()
        assert written == [b"\x40\x02\x00\x05\x40\x02\x00\x03\x40\x02\x00\x07"]


async def test_many_messages_are_read_as_they_come() -> None:
    turns = await trickled(60 * (FEW + 1), at_once=FEW + 1)
    assert len(turns) >= 30


def test_the_length_of_a_packet_is_known_as_soon_as_its_head_is() -> None:
    assert whole_size(memoryview(b"\xd0\x00")) == 2
    assert whole_size(memoryview(b"\x32\x80\x01")) == 3 + 128
    assert whole_size(memoryview(b"\x32\xff\xff\xff\x7f")) == 5 + 268_435_455 > TOLERATED_PACKET
    assert whole_size(memoryview(b"\x32\x80")) > 2
