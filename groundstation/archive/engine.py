"""How the archive's database is opened: settings of the connection, and errors that say what can be tried again."""

import logging
import os
import sqlite3
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import DataError, DBAPIError, IntegrityError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry, NullPool, QueuePool

from groundstation.archive.columns import decode_json, encode_json
from groundstation.archive.url import UrlError, check_url, with_password

log = logging.getLogger(__name__)

LOCKED_WAIT_S = 10.0
CONNECT_WAIT_S = 10
# Readers that never end keep a WAL from shrinking. Checkpoints are SQLite's own, every 1000 pages: a longer WAL stores
# no faster, and at 100 packets/s its beginning has left the page cache when it is written again, 6 % of our CPU.
SQLITE_WRITING = (
    "PRAGMA auto_vacuum = INCREMENTAL",  # heeded only while the file is empty, and before WAL
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",  # NORMAL does not sync each commit: a power loss would take acknowledged packets
    "PRAGMA journal_size_limit = 67108864",
)
BEGIN_WRITING = "BEGIN IMMEDIATE"  # waits for the lock there, and never fails half-way
# A server that vanished without a word is noticed within half a minute, not after the system's two hours.
POSTGRESQL_PATIENCE = {
    "connect_timeout": CONNECT_WAIT_S,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
PROGRAM_LIMIT = "54"  # SQLSTATE class: the row is more than the server can hold
STATEMENTS_KEPT = 512  # prepared: a few kinds in some forty lengths each
NOT_OPENED = "unable to open database file"
MISSING = ("42P01", "42703")  # SQLSTATEs: no such table, no such column
WAL_RESET_CURED = (3, 51, 3)
DATA_ERRORS = (
    DataError, IntegrityError, sqlite3.DataError, sqlite3.IntegrityError, UnicodeEncodeError, OverflowError,
)  # fmt: skip
# The hot path talks to sqlite3 without SQLAlchemy between, whose errors then come unwrapped.
FAILURES = (SQLAlchemyError, sqlite3.Error, UnicodeEncodeError, OverflowError)


class ArchiveUnavailableError(Exception):
    """The database did not commit; the same batch may be tried again."""


def open_engine(
    url: str, password_file: Path | None = None, *, read_only: bool = False, create: bool = False, keep: int = 0
) -> Engine:
    """Return an engine on the archive that keeps up to `keep` idle connections; nothing is opened before it is used.

    Raises UrlError, and ArchiveUnavailableError where the password cannot be read: some commands do without.

    Only with `create` a SQLite file is made: a writer that finds none must not begin an empty one.
    """
    address = check_url(url)
    try:
        address = with_password(address, password_file)
    except UrlError as error:
        raise ArchiveUnavailableError(f"{address}: {error}") from error
    kept: dict[str, Any] = {"poolclass": NullPool}
    if keep:
        kept = {"poolclass": QueuePool, "pool_size": keep, "pool_pre_ping": True}
    if address.drivername == "sqlite":
        return _sqlite(address, "ro" if read_only else "rwc" if create else "rw", kept)
    return _postgresql(address, read_only, kept)


def _sqlite(address: URL, mode: Literal["ro", "rw", "rwc"], kept: dict[str, Any]) -> Engine:
    name = f"file:{quote(str(address.database))}?mode={mode}"

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(
            name,
            uri=True,
            timeout=LOCKED_WAIT_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_KEPT,
        )

    engine = create_engine(address, creator=connect, hide_parameters=True, **kept)
    begin = "BEGIN" if mode == "ro" else BEGIN_WRITING
    event.listen(engine, "begin", lambda connection: sqlite_cursor(connection).execute(begin))
    if mode != "ro":
        event.listen(engine, "connect", _prepare_sqlite)
    return engine


def begin_on_driver(connection: Connection) -> AbstractContextManager[object]:
    """Begin a transaction for what talks to the driver alone; leaving the context commits it, or rolls it back.

    In SQLite it does without SQLAlchemy, whose own takes 3 % of the daemon's time at 100 packets/s.
    """
    return DriverTransaction(connection) if connection.dialect.name == "sqlite" else connection.begin()


class DriverTransaction:
    """A transaction of a SQLite connection; the driver's own parses COMMIT each time, 2 % of the daemon's time."""

    def __init__(self, connection: Connection) -> None:
        self._driver = sqlite_driver(connection)

    def __enter__(self) -> None:
        self._driver.execute(BEGIN_WRITING)

    def __exit__(self, failed: type[BaseException] | None, *_: object) -> None:
        try:
            if failed is None:
                self._driver.execute("COMMIT")
        finally:
            self._driver.rollback()  # does nothing where it was committed


def sqlite_cursor(connection: Connection) -> sqlite3.Cursor:
    """Return the driver's own cursor: SQLAlchemy takes 35 µs a statement, and would look at each of 8192 values."""
    return sqlite_driver(connection).cursor()


def sqlite_driver(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.dbapi_connection  # `driver_connection` is the same by three more calls
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    cursor = connection.cursor()
    for pragma in SQLITE_WRITING:
        cursor.execute(pragma)
    cursor.close()


def _postgresql(address: URL, read_only: bool, kept: dict[str, Any]) -> Engine:
    # Days in a query for people are UTC's, whatever the server's zone; a lock is waited for as long as in SQLite.
    settings = {"TimeZone": "UTC", "lock_timeout": f"{LOCKED_WAIT_S:.0f}s"}
    if read_only:
        settings["default_transaction_read_only"] = "on"
    arguments: dict[str, Any] = {
        "application_name": "groundstation",
        "options": " ".join(f"-c {name}={value}" for name, value in settings.items()),
        **POSTGRESQL_PATIENCE,
    }
    for key in address.query:
        arguments.pop(key, None)
    return create_engine(
        address,
        connect_args=arguments,
        hide_parameters=True,
        json_serializer=lambda value: encode_json(value).decode(),
        json_deserializer=decode_json,
        **kept,
    )


class FileIdentity:
    """Which file a SQLite connection writes to: one that was deleted or replaced would take commits and keep none."""

    def __init__(self, url: URL) -> None:
        self._path = str(url.database) if url.drivername == "sqlite" else None
        self._opened: tuple[int, int] | None = None

    def remember(self) -> None:
        self._opened = self._now()

    def check(self) -> None:
        """Raise OperationalError where the path no longer leads to the file that was opened."""
        if self._now() != self._opened:
            raise sqlite3.OperationalError(f"{self._path} was deleted or replaced while it was open")

    def _now(self) -> tuple[int, int] | None:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)  # noqa: PTH116  (after each commit; Path's takes 8 µs more)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino


def is_data_error(error: Exception) -> bool:
    """Tell whether the database refuses what it was given, so that trying the same again is of no use."""
    if isinstance(error, DATA_ERRORS):
        return True
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return isinstance(error, DBAPIError) and state.startswith(PROGRAM_LIMIT)


def is_shape_error(error: Exception) -> bool:
    """Tell whether the database lacks a table or a column that it was asked for."""
    state = getattr(getattr(error, "orig", None), "sqlstate", None) or ""
    return state in MISSING or one_line(error).startswith(("no such table", "no such column"))


def told_of(url: URL, error: Exception) -> str:
    """Return in one line which archive it is and what is wrong; SQLite says of a file only that it cannot open it."""
    text = one_line(error)
    if url.drivername == "sqlite" and text == NOT_OPENED:
        file = Path(str(url.database))
        if not file.parent.is_dir():
            text = f"there is no directory {file.parent}"
        elif not file.exists():
            text = "there is no such file; `groundstation run` makes one as it starts"
    return f"{url}: {text}"


def one_line(error: Exception) -> str:
    """Return what the driver said, without the statement: one line for an operator."""
    said = str(getattr(error, "orig", None) or error)
    return " ".join(said.split()) or type(error).__name__


def tell_of_old_sqlite() -> None:
    """Log where this SQLite can corrupt a WAL that two connections reset at once (up to 3.51.2)."""
    if sqlite3.sqlite_version_info < WAL_RESET_CURED:
        # Not a warning: Debian 12's is one, and an operator who lets nobody else write has nothing to do.
        log.info(
            "SQLite %s has the WAL-reset race that 3.51.3 cured: let nothing but this daemon write to the archive",
            sqlite3.sqlite_version,
        )
