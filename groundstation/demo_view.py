"""The demo's face: a live screen on a terminal, plain lines elsewhere, and the summary at the end."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from groundstation.daemon import Daemon
from groundstation.monitor.health import Health, LinkHealth
from groundstation.orbit.passes import Pass
from groundstation.pass_list import as_table
from groundstation.tally import Latest
from groundstation.telemetry.definition import Definition
from groundstation.telemetry.packet import Level
from groundstation.watch import clock, is_active

STYLES = {
    Level.IN_LIMITS: "green",
    Level.WATCH: "cyan",
    Level.WARNING: "yellow",
    Level.DISTRESS: "magenta",
    Level.CRITICAL: "red",
    Level.SEVERE: "bold red",
}
PASSES_SHOWN = 8


def screen(daemon: Daemon, satellite: str, broker: str) -> RenderableType:
    """Return the whole state as one screen: passes, the pass under way, the counts, the latest values."""
    now = datetime.now(UTC)
    health = daemon.health()
    (link,) = health.links
    title = Text.assemble(("groundstation demo", "bold"), f"   {now:%Y-%m-%d %H:%M:%S} UTC   broker: {broker}")
    return Group(
        title,
        Text(f"metrics  {daemon.url}/metrics      page  {daemon.url}/", style="cyan"),
        Panel(passes_table(daemon, now), title="next passes", title_align="left"),
        Panel(pass_progress(daemon, now), title="pass under way", title_align="left"),
        Panel(counts(link, health), title="packets", title_align="left"),
        Panel(
            values_table(daemon.tally.satellites[satellite].latest, daemon.config.definitions[satellite]),
            title="latest values",
            title_align="left",
        ),
        Text("Ctrl-C ends the demo with a summary", style="dim"),
    )


def passes_table(daemon: Daemon, now: datetime) -> RenderableType:
    upcoming = daemon.watch.upcoming(now)
    table = as_table(upcoming[:PASSES_SHOWN], names_of(daemon), daemon.watch.aos_uncertainty_s)
    more = len(upcoming) - PASSES_SHOWN
    return Group(table, Text(f"and {more} more in the next 24 h", style="dim")) if more > 0 else table


def names_of(daemon: Daemon) -> dict[str, str]:
    """Return the satellites' names by slug; what is made up says so."""
    return {
        slug: f"{definition.name} (synthetic orbit)" if definition.status == "simulated" else definition.name
        for slug, definition in daemon.config.definitions.items()
    }


def pass_progress(daemon: Daemon, now: datetime) -> RenderableType:
    lines: list[RenderableType] = []
    for this, _ in daemon.watch.active():
        if this.aos and this.los:
            bar = Table.grid(padding=(0, 2))
            bar.add_row(
                names_of(daemon)[this.satellite],
                ProgressBar(total=(this.los - this.aos).total_seconds(), completed=since(this.aos, now), width=30),
                f"{since(this.aos, now):.0f} s, LOS {clock(this.los)}, up to {this.max_elevation_deg:.0f}°",
            )
            lines.append(bar)
    if not lines:
        coming = next((p for p in daemon.watch.upcoming(now) if p.aos and p.aos > now), None)
        wait = f"none; next AOS in {since(now, coming.aos):.0f} s" if coming and coming.aos else "none"
        return Text(wait, style="dim")
    return Group(*lines)


def since(start: datetime, end: datetime) -> float:
    return (end - start).total_seconds()


def counts(link: LinkHealth, health: Health) -> RenderableType:
    grid = Table.grid(padding=(0, 3))
    grid.add_row(
        f"received [bold]{link.received}[/]",
        f"stored [bold green]{link.stored}[/]",
        f"duplicate [bold]{link.duplicate}[/]",
        f"quarantined [bold yellow]{link.quarantined}[/]",
        f"in flight [bold]{link.in_flight}[/]",
        balance(link),
    )
    reasons = ", ".join(f"{reason} {count}" for reason, count in health.rejected.items() if count)
    return Group(grid, Text(f"in quarantine because of: {reasons}", style="dim")) if reasons else grid


def balance(link: LinkHealth) -> str:
    return "[red]does not balance[/]" if link.imbalance() else "[green]balances[/]"


def values_table(latest: Mapping[str, Latest], definition: Definition) -> RenderableType:
    if not latest:
        return Text("none yet", style="dim")
    units = {p.name: p.unit or "" for packet in definition.packets for p in packet.parameters}
    grid = Table.grid(padding=(0, 2))
    cells = [
        (name, Text(f"{shown(entry)} {units.get(name, '')}", style=STYLES[entry.level]), level_of(entry))
        for name, entry in latest.items()
    ]
    half = (len(cells) + 1) // 2
    for left, right in zip(cells[:half], [*cells[half:], ("", Text(), "")][:half], strict=True):
        grid.add_row(*left, *right)
    return grid


def shown(entry: Latest) -> str:
    return f"{entry.value:.3f}" if isinstance(entry.value, float) else str(entry.value)


def level_of(entry: Latest) -> str:
    return entry.level.name.lower() if entry.level else ""


def plain_line(daemon: Daemon, satellite: str, now: datetime) -> str:
    """Return the state as one line, for logs and pipes."""
    (link,) = daemon.health().links
    under_way = [f"{this.satellite} until {clock(this.los)}" for this in daemon.watch.passes if is_active(this, now)]
    where = f"pass of {', '.join(under_way)}" if under_way else "no pass"
    out = [
        f"{name} {shown(entry)} {level_of(entry)}"
        for name, entry in daemon.tally.satellites[satellite].latest.items()
        if entry.level
    ]
    limits = f"; out of limits: {', '.join(out)}" if out else ""
    return f"{now:%H:%M:%S}Z {where}; {equation(link)}{limits}"


def equation(link: LinkHealth) -> str:
    """Return the conservation equation in figures."""
    return (
        f"received {link.received} = stored {link.stored} + duplicate {link.duplicate}"
        f" + quarantined {link.quarantined} + in flight {link.in_flight}"
    )


def print_passes(console: Console, daemon: Daemon, now: datetime) -> None:
    """Print all the coming passes once, for where there is no live screen."""
    passes: Sequence[Pass] = daemon.watch.upcoming(now)
    uncertainty_s = daemon.watch.aos_uncertainty_s
    console.print(as_table(passes, names_of(daemon), uncertainty_s, title="passes of the next 24 h"))
