"""Each number of the daemon's health comes from where it is counted: no two here are equal, so none can be mistaken."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.config import load_config
from groundstation.daemon import Daemon
from groundstation.link.connection import Trouble
from groundstation.monitor.health import ArchiveHealth, LinkHealth, SatelliteHealth
from groundstation.telemetry.packet import Fate, Level, Message, Packet, Reason, Rejection
from tests.parts.config_files import DEFINITION, SETTINGS, write_files
from tests.test_pipeline import PACKET
from tests.test_watch import PASS

SECOND_LINK = '\n[[links]]\nname = "backup"\nclient_id = "groundstation-test-2"\n'
NO_TROUBLE = {trouble.value: 0 for trouble in Trouble}
FIRST = replace(PACKET, satellite="one-sat", values={"v": 7.5}, definition_hash="")


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    config = load_config(write_files(tmp_path / "station", settings=SETTINGS + SECOND_LINK))
    made = Daemon(config)
    yield made
    async with made.leadership:
        pass  # ends its thread
    if made.writer is not None:
        await made.writer.__aexit__()


async def test_a_link_s_numbers_are_its_own(daemon: Daemon) -> None:
    main, backup = daemon.sources
    main.up, main.paused, main.connects = True, True, 2
    main.disconnects, main.failures = Counter(network=3), Counter({"network": 4, "tls": 5})
    main.received_bytes, main.last_message_at_us = 606, 707
    backup.last_error = "tls: expired"
    for count, qos in ((8, 0), (29, 1)):
        for _ in range(count):
            daemon.inbox.put(Message("mqtt", "topic", b"", 0, qos=qos))
    account = daemon.inbox.accounts["mqtt"]
    account.stored, account.duplicate, account.quarantined = 10, 11, 12
    assert daemon.health().links == (
        LinkHealth(
            name="mqtt",
            up=True,
            received=37,
            stored=10,
            duplicate=11,
            quarantined=12,
            in_flight=37,
            unprotected=8,
            connects=2,
            disconnects=NO_TROUBLE | {"network": 3},
            failures=NO_TROUBLE | {"network": 4, "tls": 5},
            received_bytes=606,
            last_message_at_us=707,
            paused=True,
            error=None,
        ),
        LinkHealth(name="backup", up=False, disconnects=NO_TROUBLE, failures=NO_TROUBLE, error="tls: expired"),
    )
    assert (daemon.health().inbox_messages, daemon.health().inbox_capacity) == (37, 5000)


async def test_the_archive_s_numbers_are_the_writer_s(daemon: Daemon, tmp_path: Path) -> None:
    closed = daemon.health().archive
    assert (closed.up, closed.leads, closed.writes) == (False, False, 0)
    daemon.writer = writer = await Writer(daemon.config.settings.archive.url).__aenter__()
    writer.commits, writer.errors, writer.write_seconds, writer.last_commit_at_us = 11, 12, 1.25, 1300
    daemon.upkeep.rolled_up_at_us, daemon.upkeep.forgot_at_us = 1400, 1500
    file = tmp_path / "station" / "test.db"
    file.write_bytes(bytes(1600))
    file.with_name("test.db-wal").write_bytes(bytes(17))
    found = daemon.health().archive
    assert found.free_bytes is not None
    assert found.free_bytes > 1_000_000
    assert replace(found, free_bytes=None) == ArchiveHealth(
        up=True,
        last_commit_at_us=1300,
        errors=12,
        write_seconds=1.25,
        writes=11,
        size_bytes=1617,
        free_bytes=None,
        leads=True,
        rolled_up_at_us=1400,
        forgot_at_us=1500,
    )
    file.write_bytes(b"this is no database")
    with pytest.raises(ArchiveUnavailableError):
        await writer.save_definitions(list(daemon.config.definitions.values()))
    assert (daemon.health().archive.up, daemon.health().archive.errors) == (False, 13)


async def test_what_was_committed_is_counted_when_somebody_looks_or_when_it_is_much(daemon: Daemon) -> None:
    def committed(first: int, count: int) -> list[tuple[Packet, Fate]]:
        numbers = range(first, first + count)
        return [(replace(FIRST, sequence=number, received_at_us=1000 + number), Fate.STORED) for number in numbers]

    def counted() -> int:
        return daemon.tally.heard["one-sat", "hko"]

    daemon._observe(committed(0, 60), [])
    assert counted() == 0
    assert sum(daemon.health().satellites[0].stored.values()) == counted() == 60
    assert {one.last_seen_at_us for one in daemon.health().stations if one.station == "hko"} == {1059}
    daemon._observe(committed(60, 60), [])
    assert counted() == 60
    daemon._observe(committed(120, 60), [])
    assert counted() == 180
    daemon._observe(committed(180, 10), [Rejection("mqtt", "topic", b"", 0, Reason.FRAME, "not a frame")])
    assert (counted(), daemon.tally.rejected[Reason.FRAME]) == (190, 1)
    assert sum(daemon.health().satellites[0].stored.values()) == counted() == 190
    assert daemon.health().satellites[0].missing == 0


async def test_a_pass_that_has_ended_is_told_with_all_that_was_committed_in_it(
    daemon: Daemon, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "groundstation.daemon")
    now = datetime.now(UTC)
    span = {"aos": now - timedelta(minutes=5), "los": now + timedelta(minutes=5)}
    daemon.watch.passes = (replace(PASS, satellite="one-sat", site="hko", **span),)  # type: ignore[arg-type]
    daemon.watch.update(now, daemon.tally.heard)
    daemon._observe([(replace(FIRST, sequence=number), Fate.STORED) for number in range(7)], [])
    daemon.watch.passes = ()
    following = asyncio.create_task(daemon._follow())
    await asyncio.sleep(0)
    following.cancel()
    assert [record.getMessage() for record in caplog.records] == ["pass of one-sat over hko ended, 7 packets stored"]


async def test_a_satellite_s_numbers_are_those_of_its_tally(daemon: Daemon) -> None:
    def heard(sequence: int, at_us: int, **changes: object) -> tuple[Packet, Fate]:
        one = replace(FIRST, sequence=sequence, generated_at_us=at_us, received_at_us=at_us + 5)
        return replace(one, **changes), Fate.STORED  # type: ignore[arg-type]

    fates = [heard(1, 1000), heard(5, 2000), heard(3, 1500), heard(2, 3000), heard(3, 4000, unknown=6)]
    fates += [heard(9, 500, kind="dump", unknown=3), (replace(FIRST, sequence=1), Fate.DUPLICATE)]
    fates += [heard(4, 5000, levels={"v": Level.CRITICAL})]
    daemon.tally.observe(fates, [Rejection("mqtt", "topic", b"", 0, Reason.FRAME, "not a frame")] * 7)
    daemon.supply.refused["one-sat", "older"] += 8
    (found,) = daemon.health().satellites
    assert replace(found, elements_refused={k: v for k, v in found.elements_refused.items() if v}) == SatelliteHealth(
        satellite="one-sat",
        stored={("hko", "housekeeping", "realtime"): 6, ("hko", "housekeeping", "dump"): 1},
        duplicates={"hko": 1},
        last_generated_at_us=5000,
        last_received_at_us=5005,
        out_of_limits={"critical": 1},
        missing=2,  # 2 and 4, for 3 came late
        late=1,
        resets=1,  # from 5 to 2
        unknown=9,
        elements_refused={"older": 8},
    )
    assert daemon.health().rejected == dict.fromkeys(Reason, 0) | {"frame": 7}


def test_a_satellite_has_decayed_where_its_definition_says_so(tmp_path: Path) -> None:
    gone = DEFINITION.replace('status = "in_orbit"', 'status = "decayed"')
    for definition, decayed in ((DEFINITION, False), (gone, True)):
        (found,) = Daemon(load_config(write_files(tmp_path / str(decayed), definition=definition))).health().satellites
        assert found.decayed is decayed
