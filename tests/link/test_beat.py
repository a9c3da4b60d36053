"""A link shows that it is alive while it waits, so that the watchdog may believe its silence to be trouble."""

import asyncio
import contextlib

from groundstation.link.connection import SIGN_S
from groundstation.link.mqtt import Connect, MqttSource
from groundstation.monitor.systemd import STUCK_S
from groundstation.pipeline import Inbox
from groundstation.telemetry.packet import Message
from tests.parts.mosquitto import Mosquitto, free_port
from tests.parts.receiver import eventually, link_settings
from tests.parts.virtual_time import run_virtually


async def beats_of(source: MqttSource, inbox: Inbox, after_s: float) -> int:
    beats: list[None] = []
    running = asyncio.create_task(source.run(inbox, asyncio.Event(), lambda: beats.append(None)))
    await asyncio.sleep(after_s)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    return len(beats)


async def test_an_idle_link_beats_with_its_pings(mosquitto: Mosquitto, engine: Connect) -> None:
    source = MqttSource(link_settings(mosquitto.port, keepalive_s=5), engines=(engine,))
    beats: list[None] = []
    running = asyncio.create_task(source.run(Inbox(["mqtt"]), asyncio.Event(), lambda: beats.append(None)))
    await eventually(lambda: source.up)
    before = len(beats)
    await eventually(lambda: len(beats) >= before + 2)
    assert source.disconnects.total() == 0
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def test_a_link_without_a_broker_beats_with_its_attempts(engine: Connect) -> None:
    source = MqttSource(link_settings(free_port()), engines=(engine,))
    assert await beats_of(source, Inbox(["mqtt"]), 1.5) >= 2


def test_a_link_that_waits_for_room_in_the_inbox_beats_often_enough() -> None:
    async def wait() -> int:
        inbox = Inbox(["mqtt"], capacity=1)
        inbox.put(Message("mqtt", "topic", b"1", 0))
        return await beats_of(MqttSource(link_settings(1)), inbox, 3600)

    assert run_virtually(wait()) >= 3600 / STUCK_S
    assert SIGN_S < STUCK_S / 2
