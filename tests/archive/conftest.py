"""The same tests run on SQLite and on PostgreSQL."""

from pathlib import Path

import pytest

from tests.archive.places import Place
from tests.parts.postgresql import PostgreSQL, postgresql

__all__ = ["postgresql"]


@pytest.fixture(params=["sqlite", "postgresql"])
def nowhere(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """A database that does not exist yet, or is empty."""
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'archive.db'}")
    server: PostgreSQL = request.getfixturevalue("postgresql")
    return Place(server.url(server.new_database()), server.password_file)


@pytest.fixture
def place(nowhere: Place) -> Place:
    """An archive without a packet."""
    nowhere.migrate()
    return nowhere


@pytest.fixture
def file(tmp_path: Path) -> Place:
    """An archive in SQLite, for what only SQLite does."""
    place = Place(f"sqlite:///{tmp_path / 'archive.db'}")
    place.migrate()
    return place


@pytest.fixture
def server(postgresql: PostgreSQL) -> Place:
    """An archive in PostgreSQL, for what only PostgreSQL does."""
    place = Place(postgresql.url(postgresql.new_database()), postgresql.password_file)
    place.migrate()
    return place
