"""Each decision is recorded before it is answered, without a single answer; without a record there is no advice."""

import json
from pathlib import Path

import pytest
from sqlalchemy import select, text

from cds_content.screening import Screening
from cds_service.errors import Unavailable
from cds_service.store import decisions, open_store
from cds_service.web import Deployment, create_app
from tests.conftest import SERVICE
from tests.samples import CALM, FORM, bundle, call, patient, response


def test_a_decision_is_traceable_and_names_neither_patient_nor_answer(screening: Screening, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'd.sqlite'}")
    client = create_app(Deployment((screening,), store, "http://x")).test_client()

    cards = client.post(SERVICE, json=call(response(CALM | {"rf-saddle": "new", "rf-cancer": "unknown"}))).get_json()[
        "cards"
    ]

    with store.connect() as connection:
        (row,) = connection.execute(select(decisions)).mappings()
    assert row["hook_instance"] == "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11"
    assert (row["service"], row["questionnaire"]) == ("low-back-pain-patient-view", f"{FORM}|1.0.0")
    assert (row["disposition"], row["rows"]) == ("emergency-now", ["R02", "R00"])
    assert row["unknown"] == ["rf-cancer: not-known"]
    assert row["content_hash"] == screening.hash
    assert row["cards"] == [card["uuid"] for card in cards]
    assert row["suggestions"] == [one["uuid"] for card in cards for one in card["suggestions"]]
    kept = json.dumps({**row, "at": ""})
    assert not [words for words in ("p1", "gp-1", "response-1", "new", "valueCoding") if f'"{words}"' in kept]


def test_silence_is_recorded_too(screening: Screening, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'd.sqlite'}")
    client = create_app(Deployment((screening,), store, "http://x")).test_client()

    client.post(SERVICE, json=call(prefetch={"patient": patient(), "responses": bundle()}))

    with store.connect() as connection:
        assert connection.execute(select(decisions.c.disposition)).scalars().all() == ["no-screening"]


def test_a_decision_that_cannot_be_recorded_is_not_given(screening: Screening, tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path / 'd.sqlite'}")
    client = create_app(Deployment((screening,), store, "http://x")).test_client()
    with store.begin() as connection:
        connection.execute(text("DROP TABLE decisions"))

    answer = client.post(SERVICE, json=call(response(CALM)))

    assert answer.status_code == 503
    assert answer.get_json()["resourceType"] == "OperationOutcome"
    assert "cards" not in answer.get_json()
    assert answer.headers["Retry-After"]


def test_a_database_that_cannot_be_opened_ends_the_start(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="CDS_DATABASE_URL"):
        open_store(f"sqlite:///{tmp_path / 'no-folder' / 'd.sqlite'}")
