"""Silence is never reassurance at the other hooks either: every damaged safety answer, by each road of a response."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.conftest import topics
from tests.samples import CALM, bundle, patient, response
from tests.test_orders import MRI, PHYSIO, call
from tests.test_safety import ASKED_BY, DAMAGES, REASSURING

OWN = "example.lowbackpain.questionnaire-response"
CONTEXTS: dict[str, dict[str, Any]] = {
    "encounter-start": {"encounterId": "e1"},
    "problem-list-item-create": {"conditions": bundle()},
    "order-sign": {"draftOrders": bundle(MRI, PHYSIO)},
    OWN: {},
}


def rows(cards: list[dict[str, Any]]) -> set[str]:
    return {row for card in cards for row in card["extension"]["example.lowbackpain.rules"].get("rows", [])}


@pytest.mark.timeless  # the same damages are tried on both days at the first hook, in test_safety
@pytest.mark.parametrize("hook", CONTEXTS)
@pytest.mark.parametrize(
    ("link_id", "done", "form"), DAMAGES, ids=[f"{link_id}: {done}" for link_id, done, _ in DAMAGES]
)
def test_no_damaged_safety_answer_reassures_at_any_hook(
    hook: str, link_id: str, done: str, form: Any, client: FlaskClient
) -> None:
    around = CALM | ASKED_BY.get(link_id, {}) | {"age": 40}
    one = response({name: answer for name, answer in around.items() if name != link_id})
    one["item"] += [] if form is None else form if isinstance(form, list) else [form]
    body = call(hook, CONTEXTS[hook], one)
    body["prefetch"]["patient"] = patient(None)
    if hook == OWN:
        body = body | {"context": body["context"] | {"questionnaireResponse": one}, "prefetch": {}}

    answer = client.post(f"/cds-services/low-back-pain-{hook.rpartition('.')[2]}", json=body)

    assert answer.status_code in (200, 400), done
    if answer.status_code == 200:
        cards = answer.get_json()["cards"]
        assert not REASSURING & set(topics(cards))
        assert "IMG-1" not in rows(cards)
        assert "R00" in rows(cards)


@pytest.mark.parametrize("hook", CONTEXTS)
def test_without_damage_the_same_calls_reassure(hook: str, client: FlaskClient) -> None:
    """So that the test above can fail: what it damages is calm before."""
    one = response(CALM | {"age": 40})
    body = call(hook, CONTEXTS[hook], one)
    if hook == OWN:
        body = body | {"context": body["context"] | {"questionnaireResponse": one}, "prefetch": {}}

    cards = client.post(f"/cds-services/low-back-pain-{hook.rpartition('.')[2]}", json=body).get_json()["cards"]

    assert rows(cards) == ({"IMG-1", "R40"} if hook == "order-sign" else {"R40"})
