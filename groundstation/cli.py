"""The commands: parse, call one function, print.

Exit status: 0 it worked, 1 it failed, 2 it was asked wrongly (a flag, a file, a key).
"""

import argparse
import asyncio
import json
import logging
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from groundstation import __version__
from groundstation.telemetry.packet import Reason

if TYPE_CHECKING:  # `groundstation --help` need not wait for numpy
    from groundstation.config import Config
    from groundstation.pass_query import Asked

Add = Callable[[str, Callable[[argparse.Namespace], int], str], argparse.ArgumentParser]
FAILED, ASKED_WRONGLY = 1, 2
LOG_LAYOUT = "%(asctime)s %(levelname)s %(message)s"
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # syslog's, by logging's levels


class UsageError(ValueError):
    """What was asked cannot be done as asked: one line that says what was found and what was expected."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit status."""
    options = parser().parse_args(with_southern_sites(sys.argv[1:] if arguments is None else arguments))
    from groundstation.config import ConfigError
    from groundstation.starter import StarterError

    try:
        command: Callable[[argparse.Namespace], int] = options.command
        return command(options)
    except (ConfigError, UsageError, StarterError) as error:
        print(error, file=sys.stderr)
        return ASKED_WRONGLY
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader of our output has gone (`| head`): that is no failure. Python would complain while it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


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
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=what, description=what[0].upper() + what[1:] + ".")
        sub.set_defaults(command=command)
        return sub

    station_commands(add)
    pass_commands(add)
    archive_commands(add)
    recording_commands(add)
    return top


def station_commands(add: Add) -> None:
    """Add what a station's operator uses: demo, init, run, check, status, publish."""
    demo = add("demo", demo_command, "show the whole station at work, with a broker and a satellite of its own")
    demo.add_argument("--duration", type=seconds, metavar="S", help="end after this many seconds with a summary")
    demo.add_argument("--broker", choices=("mosquitto", "iotcore"), help="mosquitto by default where it is installed")
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep the archive and a recording of the pass there")

    init = add("init", init_command, "write a commented configuration, the catalogue and the elements")
    init.add_argument("directory", type=Path, metavar="DIR")

    run = add("run", run_command, "run the daemon until SIGTERM or SIGINT")
    with_config(run)

    check = add("check", check_command, "say what is wrong with a configuration, by file and key")
    with_config(check)

    status = add("status", status_command, "ask the running daemon how it is")
    with_config(status)
    status.add_argument("--json", action="store_true", help="everything, for programs")

    publish = add("publish", publish_command, "put frames into envelopes and on the broker, as a station does")
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
    passes = add("passes", passes_command, "list the coming passes")
    with_config(passes)
    passes.add_argument("satellites", nargs="*", metavar="SATELLITE", help="slugs or catalogue numbers; all by default")
    with_prediction(passes)
    passes.add_argument("--from", dest="start", type=moment, metavar="ISO", help="begin there instead of now")
    passes.add_argument("--to", dest="end", type=moment, metavar="ISO", help="end there instead of 24 h later")
    passes.add_argument("--format", choices=("table", "json", "csv", "ics"), default="table")

    track = add("track", track_command, "show one pass step by step: azimuth, elevation, range, Doppler")
    with_config(track)
    track.add_argument(
        "of", metavar="PASS", help="SATELLITE for its next pass, SATELLITE@TIME, or the archive's number"
    )
    with_prediction(track)
    track.add_argument("--step", type=step, default=10.0, metavar="S", help="seconds from line to line, 10 by default")
    track.add_argument("--format", choices=("table", "json", "csv"), default="table")
    track.add_argument("--plot", type=picture, metavar="FILE", help="draw the sky and the curves too (.png or .svg)")

    contacts = add("contacts", contacts_command, "list which passes each antenna takes, and why not the others")
    with_config(contacts)
    which = contacts.add_mutually_exclusive_group()
    which.add_argument("--site", metavar="NAME", help="one station of the configuration; all by default")
    which.add_argument("--network", action="store_true", help="who takes what, over all stations")
    contacts.add_argument("--from", dest="start", type=moment, metavar="ISO", help="plan from there instead of now")
    contacts.add_argument("--to", dest="end", type=moment, metavar="ISO", help="end there instead of 24 h later")
    contacts.add_argument("--format", choices=("table", "json"), default="table")


def archive_commands(add: Add) -> None:
    """Add what is done to the archive by hand: db, quarantine."""
    db = add("db", db_command, "upgrade, check, copy or shrink the archive, or count what is in it")
    with_config(db)
    db.add_argument("action", choices=("upgrade", "check", "backup", "vacuum", "stats"))
    db.add_argument("file", nargs="?", type=Path, metavar="FILE", help="where the backup goes; none may be there")
    db.add_argument("--full", action="store_true", help="vacuum: write everything anew; the daemon waits meanwhile")
    db.add_argument("--format", choices=("table", "json"), default="table")

    quarantine = add("quarantine", quarantine_command, "list, show or export what did not decode, or decode it again")
    with_config(quarantine)
    quarantine.add_argument("action", choices=("list", "show", "export", "reprocess"))
    quarantine.add_argument("of", nargs="?", metavar="NUMBER|FILE", help="what to show; where to export to, - for here")
    quarantine.add_argument("--reason", choices=[reason.value for reason in Reason], help="only what is there for it")
    quarantine.add_argument("--satellite", metavar="SLUG", help="only what came on its topic")
    quarantine.add_argument("--after", type=int, default=0, metavar="NUMBER", help="list: from beyond that number")
    quarantine.add_argument("--most", type=int, default=100, metavar="N", help="list: that many, 100 by default")
    quarantine.add_argument("--dry-run", action="store_true", help="reprocess: say what would decode, move nothing")
    quarantine.add_argument("--format", choices=("table", "json"), default="table")


def recording_commands(add: Add) -> None:
    """Add what takes a pass out of the archive and plays it again: record, replay."""
    elements = add("elements", elements_command, "list the element sets that serve, fetch newer ones, examine files")
    with_config(elements)
    elements.add_argument("action", choices=("list", "update", "check"))
    elements.add_argument("of", nargs="*", metavar="FILE|SOURCE", help="files to check; sources to ask, all by default")
    elements.add_argument("--format", choices=("table", "json"), default="table")

    recorded = add("record", record_command, "write a pass from the archive into one portable file")
    with_config(recorded)
    recorded.add_argument("of", metavar="PASS", help="the pass's number, or SATELLITE@TIME for one under way then")
    recorded.add_argument("file", type=Path, metavar="FILE")

    replay = add("replay", replay_command, "play a recorded pass again through the whole pipeline")
    with_config(replay)
    replay.add_argument("of", metavar="RECORDING|PASS", help="a recording's file, or a pass as `record` takes it")
    replay.add_argument("--speed", type=speed, default=1.0, metavar="N", help="times as fast as it came, or max")
    replay.add_argument("--to", required=True, metavar="mqtt|URL", help="the broker, or another archive's URL")


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


def demo_command(options: argparse.Namespace) -> int:
    from groundstation.demo import demo

    statuses: list[int] = []
    failed = report_failures(lambda: statuses.append(asyncio.run(demo(options.duration, options.keep, options.broker))))
    return failed or statuses[0]


def init_command(options: argparse.Namespace) -> int:
    from groundstation.starter import write_station

    made = write_station(options.directory)
    print("\n".join(f"created {path}" for path in made))
    print(
        f"next: edit {made[0]}, then\n  groundstation check --config {made[0]}\n  groundstation run --config {made[0]}"
    )
    return 0


def run_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.daemon import Daemon, stop_on_signals

    config = load_config(config_path(options))
    log_to_stderr(config.settings.log.level)

    async def run() -> None:
        stopping = asyncio.Event()
        with stop_on_signals(stopping):
            await Daemon(config).run(stopping)

    return report_failures(lambda: asyncio.run(run()))


def check_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config

    path = config_path(options)
    config = load_config(path)
    settings = config.settings
    print(
        f"{path}: good. {len(settings.stations)} stations, {len(settings.links)} links, "
        f"{len(config.definitions)} satellites, {len(config.elements)} element sets"
    )
    for slug in config.without_elements():
        print(f"note: {slug} is in orbit and has no elements in {settings.elements}: no passes for it")
    return 0


def passes_command(options: argparse.Namespace) -> int:
    from groundstation.pass_list import as_csv, as_json, as_table, console
    from groundstation.pass_query import query_passes

    now = datetime.now(UTC)
    start, end = window(options, now)
    config = config_in_service(options)
    found = query_passes(config, asked(options), start, end)
    warn(found.warnings)
    if options.format == "json":
        print(as_json(found.passes))
    elif options.format == "csv":
        print(as_csv(found.passes), end="")
    elif options.format == "ics":
        from groundstation.pass_calendar import as_calendar, events_of_prediction

        print(as_calendar(events_of_prediction(found.passes, found.site, now), config), end="")
    else:
        console().print(as_table(found.passes, now, found.names, title=found.title))
    return 0


def track_command(options: argparse.Namespace) -> int:
    from groundstation.pass_list import console
    from groundstation.track_query import query_track
    from groundstation.track_view import as_csv, as_json, as_table

    config = config_in_service(options)

    def show() -> None:
        tracked = query_track(config, options.of, asked(options), options.step, datetime.now(UTC))
        warn(tracked.warnings)
        if options.plot:
            from groundstation.sky_plot import draw

            draw(tracked, options.plot)
        if options.format == "json":
            print(as_json(tracked))
        elif options.format == "csv":
            print(as_csv(tracked), end="")
        else:
            console().print(as_table(tracked))

    return report_failures(show)


def asked(options: argparse.Namespace) -> "Asked":
    from groundstation.pass_query import Asked

    satellites = getattr(options, "satellites", ())  # `track` has one PASS instead
    return Asked(satellites, options.site, options.mask, options.elements, options.ut1)


def warn(lines: Sequence[str]) -> None:
    """Tell people what is doubtful, beside the output and not in it."""
    for line in lines:
        print(f"warning: {line}", file=sys.stderr)


def contacts_command(options: argparse.Namespace) -> int:
    from groundstation import contact_list
    from groundstation.contact_query import query_contacts
    from groundstation.orbit.network import opportunities
    from groundstation.pass_list import console

    start, end = window(options, datetime.now(UTC))
    config = config_in_service(options)

    def show() -> None:
        planned = query_contacts(config, options.site, start, end)
        warn(planned.warnings)
        network, as_json = opportunities(planned.plans.values()), options.format == "json"
        if options.network and as_json:
            print(contact_list.network_as_json(network))
        elif options.network:
            console().print(contact_list.network_as_table(network, planned.names, planned.title))
        elif as_json:
            print(contact_list.plans_as_json(planned.plans.values()))
        else:
            console().print(contact_list.plans_as_table(planned.plans, planned.names, planned.title))

    return report_failures(show)


def publish_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.publish_frames import publish

    config = load_config(config_path(options))

    def send() -> None:
        count = publish(
            config, options.file, options.station, options.satellite, form=options.input, rate_hz=options.rate
        )
        print(f"{count} frames published")

    return report_failures(send)


def elements_command(options: argparse.Namespace) -> int:
    actions = {"list": elements_list, "update": elements_update, "check": elements_check}
    return actions[options.action](options)


def elements_list(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.element_list import kept_as_json, kept_as_table, source_line
    from groundstation.element_query import kept_sets, source_states
    from groundstation.pass_list import console

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


def elements_update(options: argparse.Namespace) -> int:
    from groundstation.archive.migrate import migrate
    from groundstation.config import load_config
    from groundstation.element_list import update_line, updates_as_json
    from groundstation.element_query import Updated, sources_asked, update

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


def elements_check(options: argparse.Namespace) -> int:
    from groundstation.element_query import examine_files

    if not options.of:
        raise UsageError("FILE: found none, expected at least one file of element sets")
    good, faults = examine_files([Path(file) for file in options.of])
    if options.format == "json":
        print(json.dumps({"good": good, "faults": faults}, indent=2, ensure_ascii=False))
    else:
        print("\n".join([*good, *faults]))
    return ASKED_WRONGLY if faults else 0


def db_command(options: argparse.Namespace) -> int:
    from groundstation.archive_commands import db
    from groundstation.config import load_config

    config = load_config(config_path(options))
    log_to_stderr("warning")
    statuses: list[int] = []
    return report_failures(lambda: statuses.append(db(config, options))) or statuses[0]


def quarantine_command(options: argparse.Namespace) -> int:
    from groundstation.archive_commands import quarantine
    from groundstation.config import load_config

    config = load_config(config_path(options))
    log_to_stderr("warning")
    statuses: list[int] = []
    return report_failures(lambda: statuses.append(quarantine(config, options))) or statuses[0]


def record_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.playback import record_pass

    config = load_config(config_path(options))

    def write() -> None:
        recording = record_pass(config, options.of, options.file)
        print(f"{recording.path}: {recording.count} messages of {recording.header.satellite} recorded")

    return report_failures(write)


def replay_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.daemon import stop_on_signals
    from groundstation.playback import replay

    config = load_config(config_path(options))
    log_to_stderr("warning")

    async def play() -> None:
        stopping = asyncio.Event()
        with stop_on_signals(stopping):
            played = await replay(config, options.of, options.speed, options.to, stopping)
        print(f"played {played.messages} of {played.total} messages: {played.summary}")
        if played.digest:
            print(f"digest {played.digest}")

    return report_failures(lambda: asyncio.run(play()))


def status_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.status_view import show_status

    settings = load_config(config_path(options)).settings.http
    healthy: list[bool] = []
    failed = report_failures(lambda: healthy.append(show_status(settings, as_json=options.json)))
    return failed or (0 if healthy == [True] else FAILED)


def report_failures(action: Callable[[], None]) -> int:
    """Run `action`; what went wrong outside of us is one line on stderr and status 1."""
    from groundstation.archive.migrate import ArchiveVersionError
    from groundstation.archive.url import UrlError
    from groundstation.archive.writer import ArchiveUnavailableError
    from groundstation.link.broker import BrokerError
    from groundstation.link.connection import LinkError
    from groundstation.link.modem import ModemError
    from groundstation.monitor.http import HttpError
    from groundstation.replay.recording import RecordingError
    from groundstation.sky_plot import PictureError

    known = (
        ArchiveUnavailableError,
        ArchiveVersionError,
        BrokerError,
        HttpError,
        LinkError,
        ModemError,
        OSError,
        PictureError,
        RecordingError,
        UrlError,
    )

    def expected(error: BaseException) -> list[BaseException]:
        nested = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
        return [leaf for one in nested for leaf in expected(one)] if nested else [error]

    try:
        action()
    except BaseException as error:
        leaves = expected(error)
        if not all(isinstance(leaf, known) for leaf in leaves):
            raise
        print("\n".join(f"groundstation: {leaf}" for leaf in leaves), file=sys.stderr)
        return FAILED
    return 0


def config_in_service(options: argparse.Namespace) -> "Config":
    """Return the configuration with the element sets that serve now, fetched ones among them."""
    from groundstation.config import load_config
    from groundstation.element_query import serving

    return serving(load_config(config_path(options)))


def config_path(options: argparse.Namespace) -> Path:
    """Return the configuration that was asked for, else the nearest one that exists."""
    from groundstation.starter import starter_config

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
    end: datetime = options.end or start + timedelta(hours=24)
    if end <= start:
        raise UsageError(f"--to: found {end.isoformat()}, expected later than --from, {start.isoformat()}")
    return start, end


def log_to_stderr(level: str) -> None:
    """Log one line a message; under systemd with the journal's priority in front and its own time."""
    under_systemd = "JOURNAL_STREAM" in os.environ
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JournalFormatter() if under_systemd else logging.Formatter(LOG_LAYOUT))
    logging.basicConfig(level=level.upper(), handlers=[handler])


class JournalFormatter(logging.Formatter):
    """Prefixes sd-daemon(3)'s priority, so that `journalctl -p err` finds what someone must come for."""

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in PRIORITIES if record.levelno >= level)
        return f"<{priority}>{record.levelname} {super().format(record)}"


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
    """Return an ISO time; one without an offset is UTC."""
    try:
        value = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"found {text}, expected an ISO time like 2026-11-22T10:00Z") from error
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
