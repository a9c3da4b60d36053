"""One TOML file, its satellites and its elements, read once into one frozen Config or refused with every reason.

groundstation.toml ──► Settings ─┐
satellites/*.toml  ──► Definition ├──► Config
tle/*              ──► Elements ──┘
"""

import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from groundstation.archive.url import UrlError, check_url
from groundstation.elements.settings import SourceSettings
from groundstation.link.settings import LinkSettings
from groundstation.orbit.element_text import parse_elements
from groundstation.orbit.elements import Elements, ElementsError, newest
from groundstation.orbit.site import Site
from groundstation.settings import Settings
from groundstation.telemetry.definition import Definition, DefinitionError, load_definition
from groundstation.telemetry.typed_toml import read_typed

# What the unit calls its configuration and its state directory: a command typed by hand means the same archive.
INSTALLED, INSTALLED_STATE = Path("/etc/groundstation"), Path("/var/lib/groundstation")
ELEMENT_FILES = (".tle", ".txt", ".json", ".csv", ".xml")


class ConfigError(ValueError):
    """Everything that is wrong with a configuration: one line each, by file and key."""

    def __init__(self, lines: Iterable[str]) -> None:
        self.lines = tuple(lines)
        super().__init__("\n".join(self.lines))


@dataclass(frozen=True, slots=True)
class Config:
    """All that the daemon knows when it starts; every path absolute, every element set named by satellite."""

    path: Path
    settings: Settings
    definitions: Mapping[str, Definition]  # by slug
    elements: tuple[Elements, ...]  # the newest of each candidate number, named by our slug

    @property
    def sites(self) -> dict[str, Site]:
        return {station.slug: station.site() for station in self.settings.stations}

    def without_elements(self) -> list[str]:
        """Return the satellites in orbit whose passes cannot be predicted."""
        named = {one.name for one in self.elements}
        return [slug for slug, one in self.definitions.items() if one.status == "in_orbit" and slug not in named]


def load_config(path: Path) -> Config:
    """Return the whole configuration at `path`.

    Raises ConfigError with one line for each thing that is wrong; a configuration of wrong types hides other files'.
    """
    settings = absolute(read_settings(path), path.resolve().parent)
    problems = [f"{path}: {line}" for line in (*clashes(settings), *bad_archive(settings))]
    definitions = read_definitions(settings.satellites, problems)
    problems += doubly_claimed(definitions, settings.satellites)
    if definitions:
        problems += [f"{path}: {line}" for line in source_faults(settings.element_sources, definitions.values())]
    element_sets = read_elements(settings.elements, problems)
    if not problems:
        problems += [f"{path}: {line}" for line in unknown_satellites(settings, definitions)]
    if problems:
        raise ConfigError(problems)
    return Config(path.resolve(), settings, definitions, named_by_slug(element_sets, definitions.values()))


def read_settings(path: Path) -> Settings:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError([f"{path}: cannot be read: {reason(error)}"]) from error
    try:
        return read_typed(text, str(path), Settings, ValueError)
    except ValueError as error:
        raise ConfigError(str(error).splitlines()) from error


def absolute(settings: Settings, directory: Path) -> Settings:
    """Return `settings` with each path made absolute, so that nobody depends on the working directory.

    Secrets are looked for in systemd's credentials directory first, the database in its state directory.
    """
    secrets = Path(os.environ.get("CREDENTIALS_DIRECTORY", directory))
    state = Path(os.environ.get("STATE_DIRECTORY", INSTALLED_STATE if directory == INSTALLED else directory))

    def secret(file: Path | None) -> Path | None:
        return None if file is None else (secrets if (secrets / file).exists() else directory) / file

    def beside(file: Path | None) -> Path | None:
        return None if file is None else directory / file

    links = tuple(
        msgspec.structs.replace(
            link,
            password_file=secret(link.password_file),
            tls_ca_file=beside(link.tls_ca_file),
            tls_certificate_file=beside(link.tls_certificate_file),
            tls_key_file=secret(link.tls_key_file),
        )
        for link in settings.links
    )
    archive = msgspec.structs.replace(
        settings.archive,
        url=absolute_url(settings.archive.url, state),
        password_file=secret(settings.archive.password_file),
    )
    sources = tuple(
        msgspec.structs.replace(source, password_file=secret(source.password_file))
        for source in settings.element_sources
    )
    return msgspec.structs.replace(
        settings,
        links=links,
        element_sources=sources,
        archive=archive,
        satellites=directory / settings.satellites,
        elements=directory / settings.elements,
    )


def absolute_url(url: str, directory: Path) -> str:
    """Return a SQLite URL with its file below `directory` unless it is absolute already; other URLs as they are."""
    prefix = "sqlite:///"
    return f"{prefix}{directory / url.removeprefix(prefix)}" if url.startswith(prefix) else url


def clashes(settings: Settings) -> list[str]:
    """Return a line for each name that stands twice and each file that is named but not there."""
    lines = []
    for key, names in (
        ("stations[].slug", [station.slug for station in settings.stations]),
        ("links[].name", [link.name for link in settings.links]),
        ("element_sources[].name", [source.name for source in settings.element_sources]),
    ):
        lines += [f'{key}: found "{name}" twice, expected each once' for name, n in Counter(names).items() if n > 1]
    sessions = Counter((link.client_id, link.host.lower(), link.port) for link in settings.links)
    for (client_id, host, port), links in sessions.items():
        if links > 1:  # the broker would throw out the one whenever the other connects
            lines.append(f'links[].client_id: found "{client_id}" twice on {host}:{port}, expected each once')
    for number, station in enumerate(settings.stations):
        try:
            station.site()
        except ValueError as error:
            lines.append(f"stations[{number}]: {error}")
    for number, link in enumerate(settings.links):
        lines += [f"links[{number}].{fault}" for fault in link_faults(link, settings.archive.url)]
    return lines


def link_faults(link: LinkSettings, archive_url: str) -> list[str]:
    """Return a line for what is wrong between a link's keys, or between one of them and the archive."""
    lines = []
    for key in ("tls_ca_file", "tls_certificate_file", "tls_key_file"):
        file: Path | None = getattr(link, key)
        if file is not None and not link.tls:  # all would go in plain text
            lines.append(f"{key}: found {file} without tls, expected tls = true")
    if (link.tls_certificate_file is None) != (link.tls_key_file is None):
        lines.append("tls_key_file: expected together with tls_certificate_file, found one alone")
    if link.share_group is not None and archive_url.startswith("sqlite"):
        expected = "expected archive.url of a PostgreSQL server: a SQLite file would hold one daemon's share alone"
        lines.append(f'share_group: found "{link.share_group}", {expected}')
    return lines


def bad_archive(settings: Settings) -> list[str]:
    try:
        check_url(settings.archive.url)
    except UrlError as error:
        return [f"archive.url: {error}"]
    return []


def unknown_satellites(settings: Settings, definitions: Mapping[str, Definition]) -> list[str]:
    named: dict[str, Iterable[str]] = {
        "contacts.priorities": settings.contacts.priorities,
        "archive.retention.satellites": settings.archive.retention.satellites,
    }
    return [
        f'{key}: found "{slug}", expected a satellite of {settings.satellites}'
        for key, slugs in named.items()
        for slug in slugs
        if slug not in definitions
    ]


def source_faults(sources: Sequence[SourceSettings], definitions: Iterable[Definition]) -> list[str]:
    """Return a line for what is wrong between a source's keys, and for what two sources would both ask."""
    catalogue = numbers_in_orbit(definitions)
    lines, asked = [], Counter[str]()
    for number, source in enumerate(sources):
        lines += [f"element_sources[{number}].{fault}" for fault in source.faults(catalogue)]
        asked.update({request.address for request in source.requests(catalogue)})
    twice = [address for address, times in asked.items() if times > 1]
    return lines + [f"element_sources: {address} would be asked twice, expected once" for address in twice]


def numbers_in_orbit(definitions: Iterable[Definition]) -> tuple[int, ...]:
    """Return the catalogue numbers that are worth asking for: new elements of them can come."""
    return tuple(number for one in definitions if one.status == "in_orbit" for number in one.norad_ids)


def read_definitions(directory: Path, problems: list[str]) -> dict[str, Definition]:
    """Return the definitions in `directory` by slug; what is wrong goes to `problems`, one line a file."""
    if not directory.is_dir():
        problems.append(f"{directory}: expected a directory with one definition (.toml) per satellite, found none")
        return {}
    definitions: dict[str, Definition] = {}
    files = [file for file in listed(directory, problems) if file.suffix == ".toml"]
    if not files and os.access(directory, os.R_OK | os.X_OK):
        problems.append(f"{directory}: found no definition that can be read, expected one (.toml) per satellite")
    for file in files:
        try:
            definition = load_definition(file.read_text(encoding="utf-8"), str(file))
        except DefinitionError as error:
            problems += str(error).splitlines()
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{file}: cannot be read: {reason(error)}")
        else:
            definitions[definition.slug] = definition
    return definitions


def listed(directory: Path, problems: list[str]) -> list[Path]:
    """Return what lies in `directory`, by name; one that may not be looked into goes to `problems`."""
    try:
        return sorted(directory.iterdir())
    except OSError as error:
        problems.append(f"{directory}: cannot be read: {reason(error)}")
        return []


def doubly_claimed(definitions: Mapping[str, Definition], directory: Path) -> list[str]:
    """Return a line for each catalogue number that is surely one satellite's and stands with another one too.

    Two may share candidates: objects of one launch, of which nobody yet knows which is which.
    """
    sure = {one.norad_ids[0]: slug for slug, one in definitions.items() if len(one.norad_ids) == 1}
    return [
        f"{directory / slug}.toml: norad_ids: found {number}, which is that of {sure[number]}, expected another"
        for slug, one in definitions.items()
        for number in one.norad_ids
        if sure.get(number, slug) != slug
    ]


def read_elements(directory: Path, problems: list[str]) -> list[Elements]:
    """Return every element set in `directory`; what is wrong goes to `problems`, one line a file."""
    if not directory.is_dir():
        problems.append(f"{directory}: expected a directory with element sets (TLE or OMM), found none")
        return []
    found: list[Elements] = []
    for file in listed(directory, problems):
        if file.suffix.lower() not in ELEMENT_FILES:
            continue
        try:
            found += load_elements(file)
        except ElementsError as error:
            problems.append(str(error))
    return found


def load_elements(file: Path) -> Sequence[Elements]:
    """Return the element sets of one file, all or none.

    Raises ElementsError with one line that names the file, and the line where one is wrong.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ElementsError(f"{file}: cannot be read: {reason(error)}") from error
    return parse_elements(text, str(file))


def named_by_slug(element_sets: Iterable[Elements], definitions: Iterable[Definition]) -> tuple[Elements, ...]:
    """Return the newest set of each candidate number of each satellite that still flies, named by its slug.

    Satellites that have decayed stay in the catalogue, since their recordings are replayed, but have no passes.
    """
    by_number = newest(element_sets)
    return tuple(
        replace(by_number[number], name=definition.slug)
        for definition in definitions
        if definition.status != "decayed"
        for number in definition.norad_ids
        if number in by_number
    )


def reason(error: Exception) -> str:
    """Return an exception's own words without the file name, which the line has already."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
