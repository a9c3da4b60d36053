"""An archive to test on, whichever engine keeps it, and packets to put into it."""

import hashlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from groundstation.archive.migrate import MIGRATIONS, migrate
from groundstation.archive.queries import Reader
from groundstation.archive.writer import Writer
from groundstation.telemetry.packet import Level, Packet, Reason, Rejection

T0 = 1_790_000_000_000_000  # in September 2026
SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where an archive is or will be."""

    url: str
    password_file: Path | None = None

    @property
    def engine(self) -> str:
        return self.url.partition(":")[0]

    def migrate(self) -> None:
        migrate(self.url, self.password_file)

    def writer(self, *, rolls_up: bool = False) -> Writer:
        return Writer(self.url, self.password_file, rolls_up=rolls_up)

    def reader(self) -> Reader:
        return Reader(self.url, self.password_file)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        found = self.reader().ask_now(lambda connection: connection.exec_driver_sql(sql).all())
        return [tuple(row) for row in found]

    def count(self, table: str) -> int:
        return int(self.rows(f"SELECT count(*) FROM {table}")[0][0])


def migrations_to(last: str, folder: Path) -> Path:
    """Return a copy of the migrations that ends with the revision `last`, as an older version has them."""
    old = shutil.copytree(MIGRATIONS, folder / "migrations")
    for one in old.glob("versions/[0-9]*.py"):
        if one.name[:4] > last:
            one.unlink()
    return old


def packet(number: int = 0, **changes: Any) -> Packet:
    """Return housekeeping packet `number`, one a second; the frame, and so the digest, follow the number."""
    frame = f"frame {number}".encode()
    plain = Packet(
        link="main",
        satellite="horyu-4",
        station="hko",
        packet="housekeeping",
        kind="realtime",
        sequence=number,
        generated_at_us=T0 + number * SECOND,
        received_at_us=T0 + number * SECOND + 2,
        digest=int.from_bytes(hashlib.blake2b(frame, digest_size=8).digest(), "big", signed=True),
        definition_hash="0123456789abcdef",
        frame=frame,
        values={"battery_v": 7.25 + number, "mode": "SAFE", "heater_on": True, "reboots": number},
        levels={"battery_v": Level.WARNING},
        reception={"rssi_dbm": -101.5},
    )
    return replace(plain, **changes)


def rejection(number: int = 0, **changes: Any) -> Rejection:
    plain = Rejection(
        link="main",
        topic="gs/v1/hko/horyu-4/telemetry",
        payload=f"payload {number}".encode(),
        arrived_at_us=T0 + number * SECOND,
        reason=Reason.FRAME,
        error="frame is a list, expected a map",
    )
    return replace(plain, **changes)
