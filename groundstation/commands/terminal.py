"""Where tables are printed, and what shows on a terminal while something takes long."""

import sys

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

PIPED_WIDTH = 120


def console() -> Console:
    """Return where tables are printed: as wide as the terminal, or as wide as they need where none is."""
    return Console() if sys.stdout.isatty() else Console(width=PIPED_WIDTH)


def working(what: str) -> Progress:
    """Return what shows on a terminal that something of unknown length goes on; elsewhere nothing."""
    bar = progress()
    bar.add_task(what, total=None)
    return bar


def progress() -> Progress:
    out = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=out, transient=True, disable=not sys.stderr.isatty())
