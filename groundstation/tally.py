"""What has come so far, in plain memory: the counts and latest values that metrics and the live view read."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from groundstation.archive.last_known import LastKnown
from groundstation.telemetry.completeness import Counting, count
from groundstation.telemetry.definition import Definition
from groundstation.telemetry.packet import Fate, Level, Packet, Reason, Rejection, Value

KINDS = ("realtime", "dump")


@dataclass(frozen=True, slots=True)
class Latest:
    """A parameter's newest realtime value by generation time."""

    value: Value
    level: Level
    generated_at_us: int


@dataclass(slots=True)
class SatelliteTally:
    definition: Definition
    stored: Counter[tuple[str, str, str]]  # by station, packet, kind; known ones begin at 0, so that a rate has a start
    duplicates: Counter[str]  # by station
    periods_us: Mapping[str, int]  # by packet, where the definition says how often one is expected
    last_generated_at_us: int | None = None
    last_received_at_us: int | None = None
    unknown: int = 0  # keys that nothing describes, over all stored packets
    newest: dict[str, Packet] = field(default_factory=dict)  # by packet, the newest that brought all its parameters
    partly: dict[str, Packet] = field(default_factory=dict)  # by parameter, the newest of those that did not
    recalled: dict[str, Latest] = field(default_factory=dict)  # what was latest before this process began
    counting: dict[str, Counting] = field(default_factory=dict)  # by packet, or by satellite where it counts so

    @property
    def latest(self) -> dict[str, Latest]:
        """Return each parameter's latest value; made when somebody asks, for packets come far more often."""
        found = dict(self.recalled)
        brought = [(name, packet) for packet in self.newest.values() for name in packet.values]
        for name, packet in (*brought, *self.partly.items()):
            old = found.get(name)
            if old is None or old.generated_at_us <= packet.generated_at_us:
                level = packet.levels.get(name, Level.IN_LIMITS)
                found[name] = Latest(packet.values[name], level, packet.generated_at_us)
        return found

    def out_of_limits(self) -> Counter[str]:
        """Count the parameters whose latest value is out of limits, by the level's name."""
        return Counter(entry.level.name.lower() for entry in self.latest.values() if entry.level)

    def missing(self) -> int:
        """Return how many sequence counts were skipped within passes and have not come since."""
        return sum(one.missing for one in self.counting.values())


class Tally:
    """Counts packets that were committed. Labels come from the configuration, so it cannot grow with payloads."""

    def __init__(self, definitions: Mapping[str, Definition], stations: Collection[str]) -> None:
        self.satellites = {slug: begin(definition, stations) for slug, definition in definitions.items()}
        self.rejected: Counter[str] = Counter(dict.fromkeys(Reason, 0))
        self.heard: Counter[tuple[str, str]] = Counter()  # stored packets by satellite and station

    def recall(self, known: Mapping[str, LastKnown]) -> None:
        """Take up what an earlier run left in the archive, with the levels that were found then.

        Parameters that the definition no longer has are left behind: no packet would ever bring them back in limits.
        """
        for slug, one in known.items():
            entry = self.satellites[slug]
            defined = {parameter.name for packet in entry.definition.packets for parameter in packet.parameters}
            entry.recalled = {
                value.parameter: Latest(value.value, value.level, value.generated_at_us)
                for value in one.values
                if value.parameter in defined
            }
            if one.received_at_us is not None:
                entry.last_received_at_us = max(one.received_at_us, entry.last_received_at_us or 0)
            if one.values:
                newest_us = max(value.generated_at_us for value in one.values)
                entry.last_generated_at_us = max(newest_us, entry.last_generated_at_us or 0)

    def observe(self, fates: Sequence[tuple[Packet, Fate]], rejections: Sequence[Rejection]) -> None:
        for packet, fate in fates:
            entry = self.satellites[packet.satellite]
            if fate is Fate.STORED:
                entry.stored[packet.station, packet.packet, packet.kind] += 1
                self.heard[packet.satellite, packet.station] += 1
                entry.unknown += packet.unknown
                entry.last_received_at_us = max(packet.received_at_us, entry.last_received_at_us or 0)
                if packet.kind == "realtime":  # a dump tells of the past: it never touches what is current
                    remember(entry, packet)
            elif fate is Fate.DUPLICATE:
                entry.duplicates[packet.station] += 1
            else:
                self.rejected[Reason.UNSTORABLE] += 1
        for rejection in rejections:
            self.rejected[rejection.reason] += 1


def begin(definition: Definition, stations: Collection[str]) -> SatelliteTally:
    """Return a tally in which everything that can be counted stands at 0."""
    packets = [packet.name for packet in definition.packets]
    return SatelliteTally(
        definition=definition,
        stored=Counter(dict.fromkeys(product(stations, packets, KINDS), 0)),
        duplicates=Counter(dict.fromkeys(stations if packets else (), 0)),
        periods_us={one.name: round(one.period_s * 1e6) for one in definition.packets if one.period_s},
    )


def remember(entry: SatelliteTally, packet: Packet) -> None:
    """Take a new realtime packet into the latest values and the sequence counts."""
    name, generated_at_us = packet.packet, packet.generated_at_us
    entry.last_generated_at_us = max(generated_at_us, entry.last_generated_at_us or 0)
    if packet.whole:
        keep_newer(entry.newest, name, packet)
    else:
        for parameter in packet.values:
            keep_newer(entry.partly, parameter, packet)
    if packet.sequence is not None:
        frame, by_packet = entry.definition.frame, entry.definition.frame.sequence_per == "packet"
        counted_by = name if by_packet else ""
        entry.counting[counted_by] = count(
            entry.counting.get(counted_by, Counting()),
            packet.sequence,
            generated_at_us,
            frame.modulus,
            period_us=entry.periods_us.get(name) if by_packet else None,
        )


def keep_newer(newest: dict[str, Packet], name: str, packet: Packet) -> None:
    old = newest.get(name)
    if old is None or old.generated_at_us <= packet.generated_at_us:
        newest[name] = packet
