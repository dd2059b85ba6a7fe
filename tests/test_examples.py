"""The requests in examples/ are valid, work on any day, and show what their names say, in both languages."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import ROOT, topics
from tests.wire import cards_of, obeys

OWN = "example.lowbackpain.questionnaire-response"

# Each row: the request, its hook, the topics of its cards and their indicators, why.
EXAMPLES: list[tuple[str, str, list[str], list[str], str]] = [
    ("new-bladder-problems", "patient-view", ["emergency-now"], ["critical"], "R01: new bladder problems"),
    ("encounter-for-low-back-pain", "encounter-start", ["form-offer"], ["info"], "known reason, no response yet"),
    ("lumbar-mri-selected", "order-select", ["imaging"], ["info"], "IMG-1: complete and calm, pain over three months"),
    ("lumbar-mri-with-alarm", "order-sign", ["imaging"], ["critical"], "IMG-2: as urgent as the alarm, R01"),
    ("lumbar-mri-without-screening", "order-sign", ["imaging"], ["warning"], "IMG-3: no screening"),
    ("physiotherapy-with-alarm", "appointment-book", ["emergency-now"], ["critical"], "a doctor first"),
    ("new-problem-low-back-pain", "problem-list-item-create", ["form-offer"], ["info"], "the new problem is known"),
    ("response-in-hand", OWN, ["physio-or-doctor"], ["info"], "R30: the pain stays the same"),
]


def request(client: FlaskClient, name: str) -> Any:
    answer = client.get(f"/examples/{name}")
    assert answer.status_code == 200
    return answer.get_json()


def test_every_example_is_in_the_table() -> None:
    assert {row[0] for row in EXAMPLES} == {path.stem for path in (ROOT / "examples").glob("*.json")}


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("row", EXAMPLES, ids=[row[0] for row in EXAMPLES])
def test_an_example_shows_what_it_says(
    row: tuple[str, str, list[str], list[str], str], language: str, client: FlaskClient
) -> None:
    name, hook, expected, indicators, _ = row
    body = request(client, name)
    obeys(body, "request-2.0.1", "request-3.0-ballot")

    address = f"/cds-services/low-back-pain-{hook.rpartition('.')[2]}"
    cards = cards_of(client.post(address, json=body, headers={"Accept-Language": language}))

    assert body["hook"] == hook
    assert topics(cards) == expected
    assert [card["indicator"] for card in cards] == indicators
