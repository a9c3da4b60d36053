"""Which moment a person means by the time that stands on a command line."""

from datetime import UTC, datetime

EXPECTED = "expected an ISO time like 2026-11-22T10:00Z, from 1957 to 2100"
FIRST, LAST = datetime(1957, 1, 1, tzinfo=UTC), datetime(2101, 1, 1, tzinfo=UTC)  # satellites, and sets that tell


def time_asked(text: str) -> datetime:
    """Return an ISO time in UTC; one without an offset is UTC.

    Raises ValueError where it is none, or so far off that no satellite flies: sums with times at the calendar's ends
    overflow.
    """
    try:
        value = datetime.fromisoformat(text)
        moment = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(f"found {text}, {EXPECTED}") from error
    if not FIRST <= moment < LAST:
        raise ValueError(f"found {text}, {EXPECTED}")
    return moment
