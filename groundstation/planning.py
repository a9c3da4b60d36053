"""What each station's antenna does: planned after every prediction, promised in time, and remembered."""

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from groundstation.archive.contacts import commitments, last_contacts
from groundstation.archive.queries import Reader
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.config import Config
from groundstation.monitor.health import ContactHealth, PlanHealth
from groundstation.orbit.contacts import Commitment, Contact, ContactRules, Plan, Skip, choose_contacts, commit
from groundstation.orbit.passes import Pass
from groundstation.settings import StationSettings
from groundstation.telemetry.moments import microseconds
from groundstation.watch import clock

log = logging.getLogger(__name__)


def rules_of(config: Config, station: StationSettings) -> ContactRules:
    """Return what the configuration lets `station` take."""
    settings, definitions = config.settings.contacts, config.definitions.values()
    mute = () if settings.take_without_packets else (one.slug for one in definitions if not one.packets)
    return ContactRules(
        setup_s=station.setup_s,
        min_elevation_deg=station.min_elevation_deg,
        min_duration_s=station.min_duration_s,
        priorities=settings.priorities,
        candidates={one.slug: max(1, len(one.norad_ids)) for one in definitions},
        without_packets=frozenset(mute),
    )


def promise_until(config: Config, now: datetime) -> datetime:
    """Return until when contacts that begin are promised now: the next prediction would be too late for them."""
    return now + timedelta(seconds=config.settings.contacts.commit_s + config.settings.passes.refresh_s)


class Planner:
    """Keeps a plan for each station; what was promised is in the archive, and here while that is away."""

    def __init__(self, config: Config) -> None:
        self.plans: dict[str, Plan] = {}  # by station
        self._config = config
        self._rules = {station.slug: rules_of(config, station) for station in config.settings.stations}
        self._archive = Reader(config.settings.archive.url, config.settings.archive.password_file)
        self._promised: Mapping[str, Sequence[Commitment]] = {}  # by station
        self._last: Mapping[int, datetime] = {}  # the end of the last contact by catalogue number
        self._saved = True  # the archive has every promise

    async def renew(
        self, passes: Sequence[Pass], numbers: Sequence[int], writer: Writer | None, now: datetime, end: datetime
    ) -> None:
        """Plan what every station does from now to `end`; `numbers` are the archive's of the passes, where it has any.

        A database that is away costs nothing but the record: promises are kept, and saved with the next plan. Without
        `writer` another daemon keeps its plan, whose promises hold for this one's.
        """
        if self._saved:
            await self._remember(now)
        self.plans = {
            station: await asyncio.to_thread(self._plan, station, passes, now, end) for station in self._rules
        }
        self._promised = {station: promised(plan) for station, plan in self.plans.items()}
        for station, one in ((station, one) for station, plan in self.plans.items() for one in plan.cancelled):
            log.warning("%s: the contact with %s at %s will not happen", station, one.satellite, clock(one.start))
        if writer is None:
            return
        try:
            await writer.save_plans(self.plans, dict(zip(passes, numbers, strict=False)), now)
            self._saved = True
        except ArchiveUnavailableError as error:
            self._saved = False
            log.warning("planned contacts are not in the archive yet: %s", error)

    def _plan(self, station: str, passes: Sequence[Pass], now: datetime, end: datetime) -> Plan:
        theirs, before = [one for one in passes if one.site == station], self._promised.get(station, ())
        plan = choose_contacts(theirs, before, self._rules[station], (now, end), self._last)
        return commit(plan, promise_until(self._config, now))

    async def _remember(self, now: datetime) -> None:
        """Take promises and past contacts from the archive, where they outlast this process."""
        try:
            self._promised = await self._archive.ask(commitments, now)
            self._last = await self._archive.ask(last_contacts, now)
        except ArchiveUnavailableError as error:
            log.warning("contacts are planned from memory: %s", error)

    def health(self, now: datetime) -> tuple[ContactHealth, ...]:
        """Return for each satellite and station the contact under way, else the next one, by start."""
        first: dict[tuple[str, str], Contact] = {}
        for one in self._coming(now):
            first.setdefault((one.of.satellite, one.of.site), one)
        return tuple(contact_health(one, now) for one in first.values())

    def summary(self, now: datetime) -> tuple[PlanHealth, ...]:
        """Return how many contacts each station has before it, and why it leaves how many passes."""
        coming = Counter((one.of.site, one.committed) for one in self._coming(now))
        return tuple(
            PlanHealth(
                station=station,
                planned=coming[station, False],
                committed=coming[station, True],
                skipped={reason.value: count for reason, count in reasons(self.plans.get(station)).items()},
            )
            for station in self._rules
        )

    def _coming(self, now: datetime) -> list[Contact]:
        every = [one for plan in self.plans.values() for one in plan.contacts if one.end > now]
        return sorted(every, key=lambda one: one.start)


def promised(plan: Plan) -> list[Commitment]:
    return [one.commitment() for one in plan.contacts if one.committed]


def reasons(plan: Plan | None) -> Counter[Skip]:
    """Count the passes that are not taken by reason; each reason is there, 0 where it is none's."""
    count = Counter(dict.fromkeys(Skip, 0))
    count.update(one.reason for one in (plan.skipped if plan else ()))
    return count


def contact_health(one: Contact, now: datetime) -> ContactHealth:
    return ContactHealth(
        satellite=one.of.satellite,
        station=one.of.site,
        active=one.start <= now,
        committed=one.committed,
        start_us=microseconds(one.start),
        end_us=microseconds(one.end),
        max_elevation_deg=one.of.max_elevation_deg,
    )
