"""The wheel alone makes a station: nobody needs the source tree."""

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from groundstation import __version__

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def contents(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_every_file_of_the_package(contents: set[str]) -> None:
    sources = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "groundstation").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert sources - contents == set()
    assert "groundstation/py.typed" in contents
    assert any(re.fullmatch(r"groundstation/archive/migrations/versions/0001_\w+\.py", name) for name in contents)


def test_the_wheel_has_every_file_that_a_station_begins_with(contents: set[str]) -> None:
    begins_with = {
        f"groundstation/starter/{path.relative_to(ROOT)}"
        for folder in ("config", "tle", "systemd")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    }
    assert "groundstation/starter/systemd/groundstation.service" in begins_with
    assert begins_with - contents == set()


def test_the_wheel_has_nothing_else(contents: set[str]) -> None:
    others = {
        name for name in contents if not name.startswith(("groundstation/", f"groundstation-{__version__}.dist-info/"))
    }
    assert others == set()


@pytest.mark.timeout(300)
def test_an_empty_environment_becomes_a_station(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    install(tmp_path / "venv", wheel)
    program = str(tmp_path / "venv" / "bin" / "groundstation")

    # Away from the source tree, or Python would find the package there.
    assert run(program, "--version", cwd=tmp_path) == f"groundstation {__version__}\n"
    run(program, "init", "station", cwd=tmp_path)
    said = run(program, "check", "--config", "station/groundstation.toml", cwd=tmp_path)
    assert said.startswith("station/groundstation.toml: good.")
    assert (tmp_path / "station/systemd/groundstation.service").read_text() == (
        ROOT / "systemd/groundstation.service"
    ).read_text()
    assert '"satellite"' in run(
        program, "passes", "--config", "station/groundstation.toml", "--format", "json", cwd=tmp_path
    )
    # Too short for a packet; long enough to need every file that the demo brings.
    assert "stored 0" in run(program, "demo", "--duration", "2", cwd=tmp_path)


def install(environment: Path, wheel: Path) -> None:
    """Install the wheel and what it needs; skip where no index answers."""
    pip = (environment / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--no-input")
    done = subprocess.run([*pip, "install", wheel], capture_output=True, text=True, check=False)
    unreachable = r"NewConnectionError|ConnectTimeoutError|NameResolutionError|Temporary failure in name resolution"
    if done.returncode and re.search(unreachable, done.stdout + done.stderr):
        pytest.skip("needs a package index, and none is reachable")
    assert done.returncode == 0, done.stdout + done.stderr


def run(*command: str, cwd: Path | None = None) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
