"""Contacts as people and programs read them: every pass, who takes it, and why the others do not."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from groundstation.figures import iso
from groundstation.orbit.contacts import Contact, Plan, Skipped
from groundstation.orbit.network import Opportunity
from groundstation.orbit.passes import Pass

BEFORE_ALL = datetime.min.replace(tzinfo=UTC)
Entry = Contact | Skipped


def entries_of(plans: Iterable[Plan]) -> list[Entry]:
    """Return all that is taken and left, by AOS."""
    every: list[Entry] = []
    for plan in plans:
        every += [*plan.contacts, *plan.skipped]
    return sorted(every, key=lambda one: (one.of.aos or BEFORE_ALL, one.of.norad_id, one.of.site))


def plans_as_json(plans: Iterable[Plan]) -> str:
    """Return a JSON array with one object a pass; times are ISO in UTC, null where an edge is unknown."""
    return dump([plain(one) for one in entries_of(plans)])


def network_as_json(found: Iterable[Opportunity]) -> str:
    """Return a JSON array with one object an opportunity, and in it one for each station that sees it."""
    return dump(
        [
            {
                "satellite": one.satellite,
                "norad_id": one.norad_id,
                "start": iso_or_none(one.start),
                "end": iso_or_none(one.end),
                "covered": one.covered,
                "stations": [plain(entry) for entry in one.entries],
            }
            for one in found
        ]
    )


def dump(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def plain(one: Entry) -> dict[str, Any]:
    """Return a contact or a pass that is left, with the same keys."""
    taken = isinstance(one, Contact)
    return {
        "satellite": one.of.satellite,
        "norad_id": one.of.norad_id,
        "station": one.of.site,
        "start": iso_or_none(one.start if isinstance(one, Contact) else one.of.aos),
        "end": iso_or_none(one.end if isinstance(one, Contact) else one.of.los),
        "max_elevation_deg": one.of.max_elevation_deg,
        "taken": taken,
        "committed": isinstance(one, Contact) and one.committed,
        "weight": one.weight,
        "reason": one.reason.value if isinstance(one, Skipped) else None,
        "why": one.why if isinstance(one, Skipped) else None,
        "in_the_way": [named(other) for other in one.in_the_way] if isinstance(one, Skipped) else [],
    }


def named(one: Contact) -> dict[str, Any]:
    return {"satellite": one.of.satellite, "norad_id": one.of.norad_id, "start": iso(one.start), "end": iso(one.end)}


def iso_or_none(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def plans_as_table(plans: Mapping[str, Plan], names: Mapping[str, str], title: str) -> Table:
    """Return every pass with what its station does about it."""
    table = empty_table(title)
    several = len(plans) > 1
    if several:
        table.add_column("station", no_wrap=True)
    table.add_column("weight", justify="right", no_wrap=True, min_width=6)
    table.add_column("antenna", overflow="fold")
    for one in entries_of(plans.values()):
        table.add_row(
            *who(one.of, names),
            *when(one.of.aos, one.of.los),
            f"{one.of.max_elevation_deg:.0f}°",
            *([one.of.site] if several else []),
            "" if one.weight is None else f"{one.weight:.2f}",
            Text(does(one)),
            style="bold" if isinstance(one, Contact) else "dim",
        )
    return table


def network_as_table(found: Sequence[Opportunity], names: Mapping[str, str], title: str) -> Table:
    """Return every opportunity with the stations that take it and those that do not."""
    table = empty_table(title)
    table.add_column("taken by", no_wrap=True)
    table.add_column("left by")
    for one in found:
        highest_deg = max(entry.of.max_elevation_deg for entry in one.entries)
        table.add_row(
            *who(one, names),
            *when(one.start, one.end),
            f"{highest_deg:.0f}°",
            Text(", ".join(entry.of.site for entry in one.taken) or "nobody", style="" if one.covered else "red"),
            Text(", ".join(f"{entry.of.site} ({entry.reason})" for entry in one.left)),
            style="bold" if one.covered else None,
        )
    covered = sum(one.covered for one in found)
    table.caption = f"{covered} of {len(found)} opportunities are taken by a station"
    return table


def empty_table(title: str) -> Table:
    table = Table(
        title=title, title_justify="left", caption_justify="left", box=None, pad_edge=False, header_style="bold"
    )
    table.add_column("satellite", min_width=16, max_width=32)  # the one that gives way: long names are cut
    for heading, width in {"NORAD": 5, "AOS (UTC)": 14, "LOS": 8, "max": 3}.items():
        table.add_column(heading, justify="right", no_wrap=True, min_width=width)
    return table


def who(of: Pass | Opportunity, names: Mapping[str, str]) -> tuple[Text, str]:
    return Text(names.get(of.satellite, of.satellite), no_wrap=True, overflow="ellipsis"), str(of.norad_id)


def when(start: datetime | None, end: datetime | None) -> tuple[str, str]:
    return f"{start:%m-%d %H:%M:%S}" if start else "before", f"{end:%H:%M:%S}" if end else "after"


def does(one: Entry) -> str:
    """Return what the antenna does about a pass, in words."""
    if isinstance(one, Contact):
        return "committed" if one.committed else "takes it"
    return f"{one.reason}: {one.why}"
