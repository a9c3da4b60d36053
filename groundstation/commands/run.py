"""`groundstation run`: the daemon, until somebody stops it."""

import argparse
import asyncio
import logging

from groundstation.commands.flags import config_path
from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import FAILED, report_failures
from groundstation.commands.preflight import refuse_faults
from groundstation.config import load_config
from groundstation.daemon import STOPPED_BY_S, Daemon, stop_on_signals

log = logging.getLogger(__name__)


def command(options: argparse.Namespace) -> int:
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
