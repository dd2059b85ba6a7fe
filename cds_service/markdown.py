"""Markdown of a card as HTML that can do nothing: no markup of its own, no pictures, links to the web and to mail only.

A card may come from any service, so its text is a stranger's. Sources: CDS Hooks 2.0.1, "Card Attributes" (detail is
GitHub Flavored Markdown); CommonMark 0.31; OWASP Cross Site Scripting Prevention.
"""

from collections.abc import Sequence
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

TOP = 4  # level of a card's own first heading; the page, the part and the card stand above it
_LOWEST = 6
_STYLED = ("th_open", "td_open")
_LINKED = ("http", "https", "mailto")


def rendered(text: str) -> Markup:
    """The text as HTML, safe to show whoever wrote it."""
    tokens = _reader.parse(text)
    for token in _all(tokens):
        _tame(token)
    return Markup(_reader.renderer.render(tokens, _reader.options, {}))  # noqa: S704  # nosemgrep: markup-from-text - by the renderer above


def leads_out(url: str) -> bool:
    """Whether this is an absolute link to the web or to mail: the only ones that are shown as links."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in _LINKED and bool(parts.hostname or parts.scheme == "mailto")


def is_web(url: str) -> bool:
    """Whether this is an absolute http or https address."""
    return leads_out(url) and not url.lower().startswith("mailto:")


def _all(tokens: Sequence[Token]) -> list[Token]:
    return [one for token in tokens for one in (token, *(token.children or ()))]


def _tame(token: Token) -> None:
    """Headings below the card's own, links that tell nothing to where they lead, and no style of their own."""
    if token.type in ("heading_open", "heading_close"):
        token.tag = f"h{min(int(token.tag[1]) + TOP - 1, _LOWEST)}"
    elif token.type == "link_open":
        token.attrs |= {"rel": "noopener noreferrer nofollow", "target": "_blank"}
    elif token.type in _STYLED:
        token.attrs.pop("style", None)  # the alignment of a column; the policy of the page lets no style stand here
    elif token.type == "image":
        token.type, token.tag = "text", ""  # the words that stand for the picture; nothing is fetched


def _made() -> MarkdownIt:
    reader = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    reader.validateLink = leads_out  # type: ignore[method-assign]  # the documented way to say which links there are
    return reader


_reader = _made()
