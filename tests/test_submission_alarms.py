"""No alarm of a response is lost: not with a refusal, with what replaces it or where nothing is stored."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.store import create
from cds_service.web import submissions
from cds_service.web.submission_answer import act
from tests.conftest import ROOT
from tests.samples import BASE, CALM, ago, bundle, response
from tests.test_second_screening import NECK_CALM, SECOND, content, neck, serve
from tests.test_submission import WHY, sound
from tests.test_submission_http import ALARM, TODAY, URL, codes, identified, issues, resource, stored, submit, update
from tests.wire import refusal_of, serving

SOON = {"rf-other": ["weight-loss"]}  # a doctor, though not today
PROCESS = "/fhir/Questionnaire/$process-response"


@pytest.fixture(name="ehr")
def _ehr(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path) as client:
        client.application.testing = False  # so that an error of ours is answered as it is in use
        yield client


@pytest.fixture(scope="module", name="both")
def _both(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    """The service with two screenings."""
    return serve(content(tmp_path_factory.mktemp("both"), ROOT, SECOND))


def parameters(name: str, *held: Any) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": [{"name": name, "resource": one} for one in held]}


@pytest.mark.requirement("R-7")
def test_a_response_to_another_form_does_not_replace_an_alarm(both: FlaskClient) -> None:
    path = stored(both, sound(ALARM))
    other = neck(NECK_CALM)
    answer = update(both, path, other | {"id": resource(path).rpartition("/")[2]})
    assert "is another form" in refusal_of(answer, 422)
    assert issues(answer)[-1]["expression"] == ["QuestionnaireResponse.questionnaire"]
    assert both.get(resource(path)).headers["ETag"] == 'W/"1"'


@pytest.mark.requirement("R-7")
def test_another_version_of_the_same_form_may_follow(ehr: FlaskClient) -> None:
    path = stored(ehr, sound())
    mine, form = resource(path).rpartition("/")[2], f"{BASE}/Questionnaire/low-back-pain"
    assert update(ehr, path, sound(id=mine, questionnaire=form)).status_code == 200


@pytest.mark.requirement("R-7")
def test_a_delete_does_not_take_what_came_after_the_version_that_it_names(
    ehr: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stored(ehr, sound())
    other, acts = ehr.application.test_client(), act

    def overtaken(*given: Any) -> Any:
        """Another client changes the response after it was read for the delete."""
        monkeypatch.setattr(submissions, "act", acts)
        assert update(other, path, sound(ALARM, id=resource(path).rpartition("/")[2])).status_code == 200
        return acts(*given)

    monkeypatch.setattr(submissions, "act", overtaken)
    refusal_of(ehr.delete(resource(path), headers={"If-Match": 'W/"1"'}), 412)
    assert ehr.get(resource(path)).headers["ETag"] == 'W/"2"'


@pytest.mark.requirement("R-9")
@pytest.mark.parametrize("prefer", ["", "return=minimal", "return=representation", "return=OperationOutcome"])
@pytest.mark.parametrize(
    ("answers", "named"), [(ALARM, "emergency-now"), (TODAY, "doctor-same-day"), (SOON, "doctor-soon")]
)
def test_an_alarm_that_was_not_stored_is_first_named_as_that(
    prefer: str, answers: dict[str, Any], named: str, ehr: FlaskClient
) -> None:
    stored(ehr, sound(**identified("there")))
    sent = sound(answers, **identified("there"))
    answer = submit(ehr, sent, If_None_Exist="identifier=urn:ehr|there", Prefer=prefer)
    assert (answer.status_code, codes(answer)) == (200, [named, "duplicate"])
    assert "nothing was stored" in issues(answer)[0]["diagnostics"]
    assert "no card shows it until" not in answer.text


@pytest.mark.requirement("R-9")
def test_the_same_alarm_in_what_is_stored_and_what_is_not_is_told_of_both(ehr: FlaskClient) -> None:
    stored(ehr, sound(ALARM, **identified("there")))
    sent = sound(ALARM | {"age": 50}, **identified("there"))
    answer = submit(ehr, sent, If_None_Exist="identifier=urn:ehr|there")
    assert codes(answer) == ["emergency-now", "emergency-now", "duplicate"]
    assert [("nothing was stored" in one["diagnostics"]) for one in issues(answer)[:2]] == [True, False]


@pytest.mark.requirement("R-9", "S-14")
@pytest.mark.parametrize(("answers", "expected"), [({}, ["conflict"]), (ALARM, ["emergency-now", "conflict"])])
def test_another_patients_response_is_no_answer_to_if_none_exist(
    answers: dict[str, Any], expected: list[str], ehr: FlaskClient
) -> None:
    path = stored(ehr, sound(subject={"reference": "Patient/p2"}, **identified("there")))
    answer = submit(ehr, sound(answers), If_None_Exist="identifier=urn:ehr|there", Prefer="return=representation")
    assert (answer.status_code, codes(answer)) == (412, expected)
    assert "Location" not in answer.headers
    assert resource(path).rpartition("/")[2] not in answer.text
    assert "p2" not in answer.text


@pytest.mark.requirement("R-2")
@pytest.mark.parametrize("path", [URL, f"{URL}/$extract", PROCESS])
@pytest.mark.parametrize("asked", [{"Accept": "application/fhir+xml"}, {"_format": "xml"}])
def test_the_alarm_is_named_to_who_wants_an_answer_in_xml(path: str, asked: dict[str, str], ehr: FlaskClient) -> None:
    headers = {name: value for name, value in asked.items() if name == "Accept"}
    answer = ehr.post(path, json=sound(ALARM), headers=headers, query_string="" if headers else asked)
    assert (answer.status_code, codes(answer)) == (406, ["emergency-now", "not-supported"])
    assert ehr.get(URL).get_json()["total"] == 0


@pytest.mark.parametrize("path", [URL, f"{URL}/$extract", PROCESS])
def test_who_is_not_known_learns_nothing_of_a_response_that_he_wants_judged_in_xml(
    path: str, screening: Screening, tmp_path: Path
) -> None:
    with serving(screening, tmp_path, development=False) as client:
        answer = client.post(path, json=sound(ALARM), headers={"Accept": "application/fhir+xml"})
    assert codes(answer) == ["login"]


@pytest.mark.requirement("R-7")
def test_an_update_without_an_id_names_the_alarm(ehr: FlaskClient) -> None:
    answer = ehr.put(URL, json=sound(ALARM))
    assert (answer.status_code, codes(answer)) == (405, ["emergency-now", "not-supported"])
    assert answer.headers["Allow"] == "GET, HEAD, POST"
    assert codes(ehr.put(URL, data=b"{")) == ["not-supported"]


# What may be sent in place of the response, with the response in it.
WRAPPED = {
    "a Bundle": bundle(response(CALM | ALARM)),
    "a Bundle with others": bundle({"resourceType": "Patient"}, response(CALM), response(CALM | ALARM)),
    "Parameters": parameters("resource", response(CALM | ALARM)),
    "a part": {"resourceType": "Parameters", "parameter": [{"name": "x", "part": [
        {"name": "y", "resource": response(CALM | ALARM)}]}]},
    "a Bundle in Parameters": parameters("resource", bundle(response(CALM | ALARM))),
    "an array": [response(CALM | ALARM)],
    "two of them": [response(CALM | ALARM), response(CALM | ALARM)],
}  # fmt: skip


@pytest.mark.requirement("R-6")
@pytest.mark.parametrize("body", WRAPPED.values(), ids=WRAPPED)
def test_the_alarm_in_a_wrapper_is_named_once(body: Any, ehr: FlaskClient) -> None:
    answer = submit(ehr, body)
    assert (answer.status_code, codes(answer)) == (400, ["emergency-now", "not-a-response"])


@pytest.mark.parametrize("wrong", [None, 1, "x", [], {}, [1], [[[]]], [None], {"resource": {"resource": []}}])
@pytest.mark.parametrize("kind", ["Bundle", "Parameters", "QuestionnaireResponse", ["x"], None])
def test_a_wrapper_that_is_none_names_nothing_and_breaks_nothing(kind: Any, wrong: Any, ehr: FlaskClient) -> None:
    body = {"resourceType": kind, "entry": wrong, "parameter": wrong, "resource": wrong}
    refusal_of(submit(ehr, body), 400)


def test_what_was_entered_in_error_alarms_in_no_wrapper(ehr: FlaskClient) -> None:
    assert codes(submit(ehr, bundle(sound(ALARM, status="entered-in-error")))) == ["not-a-response"]


@pytest.mark.requirement("S-10")
@pytest.mark.parametrize(
    ("body", "severity", "expected"),
    [
        (sound(ALARM), "warning", ["emergency-now"]),
        (sound(TODAY), "warning", ["doctor-same-day"]),
        (sound(SOON), "information", ["informational"]),
        (sound(ALARM, questionnaire=None), "error", ["emergency-now", "no-form"]),
        (sound(SOON, subject=None), "error", ["doctor-soon", "no-subject"]),
        (sound(ALARM | {"age": 121}), "warning", ["emergency-now", "out-of-range"]),
        (sound(ALARM, status="entered-in-error"), "information", ["informational"]),
    ],
)
def test_validate_names_what_a_post_would_name(
    body: dict[str, Any], severity: str, expected: list[str], ehr: FlaskClient
) -> None:
    answer = ehr.post(f"{URL}/$validate", json=body)
    assert (answer.status_code, codes(answer), issues(answer)[0]["severity"]) == (200, expected, severity)


@pytest.mark.requirement("S-10")
def test_validate_names_the_alarm_of_what_is_stored(ehr: FlaskClient) -> None:
    path = resource(stored(ehr, sound(ALARM)))
    assert codes(ehr.get(f"{path}/$validate")) == ["emergency-now"]
    answer = ehr.post(f"{path}/$validate", json=sound(SOON, id="other"))
    assert codes(answer) == ["doctor-soon", "invariant"]


@pytest.mark.parametrize(
    ("language", "header"),
    [("日本", None), ("nl\u00e9", None), ("nl-NL", "nl-NL"), ("nl NL", None), ("n" * 36, None)],
    ids=["Japanese", "accent", "Dutch", "blank", "long"],
)
def test_the_language_of_a_response_is_a_header_only_where_it_may_be_one(
    language: str, header: str | None, ehr: FlaskClient
) -> None:
    answer = ehr.get(stored(ehr, sound(language=language)))
    assert answer.get_json()["language"] == language
    assert answer.headers.get("Content-Language") == header


def test_the_last_moment_of_a_partial_date_is_kept(ehr: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def seeing(engine: Any, acting: Any, received: Any) -> Any:
        seen.append((received.authored.isoformat(), received.latest.isoformat()))
        return create(engine, acting, received)

    monkeypatch.setattr(submissions, "create", seeing)
    stored(ehr, sound(authored="2026-02"))
    assert seen == [("2026-02-01T00:00:00+00:00", "2026-02-28T23:59:59.999999+00:00")]


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize("path", [URL, f"{URL}/$extract", PROCESS])
def test_the_alarm_is_named_where_a_reason_stands_in_place_of_the_status(path: str, ehr: FlaskClient) -> None:
    answer = ehr.post(path, json=sound(ALARM, status=None) | {"_status": WHY})

    assert (answer.status_code, codes(answer)) == (400, ["emergency-now", "missing-element"])


@pytest.mark.requirement("R-9")
@pytest.mark.parametrize("prefer", ["", "return=minimal", "return=representation", "return=OperationOutcome"])
@pytest.mark.parametrize("authored", ["1970-01-01T00:00:00Z", "2025-11", ago(days=31)])
def test_an_alarm_of_so_long_ago_that_no_card_will_show_it_is_named(
    authored: str, prefer: str, ehr: FlaskClient
) -> None:
    answer = submit(ehr, sound(ALARM, authored=authored), Prefer=prefer)

    assert (answer.status_code, codes(answer)) == (201, ["emergency-now", "authored-past"])
    assert "too long ago for any card" in issues(answer)[0]["diagnostics"]


def test_an_alarm_that_still_counts_is_not_too_long_ago(ehr: FlaskClient) -> None:
    assert codes(submit(ehr, sound(ALARM, authored=ago(days=29)))) == ["emergency-now"]


def followed(ehr: FlaskClient, before: dict[str, Any], body: dict[str, Any], **headers: str) -> TestResponse:
    """The answer to an update, sent to where a response with these answers is stored."""
    path = stored(ehr, sound(before))
    return update(ehr, path, body | {"id": resource(path).rpartition("/")[2]}, **headers)


@pytest.mark.requirement("R-7")
@pytest.mark.parametrize("prefer", ["", "return=minimal", "return=representation", "return=OperationOutcome"])
@pytest.mark.parametrize("sent", [{}, SOON], ids=["calm", "less urgent"])
def test_an_update_that_takes_an_alarm_back_names_it(prefer: str, sent: dict[str, Any], ehr: FlaskClient) -> None:
    answer = followed(ehr, ALARM, sound(sent), Prefer=prefer)

    assert (answer.status_code, codes(answer)) == (200, ["emergency-now"])
    assert "the version before gave this disposition" in issues(answer)[0]["diagnostics"]


# Each row: why no alarm is taken back; the answers before, the update.
KEPT: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("there was none", {}, sound(SOON)),
    ("there was none of today", SOON, sound()),
    ("all of it was an error, which the update says itself", ALARM, sound(ALARM, status="entered-in-error")),
]


@pytest.mark.requirement("R-7")
@pytest.mark.parametrize(("before", "sent"), [pytest.param(*row[1:], id=row[0]) for row in KEPT])
def test_an_update_names_no_alarm_where(before: dict[str, Any], sent: dict[str, Any], ehr: FlaskClient) -> None:
    answer = followed(ehr, before, sent, Prefer="return=OperationOutcome")

    assert codes(answer) == ["informational"]


@pytest.mark.requirement("R-7")
def test_an_update_that_is_an_alarm_itself_names_its_own(ehr: FlaskClient) -> None:
    answer = followed(ehr, ALARM, sound(TODAY))

    assert codes(answer) == ["doctor-same-day"]
