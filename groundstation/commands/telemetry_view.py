"""Telemetry as people and programs read it: a table, JSON or CSV, written a page at a time.

JSON is one array with a row in each line, so that line by line tools can read it too. CSV has the same keys and texts,
empty where JSON has null. A table's columns are as wide as its first page needs.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from itertools import chain
from typing import Any, Generic, Literal, TypeVar

from rich.table import Table
from rich.text import Text

from groundstation.archive.queries import By, LatestValue
from groundstation.archive.series import Summary
from groundstation.commands.terminal import LEVEL_STYLES
from groundstation.figures import iso, printable
from groundstation.telemetry.moments import duration, microseconds, moment_of
from groundstation.telemetry.packet import Level, Packet, Value

T = TypeVar("T")
Format = Literal["table", "json", "csv"]
Valued = tuple[Packet, str]  # a packet and one of its parameters
Summed = tuple[str, Summary]  # a parameter and one of its points
HEADINGS: dict[By, str] = {"generated_at": "generated (UTC)", "received_at": "received (UTC)"}
SECOND_US = 1_000_000
AS_IT_IS = {str, int, float, type(None)}  # in CSV
NUMBERS = {"value", "min", "mean", "max", "n", "sequence"}  # to the right


@dataclass(frozen=True, slots=True)
class Layout(Generic[T]):
    """How one kind of row is written: `plain` for programs under `fields`, `cells` for people under `headings`."""

    fields: tuple[str, ...]
    plain: Callable[[T], tuple[Any, ...]]
    headings: tuple[str, ...]
    cells: Callable[[T], tuple[str, ...]]


def written(pages: Iterable[Sequence[T]], layout: Layout[T], form: Format) -> Iterator[str]:
    """Yield the text of each page, and what stands around them all."""
    if form == "json":
        return json_of(pages, layout)
    return csv_of(pages, layout) if form == "csv" else table_of(pages, layout)


def json_of(pages: Iterable[Sequence[T]], layout: Layout[T]) -> Iterator[str]:
    before = "[\n"
    for page in pages:
        rows = (dict(zip(layout.fields, layout.plain(one), strict=True)) for one in page)
        if text := ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows):
            yield before + text
            before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def csv_of(pages: Iterable[Sequence[T]], layout: Layout[T]) -> Iterator[str]:
    yield ",".join(layout.fields) + "\n"
    for page in pages:
        text = io.StringIO()
        rows = ([value if type(value) in AS_IT_IS else as_text(value) for value in layout.plain(one)] for one in page)
        csv.writer(text, lineterminator="\n").writerows(rows)
        yield text.getvalue()


def as_text(value: object) -> str:
    """Return true and false as JSON has them, and several texts as one."""
    return "; ".join(value) if isinstance(value, list) else json.dumps(value)


def table_of(pages: Iterable[Sequence[T]], layout: Layout[T]) -> Iterator[str]:
    remaining = iter(pages)
    first = [layout.cells(one) for one in next(remaining, ())]
    widths = [max(map(len, column)) for column in zip(layout.headings, *first, strict=True)]
    right = [heading in NUMBERS for heading in layout.headings]

    def line(cells: Sequence[str]) -> str:
        aligned = (
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(cells, widths, right, strict=True)
        )
        return "  ".join(aligned).rstrip()

    for page in chain([first], ([layout.cells(one) for one in page] for page in remaining)):
        heading = [layout.headings] if page is first and page else []
        yield "".join(f"{line(cells)}\n" for cells in (*heading, *page))


def of_values(units: Mapping[str, str], by: By) -> Layout[Valued]:
    """Return how values are written, one a row."""

    def plain(one: Valued) -> tuple[Any, ...]:
        of, name = one
        value = of.values[name]
        times = iso_of(of.generated_at_us), iso_of(of.received_at_us)
        return *times, name, value, units.get(name) or None, level_of(of, name), of.packet, of.kind, of.station

    def cells(one: Valued) -> tuple[str, ...]:
        of, name = one
        level, unit = level_of(of, name) or "not decoded", units.get(name, "")
        return clock(of, by), name, shown(of.values[name]), unit, level, of.packet, of.kind, of.station

    beside = ("unit", "level", "packet", "kind", "station")
    fields = ("generated_at", "received_at", "parameter", "value", *beside)
    return Layout(fields, plain, (HEADINGS[by], "parameter", "value", *beside), cells)


def of_summaries(units: Mapping[str, str]) -> Layout[Summed]:
    """Return how spans of time are written; one without values is a gap."""

    def plain(one: Summed) -> tuple[Any, ...]:
        name, of = one
        return iso_of(of.at_us), name, of.min, of.mean, of.max, of.n, units.get(name) or None

    def cells(one: Summed) -> tuple[str, ...]:
        name, of = one
        time = f"{moment_of(of.at_us):%Y-%m-%d %H:%M:%S}"
        return time, name, shown(of.min), shown(of.mean), shown(of.max), str(of.n), units.get(name, "")

    numbers = ("parameter", "min", "mean", "max", "n", "unit")
    return Layout(("time", *numbers), plain, ("from (UTC)", *numbers), cells)


def of_packets(by: By) -> Layout[Packet]:
    """Return how whole packets are written; programs get the frame too, in hexadecimal."""

    def plain(one: Packet) -> tuple[Any, ...]:
        times = iso_of(one.generated_at_us), iso_of(one.received_at_us)
        place = one.station, one.link, one.definition_hash
        return *times, one.packet, one.sequence, one.kind, *place, list(one.faults), one.frame.hex()

    def cells(one: Packet) -> tuple[str, ...]:
        sequence = "" if one.sequence is None else str(one.sequence)
        faults = printable("; ".join(one.faults))
        return clock(one, by), one.packet, sequence, one.kind, one.station, f"{len(one.frame)} B", faults

    names = ("packet", "sequence", "kind", "station")
    fields = ("generated_at", "received_at", *names, "link", "definition", "faults", "frame")
    return Layout(fields, plain, (HEADINGS[by], *names, "frame", "faults"), cells)


def of_latest(units: Mapping[str, str], now: datetime) -> Layout[LatestValue]:
    """Return how the latest values are written, each with its age since it was generated."""
    now_us = microseconds(now)

    def plain(one: LatestValue) -> tuple[Any, ...]:
        times = iso_of(one.generated_at_us), iso_of(one.received_at_us)
        age_s = round((now_us - one.generated_at_us) / 1e6, 3)
        level = None if one.value is None else one.level.name.lower()
        beside = (units.get(one.parameter) or None, level, age_s)
        return one.parameter, one.value, *beside, one.packet, one.station, *times

    def cells(one: LatestValue) -> tuple[str, ...]:
        level = "not decoded" if one.value is None else one.level.name.lower()
        beside = (units.get(one.parameter, ""), level, age(now_us - one.generated_at_us))
        return one.parameter, shown(one.value), *beside, one.packet, one.station

    names = ("parameter", "value", "unit", "level")
    fields = (*names, "age_s", "packet", "station", "generated_at", "received_at")
    return Layout(fields, plain, (*names, "age", "packet", "station"), cells)


def latest_table(found: Iterable[LatestValue], layout: Layout[LatestValue], title: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for heading in layout.headings:
        table.add_column(heading, justify="right" if heading in {*NUMBERS, "age"} else "left", no_wrap=heading == "age")
    for one in found:
        style = LEVEL_STYLES[one.level] if one.level else None
        # Text and not str: what a satellite sent must not be read as rich's markup.
        table.add_row(*map(Text, layout.cells(one)), style=style)
    return table


@lru_cache(maxsize=4)  # a packet's values all have its two times
def iso_of(time_us: int) -> str:
    return iso(moment_of(time_us))


def level_of(of: Packet, name: str) -> str | None:
    """Return the level in a word; None where the value could not be decoded, so that nobody judged it."""
    return None if of.values[name] is None else of.levels.get(name, Level.IN_LIMITS).name.lower()


def clock(of: Packet, by: By) -> str:
    moment = moment_of(of.generated_at_us if by == "generated_at" else of.received_at_us)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03}"


def age(length_us: int) -> str:
    """Return how long ago something was; a satellite's clock may be ahead of ours."""
    return duration(length_us) if length_us > -SECOND_US else f"{duration(-length_us)} ahead"


def shown(value: Value) -> str:
    """Return the value for people: nine digits of a number, nothing of what is not there."""
    if isinstance(value, float):
        return f"{value:.9g}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return "" if value is None else printable(str(value))
