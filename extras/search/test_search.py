import importlib
import random
import unicodedata
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from urllib.parse import urljoin

import httpx2
import pytest
import sqlalchemy as sa

import test_app
from test_app import Server, serve

core = test_app.core


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="fast,search,editing") as server:
        yield server


def add(server: Server, headers: dict[str, str], text: str, status: str = "published") -> int:
    answer = server.post("/addPost", json={"text": text, "status": status}, headers=headers)
    assert answer.status_code == 201, answer.text
    return int(answer.json()["postID"])


def find(server: Server, headers: dict[str, str], text: str, **query: Any) -> httpx2.Response:
    return server.get("/findPosts", params={"text": text, **query}, headers=headers)


def pages(server: Server, headers: dict[str, str], text: str, **query: Any) -> Iterator[list[int]]:
    """The ids on each page, as far as `Link` leads."""
    answer = find(server, headers, text, **query)
    while True:
        assert answer.status_code == 200, answer.text
        yield [post["postID"] for post in answer.json()]
        if "next" not in answer.links:
            return
        answer = server.get(urljoin(str(answer.url), answer.links["next"]["url"]), headers=headers)


@pytest.mark.parametrize(
    ("written", "sought"),
    [
        ("Hello, world", "hello"),
        ("Hello, world", "LO, W"),
        ("Die Straße", "STRASSE"),
        ("Die STRASSE", "straße"),
        ("caf\u00e9", "cafe\u0301"),
        ("cafe\u0301", "CAF\u00c9"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ПРИВЕТ", "привет"),
        ("\uff46\uff55\uff4c\uff4c width", "Full"),
        ("\ufb01ne", "FIN"),
        ("a\u0000b", "A\u0000B"),
        ("100% _sure_ \\ ' \"", "% _SURE_ \\ ' \""),
        ("\U0001f600 smile", "\U0001f600"),
        ("\u1fb3", "\u0391\u0399"),
    ],
)
def test_a_text_is_found_in_any_letter_case_and_form(server: Server, written: str, sought: str) -> None:
    headers = server.account()
    post_id = add(server, headers, f"before {written} after")
    add(server, headers, "another")
    (found,) = find(server, headers, sought).json()
    assert found == server.get("/getPosts", headers=headers).json()[1]
    assert found["postID"] == post_id


@pytest.mark.parametrize(("written", "sought"), [("cafe", "café"), ("Hello", "hallo"), ("anything", "%"), ("b", ".")])
def test_what_is_not_there_is_not_found(server: Server, written: str, sought: str) -> None:
    headers = server.account()
    add(server, headers, written)
    answer = find(server, headers, sought)
    assert answer.json() == []
    assert "Link" not in answer.headers


def test_nobody_elses_post_is_found(server: Server) -> None:
    add(server, server.account(), "hello")
    assert find(server, server.account(), "hello").json() == []


@pytest.mark.parametrize("status", [None, "published", "draft"])
@pytest.mark.parametrize("limit", [None, 1, 3, 1000])
def test_each_post_that_has_the_text_is_on_exactly_one_page(
    monkeypatch: pytest.MonkeyPatch, server: Server, status: str | None, limit: int | None
) -> None:
    chance, headers = random.Random(f"{status} {limit}"), server.account()
    posts = []
    for number in range(30):
        text, state = chance.choice(["Hay", "hay with a Needle"]), chance.choice(["published", "draft"])
        posts.append((add(server, headers, f"{text} {number}", state), text, state))
    expected = [post_id for post_id, text, state in reversed(posts) if "Needle" in text and status in {None, state}]
    query = {name: value for name, value in (("status", status), ("limit", limit)) if value}
    found = list(pages(server, headers, "needle", **query))
    assert [post_id for page in found for post_id in page] == expected
    assert max(map(len, found)) <= (limit or 1000)


def many(url: str, headers: dict[str, str], server: Server, texts: list[str]) -> None:
    """Posts of an account, faster than by asking for them."""
    post_id = add(server, headers, "first")
    with sa.create_engine(url, poolclass=sa.NullPool).begin() as connection:
        tables = sa.MetaData()
        tables.reflect(connection)
        posts = tables.tables["posts"]
        first = connection.execute(sa.select(posts).where(posts.c.id == post_id)).one()._asdict()
        del first["id"]
        connection.execute(posts.insert(), [first | {"text": text, "size": len(text.encode())} for text in texts])


def test_large_posts_are_found_page_by_page_and_at_most_a_mebibyte_or_so_at_a_time(url: str, server: Server) -> None:
    headers = server.account()
    many(url, headers, server, ["x" * 500_000 + unicodedata.normalize("NFD", "Né")] * 5)
    answer = find(server, headers, "xné")
    assert len(answer.json()) == 3
    assert [len(page) for page in pages(server, headers, "xné")] == [3, 2]


def test_a_search_that_takes_too_long_answers_and_is_gone_on_with(
    core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = importlib.import_module("extras.search")
    monkeypatch.setattr(search, "BUDGET", 0)
    with core.models.engine.begin() as connection:
        user_id, _ = core.auth.open_account(connection, "patient@example.com", "")
        texts = ["a needle", "hay", "hay"]
        ids = [core.write_post(connection, user_id, core.schemas.PostInput(text=text)) for text in texts]
    before = core.schemas.MAX_ID
    for looked_at in ids[:0:-1]:
        found, before = search.find(user_id, search.FindQuery(text="needle", before=before))
        assert (found, before) == ([], looked_at)
    found, before = search.find(user_id, search.FindQuery(text="needle", before=before))
    assert [post.id for post in found] == ids[:1]


def test_posts_that_are_deleted_while_they_are_searched_hide_no_others(
    core: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    search = importlib.import_module("extras.search")
    monkeypatch.setattr(search, "STEP", 1)
    fold, gone = search.fold, set[int]()
    with core.models.engine.begin() as connection:
        user_id, _ = core.auth.open_account(connection, "searcher@example.com", "")
        post = core.schemas.PostInput(text="a needle")
        ids = [core.write_post(connection, user_id, post) for _ in range(5)]

    def delete_the_next_post(text: str) -> Any:
        if text == "a needle" and not gone:
            gone.add(ids[3])
            with core.models.engine.begin() as connection:
                connection.execute(sa.delete(core.Post).where(core.Post.id == ids[3]))
        return fold(text)

    monkeypatch.setattr(search, "fold", delete_the_next_post)
    found, before = search.find(user_id, search.FindQuery(text="needle"))
    assert [post.id for post in found] == [ids[4], *ids[2::-1]]
    assert before is None


def test_mysql_reads_for_each_step_its_own_posts_alone(core: ModuleType) -> None:
    if core.models.SQLITE:
        pytest.skip("SQLite always does")
    search, models = importlib.import_module("extras.search"), core.models
    with models.engine.begin() as connection:
        user_id, _ = core.auth.open_account(connection, "reader@example.com", "")
        post = {"user_id": user_id, "size": 1, "status": "draft", "created_at": 1, "updated_at": 1, "text": "x"}
        connection.execute(sa.insert(core.Post), [post] * 2_000)
    ids = [post.id for post in models.fetch(sa.select(core.Post.id).where(core.Post.user_id == user_id))]
    step = search.texts_before(user_id, "").params(before=sorted(ids)[200])
    sql = str(step.compile(models.engine, compile_kwargs={"literal_binds": True}))
    (plan,) = models.fetch(sa.text(f"EXPLAIN {sql}"))
    assert (plan.type, plan.key) == ("range", "ix_posts_list")


def test_a_text_is_folded_in_pieces_as_it_is_whole(core: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    search = importlib.import_module("extras.search")
    chance = random.Random(0)
    some = [
        "a",
        "E\u0301",
        "\u0301",
        "\u1100",
        "\u1161",
        "\u11a8",
        "\uffa1",
        "\uffc2",
        "\uff76",
        "\uff9e",
        "\ufdfa",
        "\u0bc6",
        "\u0bbe",
        "\u0130",
        "ß",
    ]
    monkeypatch.setattr(search, "PIECE", 1)
    for _ in range(2000):
        text = "".join(chance.choices(some, k=12))
        assert search.fold(text) == (search.fold_piece(text) if not text.isascii() else text.lower())


@pytest.mark.parametrize("marks", ["\u0301\u0323", "\u0f73", "\u0f75", "\u0f81", "\u0301\uff9e", "\u0301\uff9f"])
def test_marks_without_end_are_broken_up_as_to_normalise_them_takes_for_ever(core: ModuleType, marks: str) -> None:
    search = importlib.import_module("extras.search")
    folded = search.fold("a" + marks * 1000)
    assert max(map(len, folded.split("\u034f"))) <= 61  # of some marks come two


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("", "text"),
        ("text=", "text"),
        (f"text={'x' * 201}", "text"),
        ("text=a&limit=0", "limit"),
        ("text=a&before=1_0", "before"),
        ("text=a&status=deleted", "status"),
        ("text=a&tags=b", "unknown field"),
    ],
)
def test_a_wrong_query_is_422_and_named(server: Server, query: str, field: str) -> None:
    answer = server.get(f"/findPosts?{query}", headers=server.account())
    assert answer.status_code == 422
    assert [error["loc"] for error in answer.json()["detail"]] == [["query", field]]


def test_without_a_token_it_is_401(server: Server) -> None:
    assert server.get("/findPosts?text=a").status_code == 401
