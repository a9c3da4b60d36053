"""The thread that the archive's writer calls: in order, whatever becomes of those who called."""

import asyncio
import threading
import time
import weakref
from functools import partial

import pytest

from groundstation.archive.caller import CallThread
from tests.parts.receiver import eventually


async def test_calls_are_made_one_after_the_other_in_one_thread() -> None:
    thread, seen = CallThread("calls"), []

    def work(number: int) -> int:
        seen.append((number, threading.current_thread().name))
        time.sleep(0.001)
        return number

    answers = await asyncio.gather(*(thread.call(partial(work, number)) for number in range(20)))
    thread.close()
    assert answers == list(range(20))
    assert seen == [(number, "calls") for number in range(20)]


async def test_what_a_call_raises_is_raised_where_it_was_made_and_the_next_is_made() -> None:
    thread = CallThread("calls")
    with pytest.raises(ZeroDivisionError):
        await thread.call(lambda: 1 // 0)
    assert await thread.call(lambda: 1) == 1
    thread.close()


async def test_a_call_that_has_begun_is_made_whatever_becomes_of_its_caller() -> None:
    thread, begun, go, made = CallThread("calls"), threading.Event(), threading.Event(), []

    def slow() -> None:
        begun.set()
        go.wait(10)
        made.append("begun")

    first = asyncio.create_task(thread.call(slow))
    second = asyncio.create_task(thread.call(lambda: made.append("not begun")))
    await asyncio.to_thread(begun.wait, 10)
    first.cancel()
    second.cancel()
    go.set()
    assert await thread.call(lambda: list(made)) == ["begun"]
    thread.close()
    assert first.cancelled()
    assert second.cancelled()


def test_a_call_whose_loop_is_gone_hurts_nobody() -> None:
    thread, go = CallThread("calls"), threading.Event()

    async def leave() -> None:
        asyncio.create_task(thread.call(lambda: go.wait(10)))  # noqa: RUF006  # it is cancelled with the loop
        await asyncio.sleep(0)

    asyncio.run(leave())
    go.set()

    async def come_back() -> int:
        return await thread.call(lambda: 2)

    assert asyncio.run(come_back()) == 2
    thread.close()


async def test_nothing_of_a_call_is_kept_while_the_thread_waits() -> None:
    class Batch:
        pass

    thread, batch = CallThread("calls"), Batch()
    kept = weakref.ref(batch)
    await thread.call(partial(id, batch))
    del batch
    await eventually(lambda: kept() is None)
    thread.close()


async def test_the_thread_ends_when_it_is_closed_and_all_calls_are_made() -> None:
    thread = CallThread("calls-that-end")
    made: list[int] = []
    calls = [asyncio.create_task(thread.call(lambda: made.append(1))) for _ in range(3)]
    await asyncio.sleep(0)
    thread.close()
    with pytest.raises(RuntimeError, match="closed"):
        await thread.call(lambda: made.append(2))
    await asyncio.gather(*calls)
    await eventually(lambda: all(one.name != "calls-that-end" for one in threading.enumerate()))
    assert made == [1, 1, 1]
