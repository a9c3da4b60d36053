"""`groundstation publish`: what a modem's script has heard, on the broker as the daemon expects it."""

import argparse
import asyncio
import sys
from contextlib import nullcontext
from pathlib import Path

from groundstation.commands.flags import config_path
from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import report_failures
from groundstation.config import Config, ConfigError, load_config
from groundstation.link.modem import READERS, publish_frames


def command(options: argparse.Namespace) -> int:
    config = load_config(config_path(options))
    log_to_stderr("warning")

    def send() -> None:
        count = publish(
            config, options.file, options.station, options.satellite, form=options.input, rate_hz=options.rate
        )
        print(f"{count} frames published")

    return report_failures(send)


def publish(config: Config, file: str, station: str, satellite: str, *, form: str, rate_hz: float | None) -> int:
    """Publish every frame in `file` (- for standard input) and return how many the broker has confirmed.

    Raises ConfigError for a station or satellite that the configuration does not know: the daemon would put the
    frames into quarantine. Raises ModemError, LinkError and OSError.
    """
    faults = [
        f"--{name}: found {found}, expected {known}"
        for name, found, names in (("station", station, config.sites), ("satellite", satellite, config.definitions))
        if found not in names
        for known in [" or ".join(sorted(names))]
    ]
    if rate_hz is not None and not 0 < rate_hz <= 1e6:
        faults.append(f"--rate: found {rate_hz:g}, expected frames a second, above 0")
    if not config.settings.links:
        faults.append(f"{config.path}: links: found none, expected a broker to publish to")
    if faults:
        raise ConfigError(faults)
    with nullcontext(sys.stdin.buffer) if file == "-" else Path(file).open("rb") as frames:
        heard = READERS[form](frames, "standard input" if file == "-" else file)
        return asyncio.run(publish_frames(config.settings.links[0], station, satellite, heard, rate_hz=rate_hz))
