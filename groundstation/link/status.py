"""What a station says of itself on `<prefix>/<station>/status`: one JSON map, retained, with a will that says offline.

    {"state": "online" | "offline", "at": <seconds since 1970>, "clock_synchronised": true, "software": "…"}

Only "state" is required. JSON and not msgpack, so that `mosquitto_sub` shows it as it is.
"""

import json
from dataclasses import dataclass
from typing import Any

PAYLOAD_MOST = 4096  # bytes
TEXT_MOST = 100  # characters


class StationStatusError(ValueError):
    """A payload that is no station status."""


@dataclass(frozen=True, slots=True)
class StationStatus:
    online: bool
    at_us: int | None = None  # by the station's clock
    clock_synchronised: bool | None = None  # None where it does not say
    software: str = ""


def pack_status(status: StationStatus) -> bytes:
    """Return the payload that `read_status` reads."""
    content: dict[str, Any] = {"state": "online" if status.online else "offline"}
    if status.at_us is not None:
        content["at"] = status.at_us / 1e6
    if status.clock_synchronised is not None:
        content["clock_synchronised"] = status.clock_synchronised
    if status.software:
        content["software"] = status.software
    return json.dumps(content).encode()


def read_status(payload: bytes) -> StationStatus:
    """Return what a payload says, whatever else is in it; raises StationStatusError."""
    if len(payload) > PAYLOAD_MOST:
        raise StationStatusError(f"found {len(payload)} bytes, expected at most {PAYLOAD_MOST}")
    try:
        content = json.loads(payload)
    except (ValueError, RecursionError):
        raise StationStatusError("found something else, expected a JSON map") from None
    state = content.get("state") if isinstance(content, dict) else None
    if not isinstance(state, str) or state not in {"online", "offline"}:
        raise StationStatusError(f'state: found {str(state)[:40]!r}, expected "online" or "offline"')
    at, synchronised, software = content.get("at"), content.get("clock_synchronised"), content.get("software")
    plausible = isinstance(at, int | float) and 0 <= at < 7_258_118_400  # before 2200; false for NaN
    return StationStatus(
        online=state == "online",
        at_us=round(at * 1e6) if plausible else None,
        clock_synchronised=synchronised if isinstance(synchronised, bool) else None,
        # JSON may spell half a surrogate pair, which no page or answer could be encoded with.
        software=software[:TEXT_MOST].encode(errors="replace").decode() if isinstance(software, str) else "",
    )
