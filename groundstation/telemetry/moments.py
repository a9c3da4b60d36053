"""Integers inside, datetimes where people read: the one conversion between them, exact to the microsecond."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(moment: datetime) -> int:
    """Return an aware `moment` as microseconds since 1970 UTC."""
    return (moment - EPOCH) // MICROSECOND


def moment_of(time_us: int) -> datetime:
    """Return microseconds since 1970 as an aware UTC datetime; raises OverflowError beyond the years 1 to 9999."""
    return EPOCH + timedelta(microseconds=time_us)


def duration(length_us: int) -> str:
    """Return a length of time in its two largest units, as a person would say it."""
    total = max(0, length_us) // 1_000_000
    days, hours, minutes, s = total // 86400, total // 3600 % 24, total // 60 % 60, total % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes:02} min"
    return f"{minutes} min {s:02} s" if minutes else f"{s} s"
