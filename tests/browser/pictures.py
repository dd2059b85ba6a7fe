"""Pictures of the main pages, for the documentation: python -m tests.browser.pictures FOLDER."""

import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser, Page

from tests.browser.conftest import chromium
from tests.browser.form_steps import answer, review
from tests.browser.reader import Reader, reading
from tests.browser.sandbox_steps import chart
from tests.running import running
from tests.samples import CALM

DESK, PHONE = {"width": 1200, "height": 900}, {"width": 390, "height": 844}
FORM, PATIENT = "/form/low-back-pain", "new-numbness-between-legs"


def pictures(browser: Browser, address: str, language: str) -> Iterator[tuple[str, Page]]:
    """Name and page of each picture, at the moment at which it is to be taken."""
    with reading(browser, address, language, viewport=DESK) as reader:
        for name, path in (("sandbox", "/sandbox"), ("form", FORM), ("table", "/review/low-back-pain/table")):
            yield name, reader.open(path)
        yield "chart", chart(reader, PATIENT)
        yield "summary", _summary(reader)
    with reading(browser, address, language, viewport=PHONE, color_scheme="dark") as reader:
        yield "form-phone", reader.open(FORM)


def _summary(reader: Reader) -> Page:
    page = reader.open(FORM)
    answer(page, CALM | {"age": 40})
    review(page)
    return page


def write(folder: Path) -> None:
    """A picture of what a window shows of each page, in Dutch and in English."""
    folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as own, running(Path(own)) as site, chromium() as browser:
        for language in ("nl", "en"):
            for name, page in pictures(browser, site.address, language):
                page.screenshot(path=folder / f"{name}-{language}.png")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
