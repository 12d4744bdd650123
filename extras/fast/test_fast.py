"""What must hold where look-ups and commits are shared; all else is the contract's, which runs with it too."""

import threading
from collections import Counter
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from test_app import Server, add, adding, at_once, listing, new_database, serve, sign_up, texts


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with new_database() as url:
        yield url


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="fast") as server:
        yield server
        assert "Traceback" not in server.log


def test_a_list_and_a_post_are_answered_with_the_same_headers_as_without_it(url: str, server: Server) -> None:
    headers = sign_up(server)
    with serve(url, EXTRAS="") as plain:
        for client in (server, plain):
            add(client, headers)
        for _ in range(2):
            fast, slow = (client.get("/getPosts", headers=headers) for client in (server, plain))
            for answer in (fast, slow):
                del answer.headers["date"]
            assert (fast.content, dict(fast.headers)) == (slow.content, dict(slow.headers))


def test_posts_at_once_are_all_written_and_listed(server: Server) -> None:
    accounts = [sign_up(server) for _ in range(8)]
    jobs = [adding(headers, str(number)) for number in range(8) for headers in accounts]
    assert at_once([*jobs, *map(listing, accounts)], str(server.base_url)) == {201: 64, 200: 8}
    for headers in accounts:
        assert sorted(texts(server, headers)) == list("01234567")


def test_an_account_that_is_locked_elsewhere_delays_no_other(url: str, server: Server) -> None:
    if url.startswith("sqlite"):
        pytest.skip("SQLite locks the whole file")
    locked, *others = [sign_up(server) for _ in range(8)]
    post_id = add(server, locked)
    with sa.create_engine(url).connect() as connection:
        owner = sa.text("SELECT id FROM users WHERE id = (SELECT user_id FROM posts WHERE id = :id) FOR UPDATE")
        connection.execute(owner, {"id": post_id})
        waiting = threading.Thread(target=lambda: server.post("/addPost", json={"text": "hi"}, headers=locked))
        waiting.start()
        assert at_once([adding(headers, "hi") for headers in others * 4], str(server.base_url)) == Counter({201: 28})
        assert waiting.is_alive()
    waiting.join(30)
