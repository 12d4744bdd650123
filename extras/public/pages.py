"""The pages for people. All that somebody wrote is escaped, but for the Markdown, whose HTML was cleaned."""

import html
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from html import escape
from pathlib import Path
from string import Template

import nh3

from models import Post, read

from . import settings
from .answers import Page, Site, page_of
from .markdown import html_of, render
from .posts import Entry, Owner, find_excerpts, find_person, find_post, ids_of
from .profile import one_line

TEMPLATE = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
HTML = "text/html; charset=utf-8"
POSTS = 20  # of a page
TITLE, DESCRIPTION = 70, 200  # characters


def words_of(text: str, rendered: str | None) -> str:
    """How the post begins, without its marks."""
    return text[:2000] if rendered is None else html.unescape(nh3.clean(rendered[:4000], tags=set()))


def shorten(words: str, most: int) -> str:
    return words if len(words) <= most else words[: most - 1].rsplit(" ", 1)[0] + "…"


def title_of(text: str, rendered: str | None, post_id: int) -> str:
    """Its first line."""
    lines = map(one_line, words_of(text, rendered).splitlines())
    return shorten(next(filter(None, lines), f"Post {post_id}"), TITLE)


def time_of(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)


def show_time(at: int) -> str:
    time = time_of(at)
    return f'<time datetime="{time:%Y-%m-%dT%H:%M:%SZ}">{time.day} {time:%B %Y}</time>'


def show_times(entry: Entry) -> str:
    edited = f", edited {show_time(entry.updated_at)}" if entry.updated_at > entry.created_at else ""
    return show_time(entry.created_at) + edited


def show_text(entry: Entry, rendered: str | None) -> str:
    """In whatever language and direction it is."""
    return f'<div class="text" lang="" dir="auto">\n{html_of(entry.text, rendered)}</div>\n'


def meta(name: str, content: str) -> str:
    kind = "property" if ":" in name else "name"
    return f'<meta {kind}="{name}" content="{escape(content)}">\n' if content else ""


def head_of(site: Site, handle: str, path: str, title: str, description: str, kind: str) -> str:
    link = escape(f"{site.base}{path}")
    feeds = f"{escape(site.base)}/@{handle}/feed"
    return (
        meta("description", description)
        + ("" if settings.index() else meta("robots", "noindex"))
        + f'<link rel="canonical" href="{link}">\n'
        + meta("og:type", kind)
        + meta("og:title", title)
        + meta("og:description", description)
        + f'<meta property="og:url" content="{link}">\n'
        + f'<link rel="alternate" type="application/atom+xml" title="Atom" href="{feeds}.atom">\n'
        + f'<link rel="alternate" type="application/feed+json" title="JSON Feed" href="{feeds}.json">\n'
    )


def fill(site: Site, title: str, head: str, body: str) -> str:
    return TEMPLATE.substitute(title=escape(title), head=head, body=body, root=escape(site.root))


def show_post(entry: Entry, rendered: str | None, link: str) -> str:
    more = "" if entry.whole else f'<p class="more"><a href="{link}">Read on</a></p>\n'
    heading = f'<h2><a href="{link}">{show_times(entry)}</a></h2>\n'
    return f"<article>\n{heading}{show_text(entry, rendered)}{more}</article>\n"


def show_list(
    handle: str, name: str, site: Site, before: int | None, shown: list[tuple[Entry, str | None]], around: str
) -> str:
    root = f"{escape(site.root)}/@{handle}"
    body = f'<header>\n<h1><bdi dir="auto">{escape(name)}</bdi></h1>\n<p>@{handle}</p>\n</header>\n<main>\n'
    body += "".join(show_post(entry, rendered, f"{root}/{entry.id}") for entry, rendered in shown)
    body += "" if shown else '<p class="empty">No posts here yet.</p>\n'
    body += f"{around}</main>\n<footer>\n"
    body += f'<p>Follow: <a href="{root}/feed.atom">Atom</a>, <a href="{root}/feed.json">JSON Feed</a></p>\n</footer>\n'
    title = f"{name} (@{handle})" if name != f"@{handle}" else name
    path = f"/@{handle}" + (f"?before={before}" if before else "")
    return fill(site, title, head_of(site, handle, path, title, f"Posts by {name}", "profile"), body)


async def render_all(entries: Sequence[Entry], user_id: int) -> list[tuple[Entry, str | None]]:
    return [(entry, await render(entry.text, user_id)) for entry in entries]


def links_around(root: str, user_id: int, before: int | None, ids: list[int]) -> str:
    """To the newer page and to the older, of which there is one if there are more ids than a page has."""
    links = ""
    if before:
        newer = ids_of(user_id, POSTS + 1, Post.id >= before, oldest=True)
        query = f"?before={newer[POSTS]}" if len(newer) > POSTS else ""
        links += f'<a rel="prev" href="{root}{query}">Newer</a>\n' if newer else ""
    if len(ids) > POSTS:
        links += f'<a rel="next" href="{root}?before={ids[POSTS - 1]}">Older</a>\n'
    return f'<nav aria-label="Pages">\n{links}</nav>\n' if links else ""


def read_list(owner: Owner, root: str, before: int | None) -> tuple[str, list[Entry], str]:
    ids = ids_of(owner.user_id, POSTS + 1, *([Post.id < before] if before else []))
    around = links_around(root, owner.user_id, before, ids)
    return find_person(owner.user_id).name, find_excerpts(ids[:POSTS]), around


async def load_list(handle: str, owner: Owner, site: Site, before: int | None) -> Page:
    name, entries, around = await read(read_list, owner, f"{escape(site.root)}/@{handle}", before)
    shown = await render_all(entries, owner.user_id)
    return await read(
        lambda: page_of(show_list(handle, name or f"@{handle}", site, before, shown, around), HTML, owner)
    )


def show_one(handle: str, name: str, site: Site, entry: Entry, rendered: str | None) -> str:
    root = f"{escape(site.root)}/@{handle}"
    title = title_of(entry.text, rendered, entry.id)
    description = shorten(one_line(words_of(entry.text, rendered)), DESCRIPTION)
    path = f"/@{handle}/{entry.id}"
    head = head_of(site, handle, path, title, description, "article")
    head += meta("article:published_time", f"{time_of(entry.created_at):%Y-%m-%dT%H:%M:%SZ}")
    head += meta("article:modified_time", f"{time_of(entry.updated_at):%Y-%m-%dT%H:%M:%SZ}")
    body = f'<header>\n<h1><a href="{root}"><bdi dir="auto">{escape(name)}</bdi></a></h1>\n</header>\n<main>\n'
    body += f"<article>\n<h2>{show_times(entry)}</h2>\n{show_text(entry, rendered)}</article>\n</main>\n<footer>\n"
    body += f'<p><a href="{root}">All posts</a> <a href="{root}/{entry.id}?raw">Plain text</a></p>\n</footer>\n'
    return fill(site, f"{title} · {name}", head, body)


async def load_post(handle: str, owner: Owner, site: Site, post_id: int) -> Page | None:
    post = await read(find_post, owner.user_id, post_id)
    if not post:
        return None
    entry = Entry(post.id, post.text, True, post.created_at, post.updated_at)
    rendered = await render(entry.text, owner.user_id)
    name = (await read(find_person, owner.user_id)).name or f"@{handle}"
    return await read(lambda: page_of(show_one(handle, name, site, entry, rendered), HTML, owner))


def read_raw(owner: Owner, post_id: int) -> Page | None:
    post = find_post(owner.user_id, post_id)
    return page_of(post.text, "text/plain; charset=utf-8", owner) if post else None


async def load_raw(_: str, owner: Owner, __: Site, post_id: int) -> Page | None:
    return await read(read_raw, owner, post_id)


@cache
def missing(root: str) -> str:
    body = '<main class="missing">\n<h1>There is nothing here</h1>\n'
    body += "<p>Perhaps it was here once and was taken back, or the address is wrong.</p>\n</main>\n"
    return fill(Site(root, root), "Not found", meta("robots", "noindex"), body)
