"""The command line: which commands and flags there are; the module of that name in `commands` does what is asked.

Exit status: 0 it worked, 1 it failed, 2 it was asked wrongly (a flag, a file, a key).
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from pathlib import Path

from groundstation import __version__
from groundstation.commands.outcome import ASKED_WRONGLY, UsageError
from groundstation.telemetry.packet import Reason

Add = Callable[[str, str], argparse.ArgumentParser]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    try:
        return command_status(sys.argv[1:] if arguments is None else arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is no failure. Python would complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def command_status(arguments: Sequence[str]) -> int:
    """Return a command's exit status; what was asked wrongly is a line on stderr for each fault."""
    options = parser().parse_args(with_southern_sites(arguments))
    from groundstation.commands.starter import StarterError
    from groundstation.config import ConfigError

    try:
        command: Callable[[argparse.Namespace], int] = import_module(
            f"groundstation.commands.{options.command}"
        ).command
        return command(options)
    except (ConfigError, StarterError, UsageError) as error:
        print(error, file=sys.stderr)
        return ASKED_WRONGLY


def with_southern_sites(arguments: Sequence[str]) -> list[str]:
    """Return the arguments with `--site -33.9,18.4` as one word: argparse takes -33.9,18.4 for a flag."""
    joined: list[str] = []
    for word in arguments:
        if joined and joined[-1] == "--site" and word.startswith("-"):
            joined[-1] = f"--site={word}"
        else:
            joined.append(word)
    return joined


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="groundstation",
        description="A satellite ground station in one daemon: passes, lossless telemetry, archive, health, replay.",
    )
    top.add_argument("--version", action="version", version=f"groundstation {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND", dest="command")

    def add(name: str, what: str) -> argparse.ArgumentParser:
        return commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")

    station_commands(add)
    pass_commands(add)
    archive_commands(add)
    recording_commands(add)
    return top


def station_commands(add: Add) -> None:
    """Add what a station's operator uses: demo, init, run, check, status, publish."""
    demo = add("demo", "show the whole station at work, with a broker and a satellite of its own")
    demo.add_argument("--duration", type=seconds, metavar="S", help="end after this many seconds with a summary")
    demo.add_argument("--broker", choices=("mosquitto", "iotcore"), help="mosquitto by default where it is installed")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep the archive and a recording of the pass there")

    init = add("init", "write a commented configuration, the catalogue and the elements")
    init.add_argument("directory", type=Path, metavar="DIR")

    run = add("run", "run the daemon until SIGTERM or SIGINT")
    with_config(run)

    check = add("check", "say what is wrong with a configuration, by file and key")
    with_config(check)

    status = add("status", "ask the running daemon how it is")
    with_config(status)
    status.add_argument("--json", action="store_true", help="everything, for programs")

    publish = add("publish", "put frames into envelopes and on the broker, as a station does")
    with_config(publish)
    publish.add_argument("file", metavar="FILE", help="the frames, or - for standard input")
    publish.add_argument("--station", required=True, help="the slug of the station that heard them")
    publish.add_argument("--satellite", required=True, help="the slug of the satellite that sent them")
    publish.add_argument(
        "--input", choices=("jsonl", "hex", "binary", "kiss"), default="jsonl", help="jsonl by default"
    )
    publish.add_argument("--rate", type=float, metavar="HZ", help="frames a second; as fast as the broker by default")


def pass_commands(add: Add) -> None:
    """Add what tells when satellites are up: passes, track, contacts."""
    passes = add("passes", "list the coming passes, or with --past those in the archive")
    with_config(passes)
    passes.add_argument("--past", action="store_true", help="those of the last 7 days, with number and packets heard")
    passes.add_argument("satellites", nargs="*", metavar="SATELLITE", help="slugs or catalogue numbers; all by default")
    with_prediction(passes)
    passes.add_argument("--from", dest="start", type=moment, metavar="ISO", help="begin there instead of now")
    passes.add_argument("--to", dest="end", type=moment, metavar="ISO", help="end there instead of 24 h later")
    passes.add_argument("--sunlit", action="store_true", help="when each is lit by the sun too, in JSON and CSV")
    passes.add_argument("--format", choices=("table", "json", "csv", "ics"), default="table")

    track = add("track", "show one pass step by step: azimuth, elevation, range, Doppler")
    with_config(track)
    track.add_argument(
        "of", metavar="PASS", help="SATELLITE for its next pass, SATELLITE@TIME, or the archive's number"
    )
    with_prediction(track)
    track.add_argument("--step", type=step, default=10.0, metavar="S", help="seconds from line to line, 10 by default")
    track.add_argument("--format", choices=("table", "json", "csv"), default="table")
    track.add_argument("--plot", type=picture, metavar="FILE", help="draw the sky and the curves too (.png or .svg)")

    contacts = add("contacts", "list which passes each antenna takes, and why not the others")
    with_config(contacts)
    which = contacts.add_mutually_exclusive_group()
    which.add_argument("--site", metavar="NAME", help="one station of the configuration; all by default")
    which.add_argument("--network", action="store_true", help="who takes what, over all stations")
    contacts.add_argument("--from", dest="start", type=moment, metavar="ISO", help="plan from there instead of now")
    contacts.add_argument("--to", dest="end", type=moment, metavar="ISO", help="end there instead of 24 h later")
    contacts.add_argument("--format", choices=("table", "json"), default="table")


def archive_commands(add: Add) -> None:
    """Add what is asked of the archive or done to it by hand: telemetry, db, quarantine."""
    telemetry = add("telemetry", "show what the archive has of a satellite: latest values, values over time, packets")
    with_config(telemetry)
    telemetry.add_argument("satellite", metavar="SATELLITE", help="its slug")
    telemetry.add_argument("parameters", nargs="*", metavar="PARAMETER", help="by name; without, the latest of each")
    telemetry.add_argument("--packets", action="store_true", help="whole packets instead of values")
    telemetry.add_argument("--from", dest="start", type=moment, metavar="ISO", help="begin there, not 24 h before --to")
    telemetry.add_argument("--to", dest="end", type=moment, metavar="ISO", help="end there instead of now")
    telemetry.add_argument("--points", type=points, metavar="N", help="min, mean, max and n of about N spans of time")
    telemetry.add_argument("--by", choices=("generation", "reception"), help="which time counts; generation by default")
    telemetry.add_argument("--format", choices=("table", "json", "csv"), default="table")

    db = add("db", "upgrade, check, copy or shrink the archive, or count what is in it")
    with_config(db)
    db.add_argument("action", choices=("upgrade", "check", "backup", "vacuum", "stats"))
    db.add_argument("file", nargs="?", type=Path, metavar="FILE", help="where the backup goes; none may be there")
    db.add_argument("--full", action="store_true", help="vacuum: write everything anew; the daemon waits meanwhile")
    db.add_argument("--format", choices=("table", "json"), default="table")

    quarantine = add("quarantine", "list, show or export what did not decode, or decode it again")
    with_config(quarantine)
    quarantine.add_argument("action", choices=("list", "show", "export", "reprocess"))
    quarantine.add_argument("of", nargs="?", metavar="NUMBER|FILE", help="what to show; where to export to, - for here")
    quarantine.add_argument("--reason", choices=[reason.value for reason in Reason], help="only what is there for it")
    quarantine.add_argument("--satellite", metavar="SLUG", help="only what came on its topic")
    quarantine.add_argument("--after", type=count, default=0, metavar="NUMBER", help="list: from beyond that number")
    quarantine.add_argument("--most", type=count, default=100, metavar="N", help="list: that many, 100 by default")
    quarantine.add_argument("--dry-run", action="store_true", help="reprocess: say what would decode, move nothing")
    quarantine.add_argument("--format", choices=("table", "json"), default="table")


def recording_commands(add: Add) -> None:
    """Add what takes a pass out of the archive and plays it again: record, replay."""
    elements = add("elements", "list the element sets that serve, fetch newer ones, examine files")
    with_config(elements)
    elements.add_argument("action", choices=("list", "update", "check"))
    elements.add_argument("of", nargs="*", metavar="FILE|SOURCE", help="files to check; sources to ask, all by default")
    elements.add_argument("--format", choices=("table", "json"), default="table")

    recorded = add("record", "write a pass from the archive into one portable file")
    with_config(recorded)
    recorded.add_argument(
        "of", metavar="PASS", help="the pass's number, or SATELLITE@TIME[@STATION] for one under way then"
    )
    recorded.add_argument("file", type=Path, metavar="FILE")

    replay = add("replay", "play a recorded pass again through the whole pipeline")
    with_config(replay)
    replay.add_argument("of", metavar="RECORDING|PASS", help="a recording's file, or a pass as `record` takes it")
    replay.add_argument("--speed", type=speed, default=1.0, metavar="N", help="times as fast as it came, or max")
    replay.add_argument("--to", required=True, metavar="mqtt|URL", help="the broker, or another archive's URL")
    replay.add_argument("--password-file", type=Path, metavar="FILE", help="that archive's; PGPASSFILE serves too")


def with_config(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="groundstation.toml; else the one in this directory, in /etc/groundstation, or the shipped one",
    )


def with_prediction(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--site", help="a station of the configuration, or LAT,LON[,ALT_M]")
    sub.add_argument("--mask", type=float, metavar="DEG", help="elevation at which a pass begins and ends")
    sub.add_argument("--elements", type=Path, nargs="+", metavar="FILE", help="element sets instead of the station's")
    sub.add_argument(
        "--ut1", choices=("iers", "builtin"), default="iers", help="the earth's rotation: measured, or Skyfield's"
    )


def count(text: str) -> int:
    value = int(text)
    if not 0 <= value < 1 << 63:
        raise argparse.ArgumentTypeError(f"found {text}, expected 0 or more, and what a database can count")
    return value


def points(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f"found {text}, expected 1 to 100000")
    return value


def seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 7 * 86_400:
        raise argparse.ArgumentTypeError(f"found {text}, expected seconds above 0, a week at most")
    return value


def step(text: str) -> float:
    value = float(text)
    if not 0.001 <= value <= 86_400:
        raise argparse.ArgumentTypeError(f"found {text}, expected seconds from 0.001 to 86400")
    return value


def picture(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".png", ".svg"):
        raise argparse.ArgumentTypeError(f"found {text}, expected a file name that ends in .png or .svg")
    return path


def speed(text: str) -> float | None:
    """Return a factor, or None for as fast as possible."""
    from groundstation.replay.pacing import parse_speed

    try:
        return parse_speed(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def moment(text: str) -> datetime:
    from groundstation.commands.times_asked import time_asked

    try:
        return time_asked(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error
