"""Whether two URLs lead to one archive: one database has many names, and a replay into its own source adds nothing."""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from groundstation.archive.engine import ArchiveUnavailableError
from groundstation.archive.queries import Reader
from groundstation.archive.url import check_url

# A server started within the same microsecond as another is that other; a copy of its files is not.
SERVER = "SELECT pg_postmaster_start_time()::text, oid FROM pg_database WHERE datname = current_database()"


def same_archive(one: Reader, other: Reader) -> bool:
    """Tell whether both lead to the same file, or to the same database of the same server.

    Raises ArchiveUnavailableError where the server of `other` does not answer; what does not answer at `one` is
    another one.
    """
    first, second = check_url(one.url), check_url(other.url)
    if first.drivername != second.drivername:
        return False
    if first.drivername == "sqlite":
        return same_file(Path(str(first.database)), Path(str(second.database)))
    if first == second:
        return True
    found = other.ask_now(server)
    try:
        return one.ask_now(server) == found
    except ArchiveUnavailableError:
        return False


def same_file(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def server(connection: Connection) -> tuple[Any, ...]:
    return tuple(connection.exec_driver_sql(SERVER).one())
