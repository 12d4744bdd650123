"""One look-up for all tokens that are asked about at the same moment, through the driver's own cursor."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from sqlalchemy import Select, bindparam, select

import models
from auth import Account
from models import Token, User

from .shared import Shared

MOST_AGE = 5  # seconds that a connection is used: after a failover this one, too, must find the new primary

LOOK_UP = (
    select(Token.digest, User.id, User.posts_version, Token.id)
    .join_from(Token, User)
    .where(Token.digest.in_(bindparam("digests", expanding=True)), Token.expires_at > bindparam("now", 0))
)


@cache
def sql_for(statement: Select[Any], name: str, count: int) -> str:
    """The statement for so many values of this name, with the driver's own placeholders: those of the values first."""
    dialect: Any = type(models.engine.dialect)
    positional = dialect(paramstyle="qmark" if models.SQLITE else "format")
    statement = statement.params({name: [""] * count})
    return str(statement.compile(dialect=positional, compile_kwargs={"render_postcompile": True}))


class Line:
    """A connection outside the pool, which one thread uses."""

    connection: Any = None
    pool: object = None  # that it comes from; there is a new one after a failover
    opened_at = 0.0

    def ask(self, sql: str, values: list[Any]) -> Any:
        """The rows. A connection that has gone away meanwhile is made anew, once."""
        held = self.pool is models.engine.pool and time.monotonic() < self.opened_at + MOST_AGE
        try:
            return self.run(sql, values, held)
        except models.engine.dialect.loaded_dbapi.Error as error:
            if not held:
                raise models.Unavailable(models.reason(error)) from None
        return self.ask(sql, values)

    def run(self, sql: str, values: list[Any], held: bool) -> Any:
        if not held:
            self.open()
        try:
            cursor = self.connection.cursor()
            models.engine.dialect.do_execute(cursor, sql, values)
            return cursor.fetchall()
        except BaseException:
            self.close()
            raise

    def open(self) -> None:
        self.close()
        pooled = models.engine.raw_connection()
        pooled.detach()
        self.connection, self.pool, self.opened_at = pooled.dbapi_connection, models.engine.pool, time.monotonic()
        if not models.SQLITE:
            self.connection.autocommit(True)  # or it would go on seeing the first look-up's snapshot

    def close(self) -> None:
        connection, self.connection, self.pool = self.connection, None, None
        if connection is not None:
            connection.close()


line = Line()


def find_accounts(digests: list[str]) -> list[Account | None]:
    """The account of each token; None where it is unknown or has expired."""
    rows = line.ask(sql_for(LOOK_UP, "digests", len(digests)), [*digests, models.now()])
    accounts = {digest: Account(*account) for digest, *account in rows}
    return [accounts.get(digest) for digest in digests]


look_up: Shared[str, Account | None] = Shared(ThreadPoolExecutor(1, "looker"), find_accounts, 256)
