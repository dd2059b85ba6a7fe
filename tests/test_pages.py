"""What all pages for people share: language, colours, what a browser keeps, who may send, and words for all of it."""

import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from flask import Blueprint, Response
from flask.testing import FlaskClient

from cds_content.screening import Screening
from cds_service.web import Deployment, create_app
from cds_service.web.pages import page, pages, words
from tests.conftest import ROOT
from tests.wire import store_in

pytestmark = pytest.mark.timeless  # nothing in it is dated

PUBLIC = "https://cds.example"
PACKAGE = ROOT / "cds_service"
FILES = sorted(path.stem for path in (PACKAGE / "words").glob("*.toml"))
# A key as it stands in a template or a module: "file.name", or the beginning of several, "file.name-".
KEY = re.compile(rf"""["'`]({"|".join(FILES)})\.(?!(?:css|js|html|toml)\b)([a-z0-9-]*)""")


def _routes(service: Deployment) -> Blueprint:
    """A page that takes something, as the form does."""
    blueprint = pages("taken", service)
    blueprint.add_url_rule("/taken", view_func=lambda: page("refusal.html.jinja", status=200, text=""), methods=["GET"])
    blueprint.add_url_rule("/taken", "take", lambda: Response("taken"), methods=["POST"])
    return blueprint


def _serving(screening: Screening, folder: Path, *, development: bool, public: str = PUBLIC) -> Iterator[FlaskClient]:
    store = store_in(folder / "pages.sqlite")
    service = Deployment((screening,), store, public, development=development)
    app = create_app(service)
    app.register_blueprint(_routes(service))
    yield app.test_client()
    store.dispose()


@pytest.fixture(name="browser")
def _browser(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A browser of its own, and the service in production."""
    yield from _serving(screening, tmp_path, development=False)


@pytest.fixture(name="near")
def _near(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """The service in development mode, on this machine."""
    yield from _serving(screening, tmp_path, development=True, public="http://127.0.0.1:8080")


# What the address, the cookie and the browser ask for, and the language that follows.
LANGUAGES = [
    ("", "", "", "nl"),
    ("", "", "fr, en;q=0.5", "en"),
    ("", "", "fr", "nl"),
    ("", "en", "nl", "en"),
    ("nl", "en", "en", "nl"),
    ("xx", "", "en", "en"),
    ("", "<b>", "en", "en"),
]


@pytest.mark.parametrize(("asked", "kept", "accepted", "spoken"), LANGUAGES)
def test_a_page_speaks_the_language_that_its_reader_chose_last(
    browser: FlaskClient, asked: str, kept: str, accepted: str, spoken: str
) -> None:
    if kept:
        browser.set_cookie("lang", kept, domain="cds.example")
    sent = {"Accept-Language": accepted} if accepted else {}
    answer = browser.get("/", query_string={"lang": asked} if asked else {}, headers=sent, base_url=PUBLIC)
    assert f'<html lang="{spoken}"' in answer.text
    assert answer.headers["Content-Language"] == spoken
    assert answer.headers["Vary"] == "Accept-Language, Cookie"
    assert ("Naar de inhoud" in answer.text) is (spoken == "nl")


def test_a_choice_is_kept_for_the_next_page_and_no_script_reads_it(browser: FlaskClient) -> None:
    chosen = browser.get("/?lang=en&theme=dark", base_url=PUBLIC).headers.getlist("Set-Cookie")
    assert {cookie.partition(";")[0] for cookie in chosen} == {"lang=en", "theme=dark"}
    for cookie in chosen:
        assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; "))
    assert '<html lang="en" data-bs-theme="dark">' in browser.get("/review", base_url=PUBLIC).text


def test_without_https_the_cookie_still_comes_back(near: FlaskClient) -> None:
    (cookie,) = near.get("/?theme=light").headers.getlist("Set-Cookie")
    assert "Secure" not in cookie
    assert 'data-bs-theme="light"' in near.get("/").text


@pytest.mark.parametrize("asked", ["lang=xx", "theme=blue", "theme=", 'lang="><script>', "theme=dark%00"])
def test_a_choice_that_there_is_not_is_neither_kept_nor_shown(browser: FlaskClient, asked: str) -> None:
    answer = browser.get(f"/?{asked}", base_url=PUBLIC)
    assert answer.status_code == 200
    assert "Set-Cookie" not in answer.headers
    assert "data-bs-theme" not in answer.text
    assert "<script>" not in answer.text


def test_the_links_that_change_the_language_keep_what_else_was_asked(browser: FlaskClient) -> None:
    answer = browser.get("/review/low-back-pain/table?advice=self-care&lang=en", base_url=PUBLIC)
    assert 'href="?advice=self-care&amp;lang=nl"' in answer.text
    assert 'href="?advice=self-care&amp;lang=en&amp;theme=dark"' in answer.text


# What a browser says about who sends, and whether that may be.
SENDERS: list[tuple[dict[str, str], int]] = [
    ({"Origin": PUBLIC, "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": PUBLIC}, 200),
    ({}, 200),
    ({"Sec-Fetch-Site": "none"}, 200),
    ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Origin": "https://evil.example"}, 403),
    ({"Origin": "null"}, 403),
    ({"Origin": "null", "Sec-Fetch-Site": "same-origin"}, 200),
    ({"Origin": "null", "Sec-Fetch-Site": "cross-site"}, 403),
    ({"Origin": "https://evil.example", "Sec-Fetch-Site": "same-origin"}, 403),
    ({"Origin": "https://cds.example.evil.example"}, 403),
    ({"Origin": "https://cds.example:444"}, 403),
    ({"Sec-Fetch-Site": "cross-site"}, 403),
    ({"Sec-Fetch-Site": "same-site"}, 403),
    ({"Origin": PUBLIC, "Sec-Fetch-Site": "same-site"}, 403),
]


@pytest.mark.parametrize(("sent", "status"), SENDERS, ids=str)
def test_no_other_site_sends_anything_in_the_name_of_a_reader(
    browser: FlaskClient, sent: dict[str, str], status: int
) -> None:
    answer = browser.post("/taken", headers=sent, base_url=PUBLIC)
    assert answer.status_code == status
    assert (answer.text == "taken") is (status == 200)


@pytest.mark.parametrize("host", ["evil.example", "cds.example.evil.example", "localhost", "127.0.0.1", "[::1]"])
def test_a_name_that_is_not_ours_shows_no_page(browser: FlaskClient, host: str) -> None:
    answer = browser.get("/", base_url=f"https://{host}")
    assert (answer.status_code, answer.mimetype) == (403, "text/html")
    assert "evil" not in answer.text


@pytest.mark.parametrize(("host", "status"), [("localhost", 200), ("127.0.0.1", 200), ("evil.example", 403)])
def test_in_development_every_name_of_this_machine_is_ours(near: FlaskClient, host: str, status: int) -> None:
    assert near.get("/", base_url=f"http://{host}:8080").status_code == status


def test_a_refusal_is_a_page_that_reassures_nobody(browser: FlaskClient) -> None:
    answer = browser.get("/review/nothing?lang=en", base_url=PUBLIC)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert "Nothing follows from this about anybody&#39;s complaints" in answer.text
    assert "nothing" not in re.sub(r"Nothing follows", "", answer.text).replace("?", ""), "what was asked is not said"


@pytest.mark.parametrize("file", FILES)
def test_every_word_is_there_in_both_languages_with_the_same_places(file: str) -> None:
    assert words(file)
    for name, texts in words(file).items():
        places = {tag: {part[1] for part in Formatter().parse(text) if part[1]} for tag, text in texts.items()}
        assert places["nl"] == places["en"], name
        assert all(text.strip() for text in texts.values()), name


def _used() -> Iterator[tuple[str, str, str]]:
    """(file, name of the word or how it begins, where) of every word that a page asks for."""
    for path in (*PACKAGE.rglob("*.jinja"), *PACKAGE.rglob("*.py")):
        for file, name in KEY.findall(path.read_text("utf-8")):
            yield file, name, path.name


@pytest.mark.parametrize("file", FILES)
def test_every_word_that_a_page_asks_for_is_there(file: str) -> None:
    for asked, name, where in _used():
        known = words(asked)
        begins = any(one.startswith(name) for one in known) if name.endswith("-") or not name else name in known
        assert asked != file or begins, f"{where}: {file}.{name}"


@pytest.mark.parametrize("file", FILES)
def test_no_word_stands_there_for_nothing(file: str) -> None:
    used = {name for asked, name, _ in _used() if asked == file}
    beginnings = tuple(name for name in used if name.endswith("-") or not name)
    assert [name for name in words(file) if name not in used and not name.startswith(beginnings)] == []
