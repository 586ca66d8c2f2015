"""Markdown of a card as HTML that stands in a page: no HTML of its own, no pictures, links to the web only."""

from __future__ import annotations

import re
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
_WEB = re.compile(r"https?://|mailto:", re.IGNORECASE)
_DOWN = 2
"""A card's own title becomes a heading of this many levels less."""


def html_of(text: str) -> Markup:
    """``text`` without its front matter. Whatever it holds, the HTML has no script, no request and no odd scheme."""
    reader = MarkdownIt("commonmark", {"html": False}).enable("table").disable(["image"])
    tokens = reader.parse(_FRONT.sub("", text.replace("\r\n", "\n")))
    for token in tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(int(token.tag[1]) + _DOWN, 6)}"
        if token.attrs.pop("style", None) == "text-align:right":  # a cell of a table; pages have no style in them
            token.attrSet("class", "number")
        if token.children:
            token.children = _web_only(token.children)
    # markdown-it escapes all text, and refuses javascript:, vbscript:, file: and data: as links.
    return Markup(reader.renderer.render(tokens, reader.options, {}))


def _web_only(tokens: Sequence[Token]) -> list[Token]:
    """``tokens`` without links to anywhere but the web: what a card calls a file lies elsewhere in the site."""
    kept, links = [], []
    for token in tokens:
        if token.type == "link_open":
            links.append(_WEB.match(str(token.attrGet("href") or "")) is not None)
            if not links[-1]:
                continue
        elif token.type == "link_close" and not links.pop():
            continue
        kept.append(token)
    return kept
