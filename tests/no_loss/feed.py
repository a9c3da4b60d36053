"""A station that never gives up: it publishes numbered packets at a rate, each until the broker has confirmed it."""

import asyncio
import time

from groundstation.link.connection import LinkError
from groundstation.link.publisher import Publisher
from groundstation.link.settings import LinkSettings
from tests.no_loss.ground import numbered

AT_ONCE_LEAST, AT_ONCE_MOST = 50, 1000


class Feed:
    """Numbers from 0 up to `confirmed` are with the broker; what an outage left unconfirmed is published again."""

    def __init__(self, port: int, per_second: float) -> None:
        self.confirmed = 0
        self.outages = 0
        self.enough = asyncio.Event()
        self._settings = LinkSettings(name="feed", port=port, client_id="feed")
        self._per_second = per_second

    async def run(self) -> None:
        """Publish until `enough`; after an outage faster, until the rate is kept again."""
        began = time.monotonic()
        while not self.enough.is_set():
            try:
                async with Publisher(self._settings) as publisher:
                    while not self.enough.is_set():
                        due = round((time.monotonic() - began) * self._per_second)
                        await self._publish_some(publisher, due - self.confirmed)
                        await asyncio.sleep(max(0.0, began + self.confirmed / self._per_second - time.monotonic()))
            except LinkError:
                self.outages += 1
                await asyncio.sleep(0.05)

    async def _publish_some(self, publisher: Publisher, count: int) -> None:
        some = range(self.confirmed, self.confirmed + min(max(count, AT_ONCE_LEAST), AT_ONCE_MOST))
        await publisher.publish_all([numbered(number) for number in some])
        self.confirmed = some.stop
