import importlib.metadata
import json
import os
import random
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from test_app import ROOT, Server, at_once, logging_in, new_database, serve

try:  # importorskip("limits") would find the extra of this name
    importlib.metadata.version("limits")
    redis = pytest.importorskip("redis")
except importlib.metadata.PackageNotFoundError:
    pytest.skip("needs extras/requirements.txt", allow_module_level=True)

REDIS = "redis://127.0.0.1:6379/9"
PASSWORD = "correct horse"


def has_redis() -> bool:
    try:
        return bool(redis.Redis.from_url(REDIS, socket_connect_timeout=1).ping())
    except redis.RedisError:
        return False


needs_redis = pytest.mark.skipif(not has_redis(), reason="needs Redis on port 6379")


@pytest.fixture
def redis_url() -> Iterator[str]:
    redis.Redis.from_url(REDIS).flushdb()
    yield REDIS
    redis.Redis.from_url(REDIS).flushdb()


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    """One whose windows are long, as the tests wait for none."""
    limits = {"LIMITS_LOGIN": "6/day", "LIMITS_ATTEMPTS": "3/day", "LIMITS_GUESSES": "6/day"}
    with serve(url, EXTRAS="limits", LIMITS_SIGNUP="4/day", LIMITS_REQUESTS="5/day", **limits) as server:  # type: ignore[arg-type]
        yield server


def sign_up(server: Server, address: str) -> str:
    email = f"{uuid.uuid4().hex}@example.com"
    answer = server.post("/signup", json={"email": email, "password": PASSWORD}, headers={"X-Forwarded-For": address})
    assert answer.status_code == 201, answer.text
    return email


def log_in(server: Server, email: str, address: str, password: str = "wrong horse") -> httpx2.Response:
    return server.post("/login", json={"email": email, "password": password}, headers={"X-Forwarded-For": address})


def is_refused(answer: httpx2.Response) -> bool:
    if answer.status_code != 429:
        return False
    assert answer.json()["detail"].startswith("Too many requests.")
    assert 0 < int(answer.headers["Retry-After"]) <= 86_400
    assert "r=0;" in answer.headers["RateLimit"]
    return True


def test_sign_ups_from_one_address_are_limited_and_from_another_not(server: Server) -> None:
    for _ in range(4):
        sign_up(server, "192.0.2.1")
    credentials = {"email": "more@example.com", "password": PASSWORD}
    assert is_refused(server.post("/signup", json=credentials, headers={"X-Forwarded-For": "192.0.2.1"}))
    sign_up(server, "192.0.2.2")


def test_logins_from_one_address_are_limited_whatever_the_account(server: Server) -> None:
    for number in range(6):
        assert log_in(server, f"nobody{number}@example.com", "192.0.2.3").status_code == 401
    assert is_refused(log_in(server, "nobody7@example.com", "192.0.2.3"))


def test_a_path_with_a_line_feed_is_unknown_and_no_way_around(server: Server) -> None:
    for path in ("/login%0A", "/getPosts%0a", "/deletePost/1%0A", "/%0A"):
        assert server.get(path).status_code == server.post(path).status_code == 404


def test_an_ipv6_network_is_one_address(server: Server) -> None:
    for number in range(6):
        log_in(server, f"v6-{number}@example.com", f"2001:db8::{number}")
    assert is_refused(log_in(server, "v6@example.com", "2001:db8::ffff"))
    assert not is_refused(log_in(server, "v6@example.com", "2001:db8:0:1::1"))


def test_failures_of_an_account_are_limited_also_with_the_right_password(server: Server) -> None:
    email = sign_up(server, "192.0.2.4")
    for _ in range(3):
        assert log_in(server, email, "192.0.2.5").status_code == 401
    assert is_refused(log_in(server, email.upper(), "192.0.2.5", PASSWORD))


def test_the_right_password_starts_anew(server: Server) -> None:
    email = sign_up(server, "192.0.2.6")
    for password in ("wrong horse", "wrong horse", PASSWORD, "wrong horse", "wrong horse"):
        assert not is_refused(log_in(server, email, "192.0.2.6", password))


def test_guesses_from_many_addresses_are_limited_and_do_not_lock_the_owner_out(server: Server) -> None:
    email = sign_up(server, "192.0.2.7")
    for number in range(6):
        assert log_in(server, email, f"198.51.100.{number}").status_code == 401
    assert is_refused(log_in(server, email, "198.51.100.99"))
    assert log_in(server, email, "192.0.2.7", PASSWORD).status_code == 200


def test_an_account_that_is_not_there_is_limited_alike(server: Server) -> None:
    for number in range(6):
        assert log_in(server, "nowhere@example.com", f"203.0.113.{number}").status_code == 401
    assert is_refused(log_in(server, "nowhere@example.com", "203.0.113.99"))


def test_the_rest_is_limited_by_account_whatever_the_token_and_the_address(server: Server) -> None:
    email = sign_up(server, "192.0.2.8")
    tokens = [log_in(server, email, "192.0.2.8", PASSWORD).json()["access_token"] for _ in range(2)]
    for number in range(5):
        headers = {"Authorization": f"Bearer {tokens[number % 2]}", "X-Forwarded-For": f"192.0.2.{20 + number}"}
        answer = server.get("/getPosts", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["RateLimit-Policy"] == '"requests";q=5;w=86400'
        assert answer.headers["RateLimit"].startswith(f'"requests";r={4 - number};t=')
    assert is_refused(server.post("/addPost", json={"text": "hi"}, headers=headers))
    assert server.get("/getPosts", headers=headers | {"Authorization": "Bearer x"}).status_code == 401
    assert server.get("/openapi.json", headers=headers).status_code == 200


def test_no_answer_tells_how_often_others_tried_an_account(url: str) -> None:
    with serve(url, EXTRAS="limits") as server:
        email = sign_up(server, "192.0.2.1")
        log_in(server, email, "192.0.2.2")
        answers = [log_in(server, email, "192.0.2.3"), log_in(server, "nobody@example.com", "192.0.2.4")]
        assert [each.headers["RateLimit-Policy"] for each in answers] == ['"login";q=60;w=60'] * 2
        assert [each.headers["RateLimit"].split(";t")[0] for each in answers] == ['"login";r=59'] * 2


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b'{"email": 7}', b"[" * 10_000, b"\xff", b'{"email": "no"}'])
def test_bodies_without_an_account_are_as_wrong_as_ever(server: Server, content: bytes) -> None:
    address = {"X-Forwarded-For": f"10.0.0.{uuid.uuid4().int % 250}", "Content-Type": "application/json"}
    assert server.post("/login", content=content, headers=address).status_code in {400, 422}


def test_a_body_that_is_too_large_or_streamed_is_as_ever(server: Server) -> None:
    address = {"X-Forwarded-For": "10.0.1.1", "Content-Type": "application/json"}
    assert server.post("/login", content=b"x" * 20_000, headers=address).status_code == 413
    assert server.post("/login", content=iter([b"x" * 9000] * 3), headers=address).status_code == 413
    parts = iter([b'{"email": "streamed@example.com", ', b'"password": "correct horse"}'])
    assert server.post("/login", content=parts, headers=address).status_code == 401


def test_openapi_says_so(server: Server) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    for operation in (operation for each in paths.values() for operation in each.values()):
        assert operation["responses"]["429"]["headers"].keys() == {"Retry-After", "RateLimit", "RateLimit-Policy"}
        assert all(answer["headers"].keys() >= {"RateLimit"} for answer in operation["responses"].values())


def test_probes_are_never_limited(url: str) -> None:
    limits: dict[str, Any] = {"LIMITS_SIGNUP": "1/day", "LIMITS_LOGIN": "1/day", "LIMITS_REQUESTS": "1/day"}
    with serve(url, EXTRAS="health,limits", **limits) as server:
        headers = server.account()
        for _ in range(3):
            assert server.get("/livez", headers=headers).status_code == 200
            assert server.get("/readyz", headers=headers).status_code == 200


def test_only_a_trusted_proxy_names_the_address(url: str) -> None:
    with serve(url, "--forwarded-allow-ips", "192.0.2.1", EXTRAS="limits", LIMITS_LOGIN="2/day") as server:
        answers = [log_in(server, "nobody@example.com", f"192.0.2.{number}") for number in range(3)]
        assert [answer.status_code for answer in answers] == [401, 401, 429]


@needs_redis
def test_four_workers_count_together_in_redis(url: str, redis_url: str) -> None:
    limits: dict[str, Any] = {"LIMITS_STORE": redis_url, "LIMITS_REQUESTS": "20/day"}
    with serve(url, "--workers", "4", EXTRAS="limits", **limits) as server:
        headers = server.account() | {"Connection": "close"}
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(lambda _: server.get("/getPosts", headers=headers), range(40)))
        assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 20
    keys = [key.decode() for key in redis.Redis.from_url(redis_url).scan_iter()]
    assert keys
    assert not any("example.com" in key for key in keys)


@needs_redis
def test_guesses_are_counted_and_owners_known_in_redis_too(url: str, redis_url: str) -> None:
    limits: dict[str, Any] = {"LIMITS_STORE": redis_url, "LIMITS_GUESSES": "3/day", "LIMITS_ATTEMPTS": "3/day"}
    with serve(url, "--workers", "4", EXTRAS="limits", **limits) as server:
        email = sign_up(server, "192.0.2.1")
        assert [log_in(server, email, f"192.0.2.{n}").status_code for n in (2, 3, 4, 5)] == [401, 401, 401, 429]
        answers = [log_in(server, email, "192.0.2.1", PASSWORD).status_code for _ in range(5)]
        assert answers == [200] * 5


@pytest.mark.parametrize("kind", ["refuses", "is silent"])
def test_while_the_store_is_down_each_worker_counts_for_itself_and_the_log_says_so_once(url: str, kind: str) -> None:
    with socket.socket() as store:
        store.bind(("127.0.0.1", 0))
        if kind == "is silent":
            store.listen()
        redis_url = f"redis://user:s3cret@127.0.0.1:{store.getsockname()[1]}"
        limits: dict[str, Any] = {"LIMITS_STORE": redis_url, "LIMITS_REQUESTS": "2/day", "LIMITS_LOGIN": "2/day"}
        with serve(url, EXTRAS="limits", **limits) as server:
            headers = server.account()
            for _ in range(2):
                assert server.get("/getPosts", headers=headers).status_code == 200
                assert log_in(server, "nobody@example.com", "192.0.2.1").status_code == 401
            assert is_refused(server.get("/getPosts", headers=headers))
            assert is_refused(log_in(server, "nobody@example.com", "192.0.2.1"))
            assert server.log.count("LIMITS_STORE is down") == 1
            assert "s3cret" not in server.log


@needs_redis
def test_a_flood_switches_no_limit_off(url: str, redis_url: str) -> None:
    limits: dict[str, Any] = {"LIMITS_STORE": redis_url, "LIMITS_LOGIN": "10/day"}
    with serve(url, EXTRAS="limits", **limits) as server:
        guess = [logging_in("nobody@example.com")] * 500
        answers = at_once(guess, str(server.base_url))
        assert answers == {401: 10, 429: 490}
        assert "LIMITS_STORE" not in server.log


def test_a_window_is_as_long_as_ever_when_the_clock_is_set_back() -> None:
    code = """
import asyncio, time
import limits
from extras.limits.store import Memory, Store

store, now = Store(Memory(), {"login": limits.parse("1/minute")}), time.time
assert not asyncio.run(store.hit("login", "ada")).exceeded
time.time = lambda: now() - 3600
assert asyncio.run(store.hit("login", "ada")).exceeded
print(asyncio.run(store.hit("login", "ada")).reset)
"""
    environment = os.environ | {"DATABASE_URL": "sqlite://"}
    assert 50 < int(subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=environment, timeout=60)) <= 60


@needs_redis
def test_services_that_share_a_store_share_no_counts(url: str, redis_url: str) -> None:
    limits: dict[str, Any] = {"EXTRAS": "limits", "LIMITS_STORE": redis_url, "LIMITS_LOGIN": "1/day"}
    with new_database() as other, serve(url, **limits) as server, serve(other, **limits) as another:
        for each in (server, another):
            assert log_in(each, "nobody@example.com", "192.0.2.1").status_code == 401
    with serve(url, **limits, LIMITS_PREFIX="mine") as server:
        assert log_in(server, "nobody@example.com", "192.0.2.1").status_code == 401
    assert any(key.startswith(b"mine") for key in redis.Redis.from_url(redis_url).scan_iter())


@pytest.mark.parametrize("shared", [False, pytest.param(True, marks=needs_redis)])
def test_right_passwords_use_up_no_attempts_also_at_once(
    url: str, shared: bool, request: pytest.FixtureRequest
) -> None:
    store = request.getfixturevalue("redis_url") if shared else ""
    with serve(url, EXTRAS="limits,account", LIMITS_STORE=store, LIMITS_ATTEMPTS="3/day") as server:
        headers = server.account(email := f"{uuid.uuid4().hex}@example.com")
        assert at_once([logging_in(email)] * 20, str(server.base_url)) == {200: 20}
        same = {"current_password": PASSWORD, "new_password": PASSWORD}
        for _ in range(4):
            assert server.post("/changePassword", json=same, headers=headers).status_code == 204


def test_what_can_be_no_login_is_not_counted(url: str) -> None:
    with serve(url, EXTRAS="limits", LIMITS_ATTEMPTS="2/day", LIMITS_GUESSES="2/day", LIMITS_LOGIN="5/day") as server:
        server.account(email := f"{uuid.uuid4().hex}@example.com")
        guess = json.dumps({"email": email, "password": "wrong horse"})
        for content_type in ("text/plain", "application/x-www-form-urlencoded", ""):
            for _ in range(3):
                answer = server.post("/login", content=guess, headers={"Content-Type": content_type})
                assert answer.status_code == 422
        for _ in range(3):
            assert server.post("/login", json={"email": email}).status_code == 422
        assert server.post("/login", json={"email": email, "password": PASSWORD}).status_code == 200


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/+JSON ; a=b", "application/+json", "application/a+json", "application/"],
)
def test_whatever_type_fastapi_reads_as_json_is_counted(url: str, content_type: str) -> None:
    with serve(url, EXTRAS="limits", LIMITS_LOGIN="2/day") as server:
        login = json.dumps({"email": "nobody@example.com", "password": "wrong horse"})
        answers = [server.post("/login", content=login, headers={"Content-Type": content_type}) for _ in range(3)]
        assert [answer.status_code for answer in answers] in ([401, 401, 429], [422, 422, 422])


def test_who_uses_up_the_requests_does_not_keep_the_owner_from_ending_the_sessions(url: str) -> None:
    with serve(url, EXTRAS="limits,account", LIMITS_REQUESTS="1/day", LIMITS_REVOCATIONS="2/day") as server:
        headers = server.account()
        server.get("/getPosts", headers=headers)
        assert is_refused(server.get("/getPosts", headers=headers))
        assert server.delete("/sessions/999999", headers=headers).status_code == 404
        assert server.post("/logoutAll", headers=headers).status_code == 204


@pytest.mark.parametrize("workers", [1, 4])
def test_quotas_are_exact_when_many_posts_come_at_once(url: str, workers: int) -> None:
    with serve(url, "--workers", str(workers), EXTRAS="limits", LIMITS_POSTS="10", LIMITS_BYTES="1000") as server:
        for size, allowed, detail in (
            (1, 10, "The limit of posts is 10, and you have 10: delete some."),
            (300, 3, "The limit of bytes is 1000, you have 900, and this is 300 more."),
        ):
            headers = server.account() | {"Connection": "close"}
            together = threading.Barrier(24)

            def add(_: int, text: str = "x" * size, account: dict[str, str] = headers) -> httpx2.Response:
                together.wait()  # noqa: B023
                return server.post("/addPost", json={"text": text}, headers=account)

            with ThreadPoolExecutor(24) as threads:
                answers = list(threads.map(add, range(24)))
            assert sorted(answer.status_code for answer in answers) == [201] * allowed + [403] * (24 - allowed)
            assert {answer.json()["detail"] for answer in answers if answer.status_code == 403} == {detail}
            assert len(server.get("/getPosts", headers=headers).json()) == allowed
            last = server.get("/getPosts", headers=headers).json()[0]["postID"]
            server.delete(f"/deletePost/{last}", headers=headers)
            assert server.post("/addPost", json={"text": "x" * size}, headers=headers).status_code == 201
        assert "403" in server.get("/openapi.json").json()["paths"]["/addPost"]["post"]["responses"]


def usage(url: str) -> list[tuple[int, int]]:
    """What the accounts hold by the running totals, and what they do hold."""
    counted = "SELECT COUNT(*), COALESCE(SUM(size), 0) FROM posts"
    with sa.create_engine(url, poolclass=sa.NullPool).connect() as connection:
        totals = "SELECT COALESCE(SUM(posts), 0), COALESCE(SUM(bytes), 0) FROM limits_usage"
        return [(int(row[0]), int(row[1])) for sql in (totals, counted) for row in connection.execute(sa.text(sql))]


@pytest.mark.parametrize("extras", ["limits,editing,account", "fast,limits", "fast,editing,limits"])
def test_the_running_total_follows_each_post_edit_and_delete(extras: str) -> None:
    chance = random.Random(extras)
    with new_database() as url, serve(url, EXTRAS=extras, LIMITS_POSTS="8", LIMITS_BYTES="200") as server:
        headers = server.account()
        held: dict[int, int] = {}
        for _ in range(60):
            post_id, size = chance.choice([*held, 0]), chance.choice([1, 20, 60])
            if chance.random() < 0.3:
                refused = server.delete(f"/deletePost/{post_id or 10**6}", headers=headers).status_code == 404
                assert refused != (held.pop(post_id, None) is not None)
            elif post_id and "editing" in extras:
                grown = sum(held.values()) - held[post_id] + size
                answer = server.put(
                    f"/editPost/{post_id}", json={"text": "é" * (size // 2) + "x" * (size % 2)}, headers=headers
                )
                fits = grown <= 200 or size <= held[post_id]
                assert answer.status_code == (200 if fits else 403)
                held |= {post_id: size} if fits else {}
            else:
                answer = server.post("/addPost", json={"text": "x" * size}, headers=headers)
                fits = len(held) < 8 and sum(held.values()) + size <= 200
                assert answer.status_code == (201 if fits else 403)
                held |= {answer.json()["postID"]: size} if fits else {}
            assert usage(url) == [(len(held), sum(held.values()))] * 2


def test_a_quota_asks_the_total_and_counts_no_posts() -> None:
    with new_database() as url, serve(url, EXTRAS="limits", LIMITS_POSTS="10") as server:
        headers = server.account()
        for _ in range(2):
            assert server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 201
        with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
            connection.execute(sa.text("UPDATE limits_usage SET posts = 10"))
        refused = server.post("/addPost", json={"text": "hi"}, headers=headers)
        assert refused.json() == {"detail": "The limit of posts is 10, and you have 10: delete some."}


def test_posts_from_when_there_were_no_quotas_count() -> None:
    with new_database() as url:
        with serve(url, EXTRAS="limits", LIMITS_POSTS="10") as server:
            headers = server.account()
            assert server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 201
        with serve(url, EXTRAS="") as server:
            for _ in range(2):
                server.post("/addPost", json={"text": "hi"}, headers=headers)
        with serve(url, EXTRAS="limits", LIMITS_POSTS="4") as server:
            answers = [server.post("/addPost", json={"text": "hi"}, headers=headers).status_code for _ in range(2)]
    assert answers == [201, 403]


@pytest.mark.parametrize("extras", ["limits,idempotency", "fast,limits,idempotency"])
def test_a_refused_post_does_not_bring_back_the_total_of_when_the_quotas_were_off(extras: str) -> None:
    with new_database() as url:
        with serve(url, EXTRAS=extras, LIMITS_POSTS="5") as server:
            headers = server.account()
            assert server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 201
        with serve(url, EXTRAS="") as server:
            for _ in range(4):
                assert server.post("/addPost", json={"text": "hi"}, headers=headers).status_code == 201
        with serve(url, EXTRAS=extras, LIMITS_POSTS="5") as server:
            for key in ("a", "b", "", "c"):
                keyed = headers | ({"Idempotency-Key": key} if key else {})
                assert server.post("/addPost", json={"text": "hi"}, headers=keyed).status_code == 403


def test_a_stolen_token_is_no_way_to_guess_the_password(url: str) -> None:
    with serve(url, EXTRAS="limits,account", LIMITS_ATTEMPTS="3/day") as server:
        headers = server.account()
        for _ in range(3):
            guess = {"current_password": "wrong horse", "new_password": "another horse"}
            assert server.post("/changePassword", json=guess, headers=headers).status_code == 403
        for path, body in ("/changePassword", guess), ("/deleteAccount", {"password": "wrong horse"}):
            assert is_refused(server.post(path, json=body, headers=headers))
        assert server.get("/getPosts", headers=headers).status_code == 200


def test_refresh_tokens_are_traded_as_often_as_logins_are_allowed(url: str) -> None:
    with serve(url, EXTRAS="limits,account", LIMITS_LOGIN="2/day") as server:
        for content in (b"x" * 20_000, b"{}"):
            trade = server.post("/refreshToken", content=content, headers={"Content-Type": "application/json"})
            assert not is_refused(trade)
        assert is_refused(server.post("/refreshToken", json={"refresh_token": "x"}))
        assert is_refused(log_in(server, "nobody@example.com", "127.0.0.1"))
        assert "429" in server.get("/openapi.json").json()["paths"]["/refreshToken"]["post"]["responses"]


@pytest.mark.parametrize("extras", ["limits,logs", "logs,fast,limits", "logs,limits,fast"])
def test_the_log_says_who_was_refused_where_and_by_which_limit(url: str, extras: str) -> None:
    with serve(url, EXTRAS=extras, LIMITS_LOGIN="1/day", LIMITS_REQUESTS="1/day") as server:
        headers = server.account()
        for _ in range(2):
            server.get("/getPosts", headers=headers)
            log_in(server, "nobody@example.com", "192.0.2.1")
        server.process.terminate()
        server.process.wait(30)
        lines = [json.loads(line) for line in server.log.splitlines()]
    list_, login = (line for line in lines if line.get("status") == 429)
    assert (list_["route"], login["route"]) == ("/getPosts", "/login")
    assert list_["account"] > 0
    (event,) = (line for line in lines if line["message"] == "limited login by=login")
    assert event["request_id"] == login["request_id"]


def test_an_edit_cannot_pass_the_quota(url: str) -> None:
    with serve(url, EXTRAS="limits,editing", LIMITS_POSTS="1", LIMITS_BYTES="10") as server:
        headers = server.account()
        post_id = server.post("/addPost", json={"text": "12345"}, headers=headers).json()["postID"]
        edit = f"/editPost/{post_id}"
        assert server.put(edit, json={"text": "x" * 11}, headers=headers).status_code == 403
        assert server.put(edit, json={"text": "x" * 10}, headers=headers).status_code == 200


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("LIMITS_LOGIN", "many"),
        ("LIMITS_LOGIN", "0/minute"),
        ("LIMITS_LOGIN", "1/second; 5/minute"),
        ("LIMITS_POSTS", "-1"),
        ("LIMITS_STORE", "memcached://user:s3cret@x"),
    ],
)
def test_a_bad_setting_ends_the_start_with_one_line(url: str, variable: str, value: str) -> None:
    settings: dict[str, Any] = {"EXTRAS": "limits", variable: value}
    with serve(url, wait=False, **settings) as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith(f"{variable} is ")
        assert server.log.count("\n") == 1
        assert "s3cret" not in server.log
