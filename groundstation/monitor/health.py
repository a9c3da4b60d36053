"""How the station is, as one frozen value: the daemon composes it, metrics, pages and `status` render it.

Every mapping in it is a copy: a thread renders it while the event loop counts on. A count that has not happened yet
stands there as 0 (each packet of each definition, each reason to disconnect), so that a rate sees the first one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from groundstation.monitor.systemd import STUCK_S, stuck


@dataclass(frozen=True, slots=True)
class LinkHealth:
    """One MQTT link and its side of the conservation equation."""

    name: str
    up: bool
    received: int = 0
    stored: int = 0
    duplicate: int = 0
    quarantined: int = 0
    in_flight: int = 0  # counted by looking, not derived
    unprotected: int = 0  # QoS 0
    connects: int = 0
    disconnects: Mapping[str, int] = field(default_factory=dict)  # by reason, a closed set
    failures: Mapping[str, int] = field(default_factory=dict)  # attempts to connect that failed, by the same reasons
    received_bytes: int = 0
    last_message_at_us: int | None = None
    paused: bool = False  # not reading, because the inbox is full
    error: str | None = None  # why it is down, in one line; None while it is up

    def trouble(self) -> str:
        return f"link {self.name} is down" + (f": {self.error}" if self.error else "")

    def imbalance(self) -> int:
        """Return received − stored − duplicate − quarantined − in flight; anything but 0 is a bug."""
        return self.received - self.stored - self.duplicate - self.quarantined - self.in_flight


@dataclass(frozen=True, slots=True)
class StationHealth:
    """One configured station, by its own word; None where it has said nothing over a link that is up."""

    station: str
    online: bool | None = None
    last_seen_at_us: int | None = None  # when it last said that it is there, or heard a packet
    clock_synchronised: bool | None = None
    software: str = ""


@dataclass(frozen=True, slots=True)
class SatelliteHealth:
    satellite: str
    decayed: bool = False  # flies no more, but its recordings are replayed
    stored: Mapping[tuple[str, str, str], int] = field(default_factory=dict)  # by station, packet, kind
    duplicates: Mapping[str, int] = field(default_factory=dict)  # by station
    last_generated_at_us: int | None = None
    last_received_at_us: int | None = None
    out_of_limits: Mapping[str, int] = field(default_factory=dict)  # parameters now at each level, by level name
    missing: int = 0  # sequence counts that never came, by realtime packets since the start
    late: int = 0  # realtime packets heard after one that was generated later
    resets: int = 0  # restarts of a sequence counter on board
    unknown: int = 0  # keys in stored packets that nothing describes
    elements_refused: Mapping[str, int] = field(default_factory=dict)  # sets that the gate did not admit, by reason


@dataclass(frozen=True, slots=True)
class PassHealth:
    """The pass under way or next, for one satellite over one station; times in UTC microseconds."""

    satellite: str
    station: str
    active: bool
    aos_us: int
    los_us: int
    max_elevation_deg: float
    packets: int = 0  # stored since AOS, while active
    aos_uncertainty_s: float | None = None  # how early or late AOS may be, nine times of ten; None: nobody can say


@dataclass(frozen=True, slots=True)
class HeardPass:
    """A pass that is over and was heard, under its lasting number."""

    number: int  # by which `record` and `replay` take it
    satellite: str
    station: str
    aos_us: int
    los_us: int
    max_elevation_deg: float
    packets: int  # by its station, a little before AOS and after LOS included


@dataclass(frozen=True, slots=True)
class ContactHealth:
    """The contact under way or next, of one satellite with one station."""

    satellite: str
    station: str
    active: bool
    committed: bool
    start_us: int
    end_us: int
    max_elevation_deg: float


@dataclass(frozen=True, slots=True)
class PlanHealth:
    """What one station has before it."""

    station: str
    planned: int  # contacts to come that another plan may change
    committed: int  # contacts to come that none will
    skipped: Mapping[str, int] = field(default_factory=dict)  # passes not taken, by reason, a closed set


@dataclass(frozen=True, slots=True)
class ElementsHealth:
    satellite: str
    epoch_us: int
    source: str  # "files" or the name of a network source
    since_us: int | None = None  # when the set began to serve
    shift_s: float | None = None  # how far it moved the next AOS, later is positive; None before any change


@dataclass(frozen=True, slots=True)
class ElementSourceHealth:
    """The folder of element files, or one network source."""

    name: str
    succeeded_at_us: int | None = None  # when it last had or confirmed its data; None for files
    errors: Mapping[str, int] = field(default_factory=dict)  # by reason, a closed set


@dataclass(frozen=True, slots=True)
class ArchiveHealth:
    up: bool
    last_commit_at_us: int | None = None
    errors: int = 0
    write_seconds: float = 0.0  # sum over all transactions
    writes: int = 0
    size_bytes: int | None = None  # of the file and its journal; None for a server
    free_bytes: int | None = None  # on the file system that holds it; None for a server
    leads: bool = True  # passes, roll-ups and retention are this daemon's
    rolled_up_at_us: int | None = None  # when no hour was left that was due to be rolled up
    forgot_at_us: int | None = None  # when nothing was left that retention takes


@dataclass(frozen=True, slots=True)
class Health:
    now_us: int
    started_at_us: int
    version: str
    links: tuple[LinkHealth, ...]
    satellites: tuple[SatelliteHealth, ...]
    rejected: Mapping[str, int]  # by Reason
    inbox_messages: int
    inbox_capacity: int
    archive: ArchiveHealth
    passes: tuple[PassHealth, ...]
    elements: tuple[ElementsHealth, ...]
    tasks: Mapping[str, float]  # seconds since each task last made progress
    loop_lag_s: float = 0.0
    element_sources: tuple[ElementSourceHealth, ...] = ()
    contacts: tuple[ContactHealth, ...] = ()
    plans: tuple[PlanHealth, ...] = ()
    stations: tuple[StationHealth, ...] = ()
    heard: tuple[HeardPass, ...] = ()  # the last passes that brought packets, the last one first

    def problems(self) -> list[str]:
        """Return what an operator should come for, one line each; empty when healthy."""
        found = [link.trouble() for link in self.links if not link.up]
        found += [f"link {link.name} does not balance by {link.imbalance()}" for link in self.links if link.imbalance()]
        if not self.archive.up:
            found.append("the archive cannot be written")
        return found + [f"no progress: {task}" for task in stuck(self.tasks, STUCK_S)]
