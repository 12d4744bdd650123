"""Markdown to HTML, run as a program of its own: a JSON string a line, answered with the HTML, or with null.

Markdown can take for ever and any memory: of ten thousand brackets each is looked at for each, and one long link can
be repeated by a few letters. So this is no work for a thread, which cannot be ended.
"""

import json
import resource
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress

import nh3
from markdown_it import MarkdownIt
from markdown_it.token import Token

LEAST, EACH = 0.1, 5e-6  # seconds of the processor that a text may take, and for each of its characters
MEMORY = 2**29  # bytes
GROWTH, FREE = 20, 2**12  # times as long the HTML may be, and characters more

markdown = MarkdownIt("js-default", {"html": False})
cleaner = nh3.Cleaner(
    attributes={"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}},
    attribute_filter=lambda tag, name, value: (
        None if (tag, name) == ("img", "src") and not value.lower().startswith("https://") else value
    ),
    link_rel="ugc nofollow noopener",
    set_tag_attribute_values={
        "img": {"loading": "lazy", "decoding": "async", "referrerpolicy": "no-referrer"},
        "pre": {"tabindex": "0"},  # to be scrolled by keyboard
        "table": {"tabindex": "0"},
    },
    url_schemes={"http", "https", "mailto"},
)


class TookTooLong(BaseException):
    """No Exception, as markdown-it drops those that come up while it looks at a link."""


def lower_headings(tokens: Sequence[Token]) -> None:
    """The page has an `h1` and each post stands below an `h2`."""
    for token in tokens:
        if token.type in {"heading_open", "heading_close"}:
            token.tag = f"h{min(6, int(token.tag[1]) + 2)}"


def render(text: str) -> str | None:
    """None if the HTML would be out of all proportion."""
    tokens = markdown.parse(text)
    lower_headings(tokens)
    html = str(markdown.renderer.render(tokens, markdown.options, {}))
    return cleaner.clean(html) if len(html) <= GROWTH * len(text) + FREE else None


def render_in_time(text: str) -> str | None:
    """None, too, for what takes too long or fails, whatever it is."""
    html = None
    with suppress(Exception, TookTooLong):
        try:
            signal.setitimer(signal.ITIMER_PROF, LEAST + EACH * len(text))
            html = render(text)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return html


def break_off(*_: object) -> None:
    raise TookTooLong


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of its input ends it
    signal.signal(signal.SIGPROF, break_off)
    with suppress(OSError, ValueError):  # not on macOS, nor where a service manager forbids it
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for line in sys.stdin.buffer:
        print(json.dumps(render_in_time(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
