"""Who may import whom: `orbit` and `telemetry` compute, the edges talk to the world, the rest composes."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "groundstation"

PURE = {"orbit", "telemetry"}
EDGES = {"archive", "elements", "link", "monitor", "replay"}

# What a pure module computes with. Everything else that Debian or PyPI offers might open a file or a socket.
PURE_THIRD_PARTY = {"astropy_iers_data", "msgpack", "msgspec", "numpy", "sgp4", "skyfield"}

# The standard library's ways to a clock, a file, the network, another task, a log or chance.
WORLD = {
    *("asyncio", "concurrent", "multiprocessing", "queue", "sched", "threading", "_thread"),
    *("ctypes", "importlib", "os", "platform", "runpy", "signal", "subprocess"),
    *("dbm", "fileinput", "glob", "linecache", "mmap", "pathlib", "pkgutil", "shelve", "shutil", "sqlite3", "tempfile"),
    *("bz2", "gzip", "lzma", "tarfile", "zipfile"),
    *(
        "ftplib",
        "http",
        "imaplib",
        "poplib",
        "select",
        "selectors",
        "smtplib",
        "socket",
        "socketserver",
        "ssl",
        "urllib",
    ),
    *("getpass", "locale", "logging", "random", "secrets", "syslog", "time", "uuid", "warnings"),
}

# What only computes after all. A table that an installed package brings is a constant, as Skyfield's own are.
NOT_WORLD = {"pathlib.PurePath", "pathlib.PurePosixPath", "importlib.resources"}
SYS_CONSTANTS = {"byteorder", "float_info", "intern", "maxsize"}

# What reaches the world without an import.
WORLDLY_BUILTINS = {"open", "print", "input", "breakpoint", "eval", "exec", "compile", "__import__"}
CLOCKS = {"now", "utcnow", "today"}

# The packages that know each library, one but for HTTP's: changing it touches one folder.
KNOWN_TO = {
    "orbit": {"skyfield", "sgp4"},
    "link": {"aiomqtt", "iotcore", "mqtt5", "paho"},
    "archive": {"alembic", "psycopg", "sqlalchemy", "sqlite3"},
    "elements": {"aiohttp"},
    "monitor": {"aiohttp", "prometheus_client"},
}

HIDES_A_NOUN = {"base", "common", "helpers", "manager", "models", "types", "utils"}


def modules() -> Iterator[tuple[str, str]]:
    """Yield each module's dotted name and source."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        yield name, path.read_text(encoding="utf-8")


def violations(module: str, source: str, *, is_package: bool = False) -> list[str]:
    """Return each rule that `module` breaks, with the line that breaks it."""
    tree = ast.parse(source)
    found = [f"{module}: the name {part!r} hides a noun" for part in module.split(".") if part in HIDES_A_NOUN]
    layer = layer_of(module)
    for line, target in imports(module, tree, is_package=is_package):
        why = why_not_import(layer, target)
        if why:
            found.append(f"{module}:{line}: imports {target}, but {why}")
    if layer in PURE:
        found += [f"{module}:{line}: uses {name}, but {layer} is pure" for line, name in worldly_names(tree)]
    return found


def layer_of(module: str) -> str:
    """Return the package that `module` belongs to; "" for the package's own `__init__`."""
    return module.partition(".")[2].partition(".")[0]


def imports(module: str, tree: ast.Module, *, is_package: bool) -> Iterator[tuple[int, str]]:
    """Yield line and absolute name of everything imported, inside functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = module.split(".")
            up = parents[: len(parents) - node.level + is_package] if node.level else []
            origin = ".".join([*up, *([node.module] if node.module else [])])
            # `from groundstation import link` imports a package by its name alone.
            split = origin in {"groundstation", "pathlib"}
            names = [f"{origin}.{alias.name}" for alias in node.names] if split else [origin]
            yield from ((node.lineno, name) for name in names)


def why_not_import(layer: str, target: str) -> str | None:
    """Return why a module of `layer` (daemon, cli and the like are their own) may not import `target`."""
    top, _, rest = target.partition(".")
    if top == "groundstation":
        return why_not_ours(layer, rest.split(".")[0])
    if layer in PURE and top in WORLD and target not in NOT_WORLD:
        return f"{layer} is pure"
    if layer in PURE and top not in PURE_THIRD_PARTY and top not in sys.stdlib_module_names:
        return f"{layer} computes with {', '.join(sorted(PURE_THIRD_PARTY))} alone"
    keepers = [package for package, known in KNOWN_TO.items() if top in known]
    return f"only {' and '.join(keepers)} knows {top}" if keepers and layer not in keepers else None


def why_not_ours(layer: str, part: str) -> str | None:
    if part == "commands" and layer not in {"cli", "commands"}:
        return "only cli imports commands"
    may_import = PURE | {layer} if layer in EDGES else {layer}
    if layer not in PURE | EDGES or part in may_import or part in {"", "__version__"}:
        return None
    return f"{layer} may import {' and '.join(sorted(may_import))} alone"


def worldly_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield line and name of what reaches the world without a telling import."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) if name in WORLDLY_BUILTINS:
                yield node.lineno, name
            case ast.Attribute(attr=name) if name in CLOCKS:
                yield node.lineno, name
            case ast.Attribute(value=ast.Name(id="sys"), attr=name) if name not in SYS_CONSTANTS:
                yield node.lineno, f"sys.{name}"


def test_every_import_keeps_to_its_layer() -> None:
    found = [line for module, source in modules() for line in violations(module, source, is_package=is_package(module))]
    assert not found, "\n".join(found)


def is_package(module: str) -> bool:
    return (PACKAGE.parent / Path(*module.split("."))).is_dir()


def test_the_walk_sees_every_layer() -> None:
    layers = {layer_of(module) for module, _ in modules()}
    assert layers >= PURE | EDGES


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("groundstation.orbit.passes", "import time", "imports time, but orbit is pure"),
        ("groundstation.orbit.passes", "from asyncio import sleep", "imports asyncio, but orbit is pure"),
        ("groundstation.orbit.passes", "def f():\n    import logging", ":2: imports logging, but orbit is pure"),
        ("groundstation.orbit.passes", "from pathlib import Path", "imports pathlib.Path, but orbit is pure"),
        ("groundstation.orbit.passes", "import requests", "imports requests, but orbit computes with"),
        ("groundstation.orbit.passes", "open('x')", "uses open, but orbit is pure"),
        ("groundstation.orbit.passes", "import sys\nsys.argv", ":2: uses sys.argv, but orbit is pure"),
        ("groundstation.telemetry.decode", "clock = datetime.now", "uses now, but telemetry is pure"),
        ("groundstation.telemetry.decode", "datetime.now(UTC)", "uses now, but telemetry is pure"),
        (
            "groundstation.telemetry.decode",
            "from groundstation.orbit import passes",
            "telemetry may import telemetry alone",
        ),
        ("groundstation.telemetry.decode", "from ..orbit.passes import Pass", "imports groundstation.orbit.passes"),
        ("groundstation.telemetry", "from ..link import mqtt", "imports groundstation.link"),
        (
            "groundstation.link.mqtt",
            "import groundstation.archive.tables",
            "link may import link and orbit and telemetry",
        ),
        ("groundstation.link.mqtt", "from groundstation import daemon", "imports groundstation.daemon"),
        ("groundstation.monitor.http", "from .. import archive", "imports groundstation.archive"),
        ("groundstation.monitor.http", "import skyfield.api", "only orbit knows skyfield"),
        ("groundstation.orbit.passes", "import sqlite3", "orbit is pure"),
        ("groundstation.daemon", "from paho.mqtt import client", "only link knows paho"),
        ("groundstation.commands.demo", "import iotcore", "only link knows iotcore"),
        ("groundstation.replay.player", "import sqlalchemy as sa", "only archive knows sqlalchemy"),
        ("groundstation.cli", "import prometheus_client", "only monitor knows prometheus_client"),
        ("groundstation.supply", "import aiohttp", "only elements and monitor knows aiohttp"),
        ("groundstation.elements.http", "from groundstation.archive import writer", "elements may import elements and"),
        ("groundstation.daemon", "from groundstation.commands.outcome import warn", "only cli imports commands"),
        ("groundstation.monitor.http", "from groundstation import commands", "only cli imports commands"),
        ("groundstation.link.utils", "", "the name 'utils' hides a noun"),
    ],
)
def test_a_broken_rule_is_seen(module: str, source: str, complaint: str) -> None:
    found = violations(module, source, is_package=module.count(".") == 1 and module.endswith("telemetry"))
    assert len(found) == 1
    assert complaint in found[0]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        (
            "groundstation.orbit.passes",
            "import math, numpy as np\nfrom skyfield.api import wgs84\nfrom . import elements",
        ),
        ("groundstation.orbit.passes", "from datetime import UTC, datetime\nfrom groundstation.orbit.site import Site"),
        (
            "groundstation.link.mqtt",
            "import aiomqtt, asyncio, logging\nfrom groundstation.telemetry.packet import Message",
        ),
        (
            "groundstation.archive.writer",
            "import sqlite3\nfrom groundstation import __version__\nfrom .tables import packet",
        ),
        ("groundstation.daemon", "import asyncio, time\nfrom groundstation.archive.writer import Writer"),
        ("groundstation.commands.run", "from groundstation.daemon import Daemon\nfrom .outcome import report_failures"),
        ("groundstation.cli", "from groundstation.commands.outcome import UsageError"),
        ("groundstation.elements.http", "import aiohttp\nfrom groundstation.orbit.elements import Elements"),
    ],
)
def test_an_allowed_import_is_not_complained_of(module: str, source: str) -> None:
    assert violations(module, source) == []
