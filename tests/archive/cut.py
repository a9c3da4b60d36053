"""A relay between the writer and PostgreSQL that can swallow the answer to a commit."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


@dataclass
class Relay:
    """Passes bytes on; with `cut_next_commit` the next COMMIT reaches the server, but its answer not the client."""

    server_port: int
    port: int = 0
    cut_next_commit: bool = False
    cuts: int = 0
    connections: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.connections.add(task)
        to_reader, to_writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        answering = asyncio.create_task(self._answer(to_reader, writer))
        try:
            while data := await reader.read(65536):
                if self.cut_next_commit and b"COMMIT" in data:
                    self.cut_next_commit = False
                    self.cuts += 1
                    answering.cancel()
                    await asyncio.wait([answering])
                    to_writer.write(data)
                    await to_reader.read(65536)  # the server has committed and says so
                    return
                to_writer.write(data)
        finally:
            answering.cancel()
            for end in (writer, to_writer):
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()
            self.connections.discard(task)

    async def _answer(self, server: asyncio.StreamReader, client: asyncio.StreamWriter) -> None:
        while data := await server.read(65536):
            client.write(data)
        client.close()


@contextlib.asynccontextmanager
async def relay(server_port: int) -> AsyncIterator[Relay]:
    this = Relay(server_port)
    server = await asyncio.start_server(this.serve, "127.0.0.1", 0)
    this.port = server.sockets[0].getsockname()[1]
    try:
        yield this
    finally:
        server.close()
        for task in list(this.connections):
            task.cancel()
        if this.connections:
            await asyncio.wait(this.connections)
