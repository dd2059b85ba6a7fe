"""Generated calls against the contract: what /openapi.json promises holds for calls that nobody thought of.

In every run a few hundred calls, always the same; `scripts/attack` sends thousands, other ones each time. Half of the
right calls get the data of a test patient, because generated FHIR seldom reaches a card.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any
from uuid import uuid4
from zlib import crc32

import pytest
import schemathesis
from flask import Flask
from schemathesis.engine import StopReason, events, from_schema
from schemathesis.engine.recorder import ScenarioRecorder

from cds_content.screening import Screening
from cds_service.store import open_store
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.requirements.callers import service_in
from tests.requirements.requests import HOOKS, ORDERING, Json, path, valid
from tests.samples import CALM, response
from tests.test_patients import CASES as PATIENTS
from tests.test_patients import about
from tests.test_patients import answers as answers_of

pytestmark = pytest.mark.timeless  # what is generated is the same on every day

CALLS = int(os.environ.get("ATTACK_CALLS", "500"))  # at least so many calls
SECONDS = float(os.environ.get("ATTACK_SECONDS", "inf"))  # and no new ones after that
ATTACK = "ATTACK_CALLS" in os.environ
ADDRESSES = {path(hook): hook for hook in HOOKS}
# A right call may be refused with 412, and with 400 for what no schema can say.
CHECKS = {
    "positive_data_acceptance": {"expected-statuses": ["2xx", "400", "401", "404", "412"]},
    "negative_data_rejection": {"expected-statuses": ["400", "401", "404", "405", "412", "413", "415"]},
}
BEYOND = (
    "holds other resources only",
    "is another form",
    "is no suggestion of that card",
    "holds what is no resource",
    "type or code",
)


@dataclass
class Attack:
    """How one attack went: answers by status, those with cards, and every broken promise."""

    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)  # method and address, status
    cards: int = 0
    broken: list[str] = field(default_factory=list)
    in_time: bool = True

    @property
    def calls(self) -> int:
        return self.statuses.total()

    @property
    def posted(self) -> set[int]:
        """How calls of hooks and feedback ended."""
        return {status for (operation, status) in self.statuses if operation.startswith("POST")}


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: schemathesis.Case[Any], _kwargs: dict[str, Any]) -> None:
    """Gives every other right call of a hook the data of a test patient; the rest of it stays as generated.

    Nothing is compressed, because the client in process does not expand it.
    """
    case.headers["Accept-Encoding"] = "identity"
    hook, body = ADDRESSES.get(case.path), case.body
    number = crc32(json.dumps(body, default=str).encode())
    if hook and _is_right(case) and isinstance(body, dict) and number % 2:
        sent: Any = body["context"]
        patient = PATIENTS[number // 2 % len(PATIENTS)]
        sample = valid(hook, response(answers_of(patient)), about=about(patient))
        people = {name: sent[name] for name in ("userId", "encounterId") if name in sent}
        case.body = {**body, "context": sample["context"] | people, "prefetch": sample["prefetch"]}


@schemathesis.check
def refused_for_what_no_schema_says(
    _context: schemathesis.CheckContext, answer: schemathesis.Response, case: schemathesis.Case[Any]
) -> None:
    """A right call that is refused with 400 is of another patient, or holds other FHIR than was asked for."""
    if answer.status_code == 400 and _is_right(case):
        (issue,) = answer.json()["issue"]
        words, unread = issue["diagnostics"], ADDRESSES.get(case.path) in ORDERING
        beyond = [*BEYOND, *(["is no FHIR resource"] if unread else [])]
        assert issue["code"] == "business-rule" or any(reason in words for reason in beyond), words


def _is_right(case: schemathesis.Case[Any]) -> bool:
    """Whether it was generated to obey the contract."""
    return case.meta is not None and case.meta.generation.mode.is_positive


def attacked(app: Flask, calls: int, *, spared: str) -> Attack:
    """What generated calls to every operation of the contract got.

    Addresses that match `spared` do not get all wrong values one by one: to each hook these are hundreds of calls.
    """
    document = app.test_client().get("/openapi.json").get_json()
    operations = sum(len(methods) for methods in document["paths"].values())
    examples = -(-calls // operations // 2)  # the wrong values are as many and more
    config: Json = {
        "cache": {"enabled": False},
        "checks": CHECKS,
        "generation": {"max-examples": examples, "deterministic": not ATTACK, "database": "none"},
        "phases": {"stateful": {"generation": {"max-examples": 20}}},  # chains of about six calls
        "operations": [{"include-path-regex": spared, "phases": {"coverage": {"enabled": False}}}],
        **({} if ATTACK else {"seed": 1}),
    }
    schema = schemathesis.openapi.from_wsgi("/openapi.json", app, config=schemathesis.Config.from_dict(config))
    attack, stream, until = Attack(), from_schema(schema).execute(), time.monotonic() + SECONDS
    for event in stream:
        _note(attack, event)
        if time.monotonic() > until:
            stream.stop()
    told = f"{attack.calls} calls, {attack.cards} answered with cards, {len(attack.broken)} broken promises"
    print(told, *attack.broken, sep="\n\n")  # noqa: T201 - what scripts/attack shows
    return attack


def _note(attack: Attack, event: events.EngineEvent) -> None:
    if isinstance(event, events.ScenarioFinished):
        for case_id, sent in event.recorder.interactions.items():
            operation = f"{sent.request.method} {event.recorder.cases[case_id].value.path}"
            attack.statuses[operation, sent.response.status_code if sent.response else 0] += 1
            attack.cards += bool(sent.response and sent.response.content.startswith(b'{"cards":[{'))
        attack.broken += _broken(event.recorder)
    elif isinstance(event, events.NonFatalError | events.FatalError):
        attack.broken.append(str(event))
    elif isinstance(event, events.EngineFinished):
        attack.in_time = event.stop_reason is StopReason.COMPLETED


def _broken(scenario: ScenarioRecorder) -> Iterator[str]:
    """Each promise that was broken, with a command that shows it."""
    for case_id, checks in scenario.checks.items():
        command = scenario.cases[case_id].value.as_curl_command()
        yield from (f"{one.name}: {one.failure_info.failure}\n{command}" for one in checks if one.failure_info)


@pytest.fixture(scope="module", name="attack")
def _attack(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Attack]:
    """An attack on the service in development mode, which has just given the card of the feedback examples."""
    store = open_store(f"sqlite:///{tmp_path_factory.mktemp('attacked') / 'store.sqlite'}")
    card = "0d2c4b0e-5b3a-4d8e-9f56-3f1d6a2b7c01"
    uuids = chain([card, card[:-1] + "2"], iter(lambda: str(uuid4()), None))
    deployment = Deployment(
        (screening,), store, "http://127.0.0.1:8080", development=True, new_uuid=lambda: next(uuids)
    )
    app = create_app(deployment)
    app.testing = False  # so that an error of ours is answered as it is in use
    app.test_client().post(SERVICE, json=valid("patient-view", response(CALM | {"rf-saddle": "new"})))
    yield attacked(app, CALLS, spared="(?!)" if ATTACK else "^/cds-services/(?!.*order-sign)")
    store.dispose()


def test_no_generated_call_breaks_a_promise_of_the_contract(attack: Attack) -> None:
    assert not attack.broken, "\n\n".join(attack.broken)


def test_as_many_calls_were_made_as_were_asked_for(attack: Attack) -> None:
    assert attack.calls >= CALLS or not attack.in_time


def test_generated_calls_reach_cards_and_every_kind_of_refusal(attack: Attack) -> None:
    assert attack.posted == {200, 400, 404, 405, 412, 415}
    assert attack.cards >= 50
    assert attack.statuses[f"POST {SERVICE}/feedback", 200] >= 2, "the examples of feedback are accepted"


def test_nobody_gets_a_card_without_a_token_in_production(screening: Screening, tmp_path: Path) -> None:
    attack = attacked(service_in(screening, tmp_path).application, 100, spared=".")
    assert not attack.broken, "\n\n".join(attack.broken)
    assert attack.posted == {401}
