"""Content lines as RFC 5545 wants them, read back by a library that is not ours."""

import re
from datetime import UTC, datetime, timedelta

import icalendar
from hypothesis import given
from hypothesis import strategies as st

from groundstation.calendar_text import calendar_text, escaped, folded, utc

WORDS = st.text(st.characters(exclude_categories=("Cs", "Cc")) | st.sampled_from("\n\t\\;,:°香"), max_size=300)


@given(WORDS)
def test_a_long_line_is_folded_by_octets_and_reads_back_whole(words: str) -> None:
    line = "SUMMARY:" + escaped(words)
    pieces = folded(line).split("\r\n")
    assert all(len(piece.encode()) <= 75 for piece in pieces)
    assert all(piece.startswith(" ") and len(piece) > 1 for piece in pieces[1:])
    assert folded(line).replace("\r\n ", "") == line
    if len(line.encode()) <= 75:
        assert pieces == [line]


@given(WORDS, WORDS)
def test_texts_read_back_as_they_were(summary: str, description: str) -> None:
    event = ["BEGIN:VEVENT", f"SUMMARY:{escaped(summary)}", f"DESCRIPTION:{escaped(description)}", "END:VEVENT"]
    text = calendar_text(["BEGIN:VCALENDAR", *event, "END:VCALENDAR"])
    assert not re.search(r"(?<!\r)\n|\r(?!\n)", text)
    [read] = icalendar.Calendar.from_ical(text).walk("VEVENT")
    assert (str(read["SUMMARY"]), str(read["DESCRIPTION"])) == (summary, description)


def test_control_characters_are_left_out_and_every_line_break_is_one() -> None:
    assert escaped("a\x00b\x07\x7fc\td") == "abc\td"
    assert escaped("a\r\nb\rc\nd") == "a\\nb\\nc\\nd"


def test_times_are_utc_to_the_nearest_second() -> None:
    noon = datetime(2026, 11, 22, 12, tzinfo=UTC)
    assert utc(noon) == utc(noon + timedelta(microseconds=499_999)) == "20261122T120000Z"
    assert utc(noon - timedelta(microseconds=499_999)) == "20261122T120000Z"
    assert utc(noon + timedelta(microseconds=500_001)) == "20261122T120001Z"
