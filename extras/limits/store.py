"""Where it is counted: in Redis or in this process's memory, also while Redis is down."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import limits
import redis.asyncio
from cachetools import TLRUCache
from limits.aio.storage import RedisStorage, Storage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from auth import log

REMEMBER = 30 * 86400  # seconds that an address stays known to an account
COUNTERS = 200_000  # in memory; the least recently used goes first
CONNECTIONS = 32
PATIENCE = 0.5  # seconds for the store to answer
PAUSE = 1  # seconds in which a store that failed is not asked

R = TypeVar("R")


@dataclass
class Counter:
    expires: float
    count: int = 0


class Memory(Storage):
    """As the library's own walks through all its counters at each request.

    Its time is not the system's: were that set back, a window of a minute would last as long as it went back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counters: TLRUCache[str, Counter] = TLRUCache(COUNTERS, lambda _, counter, __: counter.expires)

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        counter = self.counters.get(key)
        if not counter:
            counter = self.counters[key] = Counter(time.monotonic() + expiry)
        counter.count = max(0, counter.count + amount)
        return counter.count

    async def get(self, key: str) -> int:
        counter = self.counters.get(key)
        return counter.count if counter else 0

    async def get_expiry(self, key: str) -> float:
        counter = self.counters.get(key)
        return time.time() + (counter.expires - time.monotonic() if counter else 0)

    async def clear(self, key: str) -> None:
        self.counters.pop(key, None)

    async def reset(self) -> None:
        self.counters.clear()

    async def check(self) -> bool:
        return True


def open_store(url: str, prefix: str) -> Storage:
    """A lost answer is not asked for again."""
    pool = redis.asyncio.ConnectionPool.from_url(
        url,
        max_connections=CONNECTIONS,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    return RedisStorage(f"async+{url}", implementation="redispy", key_prefix=prefix, connection_pool=pool)  # type: ignore[arg-type]


class Hit(NamedTuple):
    """A request as one limit counted it."""

    name: str
    limit: limits.RateLimitItem
    used: int
    reset: int  # seconds until the count starts anew

    @property
    def exceeded(self) -> bool:
        return self.used > self.limit.amount


class Store:
    """Counts in the storage; while that is down, in this worker's memory."""

    def __init__(self, storage: Storage, rates: dict[str, limits.RateLimitItem]) -> None:
        self.storage, self.memory, self.rates = storage, Memory(), rates
        self.turns = asyncio.Semaphore(CONNECTIONS)  # to wait for a connection is no outage
        self.down_until = self.silent_until = 0.0

    async def ask(self, work: Callable[[Storage], Awaitable[R]]) -> R:
        async with self.turns:
            if time.monotonic() >= self.down_until:
                try:
                    return await work(self.storage)
                except (redis.RedisError, OSError) as error:
                    self.note_outage(error)
        return await work(self.memory)

    def note_outage(self, error: Exception) -> None:
        now = time.monotonic()
        self.down_until = now + PAUSE
        if now >= self.silent_until:
            self.silent_until = now + 60
            log.error("LIMITS_STORE is down, so each worker counts for itself: %s", type(error).__name__)

    async def hit(self, name: str, key: str, amount: int = 1) -> Hit:
        limit = self.rates[name]

        async def count(storage: Storage) -> Hit:
            used = await storage.incr(f"{name}:{key}", limit.get_expiry(), amount)
            reset = await storage.get_expiry(f"{name}:{key}") - time.time()
            return Hit(name, limit, used, max(1, math.ceil(reset)))

        return await self.ask(count)

    async def give_back(self, name: str, key: str) -> None:
        """It was no failure."""
        await self.hit(name, key, -1)

    async def knows(self, key: str) -> bool:
        return bool(await self.ask(lambda storage: storage.get(f"known:{key}")))

    async def welcome(self, key: str) -> None:
        """The account was opened from this address: it is known, and its failures are forgotten."""

        async def remember(storage: Storage) -> None:
            await storage.clear(f"attempts:{key}")
            await storage.clear(f"known:{key}")
            await storage.incr(f"known:{key}", REMEMBER)

        await self.ask(remember)
