"""A link under test: a source with an inbox, emptied and acknowledged by the test's hand."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

from groundstation.link.mqtt import Connect, MqttSource, connect_mqtt_5, connect_mqtt_311
from groundstation.link.mqtt5_connection import Mqtt5Connection
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.link.settings import LinkSettings
from groundstation.pipeline import Inbox
from groundstation.telemetry.packet import Fate, Message

TOPIC = "gs/v1/hko/try-sat/telemetry"
PATIENCE_S = 20.0

ENGINES_OF_MQTT_5: dict[str, Connect] = {"mqtt5": Mqtt5Connection, "aiomqtt-5": connect_mqtt_5}
ENGINES = {**ENGINES_OF_MQTT_5, "aiomqtt-3.1.1": connect_mqtt_311}


def link_settings(port: int, **changes: Any) -> LinkSettings:
    settings: dict[str, Any] = {"name": "mqtt", "client_id": "consumer", "port": port}
    return LinkSettings(**settings | changes)


class Receiver:
    def __init__(self, settings: LinkSettings, engines: tuple[Connect, ...], capacity: int) -> None:
        self.statuses: list[tuple[str, bytes, bool]] = []
        self.source = MqttSource(settings, on_status=lambda *status: self.statuses.append(status), engines=engines)
        self.inbox = Inbox([settings.name], capacity)
        self.stopping = asyncio.Event()

        self._stopped = asyncio.Event()

    async def run(self) -> None:
        await self.source.run(self.inbox, self.stopping)
        self._stopped.set()

    async def stopped(self) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._stopped.wait()

    async def take(self, count: int) -> list[Message]:
        """Return the next `count` messages, unacknowledged."""
        taken: list[Message] = []
        async with asyncio.timeout(PATIENCE_S):
            while len(taken) < count:
                batch = await self.inbox.batch(count - len(taken), pace_s=0.001)
                self.inbox.settle([Fate.STORED] * len(batch))
                taken += batch
        return taken

    def held(self) -> int:
        """Return how many messages are in memory and not taken."""
        return self.inbox.held().total()


@contextlib.asynccontextmanager
async def receiving(
    settings: LinkSettings, *engines: Connect, capacity: int = 5000, subscribed: bool = True
) -> AsyncIterator[Receiver]:
    """Receive while the block lasts, then vanish without a goodbye, as a killed process does."""
    receiver = Receiver(settings, engines, capacity)
    running = asyncio.create_task(receiver.run(), name="receiver")
    try:
        if subscribed:
            await eventually(lambda: receiver.source.ready.is_set() or running.done())
        yield receiver
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@contextlib.asynccontextmanager
async def receiving_politely(settings: LinkSettings, *engines: Connect) -> AsyncIterator[Receiver]:
    """Receive while the block lasts, then stop as a daemon does."""
    receiver = Receiver(settings, engines, 5000)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(receiver.run(), name="receiver")
        async with asyncio.timeout(PATIENCE_S):
            await receiver.source.ready.wait()
        yield receiver
        receiver.stopping.set()


async def publish(port: int, payloads: list[bytes], topic: str = TOPIC, qos: int = 1, retain: bool = False) -> None:
    async with Publisher(link_settings(port, client_id="publisher")) as publisher:
        await publisher.publish_all(Outgoing(topic, payload, qos, retain) for payload in payloads)


def numbered(count: int, first: int = 0) -> list[bytes]:
    return [b"%06d" % number for number in range(first, first + count)]


def payloads(messages: list[Message]) -> list[bytes]:
    return [message.payload for message in messages]


async def eventually(claim: Callable[[], bool], within_s: float = PATIENCE_S) -> None:
    """Wait for what happens in another process, where there is no event to await."""
    deadline = time.monotonic() + within_s
    while not claim():
        assert time.monotonic() < deadline, "it did not come true in time"
        await asyncio.sleep(0.01)
