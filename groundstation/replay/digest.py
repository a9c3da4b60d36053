"""One number for all that a pass says once decoded: equal for any speed, any database and any order of asking.

It covers what packets and rejections say, and not who brought them or when they were stored: neither the link nor the
definition's hash is in it, so that a definition whose change alters no value leaves the digest as it was.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

import msgpack

from groundstation.telemetry.packet import Fate, Packet, Rejection, Value

BITS = 256


class DecodedDigest:
    """Takes packets and rejections in any order and grouping.

    The sum of each one's BLAKE2b-256: the archive answers by generation time and the pipeline goes by arrival, and
    neither has to hold a pass in memory to put it in order. Twice the same packet is not the same as once.
    """

    def __init__(self) -> None:
        self.packets = 0
        self.rejections = 0
        self._sum = 0

    def observe(self, packets: Sequence[tuple[Packet, Fate]], rejections: Sequence[Rejection]) -> None:
        """Take one batch as the pipeline tells it; whether the archive had a packet already makes no difference."""
        self.add((packet for packet, _ in packets), rejections)

    def add(self, packets: Iterable[Packet], rejections: Iterable[Rejection] = ()) -> None:
        for packet in packets:
            self.packets += 1
            self._take(_said_by_packet(packet))
        for rejection in rejections:
            self.rejections += 1
            self._take([rejection.topic, rejection.payload, rejection.arrived_at_us, rejection.reason.value])

    def hexdigest(self) -> str:
        return f"{self._sum:0{BITS // 4}x}"

    def _take(self, fields: list[object]) -> None:
        one = hashlib.blake2b(msgpack.packb(fields), digest_size=BITS // 8).digest()
        self._sum = (self._sum + int.from_bytes(one, "big")) % (1 << BITS)


def _said_by_packet(packet: Packet) -> list[object]:
    levels = {name: int(level) for name, level in packet.levels.items()}
    return [
        packet.satellite,
        packet.station,
        packet.packet,
        packet.kind,
        packet.sequence,
        packet.generated_at_us,
        packet.received_at_us,
        packet.frame,
        _canonical(packet.values),
        _canonical(levels),
        list(packet.faults),
        _canonical(packet.reception),
    ]


def _canonical(values: Mapping[str, Value]) -> list[Value]:
    """Return names and values in the order of the names."""
    return list(chain.from_iterable((name, _number(value)) for name, value in sorted(values.items())))


def _number(value: Value) -> Value:
    """Return whole numbers of 64 bits as integers, others as floats: in PostgreSQL's jsonb 1e20 is an integer."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    fits = -(1 << 63) <= value < 1 << 63
    return int(value) if fits and value == int(value) else float(value)
