"""`python -m tests.parts.skips REPORT.xml`: fail where a test was skipped that could have run.

A skip is meant for the machine of somebody who cannot install a part. Where everything can be installed, a skip hides a
test, so each one is printed with its reason and only those are forgiven that the machine truly cannot do.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET


@dataclass(frozen=True, slots=True)
class Skip:
    test: str
    reason: str


def is_not_root() -> bool:
    return os.geteuid() != 0


def refuses_containers() -> bool:
    """Ask the kernel, without the code under test, for what a container is made of."""
    mounts = (
        "mount -t proc proc /proc && mount -t tmpfs tmpfs /mnt && mkdir /mnt/group && mount -t cgroup2 none /mnt/group"
    )
    namespaces = ("--mount", "--uts", "--ipc", "--net", "--pid", "--fork")
    asked = subprocess.run(["unshare", *namespaces, "sh", "-c", mounts], capture_output=True, check=False)
    return asked.returncode != 0


# A reason (from its beginning) and the check that it is true here.
FORGIVEN: dict[str, Callable[[], bool]] = {
    r"needs root\b": is_not_root,
    r"this kernel refuses a container\b": refuses_containers,
}


def skips(report: Path) -> list[Skip]:
    """Return each skipped test of a JUnit report; an expected failure is none, since it ran."""
    found = []
    for case in ET.parse(report).iter("testcase"):
        for skipped in case.iter("skipped"):
            if skipped.get("type") != "pytest.xfail":
                test = f"{case.get('classname')}::{case.get('name')}"
                found.append(Skip(test, said(skipped)))
    return found


def said(skipped: ET.Element) -> str:
    """Return the reason alone: a module that skips itself has it in the text, behind "Skipped: "."""
    message = skipped.get("message", "")
    within = re.search(r"Skipped: (.*?)'?\)?$", skipped.text or "", re.DOTALL)
    return within[1] if message == "collection skipped" and within else message


def is_forgiven(skip: Skip) -> bool:
    return any(re.match(reason, skip.reason) and is_true() for reason, is_true in FORGIVEN.items())


def main(report: Path) -> int:
    """Print every skip and return 1 where one of them could have run, or where no test ran at all."""
    skipped = skips(report)
    unforgiven = [skip for skip in skipped if not is_forgiven(skip)]
    for skip in skipped:
        print(f"{'SKIPPED' if skip in unforgiven else 'cannot run here'}: {skip.test}: {skip.reason}")
    if len(list(ET.parse(report).iter("testcase"))) == len(skipped):
        print("no test ran")
        return 1
    if unforgiven:
        print(f"{len(unforgiven)} tests were skipped that this machine can run")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
