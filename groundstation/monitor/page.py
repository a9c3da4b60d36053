"""The page at `/`: the whole state at a glance, in plain HTML that needs no script, network or stylesheet."""

from collections.abc import Iterable, Sequence
from html import escape
from math import ceil

from groundstation.monitor.health import Health, SatelliteHealth, StationHealth
from groundstation.telemetry.moments import duration, moment_of

REFRESH_S = 5
OLD_US = 14 * 86_400 * 1_000_000  # what SGP4 is good for, and from which ElementsExpired fires
STYLE = """
body{font:15px/1.45 system-ui,sans-serif;margin:1.2rem auto;max-width:62rem;padding:0 1rem;
color:#1c2430;background:#fff}
h1{font-size:1.35rem;margin:0 0 .2rem}h2{font-size:1.02rem;margin:1.5rem 0 .35rem}
table{border-collapse:collapse;width:100%}th,td{padding:.22rem .8rem .22rem 0;text-align:left;white-space:nowrap}
th{font-weight:600;color:#566070;border-bottom:1px solid #ccd3dc}td{border-bottom:1px solid #eef1f4}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}section{overflow-x:auto}
.good{color:#11692f}.bad{color:#a8141c;font-weight:600}.old{color:#8a5200}.dim{color:#566070}
.state{padding:.5rem .8rem;border-left:5px solid;background:#f5f7f9}ul{margin:.2rem 0 0;padding-left:1.2rem}
@media(prefers-color-scheme:dark){body{color:#dde3ea;background:#14181e}th{color:#98a4b3;border-color:#39424e}
td{border-color:#252c35}.state{background:#1c222a}.good{color:#63c883}.bad{color:#ff8a8a}.old{color:#f0b45c}.dim{color:#98a4b3}a{color:#8ab8ff}}
"""


def page(health: Health, missing: Sequence[str] = ()) -> str:
    """Return the whole page; `missing` is what the daemon still waits for before it is ready."""
    since = duration(health.now_us - health.started_at_us)
    each = (passes, heard, contacts, stations, links, satellites, archive, tasks)
    sections = [section(health) for section in each]
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="{REFRESH_S}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title(health, missing)} – groundstation</title><style>{STYLE}</style></head><body>
<h1>groundstation {escape(health.version)}</h1>
<p class="dim">{clock(health.now_us, with_date=True)} UTC, running for {since}</p>
{state(health, missing)}
{"".join(sections)}
<p><a href="/metrics">metrics</a> · <a href="/healthz">health</a> · <a href="/readyz">readiness</a> ·
<a href="/api/status">status as JSON</a> · <a href="/passes.ics">passes as a calendar</a></p></body></html>
"""


def title(health: Health, missing: Sequence[str]) -> str:
    if problems := health.problems():
        return f"{len(problems)} problem{'s' * (len(problems) > 1)}"
    return "starting" if missing else "healthy"


def state(health: Health, missing: Sequence[str]) -> str:
    lines = health.problems() + [f"not ready: {one}" for one in missing]
    if not lines:
        return '<p class="state good">Healthy: nobody needs to come.</p>'
    return f'<div class="state bad">Look at this:<ul>{"".join(f"<li>{escape(line)}</li>" for line in lines)}</ul></div>'


def passes(health: Health) -> str:
    rows = [
        [
            escape(one.satellite),
            escape(one.station),
            when(active=one.active, start_us=one.aos_us, end_us=one.los_us, now_us=health.now_us),
            clock(one.aos_us),
            margin(one.aos_uncertainty_s),
            clock(one.los_us),
            number(f"{one.max_elevation_deg:.1f}°"),
            number(f"{one.packets:,}" if one.active else "–"),
        ]
        for one in sorted(health.passes, key=lambda one: one.aos_us)
    ]
    heads = ["satellite", "station", "", "AOS (UTC)", "AOS ±", "LOS (UTC)", "#max elevation", "#packets"]
    return table("Passes", heads, rows)


def heard(health: Health) -> str:
    rows = [
        [
            number(str(one.number)),
            escape(one.satellite),
            escape(one.station),
            ago(one.los_us, health.now_us),
            clock(one.aos_us),
            clock(one.los_us),
            number(f"{one.max_elevation_deg:.1f}°"),
            number(f"{one.packets:,}"),
        ]
        for one in health.heard
    ]
    heads = ["#number", "satellite", "station", "", "AOS (UTC)", "LOS (UTC)", "#max elevation", "#packets"]
    return table("Last passes heard", heads, rows, "<code>groundstation record NUMBER FILE</code> keeps one in a file.")


def margin(seconds: float | None) -> str:
    """Return how early or late an AOS may be, never less than it is."""
    return "?" if seconds is None else duration(max(ceil(seconds), 1) * 1_000_000)


def when(*, active: bool, start_us: int, end_us: int, now_us: int) -> str:
    if active:
        return f'<span class="good">under way, {duration(end_us - now_us)} left</span>'
    return f"in {duration(start_us - now_us)}"


def contacts(health: Health) -> str:
    rows = [
        [
            escape(one.satellite),
            escape(one.station),
            when(active=one.active, start_us=one.start_us, end_us=one.end_us, now_us=health.now_us),
            clock(one.start_us),
            clock(one.end_us),
            number(f"{one.max_elevation_deg:.1f}°"),
            "committed" if one.committed else "planned",
        ]
        for one in sorted(health.contacts, key=lambda one: one.start_us)
    ]
    left = [f"{escape(one.station)} leaves {sum(one.skipped.values())} passes" for one in health.plans]
    heads = ["satellite", "station", "", "start (UTC)", "end (UTC)", "#max elevation", ""]
    return table("Contacts", heads, rows, ", ".join(left))


def stations(health: Health) -> str:
    rows = [
        [
            escape(one.station),
            presence(one),
            ago(one.last_seen_at_us, health.now_us),
            clock_state(one),
            escape(one.software) or "–",
        ]
        for one in health.stations
    ]
    return table("Stations", ["station", "", "last seen", "clock", "software"], rows)


def presence(one: StationHealth) -> str:
    if one.online is None:
        return '<span class="dim">has not said</span>'
    return mark(good=one.online, text="online" if one.online else "offline")


def clock_state(one: StationHealth) -> str:
    if one.clock_synchronised is None:
        return "–"
    return mark(good=one.clock_synchronised, text="synchronised" if one.clock_synchronised else "not synchronised")


def links(health: Health) -> str:
    rows = [
        [
            escape(link.name),
            mark(good=link.up, text=("paused: inbox full" if link.paused else "up") if link.up else "down"),
            *(number(f"{n:,}") for n in (link.received, link.stored, link.duplicate, link.quarantined, link.in_flight)),
            mark(good=link.imbalance() == 0, text="holds" if link.imbalance() == 0 else f"off by {link.imbalance():,}"),
            ago(link.last_message_at_us, health.now_us),
        ]
        for link in health.links
    ]
    heads = ["link", "", "#received", "#= stored", "#+ duplicate", "#+ quarantined", "#+ in flight", "", "last message"]
    inbox = f"Inbox {health.inbox_messages:,} of {health.inbox_capacity:,} messages."
    reasons = [f"{escape(reason)} {count:,}" for reason, count in sorted(health.rejected.items()) if count]
    quarantine = f" In quarantine since the start: {', '.join(reasons)}." if reasons else ""
    return table("Links", heads, rows, f"{inbox}{quarantine}")


def satellites(health: Health) -> str:
    epochs = {one.satellite: one.epoch_us for one in health.elements}
    gone = [one for one in health.satellites if one.decayed and one.last_received_at_us is None]
    rows = [
        [
            escape(one.satellite),
            number(f"{sum(one.stored.values()):,}"),
            number(f"{sum(one.duplicates.values()):,}"),
            number(f"{one.missing:,}"),
            ago(one.last_received_at_us, health.now_us),
            limits(one),
            elements_age(epochs.get(one.satellite), health.now_us),
        ]
        for one in health.satellites
        if one not in gone
    ]
    heads = ["satellite", "#stored", "#duplicate", "#missing", "last heard", "out of limits", "elements"]
    note = f"Decayed and never heard, so not shown: {len(gone)}." if gone else ""
    return table("Satellites", heads, rows, note)


def elements_age(epoch_us: int | None, now_us: int) -> str:
    if epoch_us is None:
        return "none"
    age_us = now_us - epoch_us
    text = f"{duration(age_us)} old"
    return f'<span class="old">{text}</span>' if age_us > OLD_US else text


def limits(one: SatelliteHealth) -> str:
    if one.last_received_at_us is None:
        return "–"
    out = [f"{count} {escape(level)}" for level, count in one.out_of_limits.items() if count]
    return mark(good=not out, text=", ".join(out) or "none")


def archive(health: Health) -> str:
    one = health.archive
    mean_ms = f"{one.write_seconds / one.writes * 1e3:.1f} ms" if one.writes else "–"
    taken, free = ("–" if found is None else size(found) for found in (one.size_bytes, one.free_bytes))
    row = [
        mark(good=one.up, text="up" if one.up else "cannot be written"),
        ago(one.last_commit_at_us, health.now_us),
        *(number(text) for text in (f"{one.writes:,}", mean_ms, f"{one.errors:,}", taken, free)),
    ]
    heads = ["", "last commit", "#commits", "#mean time", "#failed", "#size", "#free"]
    return table("Archive", heads, [row])


def tasks(health: Health) -> str:
    shown = ", ".join(f"{escape(name)} {idle_s:.0f} s" for name, idle_s in sorted(health.tasks.items()))
    return f'<h2>Tasks</h2><p class="dim">Since each last made progress: {shown or "–"}.</p>'


def table(name: str, heads: Sequence[str], rows: Iterable[Sequence[str]], note: str = "") -> str:
    """Return a section with one table; a head that begins with # belongs to a column of numbers."""
    header = "".join(f'<th class="n">{head[1:]}</th>' if head.startswith("#") else f"<th>{head}</th>" for head in heads)
    body = "".join(row(cells) for cells in rows) or f'<tr><td class="dim" colspan="{len(heads)}">none</td></tr>'
    whole = f"<table><thead><tr>{header}</tr></thead><tbody>{body}</tbody></table>"
    after = f'<p class="dim">{note}</p>' if note else ""
    return f"<section><h2>{name}</h2>{whole}</section>{after}"


def row(cells: Iterable[str]) -> str:
    return f"<tr>{''.join(cell if cell.startswith('<td') else f'<td>{cell}</td>' for cell in cells)}</tr>"


def number(text: str) -> str:
    return f'<td class="n">{text}</td>'


def mark(*, good: bool, text: str) -> str:
    return f'<span class="{"good" if good else "bad"}">{text}</span>'


def clock(moment_us: int, *, with_date: bool = False) -> str:
    return moment_of(moment_us).strftime("%Y-%m-%d %H:%M:%S" if with_date else "%d %b %H:%M:%S")


def ago(moment_us: int | None, now_us: int) -> str:
    return "never" if moment_us is None else f"{duration(now_us - moment_us)} ago"


def size(number_of_bytes: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if number_of_bytes < 1000:
            return f"{number_of_bytes:.3g} {unit}"
        number_of_bytes /= 1000
    return f"{number_of_bytes:.3g} TB"
