"""Watches a folder of element files by looking: no library is needed, and network file systems tell nobody anything."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

Signature = tuple[int, int, int]  # size, time of change in ns, inode: a file put in the place of another differs


@dataclass(frozen=True, slots=True)
class Changed:
    """A file that was written and then left alone: its text, or why it cannot be read."""

    path: Path
    text: str | None
    fault: str = ""


class Folder:
    """The files of a directory with one of the `suffixes`, lower case; each is told of once a change."""

    def __init__(self, directory: Path, suffixes: Collection[str]) -> None:
        self.directory = directory
        self._suffixes = suffixes
        self._seen: Mapping[Path, Signature] = {}  # as the last look had them
        self._told: dict[Path, Signature] = {}

    def changed(self) -> list[Changed]:
        """Return the files that are new or different and have not changed since the last call.

        A file that is being written differs from look to look, so it is told of one look after the last byte. One
        that changes while it is read is left for the next look.
        """
        before, self._seen = self._seen, self._look()
        found = []
        for path, signature in sorted(self._seen.items()):
            if before.get(path) != signature or self._told.get(path) == signature:
                continue
            one = read(path)
            if signature_of(path) == signature:
                self._told[path] = signature
                found.append(one)
        for gone in self._told.keys() - self._seen.keys():
            del self._told[gone]
        return found

    @property
    def unsettled(self) -> bool:
        """Whether the last call saw a file that it has not told of, since it may still be written."""
        return any(self._told.get(path) != signature for path, signature in self._seen.items())

    def _look(self) -> dict[Path, Signature]:
        try:
            paths = [path for path in self.directory.iterdir() if path.suffix.lower() in self._suffixes]
        except OSError:  # taken away, for a moment or for good: what served goes on serving
            return {}
        found = ((path, signature_of(path)) for path in paths)
        return {path: signature for path, signature in found if signature is not None}


def signature_of(path: Path) -> Signature | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns, status.st_ino


def read(path: Path) -> Changed:
    try:
        return Changed(path, path.read_text(encoding="utf-8"))
    except OSError as error:
        return Changed(path, None, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return Changed(path, None, f"cannot be read: {error}")
