"""`groundstation elements`: which sets serve, newer ones now, and whether files are good."""

import argparse
import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

from groundstation.commands.elements_query import (
    Updated,
    examine_files,
    kept_sets,
    source_states,
    sources_asked,
    update,
)
from groundstation.commands.flags import config_path
from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import ASKED_WRONGLY, FAILED, UsageError, report_failures
from groundstation.config import load_config


def command(options: argparse.Namespace) -> int:
    actions = {"list": list_kept, "update": update_now, "check": check_files}
    return actions[options.action](options)


def list_kept(options: argparse.Namespace) -> int:
    from groundstation.commands.elements_view import kept_as_json, kept_as_table, source_line
    from groundstation.commands.terminal import console

    if options.of:
        raise UsageError(f"FILE: found {options.of[0]}, expected none: `elements check` examines files")
    config, now = load_config(config_path(options)), datetime.now(UTC)
    kept, sources = kept_sets(config), source_states(config)
    if options.format == "json":
        print(kept_as_json(kept, sources, now))
        return 0
    console().print(kept_as_table(kept, now))
    for source in sources:
        print(source_line(source))
    return 0


def update_now(options: argparse.Namespace) -> int:
    from groundstation.archive.migrate import migrate
    from groundstation.commands.elements_view import update_line, updates_as_json

    config = load_config(config_path(options))
    sources = sources_asked(config, options.of)
    log_to_stderr("warning")
    done: list[Updated] = []

    def ask() -> None:
        migrate(config.settings.archive.url, config.settings.archive.password_file)
        asking = update(config, sources, lambda name: print(f"asking {name} …", file=sys.stderr))
        done.extend(asyncio.run(asking))

    failed = report_failures(ask)
    if done:
        print(updates_as_json(done) if options.format == "json" else "\n".join(update_line(one) for one in done))
    return failed or (0 if all(one.state.good for one in done) else FAILED)


def check_files(options: argparse.Namespace) -> int:
    if not options.of:
        raise UsageError("FILE: found none, expected at least one file of element sets")
    good, faults = examine_files([Path(file) for file in options.of])
    if options.format == "json":
        print(json.dumps({"good": good, "faults": faults}, indent=2, ensure_ascii=False))
    else:
        print("\n".join([*good, *faults]))
    return ASKED_WRONGLY if faults else 0
