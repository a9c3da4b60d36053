"""How a shell calls this program again, for the commands that tell people what to type next."""

import shlex
import shutil
import sys
from pathlib import Path

NAME = "groundstation"


def typed(*words: str | Path) -> str:
    """Return the line that a shell takes in this directory: after `make` our program stands on no PATH."""
    return shlex.join([*called_as(), *map(str, words)])


def called_as() -> tuple[str, ...]:
    called = Path(sys.argv[0])
    if called.name != NAME:  # python -m groundstation
        return sys.executable, "-m", NAME
    found = shutil.which(NAME)
    # Another installation may come first on PATH.
    return (NAME,) if found and Path(found).resolve() == called.resolve() else (str(called.absolute()),)
