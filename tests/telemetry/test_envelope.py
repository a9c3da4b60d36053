import contextlib
import json
import math
import tracemalloc

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.telemetry.envelope import (
    PAYLOAD_MOST,
    EnvelopeError,
    open_envelope,
    pack_frame,
    seal,
    split_topic,
    status_topic,
    telemetry_topic,
)
from groundstation.telemetry.packet import Reason
from groundstation.telemetry.unpack import TIME_END_US, UnpackError, to_microseconds, unpack
from tests.telemetry.hostile import FRAME, NOT_A_VALUE, NOT_AN_ENVELOPE, ODD, OVERSIZE, packed

TIMES_US = st.integers(0, TIME_END_US - 1)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=64)
LINKS = st.dictionaries(
    WORDS,
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | WORDS,
    max_size=20,
)


def refused(payload: bytes) -> EnvelopeError:
    with pytest.raises(EnvelopeError) as caught:
        open_envelope(payload)
    return caught.value


@given(
    frame=st.binary(min_size=1, max_size=2000),
    at_us=st.none() | TIMES_US,
    kind=st.sampled_from(["realtime", "dump"]),
    link=LINKS,
)
def test_what_is_sealed_opens_to_the_same(frame: bytes, at_us: int | None, kind: str, link: dict[str, float]) -> None:
    assert open_envelope(seal(frame, at_us, kind, link)) == (frame, at_us, kind, link, 0)


def test_the_envelope_on_the_wire_is_what_the_drawing_says() -> None:
    payload = seal(b"\x01\x02", 1_763_770_001_500_000, "dump", {"snr_db": 9.5})
    assert msgpack.unpackb(payload, timestamp=1) == {
        "v": 1,
        "received_at": 1_763_770_001.5,
        "kind": "dump",
        "link": {"snr_db": 9.5},
        "frame": b"\x01\x02",
    }


def test_a_frame_on_the_wire_is_what_the_drawing_says() -> None:
    frame = pack_frame("hk", 7, 1_763_770_001_500_000, [1, 2.5])
    assert msgpack.unpackb(frame, timestamp=1) == {"p": "hk", "n": 7, "t": 1_763_770_001.5, "d": [1, 2.5]}
    assert msgpack.unpackb(pack_frame(1, None, None, {})) == {"p": 1, "d": {}}


@pytest.mark.parametrize("frame", [b"", b"\0" * PAYLOAD_MOST])
def test_nothing_is_sealed_that_would_not_open(frame: bytes) -> None:
    with pytest.raises(EnvelopeError):
        seal(frame, 0)
    with pytest.raises(EnvelopeError, match="expected a time from 1970 to 2199"):
        seal(b"x", TIME_END_US)
    with pytest.raises(EnvelopeError, match='kind: found "replay", expected "realtime" or "dump"'):
        seal(b"x", 0, "replay")


def test_an_envelope_of_exactly_64_kib_opens() -> None:
    room = PAYLOAD_MOST - len(packed({"v": 1, "frame": b"\0" * 60_000})) + 60_000
    assert len(open_envelope(packed({"v": 1, "frame": b"\0" * room})).frame) == room


@pytest.mark.parametrize("payload", NOT_A_VALUE.values(), ids=NOT_A_VALUE.keys())
def test_what_is_not_one_bounded_msgpack_value_is_refused(payload: bytes) -> None:
    error = refused(payload)
    assert error.reason is Reason.ENVELOPE
    assert str(error).startswith("not msgpack: ")


@pytest.mark.parametrize("payload", NOT_AN_ENVELOPE.values(), ids=NOT_AN_ENVELOPE.keys())
def test_what_is_not_an_envelope_is_refused(payload: bytes) -> None:
    error = refused(payload)
    assert error.reason is Reason.ENVELOPE
    assert ": found " in str(error) or "after the value" in str(error) or str(error).startswith("found ")


@pytest.mark.parametrize("payload", OVERSIZE.values(), ids=OVERSIZE.keys())
def test_what_is_too_long_is_refused_before_it_is_unpacked(payload: bytes) -> None:
    error = refused(payload)
    assert error.reason is Reason.OVERSIZE
    assert str(error) == f"found {len(payload)} bytes, expected at most 65536"


@pytest.mark.parametrize(
    ("name", "link", "unknown"),
    [
        ("keys that nothing describes", {"modem": "x"}, 2),
        ("a bytes key beside", {}, 1),
        ("a link entry twice", {}, 1),
        ("NUL in a link", {"mo\ufffddem": "x\ufffdy"}, 0),
        ("no UTF-8 in a link", {"\ufffd\ufffd": "\ufffd"}, 0),
        ("an encoded surrogate in a link", {"a": "\ufffd\ufffd\ufffd"}, 0),
        ("NaN in a link", {"snr_db": None, "rssi_dbm": None}, 0),
        ("64 bits unsigned in a link", {"frequency_hz": None}, 0),
        ("an extension in a link", {}, 1),
        ("a float of 32 bits", {"a": 1.5}, 0),
        ("a link of 500", {str(n): n for n in range(64)}, 436),
    ],
)
def test_oddities_beside_the_frame_cost_only_themselves(name: str, link: dict[str, object], unknown: int) -> None:
    envelope = open_envelope(ODD[name])
    assert (envelope.frame, envelope.link, envelope.unknown) == (FRAME, link, unknown)
    json.dumps(envelope.link, allow_nan=False)


def test_a_key_of_the_link_wins_over_an_unknown_key_of_the_envelope() -> None:
    envelope = open_envelope(packed({"v": 1, "frame": b"x", "snr_db": 1, "link": {"snr_db": 2}}))
    assert (envelope.link, envelope.unknown) == ({"snr_db": 2}, 1)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_else(payload: bytes) -> None:
    with contextlib.suppress(EnvelopeError):
        open_envelope(payload)


def bombs() -> list[bytes]:
    """Return the worst that 64 KiB can hold within the bounds: small values, each with a large object in Python."""
    many = b"\xdc\x01\xff"
    return [
        *(payload for payload in NOT_A_VALUE.values() if len(payload) <= PAYLOAD_MOST),
        many + (many + b"\x80" * 511) * 127,
        many + (many + b"\x90" * 511) * 127,
        many + (many + b"\xcb" + b"\0" * 8) * 2,
        b"\xdc\x02\x00" * 1020 + b"\xc0",
        many + (b"\xdc\x00\x7f" + b"\xd4\x05\x00" * 127) * 170,
        many + (many + b"\xa1\xff" * 511) * 64,
    ]


def test_no_64_kib_take_more_than_8_mb() -> None:
    for payload in bombs():
        tracemalloc.start()
        with contextlib.suppress(UnpackError):
            unpack(payload[:PAYLOAD_MOST])
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 8e6, payload[:8]


@pytest.mark.parametrize(("arrays", "goes"), [(1024, True), (1025, False)])
def test_so_many_arrays_and_maps_and_no_more(arrays: int, goes: bool) -> None:
    inner = arrays - 4  # within two arrays in one in a map
    payload = msgpack.packb({"a": [[[]] * (inner // 2), [[]] * (inner - inner // 2)], "b": bytes(1000)})
    if goes:
        assert isinstance(unpack(payload), dict)
    else:
        with pytest.raises(UnpackError, match="more than 1024 arrays and maps"):
            unpack(payload)


@given(TIMES_US)
def test_a_timestamp_is_exact_to_the_microsecond(at_us: int) -> None:
    stamp = msgpack.Timestamp(at_us // 1_000_000, at_us % 1_000_000 * 1000 + 999)
    assert to_microseconds(msgpack.unpackb(msgpack.packb(stamp))) == at_us


@pytest.mark.parametrize(
    ("time", "unit", "epoch_us", "expected"),
    [
        (1_763_770_000, (1_000_000, 1), 0, 1_763_770_000_000_000),
        (1_763_770_000.25, (1_000_000, 1), 0, 1_763_770_000_250_000),
        (1_763_770_000_001, (1000, 1), 0, 1_763_770_000_001_000),
        (1_763_770_000_000_999, (1, 1000), 0, 1_763_770_000_000),
        (86_400, (1_000_000, 1), 946_684_800_000_000, 946_771_200_000_000),
        (-1, (1_000_000, 1), 946_684_800_000_000, 946_684_799_000_000),
        (0, (1, 1), 0, 0),
    ],
)
def test_a_number_is_a_time_in_its_unit_since_its_epoch(
    time: float, unit: tuple[int, int], epoch_us: int, expected: int
) -> None:
    assert to_microseconds(time, unit, epoch_us) == expected


@pytest.mark.parametrize("time", [None, "0", b"0", True, math.nan, math.inf, 1e300, [0], -0.001, 7_258_118_400, 2**64])
def test_what_is_no_time_from_1970_to_2199_is_refused(time: object) -> None:
    with pytest.raises(UnpackError, match="expected a "):
        to_microseconds(time)


def test_topics_are_what_the_drawing_says() -> None:
    assert telemetry_topic("gs/v1", "hko", "cuhk-1") == "gs/v1/hko/cuhk-1/telemetry"
    assert status_topic("gs/v1", "hko") == "gs/v1/hko/status"


@pytest.mark.parametrize("name", ["", "a/b", "+", "#", "a\0"])
def test_a_name_that_is_no_level_of_a_topic_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected a name without"):
        telemetry_topic("gs/v1", "hko", name)
    with pytest.raises(ValueError, match="expected a name without"):
        status_topic("gs/v1", name)


LEVELS = st.text(min_size=1, max_size=20).filter(lambda name: not set(name) & set("/+#\0"))


@given(prefix=st.lists(LEVELS, min_size=1, max_size=3).map("/".join), station=LEVELS, satellite=LEVELS)
def test_a_telemetry_topic_splits_into_what_it_was_made_of(prefix: str, station: str, satellite: str) -> None:
    assert split_topic(prefix, telemetry_topic(prefix, station, satellite)) == (station, satellite)
    assert split_topic(prefix, status_topic(prefix, station)) is None


@pytest.mark.parametrize(
    "topic",
    [
        "",
        "gs/v1",
        "gs/v1/",
        "gs/v1/a/telemetry",
        "gs/v1//b/telemetry",
        "gs/v1/a//telemetry",
        "gs/v1/a/b/c/telemetry",
        "gs/v1/a/b/telemetry/",
        "gs/v1/a/b/Telemetry",
        "gs/v2/a/b/telemetry",
        "gs/v1x/a/b/telemetry",
        "/gs/v1/a/b/telemetry",
    ],
)
def test_any_other_topic_is_none(topic: str) -> None:
    assert split_topic("gs/v1", topic) is None
