"""Reads every counter into one Health: the only place that knows where each number stands."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from groundstation import __version__
from groundstation.archive.element_supply import Served
from groundstation.archive.leadership import Leadership
from groundstation.archive.space import space_on_disk
from groundstation.archive.writer import Writer
from groundstation.config import Config
from groundstation.elements.settings import FILES
from groundstation.last_passes import LastPasses
from groundstation.link.connection import Trouble
from groundstation.link.mqtt import MqttSource
from groundstation.monitor.health import (
    ArchiveHealth,
    ElementsHealth,
    ElementSourceHealth,
    Health,
    LinkHealth,
    SatelliteHealth,
)
from groundstation.pipeline import Inbox
from groundstation.planning import Planner
from groundstation.stations import Stations
from groundstation.supply import Supply
from groundstation.tally import SatelliteTally, Tally
from groundstation.telemetry.moments import microseconds
from groundstation.upkeep import Upkeep
from groundstation.watch import PassWatch


def checkup(
    config: Config,
    *,
    started_at: datetime,
    sources: Sequence[MqttSource],
    inbox: Inbox,
    writer: Writer | None,
    tally: Tally,
    stations: Stations,
    watch: PassWatch,
    last_passes: LastPasses,
    planner: Planner,
    supply: Supply,
    upkeep: Upkeep,
    leadership: Leadership,
    idle_s: Mapping[str, float],
    loop_lag_s: float,
) -> Health:
    """Return how the daemon is now; the cost is a walk over counters and two questions to the file system."""
    now = datetime.now(UTC)
    return Health(
        now_us=microseconds(now),
        started_at_us=microseconds(started_at),
        version=__version__,
        links=links_of(sources, inbox),
        satellites=tuple(satellite_of(slug, entry, supply) for slug, entry in tally.satellites.items()),
        rejected=dict(tally.rejected),
        inbox_messages=inbox.held().total(),
        inbox_capacity=inbox.capacity,
        archive=archive_of(writer, upkeep, leadership, config.settings.archive.url),
        passes=watch.health(now, tally.heard),
        elements=elements_of(supply),
        element_sources=sources_of(supply),
        tasks=dict(idle_s),
        loop_lag_s=loop_lag_s,
        contacts=planner.health(now),
        plans=planner.summary(now),
        stations=stations.health({source.settings.name for source in sources if source.up}),
        heard=last_passes.heard,
    )


def links_of(sources: Sequence[MqttSource], inbox: Inbox) -> tuple[LinkHealth, ...]:
    held = inbox.held()
    return tuple(
        LinkHealth(
            name=source.settings.name,
            up=source.up,
            received=account.received,
            stored=account.stored,
            duplicate=account.duplicate,
            quarantined=account.quarantined,
            in_flight=held[source.settings.name],
            unprotected=account.unprotected,
            connects=source.connects,
            disconnects=dict.fromkeys(Trouble, 0) | source.disconnects,
            failures=dict.fromkeys(Trouble, 0) | source.failures,
            received_bytes=source.received_bytes,
            last_message_at_us=source.last_message_at_us,
            paused=source.paused,
            error=source.last_error,
        )
        for source in sources
        for account in (inbox.accounts[source.settings.name],)
    )


def satellite_of(slug: str, entry: SatelliteTally, supply: Supply) -> SatelliteHealth:
    return SatelliteHealth(
        satellite=slug,
        decayed=entry.definition.status == "decayed",
        stored=dict(entry.stored),
        duplicates=dict(entry.duplicates),
        last_generated_at_us=entry.last_generated_at_us,
        last_received_at_us=entry.last_received_at_us,
        out_of_limits=dict(entry.out_of_limits()),
        missing=entry.missing(),
        late=sum(one.late for one in entry.counting.values()),
        resets=sum(one.resets for one in entry.counting.values()),
        unknown=entry.unknown,
        elements_refused={reason: count for (satellite, reason), count in supply.refused.items() if satellite == slug},
    )


def archive_of(writer: Writer | None, upkeep: Upkeep, leadership: Leadership, url: str) -> ArchiveHealth:
    size_bytes, free_bytes = space_on_disk(url)
    if writer is None:
        return ArchiveHealth(up=False, leads=False, size_bytes=size_bytes, free_bytes=free_bytes)
    return ArchiveHealth(
        up=writer.up,
        last_commit_at_us=writer.last_commit_at_us,
        errors=writer.errors,
        write_seconds=writer.write_seconds,
        writes=writer.commits,
        size_bytes=size_bytes,
        free_bytes=free_bytes,
        leads=leadership.leads,
        rolled_up_at_us=upkeep.rolled_up_at_us,
        forgot_at_us=upkeep.forgot_at_us,
    )


def elements_of(supply: Supply) -> tuple[ElementsHealth, ...]:
    """Return for each satellite the set with the latest epoch among its candidate numbers."""
    newest: dict[str, Served] = {}
    for one in supply.in_service():
        held = newest.get(one.elements.name)
        if held is None or held.elements.epoch < one.elements.epoch:
            newest[one.elements.name] = one
    return tuple(
        ElementsHealth(
            satellite=slug,
            epoch_us=microseconds(one.elements.epoch),
            source=one.elements.source,
            since_us=one.since_us,
            shift_s=supply.shifts.get(slug),
        )
        for slug, one in newest.items()
    )


def sources_of(supply: Supply) -> tuple[ElementSourceHealth, ...]:
    names = (FILES, *(source.name for source in supply.sources))
    return tuple(
        ElementSourceHealth(
            name=name,
            succeeded_at_us=supply.succeeded_at_us.get(name),
            errors={reason: count for (source, reason), count in supply.errors.items() if source == name},
        )
        for name in names
    )
