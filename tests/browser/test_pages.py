"""Every page, in each language, light and dark: no serious fault for who cannot see, nothing wider than a phone."""

import pytest

from tests.browser.conftest import Open
from tests.browser.reader import audit, sideways

pytestmark = [pytest.mark.timeless, pytest.mark.browser]

PAGES = (
    "/",
    "/contract",
    "/examples",
    "/form",
    "/form/low-back-pain",
    "/report",
    "/review",
    "/review/low-back-pain",
    "/review/low-back-pain/table",
    "/sandbox",
)
NARROW = {"width": 320, "height": 640}


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize(("language", "theme"), [("nl", "light"), ("en", "dark")])
def test_a_page_has_no_serious_fault_of_accessibility(path: str, language: str, theme: str, a_reader: Open) -> None:
    """The words and the colours do not depend on each other: each language is looked at, and each theme."""
    page = a_reader(language, color_scheme=theme).open(path)

    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("h1").count() == 1
    assert audit(page) == []


@pytest.mark.parametrize("path", PAGES)
def test_a_page_fits_on_a_narrow_screen(path: str, a_reader: Open) -> None:
    page = a_reader("nl", viewport=NARROW).open(path)

    assert sideways(page) <= 0


@pytest.mark.parametrize("path", PAGES)
def test_a_page_can_be_read_without_scripts(path: str, a_reader: Open) -> None:
    page = a_reader("en", java_script_enabled=False).open(path)

    assert page.locator("h1").is_visible()
    assert page.locator("html").get_attribute("lang") == "en"


def test_a_chosen_language_and_theme_stay(a_reader: Open) -> None:
    page = a_reader("nl").open("/")
    page.locator("nav a[hreflang=en]").click()
    page.locator("nav a[href*='theme=dark']").click()
    page.locator("nav a[href='/review']").click()

    assert page.locator("html").get_attribute("lang") == "en"
    assert page.locator("html").get_attribute("data-bs-theme") == "dark"


def test_the_first_key_leads_past_the_navigation(a_reader: Open) -> None:
    page = a_reader("nl").open("/")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")

    assert page.evaluate("document.activeElement.id") == "main"
