"""`make` on a machine that is not as one would wish."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.parts.debian import TESTS, need, needed

ROOT = Path(__file__).parents[1]
BROKEN = "#!/bin/sh\necho 'pyenv: command not found' >&2\nexit 127\n"
BARE = """\
#!/bin/sh
case "$*" in *ensurepip*) exit 1 ;; esac
exec {python} "$@"
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Return a copy of what make needs, with a PATH of its own in `bin` that has no Python yet."""
    folder = tmp_path / "checkout"
    (folder / "bin").mkdir(parents=True)
    for name in ("Makefile", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for program in ("sh", "cksum", "grep", "id", "rm", "awk"):
        found = shutil.which(program)
        assert found
        (folder / "bin" / program).symlink_to(found)
    return folder


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(need("make", "make")), "--no-print-directory", *arguments]
    return subprocess.run(
        command, cwd=folder, env={"PATH": str(folder / "bin")}, capture_output=True, text=True, check=False
    )


def add_program(folder: Path, name: str, text: str) -> None:
    path = folder / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def test_make_alone_says_what_can_be_made(checkout: Path) -> None:
    said = make(checkout)
    assert said.returncode == 0
    targets = set(re.findall(r"^make (\w+) +\S", said.stdout, re.MULTILINE))
    assert targets == {"help", "demo", "test", "lint", "format", "soak", "bench", "clean"}


def test_a_machine_without_python_is_told_so_in_one_line(checkout: Path) -> None:
    add_program(checkout, "python3", BROKEN)
    add_program(checkout, "python3.13", BROKEN)
    said = make(checkout, "demo")
    assert said.returncode != 0
    first, *rest = said.stderr.splitlines()
    assert first.startswith("no Python 3.11 or later found: install one")
    assert [line for line in rest if not line.startswith("make: ***")] == []


def test_a_python_without_venv_is_told_its_package(checkout: Path) -> None:
    add_program(checkout, "python3", BROKEN)
    add_program(checkout, "python3.12", BARE.format(python=os.path.realpath("/proc/self/exe")))
    said = make(checkout, "demo")
    assert said.returncode != 0
    assert re.match(
        r"python3\.12 lacks the modules ensurepip and venv: apt-get install python3\.\d+-venv\n", said.stderr
    )


def test_what_tests_need_is_read_from_their_calls(tmp_path: Path) -> None:
    (tmp_path / "test_one.py").write_text("def test():\n    need('a-server', 'a-package')\n")
    assert needed(tmp_path) == {"a-server": "a-package"}
    (tmp_path / "test_two.py").write_text("def test(name):\n    need(name, 'a-package')\n")
    with pytest.raises(ValueError, match=r"test_two\.py:2: need\(\) wants a literal program and package"):
        needed(tmp_path)


def test_these_tests_name_all_that_they_need() -> None:
    found = needed(TESTS)
    assert found.items() >= {"mosquitto": "mosquitto", "systemd-nspawn": "systemd-container"}.items()
    assert "its-package" not in found.values()


def test_a_missing_program_is_a_skip_with_its_remedy() -> None:
    by_another_name = need  # or make would try to install it
    with pytest.raises(pytest.skip.Exception, match=r"^needs no-such-program \(apt-get install its-package\)$"):
        by_another_name("no-such-program", "its-package")
