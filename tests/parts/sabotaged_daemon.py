"""`groundstation run` with one thing in its memory spoilt once it is ready: `python -m … CONFIG TASK`.

What a bug or a broken memory would do; the code that runs is the daemon's own.
"""

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import report_failures
from groundstation.config import load_config
from groundstation.daemon import Daemon, stop_on_signals

NONSENSE: Any = ("no pass",)


def spoil_follow(daemon: Daemon) -> None:
    daemon.watch.passes = NONSENSE


def spoil_predict(daemon: Daemon) -> None:
    nothing: Any = None
    daemon.planner = nothing
    daemon.supply.changed.set()  # predict again, at once


def spoil_record(daemon: Daemon) -> None:
    daemon.writer.__dict__["store"] = None


def spoil_tally(daemon: Daemon) -> None:
    daemon.tally.satellites.clear()  # the next packet is of a satellite that nobody knows


def spoil_receive(daemon: Daemon) -> None:
    daemon.inbox.accounts.clear()  # the next message is of a link that nobody knows


SPOIL: dict[str, Callable[[Daemon], None]] = {
    "follow": spoil_follow,
    "predict": spoil_predict,
    "record": spoil_record,
    "tally": spoil_tally,
    "receive": spoil_receive,
}


async def run(path: Path, task: str) -> None:
    stopping = asyncio.Event()
    daemon = Daemon(load_config(path))
    with stop_on_signals(stopping):
        running = asyncio.create_task(daemon.run(stopping))
        await daemon.ready.wait()
        SPOIL[task](daemon)
        print("spoilt", flush=True)
        await running


if __name__ == "__main__":
    log_to_stderr("info")
    sys.exit(report_failures(lambda: asyncio.run(run(Path(sys.argv[1]), sys.argv[2]))))
