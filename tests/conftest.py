"""Fixtures: the real content, the real application, a real SQLite file. `--ahead DAYS` moves the clock."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.requirements.table import Outcomes

pytest_plugins = ["tests.postgres"]
ROOT = Path(__file__).parent.parent
SERVICE = "/cds-services/low-back-pain-patient-view"

Ask = Callable[..., list[dict[str, Any]]]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--ahead", type=int, default=0, help="run with the clock this many days ahead")
    parser.addoption("--write-requirements", action="store_true", help="write docs/requirements*.md after the run")


def pytest_configure(config: pytest.Config) -> None:
    """Moves the clock before the test modules are read, because their tables hold offsets from now."""
    if days := config.getoption("--ahead"):
        travel = time_machine.travel(datetime.now(UTC) + timedelta(days=days), tick=True)
        travel.start()
        config.add_cleanup(travel.stop)
    if config.getoption("--write-requirements"):
        config.pluginmanager.register(Outcomes())


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What the clock of this process does not touch is not run a second time with that clock ahead."""
    if config.getoption("--ahead"):
        timeless = [item for item in items if item.get_closest_marker("timeless")]
        config.hook.pytest_deselected(items=timeless)
        items[:] = [item for item in items if not item.get_closest_marker("timeless")]


@pytest.fixture(scope="session", name="screening")
def _screening() -> Screening:
    (screening,) = load(ROOT)
    return screening


@pytest.fixture(scope="session", name="client")
def _client(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """The whole service in process, with its database in a file."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('store') / 'decisions.sqlite'}")
    app = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", development=True))
    app.testing = False  # so that an error of ours is answered as it is in use
    return app.test_client()


@pytest.fixture(name="ask")
def _ask(client: FlaskClient) -> Ask:
    """Calls the patient-view service and gives its cards; fails unless the answer is 200."""

    def ask(body: Any, language: str = "nl") -> list[dict[str, Any]]:
        answer = client.post(SERVICE, json=body, headers={"Accept-Language": language})
        assert answer.status_code == 200, answer.get_data(as_text=True)
        cards: list[dict[str, Any]] = answer.get_json()["cards"]
        return cards

    return ask


def topics(cards: list[dict[str, Any]]) -> list[str]:
    """The dispositions of the cards, in their order."""
    return [card["source"]["topic"]["code"] for card in cards]
