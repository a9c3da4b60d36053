"""An archive that somebody holds, as a backup or a slow disk does: time to be killed in mid-commit."""

import contextlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import psycopg

from tests.archive.places import Place


@contextlib.contextmanager
def held(place: Place) -> Iterator[None]:
    """Let nobody else write into the archive while the block lasts; it can be read."""
    if place.password_file is None:
        with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"), isolation_level=None, timeout=30)) as file:
            file.execute("BEGIN IMMEDIATE")
            yield
    else:
        password = place.password_file.read_text(encoding="utf-8").removesuffix("\n")
        with closing(psycopg.connect(place.url, password=password)) as connection:
            connection.execute("LOCK TABLE packet IN EXCLUSIVE MODE")
            yield
