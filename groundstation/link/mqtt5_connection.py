"""One connection of MQTT 5 over the `mqtt5` codec: packets are parsed in Rust, the connection is handled here.

    socket ──► buffer ──► mqtt5.read ──► deliver          as many packets as there are, in one turn of the event loop
    socket ◄── acknowledgements of one batch, in one write; that of a station's status at once

A tenth of what aiomqtt costs for each message. It receives only: subscriptions are at QoS 1, so that of all of MQTT
no more is needed than CONNECT, SUBSCRIBE, PUBLISH, PUBACK, PINGREQ and DISCONNECT.
"""

import asyncio
import os
import socket
import ssl
import struct
from collections.abc import Sequence
from ipaddress import ip_address
from typing import Any, NoReturn

import mqtt5

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

BUFFER_BYTES = 1 << 18  # the most that is read at once; grows while a packet is larger
# On a machine that sleeps in between, a wakeup costs more than the message it is for. So after a read of FEW messages
# the socket rests: the kernel gathers, and wakes us sooner only for MUCH_BYTES. After one of more, which may be the
# whole window of a broker with a backlog, everything is read as it comes for a while. With the commit behind a rest,
# 99 of 100 messages that come one by one are committed within 60 ms.
FEW = 10
REST_S = 0.056
MUCH_BYTES = 1 << 14
BUSY_S = 1.0
# A broker that leaves Nagle's algorithm on, as Mosquitto does, holds back all but the first message until that one is
# acknowledged by TCP: so after a rest this is asked for once the socket is empty. What was held back is there when the
# call returns, or from another machine a moment later, and only then the next rest begins.
GATHER_S = 0.002
QUICKACK = getattr(socket, "TCP_QUICKACK", None)  # Linux has it
TOLERATED_PACKET = 16 * LARGEST_PACKET  # from a broker that does not heed what we advertise
SUBSCRIBE_ID, UNSUBSCRIBE_ID = 1, 2
CONNACK = 0x20
PINGREQ = mqtt5.PingReqPacket().write()
PUBACK = struct.Struct(">HH").pack  # 0x40, remaining length 2, packet identifier: success without properties


class Mqtt5Connection(asyncio.BufferedProtocol):
    """One connection, used once; `connection.Connection` is its contract."""

    protocol = "MQTT 5"

    def __init__(self, settings: LinkSettings, deliver: Deliver) -> None:
        self._settings = settings
        self._deliver = deliver
        self._loop = asyncio.get_running_loop()
        self.window = Window(self._acknowledge)
        self._transport: asyncio.Transport | None = None
        self._connected: asyncio.Future[mqtt5.ConnAckPacket] = self._loop.create_future()
        self._subscribed: asyncio.Future[mqtt5.SubAckPacket] = self._loop.create_future()
        self._lost: asyncio.Future[Exception] = self._loop.create_future()
        self._closed = asyncio.Event()
        self._paused = self._leaving = False
        self._keepalive_s = settings.keepalive_s
        self._heard_at = self._loop.time()
        self._memory = bytearray(BUFFER_BYTES)
        self._view = memoryview(self._memory)
        self._start = self._end = 0  # of what is read and not parsed
        self._taken = 0  # messages, of what was read last
        self._busy_until = 0.0
        self._near = False  # on this machine and not encrypted: then we may read the socket ourselves
        self._resting = self._rested = False  # is the socket, and was it before what comes next
        self._timer: asyncio.TimerHandle | None = None  # for the beginning or the end of its rest

    async def open(self) -> None:
        context, secret = tls_context(self._settings), password(self._settings)
        host, port = self._settings.host, self._settings.port
        try:
            async with asyncio.timeout(min(CONNECT_S, self._settings.keepalive_s)):
                await self._loop.create_connection(lambda: self, host, port, ssl=context)
                self._write(self._connect_packet(secret))
                connack = await self._or_lost(self._connected)
        except UnicodeError as error:
            raise LinkError(Trouble.HOST, f"the host name cannot be one: {error}") from error
        except OSError as error:  # TimeoutError is one
            raise socket_trouble(error) from error
        if int(connack.reason_code) >= 128:
            raise refusal(connack.reason_code)
        self._keepalive_s = connack.server_keep_alive or self._settings.keepalive_s

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        self._write(mqtt5.SubscribePacket(SUBSCRIBE_ID, [topic_filter(each) for each in subscriptions]).write())
        suback = await self._or_lost(self._subscribed)
        for each, code in zip(subscriptions, suback.reason_codes, strict=True):
            if int(code) != 1:
                raise not_granted(each.topic_filter, int(code), words(code))

    def unsubscribe(self, topic_filter: str) -> None:
        self._write(mqtt5.UnsubscribePacket(UNSUBSCRIBE_ID, [topic_filter]).write())

    async def watch(self, beat: Beat) -> NoReturn:
        """Ping at half the agreed interval, judge the broker's silence, and raise once the connection is lost."""
        while True:
            beat()
            done, _ = await asyncio.wait((self._lost,), timeout=min(SIGN_S, self._keepalive_s / 2))
            if done:
                raise self._lost.result()
            if not self._paused and self._loop.time() - self._heard_at > self._keepalive_s:
                raise LinkError(Trouble.TIMEOUT, f"nothing heard for {self._keepalive_s} s")
            self._write(PINGREQ)

    def pause(self) -> None:
        self._paused = True
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        self._paused = False
        self._heard_at = self._loop.time()
        self._loop.call_soon(self._read_on)

    async def close(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        # What still comes is not ours any more, but closing a socket while data lies unread in it resets the
        # connection, and our last acknowledgements with it: so read until the broker hangs up.
        self._wake()
        self._leaving = True
        self._write(mqtt5.DisconnectPacket().write())
        self._start = self._end = 0
        self._transport.resume_reading()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._closed.wait()
        except TimeoutError:
            pass
        self.abort()

    def abort(self) -> None:
        self._leaving = True
        self.window.forget()
        if self._transport is not None:
            self._transport.abort()

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._socket = transport.get_extra_info("socket")
        peer = transport.get_extra_info("peername")  # None where it has hung up already
        encrypted = transport.get_extra_info("sslcontext") is not None
        self._near = not encrypted and peer is not None and ip_address(peer[0]).is_loopback
        if self._leaving:
            transport.abort()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002  # we know better
        return self._view[self._end :]

    def buffer_updated(self, nbytes: int) -> None:
        self._heard_at = self._loop.time()
        if not self._leaving:
            self._end += nbytes
            self._taken = 0
            self._parse()
            self._consider_rest()

    def connection_lost(self, exc: Exception | None) -> None:
        self._wake()  # the descriptor may be another's by the end of the rest
        self._closed.set()
        said_nothing = not self._connected.done() and not isinstance(exc, ssl.SSLError)
        self._lose(hung_up(self._settings) if said_nothing else socket_trouble(exc))

    # When to read.

    def _consider_rest(self) -> None:
        """Let the socket rest where little was read and nothing is left of it."""
        if self._taken > FEW:
            self._busy_until = self._heard_at + BUSY_S
        if not self._taken or self._start < self._end or self._heard_at < self._busy_until:
            self._wake()
        elif self._rested:
            self._rested = False
            self._tell_socket(socket.IPPROTO_TCP, QUICKACK, 1)
            self._timer = self._loop.call_later(GATHER_S, self._rest)
        elif self._timer is None:
            self._rest()

    def _rest(self) -> None:
        if not self._resting:
            self._resting = True
            self._tell_socket(socket.SOL_SOCKET, socket.SO_RCVLOWAT, MUCH_BYTES)
        self._timer = self._loop.call_later(REST_S, self._end_rest)

    def _wake(self) -> None:
        """From now on the transport reads whatever comes, at once."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._resting:
            self._resting = False
            self._tell_socket(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)

    def _end_rest(self) -> None:
        self._timer = None
        if self._near and not self._paused:
            self._read_twice()
        else:
            self._rested = True
            self._wake()

    def _read_twice(self) -> None:
        """Take what was gathered and what was held back, where the transport would need two turns of the loop."""
        error = self._read()
        self._tell_socket(socket.IPPROTO_TCP, QUICKACK, 1)
        error = error or self._read()
        if self._end > self._start:
            self.buffer_updated(0)
        else:  # where the broker has hung up, the transport will find it so
            self._wake()
        if error is not None:
            self._lose(socket_trouble(error))
            self.abort()

    def _read(self) -> OSError | None:
        """Put into the buffer what has come; return what is wrong with the connection."""
        if self._transport is None or self._transport.is_closing():
            return None
        try:
            self._end += os.readv(self._socket.fileno(), [self._view[self._end :]])
        except BlockingIOError:
            return None  # nothing came
        except OSError as error:
            return error
        return None

    def _tell_socket(self, level: int, option: int | None, value: int) -> None:
        """Set an option that saves time and that nothing else depends on."""
        if option is not None and self._transport is not None and not self._transport.is_closing():
            self._socket.setsockopt(level, option, value)

    # What comes.

    def _parse(self) -> None:
        """Hand on every whole packet in the buffer, or as many as there is room for."""
        view, start, end = self._view, self._start, self._end
        read, publish = mqtt5.read, mqtt5.PublishPacket
        if not self._connected.done() and view[start] != CONNACK:
            self._break_off("it does not begin with a CONNACK")
        try:
            while start < end and not self._paused and not self._leaving:
                packet, size = read(view[start:end])
                start += size
                if type(packet) is publish:
                    self._publish(packet)
                else:
                    self._control(packet)
        except IndexError:  # a part of a packet, or a whole one that is wrong within
            if end - start >= whole_size(view[start:end]):
                self._break_off("malformed packet")
        except ValueError as error:
            self._break_off(str(error))
        self._start = start
        self._make_room()

    def _publish(self, packet: mqtt5.PublishPacket) -> None:
        payload, packet_id = packet.payload, packet.packet_id
        self._taken += 1
        try:
            if packet_id is None:
                self._deliver(packet.topic, payload, 0, packet.retain, ignore_acknowledgement)
            else:
                acknowledge = self.window.expect(packet_id, len(payload))
                self._deliver(packet.topic, payload, 1, packet.retain, acknowledge)
        except Exception as error:  # noqa: BLE001  # `watch` raises it; asyncio, which calls us, would only log it
            self._lose(error)
            self.abort()

    def _control(self, packet: mqtt5.Packet) -> None:
        if isinstance(packet, mqtt5.ConnAckPacket) and not self._connected.done():
            self._connected.set_result(packet)
        elif isinstance(packet, mqtt5.SubAckPacket) and not self._subscribed.done():
            self._subscribed.set_result(packet)
        elif isinstance(packet, mqtt5.DisconnectPacket):
            self._lose(refusal(packet.reason_code))
            self.abort()
        elif not isinstance(packet, mqtt5.PingRespPacket | mqtt5.UnsubAckPacket):
            self._break_off(f"unexpected {type(packet).__name__}")

    def _read_on(self) -> None:
        """Take up what was read before the pause, then the socket."""
        if self._transport is None or self._leaving or self._paused:
            return
        if self._start < self._end:
            self._parse()
        if not self._paused and not self._leaving:
            self._transport.resume_reading()

    def _make_room(self) -> None:
        """Move what is left to the front, and take a larger buffer where one packet fills it."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._memory) and self._start > 0:
            left = bytes(self._view[self._start : self._end])
            self._view[: len(left)] = left
            self._start, self._end = 0, len(left)
        elif self._end == len(self._memory) and not self._leaving:
            if whole_size(self._view) > TOLERATED_PACKET:
                self._break_off("a packet larger than we take")
                return
            self._memory = self._memory + bytes(len(self._memory))
            self._view = memoryview(self._memory)

    # What goes out.

    def _acknowledge(self, packet_ids: Sequence[int]) -> None:
        self._write(b"".join([PUBACK(0x4002, packet_id) for packet_id in packet_ids]))

    def _write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def _connect_packet(self, secret: str | None) -> bytes:
        settings = self._settings
        return mqtt5.ConnectPacket(
            settings.client_id,
            username=settings.username,
            password=None if secret is None else secret.encode(),
            clean_start=False,
            keep_alive=settings.keepalive_s,
            session_expiry_interval=settings.session_expiry_s,
            receive_max=settings.receive_maximum,
            max_packet_size=LARGEST_PACKET,
        ).write()

    # How it ends.

    async def _or_lost(self, answer: asyncio.Future[Any]) -> Any:
        await asyncio.wait((answer, self._lost), return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise self._lost.result()
        return answer.result()

    def _break_off(self, what: str) -> None:
        self._lose(LinkError(Trouble.PROTOCOL, f"the broker does not speak MQTT 5: {what}"))
        self.abort()

    def _lose(self, error: Exception) -> None:
        if not self._lost.done():
            self._lost.set_result(error)


def topic_filter(subscription: Subscription) -> mqtt5.TopicFilter:
    handling = mqtt5.RetainHandling
    return mqtt5.TopicFilter(
        subscription.topic_filter,
        max_qos=mqtt5.QoS.AT_LEAST_ONCE,
        retain_as_published=False,  # then it says whether a message is old, not how it was published
        retain_handling=(
            handling.SEND_ALWAYS if subscription.retained_each_time else handling.SEND_IF_SUBSCRIPTION_NOT_EXISTS
        ),
    )


def refusal(code: mqtt5.ConnAckReasonCode | mqtt5.DisconnectReasonCode) -> LinkError:
    return reason_trouble(int(code), words(code))


def words(code: object) -> str:
    """Return a reason code's name as words; the codec's enumerations are none of Python's."""
    return str(code).rpartition(".")[2].replace("_", " ").lower()


def whole_size(view: memoryview) -> int:
    """Return how long the packet is that begins here, by its own word; more than is here where it does not say yet."""
    length = 0
    for position in range(1, 5):
        if position >= len(view):
            return len(view) + 1
        length |= (view[position] & 0x7F) << 7 * (position - 1)
        if not view[position] & 0x80:
            return 1 + position + length
    return 0
