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
                batch = waiting[: self.size]
                del waiting[: self.size]
                if time.monotonic() > batch[0][1] and not (batch := refuse_late(batch)):  # the first waited longest
                    continue
                try:
                    items = [item for item, _, _ in batch]
                    patience = batch[-1][1] - time.monotonic()
                    results = await models.in_thread(self.executor, patience, self.run, items)
                except Exception as error:
                    results = [error] * len(batch)
                for (_, _, future), result in zip(batch, results, strict=True):
                    resolve(future, result)
        finally:
            del self.waiting[loop]


def refuse_late(batch: list[tuple[T, float, "Future[R]"]]) -> list[tuple[T, float, "Future[R]"]]:
    """Those whose turn does not come too late."""
    now = time.monotonic()
    for _, deadline, future in batch:
        if now > deadline:
            resolve(future, models.Unavailable("it waited too long for its turn"))
    return [each for each in batch if now <= each[1]]


def resolve(future: "Future[R]", result: R | Exception) -> None:
    if future.done():  # its caller was cancelled
        return
    if isinstance(result, Exception):
        future.set_exception(result)
    else:
        future.set_result(result)
