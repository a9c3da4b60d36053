"""Read Orbit Mean-Elements Messages (CCSDS 502.0) as CelesTrak and Space-Track publish them: JSON, CSV and XML.

All three carry the same fields by the same names, so each reader below makes plain text of them and one function
turns that into Elements. Nothing of the XML is ever expanded or fetched: a document type is refused outright.
"""

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from xml.parsers import expat

from groundstation.orbit.elements import Elements, ElementsError

Row = tuple[Mapping[str, str], str]  # the fields, and "file:line"

ACCEPTED = {  # what a message may say about itself; anything else would be propagated wrongly
    "CENTER_NAME": {"EARTH"},
    "REF_FRAME": {"TEME"},
    "TIME_SYSTEM": {"UTC"},
    "MEAN_ELEMENT_THEORY": {"SGP4", "SGP/SGP4"},
    "EPHEMERIS_TYPE": {"0", "1", "2", "3"},
}
EPOCH = re.compile(r"(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)(?:\.(\d{1,12}))?Z?", re.ASCII)
INTEGER = re.compile(r"\d{1,12}", re.ASCII)
NUMBER = re.compile(r"[+-]?(\d{1,20}\.?\d{0,20}|\.\d{1,20})([eE][+-]?\d{1,3})?", re.ASCII)


Sets = Iterator[Callable[[], Elements]]


def parse_json(text: str, where: str) -> list[Elements]:
    """Return the sets of one JSON object or a list of them."""
    return _elements(json_sets(text, where), where)


def parse_csv(text: str, where: str) -> list[Elements]:
    """Return the sets of a table whose first line names the columns."""
    return _elements(csv_sets(text, where), where)


def parse_xml(text: str, where: str) -> list[Elements]:
    """Return the sets of an NDM document, one a segment."""
    return _elements(xml_sets(text, where), where)


def json_sets(text: str, where: str) -> Sets:
    """Yield a reader for each set; it raises ElementsError for its own set, the iterator where no set can be found."""
    return (partial(_one_set, fields, at) for fields, at in _json_rows(text, where))


def csv_sets(text: str, where: str) -> Sets:
    return (partial(_one_set, fields, at) for fields, at in _csv_rows(text, where))


def xml_sets(text: str, where: str) -> Sets:
    return (partial(_one_set, fields, at) for fields, at in _xml_rows(text, where))


def _elements(sets: Sets, where: str) -> list[Elements]:
    found = [read() for read in sets]
    if not found:
        raise ElementsError(f"{where}: no element set found, expected at least one")
    return found


def _one_set(fields: Mapping[str, str], at: str) -> Elements:
    for key, accepted in ACCEPTED.items():
        if fields.get(key) and fields[key] not in accepted:
            raise ElementsError(f"{at}: {key} is {fields[key]!r}, expected {' or '.join(sorted(accepted))}")
    return Elements(
        norad_id=_integer(fields, "NORAD_CAT_ID", at),
        name=fields.get("OBJECT_NAME", ""),
        cospar_id=fields.get("OBJECT_ID", ""),
        epoch=_epoch(_present(fields, "EPOCH", at), at),
        mean_motion_rev_day=_number(fields, "MEAN_MOTION", at),
        eccentricity=_number(fields, "ECCENTRICITY", at),
        inclination_deg=_number(fields, "INCLINATION", at),
        raan_deg=_number(fields, "RA_OF_ASC_NODE", at),
        argument_of_perigee_deg=_number(fields, "ARG_OF_PERICENTER", at),
        mean_anomaly_deg=_number(fields, "MEAN_ANOMALY", at),
        bstar_per_earth_radius=_number(fields, "BSTAR", at),
        mean_motion_dot_rev_day2=_number(fields, "MEAN_MOTION_DOT", at, otherwise="0"),
        mean_motion_ddot_rev_day3=_number(fields, "MEAN_MOTION_DDOT", at, otherwise="0"),
        classification=fields.get("CLASSIFICATION_TYPE") or "U",
        element_set_no=_integer(fields, "ELEMENT_SET_NO", at, otherwise="0"),
        revolutions=_integer(fields, "REV_AT_EPOCH", at, otherwise="0"),
        source=at,
    )


def _present(fields: Mapping[str, str], key: str, at: str, otherwise: str | None = None) -> str:
    text = fields.get(key) or otherwise
    if text is None:
        raise ElementsError(f"{at}: {key} is missing, expected a value")
    return text


def _integer(fields: Mapping[str, str], key: str, at: str, otherwise: str | None = None) -> int:
    text = _present(fields, key, at, otherwise)
    if not INTEGER.fullmatch(text):
        raise ElementsError(f"{at}: {key} is {text[:40]!r}, expected a whole number")
    return int(text)


def _number(fields: Mapping[str, str], key: str, at: str, otherwise: str | None = None) -> float:
    text = _present(fields, key, at, otherwise)
    if not NUMBER.fullmatch(text) or not math.isfinite(float(text)):
        raise ElementsError(f"{at}: {key} is {text[:40]!r}, expected a finite number")
    return float(text)


def _epoch(text: str, at: str) -> datetime:
    match = EPOCH.fullmatch(text)
    expected = "expected a UTC time such as 2026-08-22T15:07:02.622144"
    if match is None:
        raise ElementsError(f"{at}: EPOCH is {text[:40]!r}, {expected}")
    try:
        whole = datetime.fromisoformat(f"{match[1]}T{match[2]}+00:00").astimezone(UTC)
    except ValueError as error:
        raise ElementsError(f"{at}: EPOCH is {text!r}: {error}; {expected}") from None
    digits = match[3] or "0"
    return whole + timedelta(microseconds=round(int(digits) * 10 ** (6 - len(digits))))


def _json_rows(text: str, where: str) -> Iterator[Row]:
    """Read one object at a time, so that a fault names the line on which its object begins."""
    decoder = json.JSONDecoder(object_pairs_hook=_distinct, parse_float=str, parse_int=str, parse_constant=str)
    single = not text.lstrip().startswith("[")
    position = _skip(text, 0 if single else text.index("[") + 1)
    line, counted = 1, 0
    while position < len(text) and text[position] != "]":
        line, counted = line + text.count("\n", counted, position), position
        at = f"{where}:{line}"
        try:
            fields, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            raise ElementsError(f"{at}: {error}, expected an OMM as a JSON object") from None
        if not isinstance(fields, dict):
            raise ElementsError(f"{at}: found {str(fields)[:40]!r}, expected an OMM as a JSON object")
        yield {key: "" if value is None else str(value) for key, value in fields.items()}, at
        position = _skip(text, position)
        if single or text[position : position + 1] == "]":
            break
        if text[position : position + 1] != ",":
            raise ElementsError(f"{at}: the list stops after this object, expected ',' or ']'")
        position = _skip(text, position + 1)
    rest = text[position:].strip()
    if rest != ("" if single else "]"):
        raise ElementsError(f"{where}: found {rest[:40]!r} at the end, expected {'nothing' if single else 'one ]'}")


def _skip(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError("a key stands twice")
    return fields


def _csv_rows(text: str, where: str) -> Iterator[Row]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        for fields in reader:
            at = f"{where}:{reader.line_num}"
            if None in fields or None in fields.values():
                wrong = "more" if None in fields else "fewer"
                raise ElementsError(f"{at}: the row has {wrong} columns than the first line, expected as many")
            yield fields, at
    except csv.Error as error:
        raise ElementsError(f"{where}:{reader.line_num}: {error}, expected comma-separated values") from None


def _xml_rows(text: str, where: str) -> Iterator[Row]:
    rows: list[Row] = []
    fields: dict[str, str] = {}
    content: list[str] = []
    segment_at = ""
    parser = expat.ParserCreate()

    def refuse(*_: object) -> None:
        raise ElementsError(f"{where}:{parser.CurrentLineNumber}: found a document type, expected plain OMM elements")

    def begin(tag: str, _: object) -> None:
        nonlocal segment_at
        content.clear()
        if _local(tag) == "segment":
            fields.clear()
            segment_at = f"{where}:{parser.CurrentLineNumber}"

    def end(tag: str) -> None:
        name = _local(tag)
        if name == "segment":
            rows.append((dict(fields), segment_at))
        elif content and name in fields:
            raise ElementsError(f"{where}:{parser.CurrentLineNumber}: {name} stands twice, expected it once a segment")
        elif text_of := "".join(content).strip():
            fields[name] = text_of
        content.clear()

    parser.StartDoctypeDeclHandler = refuse
    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = content.append
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise ElementsError(f"{where}:{error.lineno}: {expat.ErrorString(error.code)}, expected XML") from None
    yield from rows


def _local(tag: str) -> str:
    return tag.rpartition(":")[2]
