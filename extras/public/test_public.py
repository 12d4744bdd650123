"""What others see of an account, and what they never do."""

import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import pytest
import sqlalchemy as sa

from test_app import PASSWORD, ROOT, Server, add, new_database, serve, wait_until

for package in ("markdown_it", "nh3"):
    pytest.importorskip(package)

DAY = 86_400_000
NOBODY = "/@nobody_at_all"


@pytest.fixture(scope="module")
def server(url: str) -> Iterator[Server]:
    with serve(url, EXTRAS="fast,public,editing,account") as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(scope="module")
def plain_server(url: str) -> Iterator[Server]:
    """Without the shortcut of `fast`."""
    with serve(url, EXTRAS="public") as server:
        yield server
        assert "Traceback" not in server.log


@pytest.fixture(params=["server", "plain_server"])
def either(request: pytest.FixtureRequest) -> Server:
    server: Server = request.getfixturevalue(request.param)
    return server


def query(url: str, statement: str) -> list[Any]:
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.begin() as connection:
        result = connection.exec_driver_sql(statement)
        return list(result.all()) if result.returns_rows else []


def new_handle() -> str:
    return f"a_{uuid4().hex[:20]}"


def profile(server: Server, headers: dict[str, str], **change: Any) -> httpx2.Response:
    return server.put("/profile", json=change, headers=headers)


def publish(server: Server, headers: dict[str, str], handle: str = "") -> str:
    """The path of the account's page."""
    handle = handle or new_handle()
    answer = profile(server, headers, handle=handle)
    assert answer.status_code == 200, answer.text
    return f"/@{handle}"


def page(server: Server, path: str, **headers: str) -> str:
    answer = server.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.text


def edit(server: Server, headers: dict[str, str], post_id: int, **change: str) -> None:
    assert server.put(f"/editPost/{post_id}", json=change, headers=headers).status_code == 200


def ids(text: str) -> list[int]:
    """Of the posts on a page, in their order."""
    return [int(digits) for digits in re.findall(r'<h2><a href="[^"]*/(\d+)"', text)]


# /profile


def test_without_a_handle_nothing_is_public_and_with_one_the_published_posts_are(
    server: Server, ada: dict[str, str]
) -> None:
    assert server.get("/profile", headers=ada).json() == {"handle": None, "name": None}
    add(server, ada, "for all")
    add(server, ada, "for me", status="draft")
    handle = new_handle()
    assert server.get(f"/@{handle}").status_code == 404
    answer = profile(server, ada, handle=handle, name="Ada")
    assert answer.json() == server.get("/profile", headers=ada).json() == {"handle": handle, "name": "Ada"}
    assert "for all" in page(server, f"/@{handle}")
    assert "for me" not in page(server, f"/@{handle}")


def test_the_profile_asks_for_a_token(server: Server) -> None:
    assert server.get("/profile").status_code == profile(server, {}, handle="ada").status_code == 401


def test_another_method_is_told_which_there_are(server: Server) -> None:
    for method in ("POST", "OPTIONS", "DELETE"):
        answer = server.request(method, "/profile")
        assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, PUT")


def test_a_taken_handle_is_409_in_any_letter_case(server: Server, ada: dict[str, str], bob: dict[str, str]) -> None:
    handle = publish(server, ada)[2:]
    for spelling in (handle, handle.upper(), handle.title()):
        answer = profile(server, bob, handle=spelling)
        assert (answer.status_code, answer.json()["detail"]) == (409, "This handle is taken: take another.")
        assert profile(server, ada, handle=spelling).json()["handle"] == handle


NO_HANDLES = ["", "ab", "a" * 31, "a b", "a-b", "ádá", "ada\n", "\u212aate", "api", "Admin", 7]


@pytest.mark.parametrize(
    "change",
    [
        *({"handle": handle} for handle in NO_HANDLES),
        *({"name": name} for name in ["x" * 81, 7, ["Ada"]]),
        {},
        {"handle": "ada", "nmae": "Ada"},
    ],
)  # fmt: skip
def test_what_is_no_handle_and_no_name_is_422(server: Server, ada: dict[str, str], change: dict[str, Any]) -> None:
    assert profile(server, ada, **change).status_code == 422
    assert server.get("/profile", headers=ada).json() == {"handle": None, "name": None}


def test_what_is_not_sent_stays(server: Server, ada: dict[str, str]) -> None:
    handle = publish(server, ada)[2:]
    assert profile(server, ada, name="Ada").json() == {"handle": handle, "name": "Ada"}
    assert profile(server, ada, handle=None).json() == {"handle": None, "name": "Ada"}
    assert profile(server, ada, name=None).json() == {"handle": None, "name": None}


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("  Ada\n\tKing ", "Ada King"),
        ("Ada\u202ekcatta\u2066", "Adakcatta"),
        ("\u200b\u2060 \u200d", None),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\0\x1b", None),
        ("عايدة 😀", "عايدة 😀"),
    ],
)
def test_a_name_is_one_line_that_turns_no_other_words_around(
    server: Server, ada: dict[str, str], name: str, kept: str | None
) -> None:
    assert profile(server, ada, name=name).json()["name"] == kept


def test_of_eight_who_want_a_handle_at_once_one_gets_it(server: Server) -> None:
    handle, accounts = new_handle(), [server.account() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda headers: profile(server, headers, handle=handle).status_code, accounts))
    assert sorted(answers) == [200] + [409] * 7


def test_an_account_that_takes_eight_handles_at_once_has_one(server: Server, url: str) -> None:
    ada, handles = server.account(), [new_handle() for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda handle: profile(server, ada, handle=handle).status_code, handles)) == {200}
    online = [handle for handle in handles if server.get(f"/@{handle}").status_code == 200]
    assert online == [server.get("/profile", headers=ada).json()["handle"]]


# A released handle


def test_null_takes_all_offline_at_once_and_the_same_handle_brings_it_back(either: Server, ada: dict[str, str]) -> None:
    post_id, path = add(either, ada, "hello"), publish(either, ada)
    paths = [path, f"{path}/{post_id}", f"{path}/feed.atom", f"{path}/feed.json", f"/publicPosts/{path[2:]}"]
    assert [either.get(each).status_code for each in paths] == [200] * 5
    profile(either, ada, handle=None)
    assert [either.get(each).status_code for each in paths] == [404] * 5
    publish(either, ada, path[2:])
    assert [either.get(each).status_code for each in paths] == [200] * 5


def test_a_released_handle_is_nobody_elses_for_30_days(
    server: Server, url: str, ada: dict[str, str], bob: dict[str, str]
) -> None:
    handle = publish(server, ada)[2:]
    publish(server, ada)
    assert server.get(f"/@{handle}").status_code == 404
    assert profile(server, bob, handle=handle).status_code == 409
    query(url, f"UPDATE public_handles SET free_at = free_at - {30 * DAY - 60_000} WHERE handle = '{handle}'")
    assert profile(server, bob, handle=handle).status_code == 409
    query(url, f"UPDATE public_handles SET free_at = free_at - 60000 WHERE handle = '{handle}'")
    assert profile(server, bob, handle=handle).status_code == 200
    assert profile(server, ada, handle=handle).status_code == 409


def test_nobody_takes_all_the_handles_there_are(server: Server, ada: dict[str, str]) -> None:
    taken = [publish(server, ada)[2:] for _ in range(10)]
    answer = profile(server, ada, handle=new_handle())
    assert (answer.status_code, "one of these again" in answer.json()["detail"]) == (409, True)
    assert server.get("/profile", headers=ada).json()["handle"] == taken[-1]
    assert profile(server, ada, handle=taken[0]).status_code == 200
    assert profile(server, ada, handle=None).status_code == 200


def test_of_a_deleted_account_the_handle_alone_is_kept_for_30_days_more(
    url: str, bob: dict[str, str], server: Server
) -> None:
    ada, handle = server.account(), new_handle()
    profile(server, ada, handle=handle, name="Ada King")
    names = query(url, "SELECT count(*) FROM public_names")
    assert server.post("/deleteAccount", json={"password": PASSWORD}, headers=ada).status_code == 204
    assert server.get(f"/@{handle}").status_code == 404
    assert profile(server, bob, handle=handle).status_code == 409
    assert query(url, "SELECT count(*) FROM public_names") == [(names[0][0] - 1,)]
    row = f"SELECT user_id, free_at FROM public_handles WHERE handle = '{handle}'"
    assert query(url, row) == [(None, None)]
    with serve(url, EXTRAS="public"):  # each start clears, and each hour
        wait_until(lambda: query(url, row) != [(None, None)])
        ((_, free_at),) = query(url, row)
        assert abs(free_at - time.time() * 1000 - 30 * DAY) < 60_000
    query(url, f"UPDATE public_handles SET free_at = 1 WHERE handle = '{handle}'")
    with serve(url, EXTRAS="public"):
        wait_until(lambda: query(url, row) == [])


def test_the_export_of_account_has_the_profile(server: Server, ada: dict[str, str]) -> None:
    handle = publish(server, ada)[2:]
    export = server.get("/exportData", headers=ada).json()
    assert export["profile"] == {"handle": handle, "name": None}
    assert export["posts"] == []


# Pages


def test_a_page_has_twenty_posts_newest_first_and_leads_to_the_older_and_the_newer(
    server: Server, ada: dict[str, str]
) -> None:
    posts, path = [add(server, ada, f"number {i}") for i in range(45)][::-1], publish(server, ada)
    add(server, ada, "hidden", status="draft")
    seen, link = list[list[int]](), path
    while link:
        text = page(server, link)
        seen.append(ids(text))
        link = (re.findall(r'rel="next" href="([^"]*)"', text) or [""])[0]
    assert seen == [posts[:20], posts[20:40], posts[40:]]
    for following in (posts[:20], []):
        back = (re.findall(r'rel="prev" href="([^"]*)"', text) or [""])[0]
        text = page(server, back) if back else ""
        assert ids(text) == (posts[20:40] if following else posts[:20])
    assert "Newer" not in text
    assert 'rel="prev"' not in page(server, path)


def test_a_page_says_what_it_is_to_browsers_feed_readers_and_previews(server: Server, ada: dict[str, str]) -> None:
    post_id, path = add(server, ada, '# A "title" & more\n\nWhat *follows* <it>.'), publish(server, ada)
    profile(server, ada, name="Ada <King>")
    base = str(server.base_url).rstrip("/")
    text = page(server, f"{path}/{post_id}")
    assert "<title>A &quot;title&quot; &amp; more · Ada &lt;King&gt;</title>" in text
    assert '<meta name="description" content="A &quot;title&quot; &amp; more What follows &lt;it&gt;.">' in text
    assert f'<link rel="canonical" href="{base}{path}/{post_id}">' in text
    assert '<meta property="og:title" content="A &quot;title&quot; &amp; more">' in text
    assert f'<meta property="og:url" content="{base}{path}/{post_id}">' in text
    for each in (text, page(server, path)):
        assert f'<link rel="alternate" type="application/atom+xml" title="Atom" href="{base}{path}/feed.atom">' in each
        assert (
            f'<link rel="alternate" type="application/feed+json" title="JSON Feed" href="{base}{path}/feed.json">'
            in each
        )
        assert "<script" not in each
    assert f"<title>Ada &lt;King&gt; ({path[1:]})</title>" in page(server, path)


def test_what_is_not_there_is_the_same_page_whyever(either: Server, ada: dict[str, str], bob: dict[str, str]) -> None:
    path, others = publish(either, ada), add(either, bob, "not hers")
    draft, gone = add(either, ada, "draft", status="draft"), add(either, ada, "gone")
    either.delete(f"/deletePost/{gone}", headers=ada)
    absent = [f"{path}/{each}" for each in (draft, gone, others, 2**62, 0, "07", "x", 2**70, "%D9%A7")]
    absent += [NOBODY, f"{NOBODY}/1", f"{NOBODY}/feed.atom", "/@%00", "/@a", f"{path}?before=x", f"{path}/{draft}?raw"]
    absent += [f"{path}%20", f"{path}%20/feed.atom"]
    answers = [either.get(each) for each in absent]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert len({tuple(answer.headers.get(name) for name in HEADERS) for answer in answers}) == 1
    assert "There is nothing here" in answers[0].text


HEADERS = ["Content-Type", "Cache-Control", "Content-Security-Policy", "X-Robots-Tag", "ETag", "Last-Modified"]


def test_another_letter_case_leads_to_the_page(either: Server, ada: dict[str, str]) -> None:
    path, post_id = publish(either, ada), add(either, ada)
    for tail in ("", f"/{post_id}", f"/{post_id}?raw", "/feed.atom"):
        answer = either.get(path.upper() + tail)
        assert (answer.status_code, answer.headers["Location"]) == (308, path + tail)
    assert either.get(NOBODY.upper()).status_code == 308  # as if there were one


def test_the_raw_text_is_plain_and_byte_for_byte(server: Server, ada: dict[str, str]) -> None:
    text = "# <b>raw</b>\r\n\0 \u202e 😀"
    path, post_id = publish(server, ada), add(server, ada, text)
    answer = server.get(f"{path}/{post_id}?raw")
    assert answer.content == text.encode()
    assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_list_shows_the_beginning_of_a_long_post_and_its_own_page_all(server: Server, ada: dict[str, str]) -> None:
    text = "é\0" + "word " * 2000 + "end"
    path, post_id = publish(server, ada), add(server, ada, text)
    assert "word word" in page(server, path)
    assert "end" not in page(server, path)
    assert f'<a href="{path}/{post_id}">Read on</a>' in page(server, path)
    assert "word end" in page(server, f"{path}/{post_id}")
    assert "Read on" not in page(server, f"{path}/{post_id}")


def test_pages_answer_head_and_send_a_strict_policy(either: Server, ada: dict[str, str]) -> None:
    path = publish(either, ada)
    for each in (path, f"{path}/feed.atom", NOBODY, "/public/style.css"):
        got, head = either.get(each), either.head(each)
        assert (head.status_code, head.content) == (got.status_code, b"")
        assert head.headers["Content-Length"] == str(len(got.content))
        assert got.headers["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'self'; img-src https:;"
        )
        assert got.headers["Cache-Control"] == "public, max-age=0, must-revalidate"


def test_a_long_page_is_sent_in_pieces_so_that_who_takes_none_is_given_up(server: Server, ada: dict[str, str]) -> None:
    code = """
import asyncio, app
from extras.public import answers
async def send(message):
    print(len(message.get("body", b"")), end=" ")
page = answers.Page(b"x" * 2 * app.PIECE, "text/plain", "", 0)
scope = {"type": "http", "method": "GET", "headers": [], "asgi": {"spec_version": "2.4"}}
asyncio.run(answers.respond(page, answers.Request(scope))(scope, None, send))
"""
    variables = os.environ | {"DATABASE_URL": "sqlite://", "EXTRAS": ""}
    sizes = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=variables, text=True)
    assert sizes.split() == ["0", "65536", "65536", "0"]
    path = f"{publish(server, ada)}/{add(server, ada, 'x' * 200_000)}"
    for _ in range(2):  # the second from the cache
        assert "x" * 200_000 in page(server, path)
    assert server.head(path).headers["Content-Length"] == server.get(path).headers["Content-Length"]


# What is cached is never old


def test_each_write_shows_at_the_very_next_request_on_every_worker(url: str) -> None:
    with serve(url, EXTRAS="fast,public,editing") as one, serve(url, EXTRAS="public") as other:
        ada = one.account()
        path = publish(one, ada)
        paths = [path, f"{path}/feed.atom", f"{path}/feed.json", f"/publicPosts/{path[2:]}"]
        post_id = add(one, ada, "first text")

        def shows(text: str) -> set[bool]:
            pages = [page(server, each) for each in paths for server in (one, other, one, other)]
            return {text in each for each in pages}

        assert shows("first text") == {True}
        edit(one, ada, post_id, text="second text")
        assert (shows("first text"), shows("second text")) == ({False}, {True})
        profile(other, ada, name="Countess")
        assert "Countess" in page(one, path)
        edit(one, ada, post_id, status="draft")
        assert shows("second text") == {False}
        edit(one, ada, post_id, status="published")
        assert shows("second text") == {True}
        other.delete(f"/deletePost/{post_id}", headers=ada)
        assert shows("second text") == {False}
        profile(one, ada, handle=None)
        assert {server.get(each).status_code for each in paths for server in (one, other)} == {404}


def test_a_post_that_becomes_a_draft_while_a_list_is_read_is_not_in_it(
    server: Server, url: str, ada: dict[str, str]
) -> None:
    posts = [add(server, ada, "for all"), add(server, ada, "for me")]
    edit(server, ada, posts[1], status="draft")
    code = f"from extras.public.posts import find_excerpts; print([each.text for each in find_excerpts({posts})])"
    command, variables = [sys.executable, "-c", code], os.environ | {"DATABASE_URL": url}
    assert subprocess.check_output(command, cwd=ROOT, env=variables, text=True) == "['for all']\n"


def test_what_is_unchanged_is_304_by_its_tag_and_by_its_date(either: Server, url: str, ada: dict[str, str]) -> None:
    post_id, path = add(either, ada, "hello"), publish(either, ada)
    paths = [path, f"{path}/{post_id}", f"{path}/{post_id}?raw", f"{path}/feed.atom", f"{path}/feed.json"]
    for each in [*paths, f"/publicPosts/{path[2:]}"]:
        etag = either.get(each).headers["ETag"]
        for tag in (etag, f'W/{etag}, "x"', "*"):
            answer = either.get(each, headers={"If-None-Match": tag})
            assert (answer.status_code, answer.content, answer.headers["ETag"]) == (304, b"", etag)
        assert either.get(each, headers={"If-None-Match": '"x"'}).status_code == 200
    add(either, ada, "more")
    assert either.get(path, headers={"If-None-Match": etag}).status_code == 200
    # There is no date while another change may have the same.
    assert "Last-Modified" not in either.get(path).headers
    query(url, f"UPDATE users SET posts_version = posts_version - 60000 WHERE id = {owner_of(url, path)}")
    for each in [*paths, f"/publicPosts/{path[2:]}"]:
        date = either.get(each).headers["Last-Modified"]
        assert either.get(each, headers={"If-Modified-Since": date}).status_code == 304
        for others in (
            {"If-Modified-Since": "Thu, 01 Jan 2026 00:00:00 GMT"},
            {"If-Modified-Since": "nonsense"},
            {"If-Modified-Since": f"Thu, 01 Jan 2026 00:00:00 +{9**20}"},
            {"If-Modified-Since": date, "If-None-Match": '"x"'},
        ):
            assert either.get(each, headers=others).status_code == 200
    add(either, ada, "even more")
    assert either.get(path, headers={"If-Modified-Since": date}).status_code == 200


def owner_of(url: str, path: str) -> int:
    user_id: int = query(url, f"SELECT user_id FROM public_handles WHERE handle = '{path[2:]}'")[0][0]
    return user_id


# Links


NO_HOSTS = [('"><x>', ""), ("a.example/b", ""), ("a" * 254, "")]  # a path of the client's would be in all links


def test_what_one_host_was_sent_no_other_is(either: Server, ada: dict[str, str]) -> None:
    path = publish(either, ada)
    for host, link in (("evil.example", "http://evil.example"), ("a.example:81", "http://a.example:81"), *NO_HOSTS):
        for each in (path, f"{path}/feed.json"):
            text = page(either, each, Host=host)
            assert ("evil.example" in text) == (host == "evil.example")
            assert "><x>" not in text
        assert f'<link rel="canonical" href="{link}{path}">' in page(either, path, Host=host)
        assert '<link rel="stylesheet" href="/public/style.css">' in either.get(NOBODY, headers={"Host": host}).text
    assert f'<link rel="canonical" href="{str(either.base_url).rstrip("/")}{path}">' in page(either, path)


def test_links_hold_behind_a_prefix_and_a_proxy(url: str) -> None:
    with serve(url, "--root-path", "/blog", EXTRAS="fast,public") as server:
        ada = server.account()
        path, post_id = publish(server, ada), add(server, ada)
        for _ in range(2):  # the second from the cache
            text = page(server, path, Host="a.example", **{"X-Forwarded-Proto": "https"})
            assert f'<link rel="canonical" href="https://a.example/blog{path}">' in text
            assert f'<a href="/blog{path}/{post_id}">' in text
            assert 'href="/blog/public/style.css"' in text
        assert server.get(path.upper()).headers["Location"] == f"/blog{path}"
        assert 'href="/blog/public/style.css"' in server.get(NOBODY).text


def test_public_url_is_where_links_lead_whatever_the_host(url: str) -> None:
    with serve(url, EXTRAS="fast,public", PUBLIC_URL="https://posts.example/b/") as server:
        ada = server.account()
        path, post_id = publish(server, ada), add(server, ada)
        text = page(server, path, Host="evil.example")
        assert "evil.example" not in text
        assert f'<link rel="canonical" href="https://posts.example/b{path}">' in text
        assert f'<a href="/b{path}/{post_id}">' in text
        assert server.get(path.upper()).headers["Location"] == f"/b{path}"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("PUBLIC_URL", "posts.example"), ("PUBLIC_URL", "https://a.example/?x"), ("PUBLIC_INDEX", "yes")],
)
def test_a_bad_setting_stops_the_start_with_one_line(setting: str, value: str) -> None:
    with serve("sqlite://", wait=False, EXTRAS="public", **{setting: value}) as server:
        assert server.process.wait(30) == 3
        assert server.log.startswith(setting)
        assert server.log.count("\n") == 1


def test_search_engines_come_in_only_if_they_are_let(server: Server, url: str, ada: dict[str, str]) -> None:
    path = publish(server, ada)
    assert server.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
    assert server.get(path).headers["X-Robots-Tag"] == "noindex"
    assert '<meta name="robots" content="noindex">' in page(server, path)
    with serve(url, EXTRAS="public", PUBLIC_INDEX="1") as open_server:
        assert open_server.get("/robots.txt").text == "User-agent: *\nAllow: /@\nAllow: /public/\nDisallow: /\n"
        assert "X-Robots-Tag" not in open_server.get(path).headers
        assert "noindex" not in page(open_server, path)
        assert "noindex" in open_server.get(NOBODY).text


# Feeds


def test_feedparser_and_an_xml_parser_read_the_atom_feed(server: Server, ada: dict[str, str]) -> None:
    feedparser = pytest.importorskip("feedparser")
    posts = [add(server, ada, f"# Title {i} <&>\n\nText \x01\x0b\0\ufffe *{i}* ]]>") for i in range(3)]
    path = publish(server, ada)
    profile(server, ada, name="Ada & <Co>")
    answer = server.get(f"{path}/feed.atom")
    assert answer.headers["Content-Type"] == "application/atom+xml; charset=utf-8"
    ET.fromstring(answer.content)
    feed = feedparser.parse(answer.content)
    assert not feed.bozo
    home = f"{str(server.base_url).rstrip('/')}{path}"
    assert (feed.feed.title, feed.feed.author, feed.feed.link) == ("Ada & <Co>", "Ada & <Co>", home)
    assert [each.link for each in feed.entries] == [f"{home}/{post_id}" for post_id in posts[::-1]]
    assert [each.title for each in feed.entries] == [f"Title {i} <&>" for i in (2, 1, 0)]
    assert "<em>0</em>" in feed.entries[2].content[0].value
    assert feed.feed.updated == feed.entries[0].updated


def test_the_json_feed_has_what_version_1_1_asks_for(server: Server, ada: dict[str, str]) -> None:
    post_id, path = add(server, ada, "Hello\0 *world*"), publish(server, ada)
    answer = server.get(f"{path}/feed.json")
    assert answer.headers["Content-Type"] == "application/feed+json; charset=utf-8"
    feed, home = answer.json(), f"{str(server.base_url).rstrip('/')}{path}"
    assert feed["version"] == "https://jsonfeed.org/version/1.1"
    assert feed["feed_url"] == f"{home}/feed.json"
    assert feed["home_page_url"] == feed["authors"][0]["url"] == home
    assert feed["title"] == feed["authors"][0]["name"] == path[1:]
    (item,) = feed["items"]
    assert item["url"] == f"{home}/{post_id}"
    assert "<em>world</em>" in item["content_html"]
    assert datetime.fromisoformat(item["date_published"]).tzinfo == UTC


def test_ids_of_feeds_stay_and_updated_is_right_after_an_edit(url: str) -> None:
    with serve(url, EXTRAS="fast,public,editing") as server:
        ada = server.account()
        post_id, path = add(server, ada, "old"), publish(server, ada)
        add(server, ada, "newer")

        def read(path: str, **headers: str) -> tuple[str, str, list[tuple[str, str, str]]]:
            root = ET.fromstring(page(server, f"{path}/feed.atom", **headers))
            tag = "{http://www.w3.org/2005/Atom}"
            parts = [
                [each.findtext(tag + name) or "" for name in ("id", "published", "updated")]
                for each in root.iter(f"{tag}entry")
            ]
            items = server.get(f"{path}/feed.json", headers=headers).json()["items"]
            assert [[item["id"], item["date_published"], item["date_modified"]] for item in items] == parts
            return (
                root.findtext(f"{tag}id") or "",
                root.findtext(f"{tag}updated") or "",
                [(a, b, c) for a, b, c in parts],
            )

        before = read(path)
        edit(server, ada, post_id, text="new")
        after = read(publish(server, ada), Host="elsewhere.example")
        assert (after[0], after[2][0]) == (before[0], before[2][0])
        assert after[2][1][:2] == before[2][1][:2]
        assert after[1] == after[2][1][2] > before[1]
        edited = next(each for each in server.get("/getPosts", headers=ada).json() if each["postID"] == post_id)
        assert datetime.fromisoformat(after[2][1][2]) == datetime.fromisoformat(edited["updatedAt"])


def test_a_feed_has_the_fifty_newest(server: Server, ada: dict[str, str]) -> None:
    posts, path = [add(server, ada) for _ in range(52)][::-1], publish(server, ada)
    items = server.get(f"{path}/feed.json").json()["items"]
    assert [int(item["url"].rpartition("/")[2]) for item in items] == posts[:50]


# /publicPosts


def test_programs_get_the_json_of_get_posts_without_a_token(server: Server, ada: dict[str, str]) -> None:
    posts = [add(server, ada, f"{i}") for i in range(5)][::-1]
    add(server, ada, "draft", status="draft")
    path = f"/publicPosts/{publish(server, ada)[2:]}"
    published = [each for each in server.get("/getPosts", headers=ada).json() if each["status"] == "published"]
    assert server.get(path).json() == server.get(path.upper().replace("PUBLICPOSTS", "publicPosts")).json() == published
    answer, seen = server.get(f"{path}?limit=2"), []
    while answer.links:
        seen.append([each["postID"] for each in answer.json()])
        answer = server.get(path + answer.links["next"]["url"])
    assert [*seen, [each["postID"] for each in answer.json()]] == [posts[:2], posts[2:4], posts[4:]]


def test_programs_get_at_most_fifty_posts_at_a_time(server: Server, ada: dict[str, str]) -> None:
    posts = [add(server, ada) for _ in range(51)][::-1]
    answer = server.get(f"/publicPosts/{publish(server, ada)[2:]}")
    assert [each["postID"] for each in answer.json()] == posts[:50]
    assert answer.links["next"]


def test_public_posts_refuses_in_json(server: Server) -> None:
    answer = server.get("/publicPosts/nobody_at_all")
    assert (answer.status_code, answer.json()) == (404, {"detail": "Nobody has this handle."})
    for query_ in ("limit=0", "limit=1001", "before=x", "status=draft"):
        assert server.get(f"/publicPosts/nobody_at_all?{query_}").status_code == 422


def test_openapi_shows_the_profile_and_public_posts_and_no_pages(server: Server) -> None:
    paths = server.get("/openapi.json").json()["paths"]
    assert {"200", "401", "409", "422", "503"} <= paths["/profile"]["put"]["responses"].keys()
    assert paths["/publicPosts/{handle}"]["get"]["security"] == []
    assert {"200", "304", "404", "422", "503"} <= paths["/publicPosts/{handle}"]["get"]["responses"].keys()
    assert not [path for path in paths if path.startswith("/@")]


# Other extras


def test_with_limits_readers_are_limited_by_address(url: str) -> None:
    pytest.importorskip("redis", reason="as `limits` needs it")
    with serve(url, EXTRAS="limits,fast,public", LIMITS_READERS="4/day") as server:
        path = publish(server, server.account())
        statuses = [server.get(each).status_code for each in (path, path, f"{path}/feed.atom", NOBODY, path)]
        assert statuses == [200, 200, 200, 404, 429]
        answer = server.get(f"/publicPosts/{path[2:]}")
        assert (answer.status_code, int(answer.headers["Retry-After"]) > 0) == (429, True)
        assert server.get(path, headers={"X-Forwarded-For": "192.0.2.1"}).status_code == 200
        assert server.get("/openapi.json").json()["paths"]["/publicPosts/{handle}"]["get"]["responses"]["429"]


def test_metrics_count_by_template_what_the_cache_answers_too(url: str, tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    with serve(url, EXTRAS="fast,public,metrics", PROMETHEUS_MULTIPROC_DIR=str(tmp_path)) as server:
        path, post_id = publish(server, ada := server.account()), add(server, ada)
        for each in (path, path, f"{path}/{post_id}", f"{path}/{post_id}", f"{path}/feed.atom", f"{path}/feed.atom"):
            page(server, each)
        text = server.get("/metrics").text
        for route in ("/@{handle}", "/@{handle}/{postID}", "/@{handle}/feed.atom"):
            assert f'posts_requests_total{{method="GET",route="{route}",status="200"}} 2.0' in text
        assert path not in text


def test_metrics_know_the_template_of_what_the_database_cannot_answer_too(tmp_path: Path) -> None:
    pytest.importorskip("prometheus_client")
    folder = str(tmp_path)
    with new_database() as url, serve(url, EXTRAS="fast,public,metrics", PROMETHEUS_MULTIPROC_DIR=folder) as server:
        query(url, "ALTER TABLE public_handles RENAME TO away")
        assert server.get(NOBODY).status_code == 503
        assert 'route="/@{handle}",status="503"} 1.0' in server.get("/metrics").text


def test_a_hit_asks_the_database_for_the_handle_alone() -> None:
    with new_database() as url, serve(url, EXTRAS="fast,public") as server:
        path, post_id = publish(server, ada := server.account()), add(server, ada)
        paths = [path, f"{path}/{post_id}", f"{path}/feed.atom", f"{path}/feed.json"]
        pages = [page(server, each) for each in paths]
        for table in ("posts", "public_names"):
            query(url, f"ALTER TABLE {table} RENAME TO away_{table}")
        with ThreadPoolExecutor(16) as pool:
            assert list(pool.map(lambda each: page(server, each), paths * 16)) == pages * 16


def test_pages_are_kept_and_make_room_whenever_the_clock_is_set_back() -> None:
    code = """
import asyncio, models
from extras.public.answers import Page, find_page
from extras.public.posts import Owner

async def load(*_):
    return Page(b"x" * 12 * 2**20, "text/html", "", 1)  # of which two fit

for number, now in enumerate((1_000_000, 0, 400_000)):
    models.now = lambda: now
    assert asyncio.run(find_page(load, "ada", Owner(1, number), None))
    assert asyncio.run(find_page(load, "ada", Owner(1, 0), None))
"""
    environment = {**os.environ, "DATABASE_URL": "sqlite://", "EXTRAS": ""}
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=environment, check=True, timeout=60)
