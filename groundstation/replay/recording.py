"""A pass kept in one portable file, `.gspass`: this module owns the format.

    file    = body footer                    each one a gzip member, so `zcat` shows the whole stream
    body    = deflate( header message* )     msgpack objects, one after the other
    header  = { format: "gspass", version: 1, created_at_us, software, satellite, station, topic_prefix,
                prediction: { aos_us or nil, los_us or nil, max_elevation_deg, row: { … } or nil } or nil,
                elements: { OMM keyword: figure } or nil,         the set that the prediction used
                definition: { hash, toml } or nil }               what the packets meant on that day
    message = [ arrived_at_us, link, topic, qos, retained, payload ]
    footer  = stored( { messages: uint 64, messages_blake2b: bin 32, file_blake2b: bin 32 } )

`file_blake2b` covers every byte of the file before it, so damage anywhere is found before the first message is
played. `messages_blake2b` covers the message bytes before compression: two recordings of the same messages agree in
it, whatever zlib compressed them. A reader skips header keys that it does not know; whatever would change the
meaning of what it does know raises the version.

gzip rather than lzma: any tool on any machine opens it. On simulated 20-parameter telemetry it needs 130 B a message
where lzma needs 90, for a twentieth of the CPU (12 against 240 µs). Level 9 would save 1 % for three times the time.
"""

import os
import secrets
import struct
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import msgspec

from groundstation.replay.body import (
    CHUNK_BYTES,
    HEADER_MOST_BYTES,
    BodyError,
    inflated,
    packed,
    split_header,
    unpacked,
)
from groundstation.replay.footer import FOOTER_BYTES, GZIP_HEAD, Footer, footer_bytes, new_digest, read_footer
from groundstation.telemetry.packet import Message

FORMAT, VERSION = "gspass", 1
LEVEL = 6


class RecordingError(ValueError):
    """Not a whole, undamaged recording, or not recordable; the message names file, finding and expectation."""


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """The rest of what the archive said of the pass, so that another archive can say the same."""

    norad_id: int
    culmination_us: int
    tca_us: int
    aos_azimuth_deg: float | None
    culmination_azimuth_deg: float
    los_azimuth_deg: float | None
    tca_range_km: float
    elements_epoch_us: int
    predicted_at_us: int


@dataclass(frozen=True, slots=True)
class Prediction:
    """When the satellite was expected, and how high."""

    aos_us: int | None  # None where the edge is unknown: always up
    los_us: int | None
    max_elevation_deg: float
    row: PredictionRow | None = None


@dataclass(frozen=True, slots=True)
class DefinitionText:
    """The definition in force, whole, so that the recording can be decoded where nothing else is left."""

    hash: str
    toml: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What was recorded, and everything besides the messages that decoding it again needs."""

    created_at_us: int
    software: str  # name and version, for people
    satellite: str
    station: str
    topic_prefix: str
    prediction: Prediction | None = None
    elements: Mapping[str, str | int | float | None] | None = None
    definition: DefinitionText | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording whose every byte has been checked; the messages stay in the file until they are asked for."""

    path: Path
    header: Header
    count: int
    messages_blake2b: str  # hexadecimal; equal for equal messages

    def messages(self) -> Generator[Message, None, None]:
        """Yield the messages in the recorded order, each as soon as it is read.

        Raises RecordingError where the file is no longer the one that was opened.
        """
        digest, count = new_digest(), 0
        with _reading(self.path) as file:
            chunks = inflated(file, _size(file) - FOOTER_BYTES)
            _, rest = split_header(chunks)

            def digested() -> Iterator[bytes]:
                for chunk in chain([rest], chunks):
                    digest.update(chunk)
                    yield chunk

            for message in unpacked(digested()):
                count += 1
                yield message
            if (count, digest.hexdigest()) != (self.count, self.messages_blake2b):
                raise BodyError(
                    f"{count} messages with the digest {digest.hexdigest()}, "
                    f"expected {self.count} with {self.messages_blake2b}"
                )


def write_recording(path: Path, header: Header, messages: Iterable[Message]) -> Recording:
    """Write `messages` in their order and return the recording; an existing file is replaced.

    The file appears under its name only once it is whole and on the disk, and then stays there through a power cut.
    Raises RecordingError for a message that the format cannot hold, and OSError with `path` where the disk refuses.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with partial.open("xb") as file:
            footer = _write(file, header, messages)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_directory(path.parent)
    except BodyError as error:
        raise RecordingError(f"{path}: {error}") from error
    except OSError as error:
        if error.errno is None:  # not the system's: of where the messages come from
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with suppress(OSError):  # a directory that is none, which was told above
            partial.unlink(missing_ok=True)
    return Recording(path, header, footer.messages, footer.messages_digest.hex())


def _sync_directory(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def open_recording(path: Path) -> Recording:
    """Return the recording after checking every byte of the file.

    Raises RecordingError for whatever is not a whole, undamaged recording of a version known here.
    """
    with _reading(path) as file:
        if file.read(2) != GZIP_HEAD[:2]:
            raise BodyError("not a recording: a .gspass file begins with gzip's 1f 8b")
        file.seek(0)
        fields, _ = split_header(inflated(file, _size(file)))
        header = _header(fields)
        footer = _checked_footer(file)
    return Recording(path, header, footer.messages, footer.messages_digest.hex())


def _write(file: BinaryIO, header: Header, messages: Iterable[Message]) -> Footer:
    deflate = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    body, messages_digest, count = new_digest(), new_digest(), 0

    def write(data: bytes) -> None:
        file.write(data)
        body.update(data)

    head = _header_bytes(header)
    crc, length = zlib.crc32(head), len(head)
    write(GZIP_HEAD + deflate.compress(head))
    for count, message in enumerate(messages, start=1):
        try:
            data = packed(message)
        except BodyError as error:
            raise BodyError(f"message {count} cannot be recorded: {error}") from error
        messages_digest.update(data)
        crc, length = zlib.crc32(data, crc), length + len(data)
        write(deflate.compress(data))
    write(deflate.flush() + struct.pack("<II", crc, length & 0xFFFFFFFF))
    footer = Footer(count, messages_digest.digest())
    file.write(footer_bytes(footer, body))
    return footer


def _header_bytes(header: Header) -> bytes:
    fields = {"format": FORMAT, "version": VERSION, **msgspec.to_builtins(header)}
    data = msgspec.msgpack.encode(fields)
    if len(data) > HEADER_MOST_BYTES:
        raise BodyError(f"the header has {len(data)} bytes, a recording's takes at most {HEADER_MOST_BYTES}")
    return data


def _header(fields: object) -> Header:
    if not isinstance(fields, dict) or fields.get("format") != FORMAT:
        found = repr(fields.get("format")) if isinstance(fields, dict) else f"a {type(fields).__name__}"
        raise BodyError(f"not a recording: the format is {found:.60}, expected {FORMAT!r}")
    version = fields.get("version")
    if version != VERSION:
        raise BodyError(f"the format's version is {version!r:.60}, this software reads version {VERSION}")
    try:
        return msgspec.convert(fields, Header)
    except msgspec.ValidationError as error:
        raise BodyError(f"header: {error}") from error


def _checked_footer(file: BinaryIO) -> Footer:
    """Return the footer once it has proved the whole file."""
    size = _size(file)
    file.seek(max(size - FOOTER_BYTES, 0))
    found = file.read(FOOTER_BYTES)
    footer = read_footer(found)
    if footer is None:
        raise BodyError(
            f"truncated or damaged: {_readable(file)} messages can be read, "
            "but the footer that ends every recording is missing"
        )
    body, left = new_digest(), size - FOOTER_BYTES
    file.seek(0)
    while left and (data := file.read(min(CHUNK_BYTES, left))):
        body.update(data)
        left -= len(data)
    if found != footer_bytes(footer, body):
        raise BodyError(
            f"damaged: the digest over its {size} bytes is not the one in its footer; "
            f"of {footer.messages} messages {_readable(file)} can be read"
        )
    return footer


def _readable(file: BinaryIO) -> int:
    """Return how many whole messages a damaged file still begins with."""
    count = 0
    file.seek(0)
    try:
        chunks = inflated(file, _size(file))
        _, rest = split_header(chunks)
        for _ in unpacked(chain([rest], chunks)):
            count += 1
    except BodyError:
        pass
    return count


@contextmanager
def _reading(path: Path) -> Iterator[BinaryIO]:
    """Open the file; what goes wrong with it is a RecordingError that names it."""
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise RecordingError(f"{path}: cannot be read: {error.strerror or error}") from error
    except BodyError as error:
        raise RecordingError(f"{path}: {error}") from error


def _size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size
