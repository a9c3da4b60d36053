"""The source of telemetry: keeps one MQTT link up and hands its messages on, to be acknowledged after the commit.

broker ──► Connection ──► deliver ──► inbox            pauses reading while the inbox is full
   ▲            │                        │
   └── PUBACK ──┴──── Window ◄── acknowledge           in order, on the connection that brought the message
"""

import asyncio
import logging
import random
import time
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from groundstation.link.aiomqtt_connection import V5, V311, AiomqttConnection
from groundstation.link.connection import SIGN_S, Beat, Connection, Deliver, LinkError, Subscription, Trouble
from groundstation.link.settings import LinkSettings
from groundstation.telemetry.packet import Message

log = logging.getLogger(__name__)

RETRY_FIRST_S, RETRY_MOST_S = 0.25, 30.0
STABLE_S = 10.0  # a connection that lived this long ends the back-off
DRAIN_S = 10.0  # for what was delivered to be committed and acknowledged at a stop

Connect = Callable[[LinkSettings, Deliver], Connection]
OnStatus = Callable[[str, bytes, bool], None]
"""Takes topic, payload and whether the broker had kept it (retained)."""


class Inbox(Protocol):
    """What a source needs of the queue before the pipeline."""

    @property
    def full(self) -> bool: ...

    def put(self, message: Message) -> None: ...

    async def room(self) -> None: ...


def connect_mqtt_5(settings: LinkSettings, deliver: Deliver) -> Connection:
    return AiomqttConnection(settings, deliver, V5)


def connect_mqtt_311(settings: LinkSettings, deliver: Deliver) -> Connection:
    return AiomqttConnection(settings, deliver, V311)


def usual_engines() -> tuple[Connect, ...]:
    """Return what to connect with, and what where the broker turns out not to speak MQTT 5."""
    try:
        from groundstation.link.mqtt5_connection import Mqtt5Connection
    except ImportError:  # the codec is in Rust, and not built for every machine
        return connect_mqtt_5, connect_mqtt_311
    return Mqtt5Connection, connect_mqtt_311


class MqttSource:
    """One configured link. The plain attributes are for health and may be read at any time."""

    def __init__(
        self,
        settings: LinkSettings,
        *,
        on_status: OnStatus | None = None,
        engines: tuple[Connect, ...] = (),
    ) -> None:
        self.settings = settings
        self.up = False  # connected and subscribed
        self.connects = 0
        self.disconnects: Counter[str] = Counter()  # established connections that were lost, by Trouble
        self.failures: Counter[str] = Counter()  # attempts that never came so far, by Trouble
        self.received_bytes = 0  # payloads alone
        self.last_message_at_us: int | None = None
        self.paused = False  # not reading, because the inbox is full
        self.last_error: str | None = None  # why the link is down; None while it is up
        self.ready = asyncio.Event()  # set by the first confirmed subscription
        self._on_status = on_status
        self._ours = settings.topic_prefix + "/"
        self._depth = settings.topic_prefix.count("/")
        self._left_behind: set[str] = set()  # filters of an earlier prefix, for this connection
        self._engines = engines or usual_engines()
        if settings.share_group is not None:
            # MQTT 3.1.1 has no groups: a broker may take one for a part of a topic, and be silent.
            self._engines = self._engines[:1]
        self._engine = 0  # the one to try next
        self._full = asyncio.Event()  # wakes the task that waits for room
        self._connection: Connection | None = None
        self._inbox: Inbox
        self._beat: Beat

    @property
    def subscriptions(self) -> tuple[Subscription, ...]:
        """Return what is asked for. Every daemon of a group follows the stations, so their status is never shared."""
        prefix, group = self.settings.topic_prefix, self.settings.share_group
        telemetry = f"{prefix}/+/+/telemetry"
        return (
            Subscription(telemetry if group is None else f"$share/{group}/{telemetry}", retained_each_time=False),
            Subscription(f"{prefix}/+/status", retained_each_time=True),
        )

    async def run(self, inbox: Inbox, stopping: asyncio.Event, beat: Beat = lambda: None) -> None:
        """Deliver messages until `stopping`, through as many connections as it takes.

        At a stop nothing more is read; what was delivered is waited for (`DRAIN_S` at most) and acknowledged, so
        whoever empties the inbox must go on until this returns. The session stays with the broker. `beat` is called
        whenever there was progress, the waiting for a broker or for room included.
        """
        self._inbox, self._beat = inbox, beat
        delay_s = RETRY_FIRST_S
        while await unless(stopping, self._room()):
            began, connects = time.monotonic(), self.connects
            try:
                await self._serve(stopping)
            except LinkError as error:
                self._report(error, lost=self.connects > connects)
            if time.monotonic() - began > STABLE_S:
                delay_s = RETRY_FIRST_S
            # Jitter, so that a broker that comes back is not met by all its clients at once.
            await unless(stopping, asyncio.sleep(delay_s * random.uniform(0.5, 1)))  # noqa: S311  # not a secret
            delay_s = min(delay_s * 2, RETRY_MOST_S)

    async def _room(self) -> None:
        """Wait for room in the inbox; how long it is wanting is the pipeline's concern."""
        waiting = asyncio.ensure_future(self._inbox.room())
        try:
            while not waiting.done():
                self._beat()
                await asyncio.wait((waiting,), timeout=SIGN_S)
        finally:
            waiting.cancel()

    async def _serve(self, stopping: asyncio.Event) -> None:
        """Use one connection until it is lost (raises LinkError) or until `stopping`."""
        self._left_behind.clear()
        self._full.clear()  # before the connection: a backlog may fill the inbox before `open` returns
        connection = self._connection = self._engines[self._engine](self.settings, self._deliver)
        lost: BaseException | None = None
        try:
            if await unless(stopping, connection.open()):
                try:
                    await self._converse(connection, stopping)
                except* LinkError as group:
                    lost = group
                if lost is None:
                    await connection.close()
        finally:
            connection.abort()
            self._connection = None
            self.up = self.paused = False
        while isinstance(lost, BaseExceptionGroup):
            lost = lost.exceptions[0]
        if lost is not None:
            raise lost

    async def _converse(self, connection: Connection, stopping: asyncio.Event) -> None:
        async with asyncio.TaskGroup() as tasks:
            name = self.settings.name
            working = [
                tasks.create_task(connection.watch(self._beat), name=f"{name}: watch"),
                tasks.create_task(self._subscribe(connection), name=f"{name}: subscribe"),
                tasks.create_task(self._resume(connection), name=f"{name}: resume"),
            ]
            await stopping.wait()
            for task in working[1:]:
                task.cancel()
            connection.pause()
            await self._drain(connection)
            working[0].cancel()

    async def _drain(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(DRAIN_S):
                await connection.window.empty.wait()
        except TimeoutError:
            left = len(connection.window)
            log.warning("link %s: stopped with %d unacknowledged, which will come again", self.settings.name, left)

    async def _subscribe(self, connection: Connection) -> None:
        await connection.subscribe(self.subscriptions)
        if self.settings.share_group is not None:
            # The session may be older than the group, and bring all that is dealt out to the others too.
            connection.unsubscribe(f"{self.settings.topic_prefix}/+/+/telemetry")
        self._came_up(connection)
        self.ready.set()

    def _came_up(self, connection: Connection) -> None:
        if not self.up:
            self.up, self.last_error = True, None
            self.connects += 1
            host, port = self.settings.host, self.settings.port
            log.info("link %s: up, %s to %s:%d", self.settings.name, connection.protocol, host, port)

    async def _resume(self, connection: Connection) -> None:
        """Read on whenever there is room again in the inbox and in memory."""
        while True:
            await self._full.wait()
            await self._inbox.room()
            await connection.window.light.wait()
            self._full.clear()
            self.paused = False
            connection.resume()

    def _deliver(self, topic: str, payload: bytes, qos: int, retained: bool, acknowledge: Callable[[], None]) -> None:
        """Take one message from the connection. Called for every message: what it costs, each costs."""
        now_us = time.time_ns() // 1000
        self.received_bytes += len(payload)
        self.last_message_at_us = now_us
        levels = topic.count("/") - self._depth if topic.startswith(self._ours) else 0
        if levels == 2 and topic.endswith("/status"):
            if self._on_status is not None:
                self._on_status(topic, payload, retained)
            acknowledge()
            return
        if levels != 3:
            self._leave_behind(topic)
        self._inbox.put(Message(self.settings.name, topic, payload, now_us, qos, retained, acknowledge))
        connection = self._connection
        assert connection is not None
        if not self.up:
            self._came_up(connection)  # a resumed session's backlog comes before the answer to SUBSCRIBE
        if self._inbox.full or not connection.window.light.is_set():
            self.paused = True
            connection.pause()
            self._full.set()

    def _leave_behind(self, topic: str) -> None:
        """End a subscription that the session still has from an earlier `topic_prefix`.

        Its messages go the way of all others, to quarantine under their reason: nothing is lost by a mistake in a
        configuration, nor does it go on for ever.
        """
        former = former_filter(topic)
        ours = {each.topic_filter for each in self.subscriptions}
        if former is not None and former not in self._left_behind | ours and self._connection is not None:
            self._left_behind.add(former)
            self._connection.unsubscribe(former)
            log.warning("link %s: %s is left from another topic_prefix: unsubscribed", self.settings.name, former)

    def _report(self, error: LinkError, *, lost: bool) -> None:
        """Count a lost connection or a failed attempt; say the same thing once and not at every attempt."""
        what, counter = ("lost", self.disconnects) if lost else ("cannot connect to", self.failures)
        counter[error.trouble] += 1
        if lost:
            self._engine = 0
        elif error.trouble is Trouble.PROTOCOL:
            self._engine = (self._engine + 1) % len(self._engines)
        text = f"{error.trouble}: {error}"
        if error.trouble is Trouble.PROTOCOL and self.settings.share_group is not None:
            text += " (share_group needs MQTT 5)"
        if lost or text != self.last_error:
            host, port = self.settings.host, self.settings.port
            log.warning("link %s: %s %s:%d, trying again: %s", self.settings.name, what, host, port, text)
        self.last_error = text


def former_filter(topic: str) -> str | None:
    """Return the filter by which a link of another prefix would have received `topic`."""
    levels = topic.split("/")
    for last, count in (("telemetry", 2), ("status", 1)):
        if levels[-1] == last and len(levels) > count + 1:
            return "/".join((*levels[: -count - 1], *"+" * count, last))
    return None


async def unless(stopping: asyncio.Event, work: Coroutine[Any, Any, Any]) -> bool:
    """Do `work` and return True, or leave it and return False as soon as `stopping` is set."""
    working, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stopping.wait())
    try:
        await asyncio.wait((working, stopped), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            working.result()
        return not stopping.is_set()
    finally:
        working.cancel()
        stopped.cancel()
        await asyncio.gather(working, stopped, return_exceptions=True)
