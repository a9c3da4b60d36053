"""Takes frames as a station's modem script has them, and publishes them in envelopes.

jsonl    one JSON map a line: {"frame": "<hex>", "received_at": <seconds since 1970>, "kind": "realtime" | "dump",
         "link": {"rssi_dbm": -112.5, …}}, all but "frame" optional; a map without "frame" is itself the frame,
         and goes out as msgpack: what anyone tries a definition with
hex      one frame a line, spaces between bytes allowed
binary   the whole file is one frame
kiss     frames between C0 bytes, DB DC for C0 and DB DD for DB; data frames (command 0) alone
"""

import asyncio
import json
import logging
import math
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import msgpack
import msgspec

from groundstation.link.connection import LinkError
from groundstation.link.publisher import IN_FLIGHT, Outgoing, Publisher
from groundstation.link.settings import LinkSettings
from groundstation.telemetry.envelope import EnvelopeError, seal, telemetry_topic
from groundstation.telemetry.packet import Value

log = logging.getLogger(__name__)

FEND, FESC = b"\xc0", b"\xdb"
CHUNK_BYTES = 1 << 16
FRAME_MOST = 64 * 1024  # bytes; the envelope's own limit, here so that a file of anything ends early
PATIENCE_S = 300.0  # with a broker that is away: its machine may start anew
RETRY_S = 1.0


class ModemError(ValueError):
    """An input that holds no frame where one should be: where, what was found, what was expected."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One frame as the station heard it."""

    where: str  # the place in the input, for messages
    frame: bytes
    received_at_us: int | None = None  # now, where the input does not say
    kind: str = "realtime"
    link: Mapping[str, Value] = field(default_factory=dict)


def read_jsonl(file: BinaryIO, name: str) -> Iterator[Heard]:
    for where, line in lines(file, name):
        try:
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ModemError(f"{where}: found no JSON ({error}), expected a map") from None
        if not isinstance(content, dict):
            raise ModemError(f"{where}: found {line[:40]!r}, expected a map")
        yield from_map(where, content)


def from_map(where: str, content: dict[str, Any]) -> Heard:
    if "frame" not in content:
        try:
            return Heard(where, msgpack.packb(content))
        except (ValueError, OverflowError) as error:
            raise ModemError(f"{where}: cannot be msgpack: {error}") from None
    received_at, link = content.get("received_at"), content.get("link", {})
    if received_at is not None and not (type(received_at) in (int, float) and 0 <= received_at < 7_258_118_400):
        raise ModemError(f"{where}: received_at: found {received_at!r}, expected seconds since 1970")
    if not isinstance(content["frame"], str):
        raise ModemError(f"{where}: frame: found {content['frame']!r}, expected hexadecimal bytes")
    if not isinstance(link, dict):
        raise ModemError(f"{where}: link: found {link!r}, expected a map")
    return Heard(
        where,
        from_hex(where, content["frame"]),
        None if received_at is None else round(received_at * 1e6),
        str(content.get("kind", "realtime")),
        link,
    )


def read_hex(file: BinaryIO, name: str) -> Iterator[Heard]:
    for where, line in lines(file, name):
        yield Heard(where, from_hex(where, line.decode("ascii", "replace")))


def read_binary(file: BinaryIO, name: str) -> Iterator[Heard]:
    yield Heard(name, file.read(FRAME_MOST + 1))


def read_kiss(file: BinaryIO, name: str) -> Iterator[Heard]:
    rest, count = b"\x01", 0  # what precedes the first C0 is the end of something: as if of another command
    while chunk := next_chunk(file):
        *frames, rest = (rest + chunk).split(FEND)
        for frame in frames:
            count += 1
            if frame[:1] and frame[0] & 0x0F == 0:
                yield Heard(f"{name}: frame {count}", unescaped(frame[1:]))
        if len(rest) > 2 * FRAME_MOST:
            raise ModemError(f"{name}: found {len(rest)} bytes without an end, expected C0 between frames")


READERS: Mapping[str, Callable[[BinaryIO, str], Iterator[Heard]]] = {
    "jsonl": read_jsonl,
    "hex": read_hex,
    "binary": read_binary,
    "kiss": read_kiss,
}


def lines(file: BinaryIO, name: str) -> Iterator[tuple[str, bytes]]:
    """Return the lines that are not empty, each with where it stands."""
    number = 0
    while line := file.readline(4 * FRAME_MOST):
        number += 1
        if stripped := line.strip():
            yield f"{name}:{number}", stripped


def from_hex(where: str, text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise ModemError(f"{where}: found {text[:40]!r}, expected hexadecimal bytes") from None


def next_chunk(file: BinaryIO) -> bytes:
    """Return what has come, without waiting for a full chunk where the file can do so: a pipe may be live."""
    read = getattr(file, "read1", file.read)
    chunk: bytes = read(CHUNK_BYTES)
    return chunk


def unescaped(frame: bytes) -> bytes:
    return frame.replace(FESC + b"\xdc", FEND).replace(FESC + b"\xdd", FESC)


async def publish_frames(
    settings: LinkSettings,
    station: str,
    satellite: str,
    heard: Iterator[Heard],
    *,
    rate_hz: float | None = None,
    patience_s: float = PATIENCE_S,
) -> int:
    """Publish every frame in its envelope, many in flight, and return their number once the broker has them all.

    Not faster than `rate_hz`, where given. A connection that is lost is made again, for `patience_s` at most, and what
    may not have arrived is sent again: a live pipe is read once. Raises ModemError at the first input that is no frame,
    after publishing those before it, and LinkError.
    """
    address = f"{settings.host}:{settings.port}"
    own = msgspec.structs.replace(settings, client_id=f"publish-{uuid.uuid4().hex[:12]}")
    frames = Frames(telemetry_topic(settings.topic_prefix, station, satellite), heard, rate_hz)
    deadline = time.monotonic()  # who was never connected is not tried again
    while True:
        try:
            async with Publisher(own) as publisher:
                deadline = math.inf
                await publisher.publish_all(frames.outgoing())
            break
        except LinkError as error:
            if deadline == math.inf:
                deadline = time.monotonic() + patience_s
                log.warning("lost %s, trying again: %s", address, error)
            if time.monotonic() >= deadline:
                text = str(error) if str(error).startswith(address) else f"{address}: {error}"
                raise LinkError(error.trouble, text + frames.doubt()) from error
            await asyncio.sleep(RETRY_S)
    if frames.wrong is not None:
        raise frames.wrong
    return frames.count


class Frames:
    """What is to be published; it remembers the last messages, which a lost connection leaves in doubt."""

    def __init__(self, topic: str, heard: Iterator[Heard], rate_hz: float | None) -> None:
        self.count = 0
        self.wrong: ModemError | None = None  # why reading ended early
        self._topic = topic
        self._heard = heard
        self._rate_hz = rate_hz
        self._began = time.monotonic()
        self._recent: deque[Outgoing] = deque(maxlen=IN_FLIGHT + 1)  # and the one whose sending failed

    async def outgoing(self) -> AsyncIterator[Outgoing]:
        """Yield what is in doubt once more, then what comes."""
        for message in tuple(self._recent):
            yield message
        while self.wrong is None and (coming := await self._next()) is not None:
            yield coming

    async def _next(self) -> Outgoing | None:
        try:
            each = await asyncio.to_thread(next, self._heard, None)
            message = None if each is None else Outgoing(self._topic, sealed(each))
        except ModemError as error:
            self.wrong = error  # raised once what came before it has arrived
            return None
        if message is not None:
            self._recent.append(message)
            if self._rate_hz is not None:
                await asyncio.sleep(max(0.0, self._began + self.count / self._rate_hz - time.monotonic()))
            self.count += 1
        return message

    def doubt(self) -> str:
        """Say what a lost connection may have cost; who sends all again loses and doubles nothing."""
        return f"; the last {len(self._recent)} of {self.count} frames may not have arrived" if self.count else ""


def sealed(heard: Heard) -> bytes:
    received_at_us = time.time_ns() // 1000 if heard.received_at_us is None else heard.received_at_us
    try:
        return seal(heard.frame, received_at_us, heard.kind, heard.link)
    except EnvelopeError as error:
        raise ModemError(f"{heard.where}: {error}") from None
