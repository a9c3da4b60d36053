"""A packet is stored once however often it comes: again, through another station, or in last week's dump."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from groundstation.archive import queries
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.link.settings import LinkSettings
from groundstation.telemetry.envelope import telemetry_topic
from tests.archive.places import T0
from tests.no_loss.ground import TOPIC, Ground, eventually, numbered
from tests.no_loss.witness import witnessed

SEED = 20261125
FROM_CUHK = telemetry_topic("gs/v1", "cuhk", "one-sat")
WEEK_US = 7 * 86_400_000_000


async def publish(ground: Ground, messages: list[Outgoing]) -> None:
    """Publish, and return once every message has met its fate."""
    before = await ground.link()
    assert before is not None
    settings = LinkSettings(name="test", port=ground.broker.port, client_id="test-publisher")
    async with Publisher(settings) as publisher:
        await publisher.publish_all(messages)

    async def settled() -> bool:
        link = await ground.link()
        return link is not None and link["received"] - link["in_flight"] == before["received"] + len(messages)

    await eventually(settled, "not all has been settled")


@asynccontextmanager
async def latest_watched(ground: Ground) -> AsyncIterator[None]:
    """Fail where the archive's latest value is ever older than it was before."""

    done = asyncio.Event()

    async def watch() -> None:
        newest = 0
        async with ground.place.reader() as reader:
            while not done.is_set():
                for one in await reader.ask(queries.latest, "one-sat"):
                    assert one.generated_at_us >= newest
                    newest = one.generated_at_us
                await asyncio.sleep(0.005)

    watching = asyncio.create_task(watch(), name="watch latest")
    try:
        yield
    finally:
        done.set()
        await watching


def newest(ground: Ground) -> int:
    """Return the generation time, in milliseconds after T0, of the latest battery voltage."""
    (latest,) = ground.place.reader().ask_now(lambda connection: queries.latest(connection, "one-sat"))
    return (latest.generated_at_us - T0) // 1000


async def test_redelivered_packets_are_stored_once(ground: Ground) -> None:
    ground.daemon.start().wait_until_ready()
    messages = [numbered(number) for number in range(1000) for _ in range(3)]
    random.Random(SEED).shuffle(messages)
    async with witnessed(ground, SEED), latest_watched(ground):
        await publish(ground, messages)
    assert ground.sequences() == list(range(1000))
    assert ground.place.count("reception") == 0  # the same station's hearing, sent again
    link = await ground.link()
    assert link is not None
    assert (link["stored"], link["duplicate"]) == (1000, 2000)
    assert newest(ground) == 999


async def test_two_stations_hear_each_packet_and_both_receptions_are_kept(ground: Ground) -> None:
    ground.daemon.start().wait_until_ready()
    both = [numbered(number, topic) for number in range(1000) for topic in (TOPIC, FROM_CUHK, FROM_CUHK)]
    random.Random(SEED).shuffle(both)
    async with witnessed(ground, SEED), latest_watched(ground):
        await publish(ground, both)
    assert ground.sequences() == list(range(1000))
    heard = ground.place.rows(
        "SELECT generated_at, digest, station FROM packet UNION ALL SELECT generated_at, digest, station FROM reception"
    )
    assert len(heard) == len(set(heard)) == 2000  # each by each station, once
    assert {station for *_, station in ground.place.rows("SELECT generated_at, digest, station FROM packet")} == {
        "hko",
        "cuhk",
    }


async def test_a_dump_that_repeats_last_week_adds_what_was_missed_and_nothing_else(ground: Ground) -> None:
    ground.daemon.start().wait_until_ready()
    a_week_ago = T0 - WEEK_US
    last_week = range(1000)
    missed = set(random.Random(SEED).sample(last_week, 100))
    heard_live = [numbered(number, at_us=a_week_ago) for number in last_week if number not in missed]
    today = [numbered(number) for number in range(1000, 1500)]
    dump = [numbered(number, kind="dump", at_us=a_week_ago) for number in last_week]
    late = [numbered(1400 - number) for number in range(300, 350)]  # of today, and long overtaken
    async with witnessed(ground, SEED), latest_watched(ground):
        await publish(ground, heard_live)
        await publish(ground, today)
        assert newest(ground) == 1499
        await publish(ground, [*dump, *late, *dump])
    assert ground.sequences() == list(range(1500))
    kinds = dict(ground.place.rows("SELECT kind, count(*) FROM packet GROUP BY kind"))
    assert kinds == {"realtime": 1400, "dump": len(missed)}
    assert newest(ground) == 1499
