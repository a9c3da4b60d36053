"""`python -m tests.archive.storing URL FIRST [PASSWORD_FILE]`: store numbered packets until killed, and print each
batch's first number and its fates once it is committed."""

import asyncio
import sys
from pathlib import Path

from tests.archive.places import Place, packet

BATCH = 20


async def main(place: Place, first: int) -> None:
    async with place.writer() as writer:
        while True:
            fates = await writer.store([packet(number) for number in range(first, first + BATCH)], [])
            print(first, *fates, flush=True)
            first += BATCH


if __name__ == "__main__":
    url, number, *password_file = sys.argv[1:]
    asyncio.run(main(Place(url, Path(password_file[0]) if password_file else None), int(number)))
