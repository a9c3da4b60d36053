"""A real systemd to try units under: it boots in under a second, is driven from outside, and leaves nothing behind."""

import os
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parts.debian import need

BOX = Path(__file__).with_name("systemd_box.sh")
BOOT_S = 60.0
LIFE_S = 300  # a box that nobody ends, because its test was killed, ends itself
NAMESPACES = ("--mount", "--uts", "--ipc", "--net", "--pid")
# The test's own environment (a virtual environment, credentials) has no business inside.
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}


class BoxError(RuntimeError):
    """A command inside failed, or something there did not come about in time."""


@dataclass(frozen=True, slots=True)
class Box:
    folder: Path  # /box inside
    leader: int  # its systemd, as this machine numbers it

    def attempt(self, *command: str, timeout_s: float = 60) -> subprocess.CompletedProcess[str]:
        """Run `command` inside as root and return how it ended."""
        inside = ["nsenter", f"--target={self.leader}", *NAMESPACES, "--", *command]
        return subprocess.run(
            inside,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def run(self, *command: str, timeout_s: float = 60) -> str:
        """Return what `command` printed; raise BoxError where it failed."""
        done = self.attempt(*command, timeout_s=timeout_s)
        if done.returncode:
            raise BoxError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    def properties(self, unit: str) -> dict[str, str]:
        """Return all that systemd says of `unit`: ActiveState, MainPID, NRestarts, Result, StatusText, ..."""
        shown = self.run("systemctl", "show", unit)
        return dict(line.split("=", 1) for line in shown.splitlines() if "=" in line)

    def await_properties(self, unit: str, within_s: float = 30, **wanted: str) -> dict[str, str]:
        """Return the unit's properties once each of `wanted` is what it should be."""
        deadline = time.monotonic() + within_s
        while True:
            found = self.properties(unit)
            if wanted.items() <= found.items():
                return found
            if time.monotonic() > deadline:
                seen = {name: found.get(name) for name in wanted}
                raise BoxError(f"{unit} is {seen}, should be {wanted} after {within_s} s:\n{self.journal(unit)}")
            time.sleep(0.1)

    def journal(self, unit: str, *options: str) -> str:
        """Return the unit's log: what it printed and what systemd said of it."""
        return self.run("journalctl", "--no-pager", "--quiet", "--output=short-precise", f"--unit={unit}", *options)


@contextmanager
def boot(folder: Path, binds: Mapping[Path, str] | None = None) -> Iterator[Box]:
    """Yield a running systemd with `folder` as /box and `binds` (outside: inside) read-only, or skip the test."""
    need("systemd-nspawn", "systemd-container")
    write_binds(folder, binds or {})
    refusal = why_refused(folder)
    if refusal is not None:
        pytest.skip(refusal)
    with (folder / "console.txt").open("wb") as console:
        # basic.target, because the machine's own enabled services shall not start inside.
        arguments = ["--boot", "systemd.unit=basic.target"]
        outside = subprocess.Popen(enter(folder, LIFE_S, *arguments), stdout=console, stderr=console)
    try:
        box = Box(folder, await_leader(outside, folder))
        await_boot(box)
        yield box
    finally:
        leader = find_leader(outside.pid)
        if leader is not None:
            os.kill(leader, 9)  # a namespace dies with its PID 1
        outside.wait(30)


def why_refused(folder: Path) -> str | None:
    """Return why this machine runs no container for us, by trying one that does nothing; None where it does."""
    if os.geteuid() != 0:
        return "needs root, to boot a systemd in a container"
    tried = subprocess.run(enter(folder, 20, "/bin/true"), capture_output=True, text=True, check=False)
    if tried.returncode == 0:
        return None
    said = (tried.stderr + tried.stdout).strip().splitlines() or [f"exit status {tried.returncode}"]
    return f"this kernel refuses a container: {said[-1]}"


def write_binds(folder: Path, binds: Mapping[Path, str]) -> None:
    lines = [f"{outside}:{inside}\n" for outside, inside in binds.items()]
    (folder / "binds").write_text("".join(lines), encoding="utf-8")


def enter(folder: Path, seconds: int, *command: str) -> list[str]:
    return ["unshare", "--mount", "bash", str(BOX), str(folder), str(seconds), *command]


def find_leader(outside: int) -> int | None:
    """Return the process below `outside` that has become systemd."""
    below = [outside]
    while below:
        process = below.pop()
        try:
            if Path(f"/proc/{process}/comm").read_text() == "systemd\n":
                return process
            children = Path(f"/proc/{process}/task/{process}/children").read_text()
        except OSError:
            continue  # it ended while we looked
        below += map(int, children.split())
    return None


def await_leader(outside: subprocess.Popen[bytes], folder: Path) -> int:
    deadline = time.monotonic() + BOOT_S
    while outside.poll() is None and time.monotonic() < deadline:
        leader = find_leader(outside.pid)
        if leader is not None:
            return leader
        time.sleep(0.02)
    raise BoxError(f"the box did not start:\n{(folder / 'console.txt').read_text()}")


def await_boot(box: Box) -> None:
    """Return once systemd inside has nothing more to start."""
    deadline = time.monotonic() + BOOT_S
    state = ""
    while time.monotonic() < deadline:
        state = box.attempt("systemctl", "is-system-running").stdout.strip()
        if state in {"running", "degraded"}:
            return
        time.sleep(0.05)
    raise BoxError(f"the box is {state or 'silent'} after {BOOT_S} s:\n{(box.folder / 'console.txt').read_text()}")
