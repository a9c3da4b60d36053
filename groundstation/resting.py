"""How a task that works now and then spends the time between: it shows that it lives, and wakes the machine seldom."""

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

BEAT_S = 15.0


async def rest(seconds: float, beat: Callable[[], None], until: asyncio.Event | None = None) -> None:
    """Return after `seconds`, or once `until` is set, with a `beat` every BEAT_S and at the end."""
    ends_at = time.monotonic() + seconds
    while (left_s := ends_at - time.monotonic()) > 0:
        beat()
        if until is None:
            await asyncio.sleep(min(left_s, BEAT_S))
            continue
        with suppress(TimeoutError):
            async with asyncio.timeout(min(left_s, BEAT_S)):
                await until.wait()
                break
    beat()
