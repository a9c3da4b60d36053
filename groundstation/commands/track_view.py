"""A satellite's way across the sky as people and programs read it: a table, JSON or CSV."""

import csv
import io
import json
import math
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from groundstation.commands.passes_view import spans
from groundstation.commands.track_query import TrackedPass
from groundstation.figures import iso, margin, megahertz

ANGLES = ("azimuth_deg", "elevation_deg", "range_km", "range_rate_km_s")
Number = float | None


def as_json(tracked: TrackedPass) -> str:
    """Return one object: what pass it is, and `points` with a shift for each of `downlinks` in their order."""
    of = tracked.of
    return json.dumps(
        {
            "satellite": of.satellite,
            "norad_id": of.norad_id,
            "site": of.site,
            "aos": of.aos and iso(of.aos),
            "culmination": iso(of.culmination),
            "los": of.los and iso(of.los),
            "max_elevation_deg": of.max_elevation_deg,
            "elements_epoch": iso(of.elements_epoch),
            "ut1": of.ut1,
            "aos_uncertainty_s": tracked.aos_uncertainty_s,
            "sunlit": spans(tracked.sunlit),
            "downlinks": [
                {"name": link.name, "frequency_hz": link.frequency_hz, "mode": link.mode} for link in tracked.downlinks
            ],
            "points": list(points(tracked)),
        },
        indent=2,
        ensure_ascii=False,
    )


def points(tracked: TrackedPass) -> Iterator[dict[str, Any]]:
    frequencies = [link.frequency_hz for link in tracked.downlinks]
    for time, angles, shifts, lit in rows(tracked):
        by_frequency = dict(zip(tracked.track.doppler_hz, shifts, strict=True))
        yield {"time": iso(time), **dict(zip(ANGLES, angles, strict=True))} | {
            "doppler_hz": [by_frequency[each] for each in frequencies],
            "sunlit": lit,
        }


def as_csv(tracked: TrackedPass) -> str:
    """Return one header line and one line a time; each frequency's shift is a column that names it in Hz."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    shifted = (f"doppler_hz_{frequency:.0f}" for frequency in tracked.track.doppler_hz)
    writer.writerow(["time", *ANGLES, *shifted, "sunlit"])
    writer.writerows([iso(time), *angles, *shifts, lit] for time, angles, shifts, lit in rows(tracked))
    return text.getvalue()


def as_table(tracked: TrackedPass) -> Group:
    """Return the track with its day in the title and times in UTC."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    headings = ("time (UTC)", "azimuth", "elevation", "range km", "range rate km/s")
    shifts = (f"Doppler Hz at {megahertz(frequency)}" for frequency in tracked.track.doppler_hz)
    for column in (*headings, *shifts, "sunlit"):
        table.add_column(column, justify="right")
    whole = all(time.microsecond % 1_000_000 == 0 for time in tracked.track.times)
    for time, (azimuth, elevation, range_km, rate), doppler, lit in rows(tracked):
        table.add_row(
            f"{time:%H:%M:%S}" if whole else f"{time:%H:%M:%S.%f}"[:-5],
            told(azimuth, ".2f", "°"),
            told(elevation, ".2f", "°"),
            told(range_km, ".1f"),
            told(rate, "+.4f"),
            *(told(shift, "+.0f") for shift in doppler),
            "yes" if lit else "no",
        )
    return Group(Text(f"{heading(tracked)}, {span(tracked)}, AOS {margin(tracked.aos_uncertainty_s)}"), table)


def rows(tracked: TrackedPass) -> Iterator[tuple[datetime, list[Number], list[Number], bool]]:
    """Yield time, angles, shifts and whether the satellite is lit; None where there is no answer."""
    track = tracked.track
    columns = [getattr(track.look, name).tolist() for name in ANGLES]
    shifts = [column.tolist() for column in track.doppler_hz.values()]
    for number, time in enumerate(track.times):
        angles, shifted = ([known(column[number]) for column in group] for group in (columns, shifts))
        yield time, angles, shifted, is_lit(tracked, time)


def is_lit(tracked: TrackedPass, time: datetime) -> bool:
    return any(start <= time <= end for start, end in tracked.sunlit)


def known(value: float) -> Number:
    return None if math.isnan(value) else value


def told(value: Number, form: str, unit: str = "") -> str:
    return "?" if value is None else f"{value:{form}}{unit}"


def heading(tracked: TrackedPass) -> str:
    return f"{tracked.name} ({tracked.of.norad_id}) over {tracked.site.name}"


def span(tracked: TrackedPass) -> str:
    """Return when the pass is and how high it comes."""
    first, last = tracked.track.times[0], tracked.track.times[-1]
    day = "" if first.date() == last.date() else f"{last:%Y-%m-%d} "
    return f"{first:%Y-%m-%d %H:%M:%S} to {day}{last:%H:%M:%S} UTC, up to {tracked.of.max_elevation_deg:.1f}°"
