"""Every proof runs on both engines: a SQLite file, and a private PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.archive.places import Place
from tests.no_loss.ground import Ground, ground_segment
from tests.parts.postgresql import PostgreSQL, postgresql

__all__ = ["postgresql"]


@pytest.fixture(params=["sqlite", "postgresql"])
def ground(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ground]:
    if request.param == "sqlite":
        place = Place(f"sqlite:///{tmp_path / 'archive.db'}")
    else:
        server: PostgreSQL = request.getfixturevalue("postgresql")
        place = Place(server.url(server.new_database()), server.password_file)
    with ground_segment(tmp_path, place) as segment:
        yield segment
