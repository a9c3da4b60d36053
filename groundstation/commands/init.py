"""`groundstation init`: a station's first files."""

import argparse

from groundstation.commands.called_as import typed
from groundstation.commands.starter import write_station


def command(options: argparse.Namespace) -> int:
    made = write_station(options.directory)
    print("\n".join(f"created {path}" for path in made))
    print(f"next: edit {made[0]}, then")
    for name in ("check", "run"):
        print(f"  {typed(name, '--config', made[0])}")
    return 0
