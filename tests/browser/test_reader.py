"""The reader itself: what is planted on a page is found, and a page without faults has no complaint."""

import re

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import Open
from tests.browser.reader import Reader, audit, reading, sideways
from tests.running import Running

pytestmark = [pytest.mark.timeless, pytest.mark.browser]


def test_a_page_without_faults_has_no_complaint(reader: Reader) -> None:
    page = reader.open("/")

    assert page.locator("h1").count() == 1
    assert audit(page) == []
    assert reader.complaints == []


@pytest.mark.parametrize(
    ("planted", "complaint"),
    [
        (
            "document.body.append(Object.assign(new Image(), {src: 'https://elsewhere.example/x.png'}))",
            "policy: img-src",
        ),
        ("document.body.setAttribute('style', 'color: red')", "policy: style-src"),
        ("document.body.append(Object.assign(document.createElement('script'), {text: 'x()'}))", "policy: script-src"),
        ("setTimeout(() => alert('x'))", "dialog: x"),
        ("setTimeout(() => { throw new Error('x') })", "script: x"),
        ("fetch('/nowhere')", "console: .*404"),
        ("location = 'http://127.0.0.1:9/elsewhere'", "elsewhere: http://127.0.0.1:9/"),
    ],
)
def test_what_is_planted_is_complained_of(planted: str, complaint: str, site: Running, chromium: Browser) -> None:
    with pytest.raises(AssertionError, match=complaint):
        _planted(planted, complaint, site, chromium)


def _planted(planted: str, complaint: str, site: Running, chromium: Browser) -> None:
    with reading(chromium, site.address) as reader:
        page = reader.open("/")
        page.evaluate(f"() => {{ {planted} }}")
        for _ in range(500):
            if any(re.search(complaint, one) for one in reader.complaints):
                break  # there may be several, in any order
            page.wait_for_timeout(20)  # ms


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        ("<input type=radio>", "label"),
        ("<button></button>", "button-name"),
        ("<p class='text-warning bg-white'>pale</p>", "color-contrast"),
    ],
)
def test_a_fault_that_is_planted_is_found_by_the_audit(planted: str, rule: str, reader: Reader) -> None:
    page = reader.open("/")
    page.evaluate("planted => { document.querySelector('main').innerHTML += planted }", planted)

    assert [one for one in audit(page) if one.startswith(f"{rule}:")]


def test_a_page_that_is_too_wide_is_seen(a_reader: Open) -> None:
    page = a_reader("en", viewport={"width": 320, "height": 700}).open("/")
    page.evaluate("document.querySelector('main').innerHTML += `<p class='text-nowrap'>${'wide '.repeat(99)}</p>`")

    assert sideways(page) > 100
