"""One connection over aiomqtt: MQTT 5 or 3.1.1, acknowledged by hand.

aiomqtt 2 acknowledges a message before anyone has seen it, and its queue discards when it is full. So messages are
taken from the paho client beneath it, whose calls and callbacks are public; only the way down to it is not, and that
is `paho_beneath` alone. aiomqtt keeps what it does well: connecting without blocking, subscribing, writing.
"""

import asyncio
import contextlib
import math
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Any, NoReturn

import aiomqtt
from paho.mqtt import client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from groundstation.link.connection import (
    CLOSE_S,
    CONNECT_S,
    LARGEST_PACKET,
    SIGN_S,
    Beat,
    Deliver,
    LinkError,
    Subscription,
    Trouble,
    Window,
    hung_up,
    not_granted,
    password,
    reason_trouble,
    socket_trouble,
    tls_context,
)
from groundstation.link.settings import LinkSettings
from groundstation.telemetry.packet import ignore_acknowledgement

BURST = 100  # messages read before the event loop has its turn
PINGREQ = b"\xc0\x00"
V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311


def paho_beneath(client: aiomqtt.Client) -> paho.Client:
    """Return the paho client that aiomqtt drives: the one private attribute that this package reaches."""
    return client._client  # noqa: SLF001  # a test fails when it moves


def new_client(
    settings: LinkSettings, version: aiomqtt.ProtocolVersion, *, lasting: bool, will: aiomqtt.Will | None = None
) -> aiomqtt.Client:
    """Return a client for one connection; `lasting` keeps the session at the broker. Raises LinkError."""
    properties = None
    if version == V5:
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        if lasting:
            properties.SessionExpiryInterval = settings.session_expiry_s
            properties.ReceiveMaximum = settings.receive_maximum
            properties.MaximumPacketSize = LARGEST_PACKET
    client = aiomqtt.Client(
        settings.host,
        settings.port,
        identifier=settings.client_id,
        username=settings.username,
        password=password(settings),
        protocol=version,
        will=will,
        clean_session=None if version == V5 else not lasting,
        clean_start=not lasting if version == V5 else paho.MQTT_CLEAN_START_FIRST_ONLY,
        keepalive=settings.keepalive_s,
        timeout=min(CONNECT_S, settings.keepalive_s),
        properties=properties,
        tls_context=tls_context(settings),
    )
    paho_beneath(client).disable_logger()
    return client


def trouble_of(error: aiomqtt.MqttError) -> LinkError:
    """Translate aiomqtt's error, whose cause is hidden in its context."""
    for found in (error, error.__cause__, error.__context__):
        if isinstance(found, aiomqtt.MqttCodeError) and isinstance(found.rc, ReasonCode):
            # 128 is what paho makes of any broken socket, and brokers do not say it when they hang up.
            return socket_trouble(None) if found.rc.value == 128 else reason_trouble(found.rc.value, str(found.rc))
        if isinstance(found, OSError):
            return socket_trouble(found)
    if "timed out" in str(error):
        return LinkError(Trouble.TIMEOUT, "no answer")
    return LinkError(Trouble.NETWORK, str(error))


async def enter(client: aiomqtt.Client, settings: LinkSettings) -> None:
    """Connect; raises LinkError with the broker's reason.

    Left alone, aiomqtt hears of a broker that hangs up on CONNECT only by running into its time limit.
    """
    beneath = paho_beneath(client)
    loop = asyncio.get_running_loop()
    refused: asyncio.Future[None] = loop.create_future()
    then_connected, then_disconnected = beneath.on_connect, beneath.on_disconnect

    def refuse(error: LinkError) -> None:
        if not refused.done():
            refused.set_exception(error)

    def on_connect(client: paho.Client, userdata: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.value < 128:
            beneath.on_disconnect = then_disconnected
            then_connected(client, userdata, flags, reason, properties)  # type: ignore[misc, call-arg]
        else:
            refuse(reason_trouble(reason.value, str(reason)))

    def on_disconnect(*_: Any) -> None:
        refuse(hung_up(settings))

    beneath.on_connect, beneath.on_disconnect = on_connect, on_disconnect
    entering = asyncio.ensure_future(client.__aenter__())
    try:
        await asyncio.wait((entering, refused), return_when=asyncio.FIRST_COMPLETED)
        if refused.done():
            refused.result()
        entering.result()
    except aiomqtt.MqttError as error:
        raise trouble_of(error) from error
    except UnicodeError as error:
        raise LinkError(Trouble.HOST, f"the host name cannot be one: {error}") from error
    finally:
        entering.cancel()
        refused.cancel()
        await asyncio.gather(entering, return_exceptions=True)


class AiomqttConnection:
    """One connection, used once; `connection.Connection` is its contract."""

    def __init__(self, settings: LinkSettings, deliver: Deliver, version: aiomqtt.ProtocolVersion = V5) -> None:
        self.protocol = "MQTT 5" if version == V5 else "MQTT 3.1.1"
        self._loop = asyncio.get_running_loop()
        self._settings = settings
        self._deliver = deliver
        self._version = version
        self._client = new_client(settings, version, lasting=True)
        self._paho = paho_beneath(self._client)
        self.window = Window(self._acknowledge)
        self._paused = self._gone = False
        self._broken: asyncio.Future[NoReturn] = self._loop.create_future()
        self._messages = 0
        self._heard_at = self._loop.time()
        self._paho.manual_ack_set(True)
        self._paho.on_message = self._on_message
        self._paho.on_socket_open = self._on_socket_open
        self._paho.on_unsubscribe = None  # nobody waits for it, which aiomqtt would take for an error

    async def open(self) -> None:
        if self._version == V311 and self._settings.share_group is not None:
            raise LinkError(Trouble.PROTOCOL, "MQTT 3.1.1 has no shared subscriptions")
        await enter(self._client, self._settings)

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        if self._version == V5:
            topics: Any = [
                (each.topic_filter, SubscribeOptions(qos=1, retainHandling=0 if each.retained_each_time else 1))
                for each in subscriptions
            ]
        else:
            topics = [(each.topic_filter, 1) for each in subscriptions]
        try:
            # The answer comes after a resumed session's whole backlog: only `watch` may judge a silence.
            granted = await self._client.subscribe(topics, timeout=math.inf)
        except aiomqtt.MqttError as error:
            raise trouble_of(error) from error
        for each, code in zip(subscriptions, granted, strict=True):
            value: Any = code.value if isinstance(code, ReasonCode) else code
            if value != 1:
                raise not_granted(each.topic_filter, value, str(code))

    def unsubscribe(self, topic_filter: str) -> None:
        self._paho.unsubscribe(topic_filter)

    async def watch(self, beat: Beat) -> NoReturn:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._keep_alive(beat), name="keep alive")
            tasks.create_task(self._until_broken(), name="until broken")
            try:
                async for _ in self._client.messages:  # never yields, since on_message is ours: it ends by raising
                    pass
            except aiomqtt.MqttError as error:
                raise trouble_of(error) from error
        raise AssertionError

    def pause(self) -> None:
        self._paused = True
        if (sock := self._paho.socket()) is not None:
            self._loop.remove_reader(sock.fileno())

    def resume(self) -> None:
        self._paused = False
        self._heard_at = self._loop.time()
        if (sock := self._paho.socket()) is not None:
            self._loop.add_reader(sock.fileno(), self._read)
            self._loop.call_soon(self._read)  # TLS may hold decrypted messages that no selector knows of

    async def close(self) -> None:
        sock = self._paho.socket()
        if sock is None:
            return
        self.pause()
        # Closing a socket while data lies unread in it resets the connection, and our last acknowledgements with it.
        # So a duplicate keeps it open until the broker has read the DISCONNECT and hung up.
        with socket.socket(fileno=os.dup(sock.fileno())) as kept, contextlib.suppress(OSError, TimeoutError):
            kept.setblocking(False)
            self._paho.disconnect()
            async with asyncio.timeout(CLOSE_S):
                while await self._loop.sock_recv(kept, 1 << 16):
                    pass
        self.abort()

    def abort(self) -> None:
        self._gone = True
        self.window.forget()
        self._paho.on_disconnect = None
        sock = self._paho.socket()
        if sock is not None:
            # paho has no call that drops a connection. It would unregister the closed socket once more when it is
            # collected, so its callbacks go first.
            self._paho.on_socket_unregister_write = self._paho.on_socket_close = None
            if sock.fileno() >= 0:
                self._loop.remove_reader(sock.fileno())
                self._loop.remove_writer(sock.fileno())
            sock.close()

    def _on_socket_open(self, _client: paho.Client, _userdata: Any, sock: Any) -> None:
        # Called in the thread that connects.
        self._loop.call_soon_threadsafe(self._begin, sock)

    def _begin(self, sock: Any) -> None:
        if self._gone:
            sock.close()
        else:
            self._heard_at = self._loop.time()
            self._loop.add_reader(sock.fileno(), self._read)

    def _read(self) -> None:
        """Read until the socket is empty, reading is paused, or others should have their turn."""
        self._heard_at = self._loop.time()
        for _ in range(BURST):
            if self._paused or self._gone:
                return
            before = self._messages
            if self._paho.loop_read() != paho.MQTT_ERR_SUCCESS:
                return  # paho has closed it, and `watch` knows
            sock = self._paho.socket()
            pending = isinstance(sock, ssl.SSLSocket) and sock.pending()
            if before == self._messages and not pending:
                return
        self._loop.call_soon(self._read)

    def _on_message(self, _client: paho.Client, _userdata: Any, message: paho.MQTTMessage) -> None:
        self._messages += 1
        try:
            topic = message.topic
        except UnicodeDecodeError:
            topic = "\N{REPLACEMENT CHARACTER}"  # a broker must not pass it on; whatever comes is kept
        payload = bytes(message.payload)
        acknowledge = self.window.expect(message.mid, len(payload)) if message.qos else ignore_acknowledgement
        try:
            self._deliver(topic, payload, message.qos, message.retain, acknowledge)
        except Exception as error:  # noqa: BLE001  # `watch` raises it; asyncio, which calls us, would only log it
            if not self._broken.done():
                self._broken.set_exception(error)
            self.pause()

    def _acknowledge(self, packet_ids: Sequence[int]) -> None:
        for packet_id in packet_ids:
            self._paho.ack(packet_id, 1)

    async def _until_broken(self) -> NoReturn:
        """Raise what went wrong when a message was handed on."""
        await self._broken
        raise AssertionError

    async def _keep_alive(self, beat: Beat) -> NoReturn:
        """Ping at half the agreed interval, and judge the broker's silence.

        paho's own keep-alive takes a paused connection for a dead one, since it does not see the answers that wait
        behind unread messages.
        """
        interval_s = self._paho.keepalive or 60
        while True:
            beat()
            await asyncio.sleep(min(SIGN_S, interval_s / 2))
            if not self._paused and self._loop.time() - self._heard_at > interval_s:
                raise LinkError(Trouble.TIMEOUT, f"nothing heard for {interval_s} s")
            self._ping()

    def _ping(self) -> None:
        sock = self._paho.socket()
        if sock is None or self._paho.want_write():
            return  # what waits to be written serves as well, and must not be cut in two
        try:
            if sock.send(PINGREQ) == len(PINGREQ):
                return
        except OSError as error:
            raise LinkError(Trouble.NETWORK, f"cannot write: {error.strerror or error}") from error
        raise LinkError(Trouble.NETWORK, "cannot write")
