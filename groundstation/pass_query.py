"""Which passes were asked for: satellites, site, mask and elements from the command line over a configuration."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from groundstation.config import Config, ConfigError, load_config, load_elements
from groundstation.orbit.elements import Elements, ElementsError, newest
from groundstation.orbit.passes import Pass, find_passes
from groundstation.orbit.site import Site


@dataclass(frozen=True, slots=True)
class Found:
    passes: tuple[Pass, ...]
    names: Mapping[str, str]  # a satellite's name by slug
    title: str


def query_passes(
    config_file: Path,
    *,
    satellites: Sequence[str],
    site: str | None,
    mask_deg: float | None,
    element_files: Sequence[Path] | None,
    start: datetime,
    end: datetime,
) -> Found:
    """Return the passes of `satellites` (all where none is named) over `site` (the first where none is).

    Raises ConfigError with one line for each thing that was asked wrongly.
    """
    config = load_config(config_file)
    elements = elements_of(element_files) if element_files else config.elements
    where = site_of(config, site, mask_deg)
    wanted = [one for one in elements if not satellites or {one.name, str(one.norad_id)} & set(satellites)]
    unknown = sorted(set(satellites) - {one.name for one in elements} - {str(one.norad_id) for one in elements})
    if unknown:
        raise ConfigError([f"SATELLITE: found {why_no_passes(config, slug)}" for slug in unknown])
    title = f"{where.name}, mask {where.mask_deg:g}°, {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC"
    names = {slug: definition.name for slug, definition in config.definitions.items()}
    return Found(tuple(find_passes(wanted, where, start, end)), names, title)


def elements_of(files: Sequence[Path]) -> tuple[Elements, ...]:
    try:
        return tuple(newest(one for file in files for one in load_elements(file)).values())
    except ElementsError as error:
        raise ConfigError([str(error)]) from error


def site_of(config: Config, site: str | None, mask_deg: float | None) -> Site:
    """Return a station of the configuration by slug, or the place `LAT,LON[,ALT_M]`."""
    sites = config.sites
    if site is None:
        where = next(iter(sites.values()))
    elif site in sites:
        where = sites[site]
    else:
        where = place(site, sites)
    if mask_deg is None:
        return where
    if not 0 <= mask_deg < 90:
        raise ConfigError([f"--mask: found {mask_deg:g}, expected 0 to 90 degrees"])
    return replace(where, mask_deg=mask_deg)


def place(text: str, sites: Mapping[str, Site]) -> Site:
    try:
        latitude, longitude, *altitude = (float(part) for part in text.split(","))
        (altitude_m,) = altitude or [0.0]
        return Site("site", text, latitude, longitude, altitude_m, 5.0)
    except ValueError as error:
        expected = f"{', '.join(sites)}, or LAT,LON,ALT_M in degrees and metres"
        raise ConfigError([f"--site: found {text}, expected {expected}"]) from error


def why_no_passes(config: Config, slug: str) -> str:
    definition = config.definitions.get(slug)
    if definition is None:
        return f"{slug}, expected one of {', '.join(sorted(one.name for one in config.elements))}"
    if definition.status == "decayed":
        return f"{slug}, which has decayed: it has no passes"
    return f"{slug}, which has no elements in {config.settings.elements}"
