"""What is done to an archive by hand: it is looked over, copied, shrunk and counted, on either engine."""

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from groundstation.archive.maintenance import Checked, Maintenance
from groundstation.archive.writer import ArchiveUnavailableError
from groundstation.telemetry.definition import Definition
from tests.archive.places import SECOND, T0, Place, packet, rejection
from tests.parts.debian import need
from tests.parts.postgresql import PASSWORD

DEFINITION = Definition(slug="horyu-4", version="1", name="Horyu-4", status="in_orbit")


def of(place: Place) -> Maintenance:
    return Maintenance(place.url, place.password_file)


async def filled(place: Place, count: int = 20, *, whole: bool = False) -> None:
    async with place.writer() as writer:
        await writer.save_definitions([DEFINITION])
        given = [packet(number, definition_hash=DEFINITION.hash, whole=whole) for number in range(count)]
        await writer.store(given, [rejection(1)])


def change(place: Place, statement: str) -> None:
    with place.reader()._engine.connect() as connection:
        if place.engine == "postgresql":
            connection.exec_driver_sql("SET default_transaction_read_only = off")
            connection.commit()
            connection.exec_driver_sql(statement)
            connection.commit()
            return
    with closing(sqlite3.connect(place.url.removeprefix("sqlite:///"))) as file:
        file.execute(statement)
        file.commit()


async def test_a_good_archive_has_no_faults(place: Place) -> None:
    await filled(place)
    assert [(one.what, one.faults) for one in of(place).check()] == [
        ("shape", ()), ("pages", ()), ("definitions", ()), ("latest", ())
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "fault"),
    [
        ("UPDATE alembic_version SET version_num = '0000'", "found revision 0000, expected"),
        ("DELETE FROM definition", f"20 packets of horyu-4 have the definition {DEFINITION.hash}, which is not kept"),
        ("UPDATE latest_parameter SET generated_at = {early}", "the latest housekeeping of horyu-4 is older than"),
        ("UPDATE latest_packet SET generated_at = {early}", "the latest housekeeping of horyu-4 is older than"),
    ],
)
async def test_what_is_wrong_is_said(place: Place, damage: str, fault: str) -> None:
    await filled(place, whole="latest_packet" in damage)
    change(place, damage.format(early=T0 if place.engine == "sqlite" else "'2020-01-01T00:00Z'"))
    [wrong] = [one for one in of(place).check() if one.faults]
    assert wrong.faults[0].startswith(fault)


async def test_a_torn_page_is_found(file: Place) -> None:
    await filled(file, 2000)
    _, size = of(file).vacuum(full=True)  # now all pages are in the file and none in its journal
    tear(Path(file.url.removeprefix("sqlite:///")), size // 2)
    assert "malformed" in said_of(file) or "Rowid" in said_of(file) or "wrong" in said_of(file), said_of(file)


def tear(path: Path, at: int) -> None:
    with path.open("r+b") as raw:
        raw.seek(at)
        raw.write(os.urandom(9000))


def said_of(place: Place) -> str:
    """Return the faults; damage may lie where SQLite cannot go on, and says so as an error."""
    try:
        return str([one.faults for one in of(place).check()])
    except ArchiveUnavailableError as error:
        return str(error)


async def test_everything_is_counted(place: Place) -> None:
    await filled(place)
    stats = of(place).stats()
    assert (stats.rows["packet"], stats.rows["quarantine"], stats.rows["latest_parameter"]) == (20, 1, 4)
    [one] = stats.satellites
    assert (one.satellite, one.packets) == ("horyu-4", 20)
    assert (one.first_generated_at_us, one.last_generated_at_us) == (T0, T0 + 19 * SECOND)
    assert one.last_received_at_us == T0 + 19 * SECOND + 2
    assert stats.size_bytes > 10_000


async def test_a_backup_holds_everything_and_replaces_nothing(place: Place, tmp_path: Path) -> None:
    if place.engine == "postgresql":
        need("pg_dump", "postgresql-client")
    await filled(place)
    target = tmp_path / "backup"
    assert of(place).back_up(target) == target.stat().st_size > 1000
    with pytest.raises(FileExistsError, match="expected none"):
        of(place).back_up(target)
    assert frames_in(place, target) == 20
    assert not target.with_name("backup.partial").exists()


def frames_in(place: Place, target: Path) -> int:
    if place.engine == "sqlite":
        return Place(f"sqlite:///{target}").count("packet")
    program = str(need("pg_restore", "postgresql-client"))
    command = [program, "--data-only", "--table=packet", "--file=-", str(target)]
    restored: str = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert PASSWORD not in restored
    return restored.count("\nhoryu-4\t")


def test_a_backup_of_what_is_not_there_leaves_nothing(nowhere: Place, tmp_path: Path) -> None:
    if nowhere.engine == "postgresql":
        need("pg_dump", "postgresql-client")
    missing = Place(nowhere.url + "_missing", nowhere.password_file)
    with pytest.raises(ArchiveUnavailableError, match="missing"):
        of(missing).back_up(tmp_path / "backup")
    assert list(tmp_path.glob("backup*")) == []


@pytest.mark.parametrize("full", [True, False])
async def test_vacuum_gives_back_what_was_deleted(place: Place, full: bool) -> None:
    async with place.writer() as writer:
        await writer.store([packet(number, frame=os.urandom(3000)) for number in range(600)], [])
    change(place, "DELETE FROM packet")
    before, after = of(place).vacuum(full=full)
    assert before > 1_800_000
    if full or place.engine == "sqlite":  # a plain VACUUM of PostgreSQL keeps the space for itself
        assert after < before - 1_500_000
    assert place.count("packet") == 0


async def test_vacuum_goes_on_beside_a_writer(file: Place) -> None:
    async with file.writer() as writer:
        await writer.store([packet(number, frame=os.urandom(3000)) for number in range(600)], [])
        await writer.commit(lambda connection: connection.exec_driver_sql("DELETE FROM packet"))
        before, after = of(file).vacuum()
        await writer.store([packet(1)], [])
    assert after < before
    assert file.count("packet") == 1


def test_the_revision_is_none_where_there_is_no_archive(nowhere: Place) -> None:
    assert of(nowhere).revision() is None
    nowhere.migrate()
    assert of(nowhere).revision() == of(nowhere).stats().revision is not None


def test_what_is_checked_says_whether_it_is_good() -> None:
    assert Checked("pages", ("x",)).faults
