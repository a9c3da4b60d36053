"""What would keep a daemon from its work though its configuration reads well: secrets, certificates, a place to write.

`run` and `check` ask. Other commands need no secret, and who types them is seldom allowed to read one.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from groundstation.config import INSTALLED_STATE, Config, ConfigError, reason
from groundstation.link.connection import LinkError, tls_context
from groundstation.settings import Settings


def refuse_faults(config: Config, *, absences: bool = False) -> None:
    """Raise ConfigError where a daemon could not do its work, with `absences` also where something is away for now."""
    away = absent_directory(config) if absences else None
    if found := [*faults(config), *([away] if away else [])]:
        raise ConfigError(found)


def faults(config: Config) -> list[str]:
    """Return a line for each thing that no restart puts right: `file: key: found, expected`."""
    settings = config.settings
    return [f"{config.path}: {line}" for line in (*unreadable_secrets(settings), *bad_certificates(settings))]


def unreadable_secrets(settings: Settings) -> Iterator[str]:
    files = {"archive.password_file": settings.archive.password_file}
    files |= {f"links[{number}].password_file": link.password_file for number, link in enumerate(settings.links)}
    files |= {
        f"element_sources[{number}].password_file": source.password_file
        for number, source in enumerate(settings.element_sources)
    }
    for key, file in files.items():
        if file is not None and (why := why_unreadable(file)):
            yield f"{key}: found {file}, expected a file of text that can be read: {why}"


def why_unreadable(file: Path) -> str | None:
    try:
        file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return reason(error)
    return None


def bad_certificates(settings: Settings) -> Iterator[str]:
    """Yield what the link itself would say of its TLS files when it connects."""
    for number, link in enumerate(settings.links):
        try:
            tls_context(link)
        except LinkError as error:
            yield f"links[{number}]: {error}"


def absent_directory(config: Config) -> str | None:
    """Return a line where the archive's directory is not there.

    A disk may be away for a while, so the daemon is not told that its configuration is wrong: it waits. systemd
    makes the state directory, which is no fault before the first start.
    """
    url = config.settings.archive.url
    directory = Path(url.removeprefix("sqlite:///")).parent
    made_by_systemd = {INSTALLED_STATE, Path(os.environ.get("STATE_DIRECTORY", INSTALLED_STATE))}
    if not url.startswith("sqlite:///") or directory in made_by_systemd or os.path.isdir(directory):  # noqa: PTH112 - Path.is_dir raises where we may not look
        return None
    return f"{config.path}: archive.url: found {url}, expected a file in a directory that exists"
