"""The form by hand: on a desk, on a phone, without scripts, in another language halfway, and what is asked again."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from cds_content.screening import Screening
from cds_service.web import Deployment
from tests.browser.conftest import QUIET, Open
from tests.browser.form_steps import answer, answered, question, review, send
from tests.browser.reader import audit, reading, sideways
from tests.processes import free_port
from tests.samples import CALM
from tests.wire import listening, store_in

pytestmark = [pytest.mark.timeless, pytest.mark.browser]

FORM = "/form/low-back-pain"
ALONE = CALM | {"age": 40}  # nobody's record tells the age
ASKED_AGAIN = "status of 422"  # the console tells of it
PHONE = {"width": 390, "height": 844}


def test_nothing_is_chosen_beforehand_and_the_notice_stands_before_the_first_question(a_reader: Open) -> None:
    page = a_reader("nl").open(FORM)

    assert page.locator("[data-question] input:checked").count() == 0
    first = page.locator("[data-question]").first.bounding_box()
    assert first
    assert "112" in page.locator("main").inner_text()
    assert page.get_by_text("112").first.bounding_box()["y"] < first["y"]  # type: ignore[index]  # it is visible


def test_the_same_page_for_each_who_need_not_call_at_once(a_reader: Open) -> None:
    page = a_reader("nl").open(FORM)
    told = set()
    for said in (ALONE, ALONE | {"rf-leg": "unknown"}, ALONE | {"rf-unwell": "unknown"}):
        page.goto(page.url)
        answer(page, said)
        for follow_up, code in (("rf-leg-sides", "one"), ("rf-leg-progress", "no"), ("rf-fever", "no")):
            if question(page, follow_up).is_visible():
                answer(page, {follow_up: code})
        review(page)
        assert send(page) == "sent"
        told.add(page.locator("main [data-outcome]").first.inner_text())

    assert len(told) == 1


def test_an_alarm_shows_the_notice_first_and_as_an_alert(a_reader: Open) -> None:
    reader = a_reader("en")
    page = reader.open(FORM)
    answer(page, ALONE | {"rf-saddle": "new"})
    review(page)

    assert send(page) == "emergency"
    outcome = page.locator("main [data-outcome]").first
    expect(outcome).to_contain_text("112")
    assert page.locator("[role=alert]").count() > 0
    assert audit(page) == []


def test_what_is_not_answered_is_named_beside_its_question_and_on_top(a_reader: Open) -> None:
    reader = a_reader("en")
    reader.expected.append(ASKED_AGAIN)
    page = reader.open(FORM)
    answer(page, {"lbp-present": "yes"})
    page.locator("#review").click()

    expect(page.get_by_role("alert").first).to_be_visible()
    named = page.get_by_role("alert").locator("a[href^='#']")
    assert named.count() >= 5
    named.first.click()
    assert answered(page, "lbp-present") == ["yes"]
    assert audit(page) == []


def test_a_follow_up_is_shown_at_once_and_goes_with_its_question(a_reader: Open) -> None:
    page = a_reader("nl").open(FORM)
    expect(question(page, "rf-fever")).to_be_hidden()
    answer(page, {"rf-unwell": "yes"})
    expect(question(page, "rf-fever")).to_be_visible()
    answer(page, {"rf-unwell": "no"})
    expect(question(page, "rf-fever")).to_be_hidden()


def test_none_of_these_unticks_the_others(a_reader: Open) -> None:
    page = a_reader("nl").open(FORM)
    answer(page, {"rf-other": ["weight-loss", "pregnant", "none"]})

    assert answered(page, "rf-other") == ["none"]


def test_without_scripts_a_follow_up_is_asked_for_on_the_next_page(a_reader: Open) -> None:
    reader = a_reader("en", java_script_enabled=False)
    reader.expected.append(ASKED_AGAIN)
    page = reader.open(FORM)
    answer(page, ALONE | {"rf-unwell": "yes"})
    page.locator("#review").click()
    expect(page.locator("#send")).to_have_count(0)
    assert answered(page, "rf-saddle") == ["no"]
    answer(page, {"rf-fever": "no"})
    review(page)

    assert send(page) == "sent"


@pytest.mark.parametrize("scripts", [True, False])
def test_another_language_halfway_keeps_what_was_answered(scripts: bool, a_reader: Open) -> None:
    page = a_reader("nl", java_script_enabled=scripts).open(FORM)
    said = {name: CALM[name] for name in ("lbp-present", "rf-saddle", "rf-unwell")}
    answer(page, said)
    page.locator("button[formaction$='lang=en']").first.click()

    assert page.locator("html").get_attribute("lang") == "en"
    assert {name: answered(page, name) for name in said} == {name: [code] for name, code in said.items()}


def test_an_answer_can_be_changed_from_the_summary(a_reader: Open) -> None:
    page = a_reader("nl").open(FORM)
    answer(page, ALONE)
    review(page)
    assert audit(page) == []
    assert sideways(page) <= 0
    page.locator("main").get_by_role("button").or_(page.locator("main a")).filter(has_text="ijzig").first.click()

    expect(page.locator("#review")).to_be_visible()
    assert answered(page, "rf-saddle") == ["no"]


def test_a_phone_shows_one_question_after_another(a_reader: Open) -> None:
    page = a_reader("nl", viewport=PHONE, has_touch=True, is_mobile=True).open(FORM)
    asked = []
    for _ in range(40):
        (shown,) = visible(page)
        asked.append(shown)
        answer(page, {shown: ALONE[shown]})
        if not page.locator("#next").is_visible():
            break
        page.locator("#next").click()

    assert asked == [one for one in in_order(page) if one in ALONE]
    review(page)
    assert sideways(page) <= 0
    assert send(page) == "sent"


def in_order(page: Page) -> list[str]:
    return [one.get_attribute("data-question") or "" for one in page.locator("[data-question]").all()]


def visible(page: Page) -> list[str]:
    shown = page.locator("[data-question]").all()
    return [one.get_attribute("data-question") or "" for one in shown if one.is_visible()]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_the_form_fits_on_a_narrow_screen_and_has_no_serious_fault(theme: str, a_reader: Open) -> None:
    page = a_reader("en", viewport={"width": 320, "height": 640}, color_scheme=theme).open(FORM)

    assert sideways(page) <= 0
    assert audit(page) == []


@pytest.fixture(name="named")
def _named(screening: Screening, tmp_path: Path) -> Iterator[str]:
    """The address of a service under a name that is not of this machine: there a browser tells less of itself."""
    public = f"http://form.test:{free_port()}"
    service = Deployment((screening,), store_in(tmp_path / "named.sqlite"), public, development=True)
    with listening(service):
        yield public


@pytest.fixture(name="far")
def _far(chromium: Browser) -> Iterator[Browser]:
    """A browser that finds that name here."""
    rules = "--host-resolver-rules=MAP form.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
    kept = [one for one in QUIET if not one.startswith("--host-resolver-rules")]
    browser = chromium.browser_type.launch(executable_path=shutil.which("chromium"), args=[*kept, rules])
    yield browser
    browser.close()


def test_a_browser_that_does_not_say_of_which_site_it_is_can_send_the_form(named: str, far: Browser) -> None:
    with reading(far, named) as reader:
        page = reader.open(FORM)
        answer(page, ALONE)
        with page.expect_request(lambda one: one.method == "POST") as sent:
            review(page)
        said = sent.value.all_headers()
        assert send(page) == "sent"

    assert (said["origin"], said.get("sec-fetch-site")) == (named, None)


@pytest.mark.parametrize("scripts", [True, False])
def test_enter_in_a_field_asks_for_the_summary_and_changes_no_language(scripts: bool, a_reader: Open) -> None:
    page = a_reader("nl", java_script_enabled=scripts).open(FORM)
    answer(page, ALONE)
    page.locator("#i-age").press("Enter")

    expect(page.locator("#send")).to_be_visible()
    assert page.locator("html").get_attribute("lang") == "nl"


@pytest.mark.parametrize("kind", [{}, {"viewport": PHONE}], ids=["desk", "phone"])
def test_the_notice_stays_in_view_where_something_has_to_be_looked_at_again(
    kind: dict[str, object], a_reader: Open
) -> None:
    reader = a_reader("nl", **kind)
    reader.expected.append(ASKED_AGAIN)
    page = reader.open(FORM)
    while page.locator("#next").is_visible():
        page.locator("#next").click()
    page.locator("#review").click()

    expect(page.locator("#faults")).to_be_attached()
    expect(page.locator("#notice")).to_be_focused()
    expect(page.locator("#notice")).to_be_in_viewport()
    assert page.title().startswith("Nog nakijken")
    assert audit(page) == []
