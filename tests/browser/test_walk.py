"""A walk past every kind of page that others do not see in each language: no serious fault on any of them."""

import re

import pytest
from playwright.sync_api import Page

from tests.browser.conftest import Open
from tests.browser.form_steps import answer, review, send
from tests.browser.reader import Reader, audit, sideways
from tests.browser.sandbox_steps import afresh, chart, emptied, press, switched, unfold
from tests.samples import CALM

pytestmark = [pytest.mark.timeless, pytest.mark.browser]

# The browser tells of every answer that is no success, and these are meant.
REFUSED = r"status of (400|401|404|422)"


def sound(page: Page, where: str) -> None:
    """Fails where axe finds something serious, or the page is wider than its window."""
    assert audit(page) == [], where
    assert sideways(page) <= 0, where
    assert page.locator("h1").count() == 1, where


@pytest.mark.parametrize(
    ("language", "theme", "width"),
    [("nl", "light", 1200), ("en", "dark", 390), ("nl", "dark", 320), ("en", "light", 1200)],
)
def test_no_page_on_the_way_from_a_record_to_a_card_has_a_serious_fault(
    language: str, theme: str, width: int, a_reader: Open
) -> None:
    reader = a_reader(language, color_scheme=theme, viewport={"width": width, "height": 800})
    reader.expected.append(REFUSED)
    page = emptied(chart(reader, "first-visit"))
    unfold(page)
    sound(page, "the record with the offer of the form")
    page.locator("#fill-in").click()
    sound(page, "the form")
    visit = re.sub(r"[?#].*", "", page.url)
    with page.expect_navigation():
        page.evaluate("document.getElementById('form').submit()")  # nothing answered, and no button pressed
    sound(page, "what is no step of the form")
    page.goto(visit)
    _fill_in(page, {"rf-saddle": "new"})
    sound(page, "the summary")
    assert send(page) == "emergency"
    sound(page, "the emergency notice")
    page.goto(visit)
    sound(page, "a visit that is over")
    _past_the_record(reader)


def _fill_in(page: Page, more: dict[str, str]) -> None:
    """Ticks what a phone shows one after another, too: all that is on the page."""
    answers = CALM | more
    next_, asked = page.locator("#next"), page.locator("[data-question]")
    if not next_.is_visible():
        answer(page, answers)
    while next_.is_visible():
        (shown,) = [one.get_attribute("data-question") for one in asked.all() if one.is_visible()]
        answer(page, {name: one for name, one in answers.items() if name == shown})
        next_.click()
    (last,) = list(answers.items())[-1:]
    answer(page, dict([last]))
    review(page)


def _past_the_record(reader: Reader) -> None:
    page = chart(reader, "first-visit")
    unfold(page)
    sound(page, "the record with an urgent card")
    press(page.locator("#compare"))
    sound(page, "two answers compared")
    switched(reader, "wrong-token")
    try:
        page = chart(reader, "first-visit")
        press(page.locator("[data-hook=patient-view]"))
        sound(page, "a record with a problem")
    finally:
        afresh(reader)
    page = reader.open("/sandbox/patients/nobody")
    sound(page, "a refusal")
