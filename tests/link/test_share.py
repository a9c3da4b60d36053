"""A group of links shares telemetry: each message to one of them, each station's status to all."""

from groundstation.link.mqtt import Connect, connect_mqtt_311
from groundstation.link.settings import LinkSettings
from groundstation.telemetry.packet import Message
from tests.parts.mosquitto import Mosquitto
from tests.parts.receiver import (
    Receiver,
    eventually,
    link_settings,
    numbered,
    payloads,
    publish,
    receiving,
    receiving_politely,
)
from tests.parts.scripted_broker import CONNACK_5, WRONG_VERSION_311, Client, scripted_broker


def member(port: int, client_id: str) -> LinkSettings:
    return link_settings(port, client_id=client_id, share_group="ground")


async def taken(*receivers: Receiver, count: int) -> list[list[Message]]:
    """Return what each has got once all have `count` together, acknowledged."""
    await eventually(lambda: sum(each.inbox.accounts["mqtt"].received for each in receivers) >= count)
    got = [await each.take(each.held()) for each in receivers]
    for message in (message for messages in got for message in messages):
        message.acknowledge()
    return got


async def test_each_message_goes_to_one_member_and_a_status_to_all(
    mosquitto: Mosquitto, engine_of_mqtt_5: Connect
) -> None:
    engine = engine_of_mqtt_5
    await publish(mosquitto.port, [b"online"], topic="gs/v1/hko/status", retain=True)
    async with (
        receiving_politely(member(mosquitto.port, "a"), engine) as a,
        receiving_politely(member(mosquitto.port, "b"), engine) as b,
    ):
        await publish(mosquitto.port, numbered(300))
        of_a, of_b = await taken(a, b, count=300)
        assert min(len(of_a), len(of_b)) >= 100
        assert sorted(payloads(of_a) + payloads(of_b)) == numbered(300)
        await publish(mosquitto.port, [b"offline"], topic="gs/v1/hko/status", retain=True)
        await eventually(lambda: len(a.statuses) == len(b.statuses) == 2)
        for each in (a, b):
            assert [payload for _, payload, _ in each.statuses] == [b"online", b"offline"]


async def test_a_session_older_than_the_group_no_longer_brings_what_the_others_have(
    mosquitto: Mosquitto, engine_of_mqtt_5: Connect
) -> None:
    engine = engine_of_mqtt_5
    async with receiving_politely(link_settings(mosquitto.port, client_id="a"), engine):
        pass
    await publish(mosquitto.port, numbered(3))  # what lay in the session is not lost
    async with (
        receiving_politely(member(mosquitto.port, "a"), engine) as a,
        receiving_politely(member(mosquitto.port, "b"), engine) as b,
    ):
        await taken(a, count=3)
        await eventually(lambda: "Received UNSUBSCRIBE" in mosquitto.log.read_text())
        await publish(mosquitto.port, numbered(100))
        await publish(mosquitto.port, [b"end"], topic="gs/v1/hko/status")  # to both, behind all telemetry
        await eventually(lambda: bool(a.statuses and b.statuses))
        got = await taken(a, b, count=100)
        assert sorted(payload for messages in got for payload in payloads(messages)) == numbered(100)


async def test_what_a_member_has_not_acknowledged_waits_for_it_and_not_for_the_others(
    mosquitto: Mosquitto, engine_of_mqtt_5: Connect
) -> None:
    engine = engine_of_mqtt_5
    async with receiving_politely(member(mosquitto.port, "stays"), engine) as stays:
        async with receiving(member(mosquitto.port, "dies"), engine) as dies:
            await publish(mosquitto.port, numbered(100))
            await eventually(lambda: stays.held() + dies.held() == 100)
            held = payloads(await dies.take(dies.held()))  # and never acknowledges one
        await publish(mosquitto.port, numbered(100, first=100))  # Mosquitto deals out to the dead as well
        async with receiving_politely(member(mosquitto.port, "dies"), engine) as back:
            got = await taken(stays, back, count=200)
            assert set(held) <= set(payloads(got[1]))
            assert sorted(payload for messages in got for payload in payloads(messages)) == numbered(200)


async def test_a_broker_of_mqtt_3_1_1_is_refused_and_the_reason_is_said(engine_of_mqtt_5: Connect) -> None:
    async def refuse(client: Client) -> None:
        await client.packet()
        await client.say(WRONG_VERSION_311)

    both = (engine_of_mqtt_5, connect_mqtt_311)
    async with scripted_broker(refuse) as port, receiving(member(port, "a"), *both, subscribed=False) as receiver:
        await eventually(lambda: receiver.source.failures["protocol"] >= 2)
        said = receiver.source.last_error or ""
        assert said.startswith("protocol: the broker does not speak")
        assert said.endswith("(share_group needs MQTT 5)")


async def test_mqtt_3_1_1_is_not_even_tried(mosquitto: Mosquitto) -> None:
    settings = member(mosquitto.port, "a")
    async with receiving(settings, connect_mqtt_311, subscribed=False) as receiver:
        await eventually(lambda: receiver.source.failures["protocol"] >= 1)
        assert receiver.source.connects == 0
        refusal = "protocol: MQTT 3.1.1 has no shared subscriptions (share_group needs MQTT 5)"
        assert receiver.source.last_error == refusal
    assert "New client connected" not in mosquitto.log.read_text()


async def test_a_broker_without_shared_subscriptions_is_named_as_such(engine_of_mqtt_5: Connect) -> None:
    async def decline(client: Client) -> None:
        await client.packet()
        await client.say(CONNACK_5)
        subscribe = await client.packet()
        await client.say(b"\x90\x05" + subscribe[2:4] + b"\x00\x9e\x01")
        await client.gone()

    async def hang_up(client: Client) -> None:
        await client.packet()
        await client.say(CONNACK_5)
        await client.packet()
        await client.say(b"\xe0\x01\x9e")
        await client.gone()

    for script in (decline, hang_up):
        async with (
            scripted_broker(script) as port,
            receiving(member(port, "a"), engine_of_mqtt_5, subscribed=False) as receiver,
        ):
            await eventually(lambda: receiver.source.last_error is not None)
            assert "shared subscription" in (receiver.source.last_error or "").lower()
