"""Atom (RFC 4287) and JSON Feed 1.1: the newest posts, with ids that stay when texts, handles and hosts change."""

import json
import re
from html import escape
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from models import read

from .answers import Page, Site, page_of
from .markdown import html_of
from .pages import render_all, time_of, title_of
from .posts import Entry, Owner, Person, find_excerpts, find_person, ids_of

POSTS = 50
ATOM, JSON = "application/atom+xml; charset=utf-8", "application/feed+json; charset=utf-8"
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def id_of(what: str, number: int, since: int) -> str:
    """A number and a time, which together are nobody else's on another service."""
    return f"urn:uuid:{uuid5(NAMESPACE_OID, f'{what} {number} {since}')}"


def stamp(at: int) -> str:
    return f"{time_of(at).isoformat(timespec='milliseconds')[:-6]}Z"


def content_of(entry: Entry, rendered: str | None, link: str) -> str:
    more = "" if entry.whole else f'\n<p><a href="{escape(link)}">Read on</a></p>'
    return html_of(entry.text, rendered) + more


def show_entry(entry: Entry, rendered: str | None, link: str) -> str:
    return f"""<entry>
<id>{id_of("post", entry.id, entry.created_at)}</id>
<title>{escape(title_of(entry.text, rendered, entry.id))}</title>
<link rel="alternate" type="text/html" href="{escape(link)}"/>
<published>{stamp(entry.created_at)}</published>
<updated>{stamp(entry.updated_at)}</updated>
<content type="html">{escape(content_of(entry, rendered, link))}</content>
</entry>
"""


def show_atom(handle: str, owner: Owner, site: Site, person: Person, shown: list[tuple[Entry, str | None]]) -> str:
    home, name = f"{site.base}/@{handle}", person.name or f"@{handle}"
    updated = max((entry.updated_at for entry, _ in shown), default=owner.version)
    entries = "".join(show_entry(entry, rendered, f"{home}/{entry.id}") for entry, rendered in shown)
    feed = f"""<?xml version="1.0" encoding="utf-8"?>
<feed xmlns="http://www.w3.org/2005/Atom">
<id>{id_of("account", owner.user_id, person.since)}</id>
<title>{escape(name)}</title>
<updated>{stamp(updated)}</updated>
<author><name>{escape(name)}</name><uri>{escape(home)}</uri></author>
<link rel="self" type="application/atom+xml" href="{escape(home)}/feed.atom"/>
<link rel="alternate" type="text/html" href="{escape(home)}"/>
{entries}</feed>
"""
    return NOT_XML.sub("", feed)


def show_json(handle: str, site: Site, person: Person, shown: list[tuple[Entry, str | None]]) -> str:
    home, name = f"{site.base}/@{handle}", person.name or f"@{handle}"
    items = [
        {
            "id": id_of("post", entry.id, entry.created_at),
            "url": f"{home}/{entry.id}",
            "title": title_of(entry.text, rendered, entry.id),
            "content_html": content_of(entry, rendered, f"{home}/{entry.id}"),
            "date_published": stamp(entry.created_at),
            "date_modified": stamp(entry.updated_at),
        }
        for entry, rendered in shown
    ]
    feed: dict[str, Any] = {
        "version": "https://jsonfeed.org/version/1.1",
        "title": name,
        "home_page_url": home,
        "feed_url": f"{home}/feed.json",
        "authors": [{"name": name, "url": home}],
        "items": items,
    }
    return json.dumps(feed, ensure_ascii=False)


def read_newest(owner: Owner) -> tuple[Person, list[Entry]]:
    return find_person(owner.user_id), find_excerpts(ids_of(owner.user_id, POSTS))


async def load_atom(handle: str, owner: Owner, site: Site) -> Page:
    person, entries = await read(read_newest, owner)
    shown = await render_all(entries, owner.user_id)
    return await read(lambda: page_of(show_atom(handle, owner, site, person, shown), ATOM, owner))


async def load_json(handle: str, owner: Owner, site: Site) -> Page:
    person, entries = await read(read_newest, owner)
    shown = await render_all(entries, owner.user_id)
    return await read(lambda: page_of(show_json(handle, site, person, shown), JSON, owner))
