"""What an administrator does to a whole archive by hand: look it over, copy it, shrink it, count what is in it.

SQLite and PostgreSQL give the same answers. A running daemon goes on meanwhile; only a full vacuum keeps it waiting.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, Table, func, select

from groundstation.archive import tables
from groundstation.archive.columns import Time
from groundstation.archive.engine import (
    FAILURES,
    ArchiveUnavailableError,
    one_line,
    open_engine,
    sqlite_cursor,
    told_of,
)
from groundstation.archive.migrate import newest_revision, revision_of, write_copy
from groundstation.archive.space import space
from groundstation.archive.url import check_url, with_password

VACUUM_PAGES = 1000  # in one transaction: the daemon's writer waits some milliseconds
INCREMENTAL = 2  # of PRAGMA auto_vacuum
FAULTS_MOST = 20  # lines of one check


@dataclass(frozen=True, slots=True)
class Checked:
    """One thing that was looked at; `faults` says what is wrong, one line each."""

    what: str
    faults: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SatelliteStats:
    satellite: str
    packets: int
    first_generated_at_us: int
    last_generated_at_us: int
    last_received_at_us: int


@dataclass(frozen=True, slots=True)
class Stats:
    revision: str | None
    size_bytes: int
    free_bytes: int | None  # on the file system; None for a server
    rows: dict[str, int]  # by table
    satellites: tuple[SatelliteStats, ...]


class Maintenance:
    """Every call opens the archive, does one thing and closes it; raises ArchiveUnavailableError where it cannot."""

    def __init__(self, url: str, password_file: Path | None = None) -> None:
        self._place = (url, password_file)

    def revision(self) -> str | None:
        """Return the archive's revision; None where there is no archive yet."""
        try:
            with self._reading() as connection:
                return revision_of(connection)
        except ArchiveUnavailableError:
            if self._address().drivername == "sqlite" and not Path(str(self._address().database)).exists():
                return None
            raise

    def check(self) -> list[Checked]:
        """Return everything that was looked at, in order; reads the whole archive."""
        with self._reading() as connection:
            checked = [Checked("shape", revision_faults(connection)), Checked("pages", page_faults(connection))]
            if any(one.faults for one in checked):
                return checked  # what follows would only fail over the same
            return [
                *checked,
                Checked("definitions", definition_faults(connection)),
                Checked("latest", latest_faults(connection)),
            ]

    def stats(self) -> Stats:
        """Return how much there is of everything; counts every row, so not for each scrape."""
        with self._reading() as connection:
            size_bytes, free_bytes = space(connection)
            known = [table for table in tables.metadata.sorted_tables if is_there(connection, table.name)]
            return Stats(
                revision=revision_of(connection),
                size_bytes=size_bytes,
                free_bytes=free_bytes,
                rows={
                    table.name: int(connection.scalar(select(func.count()).select_from(table)) or 0) for table in known
                },
                satellites=satellites_in(connection),
            )

    def back_up(self, target: Path) -> int:
        """Write a complete copy to `target` and return its bytes: a SQLite file, or what `pg_restore` reads.

        Raises FileExistsError: a backup never replaces another.
        """
        if target.exists():
            raise FileExistsError(f"{target}: found a file, expected none")
        address = with_password(check_url(self._place[0]), self._place[1])
        if address.drivername != "sqlite":
            dump(address, target)
        else:
            source = Path(str(address.database))
            try:
                write_copy(source, target)
            except sqlite3.Error as error:
                raise ArchiveUnavailableError(told_of(address, error)) from error
        return target.stat().st_size

    def vacuum(self, *, full: bool = False) -> tuple[int, int]:
        """Give free space back and return the bytes before and after.

        Beside a running daemon; with `full` everything is written anew, and the daemon waits until that is done.
        """
        with self._writing() as connection:
            before = space(connection)[0]
            if connection.dialect.name == "sqlite":
                vacuum_file(sqlite_cursor(connection), full=full)
            else:
                connection.exec_driver_sql("VACUUM (FULL, ANALYZE)" if full else "VACUUM (ANALYZE)")
            return before, space(connection)[0]

    def _address(self) -> URL:
        return check_url(self._place[0])

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._connected(open_engine(*self._place, read_only=True)) as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        """Yield a connection outside any transaction, as VACUUM wants it."""
        engine = open_engine(*self._place)
        with self._connected(engine.execution_options(isolation_level="AUTOCOMMIT")) as connection:
            yield connection

    @contextmanager
    def _connected(self, engine: Engine) -> Iterator[Connection]:
        try:
            with engine.connect() as connection:
                yield connection
        except FAILURES as error:
            raise ArchiveUnavailableError(told_of(engine.url, error)) from error
        finally:
            engine.dispose()


def revision_faults(connection: Connection) -> tuple[str, ...]:
    found, newest = revision_of(connection), newest_revision()
    return () if found == newest else (f"found revision {found}, expected {newest}: groundstation db upgrade",)


def page_faults(connection: Connection) -> tuple[str, ...]:
    """Return what SQLite finds wrong in its file; of PostgreSQL, which tables cannot be read through."""
    if connection.dialect.name == "sqlite":
        said = connection.exec_driver_sql(f"PRAGMA integrity_check({FAULTS_MOST})").scalars().all()
        return () if list(said) == ["ok"] else tuple(" ".join(str(line).split()) for line in said)
    faults = []
    for table in tables.metadata.sorted_tables:
        try:
            with connection.begin_nested():
                rows_of(connection, table)
        except FAILURES as error:
            faults.append(f"{table.name}: {one_line(error)}")
    return tuple(faults)


def definition_faults(connection: Connection) -> tuple[str, ...]:
    """Return the packets whose definition is not kept: their values could not be explained any more."""
    packet, definition = tables.packet.c, tables.definition.c
    known = select(definition.hash)
    found = connection.execute(
        select(packet.satellite, packet.definition_hash, func.count())
        .where(packet.definition_hash.not_in(known))
        .group_by(packet.satellite, packet.definition_hash)
        .limit(FAULTS_MOST)
    )
    return tuple(
        f"{count} packets of {slug} have the definition {hash_}, which is not kept" for slug, hash_, count in found
    )


def latest_faults(connection: Connection) -> tuple[str, ...]:
    """Return the latest values that are older than a realtime packet of their kind."""
    latest, packet = tables.latest.c, tables.packet.c
    newest = (
        select(packet.satellite, packet.name, func.max(packet.generated_at).label("generated_at"))
        .where(packet.kind == "realtime")
        .group_by(packet.satellite, packet.name)
        .subquery()
    )
    shown = select(latest.satellite, latest.packet, func.max(latest.generated_at).label("shown_at"))
    shown_by = shown.group_by(latest.satellite, latest.packet).subquery()
    behind = (
        select(newest.c.satellite, newest.c.name)
        .join(shown_by, (newest.c.satellite == shown_by.c.satellite) & (newest.c.name == shown_by.c.packet))
        .where(newest.c.generated_at > shown_by.c.shown_at)
        .limit(FAULTS_MOST)
    )
    return tuple(
        f"the latest {name} of {slug} is older than its newest packet" for slug, name in connection.execute(behind)
    )


def rows_of(connection: Connection, table: Table) -> int:
    return int(connection.scalar(select(func.count()).select_from(table)) or 0)


def is_there(connection: Connection, table: str) -> bool:
    """Tell whether an archive that was not upgraded yet has the table."""
    return connection.dialect.has_table(connection, table)


def satellites_in(connection: Connection) -> tuple[SatelliteStats, ...]:
    if not is_there(connection, tables.packet.name):
        return ()
    c = tables.packet.c
    found = connection.execute(
        select(
            c.satellite,
            func.count(),
            func.min(c.generated_at, type_=Time),
            func.max(c.generated_at, type_=Time),
            func.max(c.received_at, type_=Time),
        )
        .group_by(c.satellite)
        .order_by(c.satellite)
    )
    return tuple(SatelliteStats(*row) for row in found)


def vacuum_file(cursor: sqlite3.Cursor, *, full: bool) -> None:
    if full:
        cursor.execute("VACUUM")
    else:
        while free_pages(cursor, VACUUM_PAGES):
            pass
        cursor.execute("PRAGMA optimize")
    cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def free_pages(cursor: sqlite3.Cursor, most: int) -> bool:
    """Give up to `most` free pages of a SQLite file back, and return whether there are more.

    Commits what went before: the statement answers once a page, and only `executescript`, which begins with a commit,
    listens to the end; `execute` would give back a single page.
    """
    cursor.executescript(f"PRAGMA incremental_vacuum({most})")
    mode, left = (cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in ("auto_vacuum", "freelist_count"))
    return bool(mode == INCREMENTAL and left)  # a file that another program made may have no such mode


def dump(address: URL, target: Path) -> None:
    """Write PostgreSQL's own kind of backup, through a file beside it that is renamed when it is whole."""
    program = shutil.which("pg_dump")
    if program is None:
        raise ArchiveUnavailableError(
            "found no pg_dump, expected PostgreSQL's client programs: apt-get install postgresql-client"
        )
    partial = target.with_name(f"{target.name}.partial")
    # Without the password: everybody may read the arguments of a process.
    place = URL.create(
        "postgresql", address.username, None, address.host, address.port, address.database, address.query
    )
    environment = os.environ | ({"PGPASSWORD": str(address.password)} if address.password else {})
    done = subprocess.run(  # noqa: S603  (no shell, and a URL that was checked)
        [program, "--format=custom", "--no-owner", f"--file={partial}", place.render_as_string()],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        partial.unlink(missing_ok=True)
        raise ArchiveUnavailableError(f"pg_dump: {' '.join(done.stderr.split())}")
    partial.replace(target)
