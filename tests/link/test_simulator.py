import asyncio
import contextlib
from collections import Counter

from groundstation.link.mqtt import connect_mqtt_5
from groundstation.link.simulated import Faults
from groundstation.link.simulator import now_us, simulate
from groundstation.link.status import StationStatus, read_status
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.packet import Packet, Rejection
from tests.link.test_simulated import definition
from tests.parts.mosquitto import Mosquitto
from tests.parts.receiver import eventually, link_settings, receiving_politely


async def test_a_pass_arrives_as_the_definition_says_with_its_faults(mosquitto: Mosquitto) -> None:
    settings = link_settings(mosquitto.port)
    decode = Decoder({"try-sat": definition()}, {"hko"}, {"mqtt": "gs/v1"})
    async with receiving_politely(settings, connect_mqtt_5) as receiver:
        start_us = now_us() - 600_000_000  # the pass is over: all of it is sent at once
        sent = await simulate(
            settings,
            definition(),
            "hko",
            start_us=start_us,
            end_us=start_us + 599_000_000,
            rate_hz=1,
            elevation_deg=lambda at_us: (at_us - start_us) / 600e6 * 90,
        )
        assert sent == Counter(frame=590, corrupted=10, duplicate=10)
        messages = await receiver.take(610)
        for message in messages:
            message.acknowledge()
        decoded = [decode(message) for message in messages]
        packets = [each for each in decoded if isinstance(each, Packet)]
        assert len({packet.digest for packet in packets}) == 590
        assert len([each for each in decoded if isinstance(each, Rejection)]) == 10
        assert float(packets[-1].reception["rssi_dbm"] or 0) > float(packets[0].reception["rssi_dbm"] or 0) + 5
        await eventually(lambda: len(receiver.statuses) == 2)
        assert [read_status(payload).online for _, payload, _ in receiver.statuses] == [True, False]


async def test_the_schedule_is_kept(mosquitto: Mosquitto) -> None:
    settings = link_settings(mosquitto.port)
    async with receiving_politely(settings, connect_mqtt_5) as receiver:
        start_us = now_us() + 300_000
        await simulate(
            settings, definition(), "hko", start_us=start_us, end_us=start_us + 500_000, rate_hz=10, faults=Faults(0, 0)
        )
        assert now_us() >= start_us + 500_000
        messages = await receiver.take(6)
        for message in messages:
            message.acknowledge()
        late = [message.arrived_at_us - start_us - n * 100_000 for n, message in enumerate(messages)]
        assert min(late) > 0
        assert sorted(late)[3] < 100_000


async def test_a_broker_restart_leaves_nothing_out(mosquitto: Mosquitto) -> None:
    settings = link_settings(mosquitto.port)
    decode = Decoder({"try-sat": definition()}, {"hko"}, {"mqtt": "gs/v1"})
    sent: Counter[str] = Counter()
    async with receiving_politely(settings, connect_mqtt_5) as receiver:
        start_us = now_us()
        sending = asyncio.create_task(
            simulate(
                settings,
                definition(),
                "hko",
                start_us=start_us,
                end_us=start_us + 2_000_000,
                rate_hz=50,
                faults=Faults(0, 0),
                sent=sent,
            )
        )
        await eventually(lambda: sent["frame"] >= 20)
        mosquitto.restart()
        await sending
        counts: set[tuple[str, int | None]] = set()
        while len(counts) < sent["frame"]:
            (message,) = await receiver.take(1)
            message.acknowledge()
            packet = decode(message)
            assert isinstance(packet, Packet)
            counts.add((packet.packet, packet.sequence))
        assert sent["frame"] == 101


async def test_a_cancelled_simulator_says_goodbye(mosquitto: Mosquitto) -> None:
    async with receiving_politely(link_settings(mosquitto.port), connect_mqtt_5) as receiver:
        sending = asyncio.create_task(simulate(link_settings(mosquitto.port), definition(), "hko"))
        (message,) = await receiver.take(1)
        message.acknowledge()
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending
        await eventually(lambda: len(receiver.statuses) == 2)
        assert read_status(receiver.statuses[1][1]) == StationStatus(online=False, software="groundstation simulator")
