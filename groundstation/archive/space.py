"""How much room the archive takes, and how much it has left."""

import shutil
from contextlib import suppress
from pathlib import Path

from sqlalchemy import Connection, func, make_url, select


def space(connection: Connection) -> tuple[int, int | None]:
    """Return the archive's size in bytes and what its file system has left; None for a server, which knows better."""
    if connection.dialect.name == "sqlite":
        return space_of_file(Path(str(connection.engine.url.database)))
    return int(connection.scalar(select(func.pg_database_size(func.current_database()))) or 0), None


def space_on_disk(url: str) -> tuple[int | None, int | None]:
    """Return the same without asking the archive, which may be away: of a server neither is known."""
    address = make_url(url)
    return space_of_file(Path(str(address.database))) if address.get_backend_name() == "sqlite" else (None, None)


def space_of_file(file: Path) -> tuple[int, int | None]:
    """Return the bytes of a SQLite archive with its journal, and what is left where its folder is."""
    size_bytes = 0
    for part in (file, file.with_name(f"{file.name}-wal")):
        with suppress(FileNotFoundError):  # the last connection to close takes the journal away
            size_bytes += part.stat().st_size
    return size_bytes, shutil.disk_usage(file.parent).free if file.parent.exists() else None
