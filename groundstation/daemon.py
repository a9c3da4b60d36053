"""Starts every task and stops them in the order the data flows: sources, pipeline, archive, HTTP.

run
└── serve HTTP, open the archive
    └── background: predict passes, plan contacts, follow them, watch and fetch elements, keep the archive, watchdog
        └── sinks: record
            └── sources: one `receive` per link
"""

import asyncio
import gc
import logging
import os
import signal
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

from groundstation import __version__
from groundstation.archive.last_known import last_known
from groundstation.archive.leadership import Leadership
from groundstation.archive.migrate import migrate
from groundstation.archive.queries import Reader
from groundstation.archive.views import keep_views
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.checkup import checkup
from groundstation.config import Config
from groundstation.last_passes import LastPasses
from groundstation.link.mqtt import MqttSource
from groundstation.monitor import systemd
from groundstation.monitor.health import Health
from groundstation.monitor.http import serve
from groundstation.pass_calendar import read_calendar
from groundstation.pipeline import RETRY_FIRST_S, RETRY_MOST_S, Inbox, record
from groundstation.planning import Planner
from groundstation.prediction import Predictor
from groundstation.resting import rest
from groundstation.stations import Stations
from groundstation.supply import Supply
from groundstation.tally import Tally
from groundstation.telemetry.decode import Decoder
from groundstation.telemetry.packet import Fate, Packet, Rejection
from groundstation.upkeep import Upkeep
from groundstation.watch import PassWatch

log = logging.getLogger(__name__)

DRAINED_BY_S = 15.0  # after the stop, the last commit is waited for no longer; what is left stays with the broker
STOPPED_BY_S = 20.0  # after a signal, the process ends whatever hangs: well within TimeoutStopSec of the unit
FOLLOW_EVERY_S = 1.0
UNCOUNTED_MOST = 100  # packets, which are then counted at once: they are in memory until they are
TAKE_OVER_S = 5.0  # how often one who does not lead looks whether it does now
LOOK_BACK = timedelta(hours=1)  # so that a pass under way keeps its AOS


class Daemon:
    """One ground station at work; everything it knows about itself is read through `health`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.url: str | None = None  # of the HTTP server, while it runs
        self.tally = Tally(config.definitions, config.sites)
        self.predictor = Predictor(config)
        self.watch = PassWatch()
        self.planner = Planner(config)
        self.supply = Supply(config)
        place = (config.settings.archive.url, config.settings.archive.password_file)
        self.upkeep = Upkeep(Reader(*place), config.settings.archive.retention)
        self.last_passes = LastPasses(Reader(*place), config.definitions.values())
        self.leadership = Leadership(*place)
        links = config.settings.links
        self.inbox = Inbox([link.name for link in links])
        self.stations = Stations(config.sites)
        self.sources = [MqttSource(link, on_status=self.stations.follow(link.name)) for link in links]
        self.writer: Writer | None = None  # while the archive is open
        self.started_at = datetime.now(UTC)
        self.ready = asyncio.Event()  # the archive is open, every link subscribed, the passes predicted
        self._why_closed = ""  # what kept the archive from being opened
        self._predicted = False
        self._uncounted: list[tuple[Packet, Fate]] = []
        self._beats: dict[str, float] = {}
        self._loop_lag_s = 0.0

    def health(self) -> Health:
        """Return how the station is now. Cheap: it counts a few packets, and asks the disk for two numbers."""
        self._count()
        return checkup(
            self.config,
            started_at=self.started_at,
            sources=self.sources,
            inbox=self.inbox,
            writer=self.writer,
            tally=self.tally,
            stations=self.stations,
            watch=self.watch,
            last_passes=self.last_passes,
            planner=self.planner,
            supply=self.supply,
            upkeep=self.upkeep,
            leadership=self.leadership,
            idle_s=self.idle_s(),
            loop_lag_s=self._loop_lag_s,
        )

    def missing(self) -> list[str]:
        """Return what the daemon still waits for before it is ready."""
        if self.ready.is_set():
            return []
        waiting = [f"link {source.settings.name} subscribed" for source in self.sources if not source.ready.is_set()]
        if self.writer is None:
            waiting.append("archive opened" + (f" ({self._why_closed})" if self._why_closed else ""))
        return waiting + ([] if self._predicted else ["passes predicted"])

    async def calendar(self, stations: Collection[str], satellites: Collection[str]) -> str:
        """Return the archive's passes as a calendar; raises CalendarError."""
        return await read_calendar(self.config, stations, satellites, datetime.now(UTC))

    def idle_s(self) -> dict[str, float]:
        """Return for each task the seconds since it last made progress."""
        now = time.monotonic()
        return {task: now - beat for task, beat in self._beats.items()}

    async def run(self, stopping: asyncio.Event) -> None:
        """Run until `stopping` is set, then drain, commit, acknowledge and return."""
        settings = self.config.settings
        http = settings.http
        async with serve(http.host, http.port, self.health, self.missing, self.calendar) as self.url:
            log.info("groundstation %s: metrics at %s/metrics", __version__, self.url)
            async with Writer(settings.archive.url, settings.archive.password_file, rolls_up=True) as writer:
                if await self._open_at_last(writer, stopping):
                    async with self.leadership:
                        self.writer = writer
                        await self._work(writer, stopping)
                        self.writer = None
        log.info("stopped")

    async def _open_at_last(self, writer: Writer, stopping: asyncio.Event) -> bool:
        """Open the archive, however long it is away; return False where `stopping` came first.

        HTTP is up meanwhile and says what is wrong. Nothing is taken from the brokers, which queue.
        """
        delay_s, failing_since = RETRY_FIRST_S, None
        while not stopping.is_set():
            try:
                await self._open(writer)
            except ArchiveUnavailableError as error:
                failing_since = failing_since or time.monotonic()
                self._why_closed = str(error)
                log.error("archive unavailable, nothing is lost, next try in %.1f s: %s", delay_s, error)
                systemd.notify(f"STATUS=waiting for the archive: {error}")
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), delay_s)
                delay_s = min(delay_s * 2, RETRY_MOST_S)
            else:
                if failing_since is not None:
                    log.warning("archive is back after %.0f s", time.monotonic() - failing_since)
                return True
        return False

    async def _open(self, writer: Writer) -> None:
        """Bring the archive to today's shape and take up what it knows; may be done again after it failed."""
        archive, definitions = self.config.settings.archive, list(self.config.definitions.values())
        await asyncio.to_thread(migrate, archive.url, archive.password_file)
        await writer.save_definitions(definitions)
        await writer.commit(keep_views, definitions)
        await self.supply.open(writer)
        self.tally.recall(await writer.commit(last_known, list(self.config.definitions)))

    async def _work(self, writer: Writer, stopping: asyncio.Event) -> None:
        decode = Decoder(
            self.config.definitions,
            set(self.config.sites),
            {link.name: link.topic_prefix for link in self.config.settings.links},
        )
        async with asyncio.TaskGroup() as background:
            behind = [
                background.create_task(self._predict(writer), name="predict"),
                background.create_task(self._follow(), name="follow"),
                background.create_task(self._tell_systemd(), name="systemd"),
                background.create_task(self.leadership.keep(self._beat("leadership")), name="leadership"),
                background.create_task(self._keep_up(writer), name="upkeep"),
                background.create_task(self.last_passes.keep(self._beat("last-passes")), name="last-passes"),
                background.create_task(self.supply.watch_files(writer, self._beat("elements")), name="elements"),
            ]
            for place in self.supply.sources:
                name = f"fetch-{place.name}"
                fetching = self.supply.keep_fetching(place, writer, self._beat(name))
                behind.append(background.create_task(fetching, name=name))
            async with asyncio.TaskGroup() as sinks:
                recording = sinks.create_task(
                    record(self.inbox, decode, writer, self._observe, self._beat("record")), name="record"
                )
                async with asyncio.TaskGroup() as sources:
                    for source in self.sources:
                        name = f"receive-{source.settings.name}"
                        sources.create_task(source.run(self.inbox, stopping, self._beat(name)), name=name)
                    await stopping.wait()
                    systemd.notify("STOPPING=1")
                    drained_by = time.monotonic() + DRAINED_BY_S
                self.inbox.close()
                await self._drain(recording, drained_by - time.monotonic())
            for task in behind:
                task.cancel()

    def _observe(self, fates: Sequence[tuple[Packet, Fate]], rejections: Sequence[Rejection]) -> None:
        """Take what was committed; a few packets are only kept, and counted once a second or when somebody looks.

        Counted after each commit they would take 3 % of the daemon's time at 100 packets/s.
        """
        self._uncounted += fates
        if rejections or len(self._uncounted) >= UNCOUNTED_MOST:
            self._count(rejections)

    def _count(self, rejections: Sequence[Rejection] = ()) -> None:
        """Count what was committed since the last time."""
        self.tally.observe(self._uncounted, rejections)
        self.stations.observe(self._uncounted)
        self._uncounted.clear()

    async def _drain(self, recording: asyncio.Task[None], most_s: float) -> None:
        done, _ = await asyncio.wait([recording], timeout=max(0.0, most_s))
        if not done:
            held = self.inbox.held().total()
            log.warning("stopping with %d messages not committed: the broker will send them again", held)
            recording.cancel()

    async def _predict(self, writer: Writer) -> None:
        """Predict every pass of the horizon and plan what to take, again and again, and whenever elements change."""
        settings, beat, told = self.config.settings.passes, self._beat("predict"), (0, 0.0, 0)
        while True:
            start = datetime.now(UTC) - LOOK_BACK
            end = start + LOOK_BACK + timedelta(hours=settings.horizon_h)
            changed = self.supply.changed.is_set()
            self.supply.changed.clear()
            predicted = await self.predictor.predict(self.supply.elements, start, end, beat)
            found = predicted.passes
            self.supply.tell_shift(self.watch.passes, found)
            self.watch.passes, self.watch.aos_uncertainty_s = found, predicted.aos_uncertainty_s
            self._predicted = True
            numbers: Sequence[int] = ()
            led = self.leadership.leads
            try:
                if led:
                    numbers = await writer.save_passes(found, window=(datetime.now(UTC), end))
            except ArchiveUnavailableError as error:
                # The passes are known and will be told; the archive gets them with the next prediction.
                log.warning("predicted passes are not in the archive yet: %s", error)
            await self.planner.renew(found, numbers, writer if led else None, datetime.now(UTC), end)
            coming = len(self.watch.upcoming(datetime.now(UTC)))
            planned = sum(len(plan.contacts) for plan in self.planner.plans.values())
            figures = coming, settings.horizon_h, planned
            level = logging.INFO if changed or figures != told else logging.DEBUG
            log.log(level, "%d passes predicted for the next %.0f h, %d contacts planned", *figures)
            told = figures
            due = time.monotonic() + settings.refresh_s
            while (left_s := due - time.monotonic()) > 0 and not self.supply.changed.is_set():
                if self.leadership.leads and not led:
                    break
                await rest(left_s if led else min(left_s, TAKE_OVER_S), beat, self.supply.changed)

    async def _keep_up(self, writer: Writer) -> None:
        await self.upkeep.run(writer, lambda: self.leadership.leads, self._beat("upkeep"))

    async def _follow(self) -> None:
        """Say when a pass begins and what it brought when it ends."""
        beat = self._beat("follow")
        while True:
            beat()
            self._count()  # first: what came in a pass is told at its end
            for event in self.watch.update(datetime.now(UTC), self.tally.heard):
                of = event.of
                if event.kind == "aos":
                    log.info("pass of %s over %s begins, up to %.0f°", of.satellite, of.site, of.max_elevation_deg)
                else:
                    log.info("pass of %s over %s ended, %d packets stored", of.satellite, of.site, event.packets)
                    self.last_passes.pass_ended()
            due = time.monotonic() + FOLLOW_EVERY_S
            await asyncio.sleep(FOLLOW_EVERY_S)
            self._loop_lag_s = time.monotonic() - due  # how long others held the loop beyond our time

    async def _tell_systemd(self) -> None:
        """Report readiness once, then life as long as every task makes progress."""
        told: list[str] = []
        while missing := self.missing():
            if missing != told:
                systemd.notify(f"STATUS=waiting for {', '.join(missing)}")
                told = missing
            await asyncio.sleep(0.2)
        self.ready.set()
        spare_what_lasts()
        log.info("ready")
        systemd.notify("READY=1")
        await systemd.watch(self.idle_s, self._status_line)

    def _status_line(self) -> str:
        return self.watch.summary(datetime.now(UTC))

    def _beat(self, task: str) -> Callable[[], None]:
        def beat() -> None:
            self._beats[task] = time.monotonic()

        beat()
        return beat


def spare_what_lasts() -> None:
    """Take what lives as long as the process out of garbage collection, and let it run less often.

    A packet leaves no cycles behind, so that each run finds nothing and costs all of them: 57 µs of CPU a packet
    without this, 50 with it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@contextmanager
def stop_on_signals(stopping: asyncio.Event, leave_after_s: float | None = None) -> Iterator[None]:
    """Set `stopping` on the first SIGTERM or SIGINT; end the process at once on the second.

    With `leave_after_s` it ends so long after the first with status 0, even where a thread of it waits for a database
    that does not answer: what was not committed was not acknowledged either.
    """
    loop = asyncio.get_running_loop()

    def stop(name: str) -> None:
        if stopping.is_set():
            log.warning("%s again: ending at once", name)
            os._exit(1)
        log.info("%s: draining", name)
        stopping.set()
        if leave_after_s is not None:
            loop.call_later(leave_after_s, leave)

    def leave() -> None:
        log.warning("not stopped after %.0f s: leaving; the broker sends again what is not committed", leave_after_s)
        os._exit(0)

    caught = (signal.SIGTERM, signal.SIGINT)
    for number in caught:
        loop.add_signal_handler(number, stop, number.name)
    try:
        yield
    finally:
        for number in caught:
            loop.remove_signal_handler(number)
