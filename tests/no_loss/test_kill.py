"""kill -9 of the whole daemon under 2,000 packets/s, with broker restarts among it: every packet is stored once."""

import asyncio
import random
import time

import pytest

from tests.no_loss.feed import Feed
from tests.no_loss.ground import Ground, eventually
from tests.no_loss.hold import held
from tests.no_loss.witness import witnessed

PER_SECOND = 2000
SEED = 20261122


# When the daemon is killed. On a fast disk a commit is a few milliseconds of each batch's twenty, and a kill would
# seldom meet one: so two of five come while the archive is held by somebody else and a batch waits for it.
INSTANTS = ("starting", "working", "committing", "working", "committing")


async def kill_at_random(ground: Ground, chance: random.Random, kills: int) -> None:
    """Kill the daemon and start it again, over and over; about every second time the broker is restarted too."""
    instants = [instant for _ in range(0, kills, len(INSTANTS)) for instant in chance.sample(INSTANTS, len(INSTANTS))]
    for instant in instants[:kills]:
        restart = chance.choice(("", "before", "after"))
        if instant == "starting":
            await asyncio.sleep(chance.uniform(0, 2))  # perhaps it has not migrated, or not subscribed
        else:
            await eventually(ground.is_at_work, "the daemon does nothing")
            await asyncio.sleep(chance.uniform(0, 0.5))
        if restart == "before":
            await asyncio.to_thread(ground.broker.restart)
            await asyncio.sleep(chance.uniform(0, 0.3))  # the daemon may be on its way back
        if instant == "committing":
            with held(ground.place):
                await eventually(ground.has_something_in_flight, "nothing comes")
                await asyncio.sleep(chance.uniform(0.05, 0.3))
                await asyncio.to_thread(ground.daemon.kill9)
        else:
            await asyncio.to_thread(ground.daemon.kill9)
        if restart == "after":
            await asyncio.to_thread(ground.broker.restart)
        ground.daemon.start()


async def prove(ground: Ground, kills: int, seed: int) -> None:
    print(f"seed {seed}")
    ground.daemon.start().wait_until_ready()
    feed, began = Feed(ground.broker.port, PER_SECOND), time.monotonic()
    feeding = asyncio.create_task(feed.run(), name="feed")
    async with witnessed(ground, seed) as witness:
        await kill_at_random(ground, random.Random(seed), kills)
        await eventually(ground.is_at_work, "the daemon does nothing")
        feed.enough.set()
        await feeding
        fed_s = time.monotonic() - began
        await eventually(lambda: ground.has_stored(feed.confirmed), "packets are missing")
        await eventually(ground.is_idle, "it does not come to rest")
    assert ground.sequences() == list(range(feed.confirmed))
    assert await asyncio.to_thread(ground.daemon.stop) == 0
    assert ground.sequences() == list(range(feed.confirmed))
    assert ground.place.count("quarantine") == 0
    # And it was a trial: the broker went away, the daemon had much in hand, and somebody was looking.
    assert feed.outages >= kills // 3
    assert feed.confirmed >= PER_SECOND * kills // 2
    assert feed.confirmed >= 0.8 * PER_SECOND * fed_s, f"{feed.confirmed / fed_s:.0f} packets/s"
    assert witness.most_in_flight > 0
    assert witness.looks >= 2 * kills


async def test_five_kills_lose_nothing_and_double_nothing(ground: Ground) -> None:
    await prove(ground, 5, SEED)


@pytest.mark.soak
@pytest.mark.timeout(900)
async def test_thirty_kills_lose_nothing_and_double_nothing(ground: Ground) -> None:
    await prove(ground, 30, SEED + 1)
