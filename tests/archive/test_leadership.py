"""Of several daemons on one archive one leads, and another takes over when its connection dies."""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from groundstation.archive.leadership import LOCK, Leadership
from tests.archive.places import Place
from tests.parts.postgresql import PostgreSQL

SOON_S = 0.05
HOLDERS = f"SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK % 2**32} AND granted"
PROGRAM = """
import asyncio, sys
from pathlib import Path
from groundstation.archive.leadership import Leadership

async def main():
    async with Leadership(sys.argv[1], Path(sys.argv[2])) as leadership:
        print(leadership.leads, flush=True)
        await leadership.keep()

asyncio.run(main())
"""


@contextlib.asynccontextmanager
async def daemon(place: Place) -> AsyncIterator[Leadership]:
    async with Leadership(place.url, place.password_file, SOON_S) as leadership:
        keeping = asyncio.create_task(leadership.keep())
        try:
            yield leadership
        finally:
            keeping.cancel()


async def until_one_leads(*those: Leadership) -> Leadership:
    async with asyncio.timeout(20):
        while True:
            leading = [one for one in those if one.leads]
            assert len(leading) <= 1
            if leading:
                return leading[0]
            await asyncio.sleep(SOON_S)


async def until_somebody_else_holds(server: Place, pid: int) -> None:
    async with asyncio.timeout(20):
        while [row for row in server.rows(HOLDERS) if row[0] != pid] == []:  # noqa: ASYNC110  (the server tells nobody)
            await asyncio.sleep(SOON_S)


async def test_on_sqlite_everybody_leads_at_once(file: Place) -> None:
    async with daemon(file) as one, daemon(file) as other:
        assert one.leads
        assert other.leads


async def test_of_three_one_leads_and_the_next_follows(server: Place) -> None:
    async with daemon(server) as first:
        async with daemon(server) as second, daemon(server) as third:
            await asyncio.sleep(5 * SOON_S)
            assert [one.leads for one in (first, second, third)] == [True, False, False]
            assert len(server.rows(HOLDERS)) == 1
        async with daemon(server) as fourth:
            assert await until_one_leads(first, fourth) is first


async def test_a_leader_that_stops_is_followed(server: Place) -> None:
    async with contextlib.AsyncExitStack() as stack:
        async with daemon(server) as first:
            second = await stack.enter_async_context(daemon(server))
            assert [first.leads, second.leads] == [True, False]
        assert not first.leads
        assert await until_one_leads(second) is second


async def test_a_leader_whose_connection_is_cut_stops_and_somebody_leads_again(
    server: Place, postgresql: PostgreSQL
) -> None:
    async with daemon(server) as one, daemon(server) as other:
        assert one.leads
        [(pid,)] = server.rows(HOLDERS)
        with postgresql.connect() as connection:
            connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
        await until_somebody_else_holds(server, pid)
        await until_one_leads(one, other)


async def test_a_leader_that_is_killed_is_followed(server: Place) -> None:
    arguments = ("-c", PROGRAM, server.url, str(server.password_file))
    leader = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=asyncio.subprocess.PIPE)
    assert leader.stdout is not None
    assert await leader.stdout.readline() == b"True\n"
    async with daemon(server) as follower:
        assert not follower.leads
        leader.kill()
        await leader.wait()
        assert await until_one_leads(follower) is follower


async def test_nobody_leads_without_the_server(server: Place) -> None:
    async with daemon(Place("postgresql://operator@127.0.0.1:9/none", server.password_file)) as one:
        await asyncio.sleep(3 * SOON_S)
        assert not one.leads
