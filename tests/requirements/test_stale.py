"""Each answer stands by itself: the full current set, with its age, the same for the same input, and on record."""

import json
import re
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.screening import Screening
from tests.requirements.requests import (
    ADVISING,
    ALARM,
    ANKLE,
    HOOKS,
    ORDERING,
    TOKEN,
    Json,
    call,
    collection,
    order,
    valid,
)
from tests.samples import CALM, patient, response
from tests.wire import cards_of, same, serving

MONTHS = timedelta(days=240)
DAYS = {"nl": "ouder dan 30 dagen", "en": "more than 30 days"}


@pytest.mark.requirement("STALE-1")
@pytest.mark.parametrize("grouped", [False, True], ids=["an id for each hook", "one id"])
def test_signing_without_the_scan_withdraws_what_was_said_when_it_was_selected(
    screening: Screening, tmp_path: Path, grouped: bool
) -> None:
    alarm = response(CALM | ALARM)
    selected, signed = valid("order-select", alarm), valid("order-sign", alarm, draftOrders=collection(order(ANKLE)))
    with serving(screening, tmp_path, grouped=grouped) as client:
        to = dict.fromkeys(HOOKS, "/cds-services/low-back-pain") if grouped else {}
        told = [client.post(to.get(one["hook"], _path(one)), json=one) for one in (selected, signed, selected)]
    first, then, again = (cards_of(answer) for answer in told)
    assert first
    assert then == []
    assert same(again) == same(first), "an answer holds nothing back because it was given before"


def _path(body: Json) -> str:
    return f"/cds-services/low-back-pain-{body['hook']}"


@pytest.mark.requirement("STALE-2")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("hook", ADVISING)
def test_a_response_of_eight_months_ago_does_not_reassure_and_the_card_says_how_old_it_is(
    client: FlaskClient, hook: str, language: str
) -> None:
    old = response(CALM, authored=MONTHS)
    (card,) = cards_of(call(client, valid(hook, old), language))
    assert (card["source"]["topic"]["code"], card["indicator"]) == ("incomplete", "warning")
    assert old["authored"][:10] in card["detail"]
    assert DAYS[language] in card["detail"]
    assert "complete-questionnaire" in json.dumps(card["suggestions"])


@pytest.mark.requirement("STALE-2")
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_an_order_is_not_called_calm_on_an_old_response(client: FlaskClient, hook: str) -> None:
    (card,) = cards_of(call(client, valid(hook, response(CALM, authored=MONTHS)), "en"))
    assert card["indicator"] == "warning"
    assert card["summary"].startswith("No complete screening")


@pytest.mark.requirement("STALE-2")
@pytest.mark.parametrize("hook", ADVISING)
def test_every_card_of_a_screening_says_when_it_was_filled_in(client: FlaskClient, hook: str) -> None:
    given = response(CALM | ALARM, authored=timedelta(days=3))
    for card in cards_of(call(client, valid(hook, given), "en")):
        assert f"Filled in: {given['authored'][:10]}" in card["detail"]


@pytest.mark.requirement("STALE-3")
def test_no_card_refers_to_another_card(every_card: list[Json]) -> None:
    texts = {card[name] for card in every_card for name in ("summary", "detail")}
    other = r"(earlier|previous|first|other|above|below|eerdere|vorige|andere|deze) (card|kaart)s?\b"
    assert [text for text in texts if re.search(other, text, re.IGNORECASE)] == []


@pytest.fixture(name="noon")
def _noon(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service whose clock stands still."""
    now = datetime.now(UTC).replace(microsecond=0)
    with serving(screening, tmp_path, now=lambda: now) as client:
        yield client


@pytest.mark.requirement("DET-1")
@pytest.mark.parametrize("hook", HOOKS)
def test_the_same_input_gives_the_same_cards_in_every_time_zone(
    noon: FlaskClient, monkeypatch: pytest.MonkeyPatch, hook: str
) -> None:
    body = valid(hook, response(CALM | ALARM | {"rf-leg": "unknown"}), about=patient(70))
    told: list[Any] = []
    for zone in ("UTC", "UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        told.append(_without_uuids(cards_of(call(noon, body))))
    monkeypatch.undo()
    time.tzset()
    assert told == [told[0]] * len(told)
    assert told[0]


def _without_uuids(cards: list[Json]) -> str:
    return re.sub(r'"uuid": "[^"]+"', "", json.dumps(cards))


PERSONAL = {
    "the patient's name": "Zzjansen",
    "the patient's number": "zz-bsn-123456782",
    "the token": TOKEN["access_token"],
    "what was typed": "zz-typed",
    "an answer": "valueCoding",
    "the form filler": "zz-filler",
}


@pytest.mark.requirement("AUD-1")
@pytest.mark.parametrize("hook", HOOKS)
def test_a_call_leaves_one_record_that_can_be_traced_and_tells_nothing_of_the_patient(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture, hook: str
) -> None:
    with serving(screening, tmp_path) as client, caplog.at_level("DEBUG"):
        cards = cards_of(call(client, _personal(hook)))
        record, event = _records(tmp_path, "zz-instance-1")
        kept = _everything(tmp_path)
    told = [f"low-back-pain-{hook.rpartition('.')[2]}", screening.canonical, screening.hash, "emergency-now", "R02"]
    assert [one for one in told if one not in record] == []
    assert "Practitioner/gp-1" in event
    assert cards
    assert [card["uuid"] for card in cards if card["uuid"] not in kept] == []
    assert [what for what, text in PERSONAL.items() if str(text) in kept or str(text) in caplog.text] == []


def _personal(hook: str) -> Json:
    given = response(CALM | ALARM, source={"display": PERSONAL["the form filler"]})
    given["item"][0]["text"] = PERSONAL["what was typed"]
    name = [{"text": PERSONAL["the patient's name"]}]
    about = patient(name=name, identifier=[{"value": PERSONAL["the patient's number"]}])
    server = {"fhirServer": "https://ehr.example/fhir", "fhirAuthorization": TOKEN}
    return valid(hook, given, about=about) | server | {"hookInstance": "zz-instance-1"}


def _records(folder: Path, instance: str) -> list[str]:
    """The rows of the database that name the instance, each as text: the decision, and its AuditEvent."""
    return [row for row in _everything(folder).splitlines() if instance in row]


def _everything(folder: Path) -> str:
    """Every row of every table, one a line."""
    with sqlite3.connect(folder / "served.sqlite") as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [row for table in tables for row in connection.execute(f'SELECT * FROM "{table}"')]  # noqa: S608 - our own
    connection.close()
    return "\n".join(" ".join(str(value).replace("\n", " ") for value in row) for row in rows)


@pytest.mark.requirement("AUD-1")
@pytest.mark.parametrize("hook", ORDERING)
def test_a_call_without_cards_is_recorded_too(screening: Screening, tmp_path: Path, hook: str) -> None:
    empty = {"appointment-book": {"appointments": collection()}}.get(hook, {"draftOrders": collection()})
    with serving(screening, tmp_path) as client:
        assert cards_of(call(client, valid(hook, **empty) | {"hookInstance": "zz-instance-2"})) == []
        assert len(_records(tmp_path, "zz-instance-2")) == 2
