"""What every engine must do on a real Mosquitto: `connection.Connection` and `mqtt.MqttSource` say it in words."""

import asyncio
import logging
import re
from pathlib import Path

import pytest

from groundstation.link.mqtt import Connect, MqttSource
from groundstation.link.publisher import Publisher
from groundstation.pipeline import Inbox
from tests.parts.debian import need
from tests.parts.mosquitto import Mosquitto
from tests.parts.receiver import (
    PATIENCE_S,
    TOPIC,
    eventually,
    link_settings,
    numbered,
    payloads,
    publish,
    receiving,
    receiving_politely,
)


def acknowledged(broker: Mosquitto, client: str = "consumer") -> list[int]:
    """Return the packet identifiers of the acknowledgements that the broker says it has received."""
    said = broker.log.read_text()
    return [int(found) for found in re.findall(rf"Received PUBACK from {client} \(Mid: (\d+)", said)]


async def test_a_message_arrives_with_everything_that_was_published(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, [b"\x00\xff telemetry"])
        (message,) = await receiver.take(1)
        message.acknowledge()
        source = receiver.source
        assert (message.link, message.topic, message.payload) == ("mqtt", TOPIC, b"\x00\xff telemetry")
        assert (message.qos, message.retained) == (1, False)
        assert source.up
        assert source.received_bytes == 12
        assert source.last_message_at_us == message.arrived_at_us


async def test_nothing_is_acknowledged_before_it_is_committed(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, numbered(20))
        messages = await receiver.take(20)
        await publish(mosquitto.port, [b"later"])  # a round trip through the broker and back
        messages += await receiver.take(1)
        assert acknowledged(mosquitto) == []
        for message in messages:
            message.acknowledge()
        await eventually(lambda: len(acknowledged(mosquitto)) == 21)


async def test_acknowledgements_go_out_in_the_order_of_the_messages(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, numbered(5))
        messages = await receiver.take(5)
        for index in (3, 1, 0, 4, 2):
            messages[index].acknowledge()
        await eventually(lambda: len(acknowledged(mosquitto)) == 5)
        assert acknowledged(mosquitto) == sorted(acknowledged(mosquitto))


async def test_acknowledging_twice_is_acknowledging_once(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, numbered(2))
        first, second = await receiver.take(2)
        first.acknowledge()
        first.acknowledge()
        second.acknowledge()
    assert len(acknowledged(mosquitto)) == 2


async def test_what_was_not_acknowledged_comes_again_and_nothing_else(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, numbered(10))
        messages = await receiver.take(10)
        for message in messages[:4]:
            message.acknowledge()
        await eventually(lambda: len(acknowledged(mosquitto)) == 4)
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        again = await receiver.take(6)
        assert payloads(again) == numbered(6, first=4)
        for message in messages[4:]:
            message.acknowledge()  # through a connection that is gone: nothing may happen
        for message in again:
            message.acknowledge()
        await eventually(lambda: len(acknowledged(mosquitto)) == 10)
    assert len(acknowledged(mosquitto)) == 10


async def test_a_backlog_of_5000_arrives_whole_and_in_order(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine):
        pass
    await publish(mosquitto.port, numbered(5000))
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        taken: list[bytes] = []
        while len(taken) < 5000:
            messages = await receiver.take(100)
            taken += payloads(messages)
            for message in messages:
                message.acknowledge()
        assert taken == numbered(5000)
        assert receiver.source.received_bytes == 30_000


async def test_memory_is_bounded_even_where_the_broker_sends_all_it_has(mosquitto: Mosquitto, engine: Connect) -> None:
    settings = link_settings(mosquitto.port, receive_maximum=100)
    async with receiving_politely(settings, engine):
        pass
    await publish(mosquitto.port, numbered(3000))
    async with receiving(settings, engine, capacity=50, subscribed=False) as receiver:
        taken: list[bytes] = []
        while len(taken) < 3000:
            assert receiver.held() <= 50
            messages = await receiver.take(10)
            taken += payloads(messages)
            for message in messages:
                message.acknowledge()
            await asyncio.sleep(0)
        assert taken == numbered(3000)
        await eventually(lambda: len(acknowledged(mosquitto)) == 3000)


async def test_a_pause_longer_than_the_keep_alive_loses_neither_link_nor_message(
    mosquitto: Mosquitto, engine: Connect
) -> None:
    async with receiving(link_settings(mosquitto.port, keepalive_s=1), engine, capacity=10) as receiver:
        await publish(mosquitto.port, numbered(2000))
        await eventually(lambda: receiver.source.paused)
        # Mosquitto looks for silent clients every few seconds only, so what it hears is looked at instead.
        await eventually(lambda: mosquitto.log.read_text().count("Received PINGREQ from consumer") >= 3)
        assert receiver.source.paused
        assert receiver.held() == 10
        taken: list[bytes] = []
        while len(taken) < 2000:
            messages = await receiver.take(5)
            taken += payloads(messages)
            for message in messages:
                message.acknowledge()
        assert taken == numbered(2000)
        await publish(mosquitto.port, [b"a round trip"])
        await receiver.take(1)
        assert receiver.source.disconnects == {}
        assert not receiver.source.paused


async def test_an_idle_link_stays_up(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving(link_settings(mosquitto.port, keepalive_s=1), engine) as receiver:
        await eventually(lambda: mosquitto.log.read_text().count("Received PINGREQ from consumer") >= 3)
        assert receiver.source.up
        assert receiver.source.disconnects == {}


async def test_a_broker_that_falls_silent_is_given_up_and_found_again(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving(link_settings(mosquitto.port, keepalive_s=1), engine) as receiver:
        mosquitto.freeze()
        await eventually(lambda: receiver.source.disconnects["timeout"] == 1, within_s=5)
        assert not receiver.source.up
        mosquitto.thaw()
        await eventually(lambda: receiver.source.up)
        await publish(mosquitto.port, [b"back"])
        assert payloads(await receiver.take(1)) == [b"back"]


async def test_a_broker_restart_loses_nothing(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, numbered(10))
        before = await receiver.take(10)
        for message in before[:5]:
            message.acknowledge()
        await eventually(lambda: len(acknowledged(mosquitto)) == 5)
        mosquitto.restart()
        again = await receiver.take(5)
        assert payloads(again) == numbered(5, first=5)
        for message in (*before[5:], *again):
            message.acknowledge()
        await publish(mosquitto.port, numbered(10, first=10))
        assert payloads(await receiver.take(10)) == numbered(10, first=10)
        assert receiver.source.connects == 2
        assert receiver.source.disconnects.total() == 1


async def test_kill_9_of_the_broker_loses_nothing_that_it_had_saved(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, numbered(100))  # autosave_interval 100: it saves at every hundredth change
        await receiver.take(100)
        mosquitto.save()
        await eventually(lambda: "Saving in-memory database" in mosquitto.log.read_text())
        await publish(mosquitto.port, [b"a round trip"])  # the broker has one thread: the saving is over
        await receiver.take(1)
        mosquitto.kill9()
        mosquitto.start()
        assert payloads(await receiver.take(100)) == numbered(100)
        assert receiver.source.disconnects == {"network": 1}


async def test_stopping_waits_for_what_was_delivered_and_reads_no_more(mosquitto: Mosquitto, engine: Connect) -> None:
    settings = link_settings(mosquitto.port)
    async with receiving_politely(settings, engine) as receiver:
        await publish(mosquitto.port, numbered(20))
        messages = await receiver.take(20)
        receiver.stopping.set()
        await asyncio.sleep(0.05)
        await publish(mosquitto.port, [b"late"])
        for message in messages:
            message.acknowledge()
    assert receiver.held() == 0
    async with receiving_politely(settings, engine) as receiver:
        (late,) = await receiver.take(1)
        late.acknowledge()
        assert late.payload == b"late"


async def test_a_stop_in_full_flow_acknowledges_exactly_what_it_delivered(
    mosquitto: Mosquitto, engine: Connect
) -> None:
    settings = link_settings(mosquitto.port)
    async with receiving_politely(settings, engine):
        pass
    await publish(mosquitto.port, numbered(3000))
    async with receiving_politely(settings, engine) as receiver:
        taken = await receiver.take(1000)
        receiver.stopping.set()
        await asyncio.sleep(0.01)
        while receiver.held():
            taken += await receiver.take(1)
        for message in taken:
            message.acknowledge()
    async with receiving_politely(settings, engine) as receiver:
        rest = await receiver.take(3000 - len(taken))
        for message in rest:
            message.acknowledge()
    assert payloads(taken + rest) == numbered(3000)


async def test_qos_0_is_delivered_and_needs_no_acknowledgement(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, [b"unprotected"], qos=0)
        (message,) = await receiver.take(1)
        assert (message.payload, message.qos) == (b"unprotected", 0)
        message.acknowledge()
        assert receiver.inbox.accounts["mqtt"].unprotected == 1


async def test_a_retained_message_says_that_it_is_old(mosquitto: Mosquitto, engine: Connect) -> None:
    await publish(mosquitto.port, [b"old"], retain=True)
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        (message,) = await receiver.take(1)
        message.acknowledge()
        assert (message.payload, message.retained) == (b"old", True)


async def test_an_empty_payload_is_a_message_too(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, [b"", b"next"])
        messages = await receiver.take(2)
        for message in messages:
            message.acknowledge()
        assert payloads(messages) == [b"", b"next"]


async def test_a_payload_of_256_megabytes_does_not_stop_the_link(
    mosquitto: Mosquitto, engine: Connect, tmp_path: Path
) -> None:
    largest = 268_435_455 - 2 - len(TOPIC) - 2 - 1
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await publish(mosquitto.port, [b"before"])
        with (tmp_path / "largest").open("wb") as file:
            file.truncate(largest)  # a hole: it costs no disk
        program = need("mosquitto_pub", "mosquitto-clients")
        where = ("-p", str(mosquitto.port), "-t", TOPIC, "-q", "1", "-f", tmp_path / "largest")
        await (await asyncio.create_subprocess_exec(program, *where)).wait()
        await publish(mosquitto.port, [b"after"])
        taken: list[int] = []
        while not taken or taken[-1] != len(b"after"):
            (message,) = await receiver.take(1)
            taken.append(len(message.payload))
            message.acknowledge()
        # MQTT 5 asks the broker to withhold what is too large for anybody; MQTT 3.1.1 cannot.
        assert taken in ([6, 5], [6, largest, 5])
        assert receiver.source.disconnects == {}


async def test_statuses_go_to_their_own_callback(mosquitto: Mosquitto, engine: Connect) -> None:
    await publish(mosquitto.port, [b"online"], topic="gs/v1/hko/status", retain=True)
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        await eventually(lambda: bool(receiver.statuses))
        will = ["--will-topic", "gs/v1/hko/status", "--will-payload", "offline", "--will-qos", "1", "--will-retain"]
        station = await asyncio.create_subprocess_exec(
            need("mosquitto_sub", "mosquitto-clients"), "-p", str(mosquitto.port), "-i", "station", "-t", "none", *will
        )
        await eventually(lambda: "as station" in mosquitto.log.read_text())
        station.kill()
        await station.wait()
        await eventually(lambda: len(receiver.statuses) == 2)
        assert receiver.statuses == [
            ("gs/v1/hko/status", b"online", True),
            ("gs/v1/hko/status", b"offline", False),
        ]
        assert receiver.held() == 0


async def test_only_topics_of_ours_are_received(mosquitto: Mosquitto, engine: Connect) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine) as receiver:
        for topic in ("gs/v1/hko/telemetry", "gs/v2/hko/try-sat/telemetry", "gs/v1/hko/try-sat/command"):
            await publish(mosquitto.port, [b"not ours"], topic=topic)
        await publish(mosquitto.port, [b"ours"])
        (message,) = await receiver.take(1)
        message.acknowledge()
        assert message.payload == b"ours"


@pytest.mark.parametrize("prefix", ["new/v2", "gs"])
async def test_a_changed_prefix_takes_effect_in_the_session_that_stays(
    mosquitto: Mosquitto, engine: Connect, caplog: pytest.LogCaptureFixture, prefix: str
) -> None:
    async with receiving_politely(link_settings(mosquitto.port), engine):
        pass
    await publish(mosquitto.port, numbered(3))
    async with receiving_politely(link_settings(mosquitto.port, topic_prefix=prefix), engine) as receiver:
        left = await receiver.take(3)  # what lay in the session is not lost: its topic says where it belongs
        assert [message.topic for message in left] == [TOPIC] * 3
        await eventually(lambda: "Received UNSUBSCRIBE" in mosquitto.log.read_text())
        await publish(mosquitto.port, [b"old"])
        await publish(mosquitto.port, [b"new"], topic=f"{prefix}/hko/try-sat/telemetry")
        (message,) = await receiver.take(1)
        for each in (*left, message):
            each.acknowledge()
        assert message.payload == b"new"
    assert ["gs/v1/+/+/telemetry is left" in record.getMessage() for record in caplog.records] == [True]


async def test_a_client_under_our_id_takes_over_and_the_link_comes_back(
    mosquitto: Mosquitto, engine: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "groundstation.link.mqtt")
    async with receiving(link_settings(mosquitto.port), engine) as receiver:
        async with Publisher(link_settings(mosquitto.port)):
            await eventually(lambda: not receiver.source.up)
        await eventually(lambda: receiver.source.up)
        # Mosquitto 2.0.11 hangs up without the reason that MQTT 5 has for this; later ones give it.
        assert set(receiver.source.disconnects) <= {"network", "taken_over"}
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


@pytest.mark.parametrize("bug", [ZeroDivisionError("a bug"), ValueError("a bug"), IndexError("a bug")])
async def test_a_bug_in_taking_a_message_ends_the_link_instead_of_holding_back_all_later_messages(
    mosquitto: Mosquitto, engine: Connect, bug: Exception
) -> None:
    def take(*_: object) -> None:
        raise bug

    source = MqttSource(link_settings(mosquitto.port), on_status=take, engines=(engine,))
    running = asyncio.create_task(source.run(Inbox(["mqtt"]), asyncio.Event()))
    await eventually(lambda: source.up or running.done())
    await publish(mosquitto.port, [b"online"], "gs/v1/hko/status")
    with pytest.raises(ExceptionGroup) as raised:
        await asyncio.wait_for(running, PATIENCE_S)
    assert raised.group_contains(type(bug), match="a bug")
    assert not source.up
