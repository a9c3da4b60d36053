"""A private PostgreSQL server on a free loopback port, with a password; it can be stopped, killed and started again."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.parts.debian import need

PASSWORD = "correct horse / battery: staple@%"  # of signs that a URL would have to escape
START_S = 30.0


def unprivileged() -> dict[str, Any]:
    """Return Popen's arguments for a user that PostgreSQL agrees to run as; it refuses root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    pytest.skip("needs a user other than root for PostgreSQL")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@dataclass
class PostgreSQL:
    """One cluster in a folder of its own. `settings` are lines of postgresql.conf."""

    folder: Path
    settings: tuple[str, ...] = ()
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None
    names: Iterator[int] = field(default_factory=count)

    @property
    def password_file(self) -> Path:
        return self.folder / "password"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://operator@127.0.0.1:{self.port}/{database}"

    def create(self) -> None:
        initdb = need("initdb", "postgresql")
        who = unprivileged()
        if who:
            os.chown(self.folder, who["user"], who["group"])
        self.password_file.write_text(PASSWORD + "\n")
        self.password_file.chmod(0o644)  # initdb reads it as the other user
        subprocess.run(
            [initdb, "-D", self.folder / "data", "-U", "operator", f"--pwfile={self.password_file}", "-N",
             "--auth=scram-sha-256", "-E", "UTF8", "--locale=C"],
            check=True, capture_output=True, cwd=self.folder, **who,
        )  # fmt: skip
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write("\n".join(self.settings) + "\n")

    def start(self) -> None:
        """Start the server and return once it answers."""
        log = (self.folder / "log").open("ab")
        self.process = subprocess.Popen(
            [need("postgres", "postgresql"), "-D", self.folder / "data", "-p", str(self.port),
             "-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"],
            stdout=log, stderr=log, cwd=self.folder, **unprivileged(),
        )  # fmt: skip
        log.close()
        deadline = time.monotonic() + START_S
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.05)
            else:
                return

    def stop(self, how: int = signal.SIGINT) -> None:
        """Stop the server: SIGINT ends every session at once, SIGQUIT is a crash."""
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(timeout=START_S)
            self.process = None

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[Any, ...]]:
        return psycopg.connect(
            host="127.0.0.1", port=self.port, user="operator", password=PASSWORD, dbname=database, autocommit=True
        )

    def new_database(self) -> str:
        """Return the name of a database that did not exist before."""
        name = f"archive_{next(self.names)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name


def running(*settings: str) -> Iterator[PostgreSQL]:
    """Yield a running server; its folder goes with it."""
    folder = Path(tempfile.mkdtemp(prefix="groundstation-pg-"))
    server = PostgreSQL(folder, settings)
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A server for the whole session. Without fsync: its process is killed in tests, the machine is not."""
    yield from running("fsync = off", "shared_buffers = 32MB", "max_wal_size = 256MB")
