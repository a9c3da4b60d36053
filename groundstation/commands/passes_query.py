"""Which passes were asked for: satellites, site, mask and elements from the command line over a configuration."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from rich.console import Console
from rich.progress import track

from groundstation.config import Config, ConfigError, load_elements
from groundstation.orbit.earth_rotation import Ut1Source, earth_rotation, why_stale
from groundstation.orbit.elements import Elements, ElementsError, newest
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.site import Site
from groundstation.orbit.sun import SunError
from groundstation.orbit.sunlit import Span, sunlit_spans
from groundstation.timekeeping import drift_factors, known_history, uncertainties

T = TypeVar("T")
PART, LONG_WORK_PARTS = 250, 4  # a part takes some hundredths of a second a day
OLD_AFTER_DAYS = 14  # SGP4 is good for about two weeks; the alert ElementsExpired says so too


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says about a prediction; None is what the configuration says."""

    satellites: Sequence[str] = ()  # slugs or catalogue numbers; all where none is named
    site: str | None = None
    mask_deg: float | None = None
    element_files: Sequence[Path] | None = None
    ut1: Ut1Source = "iers"
    sunlit: bool = False  # when each satellite is lit too: it takes longer than the passes themselves


def asked(options: argparse.Namespace) -> Asked:
    return Asked(
        satellites=getattr(options, "satellites", ()),  # `track` has one PASS instead
        site=options.site,
        mask_deg=options.mask,
        element_files=options.elements,
        ut1=options.ut1,
        sunlit=getattr(options, "sunlit", False),
    )


@dataclass(frozen=True, slots=True)
class Found:
    passes: tuple[Pass, ...]
    site: Site
    names: Mapping[str, str]  # a satellite's name by slug
    title: str
    warnings: tuple[str, ...]  # what makes the times doubtful, one line each
    elements: Mapping[int, Elements]  # what was predicted from, by catalogue number
    window: tuple[datetime, datetime]
    aos_uncertainty_s: Mapping[Pass, float]  # not of those without an AOS, nor where nobody can say
    with_sunlit: bool = False  # whether that was asked for

    def sunlit(self, one: Pass) -> list[Span]:
        """Return when the satellite is lit between AOS and LOS, and within the window where an edge is unknown."""
        start, end = self.window
        return lit(self.elements[one.norad_id], one.aos or start, one.los or end)


def lit(elements: Elements, start: datetime, end: datetime) -> list[Span]:
    """Return when the satellite is lit; raises ConfigError where nobody knows the sun's place."""
    try:
        return sunlit_spans(elements, start, end)
    except SunError as error:
        raise ConfigError([str(error)]) from error


def query_passes(config: Config, asked: Asked, start: datetime, end: datetime) -> Found:
    """Return the passes in the window of the satellites over the site that were asked for.

    Raises ConfigError with one line for each thing that was asked wrongly.
    """
    wanted, where = elements_asked(config, asked), site_asked(config, asked)
    try:
        passes = [
            one
            for some in in_parts(wanted, "predicting")
            for one in find_passes(some, where, start, end, ut1=asked.ut1)
        ]
    except ElementsError as error:
        raise ConfigError([str(error)]) from error
    passes.sort(key=lambda one: (one.aos or start, one.culmination, one.norad_id))
    factors = drift_factors(wanted, history(config, wanted, asked))
    return Found(
        passes=tuple(passes),
        site=where,
        names={slug: definition.name for slug, definition in config.definitions.items()},
        title=f"{where.name}, mask {where.mask_deg:g}°, {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC",
        warnings=tuple(doubts(wanted, start, end, asked.ut1)),
        elements={one.norad_id: one for one in wanted},
        window=(start, end),
        aos_uncertainty_s=uncertainties(passes, wanted, factors),
        with_sunlit=asked.sunlit,
    )


def in_parts(many: Sequence[T], doing: str) -> Iterable[Sequence[T]]:
    """Return `many` bit by bit; a person at a terminal sees on stderr how far a long work has come."""
    parts = [many[first : first + PART] for first in range(0, len(many), PART)]
    quiet = len(parts) < LONG_WORK_PARTS or not sys.stderr.isatty()
    return track(parts, doing, console=Console(stderr=True), transient=True, disable=quiet)


def history(config: Config, wanted: Sequence[Elements], asked: Asked) -> list[Elements]:
    """Return the other sets of the satellites: in the files that were named, the configured folder and the archive."""
    return known_history(config, wanted, (one for file in asked.element_files or () for one in load_elements(file)))


def elements_asked(config: Config, asked: Asked, where: str = "SATELLITE") -> list[Elements]:
    """Return the element sets of the satellites, each named by slug or by catalogue number in the argument `where`."""
    known = elements_of(asked.element_files, config) if asked.element_files else config.elements
    unknown = sorted(set(asked.satellites) - {name for one in known for name in (one.name, str(one.norad_id))})
    if unknown:
        raise ConfigError([f"{where}: found {why_no_passes(config, known, slug)}" for slug in unknown])
    return [one for one in known if not asked.satellites or {one.name, str(one.norad_id)} & set(asked.satellites)]


def elements_of(files: Iterable[Path], config: Config) -> tuple[Elements, ...]:
    """Return the newest set of each object in `files`: under our slug where a definition has its number."""
    try:
        found = newest(one for file in files for one in load_elements(file))
    except ElementsError as error:
        raise ConfigError([str(error)]) from error
    slugs = {number: slug for slug, definition in config.definitions.items() for number in definition.norad_ids}
    return tuple(replace(one, name=slugs.get(number, one.name)) for number, one in found.items())


def site_asked(config: Config, asked: Asked) -> Site:
    """Return a station of the configuration by slug (the first where none is named), or the place `LAT,LON[,ALT_M]`."""
    sites = config.sites
    if asked.site is None:
        where = next(iter(sites.values()))
    elif asked.site in sites:
        where = sites[asked.site]
    else:
        where = place(asked.site, sites)
    if asked.mask_deg is None:
        return where
    if not 0 <= asked.mask_deg < 90:
        raise ConfigError([f"--mask: found {asked.mask_deg:g}, expected 0 to 90 degrees"])
    return replace(where, mask_deg=asked.mask_deg)


def place(text: str, sites: Mapping[str, Site]) -> Site:
    try:
        latitude, longitude, *altitude = (float(part) for part in text.split(","))
        (altitude_m,) = altitude or [0.0]
        return Site("site", text, latitude, longitude, altitude_m, 5.0)
    except ValueError as error:
        expected = f"{', '.join(sites)}, or LAT,LON,ALT_M in degrees and metres"
        raise ConfigError([f"--site: found {text}, expected {expected}"]) from error


def why_no_passes(config: Config, known: Iterable[Elements], slug: str) -> str:
    definition = config.definitions.get(slug)
    if definition is None:
        return f"{slug}, expected one of {', '.join(sorted({one.name for one in known}))}"
    if definition.status == "decayed":
        return f"{slug}, which has decayed: it has no passes"
    return f"{slug}, which has no elements in {config.settings.elements}"


def doubts(elements: Iterable[Elements], start: datetime, end: datetime, ut1: Ut1Source) -> list[str]:
    """Return a line for each satellite whose elements are too far from the window, and one for an old table of UT1."""
    oldest: dict[str, Elements] = {}
    for one in elements:
        held = oldest.setdefault(one.name, one)
        if distance(one, start, end) > distance(held, start, end):
            oldest[one.name] = one
    lines = [
        f"{slug}: its elements ({one.norad_id}) are of {one.epoch:%Y-%m-%d}, {days:.0f} days from the passes asked for,"
        f" expected {OLD_AFTER_DAYS} at most: times may be wrong by minutes"
        for slug, one in oldest.items()
        if (days := distance(one, start, end) / timedelta(days=1)) > OLD_AFTER_DAYS
    ]
    stale = why_stale(earth_rotation(ut1), end)
    return [*lines, stale] if stale else lines


def distance(one: Elements, start: datetime, end: datetime) -> timedelta:
    """Return how far the epoch is from the window; 0 inside it."""
    return max(start - one.epoch, one.epoch - end, timedelta(0))
