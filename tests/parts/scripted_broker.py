"""A TCP server that answers like a broker as far as a test wants it to: for what no real broker can be made to do."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable

Script = Callable[["Client"], Awaitable[None]]

CONNACK_5 = b"\x20\x03\x00\x00\x00"
CONNACK_311 = b"\x20\x02\x00\x00"
WRONG_VERSION_311 = b"\x20\x02\x00\x01"  # what an MQTT 3.1.1 broker says to an MQTT 5 client


def published(topic: str, payload: bytes, packet_id: int, version: int = 5) -> bytes:
    """Return a PUBLISH at QoS 1 of less than 128 bytes."""
    name = topic.encode()
    body = (
        len(name).to_bytes(2, "big") + name + packet_id.to_bytes(2, "big") + (b"\0" if version == 5 else b"") + payload
    )
    return bytes((0x32, len(body))) + body


class Client:
    """Whoever has connected."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def packet(self) -> bytes:
        """Read one packet of less than 128 bytes, or 16 KiB."""
        head = await self._reader.readexactly(2)
        length = head[1]
        if length & 0x80:
            more = await self._reader.readexactly(1)
            head, length = head + more, (length & 0x7F) + more[0] * 128
        return head + await self._reader.readexactly(length)

    async def say(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def reset(self) -> None:
        """Cut the connection so that the other end sees a reset, not an end."""
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def gone(self) -> None:
        """Wait until the other end hangs up."""
        with contextlib.suppress(OSError):
            while await self._reader.read(65536):
                pass

    async def connect_and_subscribe(self, version: int = 5) -> None:
        """Take CONNECT and SUBSCRIBE as a broker would."""
        await self.packet()
        await self.say(CONNACK_5 if version == 5 else CONNACK_311)
        subscribe = await self.packet()
        suback = subscribe[2:4] + (b"\x00" if version == 5 else b"") + b"\x01\x01"
        await self.say(bytes((0x90, len(suback))) + suback)


@contextlib.asynccontextmanager
async def scripted_broker(*scripts: Script, tls: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """Run a script for each connection, the last one again for all further ones; gives the port."""
    waiting = list(scripts)
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        script = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await script(Client(reader, writer))
        finally:
            writer.transport.abort()
            serving.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            for task in serving:
                task.cancel()
            await asyncio.gather(*serving)
