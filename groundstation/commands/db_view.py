"""What `groundstation db` says of an archive, for people and programs."""

import dataclasses
import json
from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from groundstation.archive.maintenance import Checked, SatelliteStats, Stats
from groundstation.figures import iso
from groundstation.telemetry.moments import moment_of


def checked_as_json(checked: Sequence[Checked]) -> str:
    return json.dumps([{**dataclasses.asdict(one), "good": not one.faults} for one in checked], indent=2)


def checked_as_table(checked: Sequence[Checked]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    for one in checked:
        table.add_row(one.what, Text("\n".join(one.faults) or "good"))
    return table


def stats_as_json(stats: Stats) -> str:
    content = dataclasses.asdict(stats) | {"satellites": [satellite_plain(one) for one in stats.satellites]}
    return json.dumps(content, indent=2)


def satellite_plain(one: SatelliteStats) -> dict[str, str | int]:
    return {
        "satellite": one.satellite,
        "packets": one.packets,
        "first_generated_at": iso(moment_of(one.first_generated_at_us)),
        "last_generated_at": iso(moment_of(one.last_generated_at_us)),
        "last_received_at": iso(moment_of(one.last_received_at_us)),
    }


def stats_as_table(stats: Stats) -> Table:
    free = "" if stats.free_bytes is None else f", {size(stats.free_bytes)} free on its file system"
    title = f"revision {stats.revision}, {size(stats.size_bytes)}{free}"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column("table, satellite")
    table.add_column("rows, packets", justify="right")
    for heading in ("first generated (UTC)", "last generated (UTC)", "last received (UTC)"):
        table.add_column(heading, no_wrap=True)
    for name, rows in stats.rows.items():
        table.add_row(name, f"{rows:,}")
    for one in stats.satellites:
        times = (one.first_generated_at_us, one.last_generated_at_us, one.last_received_at_us)
        table.add_row(one.satellite, f"{one.packets:,}", *(f"{moment_of(time):%Y-%m-%d %H:%M:%S}" for time in times))
    return table


def size(count: int) -> str:
    """Return bytes as people say them."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} TiB"
