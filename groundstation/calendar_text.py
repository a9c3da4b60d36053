r"""Calendars as RFC 5545 writes them.

    BEGIN:VCALENDAR                        lines end in CR LF
    SUMMARY:Sat-1\, 61°                     \ ; , and line breaks are escaped in texts
    DESCRIPTION:a line longer than 75 oct  ... and a long line goes on after a blank
     ets

Writing takes these three rules and no more, so they are here and not a library's; the tests read the result with one.
"""

import re
from collections.abc import Iterable
from datetime import UTC, datetime

OCTETS = 75  # of a line, less its end
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # TEXT may hold no control character but a tab; a break is "\n"


def calendar_text(lines: Iterable[str]) -> str:
    """Return content lines as one text, folded where they are long."""
    return "".join(f"{folded(line)}\r\n" for line in lines)


def folded(line: str) -> str:
    """Return the line in pieces of at most 75 octets; no character of UTF-8 is cut in two."""
    pieces, room = [""], OCTETS
    for letter in line:
        octets = len(letter.encode())
        if octets > room:
            pieces.append(" ")
            room = OCTETS - 1
        pieces[-1] += letter
        room -= octets
    return "\r\n".join(pieces)


def escaped(text: str) -> str:
    """Return a value of type TEXT."""
    plain = CONTROL.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    return plain.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def utc(moment: datetime) -> str:
    """Return a value of type DATE-TIME, to the nearest second."""
    rounded = datetime.fromtimestamp(round(moment.timestamp()), UTC)
    return f"{rounded:%Y%m%dT%H%M%SZ}"
