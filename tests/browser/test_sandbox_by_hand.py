"""The record of a patient in the sandbox, by hand: cards heeded and refused, orders, what is broken or compared."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open
from tests.browser.form_steps import answer, review, send
from tests.browser.reader import Reader, audit, sideways
from tests.browser.sandbox_steps import (
    afresh,
    cards,
    chart,
    emptied,
    messages,
    press,
    problem,
    switched,
    topics,
    unfold,
)
from tests.samples import CALM

pytestmark = [pytest.mark.timeless, pytest.mark.browser]


@pytest.fixture(autouse=True)
def _afresh(reader: Reader) -> Iterator[None]:
    yield
    afresh(reader)


def test_the_newcomer_is_led_to_a_patient_and_the_form(reader: Reader) -> None:
    page = reader.open("/sandbox")
    page.locator("#newcomer").click()
    expect(page.locator("#fill-in")).to_be_visible()
    page.locator("#fill-in").click()

    expect(page.locator("[data-question]").first).to_be_visible()


def test_a_suggestion_that_is_accepted_is_on_record_and_the_card_says_so(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    before = page.locator("[data-on-record]").count()
    press(page.locator("[data-suggestion]").first)

    expect(page.locator("[data-heeded=accepted]")).to_have_count(1)
    assert page.locator("[data-on-record]").count() > before
    assert messages(page, "feedback").get_attribute("data-status") == "200"


def test_a_card_that_is_dismissed_says_so_and_its_reason_is_sent(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    card = cards(page).first
    card.locator("details:has([data-dismiss]) summary").click()
    card.locator("input[name=reason]").first.check()
    card.locator("textarea").fill("gezien")
    press(card.locator("[data-dismiss]"))

    expect(page.locator("[data-heeded=overridden]")).to_have_count(1)
    message = messages(page, "feedback")
    message.locator("summary").click()
    expect(message).to_contain_text("gezien")
    expect(message).to_contain_text("reason")


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_each_order_is_looked_at_when_it_is_chosen_and_when_it_is_signed(
    urgent: str, hook: str, reader: Reader
) -> None:
    page = chart(reader, urgent)
    kinds = [one.get_attribute("data-order") for one in page.locator("[data-order]").all()]
    assert len(kinds) >= 2

    for kind in kinds:
        press(page.locator(f"[data-order='{kind}']"))
        if hook == "order-sign":
            press(page.locator("[data-hook=order-sign]"))
        assert hook in page.locator("#cards").inner_text()
        assert problem(page) == ""
        assert cards(page).count() > 0


def test_an_appointment_is_looked_at_when_it_is_booked(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    press(page.locator("[data-book]").first)

    assert "appointment-book" in page.locator("#cards").inner_text()
    assert problem(page) == ""
    assert cards(page).count() > 0


@pytest.mark.parametrize(
    ("switch", "status"), [("wrong-token", "401"), ("expired-token", "401"), ("outcome-prefetch", "412")]
)
def test_what_is_broken_is_shown_as_a_problem_and_never_as_no_card(
    urgent: str, switch: str, status: str, reader: Reader
) -> None:
    switched(reader, switch)
    page = chart(reader, urgent)
    press(page.locator("[data-hook=patient-view]"))

    assert problem(page)
    assert page.locator("[data-no-card]").count() == 0
    assert cards(page).count() == 0
    assert messages(page).first.get_attribute("data-status") == status


def test_a_response_that_is_not_finished_is_told_apart_from_none(urgent: str, reader: Reader) -> None:
    switched(reader, "in-progress")
    page = chart(reader, urgent)
    press(page.locator("[data-hook=patient-view]"))

    assert topics(page)
    assert "self-care" not in topics(page)


def test_without_prefetch_the_service_asks_our_fhir_server_and_says_the_same(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    said = topics(page)
    switched(reader, "no-prefetch")
    page = chart(reader, urgent)
    press(page.locator("[data-hook=patient-view]"))

    assert topics(page) == said
    assert messages(page, "fhir").count() > 0


def test_another_answer_is_compared_and_nothing_of_it_is_kept(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    said = topics(page)
    press(page.locator("#compare"))
    page.locator("#question").select_option("rf-saddle")
    press(page.locator("#choose-question"))
    page.locator("#answer").select_option("new")
    press(page.locator("#choose-answer"))

    expect(page.locator("[data-change=new]").first).to_be_visible()
    assert audit(page) == []
    assert topics(chart(reader, urgent)) == said


def test_the_whole_message_can_be_read_and_copied_for_a_shell(urgent: str, a_reader: Open) -> None:
    reader = a_reader("en", permissions=["clipboard-read", "clipboard-write"])
    page = chart(reader, urgent)
    message = messages(page).first
    message.locator("summary").first.click()
    for words in ("hookInstance", "Authorization", "ES384", '"cards"'):
        expect(message).to_contain_text(words)
    message.locator("[data-copy] button").click()
    expect(message.get_by_role("status")).not_to_be_empty()

    assert str(page.evaluate("navigator.clipboard.readText()")).startswith("curl ")


@pytest.mark.parametrize(("language", "theme"), [("nl", "dark"), ("en", "light")])
def test_a_record_has_no_serious_fault_of_accessibility(urgent: str, language: str, theme: str, a_reader: Open) -> None:
    page = chart(a_reader(language, color_scheme=theme), urgent)
    unfold(page)

    assert audit(page) == []


def test_a_record_fits_on_a_narrow_screen(urgent: str, a_reader: Open) -> None:
    page = chart(a_reader("nl", viewport={"width": 320, "height": 640}), urgent)
    unfold(page)

    assert sideways(page) <= 0


def test_to_go_back_and_to_load_again_does_nothing_twice(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    press(page.locator("[data-order]").first)
    drafts = page.locator("[data-on-record=ServiceRequest]").count()
    page.reload()
    page.go_back()
    page.go_forward()

    assert page.locator("[data-on-record=ServiceRequest]").count() == drafts


def test_the_language_of_a_record_can_be_changed(urgent: str, reader: Reader) -> None:
    page = chart(reader, urgent)
    dutch = cards(page).first.locator("h3").inner_text()
    page.locator("nav a[hreflang=en]").click()
    press(page.locator("[data-hook=patient-view]"))

    assert page.locator("html").get_attribute("lang") == "en"
    assert cards(page).first.get_attribute("lang") == "en"
    assert cards(page).first.locator("h3").inner_text() != dutch


def test_everything_works_without_scripts(urgent: str, a_reader: Open) -> None:
    page = chart(a_reader("nl", java_script_enabled=False), urgent)
    press(page.locator("[data-order]").first)
    assert "order-select" in page.locator("#cards").inner_text()
    emptied(page).locator("#fill-in").click()
    answer(page, CALM)
    review(page)
    send(page)
    page.locator("#back-to-chart").click()
    press(page.locator("[data-hook=patient-view]"))

    assert topics(page) == ["self-care"]


def test_the_keyboard_is_enough_from_the_first_page_to_the_card(urgent: str, reader: Reader) -> None:
    page = reader.open("/sandbox")
    press_until(reader, f"[data-patient='{urgent}']")
    page.keyboard.press("Enter")
    expect(page.locator("#fill-in")).to_be_visible()
    press_until(reader, "#fill-in")
    page.keyboard.press("Enter")
    expect(page.locator("[data-question]").first).to_be_visible()
    for link_id, code in CALM.items():
        choose_by_keys(reader, link_id, str(code))
    press_until(reader, "#review")
    page.keyboard.press("Enter")
    expect(page.locator("#send")).to_be_visible()
    press_until(reader, "#send")
    page.keyboard.press("Enter")
    expect(page.locator("main [data-outcome]").first).to_be_visible()
    press_until(reader, "#back-to-chart")
    page.keyboard.press("Enter")
    expect(page.locator("[data-card], [data-hook]").first).to_be_visible()
    press_until(reader, "[data-hook=patient-view]")
    page.keyboard.press("Enter")

    expect(page.locator("[data-card]").first).to_be_visible()
    assert topics(page) == ["self-care"]


def press_until(reader: Reader, selector: str) -> None:
    """Tab until this has the focus, and it can be seen that it has."""
    for _ in range(400):
        reader.page.keyboard.press("Tab")
        if reader.page.evaluate("selector => document.activeElement.matches(selector)", selector):
            return
    raise AssertionError(f"no Tab leads to {selector}")


def choose_by_keys(reader: Reader, link_id: str, code: str) -> None:
    """Tab into the question, then arrows (a radio group) or Tab and Space (boxes), or typing (a number)."""
    page, asked = reader.page, f"[data-question='{link_id}'] input"
    press_until(reader, asked)
    kind = page.evaluate("document.activeElement.type")
    if kind not in ("radio", "checkbox"):
        page.keyboard.type(code)
        return
    page.keyboard.press("Space")
    for _ in range(20):
        if page.evaluate("code => document.activeElement.value === code", code):
            break
        page.keyboard.press("ArrowDown" if kind == "radio" else "Tab")
    if kind == "checkbox" and not page.evaluate("document.activeElement.checked"):
        page.keyboard.press("Space")
