"""Fixtures: the real server in its own process, one Chromium, and for each test a reader with a browser of their own.

A reader's test fails at its end for whatever the browser complained of: an error in the console, a breach of the
policy, a request that failed, one to any other place than our server.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from playwright.sync_api import Browser, sync_playwright

from cds_service.scenarios import Scenario, scenarios
from tests.browser.reader import Reader, reading
from tests.conftest import ROOT
from tests.running import Running, running

# No word to anybody but our own servers, of which there is none outside this machine.
QUIET = (
    "--no-sandbox",  # the tests run in containers, as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-proxy-server",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
Open = Callable[..., Reader]


LIBRARY = scenarios(ROOT / "examples")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every scenario of the library is a patient of the sandbox; its form is filled in, or its record looked at."""
    kinds = {
        "answered": [one for one in LIBRARY if _is_told(one)],
        "looked_at": [one for one in LIBRARY if _is_whole(one)],
    }
    for name, chosen in kinds.items():
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, chosen, ids=[one.name for one in chosen])


def _is_told(scenario: Scenario) -> bool:
    """Whether its form can be filled in, and its cards are those of the first hook."""
    return bool(scenario.answers) and scenario.request["hook"] == "patient-view"


def _is_whole(scenario: Scenario) -> bool:
    """Whether what it shows stands on the record, so that a look at the record shows it.

    Others are about what an EHR sends beside its records; and a FHIR server finds no response to another version.
    """
    request = scenario.request
    sent = request.get("prefetch", {}).get("responses")
    at_first = request.get("hook") == "patient-view" and not scenario.answers
    return at_first and isinstance(sent, dict) and sent["resourceType"] == "Bundle" and "|9.9.9" not in str(sent)


@contextmanager
def chromium() -> Iterator[Browser]:
    """The Chromium of this machine; it ends with the block."""
    path = shutil.which("chromium")
    assert path, "the program chromium is missing; install it: sudo apt-get install -y chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(QUIET))
        yield browser
        browser.close()


@pytest.fixture(scope="package", name="site")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service in development mode."""
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="package", name="chromium")
def _chromium() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture(name="a_reader")
def _a_reader(site: Running, chromium: Browser) -> Iterator[Open]:
    """Makes readers: a_reader("en", java_script_enabled=False). At the end none of them may have had a complaint."""
    with ExitStack() as stack:
        yield lambda language="nl", **kind: stack.enter_context(reading(chromium, site.address, language, **kind))


@pytest.fixture(name="reader")
def _reader(a_reader: Open) -> Reader:
    """Somebody who reads Dutch, at a desk."""
    return a_reader("nl")


@pytest.fixture(scope="package", name="urgent")
def _urgent() -> str:
    """A patient with a response on record for whom the most urgent card is right at the first hook."""
    return next(one.name for one in LIBRARY if one.rows and one.request["hook"] == "patient-view" and one.answers)
