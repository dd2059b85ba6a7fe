"""Markers in all that a partner fills come out nowhere but where they are kept by design; tokens not even there."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.ehr import Ehr
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.loglines import lines_of
from tests.marked import PATIENT, SECRET, STEM, Session, hold, mark, session_in
from tests.test_outbound_tls import Authority
from tests.test_outbound_tls import _authority as _authority_of_a_hospital  # noqa: F401 - the fixture `authority`

pytestmark = pytest.mark.timeless

# Where a marker stands by design.
KEPT = {
    "responses.body": "what was submitted",
    "responses.author": "who submitted it, to be searched for",
    "responses.identifier_value": "what the client calls it, to be searched for",
    "feedback.comment": "the clinician's words",
    "feedback.reason_display": "the clinician's reason, as the client words it",
    "decisions.hook_instance": "the call of the EHR, to be found there",
    "audit_events.agent": "who acted",
    "audit_events.instance": "the call of the EHR, to be found there",
}


@pytest.fixture(scope="module", name="held")
def _held(tmp_path_factory: pytest.TempPathFactory, ehr: Ehr, authority: Authority) -> Session:
    """The session, when the service has ended."""
    with session_in(tmp_path_factory.mktemp("marked"), ehr, authority) as session:
        hold(session)
        session.send("GET", "/metrics", key=None, headers={"Authorization": f"Bearer {SECRET}"})
    return session


def files(session: Session) -> Iterator[tuple[str, bytes]]:
    """Every file that the service can have written, by name."""
    own = ("clients.toml", "ehr.json", "other.json")
    for path in sorted(session.folder.rglob("*")):
        if path.is_file() and path.name not in own and path.suffix != ".pem":
            yield path.name, path.read_bytes()


def test_the_session_had_an_answer_of_every_kind(held: Session) -> None:
    statuses = {answer.status_code for answer in held.answers}

    assert statuses >= {200, 201, 204, 400, 401, 403, 404, 405, 406, 412, 413, 415, 422, 429, 500, 503}
    assert len(held.answers) > 55
    assert len(held.secrets) > 100


def test_no_line_of_the_log_holds_a_marker_and_every_line_is_of_known_fields(held: Session) -> None:
    text = (held.folder / "log").read_text("utf-8")

    assert STEM.lower() not in text.lower()
    lines = lines_of(text)
    calls = [line for line in lines if line["event"] == "call"]
    assert len(calls) >= len(held.answers) - 5, "those of health and metrics have no line"
    assert {line["event"] for line in lines} >= {"call", "response stored", "not authenticated", "internal error"}
    assert {line["client"] for line in calls if "client" in line} == {"ehr", "other"}


def test_no_figure_holds_a_marker(held: Session) -> None:
    figures = held.answers[-1]

    assert figures.status_code == 200
    assert "cds_calls_total" in figures.text
    assert STEM.lower() not in figures.text.lower()


def test_no_refusal_holds_a_marker(held: Session) -> None:
    refusals = [answer for answer in held.answers if answer.status_code >= 400]

    assert len(refusals) > 25
    assert b" 400 " in held.raw
    assert STEM.lower().encode() not in held.raw.lower()
    for answer in refusals:
        told = f"{answer.text} {answer.headers}".lower()
        assert STEM.lower() not in told, (answer.status_code, answer.request.method, answer.request.path_url)


def test_no_answer_tells_a_header_or_a_secret_of_anybody(held: Session) -> None:
    for answer in held.answers:
        assert [one for one in held.secrets if one in f"{answer.text} {answer.headers}"] == []
        assert STEM not in str(answer.headers).replace(PATIENT, "")


def test_the_fhir_server_was_asked_for_ids_and_never_for_a_name(held: Session) -> None:
    asked = held.hospital.requests()

    assert {one.kind for one in asked} >= {"Patient", "QuestionnaireResponse"}
    for one in asked:
        said = f"{one.path} {one.parameters} {one.headers}".replace(PATIENT, "")
        assert STEM not in said


def test_markers_are_on_disk_in_the_database_only(held: Session) -> None:
    found = {name for name, data in files(held) if STEM.encode() in data}

    assert found <= {"decisions.sqlite", "decisions.sqlite-wal"}
    assert found


def test_markers_are_in_the_database_exactly_where_they_are_kept_by_design(held: Session) -> None:
    assert {place for place, text in _texts(held.database) if STEM in text} == KEPT.keys()


def test_what_is_not_kept_is_not_kept(held: Session) -> None:
    """Neither what came by a hook, nor names, nor what only passed by."""
    gone = [mark(place) for place in ("family", "number", "answer", "link", "encounter", "parameter", "query", "claim")]
    kept = " ".join(text for _, text in _texts(held.database))

    assert [one for one in gone if one in kept] == []
    assert f"Patient/{PATIENT}" in kept, "in what was submitted"


def test_no_token_is_anywhere_on_disk(held: Session) -> None:
    everything = list(files(held))
    assert {name for name, _ in everything} >= {"decisions.sqlite", "log", "printed"}
    for name, data in everything:
        assert [one for one in held.secrets if one.encode() in data] == [], name


def _texts(database: Path) -> Iterator[tuple[str, str]]:
    """table.column and text of every value of every table."""
    with closing(sqlite3.connect(database)) as connection:
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in tables:
            rows = connection.execute(f'SELECT * FROM "{table}"')  # noqa: S608 - a name of the database itself
            names = [column[0] for column in rows.description]
            for row in rows:
                yield from ((f"{table}.{name}", str(value)) for name, value in zip(names, row, strict=True))
