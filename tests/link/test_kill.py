"""kill -9 of the consumer at any moment loses nothing, whatever the engine."""

import asyncio
import random
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from groundstation.link.publisher import Outgoing, Publisher
from tests.parts.mosquitto import Mosquitto
from tests.parts.receiver import ENGINES, TOPIC, eventually, link_settings, numbered

COUNT, RATE_HZ, KILLS = 4000, 2500, 3


async def paced() -> AsyncIterator[Outgoing]:
    for number, payload in enumerate(numbered(COUNT)):
        if number % 50 == 0:
            await asyncio.sleep(50 / RATE_HZ)
        yield Outgoing(TOPIC, payload)


@pytest.mark.parametrize("engine", ENGINES)
async def test_kill_9_of_the_consumer_loses_nothing(mosquitto: Mosquitto, engine: str, tmp_path: Path) -> None:
    file = tmp_path / "kept"
    command = (sys.executable, "-m", "tests.parts.consumer", engine, str(mosquitto.port), str(file))
    chance = random.Random(engine)

    def kept() -> list[bytes]:
        return file.read_bytes().split(b"\n") if file.exists() else []

    def has(count: int) -> bool:
        return len(kept()) >= count

    consumer = await asyncio.create_subprocess_exec(*command)
    await eventually(lambda: "Sending SUBACK to consumer" in mosquitto.log.read_text())
    async with Publisher(link_settings(mosquitto.port, client_id="publisher")) as publisher:
        publishing = asyncio.create_task(publisher.publish_all(paced()))
        for _ in range(KILLS):
            await eventually(partial(has, len(kept()) + chance.randrange(20, 400)))
            consumer.kill()
            await consumer.wait()
            consumer = await asyncio.create_subprocess_exec(*command)
        await publishing
    try:
        await eventually(lambda: set(numbered(COUNT)) <= set(kept()))
    finally:
        consumer.kill()
        await consumer.wait()
    assert len(kept()) - 1 < 2 * COUNT  # it may come again, but not all of it
