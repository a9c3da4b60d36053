"""Payloads that a stranger, a broken modem or an attacker could send."""

# ruff: noqa: E501  (one row of a table is one line)

import struct

import msgpack

from groundstation.telemetry.envelope import PAYLOAD_MOST

FRAME = msgpack.packb({"p": 1, "n": 1, "d": {"a": 1}})
SEALED = msgpack.packb({"v": 1, "frame": FRAME})


def with_pairs(*pairs: bytes) -> bytes:
    """Return a map of packed keys and values as they stand: twice the same key if one likes."""
    return bytes([0x80 | len(pairs) // 2]) + b"".join(pairs)


def packed(value: object) -> bytes:
    made: bytes = msgpack.packb(value)
    return made


V1 = (packed("v"), packed(1))
FRAMED = (packed("frame"), packed(FRAME))

# One msgpack value each would be legal or not; none of them may cost memory, time or an exception.
NOT_A_VALUE = {
    "nothing": b"",
    "the byte that msgpack does not have": b"\xc1",
    "cut short": SEALED[:-1],
    "cut in the head": SEALED[:1],
    "something after": SEALED + b"\xc0",
    "two envelopes": SEALED * 2,
    "arrays 5000 deep": b"\x91" * 5000 + b"\xc0",
    "maps 5000 deep": b"\x81\xa1a" * 5000 + b"\xc0",
    "arrays of 15, each first entry another": b"\x9f" * 60_000,
    "arrays of 512, each first entry another": b"\xdc\x02\x00" * 20_000,
    "an array of 4 G entries": b"\xdd\xff\xff\xff\xff",
    "arrays of 65535 in each other": b"\xdc\xff\xff" * 20_000,
    "a map of 4 G entries": b"\xdf\xff\xff\xff\xff",
    "a text of 4 GiB": b"\xdb\xff\xff\xff\xff",
    "a binary of 4 GiB": b"\xc6\xff\xff\xff\xff",
    "an extension of 4 GiB": b"\xc9\xff\xff\xff\xff\x05",
    "a map of 513": b"\xde\x02\x01" + b"".join(packed(str(n)) + b"\xc0" for n in range(513)),
    "an array of 513": b"\xdc\x02\x01" + b"\xc0" * 513,
    "1026 arrays": b"\xdc\x02\x00" + b"\x90" * 511 + b"\xdc\x02\x00" + b"\x90" * 511 + b"\x91\x90",
    "an integer key": b"\x81\x01\x02",
    "a nil key": b"\x81\xc0\x02",
    "a float key": b"\x81" + packed(1.5) + b"\x02",
    "an array key": b"\x81\x90\x02",
    "a map key": b"\x81\x80\x02",
    "an extension key": b"\x81\xd4\x05\x01\x02",
    "a timestamp of 1 G nanoseconds": with_pairs(*V1, packed("received_at"), b"\xd7\xff" + b"\xff" * 8),
    "a timestamp of three bytes": with_pairs(*V1, packed("received_at"), b"\xc7\x03\xff\0\0\0"),
}
NOT_AN_ENVELOPE = {
    "nil": b"\xc0",
    "a number": b"\x07",
    "an array": packed([1, FRAME]),
    "text": packed("v"),
    "an empty map": b"\x80",
    "JSON": b'{"v": 1}',
    "no frame": packed({"v": 1}),
    "no version": packed({"frame": FRAME}),
    "version 2": packed({"v": 2, "frame": FRAME}),
    "version true": packed({"v": True, "frame": FRAME}),
    "version 1.0": packed({"v": 1.0, "frame": FRAME}),
    "an empty frame": packed({"v": 1, "frame": b""}),
    "a frame of text": packed({"v": 1, "frame": "abc"}),
    "a frame not packed": packed({"v": 1, "frame": {"p": 1}}),
    "the frame twice": with_pairs(*V1, *FRAMED, *FRAMED),
    "the version twice": with_pairs(*V1, *V1, *FRAMED),
    "the kind twice": with_pairs(*V1, *FRAMED, *(packed("kind"), packed("dump")) * 2),
    "bytes for keys": with_pairs(packed(b"v"), packed(1), packed(b"frame"), packed(FRAME)),
    "a kind that we do not know": packed({"v": 1, "frame": FRAME, "kind": "replay"}),
    "nil for a kind": packed({"v": 1, "frame": FRAME, "kind": None}),
    "an array for a kind": packed({"v": 1, "frame": FRAME, "kind": ["dump"]}),
    "a link that is no map": packed({"v": 1, "frame": FRAME, "link": [1]}),
    "nil for a link": packed({"v": 1, "frame": FRAME, "link": None}),
    "a reception time of text": packed({"v": 1, "frame": FRAME, "received_at": "2026-11-22"}),
    "a reception time that is true": packed({"v": 1, "frame": FRAME, "received_at": True}),
    "a reception time of NaN": packed({"v": 1, "frame": FRAME, "received_at": float("nan")}),
    "an infinite reception time": packed({"v": 1, "frame": FRAME, "received_at": float("inf")}),
    "a reception time in milliseconds": packed({"v": 1, "frame": FRAME, "received_at": 1_763_770_000_000}),
    "a reception time before 1970": packed({"v": 1, "frame": FRAME, "received_at": -1}),
    "a reception time of 64 bits": packed({"v": 1, "frame": FRAME, "received_at": 2**64 - 1}),
    "the last timestamp that there is": packed({"v": 1, "frame": FRAME, "received_at": msgpack.Timestamp(2**63 - 1, 999_999_999)}),
    "the first timestamp that there is": packed({"v": 1, "frame": FRAME, "received_at": msgpack.Timestamp(-(2**63), 0)}),
    "an extension for a reception time": packed({"v": 1, "frame": FRAME, "received_at": msgpack.ExtType(5, b"abc")}),
}  # fmt: skip
OVERSIZE = {
    "one byte too long": SEALED + b"\0" * (PAYLOAD_MOST + 1 - len(SEALED)),
    "64 KiB of frame": packed({"v": 1, "frame": b"\0" * PAYLOAD_MOST}),
    "16 MiB": b"\x91" * 2**24,
}
# Good envelopes with something odd in them.
ODD = {
    "keys that nothing describes": packed({"v": 1, "frame": FRAME, "modem": "x", "nested": {"a": [1]}}),
    "a bytes key beside": packed({"v": 1, "frame": FRAME, b"modem": 1}),
    "a link entry twice": with_pairs(*V1, *FRAMED, packed("link"), with_pairs(*(packed("snr_db"), packed(1)) * 2)),
    "NUL in a link": packed({"v": 1, "frame": FRAME, "link": {"mo\0dem": "x\0y"}}),
    "no UTF-8 in a link": with_pairs(*V1, *FRAMED, packed("link"), with_pairs(b"\xa2\xff\xfe", b"\xa1\xff")),
    "an encoded surrogate in a link": with_pairs(
        *V1, *FRAMED, packed("link"), with_pairs(b"\xa1a", b"\xa3\xed\xa0\x80")
    ),
    "NaN in a link": packed({"v": 1, "frame": FRAME, "link": {"snr_db": float("nan"), "rssi_dbm": float("-inf")}}),
    "64 bits unsigned in a link": packed({"v": 1, "frame": FRAME, "link": {"frequency_hz": 2**64 - 1}}),
    "an extension in a link": packed({"v": 1, "frame": FRAME, "link": {"a": msgpack.ExtType(5, b"abc")}}),
    "a float of 32 bits": with_pairs(
        *V1, *FRAMED, packed("link"), with_pairs(packed("a"), b"\xca" + struct.pack(">f", 1.5))
    ),
    "a link of 500": packed({"v": 1, "frame": FRAME, "link": {str(n): n for n in range(500)}}),
}
