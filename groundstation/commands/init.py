"""`groundstation init`: a station's first files."""

import argparse

from groundstation.commands.starter import write_station


def command(options: argparse.Namespace) -> int:
    made = write_station(options.directory)
    print("\n".join(f"created {path}" for path in made))
    print(
        f"next: edit {made[0]}, then\n  groundstation check --config {made[0]}\n  groundstation run --config {made[0]}"
    )
    return 0
