"""Health as JSON: what `/api/status` answers and what a script may rely on.

Names are those of `Health`; a moment `x_us` becomes `x`, an ISO text in UTC with microseconds, or null.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from groundstation.monitor.health import Health, LinkHealth, SatelliteHealth
from groundstation.telemetry.moments import moment_of


def status(health: Health, missing: Sequence[str] = ()) -> dict[str, Any]:
    """Return the state as plain dicts, lists and numbers; `missing` is what the daemon still waits for."""
    shown = plain(health)
    shown["ready"] = not missing
    shown["missing"] = list(missing)
    shown["healthy"] = not health.problems()
    shown["problems"] = health.problems()
    shown["links"] = [plain(link) | {"imbalance": link.imbalance()} for link in health.links]
    shown["satellites"] = [satellite(one) for one in health.satellites]
    shown["conservation"] = conservation(health.links)
    return shown


def conservation(links: Sequence[LinkHealth]) -> dict[str, int | bool]:
    """Return the equation's terms summed over all links; it holds only if it holds for each."""
    terms = ("received", "stored", "duplicate", "quarantined", "in_flight")
    sums: dict[str, int | bool] = {term: sum(getattr(link, term) for link in links) for term in terms}
    return sums | {"holds": not any(link.imbalance() for link in links)}


def satellite(one: SatelliteHealth) -> dict[str, Any]:
    """Return one satellite; its counts by station, packet and kind become rows, for JSON has no such keys."""
    rows = [
        {"station": station, "packet": packet, "kind": kind, "count": count}
        for (station, packet, kind), count in sorted(one.stored.items())
    ]
    return plain(dataclasses.replace(one, stored={})) | {"stored": rows}


def plain(value: Any) -> dict[str, Any]:
    """Return a dataclass as a dict that JSON can hold."""
    shown: dict[str, Any] = {}
    for field in dataclasses.fields(value):
        found = getattr(value, field.name)
        if field.name.endswith("_us"):
            shown[field.name.removesuffix("_us")] = None if found is None else iso(found)
        elif dataclasses.is_dataclass(found):
            shown[field.name] = plain(found)
        elif isinstance(found, tuple):
            shown[field.name] = [plain(one) for one in found]
        elif isinstance(found, Mapping):
            shown[field.name] = dict(found)
        else:
            shown[field.name] = found
    return shown


def iso(moment_us: int) -> str:
    return moment_of(moment_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
