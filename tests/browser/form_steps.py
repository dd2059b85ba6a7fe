"""What a reader does on the form."""

from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Locator, Page, expect


def answer(page: Page, answers: Mapping[str, Any]) -> None:
    """Gives these answers: linkId → a code, several codes, or a number."""
    for link_id, given in answers.items():
        for one in given if isinstance(given, list | tuple) else [given]:
            _give(question(page, link_id), one)


def question(page: Page, link_id: str) -> Locator:
    return page.locator(f"[data-question='{link_id}']")


def _give(asked: Locator, one: str | int) -> None:
    if isinstance(one, int):
        asked.locator("input").first.fill(str(one))
    else:
        asked.locator(f"input[value='{one}']").check()


def answered(page: Page, link_id: str) -> list[str]:
    """The codes that are ticked at this question."""
    return [one.get_attribute("value") or "" for one in question(page, link_id).locator("input:checked").all()]


def review(page: Page) -> None:
    """To the summary; the answers were complete."""
    page.locator("#review").click()
    expect(page.locator("#send")).to_be_visible()


def send(page: Page) -> str:
    """Sends what the summary shows, and gives the outcome that the next page tells: "emergency" or "sent"."""
    page.locator("#send").click()
    return page.locator("main [data-outcome]").first.get_attribute("data-outcome") or ""
