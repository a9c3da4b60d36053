import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

import pytest

from groundstation.link.broker import BrokerError, answers, demo_broker, end, free_port, mosquitto, prepare, start
from groundstation.link.mqtt import Connect
from tests.parts.debian import need
from tests.parts.receiver import (
    eventually,
    link_settings,
    numbered,
    payloads,
    publish,
    receiving,
    receiving_politely,
)


@pytest.fixture(params=["mosquitto", "iotcore"])
def kind(request: pytest.FixtureRequest) -> str:
    if request.param == "mosquitto":
        need("mosquitto", "mosquitto")
    return str(request.param)


def answering(port: int) -> bool:
    with socket.socket() as sock:
        return sock.connect_ex(("127.0.0.1", port)) == 0


async def test_the_demos_broker_redelivers_what_was_not_acknowledged(
    kind: str, engine_of_mqtt_5: Connect, tmp_path: Path
) -> None:
    async with demo_broker(tmp_path, kind) as broker:
        assert (broker.host, broker.kind) == ("127.0.0.1", kind)
        settings = link_settings(broker.port)
        async with receiving(settings, engine_of_mqtt_5) as receiver:
            await publish(broker.port, numbered(50))
            messages = await receiver.take(50)
            for message in messages[:20]:
                message.acknowledge()
            await asyncio.sleep(0.2)  # on their way; redelivery of a few of them would be allowed
        async with receiving_politely(settings, engine_of_mqtt_5) as receiver:
            await publish(broker.port, [b"last"])
            taken: list[bytes] = []
            while b"last" not in taken:
                messages = await receiver.take(1)
                taken += payloads(messages)
                for message in messages:
                    message.acknowledge()
            assert taken[-31:] == [*numbered(30, first=20), b"last"]
    assert not answering(broker.port)


async def test_mosquitto_is_preferred_where_it_is_installed(tmp_path: Path) -> None:
    async with demo_broker(tmp_path) as broker:
        assert broker.kind == ("mosquitto" if mosquitto() else "iotcore")


async def test_a_broker_that_does_not_start_says_why(tmp_path: Path) -> None:
    output = tmp_path / "output"
    process = await start([sys.executable, "-c", "raise SystemExit('no such thing')"], output)
    with pytest.raises(BrokerError, match="no such thing"):
        await answers(process, free_port(), output)
    await end(process)


async def test_the_broker_dies_with_a_killed_demo(kind: str, tmp_path: Path) -> None:
    script = (
        "import asyncio, sys\nfrom pathlib import Path\nfrom groundstation.link.broker import demo_broker\n"
        "async def main():\n"
        f"    async with demo_broker(Path({str(tmp_path)!r}), {kind!r}) as broker:\n"
        "        print(broker.port, flush=True)\n        await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    demo = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    assert demo.stdout is not None
    port = int(await demo.stdout.readline())
    assert answering(port)
    os.kill(demo.pid, signal.SIGKILL)
    await demo.wait()
    await eventually(lambda: not answering(port))


def test_the_configuration_lies_in_the_demos_directory(kind: str, tmp_path: Path) -> None:
    command = prepare(tmp_path, kind, 1234)
    assert "1234" in Path(command[-1]).read_text()
    assert Path(command[-1]).parent == tmp_path
