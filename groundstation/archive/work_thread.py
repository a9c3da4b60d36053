"""One thread that does one thing after another, for an event loop that waits.

A ThreadPoolExecutor of one does the same with two futures, a condition and a semaphore for each call: at 100 packets/s
that was an eighth of the archive's CPU.
"""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, TypeVar

T = TypeVar("T")
Job = tuple[Callable[[], Any], asyncio.Future[Any]]


class WorkThread:
    """Begins with the first work, and ends once it is closed and has done what was given before."""

    def __init__(self, name: str) -> None:
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        # A process that ends waits for nobody's work: who wants the answer has waited for it.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)

    async def do(self, work: Callable[[], T]) -> T:
        """Return what `work` returned, or raise what it raised; a caller that is cancelled does not stop it."""
        if not self._thread.ident:
            self._thread.start()
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._jobs.put((work, answer))
        return await answer

    def close(self) -> None:
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            work, answer = job
            try:
                tell, what = answer.set_result, work()
            except BaseException as error:  # noqa: BLE001  (whoever waits for the answer raises it)
                tell, what = answer.set_exception, error
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                answer.get_loop().call_soon_threadsafe(tell_unless_cancelled, answer, tell, what)
            del job, work, answer, tell, what  # a thread that waits for work holds on to nothing


def tell_unless_cancelled(answer: asyncio.Future[Any], tell: Callable[[Any], None], what: Any) -> None:
    if not answer.done():
        tell(what)
