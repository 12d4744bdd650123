"""One piece of work for all that wait at the same moment."""

import asyncio
import time
from asyncio import AbstractEventLoop, Future
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import models

T = TypeVar("T")
R = TypeVar("R")


class Shared(Generic[T, R]):
    """Answers all calls that wait with one `run(items)` in a thread of the executor.

    `run` returns the results in the items' order; one that is an exception is raised to its caller alone. No call joins
    a run that has begun, so each sees all that was committed before it.
    """

    def __init__(self, executor: Executor, run: Callable[[list[T]], Sequence[R | Exception]], size: int) -> None:
        self.executor, self.run, self.size = executor, run, size
        self.waiting: WeakKeyDictionary[AbstractEventLoop, list[tuple[T, float, Future[R]]]] = WeakKeyDictionary()

    def __call__(self, item: T) -> "Future[R]":
        loop = asyncio.get_running_loop()
        future: Future[R] = loop.create_future()
        waiting = self.waiting.get(loop)
        if waiting is None:
            waiting = self.waiting[loop] = []
            self.server = loop.create_task(self.serve(loop, waiting))
        waiting.append((item, time.monotonic() + models.DEADLINE, future))
        return future

    async def serve(self, loop: AbstractEventLoop, waiting: list[tuple[T, float, Future[R]]]) -> None:
        """Run until nobody waits."""
        try:
            while waiting:
                await asyncio.sleep(0)  # who has arrived meanwhile joins: a thread's turn costs more than many items
                batch = waiting[: self.size]
                del waiting[: self.size]
                try:
                    results = await loop.run_in_executor(self.executor, self.run_in_time, batch)
                except Exception as error:
                    results = [error] * len(batch)
                for (_, _, future), result in zip(batch, results, strict=True):
                    resolve(future, result)
        finally:
            del self.waiting[loop]

    def run_in_time(self, batch: list[tuple[T, float, Future[R]]]) -> Sequence[R | Exception]:
        """But for those whose turn has come too late."""
        now = time.monotonic()
        items = [item for item, deadline, _ in batch if now <= deadline]
        results = iter(self.run(items) if items else ())
        late = models.Unavailable("it waited too long for its turn")
        return [next(results) if now <= deadline else late for _, deadline, _ in batch]


def resolve(future: "Future[R]", result: R | Exception) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
