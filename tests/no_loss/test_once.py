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
from tests.no_loss.hold import held
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


async def test_what_is_in_quarantine_and_comes_again_is_counted_and_not_kept_twice(ground: Ground) -> None:
    """The commit succeeds and its acknowledgement is lost: broker and daemon are killed between the two."""
    ground.daemon.start().wait_until_ready()
    async with Publisher(LinkSettings(name="test", port=ground.broker.port, client_id="test-publisher")) as publisher:
        with held(ground.place):
            await publisher.publish_all([numbered(0), Outgoing(TOPIC, b"no envelope")])
            await eventually(ground.has_something_in_flight, "nothing came")
            ground.broker.save()
            await eventually(lambda: has_saved(ground), "the broker does not save")
            ground.broker.freeze()
        await eventually(lambda: is_held_back(ground, 1), "it does not come into quarantine")
        ground.broker.kill9()
        ground.daemon.kill9()
    ground.broker.start()
    async with witnessed(ground, SEED):
        ground.daemon.start()
        await eventually(lambda: is_held_back(ground, 2), "it does not come again")
        await eventually(ground.is_idle, "it does not come to rest")
    rows = ground.place.rows("SELECT hour, payload, reason FROM quarantine")
    assert len(rows) == len({hour for hour, *_ in rows})  # one, unless just now an hour struck
    assert {(bytes(payload), reason) for _, payload, reason in rows} == {(b"no envelope", "envelope")}
    link = await ground.link()
    assert link is not None
    assert link["quarantined"] == 1


async def has_saved(ground: Ground) -> bool:
    return (ground.broker.directory / "mosquitto.db").exists()  # for the first time, and whole once it has this name


async def is_held_back(ground: Ground, times: int) -> bool:
    return await asyncio.to_thread(ground.place.rows, "SELECT sum(times) FROM quarantine") == [(times,)]
