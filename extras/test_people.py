"""The extras for people side by side: what each adds is there, whichever comes first."""

from collections.abc import Callable

import pytest

from test_app import Server, new_database, serve

ORIGIN = "https://a.example"


def account_works(server: Server) -> None:
    assert [session["current"] for session in server.get("/sessions", headers=server.account()).json()] == [True]


def editing_works(server: Server) -> None:
    headers = server.account()
    post = server.post("/addPost", json={"text": "old"}, headers=headers).json()
    assert server.put(f"/editPost/{post['postID']}", json={"text": "new"}, headers=headers).json()["version"]


def idempotency_works(server: Server) -> None:
    headers = {**server.account(), "Idempotency-Key": "8e03978e"}
    answers = [server.post("/addPost", json={"text": "hi"}, headers=headers) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotent-Replayed"] == "true"


def offline_docs_work(server: Server) -> None:
    assert 'src="/docs/assets/swagger-ui-' in server.get("/docs").text


def cors_works(server: Server) -> None:
    assert server.get("/nowhere", headers={"Origin": ORIGIN}).headers["Access-Control-Allow-Origin"] == ORIGIN


WORKS: dict[str, Callable[[Server], None]] = {
    "account": account_works,
    "editing": editing_works,
    "idempotency": idempotency_works,
    "offline_docs": offline_docs_work,
    "cors": cors_works,
}


@pytest.mark.parametrize("names", [tuple(WORKS), tuple(WORKS)[::-1]], ids=",".join)
def test_they_work_together(names: tuple[str, ...]) -> None:
    with new_database() as url, serve(url, EXTRAS=",".join(names), CORS_ORIGINS=ORIGIN) as server:
        for name in names:
            WORKS[name](server)
        schema = server.get("/openapi.json").json()
        answers = schema["components"]["schemas"]
        assert "refresh_token" in answers["AccessToken"]["properties"]
        assert "version" in answers["Post"]["properties"]
        assert "Traceback" not in server.log
