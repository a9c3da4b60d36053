"""What the stations say of themselves, in plain memory: online, last seen, clock synchronised.

Only configured stations have an entry, so nobody can make it grow by publishing.
"""

import logging
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from groundstation.link.status import StationStatus, StationStatusError, read_status
from groundstation.monitor.health import StationHealth
from groundstation.telemetry.packet import Fate, Packet

log = logging.getLogger(__name__)


@dataclass(slots=True)
class StationState:
    said: dict[str, StationStatus]  # by link: the last word of the station there
    seen_at_us: int | None = None
    told: str = ""  # what the log last said of it


class Stations:
    """Follows the status topics of all links, and who was heard in what was committed."""

    def __init__(self, slugs: Collection[str]) -> None:
        self._states = {slug: StationState({}) for slug in slugs}

    def follow(self, link: str) -> Callable[[str, bytes, bool], None]:
        """Return what a link hands its status messages to: topic, payload, retained."""
        return lambda topic, payload, retained: self.hear(link, topic, payload, retained=retained)

    def hear(self, link: str, topic: str, payload: bytes, *, retained: bool) -> None:
        """Take a message of `<prefix>/<station>/status` that came over `link`."""
        slug = topic.split("/")[-2]
        state = self._states.get(slug)
        if state is None:
            log.debug("link %s: a status of an unknown station", link)
        elif not payload:  # by which a publisher takes a retained message back
            state.said.pop(link, None)
        else:
            try:
                status = state.said[link] = read_status(payload)
            except StationStatusError as error:
                tell(slug, state, f"its status cannot be read: {error}")
            else:
                tell(slug, state, "online" if status.online else "offline")
                see(state, status, retained=retained)

    def observe(self, fates: Sequence[tuple[Packet, Fate]]) -> None:
        """Take packets that were committed: a station that hears a satellite was there then."""
        latest: dict[str, int] = {}
        for packet, _fate in fates:
            if packet.received_at_us > latest.get(packet.station, 0):
                latest[packet.station] = packet.received_at_us
        for slug, received_at_us in latest.items():
            seen(self._states[slug], received_at_us)

    def health(self, up: Collection[str]) -> tuple[StationHealth, ...]:
        """Return how each station is by what it said over the links that are `up`: elsewhere its word is old."""
        return tuple(
            station_health(slug, state, [status for link, status in state.said.items() if link in up])
            for slug, state in self._states.items()
        )


def see(state: StationState, status: StationStatus, *, retained: bool) -> None:
    """Note when the station was there to say this.

    The broker speaks a will in a station's place, and repeats a retained message for ever: without a time in it
    neither says when the station was there.
    """
    if status.at_us is not None:
        seen(state, status.at_us)
    elif status.online and not retained:
        seen(state, now_us())


def seen(state: StationState, at_us: int) -> None:
    """Move the moment on, never back, and never into our future for a station whose clock is ahead."""
    state.seen_at_us = max(state.seen_at_us or 0, min(at_us, now_us()))


def station_health(slug: str, state: StationState, said: Sequence[StationStatus]) -> StationHealth:
    """Return what several links together say: online where one says so, and unsynchronised where one says so."""
    clocks = [status.clock_synchronised for status in said if status.clock_synchronised is not None]
    software = [status.software for status in said if status.software]
    return StationHealth(
        station=slug,
        online=any(status.online for status in said) if said else None,
        last_seen_at_us=state.seen_at_us,
        clock_synchronised=all(clocks) if clocks else None,
        software=software[-1] if software else "",
    )


def tell(slug: str, state: StationState, what: str) -> None:
    if what != state.told:
        state.told = what
        log.info("station %s: %s", slug, what)


def now_us() -> int:
    return time.time_ns() // 1000
