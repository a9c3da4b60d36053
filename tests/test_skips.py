"""The rule of .ci/run about skips, tried on a small suite of its own."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.parts.skips import main

Verdict = Callable[[str], tuple[int, str]]
PASSES = "def test_passes(): pass\n"


@pytest.fixture
def verdict(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Verdict:
    """Return what runs a suite with pytest and says what the rule makes of its report."""

    def run(suite: str) -> tuple[int, str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        (tmp_path / "test_suite.py").write_text("import pytest\n" + suite)
        report = tmp_path / "report.xml"
        quietly = ("-q", "-p", "no:cacheprovider", f"--junitxml={report}")
        bare = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        subprocess.run(
            [sys.executable, "-m", "pytest", *quietly], cwd=tmp_path, env=bare, capture_output=True, check=False
        )
        status = main(report)
        return status, capsys.readouterr().out

    return run


def test_a_suite_without_skips_is_fine(verdict: Verdict) -> None:
    status, said = verdict(PASSES)
    assert (status, said) == (0, "")


@pytest.mark.parametrize(
    "skip",
    [
        "def test_skips(): pytest.skip('needs mosquitto')",
        "@pytest.mark.skip(reason='needs mosquitto')\ndef test_skips(): pass",
        "@pytest.fixture\ndef part(): pytest.skip('needs mosquitto')\ndef test_skips(part): pass",
    ],
)
def test_a_test_that_could_have_run_fails_the_build(verdict: Verdict, skip: str) -> None:
    status, said = verdict(PASSES + skip)
    assert status == 1
    assert "SKIPPED: test_suite::test_skips: needs mosquitto\n" in said


def test_a_module_that_skips_itself_fails_the_build(verdict: Verdict, tmp_path: Path) -> None:
    (tmp_path / "test_other.py").write_text(PASSES)
    status, said = verdict("pytest.skip('not today', allow_module_level=True)")
    assert status == 1
    assert ": not today\n" in said


def test_an_expected_failure_is_no_skip(verdict: Verdict) -> None:
    status, said = verdict(PASSES + "@pytest.mark.xfail(reason='known')\ndef test_known(): assert False")
    assert (status, said) == (0, "")


def test_a_suite_that_runs_nothing_fails_the_build(verdict: Verdict) -> None:
    status, said = verdict("")
    assert (status, said) == (1, "no test ran\n")


def test_needing_root_is_forgiven_to_others_alone(verdict: Verdict) -> None:
    status, said = verdict(PASSES + "def test_skips(): pytest.skip('needs root, to boot a systemd')")
    assert status == (1 if os.geteuid() == 0 else 0)
    assert "needs root, to boot a systemd" in said
