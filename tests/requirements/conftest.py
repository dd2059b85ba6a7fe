"""What the service says to everybody: every test patient through every hook, in both languages."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.requirements.requests import ALARM, HOOKS, OWN, Json, call, condition, valid, without_responses
from tests.samples import CALM, bundle, response
from tests.test_patients import CASES, about
from tests.test_patients import answers as answers_of
from tests.wire import cards_of

LANGUAGES = ("nl", "en")


@dataclass(frozen=True)
class Answer:
    """One call and what came back."""

    request: Json
    language: str
    body: Json
    cards: list[Json]

    @property
    def by_patient(self) -> bool:
        return str(self.request["context"].get("userId")).startswith(("Patient/", "RelatedPerson/"))


@pytest.fixture(scope="session", name="answers")
def _answers(client: FlaskClient) -> list[Answer]:
    """Every answer of the service, each valid in both versions."""
    return [_answer(client, body, language) for body in _calls() for language in LANGUAGES]


@pytest.fixture(scope="session", name="every_card")
def _every_card(answers: list[Answer]) -> list[Json]:
    """Every card that can be reached."""
    return [card for answer in answers for card in answer.cards]


@pytest.fixture(scope="session", name="clinicians_cards")
def _clinicians_cards(answers: list[Answer]) -> list[Json]:
    """Every card that a clinician reads."""
    return [card for answer in answers if not answer.by_patient for card in answer.cards]


def _answer(client: FlaskClient, body: Json, language: str) -> Answer:
    answer = call(client, body, language)
    return Answer(body, language, answer.get_json(), cards_of(answer))


def _calls() -> Iterator[Json]:
    for hook in HOOKS:
        yield from (valid(hook, response(answers_of(case)), about=about(case)) for case in CASES)
        yield from (valid(hook, one) for one in _responses())
        yield valid(hook, response(CALM), response(CALM | ALARM, id="response-2", authored=timedelta(days=9)))
    for hook in HOOKS[:-1]:  # our own hook brings a response along
        yield _offer(hook)
        yield without_responses(hook)
    yield _of_nobody()
    for hook in ("patient-view", "appointment-book", OWN):
        yield valid(hook, response(CALM | ALARM), userId="Patient/p1")


def _responses() -> Iterator[Json]:
    """Responses that count in part: unfinished, old, very old, of nobody, entered in error."""
    changes: list[dict[str, Any]] = [
        {"status": "in-progress"},
        {"authored": timedelta(days=9)},
        {"authored": timedelta(days=240)},
        {"subject": None},
        {"status": "entered-in-error"},
    ]
    for change in changes:
        yield response(CALM | ALARM, **change)


def _of_nobody() -> Json:
    """A response in hand that names no patient, and neither does the call."""
    body = valid(OWN, response(CALM | ALARM, subject=None)) | {"prefetch": {}}
    del body["context"]["patientId"]
    return body


def _offer(hook: str) -> Json:
    """Low back pain is on record, and there is no response yet."""
    body = valid(hook)
    body["prefetch"] |= {"responses": None, "conditions": bundle(condition())}
    return body
