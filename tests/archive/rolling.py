"""Rolling up at once, as the daemon does it with rests between."""

from groundstation.archive.queries import Reader
from groundstation.archive.rollups import Hour, keep_rollups, marked_hours, sum_some
from groundstation.archive.writer import Writer

PACKETS = 3  # few, so that most hours take several goes


async def sum_up(writer: Writer, reader: Reader, hours: int = 24, packets: int = PACKETS) -> list[Hour]:
    """Return some hours, the longest waiting first, summed up and not yet kept."""
    found = (await reader.ask(marked_hours))[:hours]
    await writer.mark_anew()
    await sum_whole(reader, found, packets)
    return found


async def sum_whole(reader: Reader, hours: list[Hour], packets: int) -> None:
    while any(hour.unread for hour in hours):
        await reader.ask(sum_some, hours, packets)


async def roll_up(writer: Writer, reader: Reader, hours: int = 24, packets: int = PACKETS) -> int:
    """Roll up all and return how many hours that were."""
    kept = 0
    while found := await reader.ask(marked_hours):
        await writer.mark_anew()
        for first in range(0, len(found), hours):
            await sum_whole(reader, found[first : first + hours], packets)
            await writer.commit(keep_rollups, found[first : first + hours])
        kept += len(found)
    return kept
