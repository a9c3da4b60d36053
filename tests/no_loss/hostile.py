"""Messages that must go to quarantine, and odd ones that must not, made so that it is known without our decoder.

The corpus is that of tests.telemetry.hostile; the rest is hypothesis's.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgpack
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from groundstation.link.publisher import Outgoing
from groundstation.telemetry.envelope import PAYLOAD_MOST, timestamp
from groundstation.telemetry.packet import Reason
from tests.archive.places import T0
from tests.no_loss.ground import TOPIC
from tests.telemetry.hostile import NOT_A_VALUE, NOT_AN_ENVELOPE, OVERSIZE, packed, with_pairs

BROKER_TAKES = 1 << 20  # bytes: a longer message is never sent to us, we have said so in CONNECT
AT_ONCE = 5
YEAR_2200_S = 7_258_118_400

GOOD_DATA = {"battery_voltage": 7500}
GOOD_FRAME = msgpack.packb({"p": 1, "n": 1, "d": GOOD_DATA})
GOOD = msgpack.packb({"v": 1, "frame": GOOD_FRAME})


@dataclass(frozen=True, slots=True)
class Hostile:
    reason: Reason
    payload: bytes
    topic: str = TOPIC

    def outgoing(self) -> Outgoing:
        return Outgoing(self.topic, self.payload)


corpus = [
    *(Hostile(Reason.ENVELOPE, payload) for payload in (*NOT_A_VALUE.values(), *NOT_AN_ENVELOPE.values())),
    *(Hostile(Reason.OVERSIZE, payload) for payload in OVERSIZE.values() if len(payload) < BROKER_TAKES),
]

scalars = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text() | st.binary()
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4), max_leaves=6
)
# What a broker lets pass in a topic's level: no control characters, no wildcards.
levels = st.text(
    st.characters(categories=("L", "N", "P", "S"), exclude_characters="/+#"), min_size=1, max_size=40
).filter(lambda level: level not in {"hko", "cuhk", "one-sat"})


NO_NUMBER = [
    *map(packed, (math.nan, math.inf, -math.inf, "a\0b", b"\xff", None, [[[1]]], {"a": {}})),
    b"\xa2\xff\xfe",  # text that is no UTF-8
    b"\xa3\xed\xa0\x80",  # a surrogate
    packed(msgpack.ExtType(5, b"abc")),
]
ODD = [*NO_NUMBER, packed(2**64 - 1)]  # which our calibrator makes a float of


def odd(number: int) -> Outgoing:
    """Return good packet `number` with something odd in it, which costs a value at most: every other time that one."""
    made, turn = number % 4, number // 4
    voltage, other = (packed("battery_voltage"), packed(7500)), (packed("other"), ODD[turn % len(ODD)])
    data = {
        0: (voltage[0], NO_NUMBER[turn % len(NO_NUMBER)]),
        1: (*voltage, *other, packed(b"bytes"), other[1]),
        2: (*voltage, *voltage),
        3: voltage,
    }[made]
    generated_at = packed(timestamp(T0 + number * 1000))
    frame = with_pairs(
        *(
            packed("p"),
            packed(1),
            packed("n"),
            packed(number),
            packed("t"),
            generated_at,
            packed("d"),
            with_pairs(*data),
        )
    )
    beside = (packed("link"), with_pairs(*other), *other) if made == 3 else ()
    return Outgoing(TOPIC, with_pairs(packed("v"), packed(1), packed("frame"), packed(frame), *beside))


def other_than(*types: type) -> st.SearchStrategy[Any]:
    """Return values of any type but these, exactly: a bool is no int."""
    return values.filter(lambda value: type(value) not in types)


def cut(whole: bytes, least: int) -> st.SearchStrategy[bytes]:
    """Return a beginning of `whole`: a map's beginning is never a value."""
    return st.integers(least, len(whole) - 1).map(lambda length: whole[:length])


def sealed(frame: bytes) -> bytes:
    made: bytes = msgpack.packb({"v": 1, "frame": frame})
    return made


def envelope_with(**changes: Any) -> bytes:
    made: bytes = msgpack.packb({"v": 1, "frame": GOOD_FRAME, **changes})
    return made


def frame_with(**changes: Any) -> bytes:
    made: bytes = msgpack.packb({"p": 1, "n": 1, "d": GOOD_DATA, **changes})
    return made


no_envelope = st.one_of(
    cut(GOOD, 0),
    st.binary(min_size=1, max_size=50).map(lambda rest: GOOD + rest),
    other_than(dict).map(msgpack.packb),
    values.filter(lambda v: type(v) is not int or v != 1).map(lambda v: envelope_with(v=v)),
    other_than(bytes).map(lambda frame: envelope_with(frame=frame)),
    values.filter(lambda kind: kind not in ("realtime", "dump")).map(lambda kind: envelope_with(kind=kind)),
    other_than(dict).map(lambda link: envelope_with(link=link)),
)
no_frame = st.one_of(
    cut(GOOD_FRAME, 1),
    st.binary(min_size=1, max_size=50).map(lambda rest: GOOD_FRAME + rest),
    other_than(dict).map(msgpack.packb),
    other_than(int, str).map(lambda name: frame_with(p=name)),
    other_than(dict, list).map(lambda data: frame_with(d=data)),
)
no_packet = st.one_of(
    st.integers(-(2**63), 2**64 - 1).filter(lambda name: name != 1),
    st.text().filter(lambda name: name != "housekeeping"),
)
no_time = st.one_of(
    other_than(int, float, type(None)),
    st.sampled_from([float("nan"), float("inf"), float("-inf")]),
    st.integers(-(2**63), -1) | st.integers(YEAR_2200_S, 2**64 - 1),
    st.floats(max_value=-1e-3) | st.floats(min_value=YEAR_2200_S),
)


def because(reason: Reason) -> Callable[[bytes], Hostile]:
    return lambda payload: Hostile(reason, payload)


hostile: st.SearchStrategy[Hostile] = st.one_of(
    no_envelope.map(because(Reason.ENVELOPE)),
    no_frame.map(sealed).map(because(Reason.FRAME)),
    no_packet.map(lambda name: sealed(frame_with(p=name))).map(because(Reason.PACKET)),
    no_time.map(lambda time: sealed(frame_with(t=time))).map(because(Reason.TIME)),
    st.integers(PAYLOAD_MOST + 1, PAYLOAD_MOST + 100).map(bytes).map(because(Reason.OVERSIZE)),
    levels.map(lambda level: Hostile(Reason.STATION, GOOD, f"gs/v1/{level}/one-sat/telemetry")),
    levels.map(lambda level: Hostile(Reason.SATELLITE, GOOD, f"gs/v1/hko/{level}/telemetry")),
    levels.map(lambda level: Hostile(Reason.TOPIC, GOOD, f"gs/v1//{level}/telemetry")),
    levels.map(lambda level: Hostile(Reason.TOPIC, GOOD, f"gs/v1/{level}//telemetry")),
)


@lru_cache(maxsize=4)  # both engines get the same
def made(count: int, first_seed: int) -> list[Hostile]:
    """Return the corpus and hypothesis's, `count` in all; the same for the same seed."""
    found: list[Hostile] = [*corpus]
    while len(found) < count:

        @seed(first_seed + len(found))
        @settings(
            max_examples=max(1, (count - len(found)) // AT_ONCE),
            phases=[Phase.generate],
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(st.lists(hostile, min_size=AT_ONCE, max_size=AT_ONCE, unique=True))
        def collect(some: list[Hostile]) -> None:
            found.extend(some)

        collect()
    return found[:count]
