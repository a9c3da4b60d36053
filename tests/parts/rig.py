"""A station's own software as a process, `python -m tests.parts.rig PORT`: online until somebody kills it."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from groundstation.link.settings import LinkSettings
from groundstation.link.simulator import online


@contextmanager
def rig(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Yield the process once the broker has its status."""
    process = subprocess.Popen([sys.executable, "-m", "tests.parts.rig", str(port)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"online\n"
        yield process
    finally:
        process.kill()
        process.communicate()


async def stay(port: int) -> None:
    settings = LinkSettings(name="rig", port=port, client_id="rig-of-hko")
    async with online(settings, "hko", lambda: time.time_ns() // 1000):
        print("online", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(stay(int(sys.argv[1])))
