"""What is asked of the archive about one satellite: its latest values, parameters over a stretch of time, packets.

Packets are read a page at a time, each page in a transaction of its own: a million need not fit into memory, and a
reader who looks at them for hours keeps neither a WAL from shrinking nor a server from tidying up.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from groundstation.archive.chunks import Stretch
from groundstation.archive.names import has_hours, has_packets, parameters_known, satellites_known
from groundstation.archive.queries import By, LatestValue, Reader, latest, newest_us, packet_page
from groundstation.archive.rows import HOUR_US
from groundstation.archive.series import Summary, summaries
from groundstation.config import Config, ConfigError
from groundstation.figures import iso
from groundstation.telemetry.moments import moment_of
from groundstation.telemetry.packet import Packet

PAGE = 2000  # packets
VERBS: dict[By, str] = {"generated_at": "generated", "received_at": "received"}


@dataclass(frozen=True, slots=True)
class Span:
    """A satellite's time from `from_us` to before `to_us`, as it is counted on board or at the antenna."""

    satellite: str
    from_us: int
    to_us: int
    by: By


class Telemetry:
    """The archive's answers about the satellites of one configuration; all raise ArchiveUnavailableError."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._reader = Reader(config.settings.archive.url, config.settings.archive.password_file)

    def check_names(self, satellite: str, parameters: tuple[str, ...] = ()) -> None:
        """Raise ConfigError, one line, for names that neither configuration nor archive knows."""
        known = self._config.definitions.keys() | self._reader.ask_now(satellites_known)
        if satellite not in known and not self._reader.ask_now(has_packets, satellite):
            raise ConfigError([f"SATELLITE: found {satellite}, expected one of {', '.join(sorted(known))}"])
        if parameters:
            names = self.units(satellite).keys() | self._reader.ask_now(parameters_known, satellite)
            expected = f"one of {', '.join(sorted(names))}" if names else "none: no parameter of it is known"
            if unknown := [one for one in parameters if one not in names]:
                raise ConfigError([f"PARAMETER: found {', '.join(unknown)}, expected {expected}"])

    def units(self, satellite: str) -> dict[str, str]:
        """Return each parameter's unit as today's definition has it, "" where it has none."""
        definition = self._config.definitions.get(satellite)
        return {p.name: p.unit for packet in definition.packets for p in packet.parameters} if definition else {}

    def latest(self, satellite: str) -> list[LatestValue]:
        return self._reader.ask_now(latest, satellite)

    def packets(self, span: Span) -> Iterator[list[Packet]]:
        """Yield the packets page by page, in order of the time that counts."""
        last: Packet | None = None
        within = (span.satellite, span.from_us, span.to_us)
        while page := self._reader.ask_now(packet_page, *within, by=span.by, beyond=last, most=PAGE):
            yield page
            last = page[-1]

    def summaries(self, span: Span, parameter: str, points: int) -> list[Summary]:
        of = Stretch(span.satellite, parameter, span.from_us, span.to_us, span.by)
        return self._reader.ask_now(summaries, of, points)

    def rolled_up(self, span: Span, parameters: Sequence[str]) -> list[str]:
        """Return those whose hours the archive has there, whatever became of the packets."""
        if span.by == "received_at":  # hours are of generation time
            return []
        within = (span.from_us // HOUR_US * HOUR_US, span.to_us)
        return [one for one in parameters if self._reader.ask_now(has_hours, span.satellite, one, *within)]

    def newest(self, satellite: str, by: By = "generated_at") -> str:
        """Return in words where the satellite's newest packet is."""
        found = self._reader.ask_now(newest_us, satellite, by)
        if found is None:
            return f"the archive has no packet of {satellite}"
        return f"the newest packet of {satellite} was {VERBS[by]} {iso(moment_of(found))}"

    def nothing(self, span: Span, what: str) -> str:
        """Return the line that says what was not found, and where to look instead."""
        window = f"from {iso(moment_of(span.from_us))} to {iso(moment_of(span.to_us))}"
        return f"no {what} {VERBS[span.by]} {window}; {self.newest(span.satellite, span.by)}"
