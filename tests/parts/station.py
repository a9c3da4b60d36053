"""A station whose health changes as time goes by, for what renders health: two links, two satellites, two passes."""

import dataclasses
import time
from collections.abc import Collection
from dataclasses import dataclass, field

from groundstation.calendar_text import calendar_text
from groundstation.monitor.health import (
    ArchiveHealth,
    ContactHealth,
    ElementsHealth,
    ElementSourceHealth,
    Health,
    LinkHealth,
    PassHealth,
    PlanHealth,
    SatelliteHealth,
    StationHealth,
)
from groundstation.monitor.http import CalendarError

DAY_US = 86_400_000_000
REASONS = ("refused", "lost", "taken_over")


def now_us() -> int:
    return time.time_ns() // 1000


@dataclass(slots=True)
class Station:
    """Twenty messages a second on the link `antenna`; one of ten is a duplicate, one of twenty is not decodable."""

    started_at_us: int = field(default_factory=now_us)
    changes: dict[str, object] = field(default_factory=dict)  # fields of Health to replace

    def health(self) -> Health:
        return dataclasses.replace(health_at(now_us(), self.started_at_us), **self.changes)  # type: ignore[arg-type]

    async def calendar(self, stations: Collection[str], satellites: Collection[str]) -> str:
        """Return one event that names what was asked for; only the station hko is known."""
        if unknown := set(stations) - {"hko"}:
            raise CalendarError(404, f"station: found {', '.join(unknown)}, expected hko")
        event = ("BEGIN:VEVENT", f"SUMMARY:{[*stations]} {[*satellites]}", "END:VEVENT")
        return calendar_text(["BEGIN:VCALENDAR", *event, "END:VCALENDAR"])


def health_at(now: int, started: int) -> Health:
    received = (now - started) // 50_000
    in_flight = received % 3 if received > 3 else 0
    duplicate, quarantined = received // 10, received // 20
    stored = received - duplicate - quarantined - in_flight
    return Health(
        now_us=now,
        started_at_us=started,
        version="1.2.3",
        links=(antenna(now, received, stored, duplicate, quarantined, in_flight), LinkHealth("backup", up=False)),
        satellites=satellites(now, stored, duplicate),
        rejected={"frame": quarantined},
        inbox_messages=in_flight,
        inbox_capacity=5000,
        archive=ArchiveHealth(
            up=True,
            last_commit_at_us=now - 20_000,
            writes=received,
            write_seconds=received * 0.004,
            size_bytes=4_000_000 + stored * 500,
            free_bytes=20_000_000_000,
            rolled_up_at_us=now - 12_000_000,
            forgot_at_us=now - 900_000_000,
        ),
        passes=passes(started, stored),
        elements=(
            ElementsHealth("hk-one", now - DAY_US // 2, "celestrak", since_us=now - DAY_US // 3, shift_s=-2.25),
            ElementsHealth("hk-two", now - 5 * DAY_US, "files", since_us=now - 4 * DAY_US),
        ),
        element_sources=(
            ElementSourceHealth("files", errors={"malformed": 1}),
            ElementSourceHealth("celestrak", succeeded_at_us=now - DAY_US // 3, errors={"timeout": 2, "forbidden": 0}),
        ),
        tasks={"receive antenna": 0.4, "record": 0.2, "predict": 12.0},
        loop_lag_s=0.0012,
        contacts=contacts(started),
        plans=(PlanHealth("hko", planned=6, committed=1, skipped={"low": 4, "conflict": 2}),),
        stations=(
            StationHealth("hko", online=True, last_seen_at_us=now - 40_000, clock_synchronised=True, software="rig 2"),
            StationHealth("new"),
        ),
    )


def antenna(now: int, received: int, stored: int, duplicate: int, quarantined: int, in_flight: int) -> LinkHealth:
    return LinkHealth(
        "antenna",
        up=True,
        received=received,
        stored=stored,
        duplicate=duplicate,
        quarantined=quarantined,
        in_flight=in_flight,
        unprotected=received // 4,
        connects=1 + received // 200,
        disconnects=dict.fromkeys(REASONS, 0) | {"lost": received // 200},
        failures=dict.fromkeys(REASONS, 0) | {"refused": received // 500},
        received_bytes=received * 202,
        last_message_at_us=now - 30_000,
    )


def satellites(now: int, stored: int, duplicate: int) -> tuple[SatelliteHealth, ...]:
    heard = SatelliteHealth(
        "hk-one",
        stored={("hko", "eps", "realtime"): stored, ("hko", "eps", "dump"): 0},
        duplicates={"hko": duplicate},
        last_generated_at_us=now - 1_200_000,
        last_received_at_us=now - 40_000,
        out_of_limits={"warning": 1 + stored % 2, "critical": 1},
        missing=3,
        late=2,
        resets=1,
        unknown=stored // 10,
        elements_refused={"implausible_jump": 1, "older": 4},
    )
    silent = SatelliteHealth(
        "hk-two", stored={("hko", "eps", "realtime"): 0, ("hko", "eps", "dump"): 0}, duplicates={"hko": 0}
    )
    return heard, silent


def passes(started: int, stored: int) -> tuple[PassHealth, ...]:
    active = PassHealth("hk-one", "hko", True, started - 60_000_000, started + 480_000_000, 63.4, stored, 1.4)
    later = PassHealth(
        "hk-two", "hko", False, started + 2_400_000_000, started + 2_900_000_000, 17.9, aos_uncertainty_s=2240.5
    )
    return active, later


def contacts(started: int) -> tuple[ContactHealth, ...]:
    active = ContactHealth("hk-one", "hko", True, True, started - 60_000_000, started + 480_000_000, 63.4)
    later = ContactHealth("hk-two", "hko", False, False, started + 2_400_000_000, started + 2_900_000_000, 17.9)
    return active, later
