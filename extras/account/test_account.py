from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from threading import Barrier
from typing import Any

import httpx2
import pytest
import sqlalchemy as sa

from test_app import Server, new_database, serve

PASSWORD = "correct horse"
HOUR = 3_600_000


class Service:
    """Two processes on one database: what one ends, the other must not take."""

    def __init__(self, here: Server, there: Server, engine: sa.Engine) -> None:
        self.here, self.there, self.engine = here, there, engine
        self.people = 0

    def sign_up(self) -> tuple[str, dict[str, Any]]:
        self.people += 1
        email = f"person{self.people}@example.com"
        return email, self.here.post("/signup", json={"email": email, "password": PASSWORD}).json()

    def log_in(self, email: str, password: str = PASSWORD) -> httpx2.Response:
        return self.here.post("/login", json={"email": email, "password": password})

    def trade(self, pair: dict[str, Any], server: Server | None = None) -> httpx2.Response:
        return (server or self.here).post("/refreshToken", json={"refresh_token": pair["refresh_token"]})

    def works(self, pair: dict[str, Any]) -> bool:
        return self.there.get("/getPosts", headers=bearer(pair)).status_code == 200

    def execute(self, statement: str, **values: Any) -> Any:
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement), values)
            return result.all() if result.returns_rows else None

    def let_pass(self, milliseconds: int) -> None:
        """What the refresh tokens know of the past is that much longer ago."""
        self.execute("UPDATE account_refresh_tokens SET used_at = used_at - :ms", ms=milliseconds)
        self.execute("UPDATE account_refresh_tokens SET expires_at = expires_at - :ms", ms=milliseconds)


def bearer(pair: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {pair['access_token']}"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with new_database() as url, serve(url, EXTRAS="account") as here, serve(url, EXTRAS="account") as there:
        engine = sa.create_engine(url)
        yield Service(here, there, engine)
        assert "Traceback" not in here.log + there.log
        engine.dispose()


def test_signup_and_login_each_begin_a_session(service: Service) -> None:
    email, first = service.sign_up()
    second = service.log_in(email).json()
    answer = service.here.get("/sessions", headers=bearer(second))
    sessions = answer.json()
    assert [session["current"] for session in sessions] == [True, False]
    assert sessions[0]["sessionID"] > sessions[1]["sessionID"]
    assert sessions[0].keys() == {"sessionID", "createdAt", "lastUsedAt", "expiresAt", "current"}
    assert all(sessions[0][time].endswith("Z") for time in ("createdAt", "lastUsedAt", "expiresAt"))
    assert not any(
        token in answer.text for pair in (first, second) for token in pair.values() if isinstance(token, str)
    )


def test_a_trade_gives_a_pair_of_the_same_session(service: Service) -> None:
    _, pair = service.sign_up()
    answer = service.trade(pair)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == {"access_token", "token_type", "expires_in", "refresh_token"}
    sessions = service.here.get("/sessions", headers=bearer(answer.json())).json()
    assert [session["current"] for session in sessions] == [True]
    assert service.trade(answer.json()).status_code == 200


def test_the_access_token_that_was_traded_is_good_for_five_more_seconds(service: Service) -> None:
    _, pair = service.sign_up()
    service.trade(pair)
    assert service.works(pair)
    ((left,),) = service.execute("SELECT expires_at - created_at FROM tokens ORDER BY id DESC LIMIT 1 OFFSET 1")
    assert left < 10_000


def test_of_eight_trades_at_once_one_wins_and_the_session_goes_on(service: Service) -> None:
    _, pair = service.sign_up()
    trades = [lambda: service.trade(pair), lambda: service.trade(pair, service.there)]
    answers = at_once(trades * 4)
    assert sorted(answer.status_code for answer in answers) == [200] + [401] * 7
    (new,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert service.works(new)
    assert service.trade(new).status_code == 200


def test_a_used_token_shown_after_the_grace_ends_its_session_alone(service: Service) -> None:
    email, pair = service.sign_up()
    elsewhere = service.log_in(email).json()
    new = service.trade(pair).json()
    newest = service.trade(new).json()
    service.let_pass(5_500)
    answer = service.trade(pair)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert not any(service.works(each) for each in (pair, new, newest))
    assert service.trade(newest).status_code == 401
    assert service.works(elsewhere)


def test_a_token_that_was_used_before_the_clock_was_set_back_ends_its_session(service: Service) -> None:
    _, pair = service.sign_up()
    new = service.trade(pair).json()
    service.let_pass(-60_000)
    assert service.trade(pair).status_code == 401
    assert service.trade(new).status_code == 401


def test_of_two_trades_at_once_the_loser_may_have_the_earlier_clock(service: Service) -> None:
    _, pair = service.sign_up()
    new = service.trade(pair).json()
    service.let_pass(-1_000)
    assert service.trade(pair).status_code == 401
    assert service.trade(new).status_code == 200


def test_the_log_tells_whose_token_was_shown_again_and_in_which_request(service: Service) -> None:
    _, pair = service.sign_up()
    service.trade(pair)
    service.let_pass(5_500)
    url = service.engine.url.render_as_string(hide_password=False)
    with serve(url, EXTRAS="account,logs") as server:
        assert service.trade(pair, server).status_code == 401
        (line,) = (line for line in server.log.splitlines() if "refresh token shown again account=" in line)
        assert "request_id" in line


def test_an_account_has_at_most_100_sessions_also_after_20_logins_at_once(service: Service) -> None:
    email, first = service.sign_up()
    rows = "SELECT user_id, created_at, last_used_at, expires_at - 1 FROM account_sessions ORDER BY id DESC LIMIT 1"
    columns = "user_id, created_at, last_used_at, expires_at"
    for _ in range(130):
        service.execute(f"INSERT INTO account_sessions ({columns}) {rows}")
    pairs = [service.log_in(email).json() for _ in range(2)]
    assert service.works(first)  # of all those before it would end last
    answers = at_once([lambda: service.log_in(email)] * 20)
    assert [answer.status_code for answer in answers] == [200] * 20
    assert len(service.here.get("/sessions", headers=bearer(pairs[-1])).json()) == 100


def test_a_session_knows_its_last_100_refresh_tokens(service: Service) -> None:
    _, pair = service.sign_up()
    for _ in range(110):
        pair = service.trade(pair).json()
    whose = "SELECT user_id FROM tokens ORDER BY id DESC LIMIT 1"
    sessions = f"SELECT id FROM account_sessions WHERE user_id = ({whose})"
    ((count,),) = service.execute(f"SELECT COUNT(*) FROM account_refresh_tokens WHERE session_id IN ({sessions})")
    assert count == 100
    ((count,),) = service.execute(f"SELECT COUNT(*) FROM tokens WHERE user_id = ({whose})")
    assert count == 100
    assert service.works(pair)


def test_expired_and_unknown_refresh_tokens_are_401(service: Service) -> None:
    _, pair = service.sign_up()
    service.let_pass(31 * 24 * HOUR)
    assert service.trade(pair).status_code == 401
    assert service.works(pair)  # which has its own time
    assert service.trade({"refresh_token": "x"}).status_code == 401
    assert service.here.post("/refreshToken", json={}).status_code == 422


def test_no_refresh_token_is_in_the_database(service: Service) -> None:
    _, pair = service.sign_up()
    rows = service.execute("SELECT * FROM account_refresh_tokens")
    assert rows
    assert pair["refresh_token"] not in str(rows)


def test_logout_ends_the_session_everywhere(service: Service) -> None:
    email, pair = service.sign_up()
    elsewhere = service.log_in(email).json()
    new = service.trade(pair).json()
    assert service.here.post("/logout", headers=bearer(new)).status_code == 204
    assert not service.works(new)
    assert not service.works(pair)  # though its five seconds are not over
    assert service.trade(new).status_code == 401
    assert service.works(elsewhere)


def test_logout_all_ends_every_session(service: Service) -> None:
    email, pair = service.sign_up()
    elsewhere = service.log_in(email).json()
    assert service.here.post("/logoutAll", headers=bearer(pair)).status_code == 204
    assert not service.works(pair)
    assert not service.works(elsewhere)
    assert service.trade(elsewhere).status_code == 401


def test_nothing_that_is_traded_survives_a_logout_all_at_the_same_time(service: Service) -> None:
    for _ in range(5):
        email, pair = service.sign_up()
        others = [service.log_in(email).json() for _ in range(2)]
        leave = lambda pair=pair: service.there.post("/logoutAll", headers=bearer(pair))  # noqa: E731
        trades = [lambda other=other: service.trade(other) for other in others]
        answers = at_once([leave, *trades])
        assert {answer.status_code for answer in answers} <= {204, 200, 401}
        assert not any(service.works(answer.json()) for answer in answers if answer.status_code == 200)


def test_a_session_can_be_ended_from_another(service: Service) -> None:
    email, pair = service.sign_up()
    elsewhere = service.log_in(email).json()
    (session,) = (each for each in sessions_of(service, pair) if not each["current"])
    url = f"/sessions/{session['sessionID']}"
    assert service.here.delete(url, headers=bearer(pair)).status_code == 204
    assert not service.works(elsewhere)
    assert service.works(pair)
    assert service.here.delete(url, headers=bearer(pair)).status_code == 404


def test_somebody_elses_session_is_404(service: Service) -> None:
    _, pair = service.sign_up()
    _, stranger = service.sign_up()
    (session,) = sessions_of(service, pair)
    answer = service.here.delete(f"/sessions/{session['sessionID']}", headers=bearer(stranger))
    assert answer.status_code == 404
    assert service.works(pair)


def test_last_used_is_written_down_but_not_with_each_request(service: Service) -> None:
    _, pair = service.sign_up()
    forget = "UPDATE account_sessions SET last_used_at = 0"
    latest = "SELECT MAX(last_used_at) FROM account_sessions"
    service.execute(forget)
    for noted in (True, False):
        service.here.get("/getPosts", headers=bearer(pair))
        service.here.post("/addPost", json={"text": "written after the note"}, headers=bearer(pair))
        assert bool(service.execute(latest)[0][0]) is noted
        service.execute(forget)


def test_a_new_password_ends_the_other_sessions_and_keeps_this_one(service: Service) -> None:
    email, pair = service.sign_up()
    elsewhere = service.log_in(email).json()
    new = service.trade(pair).json()
    body = {"current_password": PASSWORD, "new_password": "battery staple"}
    # Asked with the token that was traded: the new pair is the same session's.
    assert service.here.post("/changePassword", json=body, headers=bearer(pair)).status_code == 204
    assert service.works(new)
    assert not service.works(elsewhere)
    assert service.trade(elsewhere).status_code == 401
    assert service.trade(new).status_code == 200
    assert service.log_in(email).status_code == 401
    assert service.log_in(email, "battery staple").status_code == 200


def test_who_logs_in_while_the_same_password_is_set_anew_is_let_in(service: Service) -> None:
    email, pair = service.sign_up()
    change = {"current_password": PASSWORD, "new_password": PASSWORD}
    changes = [lambda: service.here.post("/changePassword", json=change, headers=bearer(pair))] * 6
    answers = at_once([*changes, *[lambda: service.log_in(email)] * 6])
    assert {answer.status_code for answer in answers} == {200, 204}


ENDS = {
    "/logoutAll": None,
    "/changePassword": {"current_password": PASSWORD, "new_password": "another horse"},
    "/deleteAccount": {"password": PASSWORD},
}


@pytest.mark.parametrize("path", ENDS)
def test_thousands_of_sessions_from_before_they_were_bounded_end_in_steps(service: Service, path: str) -> None:
    email, pair = service.sign_up()
    _, other = service.sign_up()
    ((user_id,),) = service.execute("SELECT id FROM users WHERE email = :email", email=email)
    far = 2 * 10**12
    tables = sa.MetaData()
    tables.reflect(service.engine)
    with service.engine.begin() as connection:
        for name, column in ("tokens", "user_id"), ("account_sessions", "user_id"):
            columns = {each.name for each in tables.tables[name].columns} - {"id", "digest"}
            rows = [dict.fromkeys(columns, far) | {column: user_id} for _ in range(2500)]
            digests = [{"digest": f"{user_id}-{number}"} if name == "tokens" else {} for number in range(2500)]
            connection.execute(tables.tables[name].insert(), [a | b for a, b in zip(rows, digests, strict=True)])
        ((newest,),) = connection.execute(sa.text("SELECT MAX(id) FROM account_sessions"))
        used = {"session_id": newest, "token_id": 0, "expires_at": far, "used_at": 1}
        connection.execute(
            tables.tables["account_refresh_tokens"].insert(),
            [used | {"digest": f"{user_id}-{number}"} for number in range(2500)],
        )
    assert service.here.post(path, json=ENDS[path], headers=bearer(pair)).status_code == 204
    left = {"/logoutAll": 0, "/changePassword": 1, "/deleteAccount": 0}[path]
    for name in ("tokens", "account_sessions"):
        assert service.execute(f"SELECT COUNT(*) FROM {name} WHERE user_id = :id", id=user_id) == [(left,)]
    assert service.works(pair) == bool(left)
    assert service.works(other)


def test_a_wrong_or_short_password_changes_nothing(service: Service) -> None:
    email, pair = service.sign_up()
    wrong = {"current_password": "wrong horse", "new_password": "battery staple"}
    short = {"current_password": PASSWORD, "new_password": "short"}
    assert service.here.post("/changePassword", json=wrong, headers=bearer(pair)).status_code == 403
    answer = service.here.post("/changePassword", json=short, headers=bearer(pair))
    assert answer.status_code == 422
    assert PASSWORD not in answer.text
    assert (
        service.here.post("/deleteAccount", json={"password": "wrong horse"}, headers=bearer(pair)).status_code == 403
    )
    assert service.log_in(email).status_code == 200


def test_an_account_is_not_deleted_by_a_password_that_is_changed_meanwhile(service: Service) -> None:
    email, pair = service.sign_up()
    delete = partial(service.here.post, "/deleteAccount", json={"password": PASSWORD}, headers=bearer(pair))
    with ThreadPoolExecutor(1) as pool, service.engine.begin() as connection:
        change = "UPDATE users SET password_hash = 'scrypt$4$8$1$AAAA$AAAA' WHERE email = :email"
        connection.execute(sa.text(change), {"email": email})
        answer = pool.submit(delete)
        wait([answer], 1)  # until it has found the old password right, and waits for this transaction
        connection.commit()
        assert answer.result().status_code == 403
    assert service.works(pair)


def test_a_deleted_account_leaves_nothing_in_any_table() -> None:
    with new_database() as url, serve(url, EXTRAS="account") as server:
        credentials = {"email": "ada@example.com", "password": PASSWORD}
        pair = server.post("/signup", json=credentials).json()
        pair = server.post("/refreshToken", json={"refresh_token": pair["refresh_token"]}).json()
        for number in range(60):  # more than one step deletes
            server.post("/addPost", json={"text": f"{number}"}, headers=bearer(pair))
        answer = server.post("/deleteAccount", json={"password": PASSWORD}, headers=bearer(pair))
        assert answer.status_code == 204
        assert server.get("/getPosts", headers=bearer(pair)).status_code == 401
        assert server.post("/login", json=credentials).status_code == 401
        engine = sa.create_engine(url)
        tables = set(sa.inspect(engine).get_table_names()) - {"sqlite_sequence"}
        assert {"users", "tokens", "posts", "account_sessions", "account_refresh_tokens"} <= tables
        with engine.connect() as connection:
            counts = {t: connection.execute(sa.text(f"SELECT COUNT(*) FROM {t}")).scalar() for t in tables}
        engine.dispose()
        assert not any(counts.values()), counts
        assert server.post("/signup", json=credentials).status_code == 201


def test_the_export_holds_everything_and_no_secret(service: Service) -> None:
    email, pair = service.sign_up()
    texts = [f"{number}" * 700_000 for number in range(4)]  # more than one page
    for text in texts:
        service.here.post("/addPost", json={"text": text}, headers=bearer(pair))
    answer = service.there.get("/exportData", headers=bearer(pair))
    assert answer.headers["Content-Disposition"] == 'attachment; filename="posts-export.json"'
    assert answer.headers["Cache-Control"] == "no-store"
    export = answer.json()
    assert export.keys() == {"account", "sessions", "posts"}
    assert export["account"]["email"] == email
    assert [session["current"] for session in export["sessions"]] == [True]
    assert [post["text"] for post in export["posts"]] == texts[::-1]
    assert "scrypt" not in answer.text


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/logout"),
        ("POST", "/logoutAll"),
        ("GET", "/sessions"),
        ("DELETE", "/sessions/1"),
        ("POST", "/changePassword"),
        ("POST", "/deleteAccount"),
        ("GET", "/exportData"),
    ],
)
def test_without_a_token_it_is_401(service: Service, method: str, path: str) -> None:
    answer = service.here.request(method, path, json={"current_password": PASSWORD, "new_password": PASSWORD})
    if path == "/deleteAccount":
        answer = service.here.request(method, path, json={"password": PASSWORD})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_large_body_is_413(service: Service) -> None:
    assert service.here.post("/refreshToken", json={"refresh_token": "x" * 16_384}).status_code == 413


def test_openapi_shows_the_refresh_token(service: Service) -> None:
    schema = service.here.get("/openapi.json").json()
    assert "refresh_token" in schema["components"]["schemas"]["AccessToken"]["required"]


def test_a_token_from_before_the_extra_can_be_ended() -> None:
    with new_database() as url:
        with serve(url, EXTRAS="") as server:
            headers = server.account()
        with serve(url, EXTRAS="account") as server:
            assert server.get("/sessions", headers=headers).json() == []
            assert server.post("/logout", headers=headers).status_code == 204
            assert server.get("/sessions", headers=headers).status_code == 401


def test_a_bad_lifetime_ends_the_start() -> None:
    with new_database() as url, serve(url, wait=False, EXTRAS="account", ACCOUNT_REFRESH_TTL="30 days") as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith("ACCOUNT_REFRESH_TTL is")


def sessions_of(service: Service, pair: dict[str, Any]) -> list[dict[str, Any]]:
    sessions: list[dict[str, Any]] = service.here.get("/sessions", headers=bearer(pair)).json()
    return sessions


def at_once(calls: list[Callable[[], httpx2.Response]]) -> list[httpx2.Response]:
    barrier = Barrier(len(calls))

    def call(function: Callable[[], httpx2.Response]) -> httpx2.Response:
        barrier.wait()
        return function()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))
