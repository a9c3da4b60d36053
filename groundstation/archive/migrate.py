"""Brings a database to the shape of `tables`, whole or not at all, however many daemons start at once."""

import logging
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine

from groundstation import __version__
from groundstation.archive.engine import FAILURES, ArchiveUnavailableError, open_engine, told_of
from groundstation.archive.timescale import make_hypertables

log = logging.getLogger(__name__)

logging.getLogger("alembic").setLevel(logging.WARNING)  # its INFO is about itself
LOCK = 0x67726F756E64  # PostgreSQL's advisory locks are numbers: "ground"
MIGRATIONS = Path(__file__).with_name("migrations")


class ArchiveVersionError(ValueError):
    """The database was made by a newer version: one line that names both."""


def migrate(url: str, password_file: Path | None = None, *, backup: bool = True, migrations: Path = MIGRATIONS) -> None:
    """Create the archive or bring it up to date, in one transaction and under a lock.

    Another process that migrates at the same moment waits and then finds nothing to do. An existing SQLite file is
    first copied beside itself. Raises ArchiveVersionError where the archive is newer than this program, and
    ArchiveUnavailableError where it cannot be reached or written; in both cases nothing has changed.
    """
    engine = open_engine(url, password_file, create=True)
    try:
        with engine.connect() as connection, connection.begin():
            _upgrade(engine, connection, backup, migrations)
            make_hypertables(connection)
    except FAILURES as error:
        raise ArchiveUnavailableError(told_of(engine.url, error)) from error
    finally:
        engine.dispose()


def _upgrade(engine: Engine, connection: Connection, backup: bool, migrations: Path) -> None:
    if engine.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL lock_timeout = 0")  # another's migration may take its time
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({LOCK})")
    scripts = ScriptDirectory(str(migrations))
    found, newest = revision_of(connection), scripts.get_current_head()
    if found == newest:
        return
    if found not in (None, *(script.revision for script in scripts.walk_revisions())):
        raise ArchiveVersionError(
            f"{engine.url}: found an archive of revision {found}, which groundstation {__version__} does not know; "
            f"expected at most {newest}: install the version that made it or a newer one"
        )
    if found is not None and backup and engine.dialect.name == "sqlite":
        copy = back_up(Path(str(engine.url.database)), found)
        log.info("copied the archive to %s before the upgrade", copy)
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    log.info("archive %s is now at revision %s", engine.url, newest)


def back_up(path: Path, revision: str) -> Path:
    """Return where a copy of the SQLite file now lies: complete, on disk, beside the original.

    The caller holds the write lock, so that the copy is what the migration will begin with.
    """
    copy = path.with_name(f"{path.name}.before-upgrade-from-{revision}")
    write_copy(path, copy)
    return copy


def write_copy(path: Path, copy: Path) -> None:
    """Write what a SQLite file holds now to `copy`, whole or not at all, while others read and write on."""
    partial = copy.with_name(f"{copy.name}.partial")
    partial.unlink(missing_ok=True)
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as source:
        source.execute("VACUUM INTO ?", (str(partial),))
    _sync(partial)
    partial.replace(copy)
    _sync(copy.parent)


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the archive; None where nothing was ever made."""
    return MigrationContext.configure(connection).get_current_revision()


def newest_revision(migrations: Path = MIGRATIONS) -> str | None:
    return ScriptDirectory(str(migrations)).get_current_head()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
