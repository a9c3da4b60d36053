"""How times, margins, azimuths, frequencies and others' text are written, for people and programs."""

import math
from datetime import datetime

MARGINS = ((1, "s"), (60, "min"), (3600, "h"), (86400, "d"))


def iso(moment: datetime) -> str:
    """Return a moment in UTC; strftime would take six times as long, which a million rows of telemetry feel."""
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def margin(seconds: float | None) -> str:
    """Return how far a time may be off, in two figures and never less than it is: ±2 s, ±37 min."""
    if seconds is None:
        return "?"
    counts = ((math.ceil(seconds / unit_s), unit) for unit_s, unit in MARGINS)
    count, unit = next((told for told in counts if told[0] < 100), (99, "d"))
    return f"±{max(count, 1)} {unit}"


def degrees(azimuth_deg: float | None) -> str:
    return "?" if azimuth_deg is None else f"{azimuth_deg:.0f}°"


def megahertz(frequency_hz: float) -> str:
    """Return 437.5 MHz, with as many digits as there are."""
    return f"{frequency_hz / 1e6:.6f}".rstrip("0").rstrip(".") + " MHz"


def printable(text: str) -> str:
    """Return `text` without what would move a terminal's cursor."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else "\ufffd" for sign in text)
