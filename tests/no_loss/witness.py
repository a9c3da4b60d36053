"""Somebody who looks at the daemon at random moments and holds it to the conservation equation."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from typing import Any

from tests.no_loss.ground import Ground


class Witness:
    """What was seen; `looks` counts the answers, for a dead daemon gives none."""

    def __init__(self, ground: Ground, seed: int) -> None:
        self.looks = 0
        self.most_in_flight = 0
        self.most_resident_mb = 0.0
        self._ground = ground
        self._chance = random.Random(seed)

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(self._chance.uniform(0, 0.2))
            status = await asyncio.to_thread(self._ground.ask)
            if status is not None:
                self.judge(status)

    def judge(self, status: dict[str, Any]) -> None:
        self.looks += 1
        for link in status["links"]:
            accounted_for = link["stored"] + link["duplicate"] + link["quarantined"] + link["in_flight"]
            assert link["received"] == accounted_for, link
            self.most_in_flight = max(self.most_in_flight, link["in_flight"])
        assert status["conservation"]["holds"], status["conservation"]
        with contextlib.suppress(FileNotFoundError, IndexError):  # it has just been killed
            self.most_resident_mb = max(self.most_resident_mb, self._ground.resident_mb())


@contextlib.asynccontextmanager
async def witnessed(ground: Ground, seed: int) -> AsyncIterator[Witness]:
    """Look at the daemon at random moments while the block lasts; what the witness objects to fails the test."""
    witness = Witness(ground, seed)
    watching = asyncio.create_task(witness.watch(), name="witness")
    try:
        yield witness
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    if not watching.cancelled() and (objection := watching.exception()) is not None:
        raise objection
