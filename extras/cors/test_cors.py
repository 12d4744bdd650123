from collections.abc import Iterator

import pytest

from test_app import Server, new_database, serve, talk

ORIGIN = "https://a.example"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with new_database() as url, serve(url, EXTRAS="cors", CORS_ORIGINS=f"{ORIGIN}, http://localhost:5173") as server:
        yield server


def preflight(server: Server, origin: str) -> tuple[int, str | None]:
    asked = {"Access-Control-Request-Method": "DELETE", "Access-Control-Request-Headers": "authorization,if-match"}
    answer = server.options("/deletePost/1", headers={"Origin": origin, **asked})
    if answer.status_code == 200:
        assert "DELETE" in answer.headers["Access-Control-Allow-Methods"]
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
    else:
        assert answer.json() == {"detail": "Disallowed CORS origin."}
    return answer.status_code, answer.headers.get("Access-Control-Allow-Origin")


@pytest.mark.parametrize("origin", [ORIGIN, "http://localhost:5173"])
def test_a_listed_origin_may(server: Server, origin: str) -> None:
    assert preflight(server, origin) == (200, origin)
    answer = server.get("/getPosts", headers=server.account() | {"Origin": origin})
    assert answer.headers["Access-Control-Allow-Origin"] == origin
    exposed = answer.headers["Access-Control-Expose-Headers"].split(", ")
    assert {"ETag", "Idempotent-Replayed", "Link", "RateLimit", "Retry-After", "X-Request-ID"} <= set(exposed)
    assert {"Authorization", "Origin"} <= set(answer.headers["Vary"].split(", "))
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin", ["https://b.example", "http://a.example", f"{ORIGIN}.evil", f"{ORIGIN}:8443", "null"]
)
def test_any_other_may_not(server: Server, origin: str) -> None:
    assert preflight(server, origin) == (400, None)
    assert "Access-Control-Allow-Origin" not in server.get("/getPosts", headers={"Origin": origin}).headers


def test_refusals_can_be_read_too(server: Server) -> None:
    large = server.post("/signup", content=b"x" * 20_000, headers={"Origin": ORIGIN})
    unknown = server.get("/nowhere", headers={"Origin": ORIGIN})
    assert (large.status_code, unknown.status_code) == (413, 404)
    assert large.headers["Access-Control-Allow-Origin"] == unknown.headers["Access-Control-Allow-Origin"] == ORIGIN


def test_every_origin_may_with_a_star() -> None:
    with new_database() as url, serve(url, EXTRAS="cors", CORS_ORIGINS="*") as server:
        assert preflight(server, "https://b.example") == (200, "*")


def test_credentials_go_with_names() -> None:
    with new_database() as url, serve(url, EXTRAS="cors", CORS_ORIGINS=ORIGIN, CORS_CREDENTIALS="1") as server:
        assert preflight(server, ORIGIN) == (200, ORIGIN)
        answer = server.get("/getPosts", headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert preflight(server, "https://b.example") == (400, None)


@pytest.mark.parametrize(
    ("origins", "credentials"),
    [
        ("", ""),
        ("*", "1"),
        (ORIGIN, "yes"),
        (f"{ORIGIN}/", ""),
        (f"{ORIGIN}/path", ""),
        (f"{ORIGIN}:443", ""),
        ("https://A.example", ""),
        ("https://*.example", ""),
        ("a.example", ""),
        ("null", ""),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(origins: str, credentials: str) -> None:
    settings = {"EXTRAS": "cors", "CORS_ORIGINS": origins, "CORS_CREDENTIALS": credentials}
    with serve("sqlite://", wait=False, **settings) as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith("CORS_")
        assert server.log.count("\n") == 1


@pytest.mark.parametrize("origin", ["https://a.example", "https://elsewhere.example"])
def test_a_preflight_that_upgrades_is_the_last_of_its_connection(server: Server, origin: str) -> None:
    head = f"OPTIONS /getPosts HTTP/1.1\r\nHost: x\r\nOrigin: {origin}\r\nAccess-Control-Request-Method: GET\r\n"
    smuggled = b"GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n"
    for length in (0, len(smuggled)):
        upgrade = f"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: {length}\r\n\r\n"
        answer = talk(server, (head + upgrade).encode(), smuggled)
        assert answer.count(b"HTTP/1.1 ") == 1
        assert b"\r\nconnection: close\r\n" in answer.lower()
    assert "/smuggled" not in server.log
