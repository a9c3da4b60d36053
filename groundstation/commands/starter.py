"""The files that a station begins with: a commented configuration, the catalogue, the elements, the unit.

They are the repository's own `config/`, `tle/` and `systemd/`, carried inside the wheel as `groundstation/starter/`.
"""

import shutil
from pathlib import Path

FOLDERS = ("satellites", "grafana", "prometheus")  # below config/
IN_REPOSITORY, IN_STATION = 'elements = "../tle"', 'elements = "tle"   '  # the comments behind stay in their column


class StarterError(ValueError):
    """The directory cannot be made into a station."""


def starter_files() -> Path:
    """Return the directory that holds `config/`, `tle/` and `systemd/`: in the wheel, or the source tree."""
    inside = Path(__file__).parents[1] / "starter"
    return inside if inside.is_dir() else Path(__file__).parents[2]


def starter_config() -> Path:
    return starter_files() / "config" / "groundstation.toml"


def write_station(directory: Path) -> list[Path]:
    """Create a station's files in `directory` and return what was made, the configuration first.

    Raises StarterError before anything is written where any of them stands already.
    """
    source = starter_files()
    wanted = [directory / "groundstation.toml", *(directory / name for name in (*FOLDERS, "tle", "systemd"))]
    standing = [str(path) for path in wanted if path.exists()]
    if standing:
        raise StarterError(f"{directory}: found {', '.join(standing)}, expected a directory without them")
    try:
        directory.mkdir(parents=True, exist_ok=True)
        text = starter_config().read_text(encoding="utf-8")
        wanted[0].write_text(text.replace(IN_REPOSITORY, IN_STATION), encoding="utf-8")
        for name in FOLDERS:
            shutil.copytree(source / "config" / name, directory / name)
        for name in ("tle", "systemd"):
            shutil.copytree(source / name, directory / name)
    except OSError as error:
        raise StarterError(f"{directory}: cannot be written: {error.strerror}") from error
    return wanted
