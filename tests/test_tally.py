"""Counts and latest values follow what was committed, and nothing that a payload says can make them grow."""

from dataclasses import replace

from groundstation.archive.last_known import LastKnown
from groundstation.archive.queries import LatestValue
from groundstation.tally import Latest, Tally
from groundstation.telemetry.definition import load_definition
from groundstation.telemetry.packet import Fate, Level, Reason, Rejection
from tests.parts.config_files import DEFINITION
from tests.test_pipeline import PACKET

FIRST = replace(
    PACKET, satellite="one-sat", generated_at_us=10, received_at_us=20, values={"v": 7.5}, levels={}, sequence=1
)


def fresh() -> Tally:
    return Tally({"one-sat": load_definition(DEFINITION, "one-sat.toml")}, ["hko"])


def test_everything_that_can_be_counted_begins_at_zero() -> None:
    entry = fresh().satellites["one-sat"]
    assert entry.stored == {("hko", "housekeeping", "realtime"): 0, ("hko", "housekeeping", "dump"): 0}
    assert dict(entry.stored) != {}
    assert list(entry.duplicates) == ["hko"]


def test_the_latest_value_never_goes_back_in_time() -> None:
    tally = fresh()
    newer = replace(FIRST, generated_at_us=30, values={"v": 6.9}, levels={"v": Level.WARNING})
    tally.observe([(newer, Fate.STORED), (FIRST, Fate.STORED)], [])
    entry = tally.satellites["one-sat"]
    assert (entry.latest["v"].value, entry.latest["v"].generated_at_us) == (6.9, 30)
    assert entry.out_of_limits() == {"warning": 1}
    assert tally.heard["one-sat", "hko"] == 2


def test_what_the_archive_knew_is_current_until_a_newer_packet_comes() -> None:
    tally = fresh()
    entry = tally.satellites["one-sat"]
    values = tuple(
        LatestValue(name, "housekeeping", 30, 40, "hko", 6.5, Level.WARNING) for name in ("battery_voltage", "retired")
    )
    tally.recall({"one-sat": LastKnown(50, values)})
    assert entry.latest == {"battery_voltage": Latest(6.5, Level.WARNING, 30)}  # the definition has no "retired"
    assert (entry.last_received_at_us, entry.last_generated_at_us) == (50, 30)
    assert sum(entry.stored.values()) == tally.heard.total() == 0  # counters are of this process
    older, newer = (
        replace(FIRST, generated_at_us=at, received_at_us=at + 10, values={"battery_voltage": at / 10})
        for at in (29, 31)
    )
    tally.observe([(older, Fate.STORED)], [])
    assert entry.out_of_limits() == {"warning": 1}
    tally.observe([(newer, Fate.STORED)], [])
    assert entry.latest == {"battery_voltage": Latest(3.1, Level.IN_LIMITS, 31)}
    assert (entry.last_received_at_us, entry.last_generated_at_us) == (50, 31)


def test_a_dump_counts_but_does_not_touch_what_is_current() -> None:
    tally = fresh()
    tally.observe([(replace(FIRST, kind="dump"), Fate.STORED)], [])
    entry = tally.satellites["one-sat"]
    assert entry.latest == {}
    assert entry.last_generated_at_us is None
    assert entry.stored["hko", "housekeeping", "dump"] == 1


def test_duplicates_and_rejections_are_counted_apart() -> None:
    tally = fresh()
    rejection = Rejection("mqtt", "topic", b"", 0, Reason.FRAME, "not a frame")
    tally.observe([(FIRST, Fate.DUPLICATE), (FIRST, Fate.QUARANTINED)], [rejection])
    assert tally.satellites["one-sat"].duplicates == {"hko": 1}
    assert +tally.rejected == {"unstorable": 1, "frame": 1}


def test_unknown_keys_are_counted_once_for_each_stored_packet() -> None:
    tally = fresh()
    strange = replace(FIRST, unknown=3)
    tally.observe([(strange, Fate.STORED), (strange, Fate.DUPLICATE), (replace(FIRST, unknown=4), Fate.STORED)], [])
    assert tally.satellites["one-sat"].unknown == 7


def test_heard_are_the_stored_alone() -> None:
    tally = fresh()
    tally.observe([(FIRST, Fate.STORED), (FIRST, Fate.DUPLICATE), (FIRST, Fate.QUARANTINED)], [])
    assert tally.heard == {("one-sat", "hko"): 1}


def test_skipped_sequence_counts_are_missing_until_they_come() -> None:
    tally = fresh()
    steps = [replace(FIRST, sequence=n, generated_at_us=n * 1000) for n in (16382, 16383, 0, 4)]
    steps = [replace(step, generated_at_us=at) for at, step in enumerate(steps, start=1)]
    tally.observe([(step, Fate.STORED) for step in steps], [])
    assert tally.satellites["one-sat"].missing() == 3
    tally.observe([(replace(FIRST, sequence=2, generated_at_us=3), Fate.STORED)], [])
    assert tally.satellites["one-sat"].missing() == 2
