"""Hostile messages among good ones, through a real broker: the good are stored, the bad in quarantine, no growth."""

import random
from collections import Counter

import pytest

from groundstation.link.publisher import Outgoing, Publisher
from groundstation.link.settings import LinkSettings
from tests.no_loss.ground import Ground, eventually, numbered
from tests.no_loss.hostile import Hostile, made, odd
from tests.no_loss.witness import witnessed

SEED = 20261124
GOOD_SHARE = 5  # one good message for so many hostile ones
ODD_SHARE = 3  # one good message of so many is not odd
GROWTH_MOST_MB = 12  # from the first round's end to the last's: less than 200 bytes for each hostile message of soak
OF_THE_SKY = ("groundstation_contact", "groundstation_pass_")


@pytest.mark.parametrize(
    ("seeds", "each"),
    [
        pytest.param([SEED] * 4, 2500, id="10,000"),  # the same ones four times: to make them takes longest
        pytest.param(
            [SEED + place for place in range(10)],
            10_000,
            id="100,000",
            marks=[pytest.mark.soak, pytest.mark.timeout(1200)],
        ),
    ],
)
async def test_hostile_messages_cost_no_good_one_and_leave_no_trace(
    ground: Ground, seeds: list[int], each: int
) -> None:
    print(f"seed {SEED}")
    ground.daemon.start().wait_until_ready()
    series = series_of(ground)
    resident_mb: list[float] = []
    hostile: list[Hostile] = []
    good = 0
    async with witnessed(ground, SEED) as witness:
        for place, seed in enumerate(seeds):
            bad = made(each, seed)
            numbers = range(good, good + each // GOOD_SHARE)
            expected = [odd(number) if number % ODD_SHARE else numbered(number) for number in numbers]
            good += len(expected)
            hostile += bad
            await publish(ground, [*(one.outgoing() for one in bad), *expected], SEED + place)
            await eventually(lambda wanted=good: ground.has_stored(wanted), "good packets are missing")  # type: ignore[misc]
            await eventually(ground.is_idle, "it does not come to rest")
            check_quarantine(ground, hostile)
            resident_mb.append(ground.resident_mb())
    assert ground.sequences() == list(range(good))
    costly = sum(number % ODD_SHARE > 0 and number % 2 == 0 for number in range(good))
    assert ground.place.rows("SELECT count(*) FROM packet WHERE faults IS NOT NULL") == [(costly,)]
    check_counts(ground, good, len(seeds) * each)
    assert series_of(ground) == series
    assert resident_mb[-1] - resident_mb[0] < GROWTH_MOST_MB, resident_mb
    assert witness.looks > len(seeds)
    assert "Traceback" not in ground.daemon.text()


async def publish(ground: Ground, messages: list[Outgoing], seed: int) -> None:
    random.Random(seed).shuffle(messages)
    settings = LinkSettings(name="hostile", port=ground.broker.port, client_id="hostile")
    async with Publisher(settings) as publisher:
        assert await publisher.publish_all(messages) == len(messages)


def check_quarantine(ground: Ground, bad: list[Hostile]) -> None:
    """Compare what is in quarantine, and how often each came, with all that was sent."""
    kept: Counter[tuple[str, bytes, str]] = Counter()
    for topic, payload, reason, times in ground.place.rows("SELECT topic, payload, reason, times FROM quarantine"):
        kept[topic, bytes(payload), reason] += times
    sent = Counter((one.topic, one.payload, str(one.reason)) for one in bad)
    assert not kept - sent, list((kept - sent).items())[:3]
    assert not sent - kept, list((sent - kept).items())[:3]


def check_counts(ground: Ground, good: int, bad: int) -> None:
    status = ground.ask()
    counts = {"received": good + bad, "stored": good, "duplicate": 0, "quarantined": bad, "in_flight": 0}
    assert status["conservation"] == counts | {"holds": True}
    assert sum(status["rejected"].values()) == bad
    by_reason = dict(ground.place.rows("SELECT reason, sum(times) FROM quarantine GROUP BY reason"))
    assert {reason: count for reason, count in status["rejected"].items() if count} == by_reason


def series_of(ground: Ground) -> set[str]:
    """Return the metrics' names with their labels, but those that follow the sky or say when something first was."""
    text = ground.ask_text("/metrics")
    assert text is not None
    names = {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}
    return {name for name in names if "_timestamp_seconds" not in name and not name.startswith(OF_THE_SKY)}
