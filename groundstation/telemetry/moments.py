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
