import gzip
import os
import struct
import subprocess
import sys
import tracemalloc
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from groundstation.replay.body import PAYLOAD_MOST_BYTES
from groundstation.replay.footer import FOOTER_BYTES, GZIP_HEAD, Footer, footer_bytes, new_digest
from groundstation.replay.recording import Header, RecordingError, open_recording, write_recording
from groundstation.telemetry.packet import Message
from tests.parts.debian import need
from tests.replay.recordings import AOS_US, HEADER, any_header, any_message, message, messages

HEADER_FIELDS = {
    "format": "gspass",
    "version": 1,
    "created_at_us": AOS_US,
    "software": "x",
    "satellite": "s",
    "station": "h",
    "topic_prefix": "gs/v1",
}


def handmade(path: Path, body: bytes, *, count: int = 0, messages_bytes: bytes = b"") -> Path:
    """Write a file of any body with a footer that proves it: what a hostile author can do."""
    member = gzip.compress(body, mtime=0)
    whole, inner = new_digest(), new_digest()
    whole.update(member)
    inner.update(messages_bytes)
    path.write_bytes(member + footer_bytes(Footer(count, inner.digest()), whole))
    return path


def read_whole(path: Path) -> list[Message]:
    return list(open_recording(path).messages())


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(header=any_header, heard=st.lists(any_message, max_size=20))
def test_what_is_written_is_read_back(tmp_path: Path, header: Header, heard: list[Message]) -> None:
    written = write_recording(tmp_path / "a.gspass", header, heard)
    opened = open_recording(tmp_path / "a.gspass")
    assert opened == written
    assert opened.count == len(heard)
    assert list(opened.messages()) == heard
    assert list(opened.messages()) == heard  # as often as asked


def test_the_same_messages_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.gspass", "b.gspass"):
        write_recording(tmp_path / name, HEADER, messages(range(500)))
    assert (tmp_path / "a.gspass").read_bytes() == (tmp_path / "b.gspass").read_bytes()


def test_the_digest_is_of_the_messages_and_not_of_the_header(tmp_path: Path) -> None:
    one = write_recording(tmp_path / "1", HEADER, messages(range(9)))
    other_header = write_recording(tmp_path / "2", replace(HEADER, created_at_us=5), messages(range(9)))
    other_message = write_recording(tmp_path / "3", HEADER, messages([*range(8), 8.000001]))
    assert one.messages_blake2b == other_header.messages_blake2b != other_message.messages_blake2b


def test_gzip_alone_shows_the_drawn_format(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.gspass", HEADER, [message(0.5, b"one", qos=0), message(1.0, b"two", retained=True)])
    unpacker = msgpack.Unpacker()
    unpacker.feed(gzip.decompress((tmp_path / "a.gspass").read_bytes()))
    header, first, second, footer = unpacker
    assert header["format"] == "gspass"
    assert header["version"] == 1
    assert header["prediction"]["aos_us"] == AOS_US
    assert header["elements"]["MEAN_MOTION"] == 15.2
    assert header["definition"]["toml"].startswith("# what it says")
    topic = "gs/v1/hko/fictional-1/telemetry"
    assert first == [AOS_US + 500_000, "mqtt", topic, 0, False, b"one"]
    assert second == [AOS_US + 1_000_000, "mqtt", topic, 1, True, b"two"]
    assert footer["messages"] == 2
    assert list(footer) == ["messages", "messages_blake2b", "file_blake2b"]


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    whole = tmp_path / "whole.gspass"
    write_recording(whole, HEADER, messages(range(20)))
    data, cut = whole.read_bytes(), tmp_path / "cut.gspass"
    for length in range(len(data)):
        cut.write_bytes(data[:length])
        with pytest.raises(RecordingError, match=r"cut\.gspass: "):
            open_recording(cut)


def test_a_file_cut_in_its_middle_says_how_much_is_left(tmp_path: Path) -> None:
    path = tmp_path / "cut.gspass"
    write_recording(path, HEADER, (message(at, os.urandom(300)) for at in range(1000)))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(RecordingError, match=r"truncated or damaged: (49\d|50\d) messages can be read"):
        open_recording(path)
    path.write_bytes(data[:-1])
    with pytest.raises(RecordingError, match="1000 messages can be read"):
        open_recording(path)


def test_every_flipped_bit_is_found(tmp_path: Path) -> None:
    whole = tmp_path / "whole.gspass"
    write_recording(whole, replace(HEADER, definition=None), messages(range(3)))
    data, flipped = whole.read_bytes(), tmp_path / "flipped.gspass"
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        flipped.write_bytes(changed)
        with pytest.raises(RecordingError):
            open_recording(flipped)


def test_appended_bytes_are_found(tmp_path: Path) -> None:
    path = tmp_path / "a.gspass"
    write_recording(path, HEADER, messages(range(3)))
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(RecordingError, match="3 messages can be read"):
        open_recording(path)


def test_a_file_exchanged_after_opening_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a.gspass"
    opened = write_recording(path, HEADER, messages(range(3)))
    write_recording(path, HEADER, messages(range(4)))
    with pytest.raises(RecordingError, match="expected 3 with"):
        list(opened.messages())
    path.write_bytes(b"\x1f\x8b")
    with pytest.raises(RecordingError, match="truncated"):
        list(opened.messages())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "begins with gzip's 1f 8b"),
        (b"PK\x03\x04 a zip file", "begins with gzip's 1f 8b"),
        (gzip.compress(b"a text\n" * 50), "not a recording: the format is a int"),
        (gzip.compress(b""), "it ends within the header"),
        (gzip.compress(msgpack.packb({"format": "kiss"})), "the format is 'kiss', expected 'gspass'"),
        (gzip.compress(msgpack.packb({"no": 1})), "the format is None"),
        (gzip.compress(msgpack.packb({"format": "gspass", "version": 2})), "version is 2, this software reads"),
        (gzip.compress(msgpack.packb(HEADER_FIELDS | {"station": 5})), r"header: Expected `str`, .* `\$.station`"),
        (gzip.compress(msgpack.packb(HEADER_FIELDS)), "0 messages can be read, but the footer"),
        (gzip.compress(b"\xc1"), "the header is unreadable"),
        (gzip.compress(b"\xdf\xff\xff\xff\xff"), "the header is unreadable: .*exceeds max_map_len"),
        (gzip.compress(b"\xdb\xff\xff\xff\xff" + b"x" * (8 << 20)), "the header has more than 4194304 bytes"),
        (gzip.compress(b"\xdb\x00\x40\x00\x01" + b"x" * (4 << 20) + b"x"), "the header"),
        (gzip.compress(b"\x91" * 100_000), "the header is unreadable: StackError"),
        (gzip.compress((b"\xdc\x00\x40" + b"\x01" * 63) * 90_000), "the header"),
        (gzip.compress(b"\x83\xa1a\xda\xff\xff" + b"x" * (8 << 20)), "the header"),
        (gzip.compress(b"\x81\xa6format\xa3\xff\xfe\xfd"), "the header is unreadable: .*utf-8"),
    ],
)  # fmt: skip
def test_whatever_is_no_recording_is_refused_by_name(tmp_path: Path, data: bytes, said: str) -> None:
    path = tmp_path / "other.gspass"
    path.write_bytes(data)
    with pytest.raises(RecordingError, match=rf"other\.gspass: .*{said}"):
        open_recording(path)


def test_unknown_header_keys_of_a_later_writer_are_skipped(tmp_path: Path) -> None:
    path = handmade(tmp_path / "a.gspass", msgpack.packb(HEADER_FIELDS | {"verdict": "nominal"}))
    assert open_recording(path).header.station == "h"
    assert read_whole(path) == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\x01", "message 1: expected six fields, found one int"),
        (msgpack.packb({}), "message 1: expected six fields, found one dict"),
        (msgpack.packb({"a": 1}), "exceeds max_map_len"),
        (msgpack.packb([1, "l", "t", 1, False]), "message 1: expected .arrived_at_us"),
        (msgpack.packb([1, "l", "t", 3, False, b""]), "message 1: expected"),
        (msgpack.packb([1, "l", "t", 1, False, "text"]), "message 1: expected"),
        (msgpack.packb([1, "l", "t", 1, 0, b""]), "message 1: expected"),
        (msgpack.packb([1.5, "l", "t", 1, False, b""]), "message 1: expected"),
        (msgpack.packb([2**64 - 1, "l", "t", 1, False, b""]), "message 1: expected"),
        (msgpack.packb([[1, "l", "t", 1, False, b""], "l", "t", 1, False, b""]), "message 1: expected"),
        (b"\x91" * 2_000_000, "message 1: StackError"),
        (b"\xdd\xff\xff\xff\xff", "exceeds max_array_len"),
        (b"\x96\x01\xa1l\xa1t\x01\xc2\xc6\xff\xff\xff\xff" + bytes(20 << 20), "message 1: longer than a payload"),
        (b"\x96\x01\xa1l\xa1t\x01\xc2\xc6\x01\x00\x00\x01" + bytes(17 << 20), "exceeds max_bin_len"),
        (b"\x96\x01\xdb\x00\x01\x00\x00" + bytes(1 << 20), "exceeds max_str_len"),
        (b"\x96\x01\xa1l\xa1t\x01\xc2\xc6\x00\x10\x00\x00abc", "truncated within message 1"),
        (b"\x96\x01", "truncated within message 1"),
        (msgpack.packb([1, "l", "t", 1, False, b""]), "1 messages with the digest .* expected 0"),
        (b"\xc1", "message 1: FormatError"),
        (b"\xd4\x05x", "message 1: .*max_ext_len"),
    ],
)
def test_hostile_messages_end_the_reading_at_their_number(tmp_path: Path, body: bytes, said: str) -> None:
    path = handmade(tmp_path / "hostile.gspass", msgpack.packb(HEADER_FIELDS) + body)
    with pytest.raises(RecordingError, match=rf"hostile\.gspass: .*{said}"):
        read_whole(path)


@pytest.mark.parametrize("more", [b"m", bytes(range(256)) * 1000])
def test_bytes_smuggled_between_messages_and_footer_are_found(tmp_path: Path, more: bytes) -> None:
    path = tmp_path / "a.gspass"
    member = gzip.compress(msgpack.packb(HEADER_FIELDS), mtime=0) + more
    whole = new_digest()
    whole.update(member)
    path.write_bytes(member + footer_bytes(Footer(0, new_digest().digest()), whole))
    with pytest.raises(RecordingError, match=f"{len(more)} bytes too many"):
        read_whole(path)


def test_a_bomb_goes_off_in_little_memory(tmp_path: Path) -> None:
    # 256 MiB of zeros in 260 kB of file, after the longest payload that there may be.
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    start = msgpack.packb(HEADER_FIELDS) + b"\x96\x01\xa1l\xa1t\x01\xc2\xc6" + struct.pack(">I", PAYLOAD_MOST_BYTES)
    member = deflate.compress(start)
    for _ in range(256):
        member += deflate.compress(bytes(1 << 20))
    member += deflate.flush()
    whole = new_digest()
    whole.update(member)
    path = tmp_path / "bomb.gspass"
    path.write_bytes(member + footer_bytes(Footer(1, new_digest().digest()), whole))
    assert path.stat().st_size < 300_000
    tracemalloc.start()
    with pytest.raises(RecordingError, match="message 2: expected six fields"):
        read_whole(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * PAYLOAD_MOST_BYTES


WRITE_AND_READ = """
import sys
from pathlib import Path
from groundstation.replay.recording import open_recording, write_recording
from tests.replay.recordings import HEADER, messages

def highest_kb():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)

path = Path(sys.argv[1])
write_recording(path, HEADER, messages(range(2_000)))
sum(1 for _ in open_recording(path).messages())
before = highest_kb()
write_recording(path, HEADER, messages(range(200_000)))
count = sum(1 for _ in open_recording(path).messages())
print(count, highest_kb() - before)
"""


def test_200_000_messages_take_no_more_memory_than_2_000(tmp_path: Path) -> None:
    # A process of its own, since memory once taken is not given back; all messages at once would take 60 MB.
    ran = subprocess.run(
        [sys.executable, "-c", WRITE_AND_READ, tmp_path / "long.gspass"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    count, more_kb = map(int, ran.stdout.split())
    assert count == 200_000
    assert more_kb < 2_000


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        (message(payload=bytes(PAYLOAD_MOST_BYTES + 1)), "a payload of 16777217 bytes, a recording holds at most"),
        (replace(message(), topic="\ud800"), "surrogates not allowed"),
        (replace(message(), topic="t" * 65_536), "expected .arrived_at_us"),
        (replace(message(), qos=3), "expected .arrived_at_us"),
        (replace(message(), arrived_at_us=2**63), "expected .arrived_at_us"),
    ],
)
def test_what_could_not_be_read_again_is_not_written(tmp_path: Path, bad: Message, said: str) -> None:
    with pytest.raises(RecordingError, match=f"message 2 cannot be recorded: .*{said}"):
        write_recording(tmp_path / "a.gspass", HEADER, [message(), bad])
    assert list(tmp_path.iterdir()) == []


def test_a_failed_writing_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.gspass"
    first = write_recording(path, HEADER, messages([1, 2]))

    def fails() -> Iterator[Message]:
        yield message()
        raise ConnectionError("the archive went away")

    with pytest.raises(ConnectionError):
        write_recording(path, HEADER, fails())
    assert open_recording(path) == first
    assert list(tmp_path.iterdir()) == [path]


def test_a_header_too_long_to_read_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="the header has 5000"):
        write_recording(tmp_path / "a.gspass", replace(HEADER, software="x" * 5_000_000), [])


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"gone\.gspass: cannot be read: No such file"):
        open_recording(tmp_path / "gone.gspass")
    with pytest.raises(RecordingError, match="cannot be read: Is a directory"):
        open_recording(tmp_path)


def test_a_missing_folder_is_the_disk_s_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        write_recording(tmp_path / "no" / "a.gspass", HEADER, [])


def test_the_disk_s_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "in the way").write_bytes(b"")
    for path in (tmp_path / "nowhere" / "a.gspass", tmp_path / "in the way" / "a.gspass"):
        with pytest.raises(OSError, match="directory") as failed:
            write_recording(path, HEADER, [])
        assert failed.value.filename == str(path)


def test_the_name_is_on_the_disk_too_before_it_is_called_written(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    (tmp_path / "out").mkdir()
    path = tmp_path / "out" / "a.gspass"
    script = (
        "import pathlib, sys; from tests.replay.recordings import HEADER; "
        "from groundstation.replay.recording import write_recording; "
        "write_recording(pathlib.Path(sys.argv[1]), HEADER, [])"
    )
    subprocess.run(
        [
            need("strace", "strace"),
            "-f",
            "-y",
            "-o",
            trace,
            "-e",
            "trace=fsync,/^rename",
            sys.executable,
            "-c",
            script,
            path,
        ],
        check=True,
        timeout=60,
    )
    calls = [line.split(maxsplit=1)[1] for line in trace.read_text().splitlines() if str(tmp_path / "out") in line]
    assert [call.partition("(")[0] for call in calls] == ["fsync", "rename", "fsync"]
    assert f"<{tmp_path / 'out'}>)" in calls[2]


def test_the_file_s_mode_follows_the_umask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_recording(tmp_path / "a.gspass", HEADER, [])
    finally:
        os.umask(before)
    assert (tmp_path / "a.gspass").stat().st_mode & 0o777 == 0o640


def test_an_empty_recording_is_one(tmp_path: Path) -> None:
    write_recording(tmp_path / "a.gspass", HEADER, [])
    assert read_whole(tmp_path / "a.gspass") == []
    assert (tmp_path / "a.gspass").read_bytes()[-FOOTER_BYTES:].startswith(GZIP_HEAD)
