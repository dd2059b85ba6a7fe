"""What a reader does in the sandbox, and what they see there."""

from playwright.sync_api import Locator, Page

from tests.browser.reader import Reader


def chart(reader: Reader, patient: str) -> Page:
    """The record of this patient of the sandbox."""
    return reader.open(f"/sandbox/patients/{patient}")


def afresh(reader: Reader) -> None:
    """The sandbox as it was at start: what another test did there is gone."""
    answer = reader.page.request.post(f"{reader.address}/sandbox/reset")
    assert answer.ok, answer.status


def switched(reader: Reader, *names: str) -> None:
    """These switches are on, and no other."""
    page = reader.open("/sandbox")
    for name in names:
        page.locator(f"#switch-{name}").check()
    press(page.locator("#switch"))


def cards(page: Page) -> Locator:
    return page.locator("[data-card]")


def topics(page: Page) -> list[str]:
    """The topic of each card on the page, in their order."""
    return [one.get_attribute("data-topic") or "" for one in cards(page).all()]


def problem(page: Page) -> str:
    """The codes of what went wrong at the last hook; empty where nothing did."""
    shown = page.locator("#cards [data-problem]")
    return shown.get_attribute("data-problem") or "" if shown.count() else ""


def emptied(page: Page) -> Page:
    """The record without any response."""
    while (remove := page.locator("[data-remove]")).count():
        press(remove.first)
    return page


def messages(page: Page, what: str = "hook") -> Locator:
    """The messages of this kind behind the last step."""
    return page.locator(f"[data-exchange={what}]")


def unfold(page: Page) -> None:
    """Opens all that is folded away, so that all of it is looked at."""
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")


def press(button: Locator) -> None:
    """Presses what leads to another page, and waits for that."""
    with button.page.expect_navigation():
        button.click()
