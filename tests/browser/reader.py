"""Somebody who reads our pages in a browser, and what the browser had to complain of."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Dialog, Page, Request

LOCALES = {"nl": "nl-NL", "en": "en-GB"}
PATIENCE = 60_000  # ms that a reader waits for what should come at once
# The browser tells of a breach in its console also by itself; this also tells of those that it keeps to the page.
TELL = """document.addEventListener("securitypolicyviolation", event =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`))"""


@dataclass
class Reader:
    """A reader: their page, the language that they read, and what went wrong so far."""

    page: Page
    address: str  # of our server
    language: str
    complaints: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)  # other servers of the test, by their address
    expected: list[str] = field(default_factory=list)  # patterns of complaints that the test means to provoke

    def open(self, path: str) -> Page:
        """The page at this path of our server."""
        self.page.goto(f"{self.address}{path}")
        return self.page

    def unexpected(self) -> list[str]:
        return [one for one in self.complaints if not any(re.search(pattern, one) for pattern in self.expected)]


@contextmanager
def reading(browser: Browser, address: str, language: str = "nl", **kind: Any) -> Iterator[Reader]:
    """A reader with a browser of their own: cookies, language, and the `kind` of device as Playwright names it.

    Fails at the end for every complaint that the test did not expect.
    """
    context = browser.new_context(locale=LOCALES[language], **kind)
    context.set_default_timeout(PATIENCE)
    reader = Reader(context.new_page(), address, language)
    try:
        _listen(context, reader)
        yield reader
    finally:
        context.close()
    if found := reader.unexpected():
        raise AssertionError("\n".join(found))


def _listen(context: BrowserContext, reader: Reader) -> None:
    def heard(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            reader.complaints.append(f"console: {message.text} ({message.location['url']})")

    def asked(dialog: Dialog) -> None:
        reader.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def sent(request: Request) -> None:
        if not _is_ours(request.url, [reader.address, *reader.known]):
            reader.complaints.append(f"elsewhere: {request.url}")

    def failed(request: Request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the reader went on before all had come
            reader.complaints.append(f"failed: {request.url} {request.failure}")

    context.add_init_script(TELL)
    context.on("console", heard)
    context.on("dialog", asked)
    context.on("request", sent)
    context.on("requestfailed", failed)
    context.on("weberror", lambda error: reader.complaints.append(f"script: {error.error}"))


def _is_ours(url: str, addresses: list[str]) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "data" or f"{parts.scheme}://{parts.netloc}" in addresses


def audit(page: Page) -> list[str]:
    """What axe finds serious or critical on this page: the rule, and where.

    It gets in under the policy of the page as the tools of a developer do, so that the policy stays as it is.
    """
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:150]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def sideways(page: Page) -> int:
    """By how many pixels the page is wider than its window."""
    wider: int = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    return wider
