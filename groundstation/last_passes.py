"""The passes that were heard last, as the archive has them: the number by which `record` and `replay` take each one."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta

from groundstation.archive.pass_queries import PredictedPass, passes_heard
from groundstation.archive.queries import Reader
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.monitor.health import HeardPass
from groundstation.resting import rest
from groundstation.telemetry.definition import Definition
from groundstation.telemetry.moments import microseconds

log = logging.getLogger(__name__)

# The prediction may be off by a minute, and a station may clear its queue for a while after LOS.
GRACE_US = 120_000_000
BACK = timedelta(days=7)
LOOKED_AT, TOLD = 100, 5  # the last ones of satellites that send packets; of these, the last ones that were heard
AGAIN_S = 300  # late packets and other daemons' are counted in the end


class LastPasses:
    """Asks the archive after each pass and now and then; `heard` may be read at any time, the last pass first."""

    def __init__(self, archive: Reader, definitions: Iterable[Definition]) -> None:
        self._archive = archive
        self._satellites = [one.slug for one in definitions if one.packets]
        self._ended = asyncio.Event()
        self.heard: tuple[HeardPass, ...] = ()

    def pass_ended(self) -> None:
        self._ended.set()

    async def keep(self, beat: Callable[[], None]) -> None:
        """Keep `heard` up to date until cancelled."""
        while True:
            self._ended.clear()
            await self.renew(datetime.now(UTC))
            await rest(AGAIN_S, beat, self._ended)

    async def renew(self, now: datetime) -> None:
        """Ask the archive; while it is away, what was known stays."""
        if not self._satellites:
            return
        window = microseconds(now - BACK), microseconds(now)
        try:
            over = await self._archive.ask(
                passes_heard, *window, grace_us=GRACE_US, satellites=self._satellites, most=LOOKED_AT
            )
        except ArchiveUnavailableError as error:
            log.debug("the archive cannot tell the last passes: %s", error)
            return
        self.heard = tuple(heard_pass(one, packets) for one, packets in over if packets)[:TOLD]


def heard_pass(one: PredictedPass, packets: int) -> HeardPass:
    assert one.aos_us is not None  # else nobody could tell what was heard in it
    assert one.los_us is not None
    return HeardPass(one.id, one.satellite, one.station, one.aos_us, one.los_us, one.max_elevation_deg, packets)
