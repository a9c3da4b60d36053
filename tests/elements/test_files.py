"""A changed file is told of once, whole, after its last byte."""

import os
from pathlib import Path

import pytest

from groundstation.elements.files import Folder


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path, {".tle", ".json"})


def texts(folder: Folder) -> list[str | None]:
    return [one.text for one in folder.changed()]


def test_a_file_is_told_of_at_the_second_look_and_then_no_more(folder: Folder) -> None:
    (folder.directory / "a.tle").write_text("one")
    assert [texts(folder) for _ in range(4)] == [[], ["one"], [], []]


def test_a_folder_is_unsettled_until_what_is_new_was_told_of(folder: Folder) -> None:
    path = folder.directory / "a.tle"
    assert (texts(folder), folder.unsettled) == ([], False)
    path.write_text("one")
    assert (texts(folder), folder.unsettled) == ([], True)
    path.write_text("one and two")
    assert (texts(folder), folder.unsettled) == ([], True)
    assert (texts(folder), folder.unsettled) == (["one and two"], False)
    path.unlink()
    assert (texts(folder), folder.unsettled) == ([], False)


def test_a_file_that_is_being_written_is_not_read_before_it_is_whole(folder: Folder) -> None:
    with (folder.directory / "a.tle").open("w") as file:
        for part in ("one\n", "two\n", "three\n"):
            file.write(part)
            file.flush()
            assert texts(folder) == []
    assert [texts(folder), texts(folder)] == [["one\ntwo\nthree\n"], []]


def test_a_change_is_told_of_also_where_size_and_time_stay(folder: Folder) -> None:
    path = folder.directory / "a.tle"
    path.write_text("one")
    folder.changed()
    assert texts(folder) == ["one"]
    stamp = path.stat().st_mtime_ns
    other = folder.directory / "new"
    other.write_text("two")
    os.utime(other, ns=(stamp, stamp))
    other.replace(path)  # another inode
    assert [texts(folder), texts(folder)] == [[], ["two"]]


def test_a_file_that_comes_back_is_told_of_again(folder: Folder) -> None:
    path = folder.directory / "a.json"
    path.write_text("one")
    assert [texts(folder), texts(folder)] == [[], ["one"]]
    path.unlink()
    assert texts(folder) == []
    path.write_text("one")
    assert [texts(folder), texts(folder)] == [[], ["one"]]


def test_other_files_and_a_folder_that_is_taken_away_are_nothing(folder: Folder, tmp_path: Path) -> None:
    (tmp_path / "a.tle.swp").write_text("x")
    (tmp_path / "README.md").write_text("x")
    assert [texts(folder), texts(folder)] == [[], []]
    gone = Folder(tmp_path / "none", {".tle"})
    assert [texts(gone), texts(gone)] == [[], []]


def test_what_is_no_text_is_told_of_with_its_fault(folder: Folder) -> None:
    (folder.directory / "a.tle").write_bytes(b"\xff\xfe")
    (folder.directory / "b.tle").mkdir()
    folder.changed()
    binary, directory = folder.changed()
    assert (binary.text, directory.text) == (None, None)
    assert binary.fault.startswith("cannot be read: 'utf-8' codec")
    assert directory.fault == "cannot be read: Is a directory"
