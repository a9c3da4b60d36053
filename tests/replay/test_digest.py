import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from groundstation.replay.digest import DecodedDigest
from groundstation.telemetry.packet import Fate, Level, Message, Packet, Reason, Rejection
from tests.replay.recordings import AOS_US

PACKET = Packet(
    link="mqtt",
    satellite="fictional-1",
    station="hko",
    packet="housekeeping",
    kind="realtime",
    sequence=7,
    generated_at_us=AOS_US,
    received_at_us=AOS_US + 1,
    digest=-5,
    definition_hash="0f",
    frame=b"frame",
    values={"mode": "SAFE", "battery_v": 7.25, "count": 3, "on": True, "lost": None},
    levels={"battery_v": Level.WARNING},
    faults=("temperature: missing",),
    reception={"rssi_dbm": -100.5},
)
REJECTION = Rejection("mqtt", "gs/v1/hko/x/telemetry", b"\xc1", AOS_US, Reason.SATELLITE, "found x")


def digest(*packets: Packet, rejections: tuple[Rejection, ...] = ()) -> str:
    taken = DecodedDigest()
    taken.add(packets, rejections)
    return taken.hexdigest()


@pytest.mark.parametrize(
    "change",
    [
        {"satellite": "fictional-2"},
        {"station": "hku"},
        {"packet": "beacon"},
        {"kind": "dump"},
        {"sequence": None},
        {"generated_at_us": AOS_US + 1},
        {"received_at_us": AOS_US},
        {"frame": b"frame."},
        {"values": {**PACKET.values, "battery_v": 7.2500001}},
        {"values": {**PACKET.values, "on": 1}},
        {"values": {**PACKET.values, "more": None}},
        {"levels": {}},
        {"levels": {"battery_v": Level.CRITICAL}},
        {"faults": ()},
        {"reception": {}},
    ],
)
def test_whatever_a_packet_says_changes_the_digest(change: dict[str, object]) -> None:
    assert digest(replace(PACKET, **change)) != digest(PACKET)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"link": "replay"},
        {"definition_hash": "1e"},
        {"values": dict(sorted(PACKET.values.items()))},
        {"values": {**PACKET.values, "count": 3.0}},
        {"message": Message("mqtt", "t", b"", 0)},
    ],
)
def test_who_brought_it_and_how_it_is_written_do_not(change: dict[str, object]) -> None:
    assert digest(replace(PACKET, **change)) == digest(PACKET)  # type: ignore[arg-type]


def test_huge_whole_numbers_are_one_number_as_float_and_as_integer() -> None:
    values = [{"big": number} for number in (1e20, 10**20, 2.0**63, 2**63, -(2.0**63), -(2**63))]
    digests = [digest(replace(PACKET, values=one)) for one in values]
    assert digests[0] == digests[1] != digests[2]
    assert digests[2] == digests[3] != digests[4] == digests[5]


def test_rejections_count_by_what_came_and_why() -> None:
    assert digest(rejections=(REJECTION,)) != digest()
    assert digest(rejections=(replace(REJECTION, error="said otherwise"),)) == digest(rejections=(REJECTION,))
    for change in ({"topic": "t"}, {"payload": b""}, {"arrived_at_us": 0}, {"reason": Reason.TOPIC}):
        assert digest(rejections=(replace(REJECTION, **change),)) != digest(rejections=(REJECTION,))


@given(st.lists(st.integers(0, 5), max_size=30), st.randoms())
def test_order_and_grouping_do_not_matter_but_number_does(sequences: list[int], shuffled: random.Random) -> None:
    packets = [replace(PACKET, sequence=sequence) for sequence in sequences]
    whole = digest(*packets, rejections=(REJECTION,))
    shuffled.shuffle(packets)
    taken = DecodedDigest()
    for packet in packets:
        taken.observe([(packet, shuffled.choice([Fate.STORED, Fate.DUPLICATE]))], [])
    taken.observe([], [REJECTION])
    assert taken.hexdigest() == whole
    assert (taken.packets, taken.rejections) == (len(packets), 1)
    if packets:
        assert digest(*packets, packets[0], rejections=(REJECTION,)) != whole
