"""`groundstation demo`: the real daemon, a broker of its own and a satellite that rises over the station at once.

broker (loopback) ◄── simulated station and satellite
    │
    └──► Daemon, as `groundstation run` starts it ──► SQLite in a temporary directory
"""

import argparse
import asyncio
import logging
import tempfile
from collections.abc import Coroutine
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
from rich.console import Console
from rich.live import Live

from groundstation.commands import terminal
from groundstation.commands.called_as import typed
from groundstation.commands.demo_view import equation, plain_line, print_passes, screen
from groundstation.commands.outcome import report_failures
from groundstation.commands.record import record_pass
from groundstation.commands.starter import starter_config
from groundstation.config import Config, load_config
from groundstation.daemon import Daemon, stop_on_signals
from groundstation.link.broker import demo_broker
from groundstation.link.settings import LinkSettings
from groundstation.link.simulator import simulate
from groundstation.orbit.synthetic import rising_over
from groundstation.telemetry.moments import microseconds

SATELLITE = "demo-sat"
SYNTHETIC_NUMBER = 999_999_999  # no catalogue has it
AOS_AFTER_S = 15.0
MAX_ELEVATION_DEG = 62.0
RATE_HZ = 4.0
SCREEN_EVERY_S, PLAIN_EVERY_S = 0.5, 5.0


def command(options: argparse.Namespace) -> int:
    statuses: list[int] = []
    failed = report_failures(lambda: statuses.append(asyncio.run(demo(options.duration, options.keep, options.broker))))
    return failed or statuses[0]


async def demo(duration_s: float | None, keep: Path | None, broker_kind: str | None = None) -> int:
    """Show the station at work until Ctrl-C or for `duration_s`; return 0 if every packet is accounted for."""
    console = terminal.console()
    logging.basicConfig(level="WARNING", format="%(levelname)s %(message)s")
    logging.getLogger("groundstation.archive").setLevel(logging.ERROR)  # its hints are for archives that last
    with tempfile.TemporaryDirectory(prefix="groundstation-demo-") as temporary:
        directory = keep or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        aos = datetime.now(UTC) + timedelta(seconds=AOS_AFTER_S)
        async with demo_broker(Path(temporary), broker_kind) as broker:
            daemon = Daemon(demo_config(directory, broker.host, broker.port, aos))
            stopping = asyncio.Event()
            with stop_on_signals(stopping):
                await work(console, daemon, broker.kind, duration_s, stopping)
        return conclude(console, daemon, keep, aos)


def demo_config(directory: Path, host: str, port: int, aos: datetime) -> Config:
    """Return the shipped configuration with the demo's broker, archive and satellite in it."""
    shipped = load_config(starter_config())
    site = next(iter(shipped.sites.values()))
    link = LinkSettings(name="mqtt", host=host, port=port, client_id="groundstation-demo")
    settings = msgspec.structs.replace(
        shipped.settings,
        links=(link,),
        archive=msgspec.structs.replace(shipped.settings.archive, url=f"sqlite:///{directory / 'groundstation.db'}"),
        http=msgspec.structs.replace(shipped.settings.http, port=0),
    )
    synthetic = rising_over(site, aos, MAX_ELEVATION_DEG, SYNTHETIC_NUMBER, SATELLITE)
    return replace(shipped, settings=settings, elements=(synthetic, *shipped.elements))


async def work(
    console: Console, daemon: Daemon, broker: str, duration_s: float | None, stopping: asyncio.Event
) -> None:
    """Run daemon, satellite and view together; then stop the satellite first, as a pass would end."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(daemon.run(stopping), name="daemon")
        await first(daemon.ready.wait(), stopping.wait())
        sending = tasks.create_task(transmit(daemon), name="satellite")
        ending = None
        if duration_s is not None:
            ending = asyncio.get_running_loop().call_later(duration_s, stopping.set)
        try:
            await show(console, daemon, broker, stopping)
        finally:
            sending.cancel()
            if ending is not None:
                ending.cancel()
            stopping.set()


async def first(*waits: Coroutine[Any, Any, Any]) -> None:
    """Wait until one of `waits` is over and leave the others."""
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()


async def transmit(daemon: Daemon) -> None:
    """Send telemetry while the synthetic satellite is above the mask."""
    config = daemon.config
    this = next(p for p in daemon.watch.passes if p.satellite == SATELLITE)
    assert this.aos is not None
    assert this.los is not None
    await simulate(
        config.settings.links[0],
        config.definitions[SATELLITE],
        this.site,
        start_us=microseconds(this.aos),
        end_us=microseconds(this.los),
        rate_hz=RATE_HZ,
    )


async def show(console: Console, daemon: Daemon, broker: str, stopping: asyncio.Event) -> None:
    """Keep the view fresh until `stopping`: a screen on a terminal, else a line every few seconds."""
    if console.is_terminal:
        with Live(console=console, screen=False, auto_refresh=False) as live:
            while not await passes_by(stopping, SCREEN_EVERY_S):
                live.update(screen(daemon, SATELLITE, broker, console.height), refresh=True)
        return
    print_passes(console, daemon, datetime.now(UTC))
    console.print(f"broker: {broker}; metrics: {daemon.url}/metrics", soft_wrap=True)
    while not await passes_by(stopping, PLAIN_EVERY_S):
        console.print(plain_line(daemon, SATELLITE, datetime.now(UTC)), soft_wrap=True)


async def passes_by(stopping: asyncio.Event, seconds: float) -> bool:
    """Wait for `stopping`, but no longer than `seconds`; return whether it is set."""
    try:
        async with asyncio.timeout(seconds):
            return await stopping.wait()
    except TimeoutError:
        return False


def conclude(console: Console, daemon: Daemon, keep: Path | None, aos: datetime) -> int:
    """Print the summary and return the exit status: 0 only if the equation holds and nothing is in flight."""
    (link,) = daemon.health().links
    whole = link.imbalance() == 0 and link.in_flight == 0
    console.print(
        f"[bold]{equation(link)}[/]  {'every packet is accounted for' if whole else 'DOES NOT BALANCE'}", soft_wrap=True
    )
    if keep is not None:
        recording = keep / "pass.gspass"
        record_pass(daemon.config, f"{SATELLITE}@{aos + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}", recording)
        console.print(
            f"kept: {keep / 'groundstation.db'} and {recording}; play it again with", soft_wrap=True, markup=False
        )
        to = f"sqlite:///{(keep / 'again.db').resolve()}"
        again = typed("replay", recording.resolve(), "--speed", "max", "--to", to)
        console.print(f"  {again}", soft_wrap=True, markup=False, highlight=False)
    return 0 if whole else 1
