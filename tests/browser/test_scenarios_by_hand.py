"""Every scenario of the library as a person meets it: the form filled in by clicks, then the cards on the record."""

import pytest
from playwright.sync_api import expect

from cds_content.screening import Screening
from cds_service.scenarios import Scenario
from tests.browser.conftest import LIBRARY, Open
from tests.browser.form_steps import answer, review, send
from tests.browser.sandbox_steps import cards, chart, emptied, press, problem, topics

pytestmark = [pytest.mark.timeless, pytest.mark.browser]

LANGUAGES = ("nl", "en")
STILL = {"reduced_motion": "reduce"}  # else a reader waits a second for the page to scroll, at each of these


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_filled_in_gives_the_cards_of_the_decision_table(
    answered: Scenario, language: str, screening: Screening, a_reader: Open
) -> None:
    reader = a_reader(language, **STILL)
    page = emptied(chart(reader, answered.name))
    page.locator("#fill-in").click()
    answer(page, answered.answers)
    review(page)
    outcome = send(page)

    urgent = [one for one in screening.findings if one.row in answered.rows and one.advice == first(screening)]
    assert outcome == ("emergency" if urgent else "sent")
    page.locator("#back-to-chart").click()
    press(page.locator("[data-hook=patient-view]"))
    assert problem(page) == ""
    assert topics(page) == list(answered.cards)


def first(screening: Screening) -> str:
    """The most urgent disposition."""
    return next(iter(screening.dispositions))


def test_a_record_is_seen_for_what_it_is(looked_at: Scenario, a_reader: Open) -> None:
    page = chart(a_reader("nl", **STILL), looked_at.name)

    if looked_at.status == 200:
        assert (topics(page), problem(page)) == (list(looked_at.cards), "")
    else:
        assert topics(page) == []
        expect(page.locator("#cards [data-problem]")).to_be_visible()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_example_gives_on_the_record_what_the_library_says(language: str, a_reader: Open) -> None:
    """Also those that no record can hold: the request itself is sent, and its answer is shown as it stands there."""
    reader = a_reader(language, **STILL)
    for one in LIBRARY:
        page = chart(reader, one.name)
        press(page.locator("[data-hook=replay]"))
        expected = one.response[language].get("cards", [])

        assert topics(page) == list(one.cards), one.name
        assert cards(page).locator("h3").all_inner_texts() == [card["summary"] for card in expected], one.name
        assert bool(problem(page)) == (one.status != 200), one.name
