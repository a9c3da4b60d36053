"""Read two-line element sets, with every column checked here: sgp4's own reader takes a wrong checksum or epoch.

          1         2         3         4         5         6
 123456789012345678901234567890123456789012345678901234567890123456789
 1 NNNNNC YYNNNPPP YYDDD.DDDDDDDD s.NNNNNNNN sNNNNNsN sNNNNNsN E SSSSC
   number   launch epoch          n-dot/2    n-ddot/6 B*       type, set, checksum
 2 NNNNN III.IIII RRR.RRRR EEEEEEE AAA.AAAA MMM.MMMM NN.NNNNNNNNRRRRRC
   number incl.   node     eccen.  perigee  anomaly  rev/day    revolutions, checksum

A line with the name may stand before, with or without "0 "; lines that begin with "#" are comments. The first
character of the number may be a letter but I and O (Alpha-5): A0000 is 100000, Z9999 is 339999.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial

from groundstation.orbit.elements import Elements, ElementsError

COLUMNS = 69
NAME_COLUMNS = 24  # a longer line that begins with "1 " or "2 " is meant as data, never as a name
ALPHA5 = "ABCDEFGHJKLMNPQRSTUVWXYZ"
FIRST_YEAR = 57  # two digits below are 20xx: nothing flew before 1957
SGP4_XP = "4"  # an ephemeris type: mean elements of another theory, which SGP4 would take and get wrong

NUMBER = r" *\d+|[A-HJ-NP-Z]\d{4}"
ANGLE = r" *\d+\.\d{4}"
POWER = r"[ +-]\d{5}[ +-]\d"  # an assumed decimal point before the digits, then a power of ten


@dataclass(frozen=True, slots=True)
class Field:
    """Columns `first` to `last`, counted from 1."""

    name: str
    first: int
    last: int
    pattern: str
    expected: str

    def read(self, line: str, where: str) -> str:
        text = line[self.first - 1 : self.last]
        if not re.fullmatch(self.pattern, text, re.ASCII):
            span = f"column {self.first}" if self.first == self.last else f"columns {self.first}-{self.last}"
            raise ElementsError(f"{where}: {self.name} in {span} is {text!r}, expected {self.expected}")
        return text


LINE_1 = (
    Field("the catalogue number", 3, 7, NUMBER, "five digits, or a letter but I and O and four digits"),
    Field("the classification", 8, 8, r"[UCS ]", "U, C or S"),
    Field("the separator", 9, 9, " ", "a blank"),
    Field("the launch", 10, 17, r"[ -~]{8}", "year, number and piece such as '98067A  '"),
    Field("the separator", 18, 18, " ", "a blank"),
    Field("the epoch's year", 19, 20, r"\d\d", "two digits"),
    Field("the epoch's day", 21, 32, r" *\d+\.\d{8}", "a day of the year such as '034.12345678'"),
    Field("the separator", 33, 33, " ", "a blank"),
    Field("the mean motion's first derivative", 34, 43, r"[ +-]\.\d{8}", "a number such as ' .00001234'"),
    Field("the separator", 44, 44, " ", "a blank"),
    Field("the mean motion's second derivative", 45, 52, POWER, "a number such as ' 12345-6'"),
    Field("the separator", 53, 53, " ", "a blank"),
    Field("B*", 54, 61, POWER, "a number such as ' 12345-6'"),
    Field("the separator", 62, 62, " ", "a blank"),
    Field("the ephemeris type", 63, 63, r"[ \d]", "a digit"),
    Field("the separator", 64, 64, " ", "a blank"),
    Field("the element set's number", 65, 68, r" *\d*", "up to four digits"),
)
LINE_2 = (
    Field("the catalogue number", 3, 7, NUMBER, "five digits, or a letter but I and O and four digits"),
    Field("the separator", 8, 8, " ", "a blank"),
    Field("the inclination", 9, 16, ANGLE, "degrees such as ' 97.5555'"),
    Field("the separator", 17, 17, " ", "a blank"),
    Field("the ascending node", 18, 25, ANGLE, "degrees such as '327.6192'"),
    Field("the separator", 26, 26, " ", "a blank"),
    Field("the eccentricity", 27, 33, r"\d{7}", "seven digits, the decimal point assumed"),
    Field("the separator", 34, 34, " ", "a blank"),
    Field("the argument of perigee", 35, 42, ANGLE, "degrees such as '108.7287'"),
    Field("the separator", 43, 43, " ", "a blank"),
    Field("the mean anomaly", 44, 51, ANGLE, "degrees such as '251.5351'"),
    Field("the separator", 52, 52, " ", "a blank"),
    Field("the mean motion", 53, 63, r" *\d+\.\d{8}", "revolutions a day such as '15.11079105'"),
    Field("the revolutions", 64, 68, r" *\d*", "up to five digits"),
)


def parse_tle(text: str, where: str) -> list[Elements]:
    """Return every set in `text` in its order; one fault refuses all. `where` begins each message and source."""
    found = [read() for read in tle_sets(text, where)]
    if not found:
        raise ElementsError(f"{where}: no element set found, expected at least one")
    return found


def tle_sets(text: str, where: str) -> Iterator[Callable[[], Elements]]:
    """Yield a reader for each set; it raises ElementsError for its own set, the iterator where no set can be found."""
    name, line_1, number_1 = "", "", 0
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.rstrip()
        if not line or line.startswith("#"):
            continue
        at = f"{where}:{number}"
        is_data = len(line) > NAME_COLUMNS
        if line_1:
            yield partial(_one_set, name, line_1, f"{where}:{number_1}", line, at)
            name = line_1 = ""
        elif line.startswith("1 ") and (is_data or name):
            line_1, number_1 = line, number
        elif name or (is_data and line.startswith("2 ")):
            raise ElementsError(f"{at}: found {line[:NAME_COLUMNS]!r}, expected line 1 of an element set")
        else:
            name = line.removeprefix("0 ").strip()
    if name or line_1:
        raise ElementsError(f"{where}: the text ends inside an element set, expected line {2 if line_1 else 1} of it")


def _one_set(name: str, line_1: str, at_1: str, line_2: str, at_2: str) -> Elements:
    if not line_2.startswith("2 "):
        raise ElementsError(f"{at_2}: found {line_2[:NAME_COLUMNS]!r}, expected line 2 of an element set")
    one, two = _columns(line_1, LINE_1, at_1), _columns(line_2, LINE_2, at_2)
    number = _catalogue_number(one["the catalogue number"])
    if number != _catalogue_number(two["the catalogue number"]):
        raise ElementsError(
            f"{at_2}: the catalogue number is {two['the catalogue number']}, expected line 1's {number}"
        )
    if one["the ephemeris type"] == SGP4_XP:
        raise ElementsError(f"{at_1}: the ephemeris type is 4 (SGP4-XP), expected elements for SGP4")
    return Elements(
        norad_id=number,
        name=name,
        cospar_id=_cospar_id(one["the launch"]),
        epoch=_epoch(one["the epoch's year"], one["the epoch's day"], at_1),
        mean_motion_rev_day=float(two["the mean motion"]),
        eccentricity=float("0." + two["the eccentricity"]),
        inclination_deg=float(two["the inclination"]),
        raan_deg=float(two["the ascending node"]),
        argument_of_perigee_deg=float(two["the argument of perigee"]),
        mean_anomaly_deg=float(two["the mean anomaly"]),
        bstar_per_earth_radius=_assumed_point(one["B*"]),
        mean_motion_dot_rev_day2=float(one["the mean motion's first derivative"]),
        mean_motion_ddot_rev_day3=_assumed_point(one["the mean motion's second derivative"]),
        classification=one["the classification"].strip() or "U",
        element_set_no=int(one["the element set's number"].strip() or 0),
        revolutions=int(two["the revolutions"].strip() or 0),
        source=at_1,
    )


def _columns(line: str, fields: tuple[Field, ...], where: str) -> dict[str, str]:
    if len(line) != COLUMNS:
        raise ElementsError(f"{where}: the line has {len(line)} columns, expected {COLUMNS}")
    columns = {field.name: field.read(line, where) for field in fields}
    found, expected = line[-1], str(checksum(line))
    if found != expected:
        raise ElementsError(f"{where}: the checksum is {found!r}, expected {expected!r}")
    return columns


def checksum(line: str) -> int:
    """Return the last digit of the sum of the first 68 columns: digits as they are, a minus as 1."""
    return sum(int(c) if c.isdigit() else c == "-" for c in line[: COLUMNS - 1]) % 10


def _catalogue_number(text: str) -> int:
    if text[0] in ALPHA5:
        return (ALPHA5.index(text[0]) + 10) * 10_000 + int(text[1:])
    return int(text)


def _cospar_id(launch: str) -> str:
    match = re.fullmatch(r"(\d\d)(\d{3})([A-Z]{1,3})", launch.strip())
    return f"{_full_year(match[1])}-{match[2]}{match[3]}" if match else launch.strip()


def _full_year(two_digits: str) -> int:
    year = int(two_digits)
    return year + (2000 if year < FIRST_YEAR else 1900)


def _epoch(two_digits: str, day: str, where: str) -> datetime:
    first = datetime(_full_year(two_digits), 1, 1, tzinfo=UTC)
    days_in_year = (first.replace(year=first.year + 1) - first).days
    days = Decimal(day.strip())
    if not 1 <= days < days_in_year + 1:
        raise ElementsError(f"{where}: the epoch's day is {days}, expected 1 to less than {days_in_year + 1}")
    return first + timedelta(microseconds=int((days - 1) * 86_400_000_000))


def _assumed_point(text: str) -> float:
    return float(f"{text[0].strip()}.{text[1:6]}e{text[6].strip()}{text[7]}")
