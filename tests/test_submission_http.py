"""POST, GET, PUT and DELETE of /fhir/QuestionnaireResponse, as an EHR meets them: the real application and database."""

import logging
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.store import events, open_store
from tests.fhir_rules import valid
from tests.loglines import heard
from tests.samples import BASE, FORM, ago, bundle, call
from tests.test_submission import NAME, option, sound
from tests.wire import ABSENT, changed, refusal_of, send, serving

URL = "/fhir/QuestionnaireResponse"
PUBLIC = "http://127.0.0.1:8080"
ALARM = {"rf-saddle": "new"}
TODAY = {"rf-unwell": "yes", "rf-fever": "yes"}
DISPOSITIONS = f"{BASE}/CodeSystem/low-back-pain-dispositions"
CALL_ID = "5cdb16d0-cdce-49ba-aa73-df4fcc4bb885"  # a caller's own id of a call
TAG = {"system": "urn:tags", "code": "from-the-portal"}


@pytest.fixture(scope="module", name="ehr")
def _ehr(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service to which one EHR submits; the tests use identifiers of their own."""
    with serving(screening, tmp_path_factory.mktemp("submitted")) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


@pytest.fixture(name="empty")
def _empty(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service to which nothing was submitted."""
    with serving(screening, tmp_path) as client:
        yield client


def submit(ehr: FlaskClient, body: Any, **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ehr.post(URL, json=body, headers=named)


def stored(ehr: FlaskClient, body: Any, **headers: str) -> str:
    """The path of the version that was stored."""
    answer = submit(ehr, body, **headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].removeprefix(PUBLIC)


def resource(path: str) -> str:
    return path.partition("/_history")[0]


def issues(answer: TestResponse) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome; fails unless it is valid."""
    outcome = answer.get_json()
    assert outcome["resourceType"] == "OperationOutcome", answer.text
    assert valid(outcome) == []
    found: list[dict[str, Any]] = outcome["issue"]
    return found


def codes(answer: TestResponse) -> list[str]:
    """The own code of each issue; of an issue without one the code of FHIR."""
    return [one.get("details", {"coding": [one]})["coding"][0]["code"] for one in issues(answer)]


def content(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name not in ("id", "meta")}


def total(ehr: FlaskClient, **criteria: str) -> int:
    found: int = ehr.get(URL, query_string={"_summary": "count"} | criteria).get_json()["total"]
    return found


@pytest.mark.requirement("R-4", "S-4")
def test_a_response_is_stored_under_an_id_and_version_of_ours(ehr: FlaskClient) -> None:
    body = sound(id="mine", meta={"versionId": "7", "lastUpdated": "2020-01-01T00:00:00Z", "tag": [TAG]})
    answer = submit(ehr, body)
    assert answer.status_code == 201
    path = answer.headers["Location"].removeprefix(PUBLIC)
    assert path.startswith(f"{URL}/")
    assert path.endswith("/_history/1")
    assert "mine" not in path
    assert answer.headers["ETag"] == 'W/"1"'
    read = ehr.get(resource(path))
    kept = read.get_json()
    assert read.status_code == 200
    assert f"{URL}/{kept['id']}/_history/1" == path
    assert kept["meta"]["versionId"] == "1"
    assert kept["meta"]["lastUpdated"] > ago(minutes=5)[:19]
    assert kept["meta"]["tag"] == [TAG]
    assert content(kept) == content(body)
    assert valid(kept) == []
    assert parsedate_to_datetime(answer.headers["Last-Modified"]) == parsedate_to_datetime(
        read.headers["Last-Modified"]
    )
    assert ehr.get(path).get_json() == kept


@pytest.mark.requirement("R-5")
@pytest.mark.parametrize(
    ("prefer", "warned", "kind"),
    [
        ("return=minimal", False, ""),
        ("return=minimal", True, ""),
        ("return=representation", False, "QuestionnaireResponse"),
        ("return=representation", True, "QuestionnaireResponse"),
        ("return=OperationOutcome", False, "OperationOutcome"),
        ("return=OperationOutcome", True, "OperationOutcome"),
        ("", False, "QuestionnaireResponse"),
        ("", True, "OperationOutcome"),
    ],
)
def test_the_body_is_what_prefer_asks_for(prefer: str, warned: bool, kind: str, ehr: FlaskClient) -> None:
    answer = submit(ehr, sound({"age": 121} if warned else {}), **({"Prefer": prefer} if prefer else {}))
    assert answer.status_code == 201
    assert answer.headers["Location"]
    assert (answer.get_json() if answer.data else {}).get("resourceType", "") == kind
    if kind == "OperationOutcome":
        assert codes(answer) == (["out-of-range"] if warned else ["informational"])
        assert {one["severity"] for one in issues(answer)} == ({"warning"} if warned else {"information"})


@pytest.mark.requirement("R-5")
@pytest.mark.parametrize("prefer", ["", "return=minimal", "return=representation", "return=OperationOutcome", "x"])
@pytest.mark.parametrize(("answers", "named"), [(ALARM, "emergency-now"), (TODAY, "doctor-same-day")])
def test_an_urgent_response_is_named_whatever_prefer_says(
    prefer: str, answers: dict[str, Any], named: str, ehr: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="cds_service"):
        answer = submit(ehr, sound(answers), Prefer=prefer, Accept_Language="en")
    assert answer.status_code == 201
    first = issues(answer)[0]
    assert first["severity"] == "warning"
    assert (first["details"]["coding"][0]["system"], first["details"]["coding"][0]["code"]) == (DISPOSITIONS, named)
    assert first["details"]["text"].lower().startswith("doctor")
    (line,) = heard(caplog)
    assert (line["level"], line["event"], line["client"]) == ("warning", "response stored", "development")
    assert (line["id"], line["disposition"]) == (answer.headers["Location"].split("/")[-3], named)


@pytest.mark.parametrize("answers", [{}, {"age": 121}, {"rf-other": ["weight-loss"]}], ids=["calm", "unclear", "soon"])
def test_what_is_not_urgent_is_not_called_so(answers: dict[str, Any], ehr: FlaskClient) -> None:
    answer = submit(ehr, sound(answers), Prefer="return=OperationOutcome")
    assert DISPOSITIONS not in str(issues(answer))


def test_the_disposition_is_named_in_the_language_of_the_caller(ehr: FlaskClient) -> None:
    said = {spoken: issues(submit(ehr, sound(ALARM), Accept_Language=spoken))[0] for spoken in ("nl", "en")}
    assert said["nl"]["details"]["text"] == "Vandaag met spoed een arts"
    assert said["en"]["details"]["text"] == "Doctor today, as an emergency"


@pytest.mark.requirement("QR-18", "R-6")
@pytest.mark.parametrize(
    ("path", "value", "status", "expected"),
    [
        (("questionnaire",), f"{FORM}|9.9.9", 422, ["unknown-version"]),
        (("subject",), ABSENT, 422, ["no-subject"]),
        (("item", 5, "answer", 0), option("maybe"), 422, ["not-an-option"]),
        (("item", 5, "answer", 0), {"valueBoolean": "true"}, 400, ["wrong-json", "wrong-type"]),
        (("status",), "done", 400, ["unknown-code"]),
    ],
)
@pytest.mark.parametrize("alarming", [False, True])
def test_a_refusal_names_the_alarm_first_and_every_fault(
    path: tuple[str | int, ...], value: Any, status: int, expected: list[str], alarming: bool, ehr: FlaskClient
) -> None:
    before = total(ehr)
    answer = submit(ehr, changed(sound(ALARM if alarming else {}), path, value))
    assert answer.status_code == status
    assert codes(answer) == (["emergency-now"] if alarming else []) + expected
    assert {one["severity"] for one in issues(answer)} == {"error"}
    assert total(ehr) == before


@pytest.mark.requirement("R-6", "R-12")
@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"{", "application/fhir+json", 400),
        (
            b'{"resourceType": "QuestionnaireResponse", "resourceType": "QuestionnaireResponse"}',
            "application/json",
            400,
        ),
        (b"\xef\xbb\xbf{}", "application/json", 400),
        (b"[" * 90 + b"]" * 90, "application/json", 400),
        (b"[]", "application/json", 400),
        (b'{"resourceType": "Patient"}', "application/fhir+json", 400),
        (b"{}", "text/plain", 415),
        (b"{}", "application/fhir+xml", 415),
    ],
)
def test_what_is_no_response_is_refused(body: bytes, media: str, status: int, ehr: FlaskClient) -> None:
    refusal_of(ehr.post(URL, data=body, content_type=media), status)


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_no_xml_is_written(method: str, ehr: FlaskClient) -> None:
    answer = ehr.open(URL, method=method, json=sound() if method == "POST" else None, headers={"Accept": "text/xml"})
    refusal_of(answer, 406)


@pytest.mark.requirement("QR-15")
def test_a_hook_refuses_the_response_of_another_patient(ehr: FlaskClient) -> None:
    other = sound(subject={"reference": "Patient/p2"})
    refusal_of(send(ehr, call(prefetch={"responses": bundle(other)})), 400)


@pytest.mark.requirement("R-3")
def test_what_is_not_there_is_not_found(ehr: FlaskClient) -> None:
    path = resource(stored(ehr, sound()))
    for missing in (f"{URL}/nothing", f"{path}/_history/2", f"{path}/_history/0", f"{path}/_history/x", f"{URL}/%00"):
        refusal_of(ehr.get(missing), 404)
        assert ehr.head(missing).status_code == 404


@pytest.mark.requirement("R-3")
def test_a_version_that_the_client_has_is_not_sent_again(ehr: FlaskClient) -> None:
    path = resource(stored(ehr, sound()))
    assert ehr.get(path, headers={"If-None-Match": 'W/"1"'}).status_code == 304
    assert ehr.get(path, headers={"If-None-Match": 'W/"2"'}).status_code == 200
    head = ehr.head(path)
    assert (head.status_code, head.data, head.headers["ETag"]) == (200, b"", 'W/"1"')


def identified(value: str) -> dict[str, Any]:
    return {"identifier": {"system": "urn:ehr", "value": value}}


@pytest.mark.requirement("R-9")
def test_a_conditional_create_creates_once(ehr: FlaskClient) -> None:
    body, condition = sound(**identified("once")), "identifier=urn:ehr|once"
    first, second = submit(ehr, body, If_None_Exist=condition), submit(ehr, body, If_None_Exist=condition)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.headers["Location"] == second.headers["Location"]
    assert second.headers["ETag"] == 'W/"1"'
    assert total(ehr, identifier="urn:ehr|once") == 1


@pytest.mark.requirement("R-9")
def test_a_conditional_create_that_several_match_is_refused(ehr: FlaskClient) -> None:
    for _ in range(2):
        stored(ehr, sound(**identified("many")))
    answer = submit(ehr, sound(ALARM, **identified("many")), If_None_Exist="identifier=urn:ehr%7Cmany")
    assert answer.status_code == 412
    assert codes(answer) == ["emergency-now", "conflict"]
    assert total(ehr, identifier="urn:ehr|many") == 2


@pytest.mark.requirement("R-9")
@pytest.mark.parametrize(
    ("criteria", "status"),
    [
        ("patient=Patient/p7&status=completed", 200),
        (f"?subject=Patient/p7&questionnaire={FORM}", 200),
        ("patient=p7&authored=lt2000-01-01", 201),
        ("patient=p7&status=amended", 201),
        ("", 400),
        ("identifier", 400),
        ("identifier=", 400),
        ("colour=red", 400),
        ("identifier:not=urn:ehr|x", 400),
        ("_count=1", 400),
        ("_format=json", 400),
        ("patient=p7&colour=red", 400),
        ("patient=p7&patient=p8", 400),
        ("authored=yesterday", 400),
        ("https://ehr.example/x?patient=p7", 400),
    ],
)
def test_if_none_exist_is_a_search_or_refused(criteria: str, status: int, empty: FlaskClient) -> None:
    body = sound(subject={"reference": "Patient/p7"})
    stored(empty, body)
    answer = submit(empty, body, If_None_Exist=criteria)
    assert answer.status_code == status
    assert total(empty) == (2 if status == 201 else 1)


@pytest.mark.requirement("R-9")
def test_what_was_not_stored_because_another_is_there_is_told_with_the_alarms_of_both(
    ehr: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    condition = "identifier=urn:ehr|changed"
    stored(ehr, sound(TODAY, **identified("changed")))
    answer = submit(ehr, sound(ALARM, **identified("changed")), If_None_Exist=condition, Prefer="return=minimal")
    assert answer.status_code == 200
    assert {*codes(answer)} == {"emergency-now", "doctor-same-day", "duplicate"}
    assert heard(caplog, "kept, another not stored")[-1]["disposition"] == "emergency-now"
    calm = submit(ehr, sound(**identified("changed")), If_None_Exist=condition, Prefer="return=representation")
    assert codes(calm) == ["doctor-same-day", "duplicate"]


@pytest.mark.requirement("R-9")
def test_of_those_who_create_at_the_same_time_one_does(ehr: FlaskClient) -> None:
    start, statuses = threading.Barrier(4), []
    body = sound(**identified("race"))

    def create() -> None:
        start.wait()
        answer = ehr.application.test_client().post(
            URL, json=body, headers={"If-None-Exist": "identifier=urn:ehr|race"}
        )
        statuses.append(answer.status_code)

    threads = [threading.Thread(target=create) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sorted(statuses) == [200, 200, 200, 201]
    assert total(ehr, identifier="urn:ehr|race") == 1


def update(ehr: FlaskClient, path: str, body: dict[str, Any], **headers: str) -> TestResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ehr.put(resource(path), json={"id": resource(path).rpartition("/")[2]} | body, headers=named)


@pytest.mark.requirement("S-4", "R-7")
@pytest.mark.parametrize(
    ("before", "sent", "after"),
    [
        ("completed", "completed", "amended"),
        ("amended", "completed", "amended"),
        ("completed", "amended", "amended"),
        ("completed", "entered-in-error", "entered-in-error"),
        ("completed", "in-progress", "in-progress"),
        ("in-progress", "completed", "completed"),
        ("stopped", "completed", "completed"),
    ],
)
def test_an_update_of_what_was_complete_is_amended(before: str, sent: str, after: str, ehr: FlaskClient) -> None:
    path = stored(ehr, sound(status=before))
    answer = update(ehr, path, sound({"age": 50}, status=sent, id=resource(path).rpartition("/")[2]))
    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"2"'
    now = ehr.get(resource(path)).get_json()
    assert (now["status"], now["meta"]["versionId"]) == (after, "2")
    assert now["item"][1]["answer"] == [{"valueInteger": 50}]
    assert ehr.get(path).get_json()["status"] == before
    assert total(ehr, status=after, _id=now["id"]) == 1


@pytest.mark.requirement("R-7")
@pytest.mark.parametrize(
    ("header", "status"),
    [
        ('W/"1"', 200),
        ('"1"', 200),
        ("*", 200),
        ('W/"2"', 412),
        ('W/"x"', 412),
        ('W/"99999999999"', 412),
        ("1", 400),
        ("", 400),
    ],
)
def test_an_update_and_a_delete_go_by_if_match(header: str, status: int, ehr: FlaskClient) -> None:
    path = stored(ehr, sound())
    body = sound(id=resource(path).rpartition("/")[2])
    assert update(ehr, path, body, If_Match=header).status_code == status
    gone = stored(ehr, sound())
    deleted = ehr.delete(resource(gone), headers={"If-Match": header})
    assert deleted.status_code == (204 if status == 200 else status)


@pytest.mark.requirement("R-7")
def test_an_update_that_does_not_fit_is_refused_with_the_alarms_first(ehr: FlaskClient) -> None:
    path = stored(ehr, sound())
    mine = resource(path).rpartition("/")[2]
    refusals = [
        (400, ["emergency-now", "invalid"], update(ehr, path, sound(ALARM, id="other"))),
        (422, ["emergency-now", "business-rule"],
         update(ehr, path, sound(ALARM, id=mine, subject={"reference": "Patient/p2"}))),
        (412, ["emergency-now", "conflict"], update(ehr, path, sound(ALARM, id=mine), If_Match='W/"7"')),
        (405, ["emergency-now", "not-supported"], update(ehr, f"{URL}/unknown", sound(ALARM, id="unknown"))),
        (422, ["emergency-now", "no-form"], update(ehr, path, sound(ALARM, id=mine, questionnaire=None))),
    ]  # fmt: skip
    for status, expected, answer in refusals:
        assert (answer.status_code, codes(answer)) == (status, expected)
    assert refusals[3][2].headers["Allow"]
    assert ehr.get(resource(path)).headers["ETag"] == 'W/"1"'


def test_an_update_with_an_alarm_is_named(ehr: FlaskClient) -> None:
    path = stored(ehr, sound())
    answer = update(ehr, path, sound(ALARM, id=resource(path).rpartition("/")[2]), Prefer="return=minimal")
    assert (answer.status_code, codes(answer)) == (200, ["emergency-now"])


@pytest.mark.requirement("R-3", "R-7", "S-4")
def test_what_is_deleted_is_gone_and_its_versions_are_not(ehr: FlaskClient) -> None:
    path = stored(ehr, sound(**identified("gone")))
    for _ in range(2):
        assert ehr.delete(resource(path)).status_code == 204
    refusal_of(ehr.get(resource(path)), 410)
    refusal_of(ehr.get(f"{resource(path)}/_history/2"), 410)
    assert ehr.get(path).status_code == 200
    assert total(ehr, identifier="urn:ehr|gone") == 0
    refusal_of(update(ehr, path, sound(id=resource(path).rpartition("/")[2])), 410)
    refusal_of(ehr.delete(f"{URL}/nothing"), 404)


@pytest.mark.requirement("S-14")
def test_provenance_that_is_not_kept_is_told(ehr: FlaskClient) -> None:
    provenance = '{"resourceType": "Provenance"}'
    answer = submit(ehr, sound(), X_Provenance=provenance)
    assert (answer.status_code, codes(answer)) == (201, ["not-supported"])


@pytest.mark.requirement("S-14", "QR-18")
def test_the_log_says_who_when_and_which_and_no_answer(ehr: FlaskClient, caplog: pytest.LogCaptureFixture) -> None:
    named = {"subject": {"reference": f"Patient/{NAME}"}, "author": {"reference": f"Practitioner/{NAME}"}}
    text = {"text": {"status": "generated", "div": f"<div>{NAME}</div>"}, "identifier": {"value": NAME}}
    with caplog.at_level(logging.DEBUG):
        path = stored(ehr, sound(ALARM, **named, **text))
        submit(ehr, sound(ALARM, **named, questionnaire=NAME))
        submit(ehr, changed(sound(), ("item", 0, "answer", 0), {"valueString": NAME}))
        submit(ehr, {NAME: NAME})
        ehr.get(URL, query_string={"patient": NAME})
        ehr.delete(resource(path))
    assert NAME not in caplog.text
    assert "rf-" not in caplog.text
    line = heard(caplog, "response stored")[0]
    assert (line["client"], line["disposition"]) == ("development", "emergency-now")
    assert line["id"] == resource(path).rpartition("/")[2]


@pytest.mark.requirement("S-14")
def test_each_act_is_recorded_with_who_did_what_and_when(screening: Screening, tmp_path: Path) -> None:
    before = datetime.now(UTC)
    with serving(screening, tmp_path) as ehr:
        path = stored(ehr, sound(subject={"reference": f"Patient/{NAME}"}), X_Request_Id=CALL_ID)
        update(ehr, path, sound(id=resource(path).rpartition("/")[2], subject={"reference": f"Patient/{NAME}"}))
        ehr.delete(resource(path))
        submit(ehr, sound(subject=None))
    store = open_store(f"sqlite:///{tmp_path / 'served.sqlite'}")
    _, found = events(store, "development", count=10)
    store.dispose()
    versions = [f"{path.removeprefix('/fhir/')[:-1]}{version}" for version in (3, 2, 1)]
    assert [(row["action"], row["what"]) for row in found] == list(zip("DUC", versions, strict=True))
    assert all(before <= row["at"] <= datetime.now(UTC) and row["client"] == "development" for row in found)
    assert found[2]["instance"] == CALL_ID
    assert len({row["patient"] for row in found}) == 1
    assert NAME not in str(found)
