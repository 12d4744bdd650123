"""Where it is counted: in this process's memory or in Redis, and what happens while that is down."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import limits
import redis.asyncio
from cachetools import TLRUCache
from limits.aio.storage import RedisStorage, Storage
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from auth import log

REMEMBER = 30 * 86400  # seconds that an address stays known to an account
COUNTERS = 200_000  # in memory; the least recently used goes first
PATIENCE = 0.5  # seconds for the store to answer
PAUSE = 1  # seconds in which a store that failed is not asked


@dataclass
class Counter:
    expires: float
    count: int = 0


class Memory(Storage):
    """As the library's own walks through all its counters at each request."""

    def __init__(self) -> None:
        super().__init__()
        self.counters: TLRUCache[str, Counter] = TLRUCache(COUNTERS, lambda _, counter, __: counter.expires, time.time)

    @property
    def base_exceptions(self) -> tuple[type[Exception], ...]:
        return ()

    async def incr(self, key: str, expiry: float, amount: int = 1) -> int:
        counter = self.counters.get(key)
        if not counter:
            counter = self.counters[key] = Counter(time.time() + expiry)
        counter.count += amount
        return counter.count

    async def get(self, key: str) -> int:
        counter = self.counters.get(key)
        return counter.count if counter else 0

    async def get_expiry(self, key: str) -> float:
        counter = self.counters.get(key)
        return counter.expires if counter else time.time()

    async def clear(self, key: str) -> None:
        self.counters.pop(key, None)

    async def reset(self) -> None:
        self.counters.clear()

    async def check(self) -> bool:
        return True


def open_store(url: str) -> Storage:
    """A lost answer is not asked for again, and a flood waits for a connection instead of failing for lack of one."""
    pool = redis.asyncio.BlockingConnectionPool.from_url(
        url,
        max_connections=32,
        timeout=PATIENCE,
        socket_connect_timeout=PATIENCE,
        socket_timeout=PATIENCE,
        retry=Retry(NoBackoff(), 0),
    )
    return RedisStorage(f"async+{url}", implementation="redispy", key_prefix="posts", connection_pool=pool)  # type: ignore[arg-type]


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
    """Counts. While the storage is down nothing is counted, so nothing is refused."""

    def __init__(self, storage: Storage, rates: dict[str, limits.RateLimitItem]) -> None:
        self.storage, self.rates = storage, rates
        self.down_until = self.silent_until = 0.0

    @contextmanager
    def failing_open(self) -> Iterator[None]:
        try:
            yield
        except (redis.RedisError, OSError) as error:
            now = time.monotonic()
            self.down_until = now + PAUSE
            if now >= self.silent_until:
                self.silent_until = now + 60
                log.error("LIMITS_STORE is down, so nothing is limited: %s", type(error).__name__)

    @property
    def down(self) -> bool:
        return time.monotonic() < self.down_until

    async def hit(self, name: str, key: str) -> Hit | None:
        if self.down:
            return None
        limit = self.rates[name]
        with self.failing_open():
            count = await self.storage.incr(f"{name}:{key}", limit.get_expiry())
            reset = await self.storage.get_expiry(f"{name}:{key}") - time.time()
            return Hit(name, limit, count, max(1, math.ceil(reset)))
        return None

    async def knows(self, key: str) -> bool:
        if not self.down:
            with self.failing_open():
                return bool(await self.storage.get(f"known:{key}"))
        return True

    async def welcome(self, key: str) -> None:
        """The account was opened from this address: it is known, and its failures are forgotten."""
        if not self.down:
            with self.failing_open():
                await self.storage.clear(f"attempts:{key}")
                await self.storage.clear(f"known:{key}")
                await self.storage.incr(f"known:{key}", REMEMBER)
