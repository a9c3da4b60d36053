"""The demo's face: a live screen on a terminal, plain lines elsewhere, and the summary at the end."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from groundstation.commands.passes_view import as_table
from groundstation.commands.terminal import LEVEL_STYLES
from groundstation.daemon import Daemon
from groundstation.monitor.health import Health, LinkHealth
from groundstation.orbit.passes import Pass
from groundstation.tally import Latest
from groundstation.telemetry.definition import Definition
from groundstation.watch import clock

PASSES_SHOWN = 8
VALUES_IN_LINE = 4
FIXED_LINES = 13  # of the screen, beside the passes and the values


def screen(daemon: Daemon, satellite: str, broker: str, height: int) -> RenderableType:
    """Return the whole state as one screen of at most `height` lines: passes, progress, counts, latest values."""
    now = datetime.now(UTC)
    health = daemon.health()
    (link,) = health.links
    values = values_table(daemon.tally.satellites[satellite].latest, daemon.config.definitions[satellite])
    below = Group(
        heading("pass under way"),
        pass_progress(daemon, now),
        heading("packets"),
        counts(link, health),
        heading("latest values"),
        values,
        Text("Ctrl-C ends the demo with a summary", style="dim"),
    )
    lines_below = FIXED_LINES + (values.row_count if isinstance(values, Table) else 1)
    return Group(
        Text.assemble(("groundstation demo", "bold"), f"   {now:%Y-%m-%d %H:%M:%S} UTC   broker: {broker}"),
        Text(f"metrics {daemon.url}/metrics   page {daemon.url}/", style="cyan", no_wrap=True),
        heading("next passes"),
        passes_table(daemon, now, min(max(height - lines_below, 1), PASSES_SHOWN)),
        below,
    )


def heading(text: str) -> Rule:
    return Rule(text, align="left", style="dim")


def passes_table(daemon: Daemon, now: datetime, most: int) -> RenderableType:
    upcoming = daemon.watch.upcoming(now)
    table = as_table(upcoming[:most], names_of(daemon), daemon.watch.aos_uncertainty_s)
    more = len(upcoming) - most
    return Group(table, Text(f"and {more} more in the next 24 h", style="dim")) if more > 0 else table


def names_of(daemon: Daemon) -> dict[str, str]:
    """Return the satellites' names by slug; what is made up says so."""
    return {
        slug: f"{definition.name} (synthetic orbit)" if definition.status == "simulated" else definition.name
        for slug, definition in daemon.config.definitions.items()
    }


def pass_progress(daemon: Daemon, now: datetime) -> RenderableType:
    for this, _ in daemon.watch.active():
        if this.aos and this.los:
            bar = Table.grid(padding=(0, 2))
            bar.add_row(
                this.satellite,
                ProgressBar(total=since(this.aos, this.los), completed=since(this.aos, now), width=24),
                f"{progress(this, now)}, LOS {clock(this.los)}, up to {this.max_elevation_deg:.0f}°",
            )
            return bar
    coming = next((p for p in daemon.watch.upcoming(now) if p.aos and p.aos > now), None)
    if coming is None or coming.aos is None:
        return Text("none", style="dim")
    return Text(f"none; {coming.satellite} rises in {since(now, coming.aos):.0f} s", style="dim")


def progress(this: Pass, now: datetime) -> str:
    """Return how far a pass has come, as `41 s of 544 s`."""
    assert this.aos is not None
    assert this.los is not None
    return f"{since(this.aos, now):.0f} s of {since(this.aos, this.los):.0f} s"


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


def values_table(latest: Mapping[str, Latest], definition: Definition) -> Text | Table:
    if not latest:
        return Text("none yet", style="dim")
    units = {p.name: p.unit or "" for packet in definition.packets for p in packet.parameters}
    grid = Table.grid(padding=(0, 2))
    cells = [
        (name, Text(f"{shown(entry)} {units.get(name, '')}", style=LEVEL_STYLES[entry.level]), level_of(entry))
        for name, entry in latest.items()
    ]
    half = (len(cells) + 1) // 2
    for left, right in zip(cells[:half], [*cells[half:], ("", Text(), "")][:half], strict=True):
        grid.add_row(*left, *right)
    return grid


def shown(entry: Latest) -> str:
    return f"{entry.value:.3f}" if isinstance(entry.value, float) else str(entry.value)


def level_of(entry: Latest) -> str:
    """Return the level in a word, for whom colour tells nothing; "ok" is in limits."""
    return entry.level.name.lower() if entry.level else "ok"


def plain_line(daemon: Daemon, satellite: str, now: datetime) -> str:
    """Return the state as one line, for logs and pipes: pass, counts, what is out of limits and some values."""
    (link,) = daemon.health().links
    active = [f"{this.satellite} {progress(this, now)}" for this, _ in daemon.watch.active() if this.aos and this.los]
    where = f"pass of {', '.join(active)}" if active else "no pass"
    latest = daemon.tally.satellites[satellite].latest
    worst = sorted(latest.items(), key=lambda item: -item[1].level)[:VALUES_IN_LINE]
    values = ", ".join(f"{name} {shown(entry)} {level_of(entry)}" for name, entry in worst)
    return f"{now:%H:%M:%S}Z {where}; {equation(link)}" + (f"; {values}" if values else "")


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
