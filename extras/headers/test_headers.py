import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from test_app import Server, new_database, serve, talk

TLS = {"X-Forwarded-Proto": "https"}  # which uvicorn believes from 127.0.0.1


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with (
        new_database() as url,
        serve(url, EXTRAS="web,offline_docs,cors,headers", CORS_ORIGINS="https://a.example") as server,
    ):
        yield server


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("GET", "/", 200),
        ("GET", "/getPosts", 401),
        ("GET", "/nowhere", 404),
        ("PUT", "/getPosts", 405),
        ("POST", "/login", 422),
        ("OPTIONS", "/getPosts", 400),  # a preflight that the extra `cors` refuses
    ],
)
def test_every_answer_has_them(server: Server, method: str, path: str, status: int) -> None:
    preflight = {"Origin": "https://b.example", "Access-Control-Request-Method": "GET"} if method == "OPTIONS" else {}
    answer = server.request(method, path, headers=preflight)
    assert answer.status_code == status
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in answer.headers


def test_a_refused_upgrade_has_them_too(server: Server) -> None:
    head = b"POST /login HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 2\r\n\r\n"
    answer = talk(server, head)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"\r\nconnection: close\r\n" in answer
    assert b"\r\nx-content-type-options: nosniff\r\n" in answer


def test_an_unforeseen_error_has_them_too(tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/routes.py").write_text("def setup(app):\n    app.get('/fails')(lambda: 1 / 0)\n")
    with new_database() as url, serve(url, EXTRAS="broken.routes,headers", PYTHONPATH=str(tmp_path)) as server:
        answer = server.get("/fails")
    assert (answer.status_code, answer.headers["X-Content-Type-Options"]) == (500, "nosniff")


def test_tokens_are_never_stored_and_lists_keep_their_own_rule(server: Server) -> None:
    credentials = {"email": "ada@example.com", "password": "correct horse"}
    signup = server.post("/signup", json=credentials)
    login = server.post("/login", json=credentials)
    assert signup.headers.get_list("Cache-Control") == login.headers.get_list("Cache-Control") == ["no-store"]
    account = {"Authorization": f"Bearer {login.json()['access_token']}"}
    assert server.get("/getPosts", headers=account).headers["Cache-Control"] == "private, no-cache"
    added = server.post("/addPost", json={"text": "hi"}, headers=account)
    assert added.headers["Cache-Control"] == "no-store"


def test_an_answer_does_nothing_in_a_browser_and_a_page_keeps_its_own_policy(server: Server) -> None:
    assert server.get("/getPosts").headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert server.get("/").headers.get_list("Content-Security-Policy") != ["default-src 'none'; frame-ancestors 'none'"]
    assert "jsdelivr" not in server.get("/docs").headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/docs", "/redoc"])
def test_pages_whose_scripts_come_from_a_cdn_may_send_nothing_elsewhere(path: str) -> None:
    with new_database() as url, serve(url, EXTRAS="headers") as server:
        page = server.get(path)
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert set(re.findall('src="(https://[^/]*)', page.text)) <= set(policy.replace(";", " ").split())


def test_https_is_remembered(server: Server) -> None:
    assert server.get("/getPosts", headers=TLS).headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_stranger_cannot_claim_https() -> None:
    with new_database() as url, serve(url, "--forwarded-allow-ips", "192.0.2.1", EXTRAS="headers") as server:
        assert "Strict-Transport-Security" not in server.get("/getPosts", headers=TLS).headers
