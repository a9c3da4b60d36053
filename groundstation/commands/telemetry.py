"""`groundstation telemetry`: what the archive has of a satellite: latest values, parameters over time, packets."""

import argparse
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from groundstation.archive.queries import By
from groundstation.archive.rows import HOUR_US
from groundstation.commands import telemetry_view
from groundstation.commands.flags import config_path, in_order
from groundstation.commands.outcome import UsageError, report_failures, warn
from groundstation.commands.telemetry_query import Span, Telemetry
from groundstation.commands.telemetry_view import Format, Layout, Summed, Valued, written
from groundstation.commands.terminal import console, progress
from groundstation.config import load_config
from groundstation.telemetry.moments import microseconds
from groundstation.telemetry.packet import Packet

T = TypeVar("T")
PAST = timedelta(hours=24)  # where nothing is said
BY: dict[str | None, By] = {None: "generated_at", "generation": "generated_at", "reception": "received_at"}


def command(options: argparse.Namespace) -> int:
    check_flags(options)
    now = datetime.now(UTC)
    span = span_asked(options, now)
    parameters = tuple(dict.fromkeys(options.parameters))
    config = load_config(config_path(options))

    def show() -> None:
        archive = Telemetry(config)
        archive.check_names(options.satellite, parameters)
        if options.packets:
            show_packets(archive, span, options.format)
        elif options.points:
            show_summaries(archive, span, parameters, options.points, options.format)
        elif parameters:
            show_values(archive, span, parameters, options.format)
        else:
            show_latest(archive, options.satellite, options.format)

    return report_failures(show)


def check_flags(options: argparse.Namespace) -> None:
    """Raise UsageError for flags that mean nothing together."""
    if options.packets and (options.parameters or options.points):
        found = options.parameters[0] if options.parameters else "--points"
        raise UsageError(f"--packets: found with {found}, expected alone: it shows packets whole")
    flags = {"--from": options.start, "--to": options.end, "--points": options.points, "--by": options.by}
    given = [flag for flag, value in flags.items() if value is not None]
    if given and not options.packets and not options.parameters:
        raise UsageError(f"{given[0]}: found without PARAMETER or --packets, expected one: the latest have no range")


def span_asked(options: argparse.Namespace, now: datetime) -> Span:
    end = options.end or now
    start = options.start or end - PAST
    in_order(start, end)
    return Span(options.satellite, microseconds(start), microseconds(end), BY[options.by])


def show_latest(archive: Telemetry, satellite: str, form: Format) -> None:
    found, now = archive.latest(satellite), datetime.now(UTC)
    layout = telemetry_view.of_latest(archive.units(satellite), now)
    if form != "table":
        write([found], layout, form)
    elif found:
        console().print(telemetry_view.latest_table(found, layout, f"{satellite}, {now:%Y-%m-%d %H:%M:%S} UTC"))
    if not found:
        warn([f"no realtime values of {satellite} yet; {archive.newest(satellite)}"])


def show_values(archive: Telemetry, span: Span, parameters: Sequence[str], form: Format) -> None:
    seen: set[str] = set()

    def values() -> Iterator[list[Valued]]:
        for page in watched(archive.packets(span), span):
            found = [(one, name) for one in page for name in parameters if name in one.values]
            seen.update(name for _, name in found)
            if found:
                yield found

    write(values(), telemetry_view.of_values(archive.units(span.satellite), span.by), form)
    if missing := [name for name in parameters if name not in seen]:
        warn([archive.nothing(span, f"value of {', '.join(missing)}")])
        if hours := archive.rolled_up(span, missing):
            warn([f"hours of {', '.join(hours)} are kept there: ask with --points"])


def show_summaries(archive: Telemetry, span: Span, parameters: Sequence[str], points: int, form: Format) -> None:
    with progress() as bar:
        asked = bar.track(parameters, description="summing up")
        found: list[list[Summed]] = [[(name, one) for one in archive.summaries(span, name, points)] for name in asked]
    write([page for page in found if page], telemetry_view.of_summaries(archive.units(span.satellite)), form)
    if missing := [name for name, page in zip(parameters, found, strict=True) if not page]:
        warn([archive.nothing(span, f"number of {', '.join(missing)}")])


def show_packets(archive: Telemetry, span: Span, form: Format) -> None:
    count = 0

    def packets() -> Iterator[list[Packet]]:
        nonlocal count
        for page in watched(archive.packets(span), span):
            count += len(page)
            yield page

    write(packets(), telemetry_view.of_packets(span.by), form)
    if not count:
        warn([archive.nothing(span, f"packet of {span.satellite}")])


def watched(pages: Iterable[list[Packet]], span: Span) -> Iterator[list[Packet]]:
    """Yield the pages; a person at a terminal sees on stderr how far in time they have come."""
    with progress(streaming=True) as bar:
        task = bar.add_task("hours read", total=math.ceil((span.to_us - span.from_us) / HOUR_US))
        for page in pages:
            yield page
            last = page[-1]
            at_us = last.generated_at_us if span.by == "generated_at" else last.received_at_us
            bar.update(task, completed=(at_us - span.from_us) // HOUR_US)


def write(pages: Iterable[Sequence[T]], layout: Layout[T], form: Format) -> None:
    for text in written(pages, layout, form):
        sys.stdout.write(text)
    sys.stdout.flush()  # here and not at the interpreter's end, where a reader that has gone would be an error
