"""What `groundstation db` and `groundstation quarantine` do: one function an action, which returns the exit status."""

# ruff: noqa: T201  (this module prints: it is what two commands do)

import asyncio
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

from groundstation import archive_view, quarantine_view
from groundstation.archive.maintenance import Maintenance
from groundstation.archive.migrate import migrate
from groundstation.archive.quarantine import Wanted, held_back, held_back_count, held_back_one
from groundstation.archive.queries import Reader
from groundstation.config import Config, ConfigError
from groundstation.pass_list import console
from groundstation.reprocess import CHUNK, reprocess
from groundstation.telemetry.packet import Reason

GOOD, FAILED = 0, 1
FILE_MODE = 0o600  # of what holds payloads, which may be nobody else's business


def db(config: Config, options: Namespace) -> int:
    """Do what `options.action` says to the archive as a whole; raises ConfigError, ArchiveUnavailableError, OSError."""
    if (options.action == "backup") != bool(options.file):
        found, expected = (options.file, "none") if options.file else ("none", "where the copy goes")
        raise ConfigError([f"FILE: found {found}, expected {expected}"])
    actions = {"upgrade": upgrade, "check": check, "backup": back_up, "vacuum": vacuum, "stats": stats}
    return actions[options.action](config, options)


def maintenance(config: Config) -> Maintenance:
    return Maintenance(config.settings.archive.url, config.settings.archive.password_file)


def upgrade(config: Config, _: Namespace) -> int:
    archive = maintenance(config)
    before = archive.revision()
    with working("upgrading"):
        migrate(config.settings.archive.url, config.settings.archive.password_file)
    after = archive.revision()
    print(f"revision {after} already" if before == after else f"revision {before or 'none'} is now {after}")
    return GOOD


def check(config: Config, options: Namespace) -> int:
    with working("reading the whole archive"):
        checked = maintenance(config).check()
    if options.format == "json":
        print(archive_view.checked_as_json(checked))
    else:
        console().print(archive_view.checked_as_table(checked))
    return FAILED if any(one.faults for one in checked) else GOOD


def back_up(config: Config, options: Namespace) -> int:
    with working("copying"):
        count = maintenance(config).back_up(options.file)
    print(f"{options.file}: {archive_view.size(count)}")
    return GOOD


def vacuum(config: Config, options: Namespace) -> int:
    with working("giving free space back"):
        before, after = maintenance(config).vacuum(full=options.full)
    print(f"{archive_view.size(before)} before, {archive_view.size(after)} now")
    return GOOD


def stats(config: Config, options: Namespace) -> int:
    with working("counting"):
        found = maintenance(config).stats()
    if options.format == "json":
        print(archive_view.stats_as_json(found))
    else:
        console().print(archive_view.stats_as_table(found))
    return GOOD


def quarantine(config: Config, options: Namespace) -> int:
    """Do what `options.action` says to the quarantine; raises ConfigError, ArchiveUnavailableError, OSError."""
    needs = {"show": "a message's number", "export": "a file, or - for the standard output"}
    if (options.action in needs) != bool(options.of):
        found, expected = (options.of, "none") if options.of else ("none", needs[options.action])
        raise ConfigError([f"NUMBER|FILE: found {found}, expected {expected}"])
    actions = {"list": list_held, "show": show, "export": export, "reprocess": decode_again}
    return actions[options.action](config, options)


def reader_of(config: Config) -> Reader:
    return Reader(config.settings.archive.url, config.settings.archive.password_file)


def wanted(options: Namespace) -> Wanted:
    return Wanted(Reason(options.reason) if options.reason else None, options.satellite)


def list_held(config: Config, options: Namespace) -> int:
    reader = reader_of(config)
    held = reader.ask_now(held_back, wanted(options), after=options.after, most=options.most)
    if options.format == "json":
        print(quarantine_view.as_json(held))
    else:
        console().print(quarantine_view.as_table(held, reader.ask_now(held_back_count, wanted(options))))
    return GOOD


def show(config: Config, options: Namespace) -> int:
    number = options.of
    held = reader_of(config).ask_now(held_back_one, int(number)) if number.isdecimal() and len(number) < 19 else None
    if held is None:
        raise ConfigError([f"NUMBER: found {number}, expected the number of a message in quarantine"])
    print(quarantine_view.as_json_line(held) if options.format == "json" else quarantine_view.as_text(held))
    return GOOD


def export(config: Config, options: Namespace) -> int:
    """Write one JSON line a message, whole, to a new file or the standard output."""
    if options.of == "-":
        written(config, options, print)
        return GOOD
    with Path(options.of).open("x", encoding="utf-8") as file:
        Path(options.of).chmod(FILE_MODE)
        count = written(config, options, lambda line: print(line, file=file))
    print(f"{options.of}: {count} messages")
    return GOOD


def written(config: Config, options: Namespace, write: Callable[[str], None]) -> int:
    """Write what is wanted a page at a time, so that it need not fit into memory; return how many there were."""
    reader, after, count = reader_of(config), 0, 0
    while page := reader.ask_now(held_back, wanted(options), after=after, most=CHUNK):
        for one in page:
            write(quarantine_view.as_json_line(one))
        after, count = page[-1].id, count + len(page)
    return count


def decode_again(config: Config, options: Namespace) -> int:
    total = reader_of(config).ask_now(held_back_count, wanted(options))
    with progress() as bar:
        task = bar.add_task("decoding again", total=total)
        work = reprocess(
            config, wanted(options), lambda seen: bar.update(task, completed=seen), dry_run=options.dry_run
        )
        result = asyncio.run(work)
    if options.format == "json":
        print(quarantine_view.result_json(result))
    else:
        print("\n".join(quarantine_view.result_lines(result, dry_run=options.dry_run)))
    return GOOD


def working(what: str) -> Progress:
    """Return what shows on a terminal that something of unknown length goes on; elsewhere nothing."""
    bar = progress()
    bar.add_task(what, total=None)
    return bar


def progress() -> Progress:
    out = Console(stderr=True)
    columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=out, transient=True, disable=not sys.stderr.isatty())
