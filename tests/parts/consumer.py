"""A process that receives, keeps and acknowledges, to be killed: `python -m tests.parts.consumer ENGINE PORT FILE`.

It does as the daemon does: what came is on the disk before it is acknowledged.
"""

import asyncio
import os
import sys
from pathlib import Path

from tests.parts.receiver import ENGINES, Receiver, link_settings


async def consume(engine: str, port: int, file: Path) -> None:
    receiver = Receiver(link_settings(port), (ENGINES[engine],), 5000)
    kept = os.open(file, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(receiver.run())
        while True:
            batch = await receiver.inbox.batch(1000, 0.002)
            os.write(kept, b"".join(message.payload + b"\n" for message in batch))
            os.fsync(kept)
            for message in batch:
                message.acknowledge()


if __name__ == "__main__":
    asyncio.run(consume(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])))
