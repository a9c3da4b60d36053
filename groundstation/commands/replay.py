"""`groundstation replay`: a pass through the pipeline again, until its end or until somebody stops it."""

import argparse
import asyncio
import os
import sys

from groundstation.commands.flags import config_path
from groundstation.commands.logs import log_to_stderr
from groundstation.commands.outcome import FAILED, INTERRUPTED, report_failures, warn
from groundstation.commands.playback import LEAVE_S, Played, replay
from groundstation.config import load_config
from groundstation.daemon import stop_on_signals


def command(options: argparse.Namespace) -> int:
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
