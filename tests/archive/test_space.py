"""The archive's size can be told at any moment."""

import threading
from pathlib import Path

from groundstation.archive.space import space_of_file


def test_a_journal_that_comes_and_goes_troubles_nobody(tmp_path: Path) -> None:
    archive, journal = tmp_path / "archive.db", tmp_path / "archive.db-wal"
    archive.write_bytes(bytes(100))
    enough = threading.Event()

    def come_and_go() -> None:
        while not enough.is_set():
            journal.write_bytes(bytes(10))
            journal.unlink()

    coming = threading.Thread(target=come_and_go)
    coming.start()
    try:
        sizes = {space_of_file(archive)[0] for _ in range(5000)}
    finally:
        enough.set()
        coming.join()
    assert sizes <= {100, 110}
