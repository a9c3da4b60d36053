"""Element sets and their sources as people and programs read them."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.table import Table

from groundstation.commands.elements_query import Kept, SourceState, Updated
from groundstation.figures import iso


def kept_as_json(kept: Sequence[Kept], sources: Sequence[SourceState], now: datetime) -> str:
    """Return one object with `elements` and `sources`; times are ISO in UTC, null where nothing happened yet."""
    sets = [
        {
            "satellite": one.elements.name,
            "norad_id": one.elements.norad_id,
            "epoch": iso(one.elements.epoch),
            "age_days": round(age_days(one, now), 3),
            "source": one.elements.source,
            "since": iso_or_none(one.since),
            "predicted": one.flies,
        }
        for one in kept
    ]
    return json.dumps({"elements": sets, "sources": [plain(one) for one in sources]}, indent=2, ensure_ascii=False)


def plain(one: SourceState) -> dict[str, Any]:
    return {
        "name": one.name,
        "asked_at": iso_or_none(one.asked_at),
        "outcome": one.outcome,
        "detail": one.detail,
        "succeeded_at": iso_or_none(one.succeeded_at),
        "next_at": iso_or_none(one.next_at),
    }


def kept_as_table(kept: Sequence[Kept], now: datetime) -> Table:
    """Return a line a set; its age is from its epoch, and it serves since it came through the gate."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("satellite", "left"), ("NORAD", "right"), ("epoch (UTC)", "left"), ("age", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]  # a Literal to rich
    table.add_column("source", overflow="fold")
    table.add_column("serves since", no_wrap=True)
    for one in kept:
        since = f"{one.since:%Y-%m-%d %H:%M}" if one.since else "not seen by a daemon"
        table.add_row(
            one.elements.name,
            str(one.elements.norad_id),
            f"{one.elements.epoch:%Y-%m-%d %H:%M:%S}",
            f"{age_days(one, now):.1f} d",
            one.elements.source.rpartition("/")[2],
            since if one.flies else "decayed: not predicted",
        )
    return table


def source_line(one: SourceState) -> str:
    """Return in one line how a source stands: current until when, or what was wrong."""
    if one.asked_at is None or one.next_at is None:
        return f"{one.name}: never asked"
    until = f"{one.next_at:%Y-%m-%d %H:%M:%SZ}"
    if one.good:
        return f"{one.name}: current until {until}"
    why = f"{one.outcome} at {one.asked_at:%H:%M:%SZ}" + (f" ({one.detail})" if one.detail else "")
    return f"{one.name}: {why}; may be asked again at {until}"


def updates_as_json(done: Sequence[Updated]) -> str:
    found = [plain(one.state) | {"asked": one.asked, "admitted": one.admitted} for one in done]
    return json.dumps(found, indent=2, ensure_ascii=False)


def update_line(one: Updated) -> str:
    said = source_line(one.state)
    if not one.asked:
        return f"{said} (not asked now)"
    return f"{said}; {one.admitted} new element sets serve" if one.state.good else said


def age_days(one: Kept, now: datetime) -> float:
    return (now - one.elements.epoch).total_seconds() / 86400


def iso_or_none(moment: datetime | None) -> str | None:
    return iso(moment) if moment else None
