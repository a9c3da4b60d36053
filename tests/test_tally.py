"""Counts and latest values follow what was committed, and nothing that a payload says can make them grow."""

from dataclasses import replace

from groundstation.tally import Tally
from groundstation.telemetry.packet import Fate, Level, Reason, Rejection
from tests.test_pipeline import PACKET

FIRST = replace(PACKET, generated_at_us=10, received_at_us=20, values={"v": 7.5}, levels={})


def test_the_latest_value_never_goes_back_in_time() -> None:
    tally = Tally(["demo-sat"])
    newer = replace(FIRST, generated_at_us=30, values={"v": 6.9}, levels={"v": Level.WARNING})
    tally.observe([(newer, Fate.STORED), (FIRST, Fate.STORED)], [])
    entry = tally.satellites["demo-sat"]
    assert (entry.latest["v"].value, entry.latest["v"].generated_at_us) == (6.9, 30)
    assert entry.out_of_limits() == {"warning": 1}
    assert tally.heard["demo-sat", "hko"] == 2


def test_a_dump_counts_but_does_not_touch_what_is_current() -> None:
    tally = Tally(["demo-sat"])
    tally.observe([(replace(FIRST, kind="dump"), Fate.STORED)], [])
    entry = tally.satellites["demo-sat"]
    assert entry.latest == {}
    assert entry.last_generated_at_us is None
    assert entry.stored == {("hko", "housekeeping", "dump"): 1}


def test_duplicates_and_rejections_are_counted_apart() -> None:
    tally = Tally(["demo-sat"])
    rejection = Rejection("mqtt", "topic", b"", 0, Reason.FRAME, "not a frame")
    tally.observe([(FIRST, Fate.DUPLICATE), (FIRST, Fate.QUARANTINED)], [rejection])
    assert tally.satellites["demo-sat"].duplicates == {"hko": 1}
    assert tally.rejected == {"unstorable": 1, "frame": 1}
