"""The commands about what is kept: purge, erase, export, report; each on a database that a service has filled."""

import json
import sqlite3
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
from sqlalchemy import select

from cds_content.screening import Screening
from cds_service.store import Act, Received, create, open_store
from cds_service.store.tables import responses
from cds_service.web.call import hashed
from tests.forked import cds_service
from tests.processes import COMMAND, environment
from tests.samples import CALM, FORM, call, patient, response
from tests.wire import cards_of, send, serving

pytestmark = pytest.mark.timeless  # another process does the work

NOW = datetime.now(UTC)
KEY = "0123456789abcdef" * 2
ALARM = CALM | {"rf-saddle": "new"}


@pytest.fixture(name="folder")
def _folder(screening: Screening, tmp_path: Path) -> Path:
    """Holds the database of a service that received a response of two patients and gave one a card."""
    with serving(screening, tmp_path, patient_key=KEY.encode()) as client:
        for subject in ("p1", "p2"):
            body = response(ALARM, subject={"reference": f"Patient/{subject}"})
            made = client.post("/fhir/QuestionnaireResponse", json=body, content_type="application/fhir+json")
            assert made.status_code == 201
        assert cards_of(send(client, call(prefetch={"patient": patient(), "responses": None})))
    return tmp_path


def settings_in(folder: Path, **settings: str) -> dict[str, str]:
    given = {"CDS_DATABASE_URL": f"sqlite:///{folder / 'served.sqlite'}", "CDS_PATIENT_KEY": KEY} | settings
    return environment(folder, **given)


def run(folder: Path, *words: str, **settings: str) -> CompletedProcess[str]:
    return cds_service(folder, settings_in(folder, **settings), *words)


def printed(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def kept(folder: Path) -> list[str]:
    """Whose responses are in the database."""
    with sqlite3.connect(folder / "served.sqlite") as connection:
        bodies = [json.loads(body) for (body,) in connection.execute("SELECT body FROM responses")]
    connection.close()
    return sorted(body["subject"]["reference"] for body in bodies)


@pytest.mark.parametrize("whose", [(), ("--client", "development")], ids=["of all clients", "of one client"])
def test_export_prints_all_that_is_kept_about_one_patient_and_no_other(folder: Path, whose: tuple[str, ...]) -> None:
    found = printed(run(folder, "export", *whose, "p1"))

    assert [one["body"]["subject"]["reference"] for one in found["responses"]] == ["Patient/p1"]
    assert [one["disposition"] for one in found["decisions"]] == ["emergency-now"]
    assert len(found["cards"]) == 1
    assert found["audit_events"]


@pytest.mark.parametrize("whose", [(), ("--client", "development")], ids=["of all clients", "of one client"])
def test_erase_removes_the_responses_of_one_patient_and_says_what_stays_and_why(
    folder: Path, whose: tuple[str, ...]
) -> None:
    done = printed(run(folder, "erase", *whose, "p1"))

    assert kept(folder) == ["Patient/p2"]
    assert done["removed"]["responses"] == 1
    assert done["kept"]["decisions"] == 1
    assert "NEN 7513" in done["why"]


def test_a_patient_named_by_a_reference_is_found_as_by_the_id(folder: Path) -> None:
    assert len(printed(run(folder, "export", "Patient/p1"))["responses"]) == 1
    assert printed(run(folder, "erase", "Patient/p1"))["removed"]["responses"] == 1
    assert kept(folder) == ["Patient/p2"]


# Each row: why, the options, whose responses stay.
WHOSE: list[tuple[str, tuple[str, ...], list[str]]] = [
    ("a client, with all its tenants", ("--client", "hospital"), ["practice"]),
    ("one tenant", ("--client", "hospital", "--tenant", "ward 1"), ["hospital", "hospital ward-2", "practice"]),
    ("all clients", (), []),
]


@pytest.mark.parametrize("row", WHOSE, ids=[row[0] for row in WHOSE])
def test_a_patient_is_erased_for_the_client_meant_and_its_tenants(
    row: tuple[str, tuple[str, ...], list[str]], tmp_path: Path
) -> None:
    _, options, stay = row
    engine = open_store(f"sqlite:///{tmp_path / 'served.sqlite'}")
    for owner in ("hospital", "hospital ward 1", "hospital ward-2", "practice"):
        hash_ = hashed(KEY.encode(), owner, "p1")
        body = {"resourceType": "QuestionnaireResponse", "status": "completed"}
        create(
            engine, Act(owner, NOW), Received(body, hash_, f"{FORM}|1.0.0", "completed", NOW, "", ("", ""), "self-care")
        )
    agreed = tmp_path / "clients.toml"
    agreed.write_text('[hospital]\ntenants = ["ward 1", "ward-2"]\n[practice]\n', "utf-8")

    exported = printed(run(tmp_path, "export", *options, "p1", CDS_CLIENTS=str(agreed)))
    erased = printed(run(tmp_path, "erase", *options, "p1", CDS_CLIENTS=str(agreed)))

    assert len(exported["responses"]) == erased["removed"]["responses"] == 4 - len(stay)
    with engine.connect() as connection:
        assert sorted(connection.execute(select(responses.c.client)).scalars()) == stay
    engine.dispose()


def test_purge_removes_what_is_older_than_the_settings_say(folder: Path, screening: Screening) -> None:
    with serving(screening, folder, patient_key=KEY.encode()) as client:
        old = response(ALARM, subject={"reference": "Patient/p3"}, authored="2020-01-01T00:00:00Z")
        client.post("/fhir/QuestionnaireResponse", json=old, content_type="application/fhir+json")

    kept_before = kept(folder)
    done = run(folder, "purge")

    assert kept_before == ["Patient/p1", "Patient/p2", "Patient/p3"]
    assert kept(folder) == ["Patient/p1", "Patient/p2"]
    assert "responses: 1 removed" in done.stdout


def test_report_prints_what_was_shown_and_nothing_about_patients(folder: Path) -> None:
    """As a shell starts it: the program, and no module read before."""
    own = settings_in(folder)
    done = subprocess.run([COMMAND, "report"], env=own, cwd=folder, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0, done.stderr
    assert "emergency-now" in done.stdout
    assert "p1" not in done.stdout.split()


# Each row: why, the words, the settings, what the one clear line names.
REFUSED: list[tuple[str, tuple[str, ...], dict[str, str], str]] = [
    ("a client that is not known", ("export", "--client", "hospital", "p1"), {}, "--client"),
    ("a client that somebody forgot to write", ("erase", "--client", "", "p1"), {}, "--client"),
    ("a tenant that the client has not", ("erase", "--client", "development", "--tenant", "w", "p1"), {}, "--tenant"),
    ("no tenant at all", ("erase", "--client", "development", "--tenant", "", "p1"), {}, "--tenant"),
    ("a patient that is no id", ("erase", "p1 "), {}, "PATIENT"),
    ("a patient that is another kind", ("export", "Practitioner/p1"), {}, "PATIENT"),
    ("a patient that somebody forgot to write", ("export", ""), {}, "PATIENT"),
    ("an id that is too long", ("export", "p" * 65), {}, "PATIENT"),
    ("a tenant of nobody", ("erase", "--tenant", "ward-1", "p1"), {}, "--tenant"),
    (
        "no key, so that nobody would be found",
        ("export", "p1"),
        {"CDS_PATIENT_KEY": "", "CDS_DEVELOPMENT": "0"},
        "CDS_PATIENT_KEY",
    ),
    ("a short key", ("erase", "p1"), {"CDS_PATIENT_KEY": "secret", "CDS_DEVELOPMENT": "0"}, "CDS_PATIENT_KEY"),
    ("a database out of reach", ("report",), {"CDS_DATABASE_URL": "sqlite:////nowhere/x.sqlite"}, "CDS_DATABASE_URL"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_done_is_refused_with_one_clear_line(
    row: tuple[str, tuple[str, ...], dict[str, str], str], folder: Path
) -> None:
    _, words, settings, named = row

    done = run(folder, *words, **settings)

    assert done.returncode == 1
    assert named in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert done.stdout == ""
