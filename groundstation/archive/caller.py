"""A thread that takes calls from the event loop, one after the other.

    coroutine ──► queue ──► thread ──► the coroutine's future, in the loop's next turn

What `run_in_executor` does, without its second future, its locks and its callbacks: at 100 packets/s, when each call
finds the caches of the processor cold, these are 5 % of what the daemon takes.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")

Call = tuple[Callable[[], object], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class CallThread:
    """One thread, begun with the first call; a process that ends does not wait for it."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[Call | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._closed = False

    async def call(self, work: Callable[[], T]) -> T:
        """Return what `work` returns, or raise what it raises, once all calls before it are done.

        A call that has begun is made to its end, whatever becomes of the caller. Raises RuntimeError once closed.
        """
        if self._closed:
            raise RuntimeError(f"the thread {self._thread.name} is closed")
        if self._thread.ident is None:
            self._thread.start()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Any] = loop.create_future()
        self._calls.put((work, loop, answer))
        answered: T = await answer
        return answered

    def close(self) -> None:
        """Let the thread end when all calls are done."""
        self._closed = True
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            _answer(*call)
            del call  # nothing is kept while the thread waits


def _answer(work: Callable[[], object], loop: asyncio.AbstractEventLoop, answer: "asyncio.Future[Any]") -> None:
    """Make the call and hand its outcome to the loop, if somebody waits for it."""
    if not answer.cancelled():
        outcome, error = _outcome(work)
        with contextlib.suppress(RuntimeError):  # the loop is closed
            loop.call_soon_threadsafe(_settle, answer, outcome, error)


def _outcome(work: Callable[[], object]) -> tuple[object, BaseException | None]:
    """Return what `work` returned or raised; the traceback holds this frame, which knows nothing of the future."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001  # it is the caller's, whatever it is
        return None, error


def _settle(answer: "asyncio.Future[Any]", outcome: object, error: BaseException | None) -> None:
    if answer.cancelled():
        return
    if error is None:
        answer.set_result(outcome)
    else:
        answer.set_exception(error)
