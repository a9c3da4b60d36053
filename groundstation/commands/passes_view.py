"""Passes as people and programs read them: a table, JSON or CSV."""

import csv
import dataclasses
import io
import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from groundstation.commands.passes_query import Found, in_parts
from groundstation.figures import degrees, iso, margin
from groundstation.orbit.passes import Pass
from groundstation.orbit.sunlit import Span

COLUMNS = {"NORAD": 9, "AOS (UTC)": 14, "LOS": 8, "lasts": 5, "max": 3, "azimuths": 9, "±": 7}
OF_PASS = tuple(field.name for field in dataclasses.fields(Pass))
FIELDS = (*OF_PASS, "aos_uncertainty_s")


def as_json(found: Found) -> str:
    """Return a JSON array; times are ISO in UTC with microseconds and Z, null where an edge is unknown."""
    parts = in_parts(found.passes, "writing")
    return json.dumps([row(one, found) for part in parts for one in part], indent=2, ensure_ascii=False)


def as_csv(found: Found) -> str:
    """Return one header line and one line a pass, with the keys and texts of the JSON; sunlit spans are start/end."""
    text = io.StringIO()
    writer = csv.DictWriter(text, (*FIELDS, "sunlit") if found.with_sunlit else FIELDS, lineterminator="\n")
    writer.writeheader()
    for part in in_parts(found.passes, "writing"):
        for one in part:
            told = row(one, found)
            if found.with_sunlit:
                told["sunlit"] = " ".join("/".join(span) for span in told["sunlit"])
            writer.writerow(told)
    return text.getvalue()


def row(one: Pass, found: Found) -> dict[str, Any]:
    told = plain(one, found)
    return told | {"sunlit": spans(found.sunlit(one))} if found.with_sunlit else told


def plain(one: Pass, found: Found) -> dict[str, Any]:
    told = {name: iso(value) if isinstance(value := getattr(one, name), datetime) else value for name in OF_PASS}
    return told | {"aos_uncertainty_s": found.aos_uncertainty_s.get(one)}


def spans(sunlit: Sequence[Span]) -> list[list[str]]:
    return [[iso(start), iso(end)] for start, end in sunlit]


def as_table(
    passes: Sequence[Pass],
    names: Mapping[str, str],
    aos_uncertainty_s: Mapping[Pass, float],
    title: str | None = None,
) -> Table:
    """Return the passes with their day and times in UTC; `names` are the satellites' by slug.

    The last column says how far AOS may be off.
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("satellite")  # the one that gives way: long names are cut
    for heading, width in COLUMNS.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    for one in passes:
        table.add_row(
            Text(names.get(one.satellite, one.satellite), no_wrap=True, overflow="ellipsis"),
            str(one.norad_id),
            f"{one.aos:%m-%d %H:%M:%S}" if one.aos else "before",
            f"{one.los:%H:%M:%S}" if one.los else "after",
            minutes(one),
            f"{one.max_elevation_deg:.0f}°",
            f"{degrees(one.aos_azimuth_deg)}→{degrees(one.los_azimuth_deg)}",
            margin(aos_uncertainty_s.get(one)),
            style="bold" if one.max_elevation_deg >= 30 else None,
        )
    return table


def minutes(one: Pass) -> str:
    if one.aos is None or one.los is None:
        return "?"
    seconds = round((one.los - one.aos).total_seconds())
    return f"{seconds // 60}:{seconds % 60:02d}"
