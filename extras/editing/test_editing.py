import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx2
import pytest

from test_app import Server, new_database, serve

LIMIT = 1_048_576


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with new_database() as url, serve(url, EXTRAS="editing") as server:
        yield server
        assert "Traceback" not in server.log


def add(server: Server, headers: dict[str, str], text: str = "old", status: str = "published") -> dict[str, Any]:
    server.post("/addPost", json={"text": text, "status": status}, headers=headers)
    post: dict[str, Any] = server.get("/getPosts", headers=headers).json()[0]
    return post


def edit(server: Server, headers: dict[str, str], post_id: int, match: str = "", **changes: Any) -> httpx2.Response:
    return server.put(f"/editPost/{post_id}", json=changes, headers=headers | ({"If-Match": match} if match else {}))


def test_text_and_status_change_together_or_alone(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada, "old", "draft")
    for changes in ({"text": "new"}, {"status": "published"}, {"text": "newer", "status": "draft"}):
        answer = edit(server, ada, post["postID"], **changes)
        assert answer.status_code == 200
        edited = answer.json()
        assert datetime.fromisoformat(edited["updatedAt"]) > datetime.fromisoformat(post["updatedAt"])
        assert edited["version"] > post["version"]
        assert edited == {**post, **changes, "updatedAt": edited["updatedAt"], "version": edited["version"]}
        post = edited


def test_an_edit_shows_at_the_next_get_posts(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    server.get("/getPosts", headers=ada)  # from the cache
    edited = edit(server, ada, post["postID"], text="new").json()
    assert server.get("/getPosts", headers=ada).json() == [edited]


def test_an_edited_post_moves_from_filter_to_filter(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    edit(server, ada, post["postID"], status="draft")
    assert server.get("/getPosts?status=published", headers=ada).json() == []
    assert len(server.get("/getPosts?status=draft", headers=ada).json()) == 1


def test_somebody_elses_post_is_404_and_stays(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    stranger = server.account()
    assert edit(server, stranger, post["postID"], text="mine").status_code == 404
    assert edit(server, stranger, 2**63 - 1, text="mine").status_code == 404
    assert server.get("/getPosts", headers=ada).json() == [post]


@pytest.mark.parametrize(
    "changes",
    [{}, {"text": ""}, {"text": None}, {"status": None}, {"status": "public"}, {"text": "new", "stauts": "draft"}],
)
def test_what_is_no_change_is_422(server: Server, ada: dict[str, str], changes: dict[str, Any]) -> None:
    post = add(server, ada)
    assert edit(server, ada, post["postID"], **changes).status_code == 422
    assert server.get("/getPosts", headers=ada).json() == [post]


def test_without_a_token_it_is_401(server: Server) -> None:
    assert edit(server, {}, 1, text="new").status_code == 401


@pytest.mark.parametrize("match", ['"{version}"', '"1", "{version}"', "*"])
def test_the_version_that_holds_edits(server: Server, ada: dict[str, str], match: str) -> None:
    post = add(server, ada)
    answer = edit(server, ada, post["postID"], match.format(**post), text="new")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == f'"{answer.json()["version"]}"'
    assert edit(server, ada, post["postID"], answer.headers["ETag"], text="newer").status_code == 200


@pytest.mark.parametrize("match", ['"1"', 'W/"{version}"', "{version}", '"'])
def test_a_version_that_does_not_hold_is_412(server: Server, ada: dict[str, str], match: str) -> None:
    post = add(server, ada)
    answer = edit(server, ada, post["postID"], match.format(**post), text="new")
    assert answer.status_code == 412
    assert isinstance(answer.json()["detail"], str)
    assert server.get("/getPosts", headers=ada).json() == [post]


def test_several_lines_of_if_match_are_one_list(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    for tags, status in ((['"1"', '"2"'], 412), ([f'"{post["version"]}"', '"2"'], 200)):
        headers = [*ada.items(), *[("If-Match", tag) for tag in tags]]
        answer = server.put(f"/editPost/{post['postID']}", json={"text": "new"}, headers=headers)
        assert answer.status_code == status


def test_a_post_is_deleted_only_at_the_version_that_if_match_names(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    path = f"/deletePost/{post['postID']}"
    newer = edit(server, ada, post["postID"], text="new").json()
    assert server.delete(path, headers=ada | {"If-Match": f'"{post["version"]}"'}).status_code == 412
    assert server.get("/getPosts", headers=ada).json() == [newer]
    assert server.delete(path, headers=ada | {"If-Match": f'"{newer["version"]}"'}).status_code == 204
    assert server.delete(path, headers=ada | {"If-Match": "*"}).status_code == 404


def test_one_post_has_its_version_as_etag(server: Server, ada: dict[str, str], bob: dict[str, str]) -> None:
    post = add(server, ada)
    path = f"/getPost/{post['postID']}"
    answer = server.get(path, headers=ada)
    assert (answer.status_code, answer.json(), answer.headers["ETag"]) == (200, post, f'"{post["version"]}"')
    assert server.get(path, headers=ada | {"If-None-Match": answer.headers["ETag"]}).status_code == 304
    edit(server, ada, post["postID"], text="new")
    assert server.get(path, headers=ada | {"If-None-Match": answer.headers["ETag"]}).json()["text"] == "new"
    assert server.get(path, headers=bob).status_code == 404
    assert server.get("/getPost/1_0", headers=ada).status_code == 422


def test_of_eight_edits_of_one_version_one_wins(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    with ThreadPoolExecutor(8) as pool:
        match = f'"{post["version"]}"'
        answers = list(pool.map(lambda n: edit(server, ada, post["postID"], match, text=f"{n}"), range(8)))
    assert sorted(answer.status_code for answer in answers) == [200] + [412] * 7
    (won,) = (answer.json() for answer in answers if answer.status_code == 200)
    assert server.get("/getPosts", headers=ada).json() == [won]


def test_the_largest_body_passes_and_one_byte_more_is_413(server: Server, ada: dict[str, str]) -> None:
    post = add(server, ada)
    text = "x" * (LIMIT - len('{"text":""}'))
    for more, status in (("", 200), ("x", 413)):
        body = f'{{"text":"{text}{more}"}}'
        headers = ada | {"Content-Type": "application/json"}
        assert server.put(f"/editPost/{post['postID']}", content=body, headers=headers).status_code == status
    assert server.get("/getPosts", headers=ada).json()[0]["text"] == text


def test_the_list_is_cut_into_pages_by_the_new_sizes(server: Server, ada: dict[str, str]) -> None:
    posts = [add(server, ada, f"{number}") for number in range(5)]
    for post in posts:
        edit(server, ada, post["postID"], text="é" * 400_000)
    answer = server.get("/getPosts?limit=1000", headers=ada)
    assert len(answer.json()) < len(posts)
    assert 'rel="next"' in answer.headers["Link"]


def test_openapi_shows_the_version_and_the_header(server: Server) -> None:
    schema = server.get("/openapi.json").json()
    post = schema["components"]["schemas"]["Post"]
    assert "version" in post["required"]
    assert post["properties"]["version"]["format"] == "int64"  # milliseconds take more than 32 bits
    put, get = schema["paths"]["/editPost/{postID}"]["put"], schema["paths"]["/getPost/{postID}"]["get"]
    assert "If-Match" in {parameter["name"] for parameter in put["parameters"]}
    assert "If-None-Match" in {parameter["name"] for parameter in get["parameters"]}
    assert put["responses"]["200"]["headers"].keys() == get["responses"]["304"]["headers"].keys() == {"ETag"}
    assert {"200", "400", "401", "404", "412", "413", "422", "503"} <= put["responses"].keys()


QUOTA = textwrap.dedent("""
    from fastapi import HTTPException
    from sqlalchemy import func, select
    import app as core
    from models import Post

    def check(connection, user_id, posts, size):
        count, held = connection.execute(select(func.count(), func.sum(Post.size)).where(Post.user_id == user_id)).one()
        if count + posts > 2 or (held or 0) + size > 100:
            raise HTTPException(403, "quota")

    def setup(app):
        core.hooks.on_post.append(check)
""")


def test_a_quota_of_another_extra_holds_for_what_grows(tmp_path: Path) -> None:
    (tmp_path / "people").mkdir()
    (tmp_path / "people" / "quota.py").write_text(QUOTA)
    path = ":".join(filter(None, [str(tmp_path), *sys.path]))
    with new_database() as url, serve(url, EXTRAS="people.quota,editing", PYTHONPATH=path) as server:
        ada = server.account()
        add(server, ada, "x" * 40)
        full = add(server, ada, "x" * 40)  # as many as there may be
        assert edit(server, ada, full["postID"], text="y" * 60).status_code == 200
        assert edit(server, ada, full["postID"], text="z" * 61).status_code == 403
        assert edit(server, ada, full["postID"], text="y" * 59).status_code == 200
        assert [len(post["text"]) for post in server.get("/getPosts", headers=ada).json()] == [59, 40]
