"""The compressed part of a recording as a stream of chunks: inflated, unpacked and packed within bounds.

A file from elsewhere may be hostile: it may claim huge lengths, nest without end or inflate a thousandfold. Nothing
here holds more than a chunk and one message, whatever the file says.
"""

import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgpack

from groundstation.telemetry.packet import Message

CHUNK_BYTES = 1 << 16  # read, inflated and digested at a time
HEADER_MOST_BYTES = 4 << 20  # a definition is some 10 kB
TOPIC_MOST_BYTES = 65_535  # MQTT's own limit
PAYLOAD_MOST_BYTES = 16 << 20
ARRIVAL_LEAST_US, ARRIVAL_MOST_US = -(1 << 63), (1 << 63) - 1


class BodyError(ValueError):
    """Bytes that are not what a recording's body should be."""


def inflated(file: BinaryIO, body_bytes: int) -> Iterator[bytes]:
    """Yield what the next `body_bytes` of the file inflate to, never more than a chunk at a time."""
    inflate = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    left = max(body_bytes, 0)
    while not inflate.eof:
        compressed = inflate.unconsumed_tail
        if not compressed:
            compressed = file.read(min(CHUNK_BYTES, left))
            left -= len(compressed)
        try:
            data = inflate.decompress(compressed, CHUNK_BYTES)
        except zlib.error as error:
            raise BodyError(f"damaged: {error}") from error
        if data:
            yield data
        elif not compressed and not inflate.eof:
            raise BodyError("truncated: the compressed data have no end")
    if left or inflate.unused_data:
        raise BodyError(f"{left + len(inflate.unused_data)} bytes too many between the messages and the footer")


def split_header(chunks: Iterator[bytes]) -> tuple[object, bytes]:
    """Return the first object of the stream, and what was inflated beyond it."""
    unpacker = msgpack.Unpacker(
        max_buffer_size=HEADER_MOST_BYTES + CHUNK_BYTES,
        max_str_len=HEADER_MOST_BYTES,
        max_bin_len=0,
        max_ext_len=0,
        max_array_len=64,
        max_map_len=256,
    )
    taken = bytearray()
    for chunk in chunks:
        taken += chunk
        unpacker.feed(chunk)
        try:
            return unpacker.unpack(), bytes(taken[unpacker.tell() :])
        except msgpack.OutOfData:
            # The unpacker bounds each string and map; only the sum bounds maps within maps.
            if len(taken) > HEADER_MOST_BYTES:
                raise BodyError(f"the header has more than {HEADER_MOST_BYTES} bytes") from None
        except (msgpack.UnpackException, ValueError) as error:
            raise BodyError(f"the header is unreadable: {_said(error)}") from error
    raise BodyError("it ends within the header")


def unpacked(chunks: Iterable[bytes]) -> Iterator[Message]:
    """Yield each message as soon as it is whole."""
    unpacker = msgpack.Unpacker(
        list_hook=as_message,
        max_buffer_size=PAYLOAD_MOST_BYTES + 2 * CHUNK_BYTES,
        max_str_len=TOPIC_MOST_BYTES,
        max_bin_len=PAYLOAD_MOST_BYTES,
        max_ext_len=0,
        max_array_len=6,
        max_map_len=0,
    )
    fed = whole = count = 0
    for chunk in chunks:
        fed += len(chunk)
        try:
            unpacker.feed(chunk)
        except msgpack.BufferFull as error:  # it waits for the end of something longer than any message may be
            raise BodyError(f"message {count + 1}: longer than a payload of {PAYLOAD_MOST_BYTES} bytes") from error
        while (message := _next(unpacker, count)) is not None:
            whole, count = unpacker.tell(), count + 1
            yield message
    if whole != fed:
        raise BodyError(f"truncated within message {count + 1}")


def _next(unpacker: msgpack.Unpacker, count: int) -> Message | None:
    try:
        found = unpacker.unpack()
    except msgpack.OutOfData:
        return None
    except (msgpack.UnpackException, ValueError) as error:
        raise BodyError(f"message {count + 1}: {_said(error)}") from error
    if not isinstance(found, Message):
        raise BodyError(f"message {count + 1}: expected six fields, found one {type(found).__name__}")
    return found


def packed(message: Message) -> bytes:
    """Return the message as `unpacked` takes it; raise BodyError for what it would refuse."""
    fields = [message.arrived_at_us, message.link, message.topic, message.qos, message.retained, message.payload]
    if len(message.payload) > PAYLOAD_MOST_BYTES:
        raise BodyError(f"a payload of {len(message.payload)} bytes, a recording holds at most {PAYLOAD_MOST_BYTES}")
    try:
        as_message(fields)
        return bytes(msgpack.packb(fields))
    except ValueError as error:  # besides our own: a lone surrogate is no UTF-8
        raise BodyError(_said(error)) from error


def as_message(fields: list[Any]) -> Message:
    """Return the message, or raise BodyError; called for every list, so that none may nest in another."""
    match fields:
        case [int(arrived), str(link), str(topic), int(qos), bool(retained), bytes(payload)] if (
            0 <= qos <= 2
            and ARRIVAL_LEAST_US <= arrived <= ARRIVAL_MOST_US
            and max(len(link), len(topic)) <= TOPIC_MOST_BYTES
        ):
            return Message(link, topic, payload, arrived, qos, retained)
    raise BodyError(
        "expected [arrived_at_us, link, topic, qos, retained, payload], "
        f"found [{', '.join(f'{field!r:.40}' for field in fields)}]"
    )


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
