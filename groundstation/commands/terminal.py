"""Where tables are printed, and what shows on a terminal while something takes long."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from groundstation.telemetry.packet import Level

PIPED_WIDTH = 120
LEVEL_STYLES = {
    Level.IN_LIMITS: "green",
    Level.WATCH: "cyan",
    Level.WARNING: "yellow",
    Level.DISTRESS: "magenta",
    Level.CRITICAL: "red",
    Level.SEVERE: "bold red",
}


def console() -> Console:
    """Return where tables are printed: as wide as the terminal, or as wide as they need where none is."""
    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def working(what: str) -> Progress:
    """Return what shows on a terminal that something of unknown length goes on; elsewhere nothing."""
    bar = progress()
    bar.add_task(what, total=None)
    return bar


def progress(*, streaming: bool = False) -> Progress:
    """Return what shows on a terminal how far something is; `streaming` where output goes on meanwhile.

    It then shows nothing where the output comes to the terminal too, which tells as much.
    """
    out = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    quiet = not sys.stderr.isatty() or (streaming and sys.stdout.isatty())
    # rich would take what is printed meanwhile for the terminal, and not for the file where it should go.
    return Progress(*columns, console=out, transient=True, disable=quiet, redirect_stdout=not streaming)
