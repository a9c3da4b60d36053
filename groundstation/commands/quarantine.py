"""`groundstation quarantine`: one function an action, which returns the exit status."""

import asyncio
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path

from groundstation.archive.quarantine import Wanted, held_back, held_back_count, held_back_one
from groundstation.archive.queries import Reader
from groundstation.commands import quarantine_view
from groundstation.commands.flags import config_path
from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import GOOD, report_failures
from groundstation.commands.quarantine_reprocess import CHUNK, reprocess
from groundstation.commands.terminal import console, progress
from groundstation.config import Config, ConfigError, load_config
from groundstation.telemetry.packet import Reason

FILE_MODE = 0o600  # of what holds payloads, which may be nobody else's business


def command(options: Namespace) -> int:
    config = load_config(config_path(options))
    log_to_stderr("warning")
    statuses: list[int] = []
    return report_failures(lambda: statuses.append(act(config, options))) or statuses[0]


def act(config: Config, options: Namespace) -> int:
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
        console().print(quarantine_view.as_table(held, *reader.ask_now(held_back_count, wanted(options))))
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
    total, _ = reader_of(config).ask_now(held_back_count, wanted(options))
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
