"""`groundstation passes`: those to come, or those that the archive has."""

import argparse
from datetime import UTC, datetime, timedelta

from groundstation.commands.flags import config_in_service, config_path, window, window_of
from groundstation.commands.outcome import UsageError, report_failures, warn
from groundstation.commands.terminal import console
from groundstation.config import load_config

PAST = timedelta(days=7)  # of passes that are over, where nothing is said


def command(options: argparse.Namespace) -> int:
    return past(options) if options.past else coming(options)


def past(options: argparse.Namespace) -> int:
    from groundstation.commands.passes_past import as_csv, as_json, as_table, query_past

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


def coming(options: argparse.Namespace) -> int:
    from groundstation.commands.passes_query import asked, query_passes
    from groundstation.commands.passes_view import as_csv, as_json, as_table

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
        from groundstation.commands.passes_calendar import events_of_prediction
        from groundstation.pass_calendar import as_calendar

        print(as_calendar(events_of_prediction(found, now), config), end="")
    else:
        console().print(as_table(found.passes, found.names, found.aos_uncertainty_s, found.title))
    return 0
