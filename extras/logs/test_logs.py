import json
import logging
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from extras.logs import JsonFormatter
from test_app import Server, new_database, serve, wait_until

SECRET = "s3cret-Zq9xW4"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="logs,health") as server:
        yield server


def lines(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log.splitlines()]


def line_of(server: Server, request_id: str, logger: str = "access") -> dict[str, Any]:
    """The line of a request, which may be written a moment after its answer."""

    def found() -> list[dict[str, Any]]:
        whole = [json.loads(line) for line in server.log.splitlines(keepends=True) if line.endswith("\n")]
        return [each for each in whole if (each.get("request_id"), each["logger"]) == (request_id, logger)]

    wait_until(lambda: bool(found()))
    (line,) = found()
    return line


def test_a_request_has_a_line_with_its_account_route_status_duration_and_bytes(server: Server) -> None:
    headers = server.account() | {"X-Request-ID": "list"}
    answer = server.get("/getPosts", headers=headers)
    assert answer.headers["X-Request-ID"] == "list"
    line = line_of(server, "list")
    milliseconds = line.pop("milliseconds")
    assert 0 < milliseconds < 9000
    assert line.pop("time").endswith("Z")
    assert isinstance(line.pop("account"), int)
    assert line == {
        "level": "info",
        "logger": "access",
        "message": '127.0.0.1 - "GET /getPosts HTTP/1.1" 200',
        "request_id": "list",
        "client": "127.0.0.1",
        "method": "GET",
        "route": "/getPosts",
        "status": 200,
        "bytes": len(answer.content),
    }


def test_the_route_is_a_template_and_an_unknown_path_is_none(server: Server) -> None:
    server.delete("/deletePost/4711", headers=server.account() | {"X-Request-ID": "delete"})
    server.get("/nowhere", headers={"X-Request-ID": "nowhere"})
    assert line_of(server, "delete")["route"] == "/deletePost/{postID}"
    assert line_of(server, "nowhere")["route"] is None
    assert "4711" not in server.log


def test_an_event_belongs_to_its_request(server: Server) -> None:
    credentials = {"email": "event@example.com", "password": "correct horse"}
    server.post("/signup", json=credentials, headers={"X-Request-ID": "event"})
    assert line_of(server, "event", "posts")["message"].startswith("signup account=")


def test_uvicorns_lines_have_the_same_shape(server: Server) -> None:
    assert "Application startup complete." in {line["message"] for line in lines(server)}
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines(server))


def test_a_request_has_one_line_and_a_probe_none(server: Server) -> None:
    server.get("/livez", headers={"X-Request-ID": "probe"})
    server.get("/getPosts", headers={"X-Request-ID": "once"})
    assert line_of(server, "once")["route"] == "/getPosts"
    assert '"probe"' not in server.log


@pytest.mark.parametrize("sent", ["", "a b", "x" * 65, 'a","level":"b', "é", "a\tb", "../x"])
def test_a_request_id_that_could_do_harm_is_replaced(server: Server, sent: str) -> None:
    answer = server.get("/livez", headers={b"X-Request-ID": sent.encode()})
    given = answer.headers["X-Request-ID"]
    assert given != sent
    assert len(given) == 32
    assert given.isalnum()


def test_each_request_without_an_id_gets_another(server: Server) -> None:
    assert server.get("/livez").headers["X-Request-ID"] != server.get("/livez").headers["X-Request-ID"]


def test_secrets_stay_out_wherever_they_are_sent(server: Server) -> None:
    credentials = {"email": f"{SECRET}@example.com", "password": SECRET}
    token = server.post("/signup", json=credentials).json()["access_token"]
    server.post("/login", json=credentials)
    server.post("/login", json=credentials | {"password": SECRET + "wrong"})
    server.post("/login", json=credentials | {SECRET: SECRET})
    server.post("/login", content=SECRET)
    headers = {
        "Authorization": f"Bearer {token}",
        "Cookie": SECRET,
        "User-Agent": SECRET,
        "Referer": f"https://{SECRET}/",
        "X-Request-ID": f"{SECRET} {SECRET}",
    }
    server.post("/addPost", json={"text": SECRET}, headers=headers)
    server.get(f"/getPosts?access_token={token}&{SECRET}={SECRET}", headers=headers)
    server.get(f"/{SECRET}/{token}", headers=headers)
    server.delete(f"/deletePost/{SECRET}", headers=headers)
    server.request(SECRET.upper(), "/getPosts")
    server.get("/getPosts", headers={"Authorization": f"Bearer {SECRET}"})
    server.get("/getPosts", headers={"Authorization": f"Basic {SECRET}"})
    assert SECRET.lower() not in server.log.lower()
    assert token not in server.log


@pytest.mark.parametrize("level", ["info", "debug"])
def test_secrets_stay_out_of_the_log_of_an_upgrade_too(url: str, level: str) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    headers = upgrade | {"Sec-WebSocket-Key": "c2l4dGVlbiBsZXR0ZXJzIQ==", "Authorization": f"Bearer {SECRET}"}
    with serve(url, EXTRAS="logs", LOGS_LEVEL=level) as server:
        assert server.get(f"/getPosts?access_token={SECRET}", headers=headers).status_code == 401
        server.process.terminate()
        server.process.wait(30)
        assert SECRET not in server.log


def test_an_error_has_its_types_and_places_but_not_its_text() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RuntimeError(SECRET) from error
    except RuntimeError:
        record = logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, "Failed\r\n", (), sys.exc_info())
    text = JsonFormatter().format(record)
    assert SECRET not in text
    assert "\n" not in text
    line = json.loads(text)
    assert line["message"] == "Failed"
    assert [each["type"] for each in line["error"]] == ["RuntimeError", "ValueError"]
    assert "test_logs.py" in line["error"][0]["at"][0]


def test_with_four_workers_every_line_is_json_the_parents_too(url: str) -> None:
    configuration = ("--log-config", "extras/logs/uvicorn.json", "--workers", "4")
    with serve(url, *configuration, EXTRAS="logs") as server:
        for number in range(20):
            server.get("/getPosts", headers={"X-Request-ID": f"n{number}"})
        server.process.terminate()
        server.process.wait(30)
        ids = [line["request_id"] for line in lines(server) if line["logger"] == "access"]
        assert {f"n{number}" for number in range(20)} <= set(ids)
        assert any(line["message"].startswith("Started parent process") for line in lines(server))


def test_a_level_of_warning_leaves_only_what_went_wrong(url: str) -> None:
    with serve(url, EXTRAS="logs", LOGS_LEVEL="warning") as server:
        server.account("loud@example.com")
        server.post("/login", json={"email": "loud@example.com", "password": "wrong horse"})
        server.process.terminate()
        server.process.wait(30)
        assert [line["message"].split(" account")[0] for line in lines(server)] == ["login refused"]


def test_without_an_access_log_errors_are_lines_of_json_too() -> None:
    with new_database() as url, serve(url, "--no-access-log", EXTRAS="logs") as server:
        headers = server.account()
        engine = sa.create_engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP TABLE posts")
        engine.dispose()
        assert server.get("/getPosts", headers=headers).status_code == 503
        server.process.terminate()
        server.process.wait(30)
        assert "access" not in {line["logger"] for line in lines(server)}


def test_a_bad_level_ends_the_start_with_one_line(url: str) -> None:
    with serve(url, wait=False, EXTRAS="logs", LOGS_LEVEL="loud") as server:
        assert server.process.wait(30) == 3
        assert server.log == "LOGS_LEVEL is the least that is written: debug, info, warning, error.\n"
