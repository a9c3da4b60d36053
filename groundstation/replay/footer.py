"""The last bytes of a recording: how many messages it holds, and the digests that prove them.

Fixed in length and stored uncompressed, so that a reader finds it from the end of the file and can compare it byte
for byte with what it should be; every bit of it therefore counts.

    gzip head           10 bytes
    01 length ~length    5         deflate's one stored block
    fields                         { messages: uint 64, messages_blake2b: bin 32, file_blake2b: bin 32 }
    CRC-32 length        8
"""

import hashlib
import struct
import zlib
from dataclasses import dataclass

import msgpack

DIGEST_BYTES = 32

# No name and no time inside, and the system "unknown": the same messages give the same bytes anywhere.
GZIP_HEAD = bytes.fromhex("1f8b 08 00 00000000 00 ff")

# By hand instead of packed as a map: msgpack would give a small count fewer bytes.
_COUNT_KEY: bytes = b"\x83" + msgpack.packb("messages") + b"\xcf"
_MESSAGES_KEY: bytes = msgpack.packb("messages_blake2b") + b"\xc4\x20"
_FILE_KEY: bytes = msgpack.packb("file_blake2b") + b"\xc4\x20"
_FIELDS_BYTES = len(_COUNT_KEY) + 8 + len(_MESSAGES_KEY) + DIGEST_BYTES + len(_FILE_KEY) + DIGEST_BYTES
_START = GZIP_HEAD + struct.pack("<BHH", 1, _FIELDS_BYTES, 0xFFFF ^ _FIELDS_BYTES) + _COUNT_KEY
FOOTER_BYTES = len(GZIP_HEAD) + 5 + _FIELDS_BYTES + 8


@dataclass(frozen=True, slots=True)
class Footer:
    messages: int
    messages_digest: bytes  # over the message bytes before compression


def new_digest() -> "hashlib.blake2b":
    return hashlib.blake2b(digest_size=DIGEST_BYTES)


def footer_bytes(footer: Footer, body: "hashlib.blake2b") -> bytes:
    """Return the footer of a file whose bytes so far `body` has digested."""
    before = _START + footer.messages.to_bytes(8, "big") + _MESSAGES_KEY + footer.messages_digest + _FILE_KEY
    whole = body.copy()
    whole.update(before)
    fields = (before + whole.digest())[-_FIELDS_BYTES:]
    return before + whole.digest() + struct.pack("<II", zlib.crc32(fields), len(fields))


def read_footer(data: bytes) -> Footer | None:
    """Return what a file's last FOOTER_BYTES say, unproven; None where they are no footer at all."""
    if len(data) != FOOTER_BYTES or not data.startswith(_START):
        return None
    count_at = len(_START)
    digest_at = count_at + 8 + len(_MESSAGES_KEY)
    count = int.from_bytes(data[count_at : count_at + 8], "big")
    return Footer(count, data[digest_at : digest_at + DIGEST_BYTES])
