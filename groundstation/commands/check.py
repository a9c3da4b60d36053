"""`groundstation check`: what is wrong with a configuration, by file and key."""

import argparse

from groundstation.commands.flags import config_path
from groundstation.commands.outcome import warn
from groundstation.commands.preflight import refuse_faults
from groundstation.config import load_config


def command(options: argparse.Namespace) -> int:
    path = config_path(options)
    config = load_config(path)
    refuse_faults(config, absences=True)
    settings = config.settings
    print(
        f"{path}: good. {len(settings.stations)} stations, {len(settings.links)} links, "
        f"{len(config.definitions)} satellites, {len(config.elements)} element sets"
    )
    if not settings.links:
        warn([f"{path}: links: found none: nothing will be received"])
    for slug in config.without_elements():
        print(f"note: {slug} is in orbit and has no elements in {settings.elements}: no passes for it")
    return 0
