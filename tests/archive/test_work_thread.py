"""What the archive's one thread promises to the event loop."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

import pytest

from groundstation.archive.work_thread import WorkThread


@contextlib.contextmanager
def a_thread() -> Iterator[WorkThread]:
    thread = WorkThread("work")
    try:
        yield thread
    finally:
        thread.close()


async def test_work_is_done_in_its_order_and_in_one_thread() -> None:
    done: list[tuple[int, int]] = []

    def work(number: int) -> int:
        done.append((number, threading.get_ident()))
        return number

    with a_thread() as thread:
        answers = await asyncio.gather(*(thread.do(lambda number=number: work(number)) for number in range(50)))  # type: ignore[misc]
    assert answers == [number for number, _ in done] == list(range(50))
    (ident,) = {ident for _, ident in done}
    assert ident != threading.get_ident()


async def test_what_fails_is_raised_to_whoever_waits_and_the_next_is_done() -> None:
    def fail() -> None:
        raise ValueError("no")

    with a_thread() as thread:
        with pytest.raises(ValueError, match="no"):
            await thread.do(fail)
        assert await thread.do(lambda: 1) == 1


async def test_work_whose_caller_was_cancelled_is_done_all_the_same() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        go_on.wait(5)
        done.set()

    with a_thread() as thread:
        waiting = asyncio.create_task(thread.do(work))
        await asyncio.to_thread(begun.wait, 5)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        go_on.set()
        assert await thread.do(done.is_set)


async def test_a_thread_that_is_closed_ends() -> None:
    with a_thread() as thread:
        worker = await thread.do(threading.current_thread)
    await asyncio.to_thread(worker.join, 5)
    assert not worker.is_alive()
