"""What each command does: call one function, print what it returns, and turn what went wrong into a line and a status.

Imports stand inside the functions, so that `groundstation --help` and every wrong flag answer at once.
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

if TYPE_CHECKING:  # `groundstation --help` need not wait for numpy
    from groundstation.config import Config
    from groundstation.pass_query import Asked

log = logging.getLogger(__name__)

FAILED, ASKED_WRONGLY, INTERRUPTED = 1, 2, 130
PAST = timedelta(days=7)  # of passes that are over, where nothing is said
LONGEST = timedelta(days=366)  # of a question: a century of passes would neither end nor fit into memory
LOG_LAYOUT = "%(asctime)s %(levelname)s %(message)s"
PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))  # syslog's, by logging's levels


class UsageError(ValueError):
    """What was asked cannot be done as asked: one line that says what was found and what was expected."""


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
    from groundstation.daemon import STOPPED_BY_S, Daemon, stop_on_signals

    config = load_config(config_path(options))
    refuse_faults(config)
    log_to_stderr(config.settings.log.level)

    at_work: list[str] = []

    async def run() -> None:
        stopping, daemon = asyncio.Event(), Daemon(config)
        try:
            with stop_on_signals(stopping, STOPPED_BY_S):
                await daemon.run(stopping)
        finally:
            at_work.extend(daemon.idle_s())  # its tasks, once there are any

    def work() -> None:
        try:
            asyncio.run(run())
        except Exception:  # at work it is a bug, whatever its class, and who looks for it needs to see where
            if not at_work:
                raise
            log.critical("a task failed, which ends the daemon", exc_info=True)
            raise SystemExit(FAILED) from None

    return report_failures(work)


def check_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config

    path = config_path(options)
    config = load_config(path)
    refuse_faults(config, absences=True)
    settings = config.settings
    print(
        f"{path}: good. {len(settings.stations)} stations, {len(settings.links)} links, "
        f"{len(config.definitions)} satellites, {len(config.elements)} element sets"
    )
    for slug in config.without_elements():
        print(f"note: {slug} is in orbit and has no elements in {settings.elements}: no passes for it")
    return 0


def past_passes_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.pass_list import console
    from groundstation.past_passes import as_csv, as_json, as_table, query_past

    if options.mask is not None or options.elements or options.sunlit or options.format == "ics":
        raise UsageError(
            "--past: found with --mask, --elements, --sunlit or ics: the archive says no more than it knows"
        )
    end = options.end or datetime.now(UTC)
    start, end = window_of(options.start or end - PAST, end)
    config = load_config(config_path(options))

    def show() -> None:
        found = query_past(config, options.satellites, options.site, start, end)
        if options.format == "table":
            names = {slug: definition.name for slug, definition in config.definitions.items()}
            console().print(as_table(found, names))
        else:
            print(as_json(found) if options.format == "json" else as_csv(found).rstrip("\n"))

    return report_failures(show)


def passes_command(options: argparse.Namespace) -> int:
    if options.past:
        return past_passes_command(options)
    from groundstation.pass_list import as_csv, as_json, as_table, console
    from groundstation.pass_query import query_passes

    now = datetime.now(UTC)
    start, end = window(options, now)
    config = config_in_service(options)
    found = query_passes(config, asked(options), start, end)
    warn(found.warnings)
    if options.format == "json":
        print(as_json(found))
    elif options.format == "csv":
        print(as_csv(found), end="")
    elif options.format == "ics":
        from groundstation.pass_calendar import as_calendar, events_of_prediction

        print(as_calendar(events_of_prediction(found, now), config), end="")
    else:
        console().print(as_table(found.passes, found.names, found.aos_uncertainty_s, found.title))
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

    return Asked(
        satellites=getattr(options, "satellites", ()),  # `track` has one PASS instead
        site=options.site,
        mask_deg=options.mask,
        element_files=options.elements,
        ut1=options.ut1,
        sunlit=getattr(options, "sunlit", False),
    )


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
    from groundstation.pass_record import Recorded, record_pass

    config = load_config(config_path(options))

    done: list[Recorded] = []
    failed = report_failures(lambda: done.append(record_pass(config, options.of, options.file)))
    for one in done:
        recording, outside = one.recording, f", {one.outside} of them before AOS or after LOS" if one.outside else ""
        print(f"{recording.path}: {recording.count} messages of {recording.header.satellite} recorded{outside}")
        warn([*one.notes, *(["nothing was heard in this pass"] if not recording.count else [])])
    return failed or (0 if all(one.recording.count for one in done) else FAILED)


def replay_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.daemon import stop_on_signals
    from groundstation.playback import LEAVE_S, Played, replay

    config = load_config(config_path(options))
    log_to_stderr("warning")

    async def play() -> Played:
        stopping = asyncio.Event()
        leaving = asyncio.create_task(leave_late(stopping, LEAVE_S), name="leave")
        try:
            with stop_on_signals(stopping):
                return await replay(
                    config, options.of, options.speed, options.to, stopping, password_file=options.password_file
                )
        finally:
            leaving.cancel()

    done: list[Played] = []
    failed = report_failures(lambda: done.append(asyncio.run(play())))
    for played in done:
        part = "" if played.whole else "partial: "
        print(f"{part}played {played.messages} of {played.total} messages: {played.summary}")
        for line in (*played.notes, *([f"digest {played.digest}"] if played.digest else [])):
            print(line)
        warn(played.warnings)
        if not played.whole:
            return INTERRUPTED
    return failed or (FAILED if done[0].warnings else 0)


async def leave_late(stopping: asyncio.Event, after_s: float) -> None:
    """End the process so long after `stopping`: a thread of it may wait for a database that never answers."""
    await stopping.wait()
    await asyncio.sleep(after_s)
    print(f"groundstation: partial: not stopped after {after_s:.0f} s, leaving", file=sys.stderr, flush=True)
    os._exit(INTERRUPTED)


def status_command(options: argparse.Namespace) -> int:
    from groundstation.config import load_config
    from groundstation.status_view import show_status

    settings = load_config(config_path(options)).settings.http
    healthy: list[bool] = []
    failed = report_failures(lambda: healthy.append(show_status(settings, as_json=options.json)))
    return failed or (0 if healthy == [True] else FAILED)


def report_failures(action: Callable[[], None]) -> int:
    """Run `action`; what went wrong outside of us is one line on stderr, and status 1 where trying again may help."""
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
        # No restart makes a URL right or an archive older: the unit stays failed with 2.
        return ASKED_WRONGLY if any(isinstance(leaf, (UrlError, ArchiveVersionError)) for leaf in leaves) else FAILED
    return 0


def refuse_faults(config: "Config", *, absences: bool = False) -> None:
    """Raise ConfigError where a daemon could not do its work, with `absences` also where something is away for now."""
    from groundstation.config import ConfigError
    from groundstation.preflight import absent_directory, faults

    away = absent_directory(config) if absences else None
    if found := [*faults(config), *([away] if away else [])]:
        raise ConfigError(found)


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
    return window_of(start, options.end or start + timedelta(hours=24))


def window_of(start: datetime, end: datetime) -> tuple[datetime, datetime]:
    if end <= start:
        raise UsageError(f"--to: found {end.isoformat()}, expected later than --from, {start.isoformat()}")
    if end - start > LONGEST:
        raise UsageError(f"--to: found {end.isoformat()}, expected {LONGEST.days} days after --from at most")
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
