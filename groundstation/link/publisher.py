"""Puts messages on a broker, many in flight: for the simulator, for replay, and for a station's own scripts."""

import asyncio
import contextlib
from collections.abc import AsyncIterable, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import aiomqtt
from paho.mqtt import client as paho
from paho.mqtt.reasoncodes import ReasonCode

from groundstation.link.aiomqtt_connection import V5, V311, enter, new_client, paho_beneath, trouble_of
from groundstation.link.connection import LinkError, Trouble, reason_trouble
from groundstation.link.settings import LinkSettings

IN_FLIGHT = 500  # handed to paho and not yet confirmed; it keeps to what the broker allows on the wire


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to publish; telemetry goes at QoS 1 and is never retained, a status is retained."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


class Publisher:
    """One connection for publishing, as `async with Publisher(settings) as publisher`; raises LinkError.

    `will` is what the broker publishes for us if we vanish. Its client id must be nobody else's: not the daemon's.
    """

    def __init__(self, settings: LinkSettings, *, will: Outgoing | None = None) -> None:
        self._settings = settings
        self._will = None if will is None else aiomqtt.Will(will.topic, will.payload, will.qos, will.retain)
        self._client: aiomqtt.Client
        self._paho: paho.Client
        self._unconfirmed: dict[int, asyncio.Future[None]] = {}
        self._watching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        try:
            try:
                await self._open(V5)
            except LinkError as error:
                if error.trouble is not Trouble.PROTOCOL:
                    raise
                await self._open(V311)
        except LinkError as error:
            raise LinkError(error.trouble, f"{self._settings.host}:{self._settings.port}: {error}") from error
        self._watching = asyncio.create_task(self._watch(), name=f"{self._settings.name}: publisher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._watching is not None
        self._watching.cancel()
        await asyncio.gather(self._watching, return_exceptions=True)
        try:
            await self._client.__aexit__(None, None, None)
        except aiomqtt.MqttError as lost:
            if kind is None:
                raise trouble_of(lost) from lost
        finally:
            # Else asyncio tells, on the terminal, of aiomqtt's exception that nobody has looked at.
            with contextlib.suppress(aiomqtt.MqttError):
                await anext(self._client.messages)

    async def publish(self, topic: str, payload: bytes, qos: int = 1, retain: bool = False) -> None:
        """Return once the broker has taken the message; at QoS 0, once it is on its way."""
        await self._send(Outgoing(topic, payload, qos, retain))

    async def publish_all(self, messages: Iterable[Outgoing] | AsyncIterable[Outgoing]) -> int:
        """Publish many without waiting for each, and return their number once the broker has taken them all."""
        slots = asyncio.Semaphore(IN_FLIGHT)
        refused: list[BaseException] = []
        count = 0

        def settled(confirmation: asyncio.Future[None]) -> None:
            slots.release()
            if not confirmation.cancelled() and (error := confirmation.exception()) is not None:
                refused.append(error)

        async for message in each(messages):
            await slots.acquire()
            if refused:
                break
            self._send(message).add_done_callback(settled)
            count += 1
        for _ in range(IN_FLIGHT - bool(refused)):
            await slots.acquire()
        if refused:
            raise refused[0]
        return count

    async def _open(self, version: aiomqtt.ProtocolVersion) -> None:
        self._client = new_client(self._settings, version, lasting=False, will=self._will)
        self._paho = paho_beneath(self._client)
        self._paho.on_publish = self._on_publish
        await enter(self._client, self._settings)

    def _send(self, message: Outgoing) -> asyncio.Future[None]:
        confirmation: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self._watching is None or self._watching.done():
            raise LinkError(Trouble.NETWORK, "the connection was lost")
        info = self._paho.publish(message.topic, message.payload, message.qos, message.retain)
        if info.rc == paho.MQTT_ERR_NO_CONN:
            raise LinkError(Trouble.NETWORK, "the connection was lost")
        if info.rc != paho.MQTT_ERR_SUCCESS:
            raise LinkError(Trouble.NETWORK, paho.error_string(info.rc).lower())
        self._unconfirmed[info.mid] = confirmation
        return confirmation

    def _on_publish(self, _client: paho.Client, _userdata: Any, mid: int, reason: ReasonCode, _properties: Any) -> None:
        confirmation = self._unconfirmed.pop(mid, None)
        if confirmation is None or confirmation.done():
            return
        if reason.value < 128:
            confirmation.set_result(None)
        else:
            confirmation.set_exception(reason_trouble(reason.value, str(reason)))

    async def _watch(self) -> None:
        """Tell those who wait when the connection is lost."""
        try:
            async for _ in self._client.messages:  # nothing is subscribed: it ends by raising
                pass
        except aiomqtt.MqttError as error:
            lost = trouble_of(error)
            for confirmation in self._unconfirmed.values():
                if not confirmation.done():
                    confirmation.set_exception(lost)
            self._unconfirmed.clear()


async def each(messages: Iterable[Outgoing] | AsyncIterable[Outgoing]) -> AsyncIterable[Outgoing]:
    """Iterate either kind the same way."""
    if isinstance(messages, AsyncIterable):
        async for message in messages:
            yield message
    else:
        for message in messages:
            yield message
