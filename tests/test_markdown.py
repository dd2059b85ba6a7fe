"""The markdown of a card: what it may become, and that it can become nothing else."""

from html.parser import HTMLParser

import pytest

from cds_service.markdown import is_web, leads_out, rendered
from tests.test_sandbox_strangers import PAYLOADS

pytestmark = pytest.mark.timeless  # nothing in it is dated

ALLOWED = {
    *("p", "strong", "em", "ul", "ol", "li", "a", "h4", "h5", "h6", "code", "pre", "blockquote", "hr", "br", "s"),
    *("table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"href", "title", "rel", "target", "class", "start"}


class Tags(HTMLParser):
    """The tags of a text, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("**a** *b* `c`", "<p><strong>a</strong> <em>b</em> <code>c</code></p>\n"),
        ("- a\n- b", "<ul>\n<li>a</li>\n<li>b</li>\n</ul>\n"),
        ("# a", "<h4>a</h4>\n"),
        ("## a", "<h5>a</h5>\n"),
        ("###### a", "<h6>a</h6>\n"),
        ("~~a~~", "<p><s>a</s></p>\n"),
        ("a < b & c", "<p>a &lt; b &amp; c</p>\n"),
        ("", ""),
    ],
)
def test_markdown_becomes_html(text: str, html: str) -> None:
    assert rendered(text) == html


def test_a_table_has_no_style_of_its_own() -> None:
    html = rendered("|a|b|\n|:-|-:|\n|1|2|")

    assert "<td>1</td>" in html
    assert "style" not in html


@pytest.mark.parametrize("url", ["https://a.example/b?c=d", "http://a.example", "mailto:a@b.example"])
def test_a_link_opens_apart_and_tells_nothing(url: str) -> None:
    expected = f'<a href="{url}" rel="noopener noreferrer nofollow" target="_blank">x</a>'

    assert rendered(f"[x]({url})") == f"<p>{expected}</p>\n"


def test_a_picture_is_its_words() -> None:
    assert rendered("![A scan](https://a.example/b.png)") == "<p>A scan</p>\n"


@pytest.mark.parametrize("text", PAYLOADS)
@pytest.mark.parametrize(
    "around", ["{}", "# {}", "- {}", "> {}", "**{}**", "[x]({})", "```{}\n{}\n```", "|a|\n|-|\n|{}|"]
)
def test_no_payload_becomes_more_than_text(text: str, around: str) -> None:
    tags = Tags(rendered(around.replace("{}", text)))

    assert tags.tags - ALLOWED == set()
    assert {name for name, _ in tags.attributes} - ATTRIBUTES == set()
    links = [value for name, value in tags.attributes if name == "href"]
    assert [link for link in links if not link.lower().startswith(("http://", "https://", "mailto:"))] == []


@pytest.mark.parametrize(
    "url",
    ["javascript:x", "JAVASCRIPT:x", "//a.example", "/a", "a", "", "https:", "http://[", "ftp://a.example", "data:,x"],
)
def test_these_lead_nowhere(url: str) -> None:
    assert not leads_out(url)
    assert not is_web(url)


def test_mail_is_no_web_address() -> None:
    assert leads_out("mailto:a@b.example")
    assert not is_web("mailto:a@b.example")
