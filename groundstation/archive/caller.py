"""A thread that takes calls from the event loop, one after the other.

    call ──► queue ──► thread ──► answer ──► whoever awaits it, now or later

What `run_in_executor` does, without its second future, its locks and its callbacks: at 100 packets/s, when each step
finds the caches of the processor cold, these are 5 % of what the daemon takes. And the loop is woken only where
somebody waits for the answer already.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Generator
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Answer(Generic[T]):
    """What a call returns or raises, for one to await; made in the thread, awaited in the loop."""

    __slots__ = ("_error", "_loop", "_made", "_outcome", "_waiting", "unwanted")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._made = False
        self._outcome: Any = None
        self._error: BaseException | None = None
        self._waiting: asyncio.Future[None] | None = None
        self.unwanted = False  # whoever awaited it was cancelled

    def __await__(self) -> Generator[Any, None, T]:
        # First we say that we wait, then we look; the thread first says that it is made, then looks who waits. So one
        # of the two always sees the other.
        if not self._made:
            self._waiting = waiting = self._loop.create_future()
            if not self._made:
                try:
                    yield from waiting
                except asyncio.CancelledError:
                    self.unwanted = True
                    raise
        if self._error is not None:
            raise self._error
        answered: T = self._outcome
        return answered

    def give(self, outcome: object, error: BaseException | None) -> None:
        """Say in the thread what came of the call."""
        self._outcome, self._error = outcome, error
        self._made = True
        if self._waiting is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_wake, self._waiting)


class CallThread:
    """One thread, begun with the first call; a process that ends does not wait for it."""

    def __init__(self, name: str) -> None:
        self._calls: SimpleQueue[tuple[Callable[[], object], Answer[Any]] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._closed = False

    def call(self, work: Callable[[], T]) -> Answer[T]:
        """Have `work` done once all calls before it are done, whether or not its answer is awaited yet.

        A call that has begun is made to its end, whatever becomes of the caller; one whose caller was cancelled before
        is left out. Raises RuntimeError once closed.
        """
        if self._closed:
            raise RuntimeError(f"the thread {self._thread.name} is closed")
        if self._thread.ident is None:
            self._thread.start()
        answer: Answer[T] = Answer(asyncio.get_running_loop())
        self._calls.put((work, answer))
        return answer

    def close(self) -> None:
        """Let the thread end when all calls are done."""
        self._closed = True
        self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            work, answer = call
            if not answer.unwanted:
                answer.give(*_outcome(work))
            del call, work, answer  # nothing is kept while the thread waits


def _outcome(work: Callable[[], object]) -> tuple[object, BaseException | None]:
    """Return what `work` returned or raised; the traceback holds this frame, which knows nothing of the answer."""
    try:
        return work(), None
    except BaseException as error:  # noqa: BLE001  # it is the caller's, whatever it is
        return None, error


def _wake(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)
