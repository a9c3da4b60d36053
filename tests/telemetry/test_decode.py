# ruff: noqa: E501  (one row of a table is one line)

import hashlib
import json
import math
import tracemalloc
from pathlib import Path
from typing import Any

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from groundstation.telemetry.decode import Decoder, digest_of
from groundstation.telemetry.definition import Definition, load_definition
from groundstation.telemetry.envelope import PAYLOAD_MOST, pack_frame, seal
from groundstation.telemetry.packet import Level, Message, Packet, Reason, Rejection, Value
from tests.telemetry import hostile
from tests.telemetry.definitions import HEAD, one_packet, packet
from tests.telemetry.test_envelope import bombs

DEMO_FILE = Path(__file__).parents[2] / "config" / "satellites" / "demo-sat.toml"
DEMO = load_definition(DEMO_FILE.read_text(encoding="utf-8"), str(DEMO_FILE))
TOPIC = "gs/v1/hko/test-sat/telemetry"
HEARD_US, ARRIVED_US, MADE_US = 1_763_770_001_000_000, 1_763_770_002_000_000, 1_763_770_000_123_456


def decoder(*definitions: Definition) -> Decoder:
    return Decoder({definition.slug: definition for definition in definitions}, ["hko", "hkust"], {"main": "gs/v1"})


def message(payload: bytes, topic: str = TOPIC, link: str = "main") -> Message:
    return Message(link, topic, payload, ARRIVED_US)


def decoded(definition: Definition, frame: object) -> Packet:
    """Return the packet of a frame: its bytes, or a tree to pack."""
    packed = frame if isinstance(frame, bytes) else msgpack.packb(frame)
    result = decoder(definition)(message(seal(packed, HEARD_US)))
    assert isinstance(result, Packet), result
    return result


def refused(definition: Definition, frame: object) -> tuple[Reason, str]:
    packed = frame if isinstance(frame, bytes) else msgpack.packb(frame)
    result = decoder(definition)(message(seal(packed, HEARD_US)))
    assert isinstance(result, Rejection), result
    return result.reason, result.error


def one(body: str, raw: object) -> Packet:
    """Return the packet of a frame with one parameter `a`."""
    return decoded(one_packet(f'name = "a"\n{body}'), {"p": 1, "d": {"a": raw}})


PLAIN = one_packet('name = "a"\nraw = "uint"', 'name = "b"\nraw = "float"\nlimits.warning = { high = 5.0 }')


def test_a_packet_carries_all_that_is_known_of_it() -> None:
    frame = pack_frame(1, 7, MADE_US, {"a": 3, "b": 5.5})
    came = message(seal(frame, HEARD_US, "dump", {"rssi_dbm": -101.5}))
    assert decoder(PLAIN)(came) == Packet(
        link="main",
        satellite="test-sat",
        station="hko",
        packet="hk",
        kind="dump",
        sequence=7,
        generated_at_us=MADE_US,
        received_at_us=HEARD_US,
        digest=digest_of("test-sat", frame),
        definition_hash=PLAIN.hash,
        frame=frame,
        values={"a": 3, "b": 5.5},
        levels={"b": Level.WARNING},
        faults=(),
        reception={"rssi_dbm": -101.5},
        unknown=0,
        message=came,
    )


def test_the_packet_keeps_its_message_for_a_database_that_refuses_it() -> None:
    came = message(seal(pack_frame(1, 7, MADE_US, [3, 1.5]), HEARD_US))
    result = decoder(PLAIN)(came)
    assert isinstance(result, Packet)
    assert result.message is came


def test_without_times_the_packet_has_the_time_of_arrival() -> None:
    result = decoder(PLAIN)(message(seal(pack_frame(1, None, None, [3, 1.5]), None)))
    assert isinstance(result, Packet)
    assert (result.generated_at_us, result.received_at_us, result.sequence) == (ARRIVED_US, ARRIVED_US, None)


def test_without_a_generation_time_the_packet_has_the_time_of_reception() -> None:
    assert decoded(PLAIN, pack_frame(1, 7, None, [3, 1.5])).generated_at_us == HEARD_US
    assert decoded(PLAIN, {"p": 1, "t": None, "d": [3, 1.5]}).generated_at_us == HEARD_US


def test_the_digest_is_blake2b_of_slug_nul_and_frame() -> None:
    # The first 8 bytes of BLAKE2b with a digest of 8 bytes: `printf 'test-sat\0abc' | b2sum -l 64`.
    assert digest_of("test-sat", b"abc") == int.from_bytes(bytes.fromhex("e447acb61a3c4ad8"), "big", signed=True)


@given(st.binary(max_size=50), st.binary(max_size=50), st.sampled_from(["a", "b"]))
def test_the_digest_tells_frames_and_satellites_apart_and_fits_64_bits(one: bytes, two: bytes, slug: str) -> None:
    assert -(2**63) <= digest_of(slug, one) < 2**63
    assert (digest_of("a", one) == digest_of(slug, two)) == ((("a", one)) == (slug, two))


# Frames of other shapes


@pytest.mark.parametrize("match", [1, "hk"])
def test_a_packet_is_found_by_its_id_and_by_its_name(match: object) -> None:
    assert decoded(PLAIN, {"p": match, "d": [3, 1.5]}).packet == "hk"


@pytest.mark.parametrize(
    ("frame_keys", "frame", "sequence", "generated_at_us"),
    [
        ('packet = "id"\nsequence = "seq"\ntime = "ts"\ndata = "hk"',
         {"id": 1, "seq": 5, "ts": 1000.5, "hk": {"a": 3, "b": 1.5}}, 5, 1_000_500_000),
        ('packet = "head.0"\nsequence = "head.1"\ntime = "head.2"\ntime_unit = "ms"',
         {"head": [1, 5, 1000], "d": [3, 1.5]}, 5, 1_000_000),
        ('packet = "0"\nsequence = "1"\ntime = "2"\ntime_unit = "us"\ndata = "3"', [1, 5, 1000, [3, 1.5]], 5, 1000),
        ('data = ""\ntime_unit = "ns"', {"p": 1, "n": 5, "t": 1_000_000, "a": 3, "b": 1.5}, 5, 1000),
        ('packet = ""\nsequence = ""\ntime = ""\ndata = ""', [3, 1.5], None, HEARD_US),
        ("epoch = 2000-01-01T12:00:00Z", {"p": 1, "n": 5, "t": 10, "d": [3, 1.5]}, 5, 946_728_010_000_000),
        # GPS seconds run on without leap seconds: since 2017 UTC is 18 behind, 315964800 - 18 + GPS.
        ("epoch = 1980-01-05T23:59:42Z", {"p": 1, "n": 5, "t": 1_400_000_000, "d": [3, 1.5]}, 5, 1_715_964_782_000_000),
    ],
)  # fmt: skip
def test_a_frame_is_read_by_the_key_paths_of_its_definition(
    frame_keys: str, frame: object, sequence: int | None, generated_at_us: int
) -> None:
    definition = one_packet('name = "a"\nraw = "uint"', 'name = "b"\nraw = "float"', frame=frame_keys)
    result = decoded(definition, frame)
    assert (result.sequence, result.generated_at_us) == (sequence, generated_at_us)
    assert (result.values, result.faults, result.unknown) == ({"a": 3, "b": 1.5}, (), 0)


def test_parameters_are_read_by_their_key_paths() -> None:
    definition = one_packet(
        'name = "a"\nkey = "eps.v.1"\nraw = "uint"', 'name = "b"\nkey = "7"\nraw = "uint"', 'name = "c"\nraw = "uint"'
    )
    data = {"eps": {"v": [1, 2, 3]}, "7": 70, "c": 5}
    assert decoded(definition, {"p": 1, "d": data}).values == {"a": 2, "b": 70, "c": 5}


def test_in_an_array_a_key_is_a_position_and_no_key_is_the_parameters_own() -> None:
    definition = one_packet('name = "a"\nkey = "2"\nraw = "uint"', 'name = "b"\nraw = "uint"')
    assert decoded(definition, {"p": 1, "d": [10, 11, 12]}).values == {"a": 12, "b": 11}


def test_a_map_and_an_array_of_the_same_values_decode_alike() -> None:
    named, placed = (decoded(PLAIN, {"p": 1, "d": data}) for data in ({"b": 9.0, "a": 3}, [3, 9.0]))
    assert (named.values, named.levels) == (placed.values, placed.levels) == ({"a": 3, "b": 9.0}, {"b": Level.WARNING})


def test_a_packet_without_parameters_needs_no_data() -> None:
    assert decoded(load_definition(HEAD + packet(), "test-sat.toml"), {"p": 1}).values == {}


@pytest.mark.parametrize(
    ("data", "unknown"),
    [
        ({"a": 3, "b": 1.5, "c": 1}, 1),
        ({"a": 3, "b": 1.5, b"a": 1}, 1),
        ({"a": 3, "x": 1.5}, 1),
        ([3, 1.5, 7, 8], 2),
        ([3], 0),
    ],
)
def test_what_nothing_describes_is_counted(data: object, unknown: int) -> None:
    assert decoded(PLAIN, {"p": 1, "d": data}).unknown == unknown
    assert decoded(PLAIN, {"p": 1, "crc": 5, "d": data}).unknown == unknown + 1


def test_unknown_keys_of_the_envelope_are_counted_too() -> None:
    frame = pack_frame(1, 7, MADE_US, [3, 1.5])
    result = decoder(PLAIN)(message(msgpack.packb({"v": 1, "frame": frame, "modem": "x"})))
    assert isinstance(result, Packet)
    assert (result.unknown, result.reception) == (1, {"modem": "x"})


# One bad parameter never loses the packet

SWITCH = 'raw = "uint"\nenumeration = { 0 = "OFF", 1 = "ON", 2 = "SAFE" }\nlevels = { SAFE = "critical" }'
LIMITED = 'raw = "uint"\nlinear = { slope = 0.1 }\nvalid_range = { low = 0, high = 10 }\nlimits.watch = { low = 2 }\n'
LIMITED += "limits.severe = { low = 1, high = 9 }"


@pytest.mark.parametrize(
    ("body", "raw", "value", "level"),
    [
        ('raw = "int"', -(2**63), -(2**63), None),
        ('raw = "uint"', 2**63 - 1, 2**63 - 1, None),
        ('raw = "uint"', 0, 0, None),
        ('raw = "uint"\nlinear = { slope = 1.0 }', 2**64 - 1, 2.0**64, None),
        ('raw = "float"', 1.7976931348623157e308, 1.7976931348623157e308, None),
        ('raw = "float"', 3, 3.0, None),
        ('raw = "float"', -0.0, 0.0, None),
        ('raw = "bool"', True, True, None),
        ('raw = "bool"', False, False, None),
        ('raw = "string"', "", "", None),
        ('raw = "string"', "示範", "示範", None),
        ('raw = "string"', "x" * 256, "x" * 256, None),
        ('raw = "binary"', b"\x01\xff", "01ff", None),
        ('raw = "binary"', b"x" * 128, "78" * 128, None),
        (SWITCH, 1, "ON", None),
        (SWITCH, 2, "SAFE", Level.CRITICAL),
        (LIMITED, 50, 5.0, None),
        (LIMITED, 20, 2.0, None),
        (LIMITED, 19, 1.9000000000000001, Level.WATCH),
        (LIMITED, 5, 0.5, Level.SEVERE),
        (LIMITED, 95, 9.5, Level.SEVERE),
        (LIMITED, 100, 10.0, Level.SEVERE),
    ],
)
def test_a_good_value_is_calibrated_and_judged(body: str, raw: object, value: Value, level: Level | None) -> None:
    result = one(body, raw)
    assert (result.values, result.faults) == ({"a": value}, ())
    assert type(result.values["a"]) is type(value)
    assert result.levels == ({} if level is None else {"a": level})


@pytest.mark.parametrize(
    ("body", "raw", "fault"),
    [
        ('raw = "uint"', "3", 'found "3", expected an integer of 0 or more'),
        ('raw = "uint"', -1, "found -1, expected an integer of 0 or more"),
        ('raw = "uint"\nlinear = { slope = 1.0 }', -1, "found -1, expected an integer of 0 or more"),
        ('raw = "uint"', 3.0, "found 3.0, expected an integer of 0 or more"),
        ('raw = "uint"', True, "found true, expected an integer of 0 or more"),
        ('raw = "uint"', None, "found nil, expected an integer of 0 or more"),
        ('raw = "uint"', 2**63, "found 9223372036854775808, expected an integer of 64 bits, signed"),
        ('raw = "int"', [1], "found an array of 1, expected an integer"),
        ('raw = "int"', {"a": 1}, "found a map of 1, expected an integer"),
        ('raw = "int"', msgpack.ExtType(5, b"abc"), "found a msgpack extension 5 of 3 bytes, expected an integer"),
        ('raw = "int"', msgpack.Timestamp(5), "found a msgpack timestamp, expected an integer"),
        ('raw = "float"', math.nan, "found NaN, expected a finite number"),
        ('raw = "float"', -math.inf, "found -infinity, expected a finite number"),
        ('raw = "float"\nlinear = { slope = 1e308 }', 1e10, "found infinity, expected a finite number"),
        ('raw = "float"\npolynomial = [0, 1e308, -1e308]', 1e300, "found -infinity, expected a finite number"),
        ('raw = "float"\nlimits.watch = { low = 1 }', math.nan, "found NaN, expected a finite number"),
        ('raw = "bool"', 1, "found 1, expected true or false"),
        ('raw = "string"', b"x", "found 1 bytes, expected text"),
        ('raw = "string"', "x" * 257, f'found "{"x" * 59}…", expected at most 256 characters'),
        ('raw = "string"', "a\0b", 'found "a\ufffdb", expected UTF-8 without NUL'),
        ('raw = "binary"', "x", 'found "x", expected bytes'),
        ('raw = "binary"', b"x" * 129, None),
        (SWITCH, 3, "found 3, expected a number that its enumeration has"),
        (SWITCH, "ON", 'found "ON", expected an integer of 0 or more'),
        (LIMITED, 101, "found 10.100000000000001, expected 10.0 or less, its valid range"),
        ('raw = "int"\nvalid_range = { low = 0 }', -5, "found -5, expected 0.0 or more, its valid range"),
    ],
)
def test_a_bad_value_is_none_with_what_was_found_and_expected(body: str, raw: object, fault: str | None) -> None:
    result = one(body, raw)
    assert (result.values, result.levels) == ({"a": None}, {})
    assert len(result.faults) == 1
    assert fault is None or result.faults == (f"a: {fault}",)


def pairs(*packed: bytes) -> bytes:
    return hostile.with_pairs(*packed)


def test_text_that_is_no_utf8_costs_only_its_parameter() -> None:
    definition = one_packet('name = "a"\nraw = "string"', 'name = "b"\nraw = "uint"')
    data = pairs(b"\xa1a", b"\xa2\xff\xfe", b"\xa1b", b"\x05")
    result = decoded(definition, pairs(b"\xa1p", b"\x01", b"\xa1d", data))
    assert result.values == {"a": None, "b": 5}
    assert result.faults == ('a: found "\ufffd\ufffd", expected UTF-8 without NUL',)


def test_a_key_that_is_there_twice_costs_only_its_parameter() -> None:
    definition = one_packet('name = "a"\nraw = "uint"', 'name = "b"\nraw = "uint"')
    data = pairs(b"\xa1a", b"\x01", b"\xa1b", b"\x05", b"\xa1a", b"\x02")
    result = decoded(definition, pairs(b"\xa1p", b"\x01", b"\xa1d", data))
    assert result.values == {"a": None, "b": 5}
    assert result.faults == ("a: found its key twice, expected an integer of 0 or more",)


def test_a_parameter_that_is_not_there_is_told_unless_it_is_optional() -> None:
    definition = one_packet(
        'name = "a"\nraw = "uint"', 'name = "b"\nraw = "uint"\noptional = true', 'name = "c"\nraw = "uint"'
    )
    for data in ({"a": 3}, [3]):
        result = decoded(definition, {"p": 1, "d": data})
        assert (result.values, result.faults, result.whole) == ({"a": 3}, ("c: missing",), False)
    given: list[tuple[object, bool]] = [
        ({"a": 3, "c": 4}, False),
        ({"a": 3, "b": None, "c": 4}, True),
        ([3, 5, 4], True),
    ]
    for found, whole in given:
        assert decoded(definition, {"p": 1, "d": found}).whole is whole


@pytest.mark.parametrize("found", [-1, 16384, 1.0, True, "5", None, [5], math.nan, 2**64 - 1])
def test_a_sequence_count_that_cannot_be_is_none_with_a_fault(found: object) -> None:
    result = decoded(PLAIN, {"p": 1, "n": found, "d": [3, 1.5]})
    assert result.sequence is None
    assert len(result.faults) == 1
    assert result.faults[0].startswith("n: found ")
    assert result.faults[0].endswith(", expected a sequence count from 0 to 16383")


# Rejections, each under its reason


@pytest.mark.parametrize("payload", hostile.OVERSIZE.values(), ids=hostile.OVERSIZE.keys())
def test_what_is_too_long_is_rejected_as_oversize(payload: bytes) -> None:
    result = decoder(PLAIN)(message(payload))
    assert isinstance(result, Rejection)
    assert (result.reason, result.payload) == (Reason.OVERSIZE, payload)


ENVELOPES = {**hostile.NOT_A_VALUE, **hostile.NOT_AN_ENVELOPE}


@pytest.mark.parametrize("payload", ENVELOPES.values(), ids=ENVELOPES.keys())
def test_what_is_no_envelope_is_rejected_whole(payload: bytes) -> None:
    result = decoder(PLAIN)(message(payload))
    assert isinstance(result, Rejection)
    assert result.reason is Reason.ENVELOPE
    assert (result.link, result.topic, result.payload, result.arrived_at_us) == ("main", TOPIC, payload, ARRIVED_US)


@pytest.mark.parametrize(
    "frame", [f for f in hostile.NOT_A_VALUE.values() if f], ids=[n for n, f in hostile.NOT_A_VALUE.items() if f]
)
def test_a_frame_that_is_no_msgpack_is_rejected_as_frame(frame: bytes) -> None:
    reason, error = refused(PLAIN, frame)
    assert reason is Reason.FRAME
    assert error.startswith("frame: not msgpack: ")


@pytest.mark.parametrize(
    ("frame", "reason", "error"),
    [
        (5, Reason.FRAME, "frame: found 5, expected a map"),
        (b"\xa1x", Reason.FRAME, 'frame: found "x", expected a map'),
        ({}, Reason.FRAME, "p: missing, expected a packet id or name"),
        ([], Reason.FRAME, "p: missing, expected a packet id or name"),
        ({"p": None}, Reason.FRAME, "p: found nil, expected a packet id or name"),
        ({"p": True, "d": [1]}, Reason.FRAME, "p: found true, expected a packet id or name"),
        ({"p": 1.0, "d": [1]}, Reason.FRAME, "p: found 1.0, expected a packet id or name"),
        ({"p": [1], "d": [1]}, Reason.FRAME, "p: found an array of 1, expected a packet id or name"),
        ({b"p": 1, b"d": [1]}, Reason.FRAME, "p: missing, expected a packet id or name"),
        ({"p": 2, "d": [1]}, Reason.PACKET, "p: found 2, expected one of hk"),
        ({"p": "x\0\n", "d": [1]}, Reason.PACKET, 'p: found "x\ufffd\\u000a", expected one of hk'),
        ({"p": 1}, Reason.FRAME, "d: missing, expected a map or an array of raw values"),
        ({"p": 1, "d": 7}, Reason.FRAME, "d: found 7, expected a map or an array of raw values"),
        ({"p": 1, "d": None}, Reason.FRAME, "d: found nil, expected a map or an array of raw values"),
        ({"p": 1, "t": "now", "d": [1]}, Reason.TIME, 't: found "now", expected a msgpack timestamp or a finite number'),
        ({"p": 1, "t": math.nan, "d": [1]}, Reason.TIME, "t: found NaN, expected a msgpack timestamp or a finite number"),
        ({"p": 1, "t": True, "d": [1]}, Reason.TIME, "t: found true, expected a msgpack timestamp or a finite number"),
        ({"p": 1, "t": -1, "d": [1]}, Reason.TIME, "t: found -1, expected a time from 1970 to 2199"),
        ({"p": 1, "t": 2**64 - 1, "d": [1]}, Reason.TIME, "t: found 18446744073709551615, expected a time from 1970 to 2199"),
        ({"p": 1, "t": msgpack.Timestamp(2**62, 0), "d": [1]}, Reason.TIME, "t: found a msgpack timestamp, expected a time from 1970 to 2199"),
    ],
)  # fmt: skip
def test_a_frame_that_is_not_what_the_definition_says_is_rejected(frame: object, reason: Reason, error: str) -> None:
    assert refused(PLAIN, frame) == (reason, error)


def test_a_satellite_without_packets_rejects_every_frame() -> None:
    bare = load_definition(HEAD, "test-sat.toml")
    assert refused(bare, b"anything") == (Reason.PACKET, "the definition of test-sat has no packets")


@pytest.mark.parametrize(
    ("topic", "reason", "error"),
    [
        ("", Reason.TOPIC, 'found ""'),
        ("gs/v1/hko/status", Reason.TOPIC, 'found "gs/v1/hko/status", expected gs/v1/<station>/<satellite>/telemetry'),
        ("gs/v2/hko/test-sat/telemetry", Reason.TOPIC, "expected gs/v1/<station>/<satellite>/telemetry"),
        ("gs/v1/hko/test-sat/telemetry/", Reason.TOPIC, "expected gs/v1/<station>/<satellite>/telemetry"),
        ("gs/v1/mars/test-sat/telemetry", Reason.STATION, 'found station "mars", expected a configured one'),
        ("gs/v1/HKO/test-sat/telemetry", Reason.STATION, 'found station "HKO", expected a configured one'),
        ("gs/v1/hko/sputnik/telemetry", Reason.SATELLITE, 'found satellite "sputnik", expected a configured one'),
        ("gs/v1/hko/a\0\ud800/telemetry", Reason.SATELLITE, 'found satellite "a\ufffd\ufffd", expected a configured one'),
    ],
)  # fmt: skip
def test_a_topic_that_is_not_ours_is_rejected_under_its_reason(topic: str, reason: Reason, error: str) -> None:
    result = decoder(PLAIN)(message(seal(b"x", None), topic))
    assert isinstance(result, Rejection)
    assert result.reason is reason
    assert error in result.error
    result.topic.encode()
    assert "\0" not in result.topic + result.error


def test_each_link_has_its_own_prefix_and_an_unknown_link_none() -> None:
    two = Decoder({"test-sat": PLAIN}, ["hko"], {"main": "gs/v1", "backup": "other"})
    payload = seal(pack_frame(1, 7, MADE_US, [3, 1.5]), None)
    assert isinstance(two(message(payload, "other/hko/test-sat/telemetry", "backup")), Packet)
    wrong = two(message(payload, "other/hko/test-sat/telemetry", "main"))
    unknown = two(message(payload, link="third"))
    assert isinstance(wrong, Rejection)
    assert isinstance(unknown, Rejection)
    assert (wrong.reason, unknown.reason) == (Reason.TOPIC, Reason.TOPIC)
    assert unknown.error == 'link: found "third", expected a configured one'


# Total: no message raises, and what comes out can be stored

EVERYTHING = one_packet(
    *(f'name = "{raw}_value"\nraw = "{raw}"' for raw in ("int", "uint", "float", "bool", "string", "binary")),
    f'name = "switch"\n{SWITCH}',
    f'name = "limited"\n{LIMITED}',
    'name = "cubic"\nraw = "int"\npolynomial = [1, 2, 3, 4]\nlimits.critical = { low = -5 }',
    'name = "deep"\nkey = "a.0.b"\nraw = "float"\noptional = true',
)
NAMES = [parameter.name for parameter in EVERYTHING.packets[0].parameters]

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats()
    | st.text(max_size=20)
    | st.binary(max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5))
    | st.builds(msgpack.Timestamp, st.integers(-(2**63), 2**63 - 1), st.integers(0, 999_999_999))
)
KEYS = st.sampled_from(["p", "n", "t", "d", "a", "b", "0", *NAMES]) | st.text(max_size=5) | st.binary(max_size=3)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=12) | st.dictionaries(KEYS, inner, max_size=12),
    max_leaves=25,
)
FRAMES = TREES | st.fixed_dictionaries(
    {"p": st.just(1), "d": st.fixed_dictionaries(dict.fromkeys(NAMES, TREES)) | st.lists(TREES, max_size=12)},
    optional={"n": TREES, "t": TREES},
)
ENVELOPE_TREES = TREES | st.fixed_dictionaries(
    {"v": st.just(1), "frame": FRAMES.map(msgpack.packb) | st.binary(max_size=60)},
    optional={"received_at": TREES, "kind": st.sampled_from(["realtime", "dump"]) | TREES, "link": TREES, "x": TREES},
)
TOPICS = (
    st.sampled_from([TOPIC, "gs/v1/hkust/demo-sat/telemetry"]) | st.text() | st.text().map("gs/v1/{}/telemetry".format)
)
BOTH = decoder(EVERYTHING, DEMO)


def is_storable(value: Value) -> bool:
    if isinstance(value, str):
        return "\0" not in value and len(value.encode()) <= 4 * 256
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or -(2**63) <= value < 2**63


def check_total(came: Message) -> None:
    result = BOTH(came)
    if isinstance(result, Rejection):
        assert result.payload is came.payload
        assert is_storable(result.error[:256])
        assert "\0" not in result.error + result.topic
        (result.error + result.topic).encode()
        assert len(result.error) <= 1000
        return
    assert all(is_storable(value) for value in (*result.values.values(), *result.reception.values()))
    json.dumps([dict(result.values), dict(result.reception)], allow_nan=False)
    assert all(is_storable(key) for key in result.reception)
    assert set(result.values) <= {p.name for d in (EVERYTHING, DEMO) for packet in d.packets for p in packet.parameters}
    assert all(result.values[name] is not None for name in result.levels)
    assert sum(value is None for value in result.values.values()) <= len(result.faults)
    assert all("\0" not in fault and len(fault) < 300 for fault in result.faults)
    assert 0 <= result.generated_at_us < 7_258_118_400_000_000
    assert result.unknown >= 0


@given(payload=ENVELOPE_TREES.map(msgpack.packb), topic=TOPICS, link=st.sampled_from(["main"]) | st.text())
def test_no_envelope_raises(payload: bytes, topic: str, link: str) -> None:
    check_total(message(payload, topic, link))


@given(FRAMES)
@example({"p": 1, "d": dict.fromkeys(NAMES, 2**64 - 1)})
@example({"p": 1, "d": dict.fromkeys(NAMES, math.nan)})
@example({"p": 1, "d": [-(2**63)] * 20})
def test_no_frame_raises(frame: object) -> None:
    check_total(message(seal(msgpack.packb(frame), HEARD_US)))


@given(payload=st.binary(max_size=200), frame=st.binary(min_size=1, max_size=200))
def test_no_bytes_raise(payload: bytes, frame: bytes) -> None:
    check_total(message(payload))
    check_total(message(seal(frame, None)))


GOOD = seal(pack_frame(1, 7, MADE_US, dict.fromkeys(NAMES, 1)), HEARD_US, link={"snr_db": 9.5})


@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), max_size=4), st.integers(0, len(GOOD)))
def test_no_damage_to_a_good_message_raises(changes: list[tuple[int, int]], length: int) -> None:
    damaged = bytearray(GOOD)
    for position, byte in changes:
        damaged[position] = byte
    check_total(message(bytes(damaged)))
    check_total(message(bytes(damaged[:length])))


@pytest.mark.parametrize("payload", [*ENVELOPES.values(), *hostile.ODD.values(), *hostile.OVERSIZE.values(), *bombs()])
def test_the_hostile_corpus_raises_nothing(payload: bytes) -> None:
    check_total(message(payload))
    check_total(message(hostile.packed({"v": 1, "frame": payload})))


def test_a_hostile_message_takes_no_more_than_10_mb() -> None:
    for bomb in bombs():
        came = message(hostile.packed({"v": 1, "frame": bomb[: PAYLOAD_MOST - 100]}))
        tracemalloc.start()
        BOTH(came)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10e6, bomb[:8]


def demo(index: int, raws: dict[str, Any]) -> Packet:
    result = decoder(DEMO)(
        message(seal(pack_frame(index, 1, MADE_US, raws), HEARD_US), "gs/v1/hko/demo-sat/telemetry"),
    )
    assert isinstance(result, Packet)
    return result


def test_the_demo_satellites_housekeeping_decodes() -> None:
    raws = {
        "mode": 2, "battery_voltage": 7900, "battery_current": -350, "battery_temperature": 1600, "panel_current": 600,
        "bus_voltage": 5.02, "computer_temperature": 400, "rate_x": -12, "rate_y": 3, "rate_z": 0, "uptime": 86400,
        "boot_count": 3, "transmitter_on": True,
    }  # fmt: skip
    result = demo(1, raws)
    assert (result.packet, result.faults, result.levels, result.unknown) == ("housekeeping", (), {}, 0)
    assert result.values["mode"] == "NOMINAL"
    assert result.values["battery_voltage"] == pytest.approx(7.9)
    assert result.values["battery_temperature"] == pytest.approx(
        94 - 0.0735 * 1600 + 2.55e-5 * 1600**2 - 4.2e-9 * 1600**3
    )
    worse = demo(1, {**raws, "mode": 4, "battery_voltage": 6500, "battery_temperature": 4095, "bus_voltage": 4.8})
    assert worse.levels == {"mode": Level.CRITICAL, "battery_voltage": Level.CRITICAL, "bus_voltage": Level.WARNING}
    assert worse.values["battery_temperature"] is None


def test_the_digest_in_a_packet_is_of_the_frame_as_it_came() -> None:
    frame = pack_frame(1, 7, MADE_US, [3, 1.5])
    expected = hashlib.blake2b(b"test-sat\0" + frame, digest_size=8).digest()
    assert decoded(PLAIN, frame).digest == int.from_bytes(expected, "big", signed=True)
