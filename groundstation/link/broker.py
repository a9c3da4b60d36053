"""A broker of the demo's own, on a free loopback port, that ends with it.

Mosquitto where it is installed, else iotcore, which is rumqttd in a Python wheel. Both take MQTT 5. For a station in
service run a broker of your own: this one keeps what it knows in the demo's directory.
"""

import asyncio
import contextlib
import os
import pwd
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

START_S = 15.0
STOP_S = 5.0
HOST = "127.0.0.1"

MOSQUITTO_CONF = """\
listener {port} {host}
allow_anonymous true
user {user}
persistence true
persistence_location {directory}/
autosave_on_changes true
autosave_interval 100
# The default of 1000 drops what comes for an absent client though its publisher gets an acknowledgement.
max_queued_messages 0
log_dest file {directory}/mosquitto.log
"""

IOTCORE_TOML = """\
id = 0
[router]
id = 0
max_connections = 100
max_outgoing_packet_count = 200
max_segment_size = 16777216
max_segment_count = 10
[v5.1]
name = "demo"
listen = "{host}:{port}"
next_connection_delay_ms = 1
[v5.1.connections]
connection_timeout_ms = 5000
max_payload_size = 1048576
max_inflight_count = 500
"""

# Where Linux is beneath, the kernel ends the broker with us, even if we are killed: 1 is PR_SET_PDEATHSIG, 15 SIGTERM.
LIVE_WITH_PARENT = """\
import ctypes, os, sys
try:
    ctypes.CDLL(None).prctl(1, 15)
except AttributeError:
    pass
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""

RUN_IOTCORE = "import sys; from iotcore import IotCoreBroker; IotCoreBroker(config_path=sys.argv[1]).run_forever()"


class BrokerError(Exception):
    """The demo's broker did not start."""


class DemoBroker(NamedTuple):
    host: str
    port: int
    kind: str  # "mosquitto" or "iotcore"


@contextlib.asynccontextmanager
async def demo_broker(directory: Path, kind: str | None = None) -> AsyncIterator[DemoBroker]:
    """Run a broker while the block lasts; raises BrokerError where it does not come to answer."""
    kind = kind or ("mosquitto" if mosquitto() else "iotcore")
    port = free_port()
    command = prepare(directory, kind, port)
    process = await start(command, directory / "broker-output.log")
    try:
        await answers(process, port, directory / "broker-output.log")
        yield DemoBroker(HOST, port, kind)
    finally:
        await end(process)


def mosquitto() -> str | None:
    """Return where Mosquitto is: Debian keeps servers out of an ordinary user's PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")


def prepare(directory: Path, kind: str, port: int) -> list[str]:
    """Write the broker's configuration and return its command."""
    directory.mkdir(parents=True, exist_ok=True)
    if kind == "mosquitto" and (program := mosquitto()):
        configuration = directory / "mosquitto.conf"
        user = pwd.getpwuid(os.getuid()).pw_name
        configuration.write_text(MOSQUITTO_CONF.format(host=HOST, port=port, user=user, directory=directory.resolve()))
        return [program, "-c", str(configuration)]
    configuration = directory / "iotcore.toml"
    configuration.write_text(IOTCORE_TOML.format(host=HOST, port=port))
    return [sys.executable, "-c", RUN_IOTCORE, str(configuration)]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind((HOST, 0))
        return int(sock.getsockname()[1])


async def start(command: list[str], output: Path) -> asyncio.subprocess.Process:
    """Start it in a session of its own, so that the terminal's Ctrl-C leaves it to the last."""
    with output.open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            LIVE_WITH_PARENT,
            str(os.getpid()),
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


async def answers(process: asyncio.subprocess.Process, port: int, output: Path) -> None:
    """Return once the port answers."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(START_S):
            while process.returncode is None:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(HOST, port)
                    writer.close()
                    return
                await asyncio.sleep(0.05)
    said = (await asyncio.to_thread(output.read_text, errors="replace")).strip()
    raise BrokerError(f"the broker does not answer on {HOST}:{port}: {said or 'it said nothing'}")


async def end(process: asyncio.subprocess.Process) -> None:
    for stop in (process.terminate, process.kill):
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            stop()
            await asyncio.wait_for(process.wait(), STOP_S)
            return
