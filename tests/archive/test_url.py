import re
from pathlib import Path

import pytest

from groundstation.archive.url import UrlError, check_url, with_password
from groundstation.archive.writer import ArchiveUnavailableError
from tests.archive.places import Place, packet
from tests.parts.postgresql import PASSWORD, PostgreSQL


@pytest.mark.parametrize(
    ("text", "driver"),
    [
        ("sqlite:///archive.db", "sqlite"),
        ("sqlite:////var/lib/groundstation/archive.db", "sqlite"),
        ("postgresql://operator@db.example/archive", "postgresql+psycopg"),
        ("postgresql+psycopg://operator@db.example/archive?sslmode=verify-full", "postgresql+psycopg"),
    ],
)
def test_an_archive_url_gets_the_installed_driver(text: str, driver: str) -> None:
    assert check_url(text).drivername == driver


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("archive.db", "no database URL"),
        ("", "no database URL"),
        ("mysql://operator@db.example/archive", '"mysql"'),
        ("sqlite://", "without a plain file"),
        ("sqlite:///:memory:", "without a plain file"),
        ("sqlite:///archive.db?mode=ro", "without a plain file"),
        ("postgresql+asyncpg://db.example/archive", '"postgresql+asyncpg"'),
    ],
)
def test_another_url_is_refused_with_what_was_expected(text: str, found: str) -> None:
    with pytest.raises(UrlError, match=re.escape(found)) as refused:
        check_url(text)
    assert "sqlite:///PATH or postgresql://USER@HOST/NAME" in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://operator:hunter2@db.example/archive",
        "postgresql://db.example/archive?password=hunter2",
        "postgresql://db.example/archive?sslpassword=hunter2",
        "postgresql://operator:hunter2@db.example:port/archive",
        "oracle://operator:hunter2@db.example/archive",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UrlError) as refused:
        check_url(text)
    assert "hunter2" not in str(refused.value)


def test_the_password_comes_from_its_file_without_the_final_newline(tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text(" two\nlines \n")
    url = with_password(check_url("postgresql://operator@db.example/archive"), file)
    assert url.password == " two\nlines "
    assert "two" not in str(url)
    assert "two" not in repr(url)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_password_file_that_cannot_be_read_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UrlError, match=f"password_file: {file} cannot be read"):
        with_password(check_url("postgresql://operator@db.example/archive"), file)


async def test_no_error_shows_the_password(postgresql: PostgreSQL, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text(PASSWORD + "x")
    place = Place(postgresql.url(), wrong)
    with pytest.raises(ArchiveUnavailableError, match="password authentication failed") as migrating:
        place.migrate()
    async with place.writer() as writer:
        with pytest.raises(ArchiveUnavailableError) as storing:
            await writer.store([packet()], [])
    for error in (migrating.value, storing.value):
        assert PASSWORD not in str(error)
        assert "\n" not in str(error)
