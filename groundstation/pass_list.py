"""Passes as people and programs read them: a table, JSON or CSV."""

import csv
import dataclasses
import io
import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from groundstation.orbit.passes import Pass

PIPED_WIDTH = 120
COLUMNS = {"NORAD": 9, "AOS (UTC)": 14, "LOS": 8, "lasts": 5, "max": 3, "azimuths": 9, "age": 5}
FIELDS = tuple(field.name for field in dataclasses.fields(Pass))


def as_json(passes: Sequence[Pass]) -> str:
    """Return a JSON array; times are ISO in UTC with microseconds and Z, null where an edge is unknown."""
    return json.dumps([plain(one) for one in passes], indent=2, ensure_ascii=False)


def as_csv(passes: Sequence[Pass]) -> str:
    """Return one header line and one line a pass, with the keys and texts of the JSON."""
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(plain(one) for one in passes)
    return text.getvalue()


def plain(one: Pass) -> dict[str, Any]:
    return {name: iso(value) if isinstance(value := getattr(one, name), datetime) else value for name in FIELDS}


def iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def as_table(passes: Sequence[Pass], now: datetime, names: Mapping[str, str], title: str | None = None) -> Table:
    """Return the passes with their day and times in UTC; `names` are the satellites' by slug."""
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("satellite")  # the one that gives way: long names are cut
    for heading, width in COLUMNS.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for one in passes:
        age_d = (now - one.elements_epoch).total_seconds() / 86400
        table.add_row(
            Text(names.get(one.satellite, one.satellite), no_wrap=True, overflow="ellipsis"),
            str(one.norad_id),
            f"{one.aos:%m-%d %H:%M:%S}" if one.aos else "before",
            f"{one.los:%H:%M:%S}" if one.los else "after",
            minutes(one),
            f"{one.max_elevation_deg:.0f}°",
            f"{degrees(one.aos_azimuth_deg)}→{degrees(one.los_azimuth_deg)}",
            f"{abs(age_d):.0f} d",
            style="bold" if one.max_elevation_deg >= 30 else None,
        )
    return table


def console() -> Console:
    """Return where tables are printed: as wide as the terminal, or as wide as they need where none is."""
    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def minutes(one: Pass) -> str:
    if one.aos is None or one.los is None:
        return "?"
    seconds = round((one.los - one.aos).total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"


def degrees(azimuth_deg: float | None) -> str:
    return "?" if azimuth_deg is None else f"{azimuth_deg:.0f}°"
