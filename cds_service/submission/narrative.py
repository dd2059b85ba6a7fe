"""Whether a narrative is the harmless XHTML that FHIR allows. Source: FHIR R4 Narrative, invariants txt-1 and txt-2.

What a reader's browser might take otherwise than this parser counts as not allowed.
"""

from html.parser import HTMLParser

_TEXT = (
    "a abbr acronym b big blockquote br cite code dd dfn div dl dt em h1 h2 h3 h4 h5 h6 hr i li ol p pre q samp small"
)
_MORE = "span strong sub sup table tbody td tfoot th thead tr tt ul var caption col colgroup"
_NAMED = "xmlns class id lang xml:lang title dir colspan rowspan align valign border href name"
_TAGS, _ATTRIBUTES = {*_TEXT.split(), *_MORE.split()}, {*_NAMED.split()}
_EMPTY = ("br", "hr", "col")
_LINKS = ("http://", "https://", "mailto:", "#")


def is_safe(div: str) -> bool:
    """Whether this is one <div> with nothing in it but text, structure and links; no scripts, styles or images."""
    if "<!" in div or "<?" in div:  # comments and declarations, on some of which the parser fails
        return False
    parser = _Parser()
    parser.feed(div)
    parser.close()
    return parser.safe and not parser.open and div.startswith("<div") and div.endswith("</div>")


class _Parser(HTMLParser):
    """`open` holds the tags not yet closed; `safe` is False once something is there that may not be."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.safe = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        links = [value or "" for name, value in attrs if name == "href"]
        known = tag in _TAGS and all(name in _ATTRIBUTES for name, _ in attrs)
        self.safe &= known and all(link.startswith(_LINKS) for link in links)
        self.open += [] if tag in _EMPTY else [tag]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _EMPTY:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _EMPTY:
            return
        self.safe &= bool(self.open) and self.open.pop() == tag

    def handle_data(self, _: str) -> None:
        self.safe &= bool(self.open)
