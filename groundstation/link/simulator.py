"""A simulated station that hears a simulated satellite: for the demo, for trying definitions and dashboards.

What it sends goes through a real broker as a station's own would, and a small share of it is wrong on purpose, so that
duplicates and quarantine are seen at work: see `Faults`.
"""

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable

import msgspec

from groundstation.link.connection import LinkError
from groundstation.link.publisher import Outgoing, Publisher
from groundstation.link.settings import LinkSettings
from groundstation.link.simulated import Faults, SimulatedSatellite, Transmission, transmissions
from groundstation.link.status import StationStatus, pack_status
from groundstation.telemetry.definition import Definition
from groundstation.telemetry.envelope import status_topic, telemetry_topic

SOFTWARE = "groundstation simulator"
RETRY_S = 1.0
FAREWELL_S = 1.0
USUAL_FAULTS = Faults()


def now_us() -> int:
    return time.time_ns() // 1000


async def simulate(
    settings: LinkSettings,
    definition: Definition,
    station: str,
    *,
    start_us: int | None = None,
    end_us: int | None = None,
    rate_hz: float = 2.0,
    seed: int = 0,
    elevation_deg: Callable[[int], float] | None = None,
    faults: Faults = USUAL_FAULTS,
    sent: Counter[str] | None = None,
    clock_us: Callable[[], int] = now_us,
) -> Counter[str]:
    """Send telemetry from `start_us` (or now) to `end_us` (or until cancelled), and return what was sent.

    One frame every 1/`rate_hz` seconds, each packet of the definition in turn; `elevation_deg` of a time in
    microseconds makes the signal follow the pass. `sent` counts while it runs: "frame" and "corrupted" make up the
    schedule, "duplicate" comes on top. A lost broker is tried again, and nothing is left out meanwhile.
    """
    sent = Counter() if sent is None else sent
    begin_us = clock_us() if start_us is None else start_us
    satellite = SimulatedSatellite(definition, seed)
    waiting = transmissions(
        satellite, start_us=begin_us, end_us=end_us, rate_hz=rate_hz, faults=faults, elevation_deg=elevation_deg
    )
    topic = telemetry_topic(settings.topic_prefix, station, definition.slug)
    # The daemon's link may be given as it is: two clients must not share an id.
    own = msgspec.structs.replace(settings, client_id=f"simulated-{station}-{definition.slug}")
    await until(begin_us, clock_us)
    unsent: Transmission | None = None
    while True:
        try:
            async with online(own, station, clock_us) as publisher:
                while unsent := unsent or next(waiting, None):
                    await until(unsent.at_us, clock_us)
                    await publisher.publish(topic, unsent.payload)
                    sent[unsent.nature] += 1
                    unsent = None
                return sent
        except LinkError:
            await asyncio.sleep(RETRY_S)


async def until(at_us: int, clock_us: Callable[[], int]) -> None:
    if (wait_us := at_us - clock_us()) > 0:
        await asyncio.sleep(wait_us / 1e6)


@contextlib.asynccontextmanager
async def online(settings: LinkSettings, station: str, clock_us: Callable[[], int]) -> AsyncIterator[Publisher]:
    """Connect as the station's own software does: online while the block lasts, offline however it ends."""
    topic = status_topic(settings.topic_prefix, station)
    offline = pack_status(StationStatus(online=False, software=SOFTWARE))
    async with Publisher(settings, will=Outgoing(topic, offline, retain=True)) as publisher:
        # Synchronised it is, with whoever predicts: its clock is this machine's.
        here = StationStatus(online=True, at_us=clock_us(), clock_synchronised=True, software=SOFTWARE)
        await publisher.publish(topic, pack_status(here), retain=True)
        try:
            yield publisher
        finally:
            with contextlib.suppress(LinkError, TimeoutError):
                async with asyncio.timeout(FAREWELL_S):
                    await publisher.publish(topic, offline, retain=True)
