"""The Debian programs that tests use as real parts, and the one way to do without them: a skip with its remedy.

`python -m tests.parts.debian` prints the packages that this machine lacks, one a line, for `make test` to install. It
reads them from the tests' own calls of `need`, so that no list can fall behind.
"""

import ast
import os
import shutil
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]

# Debian keeps servers out of an ordinary user's PATH, and PostgreSQL's programs under each major version.
SYSTEM_FOLDERS = ("/usr/sbin", "/sbin", "/usr/local/sbin")


def find(program: str) -> Path | None:
    """Return where `program` is, on PATH or where Debian puts servers; None where it is not installed."""
    postgresql = Path("/usr/lib/postgresql").glob("[0-9]*/bin")
    newest_first = sorted(postgresql, key=lambda folder: float(folder.parent.name), reverse=True)
    folders = (os.environ.get("PATH", os.defpath), *SYSTEM_FOLDERS, *map(str, newest_first))
    found = shutil.which(program, path=os.pathsep.join(folders))
    return Path(found) if found else None


def need(program: str, package: str) -> Path:
    """Return where `program` is, or skip the test and say which Debian package brings it."""
    found = find(program)
    if found is None:
        pytest.skip(f"needs {program} (apt-get install {package})")
    return found


def needed(tests: Path = TESTS) -> dict[str, str]:
    """Return the package of each program that some test needs, read from the calls of `need`.

    Raises ValueError where a call hides a name in a variable, since it could not be installed beforehand.
    """
    packages: dict[str, str] = {}
    for path in sorted(tests.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"need", "debian.need"}:
                try:
                    program, package = map(ast.literal_eval, node.args)
                except ValueError as error:
                    raise ValueError(f"{path}:{node.lineno}: need() wants a literal program and package") from error
                packages[program] = package
    return packages


if __name__ == "__main__":
    missing = {package for program, package in needed().items() if find(program) is None}
    print(*sorted(missing), sep="\n", end="\n" if missing else "")
