"""What the flags that several commands share mean: which configuration, and from when to when."""

import argparse
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from groundstation.commands.outcome import UsageError
from groundstation.commands.starter import starter_config

if TYPE_CHECKING:
    from groundstation.config import Config

LONGEST = timedelta(days=366)  # of a question: a century of passes would neither end nor fit into memory


def config_in_service(options: argparse.Namespace) -> "Config":
    """Return the configuration with the element sets that serve now, fetched ones among them."""
    from groundstation.commands.elements_query import serving
    from groundstation.config import load_config

    return serving(load_config(config_path(options)))


def config_path(options: argparse.Namespace) -> Path:
    """Return the configuration that was asked for, else the nearest one that exists."""
    if options.config is not None:
        return Path(options.config)
    nearest = (
        Path("groundstation.toml"),
        Path("config/groundstation.toml"),
        Path("/etc/groundstation/groundstation.toml"),
    )
    return next((path for path in nearest if path.exists()), starter_config())


def window(options: argparse.Namespace, now: datetime) -> tuple[datetime, datetime]:
    """Return from when to when was asked for: a day from now where nothing is said."""
    start: datetime = options.start or now
    return window_of(start, options.end or start + timedelta(hours=24))


def window_of(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    in_order(start, end)
    if end - start > LONGEST:
        raise UsageError(f"--to: found {end.isoformat()}, expected {LONGEST.days} days after --from at most")
    return start, end


def in_order(start: datetime, end: datetime) -> None:
    if end <= start:
        raise UsageError(f"--to: found {end.isoformat()}, expected later than --from, {start.isoformat()}")
