"""What a message costs on its way from the broker to the inbox and back: `python -m tests.bench.link`.

A backlog lies in one session for each receiver of the same Mosquitto. Each drains its own in a process of its own,
acknowledging batch by batch as the daemon does after its commit; mosquitto_sub (C, acknowledging at once) is the floor.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.parts.mosquitto import Mosquitto
from tests.parts.receiver import ENGINES, TOPIC, Receiver, link_settings, publish, receiving_politely

PAYLOAD_BYTES = 207
FLOOR = "mosquitto_sub"


async def drain(engine: str, port: int, count: int) -> None:
    """Receive and acknowledge `count` messages."""
    receiver = Receiver(link_settings(port, client_id=engine), (ENGINES[engine],), 5000)
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(receiver.run())
        left = count
        while left:
            batch = await receiver.inbox.batch(1000, 0.002)
            for message in batch:
                message.acknowledge()
            left -= len(batch)
        receiver.stopping.set()


async def fill(port: int, count: int) -> None:
    for name, engine in ENGINES.items():
        async with receiving_politely(link_settings(port, client_id=name), engine):
            pass
    once = ["-c", "-i", FLOOR, "-q", "1", "-t", TOPIC, "-E"]
    await (await asyncio.create_subprocess_exec("mosquitto_sub", "-p", str(port), *once)).wait()
    await publish(port, [b"%06d" % n + bytes(PAYLOAD_BYTES - 6) for n in range(count)])


def measured(command: list[str]) -> tuple[float, float]:
    """Return seconds of wall clock and of processor that the command took."""
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, command
    return time.monotonic() - began, usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--drain", nargs=2, metavar=("ENGINE", "PORT"))
    arguments = parser.parse_args()
    count = arguments.messages
    if arguments.drain:
        asyncio.run(drain(arguments.drain[0], int(arguments.drain[1]), count))
        return
    with tempfile.TemporaryDirectory() as directory:
        broker = Mosquitto(Path(directory), extra="log_type none\nautosave_on_changes false").start()
        try:
            asyncio.run(fill(broker.port, count))
            me = [sys.executable, "-m", "tests.bench.link"]
            start = measured([sys.executable, "-c", "import tests.bench.link"])[1]
            floor = [
                "mosquitto_sub",
                "-p",
                str(broker.port),
                "-c",
                "-i",
                FLOOR,
                "-q",
                "1",
                "-t",
                TOPIC,
                "-C",
                str(count),
            ]
            commands = {FLOOR: (floor, 0.0)}
            for name in ENGINES:
                drains = ["--drain", name, str(broker.port), "--messages", str(count)]
                commands[name] = ([*me, *drains], start)  # less what it costs to start Python
            least = 0.0
            for name, (command, overhead) in commands.items():
                wall, processor = measured(command)
                cost = (processor - overhead) / count * 1e6
                least = least or cost
                print(f"{name:15} {count / wall:9,.0f} messages/s {cost:7.2f} µs each {cost / least:6.1f} × {FLOOR}")
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
