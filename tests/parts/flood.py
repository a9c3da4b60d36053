"""Puts a backlog on a broker as fast as it takes it: QoS 1 at the least a client can do, in MQTT 3.1.1."""

import socket
import struct
from collections.abc import Iterable
from itertools import islice

WINDOW = 1000  # unconfirmed at once


def flood(port: int, topic: str, payloads: Iterable[bytes]) -> int:
    """Publish all and return their number once the broker has confirmed each."""
    waiting, count = iter(payloads), 0
    with socket.create_connection(("127.0.0.1", port)) as broker, broker.makefile("rb") as answers:
        broker.sendall(packet(0x10, text("MQTT") + b"\x04\x02\x00\x00" + text("flood")))
        assert answers.read(4) == b"\x20\x02\x00\x00"
        while some := list(islice(waiting, WINDOW)):
            head = text(topic)
            broker.sendall(b"".join(packet(0x32, head + struct.pack(">H", n + 1) + p) for n, p in enumerate(some)))
            assert len(answers.read(4 * len(some))) == 4 * len(some), "the broker hung up"
            count += len(some)
        broker.sendall(b"\xe0\x00")
    return count


def text(value: str) -> bytes:
    return struct.pack(">H", len(value)) + value.encode()


def packet(kind: int, body: bytes) -> bytes:
    """Return an MQTT packet: its first byte, its length in groups of seven bits, its body."""
    length, size = len(body), bytearray()
    while True:
        length, bits = divmod(length, 128)
        size.append(bits | (0x80 if length else 0))
        if not length:
            return bytes((kind, *size)) + body
