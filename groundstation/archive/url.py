"""Where the archive is: a database URL that never holds a secret.

sqlite:///relative/or//absolute/path.db      postgresql://user@host:5432/name?sslmode=verify-full
"""

from importlib import import_module
from pathlib import Path

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

EXPECTED = "expected sqlite:///PATH or postgresql://USER@HOST/NAME"
SECRETS = ("password", "sslpassword")


class UrlError(ValueError):
    """One line: what was found and what was expected; never the secret itself."""


def check_url(text: str) -> URL:
    """Return `text` as a URL for the installed driver.

    Raises UrlError where it is no URL of an archive, or holds a password: a configuration is read by many, so the
    password comes from a file.
    """
    try:
        url = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise UrlError(f"found something that is no database URL, {EXPECTED}") from error
    kind, _, driver = url.drivername.partition("+")
    if url.password is not None or any(secret in url.query for secret in SECRETS):
        raise UrlError("found a password in the URL, expected it in the file that password_file names")
    if kind in ("postgresql", "postgres") and driver in ("", "psycopg"):
        need_driver()
        return url.set(drivername="postgresql+psycopg")
    if kind != "sqlite" or driver not in ("", "pysqlite"):
        raise UrlError(f'found "{url.drivername}", {EXPECTED}')
    if not url.database or url.database == ":memory:" or url.host or url.query:
        raise UrlError(f"found a SQLite URL without a plain file, {EXPECTED}")
    return url.set(drivername="sqlite")


def need_driver() -> None:
    """Raise UrlError where the package that speaks to PostgreSQL, or the library under it, is not installed."""
    try:
        import_module("psycopg")
    except ImportError as error:
        raise UrlError("found a PostgreSQL server, expected its driver: pip install 'psycopg[binary]'") from error


def with_password(url: URL, password_file: Path | None) -> URL:
    """Return `url` with the text of `password_file` less its final newline; URL's own text shows it as ***."""
    if password_file is None:
        return url
    try:
        text = password_file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise UrlError(f"password_file: {password_file} cannot be read: {reason}") from error
    return url.set(password=text.removesuffix("\n"))
