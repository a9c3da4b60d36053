"""`groundstation db`: one function an action on the archive as a whole, which returns the exit status."""

from argparse import Namespace

from groundstation.archive.maintenance import Maintenance
from groundstation.archive.migrate import migrate
from groundstation.commands import db_view
from groundstation.commands.flags import config_path
from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import FAILED, GOOD, report_failures
from groundstation.commands.terminal import console, working
from groundstation.config import Config, ConfigError, load_config


def command(options: Namespace) -> int:
    config = load_config(config_path(options))
    log_to_stderr("warning")
    statuses: list[int] = []
    return report_failures(lambda: statuses.append(act(config, options))) or statuses[0]


def act(config: Config, options: Namespace) -> int:
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
        print(db_view.checked_as_json(checked))
    else:
        console().print(db_view.checked_as_table(checked))
    return FAILED if any(one.faults for one in checked) else GOOD


def back_up(config: Config, options: Namespace) -> int:
    with working("copying"):
        count = maintenance(config).back_up(options.file)
    print(f"{options.file}: {db_view.size(count)}")
    return GOOD


def vacuum(config: Config, options: Namespace) -> int:
    with working("giving free space back"):
        before, after = maintenance(config).vacuum(full=options.full)
    print(f"{db_view.size(before)} before, {db_view.size(after)} now")
    return GOOD


def stats(config: Config, options: Namespace) -> int:
    with working("counting"):
        found = maintenance(config).stats()
    if options.format == "json":
        print(db_view.stats_as_json(found))
    else:
        console().print(db_view.stats_as_table(found))
    return GOOD
