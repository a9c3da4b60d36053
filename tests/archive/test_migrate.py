"""A database comes to its shape whole or not at all."""

import asyncio
import shutil
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from groundstation.archive.engine import open_engine
from groundstation.archive.migrate import MIGRATIONS, ArchiveVersionError, back_up, migrate
from groundstation.archive.queries import latest, quarantined
from groundstation.archive.tables import metadata
from groundstation.archive.writer import ArchiveUnavailableError
from tests.archive.places import SECOND, T0, Place, migrations_to, packet, rejection
from tests.parts.postgresql import PostgreSQL

NAMES = {
    "sqlite": "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'",
    "postgresql": "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace",
}
VIEWS = {"telemetry", "latest", "telemetry_latest"}
HEAD = ScriptDirectory(str(MIGRATIONS)).get_current_head()  # the newest revision that there is


def names(place: Place) -> set[str]:
    return {name for (name,) in place.rows(NAMES[place.engine])}


def execute(place: Place, *statements: str) -> None:
    engine = open_engine(place.url, place.password_file, create=True)
    with engine.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def test_the_migrations_lead_to_the_tables_as_they_are_declared(place: Place) -> None:
    with open_engine(place.url, place.password_file, read_only=True).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert names(place) >= {*metadata.tables, *VIEWS}


def test_migrating_again_changes_nothing_and_copies_nothing(place: Place, tmp_path: Path) -> None:
    before = names(place)
    place.migrate()
    assert names(place) == before
    assert not list(tmp_path.glob("*before-upgrade*"))


def test_a_migration_that_fails_half_way_leaves_nothing(nowhere: Place) -> None:
    execute(nowhere, "CREATE TABLE pass (somebody text)")  # the migration makes five tables before this one
    with pytest.raises(ArchiveUnavailableError, match=r"pass.*already exists"):
        nowhere.migrate()
    assert names(nowhere) == {"pass"}
    execute(nowhere, "DROP TABLE pass")
    nowhere.migrate()
    assert names(nowhere) >= VIEWS


async def test_processes_that_migrate_at_once_all_succeed(nowhere: Place) -> None:
    program = (
        "import sys; from pathlib import Path; from groundstation.archive.migrate import migrate; "
        "migrate(sys.argv[1], Path(sys.argv[2]) if sys.argv[2] else None)"
    )
    arguments = ("-c", program, nowhere.url, str(nowhere.password_file or ""))
    pipe = asyncio.subprocess.PIPE
    started = [await asyncio.create_subprocess_exec(sys.executable, *arguments, stderr=pipe) for _ in range(3)]
    ended = [(await process.communicate())[1] for process in started]
    assert [(process.returncode, said) for process, said in zip(started, ended, strict=True)] == [(0, b"")] * 3
    assert nowhere.count("alembic_version") == 1


def test_an_archive_of_a_newer_version_is_refused_in_one_line(place: Place) -> None:
    execute(place, "UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ArchiveVersionError, match=r"found an archive of revision 9999, .* expected at most") as refused:
        place.migrate()
    assert "\n" not in str(refused.value)
    assert place.rows("SELECT version_num FROM alembic_version") == [("9999",)]


UPGRADE = """
from alembic import op

revision, down_revision = "further", {head!r}


def upgrade():
    op.execute("CREATE TABLE further (name TEXT)")
    op.execute("DELETE FROM packet")
    op.execute({last!r})
"""


@pytest.fixture
def further(tmp_path: Path) -> Callable[[str], Path]:
    """Migrations with one more revision, which ends with the statement given."""

    def write(last: str) -> Path:
        folder = shutil.copytree(MIGRATIONS, tmp_path / "migrations", dirs_exist_ok=True)
        (folder / "versions" / "further.py").write_text(UPGRADE.format(head=HEAD, last=last))
        return folder

    return write


async def test_an_upgrade_that_fails_half_way_changes_nothing(place: Place, further: Callable[[str], Path]) -> None:
    async with place.writer() as writer:
        await writer.store([packet(1)], [])
    with pytest.raises(ArchiveUnavailableError, match="missing"):
        migrate(place.url, place.password_file, migrations=further("DROP TABLE missing"))
    assert place.rows("SELECT version_num FROM alembic_version") == [(HEAD,)]
    assert place.count("packet") == 1
    assert "further" not in names(place)
    migrate(place.url, place.password_file, migrations=further("DROP TABLE further"))
    assert place.rows("SELECT version_num FROM alembic_version") == [("further",)]
    assert place.count("packet") == 0
    with pytest.raises(ArchiveVersionError):
        place.migrate()


async def test_a_quarantine_of_an_older_version_is_kept_row_by_row(nowhere: Place, tmp_path: Path) -> None:
    migrate(nowhere.url, nowhere.password_file, migrations=migrations_to("0005", tmp_path))
    on_sqlite = nowhere.engine == "sqlite"
    t0, t1 = (str(us) if on_sqlite else f"timestamptz 'epoch' + {us} * interval '1 microsecond'" for us in (T0, T0 + 1))
    payload = "x'ff00'" if on_sqlite else "'\\xff00'"
    row = f"'main', {{}}, {{}}, {t0}, 'a/topic', {payload}, 2, 'frame', 'why'"
    columns = "link, arrived_at, digest, stored_at, topic, payload, payload_bytes, reason, error"
    rows = [row.format(t0, 1), row.format(t0, 2), row.format(t1, 1)]
    execute(nowhere, f"INSERT INTO quarantine ({columns}) VALUES ({'), ('.join(rows)})")
    nowhere.migrate()
    async with nowhere.writer() as writer, nowhere.reader() as reader:
        await writer.store([], [rejection(1), rejection(1, arrived_at_us=T0 + 2 * SECOND)])
        held = await reader.ask(quarantined)
    assert [(one.id, one.arrived_at_us - T0, one.last_arrived_at_us - T0, one.times) for one in held] == [
        (1, 0, 0, 1), (2, 0, 0, 1), (3, 1, 1, 1), (4, SECOND, 2 * SECOND, 2)
    ]  # fmt: skip
    assert [one.payload for one in held] == [b"\xff\0"] * 3 + [b"payload 1"]


async def test_latest_values_of_an_older_version_stay_until_newer_ones_come(nowhere: Place, tmp_path: Path) -> None:
    migrate(nowhere.url, nowhere.password_file, migrations=migrations_to("0006", tmp_path))
    at = str(T0) if nowhere.engine == "sqlite" else f"timestamptz 'epoch' + {T0} * interval '1 microsecond'"
    columns = "satellite, parameter, packet, generated_at, received_at, station, value, level"
    rows = [f"'horyu-4', '{name}', 'housekeeping', {at}, {at}, 'hko', '0.1', 'severe'" for name in ("a", "b", "c")]
    execute(nowhere, f"INSERT INTO latest ({columns}) VALUES ({'), ('.join(rows)})")
    nowhere.migrate()
    given = [
        packet(1, generated_at_us=T0 - 1, values={"a": 1, "b": 1, "c": 1, "d": 1}, whole=True),
        packet(2, generated_at_us=T0, values={"a": 2, "b": 2}),
        packet(3, generated_at_us=T0 + 1, values={"a": 3}),
    ]
    async with nowhere.writer() as writer, nowhere.reader() as reader:
        await writer.store(given, [])
        found = await reader.ask(latest, "horyu-4")
    assert [(one.parameter, one.value, one.generated_at_us - T0, one.level.name) for one in found] == [
        ("a", 3, 1, "IN_LIMITS"), ("b", 0.1, 0, "SEVERE"), ("c", 0.1, 0, "SEVERE"), ("d", 1, -1, "IN_LIMITS")
    ]  # fmt: skip
    assert nowhere.count("telemetry_latest") == 4


async def test_rights_and_views_on_the_latest_values_outlive_the_upgrade(
    postgresql: PostgreSQL, tmp_path: Path
) -> None:
    nowhere = Place(postgresql.url(postgresql.new_database()), postgresql.password_file)
    migrate(nowhere.url, nowhere.password_file, migrations=migrations_to("0006", tmp_path))
    execute(
        nowhere,
        'CREATE ROLE "grafana reads"',
        'GRANT SELECT ON ALL TABLES IN SCHEMA public TO "grafana reads"',
        "GRANT SELECT ON latest TO PUBLIC",
        "CREATE VIEW on_view AS SELECT value FROM telemetry_latest WHERE parameter = 'reboots'",
        "CREATE VIEW on_table AS SELECT value FROM latest WHERE parameter = 'reboots'",
        'GRANT SELECT ON on_view, on_table TO "grafana reads"',
    )
    nowhere.migrate()
    async with nowhere.writer() as writer:
        await writer.store([packet(5, whole=True)], [])
    with postgresql.connect(nowhere.url.rpartition("/")[2]) as connection:
        connection.execute('SET ROLE "grafana reads"')
        for view, columns in (("latest", 4), ("telemetry_latest", 4), ("on_view", 1), ("on_table", 1)):
            assert connection.execute(f"SELECT count(*) FROM {view}".encode()).fetchone() == (columns,)
        assert connection.execute("SELECT value FROM on_view").fetchone() == (5.0,)
        granted = connection.execute("SELECT relacl::text FROM pg_class WHERE relname = 'latest'").fetchone()
        assert granted is not None
        assert "{=r/" in str(granted[0]) or ",=r/" in str(granted[0])  # to everybody
        connection.execute("RESET ROLE")
        connection.execute('DROP OWNED BY "grafana reads"')
        connection.execute('DROP ROLE "grafana reads"')


@pytest.mark.parametrize("backup", [True, False])
async def test_an_existing_file_is_copied_before_its_upgrade(
    file: Place, further: Callable[[str], Path], backup: bool
) -> None:
    async with file.writer() as writer:
        await writer.store([packet(1)], [])
    migrate(file.url, backup=backup, migrations=further("DELETE FROM packet"))
    copy = Place(f"{file.url}.before-upgrade-from-{HEAD}")
    if backup:
        assert copy.count("packet") == 1
        assert copy.rows("SELECT version_num FROM alembic_version") == [(HEAD,)]
    else:
        with pytest.raises(ArchiveUnavailableError):
            copy.count("packet")


def test_what_is_no_database_is_said_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "archive.db"
    file.write_bytes(b"something else, and longer than a header of SQLite's" * 10)
    with pytest.raises(ArchiveUnavailableError, match="file is not a database"):
        Place(f"sqlite:///{file}").migrate()
    with pytest.raises(ArchiveUnavailableError, match=r"there is no directory .*missing$"):
        Place(f"sqlite:///{tmp_path}/missing/archive.db").migrate()


async def test_a_copy_holds_what_was_committed_while_the_writer_goes_on(file: Place) -> None:
    async with file.writer() as writer:
        await writer.store([packet(number) for number in range(500)], [])
        copy = await asyncio.to_thread(back_up, Path(file.url.removeprefix("sqlite:///")), "0001")
        await writer.store([packet(500)], [])
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT count(*) FROM packet").fetchone() == (500,)
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert copy.name == "archive.db.before-upgrade-from-0001"


def test_a_new_sqlite_archive_syncs_each_commit_and_can_shrink(file: Place) -> None:
    with open_engine(file.url).connect() as connection:
        found = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "auto_vacuum", "wal_autocheckpoint", "busy_timeout")
        }
    full, incremental = 2, 2
    assert found == {
        "journal_mode": "wal",
        "synchronous": full,
        "auto_vacuum": incremental,
        "wal_autocheckpoint": 1000,
        "busy_timeout": 10_000,
    }
