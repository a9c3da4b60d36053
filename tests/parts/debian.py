"""The Debian programs that tests use as real parts, and the one way to do without them: a skip with its remedy."""

import os
import shutil
from pathlib import Path

import pytest

# Debian keeps servers out of an ordinary user's PATH, and PostgreSQL's programs under each major version.
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


def find(program: str) -> Path | None:
    """Return where `program` is, on PATH or where Debian puts servers; None where it is not installed."""
    postgresql = sorted(
        Path("/usr/lib/postgresql").glob("[0-9]*/bin"), key=lambda bin_: float(bin_.parent.name), reverse=True
    )
    folders = (os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS, *map(str, postgresql))
    found = shutil.which(program, path=os.pathsep.join(folders))
    return Path(found) if found else None


def need(program: str, package: str) -> Path:
    """Return where `program` is, or skip the test and say which Debian package brings it."""
    found = find(program)
    if found is None:
        pytest.skip(f"needs {program} (apt-get install {package})")
    return found
