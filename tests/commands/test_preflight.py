"""What only a daemon needs is looked at by `run` and `check`, and by nobody else."""

import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from groundstation.archive.migrate import migrate
from groundstation.cli import main
from tests.parts.certificates import Authority
from tests.parts.config_files import SETTINGS, write_files
from tests.parts.daemon_process import DaemonProcess

LINK = 'name = "mqtt"\n'
TLS = LINK + "tls = true\n"
ARCHIVE = 'url = "sqlite:///test.db"\n'
SOURCE = '[[element_sources]]\nname = "st"\nkind = "space-track"\nusername = "me"\npassword_file = "secret"\n'


def asked(capsys: pytest.CaptureFixture[str], command: Sequence[str], path: Path) -> tuple[int, list[str]]:
    """Return the status and what was said on stderr, without the directory."""
    status = main([*command, "--config", str(path)])
    return status, capsys.readouterr().err.replace(f"{path.parent}/", "").splitlines()


def secret_of(kind: str, directory: Path) -> None:
    file = directory / "secret"
    if kind == "directory":
        file.mkdir()
    elif kind == "binary":
        file.write_bytes(b"\xff\xfe")


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        (SETTINGS.replace(LINK, LINK + 'password_file = "secret"\n'), "links[0].password_file"),
        (SETTINGS.replace(ARCHIVE, ARCHIVE + 'password_file = "secret"\n'), "archive.password_file"),
        (SOURCE + SETTINGS, "element_sources[0].password_file"),
    ],
)
@pytest.mark.parametrize(
    ("kind", "why"),
    [("missing", "No such file or directory"), ("directory", "Is a directory"), ("binary", "can't decode byte 0xff")],
)
def test_a_secret_that_cannot_be_read_stops_run_and_check_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], settings: str, key: str, kind: str, why: str
) -> None:
    path = write_files(tmp_path / "station", settings=settings)
    secret_of(kind, path.parent)
    for command in ("run", "check"):
        status, [line] = asked(capsys, [command], path)
        assert status == 2
        assert line.startswith(f"groundstation.toml: {key}: found secret, expected a file of text that can be read: ")
        assert why in line
    assert asked(capsys, ["passes"], path)[0] == 0


def test_passes_are_told_to_who_may_not_read_the_database_password(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server = 'url = "postgresql://groundstation@127.0.0.1:9/groundstation"\npassword_file = "secret"\n'
    path = write_files(tmp_path / "station", settings=SETTINGS.replace(ARCHIVE, server))
    assert main(["passes", "--format", "csv", "--config", str(path)]) == 0
    assert capsys.readouterr().out.startswith("satellite,norad_id,")
    assert f"password_file: {path.parent / 'secret'} cannot be read: No such file or directory" in caplog.text
    assert main(["db", "stats", "--config", str(path)]) == 1


def test_a_file_that_holds_no_certificate_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = SETTINGS.replace(LINK, TLS + 'tls_ca_file = "groundstation.toml"\n')
    path = write_files(tmp_path / "station", settings=settings)
    for command in ("run", "check"):
        status, [line] = asked(capsys, [command], path)
        assert status == 2
        assert line.startswith("groundstation.toml: links[0]: tls_ca_file groundstation.toml: ")


def test_a_key_of_another_certificate_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = Authority(tmp_path / "authority")
    (one, _), (_, key) = authority.sign("one.example"), authority.sign("two.example")
    files = f'tls_certificate_file = "{one}"\ntls_key_file = "{key}"\n'
    path = write_files(tmp_path / "station", settings=SETTINGS.replace(LINK, TLS + files))
    status, [line] = asked(capsys, ["check"], path)
    assert status == 2
    assert line.startswith(f"groundstation.toml: links[0]: tls_certificate_file {one}, tls_key_file {key}: ")


def test_a_directory_that_is_away_is_told_and_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_files(tmp_path / "station", settings=SETTINGS.replace("test.db", "away/test.db"))
    status, [line] = asked(capsys, ["check"], path)
    assert status == 2
    assert line == (
        "groundstation.toml: archive.url: found sqlite:///away/test.db, expected a file in a directory that exists"
    )
    daemon = DaemonProcess(path).start()
    deadline = time.monotonic() + 60
    archive = f"archive opened (sqlite:///{path.parent}/away/test.db: there is no directory {path.parent}/away)"
    while archive not in daemon.get("/readyz")[1]["missing"]:
        assert time.monotonic() < deadline, daemon.text()
        time.sleep(0.05)
    (path.parent / "away").mkdir()
    while daemon.get("/readyz")[1]["missing"] not in ([], ["link mqtt subscribed"]):
        assert time.monotonic() < deadline, daemon.text()
        time.sleep(0.05)
    assert daemon.stop() == 0


def test_the_state_directory_need_not_be_there_before_the_unit_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path / "state"))
    assert asked(capsys, ["check"], write_files(tmp_path / "station")) == (0, [])


def test_an_archive_of_a_newer_version_is_status_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_files(tmp_path / "station")
    url = f"sqlite:///{path.parent / 'test.db'}"
    migrate(url)
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    status, lines = asked(capsys, ["run"], path)
    assert status == 2
    assert "found an archive of revision 9999" in lines[-1]


@pytest.mark.parametrize("command", ["run", "check", "passes"])
def test_postgresql_without_its_driver_is_one_line(tmp_path: Path, command: str) -> None:
    settings = SETTINGS.replace("sqlite:///test.db", "postgresql://groundstation@localhost/groundstation")
    path = write_files(tmp_path / "station", settings=settings)
    source = (
        "import sys; sys.modules['psycopg'] = None; from groundstation.cli import main\n"
        f"sys.exit(main([{command!r}, '--config', {str(path)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert done.stderr == (
        f"{path}: archive.url: found a PostgreSQL server, expected its driver: pip install 'psycopg[binary]'\n"
    )
