"""The service of somebody else, whose every field is hostile, in the same pages: nothing runs, nothing is fetched."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests
from playwright.sync_api import Page, expect

from tests.browser.reader import Reader, audit
from tests.browser.sandbox_steps import afresh, cards, chart, messages, press, problem, unfold
from tests.conftest import ROOT
from tests.processes import free_port, until_it_listens

pytestmark = [pytest.mark.timeless, pytest.mark.browser]


@contextmanager
def stranger(fault: str = "") -> Iterator[str]:
    """The address of that service, in a process of its own."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.foreign_service", str(port), *([fault] if fault else [])], cwd=ROOT
    )
    try:
        until_it_listens(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(autouse=True)
def _afresh(reader: Reader) -> Iterator[None]:
    yield
    page = reader.open("/sandbox")
    press(page.locator("#connect-own"))
    afresh(reader)


def connected(reader: Reader, address: str, patient: str) -> Page:
    """The record of the patient, after the first hook at that service."""
    page = reader.open("/sandbox")
    page.locator("#address").fill(address)
    press(page.locator("#connect"))
    page = chart(reader, patient)
    press(page.locator("[data-hook=patient-view]"))
    return page


def test_hostile_cards_are_text_and_can_be_heeded(urgent: str, reader: Reader) -> None:
    with stranger() as address:
        page = connected(reader, address, urgent)
        unfold(page)

        card = cards(page).first
        expect(card).to_contain_text("<script>alert(1)</script>")
        assert card.locator("script, img, iframe, [onerror], [style]").count() == 0
        assert page.locator("a[href^='javascript:']").count() == 0
        assert audit(page) == []
        press(page.locator("[data-suggestion]").first)
        expect(page.locator("[data-heeded=accepted]")).to_have_count(1)
        unfold(page)
        assert page.locator("main script, main img").count() == 0
        told = requests.get(f"{address}/told", timeout=60).json()
        assert "accepted" in str(told)


@pytest.mark.parametrize("fault", ["half", "no-cards", "list", "text", "error", "redirect"])
def test_an_answer_that_is_none_is_a_problem_and_never_no_card(fault: str, urgent: str, reader: Reader) -> None:
    with stranger(fault) as address:
        page = connected(reader, address, urgent)

        assert problem(page)
        assert page.locator("[data-no-card]").count() == 0
        assert messages(page).count() > 0


def test_a_service_that_is_not_there_is_a_problem_on_both_pages(urgent: str, reader: Reader) -> None:
    page = connected(reader, f"http://127.0.0.1:{free_port()}", urgent)

    assert problem(page)
    assert page.locator("[data-no-card]").count() == 0
    expect(reader.open("/sandbox").locator("[data-problem]")).to_be_visible()
