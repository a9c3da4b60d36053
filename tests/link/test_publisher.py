import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from paho.mqtt import client as paho

from groundstation.link.connection import LinkError
from groundstation.link.mqtt import connect_mqtt_5
from groundstation.link.publisher import Outgoing, Publisher
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.receiver import TOPIC, eventually, link_settings, numbered, payloads, receiving_politely
from tests.parts.scripted_broker import CONNACK_311, WRONG_VERSION_311, Client, scripted_broker


async def test_many_in_flight_arrive_whole_and_in_order(mosquitto: Mosquitto) -> None:
    async def coming() -> AsyncIterator[Outgoing]:
        for payload in numbered(1000, first=2000):
            yield Outgoing(TOPIC, payload)

    async with (
        receiving_politely(link_settings(mosquitto.port), connect_mqtt_5) as receiver,
        Publisher(link_settings(mosquitto.port, client_id="publisher")) as publisher,
    ):
        assert await publisher.publish_all(Outgoing(TOPIC, payload) for payload in numbered(2000)) == 2000
        assert await publisher.publish_all(coming()) == 1000
        taken: list[bytes] = []
        while len(taken) < 3000:
            messages = await receiver.take(100)
            taken += payloads(messages)
            for message in messages:
                message.acknowledge()
        assert taken == numbered(3000)


async def test_publish_returns_once_the_broker_has_it(mosquitto: Mosquitto) -> None:
    async with Publisher(link_settings(mosquitto.port, client_id="publisher")) as publisher:
        await publisher.publish(TOPIC, b"kept", retain=True)
        assert "Received PUBLISH from publisher" in mosquitto.log.read_text()


async def test_the_will_is_published_when_the_publisher_vanishes_and_not_when_it_leaves(mosquitto: Mosquitto) -> None:
    def station() -> Publisher:
        will = Outgoing("gs/v1/hko/status", b"offline", retain=True)
        return Publisher(link_settings(mosquitto.port, client_id="station"), will=will)

    async with receiving_politely(link_settings(mosquitto.port), connect_mqtt_5) as receiver:
        async with station():
            pass
        first = station()
        async with first as publisher:
            await publisher.publish("gs/v1/hko/status", b"online")
            async with station():  # the same client id: the broker throws the first one out
                await eventually(lambda: len(receiver.statuses) == 2)
        assert [payload for _, payload, _ in receiver.statuses] == [b"online", b"offline"]


async def test_a_lost_connection_is_raised_to_whoever_waits(mosquitto: Mosquitto) -> None:
    mosquitto.freeze()
    mosquitto.thaw()
    async with Publisher(link_settings(mosquitto.port, client_id="publisher")) as publisher:
        mosquitto.freeze()
        waiting = asyncio.ensure_future(publisher.publish_all(Outgoing(TOPIC, p) for p in numbered(2000)))
        await asyncio.sleep(0.1)
        mosquitto.kill9()
        with pytest.raises(LinkError):
            await waiting
        with pytest.raises(LinkError, match="the connection was lost"):
            await publisher.publish(TOPIC, b"too late")


async def test_a_connection_that_is_lost_unnoticed_leaves_nothing_for_asyncio_to_complain_of(
    mosquitto: Mosquitto,
) -> None:
    async with Publisher(link_settings(mosquitto.port, client_id="publisher")) as publisher:
        mosquitto.kill9()
        while publisher._paho.loop_read() == paho.MQTT_ERR_SUCCESS:  # without a turn for those who watch the connection
            pass
        lost: Any = publisher._client._disconnected
        assert lost._log_traceback  # as asyncio would say: nobody has looked at it
    assert not lost._log_traceback


async def test_nobody_listening_is_a_clear_error() -> None:
    with pytest.raises(LinkError, match=r"^127\.0\.0\.1:\d+: connection refused"):
        async with Publisher(link_settings(free_port(), client_id="publisher")):
            pass


async def test_a_broker_of_mqtt_3_1_1_will_do() -> None:
    async def refuse(client: Client) -> None:
        await client.packet()
        await client.say(WRONG_VERSION_311)

    async def take(client: Client) -> None:
        await client.packet()
        await client.say(CONNACK_311)
        sent = await client.packet()
        topic_end = 4 + int.from_bytes(sent[2:4], "big")
        await client.say(b"\x40\x02" + sent[topic_end : topic_end + 2])
        await client.gone()

    async with (
        scripted_broker(refuse, take) as port,
        Publisher(link_settings(port, client_id="publisher")) as publisher,
    ):
        await publisher.publish(TOPIC, b"short")


async def test_a_refused_message_is_an_error(mosquitto: Mosquitto) -> None:
    async with Publisher(link_settings(mosquitto.port, client_id="publisher")) as publisher:
        with pytest.raises(ValueError, match="wildcard"):
            await publisher.publish("gs/v1/+/try-sat/telemetry", b"")
        await publisher.publish(TOPIC, b"the connection is none the worse")
