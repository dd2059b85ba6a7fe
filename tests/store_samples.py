"""What the tests of the store keep in it, and how they look into it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Engine, Table, select

from cds_service.store import Act, Received, open_store
from tests.samples import FORM

NOW = datetime(2026, 11, 22, 10, 0, 0, 250_000, tzinfo=UTC)
PATIENT = "a1" * 32  # a keyed hash
OTHER = "b2" * 32
CARD = "3f0c1a52-0000-4000-8000-00000000000a"
SUGGESTION = "3f0c1a52-0000-4000-8000-00000000000b"
SERVICE = "low-back-pain-patient-view"
ACT = Act("hospital", NOW, "Practitioner/gp-1", PATIENT, "visit 12")
ROW = {
    "client": "hospital",
    "patient": PATIENT,
    "service": SERVICE,
    "hook_instance": "visit 12",
    "questionnaire": f"{FORM}|1.0.0",
    "content_hash": "hash",
    "disposition": "emergency-now",
    "rows": ["R02"],
    "unknown": [],
}
ENTRY: dict[str, Any] = {
    "card": CARD,
    "outcome": "accepted",
    "outcome_timestamp": NOW,
    "accepted_suggestions": [SUGGESTION],
    "reason_code": None,
    "reason_system": None,
    "reason_display": None,
    "comment": None,
}


def act(at: datetime = NOW, *, client: str = "hospital", patient: str = PATIENT) -> Act:
    return Act(client, at, "Practitioner/gp-1", patient, "request 7")


def card(uuid: str = CARD, *suggestions: str) -> dict[str, Any]:
    """A card as it goes out, with what the store reads of it."""
    actions = {"suggestions": [{"uuid": one} for one in suggestions]} if suggestions else {}
    return {"uuid": uuid, "source": {"topic": {"code": "emergency-now"}}} | actions


def received(authored: datetime | None = NOW, *, mark: str = "", **members: Any) -> Received:
    """A response as the service received it; `mark` is found back in its body."""
    known = {
        "patient": PATIENT,
        "questionnaire": f"{FORM}|1.0.0",
        "status": "completed",
        "author": "Practitioner/gp-1",
        "identifier": ("", ""),
        "disposition": "self-care",
    }
    body = {"resourceType": "QuestionnaireResponse", "status": "completed", "item": [{"linkId": mark or "age"}]}
    return Received(**{"body": body, "authored": authored, **known, **members})


def mark(body: Any) -> str:
    """What `received` marked the body with."""
    return str(body["item"][0]["linkId"])


def kept(store: Engine, table: Table) -> list[dict[str, Any]]:
    """The rows of the table, in the order of their keys."""
    with store.connect() as connection:
        found = connection.execute(select(table).order_by(*table.primary_key)).mappings()
        return [dict(row) for row in found]


@contextmanager
def opened(url: str) -> Iterator[Engine]:
    """The store at the URL, as another process sees it."""
    engine = open_store(url)
    try:
        yield engine
    finally:
        engine.dispose()
