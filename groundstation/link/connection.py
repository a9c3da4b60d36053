"""What one connection to a broker is, whatever library carries it: its contract, its troubles, its window.

A connection is used once. After it is lost a new one is made, so that an acknowledgement can never travel on another
connection than the one that brought its message: packet identifiers mean nothing across connections.
"""

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn, Protocol

from groundstation.link.settings import LinkSettings

CONNECT_S = 10.0  # for name, TCP, TLS and the broker's answer together
SIGN_S = 30.0  # the longest that a connection gives no sign of life, whatever its keep-alive
CLOSE_S = 3.0  # for the broker to read our last acknowledgements and hang up
LARGEST_PACKET = 1 << 20  # advertised to MQTT 5 brokers; sixteen times the longest payload that is decoded
WINDOW_BYTES = 64 << 20  # unacknowledged payload bytes in memory before reading pauses

Beat = Callable[[], None]
"""Called whenever a task has made progress."""

Deliver = Callable[[str, bytes, int, bool, Callable[[], None]], None]
"""Takes topic, payload, QoS, retained and the message's acknowledgement."""


class Trouble(StrEnum):
    """Why a connection failed or was lost: a closed set, safe as a metric's label."""

    NETWORK = "network"  # refused, unreachable, reset, or closed without a word
    HOST = "host"  # the name does not resolve
    TLS = "tls"
    CREDENTIALS = "credentials"
    PROTOCOL = "protocol"  # not MQTT, or not the version we speak
    TIMEOUT = "timeout"  # the broker accepts and says nothing
    TAKEN_OVER = "taken_over"  # another client has connected under our client id
    SHUTDOWN = "shutdown"  # the broker said that it is stopping
    REFUSED = "refused"  # any other reason that the broker gave


class LinkError(Exception):
    """A connection failed or was lost; a later one may succeed."""

    def __init__(self, trouble: Trouble, text: str) -> None:
        super().__init__(text)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic filter, at QoS 1 always: MQTT clients in reach lose messages at QoS 2."""

    topic_filter: str
    retained_each_time: bool  # whether retained messages are wanted at every connection, or only at the first


class Connection(Protocol):
    """One connection, used once: `open`, `subscribe` and `watch` at the same time, then `close` or `abort`.

    Messages go to the `deliver` it was made with, from `open` on: a resumed session's backlog comes before the
    answer to `subscribe`.
    """

    window: "Window"
    protocol: str  # "MQTT 5" or "MQTT 3.1.1"

    async def open(self) -> None:
        """Connect and wait for the broker's consent; raises LinkError."""

    async def subscribe(self, subscriptions: Sequence[Subscription]) -> None:
        """Return once the broker has confirmed every subscription; raises LinkError where it refuses one."""

    def unsubscribe(self, topic_filter: str) -> None:
        """Ask for no more of a filter that an earlier configuration left in the session."""

    async def watch(self, beat: Beat) -> NoReturn:
        """Keep the connection alive, with a `beat` at least every SIGN_S.

        Raises LinkError once it is lost, and what `deliver` raised, which is a bug.
        """

    def pause(self) -> None:
        """Read nothing more: at most the message being delivered still comes."""

    def resume(self) -> None: ...

    async def close(self) -> None:
        """Send the acknowledgements that are waiting, then leave; the broker keeps the session."""

    def abort(self) -> None:
        """Drop the connection at once, as often as liked; the broker keeps the session."""


class Window:
    """The QoS 1 messages of one connection that are delivered and not acknowledged.

    MQTT wants acknowledgements in the order of the messages [MQTT-4.6.0-2], so one that is given early waits here for
    those before it.
    """

    def __init__(self, send: Callable[[Sequence[int]], object]) -> None:
        self.bytes = 0
        self.empty = asyncio.Event()
        self.empty.set()
        self.light = asyncio.Event()  # cleared while too many bytes are unacknowledged
        self.light.set()
        self._send = send
        self._held: deque[_Held] = deque()

    def __len__(self) -> int:
        return len(self._held)

    def expect(self, packet_id: int, size: int) -> Callable[[], None]:
        """Return the function that acknowledges this message."""
        held = _Held(self, packet_id, size)
        if not self._held:
            self.empty.clear()
        self._held.append(held)
        self.bytes += size
        if self.bytes >= WINDOW_BYTES:
            self.light.clear()
        return held.acknowledge

    def settle(self) -> None:
        """Send the acknowledgements that no earlier message holds back."""
        held, free = self._held, []
        while held and held[0].done:
            first = held.popleft()
            self.bytes -= first.size
            free.append(first.packet_id)
        if free:
            self._send(free)
        if not held:
            self.empty.set()
        if self.bytes <= WINDOW_BYTES // 2:
            self.light.set()

    def forget(self) -> None:
        """The connection is gone: acknowledgements do nothing from now on, and the broker sends the messages again."""
        self._held.clear()
        self.bytes = 0
        self.empty.set()
        self.light.set()


class _Held:
    __slots__ = ("done", "packet_id", "size", "window")

    def __init__(self, window: Window, packet_id: int, size: int) -> None:
        self.window = window
        self.packet_id = packet_id
        self.size = size
        self.done = False

    def acknowledge(self) -> None:
        self.done = True
        self.window.settle()


def password(settings: LinkSettings) -> str | None:
    """Read the password afresh, so that a changed one needs no restart; raises LinkError."""
    if settings.password_file is None:
        return None
    try:
        return settings.password_file.read_text(encoding="utf-8").removesuffix("\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise LinkError(Trouble.CREDENTIALS, f"password_file {settings.password_file}: {reason}") from error


class ClosingSocket(ssl.SSLSocket):
    """Closes itself when a handshake fails: paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def tls_context(settings: LinkSettings) -> ssl.SSLContext | None:
    """Build the TLS context from the files that the settings name; raises LinkError."""
    if not settings.tls:
        return None
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file)
    except OSError as error:  # SSLError is one
        raise LinkError(Trouble.TLS, f"tls_ca_file {settings.tls_ca_file}: {error.strerror or error}") from error
    context.sslsocket_class = ClosingSocket
    if settings.tls_certificate_file is not None:
        try:
            context.load_cert_chain(settings.tls_certificate_file, settings.tls_key_file)
        except OSError as error:
            files = f"tls_certificate_file {settings.tls_certificate_file}, tls_key_file {settings.tls_key_file}"
            raise LinkError(Trouble.TLS, f"{files}: {error.strerror or error}") from error
    return context


def socket_trouble(error: BaseException | None) -> LinkError:
    """Say in one line what a socket's error means."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return LinkError(Trouble.TLS, f"the broker's certificate is not accepted: {error.verify_message}")
    if isinstance(error, ssl.SSLError):
        return LinkError(Trouble.TLS, f"TLS failed: {(error.reason or str(error)).replace('_', ' ').lower()}")
    if isinstance(error, socket.gaierror):
        return LinkError(Trouble.HOST, f"the host name does not resolve: {error.strerror}")
    if isinstance(error, TimeoutError):
        return LinkError(Trouble.TIMEOUT, "no answer")
    if isinstance(error, OSError) and error.errno:
        return LinkError(Trouble.NETWORK, os.strerror(error.errno).lower())
    return LinkError(Trouble.NETWORK, str(error) if error is not None and str(error) else "closed by the broker")


def hung_up(settings: LinkSettings) -> LinkError:
    """Say what it may mean that a broker hangs up on CONNECT without a word."""
    text = "the broker hung up on our CONNECT"
    if settings.tls and settings.tls_certificate_file is None:
        text += "; it may want a client certificate, and tls_certificate_file is not set"
    return LinkError(Trouble.PROTOCOL, text)


REASONS = {  # MQTT 5 reason codes that mean something to an operator, with MQTT 3.1.1's translated by paho
    132: (Trouble.PROTOCOL, "the broker does not speak this MQTT version"),
    133: (Trouble.REFUSED, "the broker refuses the client id"),
    134: (Trouble.CREDENTIALS, "bad user name or password"),
    135: (Trouble.CREDENTIALS, "not authorised"),
    129: (Trouble.PROTOCOL, "malformed packet"),
    130: (Trouble.PROTOCOL, "protocol error"),
    139: (Trouble.SHUTDOWN, "the broker is shutting down"),
    141: (Trouble.TIMEOUT, "the broker missed our keep-alive"),
    142: (Trouble.TAKEN_OVER, "another client has connected under this client id"),
    158: (Trouble.REFUSED, "the broker has no shared subscriptions (share_group)"),
}


def reason_trouble(code: int, name: str) -> LinkError:
    """Say in one line what a broker's reason code means."""
    trouble, text = REASONS.get(code, (Trouble.REFUSED, f"the broker says: {name.lower()} ({code})"))
    return LinkError(trouble, text)


def not_granted(topic_filter: str, code: int, name: str) -> LinkError:
    """Say in one line why a broker does not let us subscribe as we must."""
    _, text = REASONS.get(code, (None, name))
    return LinkError(Trouble.REFUSED, f"the broker grants no QoS 1 on {topic_filter}: {text}")
