"""What has come so far, in plain memory: the counts and latest values that metrics and the live view read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from groundstation.telemetry.packet import Fate, Level, Packet, Rejection, Value


@dataclass(frozen=True, slots=True)
class Latest:
    """A parameter's newest realtime value by generation time."""

    value: Value
    level: Level
    generated_at_us: int


@dataclass(slots=True)
class SatelliteTally:
    stored: Counter[tuple[str, str, str]] = field(default_factory=Counter)  # by station, packet, kind
    duplicates: Counter[str] = field(default_factory=Counter)  # by station
    last_generated_at_us: int | None = None
    last_received_at_us: int | None = None
    latest: dict[str, Latest] = field(default_factory=dict)

    def out_of_limits(self) -> Counter[str]:
        """Count the parameters whose latest value is out of limits, by the level's name."""
        return Counter(entry.level.name.lower() for entry in self.latest.values() if entry.level)


class Tally:
    """Counts packets as they are committed. Labels come from the configuration, so it cannot grow with payloads."""

    def __init__(self, satellites: Sequence[str]) -> None:
        self.satellites = {slug: SatelliteTally() for slug in satellites}
        self.rejected: Counter[str] = Counter()
        self.heard: Counter[tuple[str, str]] = Counter()  # stored packets by satellite and station

    def observe(self, fates: Sequence[tuple[Packet, Fate]], rejections: Sequence[Rejection]) -> None:
        for packet, fate in fates:
            entry = self.satellites[packet.satellite]
            if fate is Fate.STORED:
                entry.stored[packet.station, packet.packet, packet.kind] += 1
                self.heard[packet.satellite, packet.station] += 1
                self._remember(entry, packet)
            elif fate is Fate.DUPLICATE:
                entry.duplicates[packet.station] += 1
            else:
                self.rejected["unstorable"] += 1
        for rejection in rejections:
            self.rejected[rejection.reason] += 1

    def _remember(self, entry: SatelliteTally, packet: Packet) -> None:
        entry.last_received_at_us = max(packet.received_at_us, entry.last_received_at_us or 0)
        if packet.kind != "realtime":
            return  # a dump tells of the past: it never touches what is current
        generated_at_us = packet.generated_at_us
        entry.last_generated_at_us = max(generated_at_us, entry.last_generated_at_us or 0)
        latest, levels = entry.latest, packet.levels
        for name, value in packet.values.items():
            old = latest.get(name)
            if old is None or old.generated_at_us <= generated_at_us:
                latest[name] = Latest(value, levels.get(name, Level.IN_LIMITS), generated_at_us)
