"""Makes messages again of what the archive kept, so that any stored pass can be recorded after the fact.

A packet's frame and quarantined payloads are kept as they came. The envelope is not: it is sealed again from its parts,
and gives the same row when decoded again, apart from `link` and `stored_at`. The very payload comes back where the
station sealed it as `telemetry.envelope.seal` does, with a reception time; otherwise it may differ in the order of
its keys, in a reception time that we supplied, or in fractions of a microsecond. QoS and the retained flag are lost,
and of quarantined payloads whatever the archive did not keep: the end of a huge one, repetitions within an hour.
"""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from typing import Protocol

from groundstation.replay.recording import RecordingError
from groundstation.telemetry.envelope import EnvelopeError, seal, telemetry_topic
from groundstation.telemetry.packet import Message, Value


class HeardPacket(Protocol):
    """One station's hearing of one packet, as the archive has it."""

    @property
    def link(self) -> str: ...
    @property
    def satellite(self) -> str: ...
    @property
    def station(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def received_at_us(self) -> int: ...
    @property
    def frame(self) -> bytes: ...
    @property
    def reception(self) -> Mapping[str, Value]: ...


class QuarantinedMessage(Protocol):
    @property
    def link(self) -> str: ...
    @property
    def topic(self) -> str: ...
    @property
    def payload(self) -> bytes: ...
    @property
    def arrived_at_us(self) -> int: ...


def messages_again(
    packets: Iterable[HeardPacket], quarantined: Iterable[QuarantinedMessage], topic_prefix: str
) -> Iterator[Message]:
    """Yield the messages that brought these rows, both given in the order of their times, in the order of time.

    Raises RecordingError for a packet that fits in no envelope: a bare frame of nearly 64 KiB.
    """
    heard = (_sealed(packet, topic_prefix) for packet in packets)
    refused = (Message(row.link, row.topic, row.payload, row.arrived_at_us) for row in quarantined)
    return merge(heard, refused, key=lambda message: message.arrived_at_us)


def under_prefix(topic: str, prefix: str, wanted: str) -> str:
    """Return a topic of `prefix` under the prefix `wanted`, and any other topic as it is."""
    return wanted + topic.removeprefix(prefix) if topic.startswith(f"{prefix}/") else topic


def _sealed(packet: HeardPacket, topic_prefix: str) -> Message:
    topic = telemetry_topic(topic_prefix, packet.station, packet.satellite)
    try:
        payload = seal(packet.frame, packet.received_at_us, packet.kind, packet.reception)
    except EnvelopeError as error:
        raise RecordingError(
            f"{packet.satellite}: the packet received by {packet.station} at {packet.received_at_us} µs "
            f"cannot be recorded: {error}"
        ) from error
    return Message(packet.link, topic, payload, packet.received_at_us)
