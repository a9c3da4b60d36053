"""The wire format: topics, the envelope (how a frame was heard) and the frame (what the satellite sent).

    topic     <prefix>/<station>/<satellite>/telemetry      QoS 1, never retained
              <prefix>/<station>/status                     retained, with a will
              prefix gs/v1 unless configured; <station> and <satellite> are slugs of the configuration

    envelope  one msgpack map, at most 64 KiB
              ┌───────────────┬───────────────────────────┬──────────────────────────────────────────────────┐
              │ "v"           │ 1                         │ required                                         │
              │ "frame"       │ bin, 1 byte or more       │ required: what the satellite sent, untouched     │
              │ "received_at" │ <time>                    │ at the antenna; our own arrival time without it  │
              │ "kind"        │ "realtime" | "dump"       │ realtime without it                              │
              │ "link"        │ {"rssi_dbm": number, …}   │ how well it was heard; names are the station's   │
              └───────────────┴───────────────────────────┴──────────────────────────────────────────────────┘

    frame     one msgpack map, unless the definition's [frame] says otherwise
              {"p": packet id or name, "n": sequence count, "t": <time>, "d": {name: raw, …} or [raw, …]}

    <time>    a msgpack timestamp (extension −1), or a number: seconds since 1970 in the envelope, and in the frame
              what the definition's time_unit and epoch say; from 1970-01-01 to before 2200-01-01

What is odd, and what becomes of it:

    longer than 64 KiB                rejected before anything is decoded (oversize)
    bytes after the map, cut short,
    nested over 1000 deep, an array or
    map of more than 512, over 1024 of
    them in all, a key that is neither
    text nor bytes                    rejected (envelope, or frame)
    a key twice                       as if its value were unreadable: which of the two was meant nobody knows, so a
                                      parameter gets a fault, a required key rejects. Costs 1.3 µs a frame.
    a key that nothing describes      kept in the raw bytes and counted; in the envelope, which is not kept raw, numbers
                                      and short texts are kept beside the link's
    a bytes key                       equal to no text: a key that nothing describes
    text that is not UTF-8, or has    a parameter of it gets a fault, nothing else is lost; in the link map and in
    a NUL                             messages U+FFFD stands for what no database takes
    NaN, infinity                     a parameter gets a fault; null in the link map; as a time it rejects
    an integer past 64 bits signed    a parameter gets a fault unless a calibrator makes a float of it; null in the
                                      link map
    an extension type other than −1   a parameter gets a fault; left out of the link map, and counted
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgpack

from groundstation.telemetry.packet import Reason, Value
from groundstation.telemetry.text import INTEGER_FIRST, INTEGER_LAST, shown, storable
from groundstation.telemetry.unpack import UnpackError, to_microseconds, unpack

VERSION = 1
PAYLOAD_MOST = 64 * 1024  # bytes
LINK_MOST = 64  # entries of the link map that are kept
KNOWN = ("v", "frame", "received_at", "kind", "link")


class EnvelopeError(ValueError):
    """A payload that is no envelope, with the reason it is counted under."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class Envelope(NamedTuple):  # made for every message, in a third of a dataclass's time
    frame: bytes
    received_at_us: int | None
    kind: str
    link: Mapping[str, Value]  # and what could be kept of keys that nothing describes
    unknown: int  # keys that nothing describes, and entries of the link map that could not be kept


def telemetry_topic(prefix: str, station: str, satellite: str) -> str:
    return f"{prefix}/{topic_level(station)}/{topic_level(satellite)}/telemetry"


def status_topic(prefix: str, station: str) -> str:
    return f"{prefix}/{topic_level(station)}/status"


def topic_level(name: str) -> str:
    """Return `name` if it can be one level of a topic that is published to; raises ValueError."""
    if not name or any(character in name for character in "/+#\0"):
        raise ValueError(f"topic level: found {shown(name)}, expected a name without / + # and NUL")
    return name


def split_topic(prefix: str, topic: str) -> tuple[str, str] | None:
    """Return station and satellite of a telemetry topic under `prefix`, or None for any other topic."""
    if not topic.startswith(prefix + "/"):
        return None
    levels = topic[len(prefix) + 1 :].split("/")
    if len(levels) != 3 or levels[2] != "telemetry" or not levels[0] or not levels[1]:
        return None
    return levels[0], levels[1]


def seal(
    frame: bytes, received_at_us: int | None, kind: str = "realtime", link: Mapping[str, Value] | None = None
) -> bytes:
    """Return the payload that `open_envelope` opens; raises EnvelopeError for what it would refuse."""
    envelope: dict[str, object] = {"v": VERSION}
    if received_at_us is not None:
        envelope["received_at"] = timestamp(received_at_us)
    envelope["kind"] = kind
    if link:
        envelope["link"] = dict(link)
    payload: bytes = msgpack.packb({**envelope, "frame": frame})
    open_envelope(payload)
    return payload


def pack_frame(packet: int | str, sequence: int | None, generated_at_us: int | None, data: object) -> bytes:
    """Return a frame as a definition's default [frame] describes it; `data` is a map or an array of raw values."""
    frame: dict[str, object] = {"p": packet}
    if sequence is not None:
        frame["n"] = sequence
    if generated_at_us is not None:
        frame["t"] = timestamp(generated_at_us)
    packed: bytes = msgpack.packb({**frame, "d": data})
    return packed


def timestamp(at_us: int) -> msgpack.Timestamp:
    seconds, microseconds = divmod(at_us, 1_000_000)
    return msgpack.Timestamp(seconds, microseconds * 1000)


def open_envelope(payload: bytes) -> Envelope:
    """Return what the payload says; raises EnvelopeError."""
    if len(payload) > PAYLOAD_MOST:
        raise EnvelopeError(Reason.OVERSIZE, f"found {len(payload)} bytes, expected at most {PAYLOAD_MOST}")
    try:
        tree = unpack(payload)
    except UnpackError as error:
        raise EnvelopeError(Reason.ENVELOPE, f"not msgpack: {error}") from None
    if type(tree) is not dict:
        raise EnvelopeError(Reason.ENVELOPE, f"found {shown(tree)}, expected a map")
    return read_envelope(tree)


def read_envelope(tree: dict[object, object]) -> Envelope:
    get = tree.get
    if type(version := get("v")) is not int or version != VERSION:
        raise wrong("v", version, str(VERSION))
    if type(frame := get("frame")) is not bytes or not frame:
        raise wrong("frame", frame, "1 byte or more")
    if type(kind := get("kind", "realtime")) is not str or kind not in {"realtime", "dump"}:
        raise wrong("kind", kind, '"realtime" or "dump"')
    if type(link := get("link", {})) is not dict:
        raise wrong("link", link, "a map")
    try:
        received_at_us = None if (received_at := get("received_at")) is None else to_microseconds(received_at)
    except UnpackError as error:
        raise EnvelopeError(Reason.ENVELOPE, f"received_at: found {shown(received_at)}, {error}") from None
    kept = reception(link)
    if len(tree) == 2 + ("received_at" in tree) + ("kind" in tree) + ("link" in tree):
        return Envelope(frame, received_at_us, kind, kept, len(link) - len(kept))
    others = {key: value for key, value in tree.items() if key not in KNOWN}
    return Envelope(frame, received_at_us, kind, {**reception(others), **kept}, len(others) + len(link) - len(kept))


def wrong(key: str, found: object, expected: str) -> EnvelopeError:
    return EnvelopeError(Reason.ENVELOPE, f"{key}: found {shown(found)}, expected {expected}")


def reception(link: dict[Any, Any]) -> dict[str, Value]:
    """Return what any database can keep of `link`: the first 64 numbers and texts under text keys."""
    kept: dict[str, Value] = {}
    for key, value in link.items():
        if type(key) is str and len(kept) < LINK_MOST:
            kind = type(value)
            if kind is float:
                kept[storable(key, 64)] = value if value - value == 0.0 else None  # NaN and infinities: no JSON
            elif kind is int:
                kept[storable(key, 64)] = value if INTEGER_FIRST <= value <= INTEGER_LAST else None
            elif kind is str:
                kept[storable(key, 64)] = storable(value, 256)
            elif kind is bool or value is None:
                kept[storable(key, 64)] = value
    return kept
