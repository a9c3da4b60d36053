"""`groundstation track`: one pass step by step, and drawn."""

import argparse
from datetime import UTC, datetime

from groundstation.commands.flags import config_in_service
from groundstation.commands.outcome import report_failures, warn
from groundstation.commands.passes_query import asked
from groundstation.commands.terminal import console
from groundstation.commands.track_query import query_track
from groundstation.commands.track_view import as_csv, as_json, as_table


def command(options: argparse.Namespace) -> int:
    config = config_in_service(options)

    def show() -> None:
        tracked = query_track(config, options.of, asked(options), options.step, datetime.now(UTC))
        warn(tracked.warnings)
        if options.plot:
            from groundstation.commands.track_plot import draw

            draw(tracked, options.plot)
        if options.format == "json":
            print(as_json(tracked))
        elif options.format == "csv":
            print(as_csv(tracked), end="")
        else:
            console().print(as_table(tracked))

    return report_failures(show)
