"""Which element sets serve: candidates from files and network, through the gate, into the archive, to the predictions.

tle/*       ──► Folder ─────┐
CelesTrak   ──► ask_source ─┼─► offer ─► archive ─► elements ─► predictions
Space-Track ──► ask_source ─┘     └─► refused, by satellite and reason

What served before a restart serves after it: the archive knows. A satellite may have several candidate numbers, each
with a set of its own; sets of a satellite that has decayed are kept, and nobody predicts from them.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from random import uniform

from groundstation.archive.element_supply import Served, current_sets, keep_refused, last_fetches, refused_since, set_of
from groundstation.archive.writer import ArchiveUnavailableError, Writer
from groundstation.config import ELEMENT_FILES, Config, numbers_in_orbit
from groundstation.elements.files import Changed, Folder
from groundstation.elements.http import GOOD, Outcome
from groundstation.elements.settings import FILES, SourceSettings
from groundstation.fetching import Round, ask_source, now_us
from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements, ElementsError
from groundstation.orbit.gate import Reason, Refusal, confirms, judge, remark
from groundstation.orbit.passes import Pass
from groundstation.orbit.shift import prediction_shifts
from groundstation.resting import rest
from groundstation.telemetry.moments import microseconds

log = logging.getLogger(__name__)

LOOK_EVERY_S, LOOK_AGAIN_S = 5.0, 2.0  # at the folder; again while something is new, for a file may still grow
RECALL_EVERY_S = 60.0  # the archive, for what a hand at the command line has put there
RETRY_S = 60.0  # while the archive is away, without which nothing is asked
LATE_LEAST_S, LATE_MOST_S = 30.0, 300.0  # after a source may be asked again: stations do not all come at once
DOUBTS_KEPT = 8  # implausible sets of one number that a later set may confirm

SECOND = "%Y-%m-%d %H:%M:%SZ"
Key = tuple[str, int]  # slug and catalogue number
Beat = Callable[[], None]


class Supply:
    """The element sets in service; everything that changes them goes through `offer`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._catalogue = numbers_in_orbit(config.definitions.values())
        # A simulated satellite is in no catalogue: its numbers are those of the elements that it was given.
        self._numbers = {
            slug: definition.norad_ids or tuple(one.norad_id for one in config.elements if one.name == slug)
            for slug, definition in config.definitions.items()
        }
        self._lock = asyncio.Lock()
        self._served: dict[Key, Served] = {}
        self._doubted: dict[Key, list[Elements]] = {}
        self._told: set[tuple[Key, datetime, Reason]] = set()  # a source repeats its sets, a refusal counts once
        self._unsaved: list[Elements] = []
        self.sources = config.settings.element_sources
        self.changed = asyncio.Event()  # set when predictions are out of date
        self.refused = Counter({(slug, reason.value): 0 for slug in config.definitions for reason in Reason})
        self.errors = Counter({(FILES, Outcome.MALFORMED.value): 0})
        self.errors.update({(one.name, bad.value): 0 for one in self.sources for bad in Outcome if bad not in GOOD})
        self.succeeded_at_us: dict[str, int] = {}  # by network source
        self.shifts: dict[str, float] = {}  # by satellite: seconds that its next AOS moved with its last new set

    @property
    def elements(self) -> tuple[Elements, ...]:
        """The sets to predict from: of each candidate number of each satellite that flies, named by its slug."""
        return tuple(one.elements for one in self.in_service())

    def in_service(self) -> list[Served]:
        return [
            self._served[definition.slug, number]
            for definition in self._config.definitions.values()
            if definition.status != "decayed"
            for number in self._numbers[definition.slug]
            if (definition.slug, number) in self._served
        ]

    async def open(self, writer: Writer) -> None:
        """Take up what served before, then the configured files; raises ArchiveUnavailableError."""
        await self._recall(writer)
        for key, one in self._served.items():
            for doubted in await writer.commit(refused_since, Reason.IMPLAUSIBLE_JUMP, one.since_us):
                if (doubted.elements.name, doubted.elements.norad_id) == key:
                    self._doubt(key, doubted.elements)
        fetches = await writer.commit(last_fetches)
        for source in self.sources:
            known = [fetches.get(one.address) for one in source.requests(self._catalogue)]
            times = [one.succeeded_at_us for one in known if one and one.succeeded_at_us]
            if len(times) == len(known):
                self.succeeded_at_us[source.name] = min(times)
        await self.offer(writer, self._config.elements, FILES)
        self.changed.clear()

    async def offer(self, writer: Writer, candidates: Iterable[Elements], source: str) -> int:
        """Let the newest candidate of each number that the gate admits serve; return how many now do."""
        admitted = 0
        async with self._lock:
            known = set(self._served)
            for slug, sets in by_satellite(self._numbers, candidates):
                admitted += await self._consider(writer, slug, sets, source)
            self._tell_first(known, source)
            await self._save(writer)
        return admitted

    async def _consider(self, writer: Writer, slug: str, sets: Sequence[Elements], source: str) -> bool:
        """Go through one number's sets from the newest; return whether one of them serves from now on."""
        key = slug, sets[0].norad_id
        held = self._served.get(key)
        last = held.elements if held else None
        for candidate in sets:
            if last and candidate.epoch == last.epoch:
                return False
            refusal = judge(candidate, last, self._numbers[slug], datetime.now(UTC))
            if refusal and refusal.reason is Reason.IMPLAUSIBLE_JUMP and self._confirmed(key, candidate, sets):
                log.warning("elements of %s: %s; two sets agree on it, so it serves", key[0], refusal.text)
                refusal = None
            elif refusal is None and last and (words := remark(last, candidate)):
                log.warning("elements of %s: %s: a manoeuvre or a storm?", key[0], words)
            if refusal is None:
                self._admit(key, candidate, source)
                return True
            await self._refuse(writer, key, candidate, source, refusal)
            if refusal.reason is Reason.OLDER:
                return False
        return False

    def _confirmed(self, key: Key, candidate: Elements, sets: Sequence[Elements]) -> bool:
        """Tell whether an implausible set agrees with an earlier one, refused before or in the same text."""
        return any(confirms(candidate, one) for one in (*self._doubted.get(key, ()), *sets))

    def _admit(self, key: Key, candidate: Elements, source: str) -> None:
        served = replace(candidate, name=key[0], source=source)
        held = self._served.get(key)
        self._served[key] = Served(served, now_us())
        self._doubted.pop(key, None)
        self._told = {told for told in self._told if told[0] != key}
        self._unsaved.append(served)
        self.changed.set()
        level = logging.DEBUG if held is None else logging.INFO  # the first ones are told in one line
        log.log(level, "elements of %s (%d): epoch %s from %s", *key, f"{served.epoch:{SECOND}}", candidate.source)

    async def _refuse(self, writer: Writer, key: Key, candidate: Elements, source: str, refusal: Refusal) -> None:
        """Count and keep a refusal, once while the same set serves: sources tell the same set again and again."""
        told = key, candidate.epoch, refusal.reason
        if told in self._told:
            return
        self._told.add(told)
        named = replace(candidate, name=key[0], source=source)
        try:
            if refusal.reason is Reason.OLDER:
                if await writer.commit(set_of, *key, microseconds(candidate.epoch)):
                    return  # it has served, and lies in its file still
            else:
                await writer.commit(keep_refused, named, refusal.reason.value, refusal.text, now_us())
        except ArchiveUnavailableError as error:
            log.warning("a refused element set is not in the archive: %s", error)
        if refusal.reason is Reason.IMPLAUSIBLE_JUMP:
            self._doubt(key, named)
        self.refused[key[0], refusal.reason.value] += 1
        level = logging.INFO if refusal.reason is Reason.OLDER else logging.WARNING
        log.log(level, "%s: refused for %s, %s: %s", candidate.source, key[0], refusal.reason.value, refusal.text)

    def _tell_first(self, known: Collection[Key], source: str) -> None:
        """Tell of those that had no set in `known`: a first start would need a line for each of the catalogue."""
        epochs = sorted(one.elements.epoch for key, one in self._served.items() if key not in known)
        if epochs:
            span = " to ".join(f"{epoch:{SECOND}}" for epoch in dict.fromkeys((epochs[0], epochs[-1])))
            log.info("%d element sets from %s begin to serve, epoch %s", len(epochs), source, span)

    def _doubt(self, key: Key, one: Elements) -> None:
        self._doubted[key] = [*self._doubted.get(key, ()), one][-DOUBTS_KEPT:]

    async def _save(self, writer: Writer) -> None:
        """Keep what was admitted; while the archive is away it serves all the same, and is kept later."""
        if self._unsaved:
            try:
                await writer.save_elements(self._unsaved)
            except ArchiveUnavailableError as error:
                log.warning("%d element sets are not in the archive yet: %s", len(self._unsaved), error)
            else:
                self._unsaved.clear()

    async def _recall(self, writer: Writer) -> None:
        """Take over what the archive has and we have not: of an earlier run, or of `groundstation elements update`."""
        known = {(slug, number) for slug, numbers in self._numbers.items() for number in numbers}
        for one in await writer.commit(current_sets):
            key = one.elements.name, one.elements.norad_id
            held = self._served.get(key)
            if key in known and (held is None or held.elements.epoch < one.elements.epoch):
                self._served[key] = one
                self._doubted.pop(key, None)
                self.changed.set()

    async def watch_files(self, writer: Writer, beat: Beat) -> None:
        """Offer what changes in the folder, whole file by whole file, and look into the archive now and then."""
        folder = Folder(self._config.settings.elements, ELEMENT_FILES)
        recall_at = time.monotonic() + RECALL_EVERY_S
        while True:
            beat()
            for one in await asyncio.to_thread(folder.changed):
                found = await asyncio.to_thread(self._read, one)
                await self.offer(writer, found, FILES)
            if time.monotonic() >= recall_at:
                await self.catch_up(writer)
                recall_at = time.monotonic() + RECALL_EVERY_S
            await asyncio.sleep(LOOK_AGAIN_S if folder.unsettled else LOOK_EVERY_S)

    async def catch_up(self, writer: Writer) -> None:
        """Save what could not be saved, and take over what another process has put into the archive."""
        async with self._lock:
            await self._save(writer)
            try:
                await self._recall(writer)
            except ArchiveUnavailableError as error:
                log.debug("the archive cannot tell which elements serve: %s", error)

    def _read(self, changed: Changed) -> Sequence[Elements]:
        """Return all sets of a file or, where one is wrong, none."""
        fault = f"{changed.path}: {changed.fault}"
        try:
            if changed.text is not None:
                return parse_elements(changed.text, str(changed.path))
        except ElementsError as error:
            fault = str(error)
        self.errors[FILES, Outcome.MALFORMED.value] += 1
        log.warning("%s; the whole file is left out", fault)
        return ()

    async def keep_fetching(self, source: SourceSettings, writer: Writer, beat: Beat) -> None:
        """Ask one network source whenever it may be asked."""
        while True:
            beat()
            try:
                asked, _ = await self.fetch(source, writer, beat)
                late_s = uniform(LATE_LEAST_S, LATE_MOST_S)  # noqa: S311  # it spreads, it hides nothing
                wait_s = max(0.0, (asked.next_at_us - now_us()) / 1e6) + late_s
            except ArchiveUnavailableError as error:
                log.warning("%s is not asked for elements while the archive cannot remember it: %s", source.name, error)
                wait_s = RETRY_S
            await rest(wait_s, beat)

    async def fetch(self, source: SourceSettings, writer: Writer, beat: Beat = lambda: None) -> tuple[Round, int]:
        """Ask `source` if it may be asked, offer what it has and count what serves; raises ArchiveUnavailableError."""
        found = await ask_source(source, self._catalogue, writer, beat)
        if found.succeeded_at_us is not None:
            self.succeeded_at_us[source.name] = found.succeeded_at_us
        if found.outcome is not None and found.outcome not in GOOD:
            self.errors[source.name, found.outcome.value] += 1
            log.warning("%s: %s: %s", source.name, found.outcome.value, found.detail)
        admitted = await self.offer(writer, found.elements, source.name)
        if found.outcome in GOOD:
            log.info("%s: %s, %d new element sets serve", source.name, found.outcome, admitted)
        return found, admitted

    def tell_shift(self, before: Sequence[Pass], after: Sequence[Pass]) -> None:
        """Compare two predictions: how far the next passes moved is what an operator wants to know of new elements."""
        for satellite, shift_s in prediction_shifts(before, after, datetime.now(UTC)).items():
            self.shifts[satellite] = shift_s
            log.info("new elements move the next pass of %s by %+.1f s", satellite, shift_s)


def by_satellite(
    numbers: Mapping[str, Sequence[int]], candidates: Iterable[Elements]
) -> Iterator[tuple[str, list[Elements]]]:
    """Yield each satellite's candidates, one number at a time and newest first; other objects do not concern us."""
    found: dict[int, list[Elements]] = {}
    for one in candidates:
        found.setdefault(one.norad_id, []).append(one)
    for slug, expected in numbers.items():
        for number in expected:
            if number in found:
                yield slug, sorted(found[number], key=lambda one: one.epoch, reverse=True)
