"""`groundstation contacts`: which passes each antenna takes."""

import argparse
from datetime import UTC, datetime

from groundstation.commands import contacts_view
from groundstation.commands.contacts_query import query_contacts
from groundstation.commands.flags import config_in_service, window
from groundstation.commands.outcome import report_failures, warn
from groundstation.commands.terminal import console
from groundstation.orbit.network import opportunities


def command(options: argparse.Namespace) -> int:
    start, end = window(options, datetime.now(UTC))
    config = config_in_service(options)

    def show() -> None:
        planned = query_contacts(config, options.site, start, end)
        warn(planned.warnings)
        network, as_json = opportunities(planned.plans.values()), options.format == "json"
        if options.network and as_json:
            print(contacts_view.network_as_json(network))
        elif options.network:
            console().print(contacts_view.network_as_table(network, planned.names, planned.title))
        elif as_json:
            print(contacts_view.plans_as_json(planned.plans.values()))
        else:
            console().print(contacts_view.plans_as_table(planned.plans, planned.names, planned.title))

    return report_failures(show)
