"""The FHIR server and the authorization server of the mini-EHR: as strict as real ones are."""

import base64
import hashlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import pytest
import requests

from cds_content.screening import Screening
from cds_service.clients import FORM_CLIENT
from cds_service.sandbox import Ehr
from cds_service.web import Deployment
from tests.samples import CALM, FORM, response
from tests.sandboxes import sandbox

VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).decode().rstrip("=")
SCOPE = "launch openid fhirUser patient/Patient.r patient/QuestionnaireResponse.c"


@pytest.fixture(scope="module", name="service")
def _service(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with sandbox(screening, tmp_path_factory.mktemp("sandbox")) as service:
        yield service


@pytest.fixture(name="ehr")
def _ehr(service: Deployment) -> Ehr:
    service.ehr.reset()
    return service.ehr


def token(ehr: Ehr, patient: str = "calm", scope: str = "patient/*.cruds", minutes: int = 5) -> str:
    return ehr.grants.give(patient, scope, ehr.now() + timedelta(minutes=minutes))[0]


def ask(ehr: Ehr, method: str, path: str, given: str, body: Any = None) -> requests.Response:
    headers = {"Authorization": f"Bearer {given}"} if given else {}
    return requests.request(method, f"{ehr.base}/{path}", json=body, headers=headers, timeout=60)


def refused(answer: requests.Response, status: int) -> None:
    assert answer.status_code == status, answer.text
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_nothing_without_a_token_that_is_good(ehr: Ehr) -> None:
    for given in ("", "x", token(ehr, minutes=-1)):
        refused(ask(ehr, "GET", "Patient/calm", given), 401)


def test_a_token_is_for_one_patient(ehr: Ehr) -> None:
    given = token(ehr)

    assert ask(ehr, "GET", "Patient/calm", given).json()["id"] == "calm"
    refused(ask(ehr, "GET", "Patient/alarming", given), 404)
    assert "entry" not in ask(ehr, "GET", "QuestionnaireResponse?patient=alarming", given).json()
    refused(ask(ehr, "POST", "QuestionnaireResponse", given, response(CALM)), 422)  # of p1


def test_a_token_reaches_as_far_as_its_scope(ehr: Ehr) -> None:
    given = token(ehr, scope="patient/Patient.r patient/QuestionnaireResponse.c")

    assert ask(ehr, "GET", "Patient/calm", given).status_code == 200
    refused(ask(ehr, "GET", "QuestionnaireResponse?patient=calm", given), 403)
    refused(ask(ehr, "DELETE", "QuestionnaireResponse/calm-0", given), 403)


@pytest.mark.parametrize(
    ("asked", "count"), [(f"{FORM}|1.0.0", 1), (f"{FORM},{FORM}|1.0.0", 2), (FORM, 1), (f"{FORM}|2", 0)]
)
def test_a_questionnaire_is_found_with_its_version_only_where_it_is_stored_so(ehr: Ehr, asked: str, count: int) -> None:
    ehr.records.put("calm", response(CALM, questionnaire=FORM, subject={"reference": "Patient/calm"}))

    found = ask(ehr, "GET", f"QuestionnaireResponse?patient=calm&questionnaire={asked}", token(ehr)).json()
    assert found["total"] == count


def test_a_search_is_sorted_and_goes_on(ehr: Ehr) -> None:
    for day in ("01", "03", "02"):
        ehr.records.put("new-comer", response({}, id=None, authored=f"2026-01-{day}"))
    given = token(ehr, "new-comer")
    first = ask(ehr, "GET", "QuestionnaireResponse?patient=new-comer&_sort=-authored&_count=2", given).json()
    links = {one["relation"]: one["url"] for one in first["link"]}
    second = requests.get(links["next"], headers={"Authorization": f"Bearer {given}"}, timeout=60).json()

    days = [entry["resource"]["authored"] for page in (first, second) for entry in page["entry"]]
    assert days == ["2026-01-03", "2026-01-02", "2026-01-01"]
    assert [one["relation"] for one in second["link"]] == ["self"]
    assert parse_qs(urlsplit(links["self"]).query) == {
        "patient": ["new-comer"],
        "_sort": ["-authored"],
        "_count": ["2"],
    }


CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"


@pytest.mark.parametrize(
    ("token_", "count"),
    [
        ("active", 2),
        (f"{CLINICAL}|active", 1),
        ("|active", 1),
        (f"{CLINICAL}|", 1),
        (f"resolved,{CLINICAL}|active", 1),
        (f"{CLINICAL}|resolved", 0),
        ("https://elsewhere.example|active", 0),
    ],
)
def test_a_token_is_compared_with_its_code_system(ehr: Ehr, token_: str, count: int) -> None:
    for system in ({"system": CLINICAL}, {}):
        status = {"coding": [{"code": "active"} | system]}
        ehr.records.put("calm", {"resourceType": "Condition", "clinicalStatus": status})

    found = ask(ehr, "GET", f"Condition?patient=calm&clinical-status={quote(token_)}", token(ehr)).json()
    assert found["total"] == count


@pytest.mark.parametrize(
    "asked", ["status=http://x|completed", "_id=|calm-0", "patient=https://x.example/Patient/calm"]
)
def test_a_value_that_cannot_be_compared_is_refused_and_never_finds_nothing(ehr: Ehr, asked: str) -> None:
    refused(ask(ehr, "GET", f"QuestionnaireResponse?{asked}", token(ehr)), 400)


@pytest.mark.parametrize("kind", ["Patient/calm", "Encounter/{encounter}", "Practitioner/synthetic-gp"])
def test_what_a_chart_rests_on_is_not_deleted(ehr: Ehr, kind: str) -> None:
    path = kind.format(encounter=ehr.chart("calm").person.encounter)

    refused(ask(ehr, "DELETE", path, token(ehr)), 409)
    assert ask(ehr, "GET", path, token(ehr)).status_code == 200


def test_what_is_replaced_stays_whose_it_was(ehr: Ehr) -> None:
    staff = ask(ehr, "GET", "Practitioner/synthetic-gp", token(ehr)).json()
    assert ask(ehr, "PUT", "Practitioner/synthetic-gp", token(ehr), staff).status_code == 200

    assert ask(ehr, "GET", "Practitioner/synthetic-gp", token(ehr, "alarming")).status_code == 200


@pytest.mark.parametrize("path", ["fhir/metadata", "fhir/Patient/calm", "jwks.json", "auth/authorize", "auth/token"])
def test_nothing_is_given_under_a_name_that_is_not_ours(ehr: Ehr, path: str) -> None:
    method = "POST" if path == "auth/token" else "GET"
    url, given = f"{ehr.public}/sandbox/{path}", {"Authorization": f"Bearer {token(ehr)}"}
    asked = requests.request(method, url, headers={"Host": "evil.example"} | given, timeout=60)

    refused(asked, 403)
    assert requests.request(method, url, headers=given, timeout=60).status_code != 403


def test_a_search_that_is_not_known_is_refused(ehr: Ehr) -> None:
    refused(ask(ehr, "GET", "Condition?onset-date=2026", token(ehr)), 400)


@pytest.mark.parametrize("missing", ["status", "intent"])
def test_an_order_needs_its_status_and_its_intent(ehr: Ehr, missing: str) -> None:
    order = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "order",
        "subject": {"reference": "Patient/calm"},
    }
    refused(
        ask(ehr, "POST", "ServiceRequest", token(ehr), {name: one for name, one in order.items() if name != missing}),
        422,
    )
    assert ask(ehr, "POST", "ServiceRequest", token(ehr), order).status_code == 201


def test_a_resource_is_created_changed_and_deleted(ehr: Ehr) -> None:
    given, mine = token(ehr), response(CALM, subject={"reference": "Patient/calm"}, id="theirs")
    made = ask(ehr, "POST", "QuestionnaireResponse", given, mine)
    assert made.status_code == 201
    kept = made.json()
    assert made.headers["Location"] == f"{ehr.base}/QuestionnaireResponse/{kept['id']}/_history/1"

    path = f"QuestionnaireResponse/{kept['id']}"
    assert ask(ehr, "PUT", path, given, kept | {"status": "amended"}).json()["meta"]["versionId"] == "2"
    refused(ask(ehr, "PUT", path, given, kept | {"id": "other"}), 400)
    assert ask(ehr, "DELETE", path, given).status_code == 204
    refused(ask(ehr, "GET", path, given), 404)


def test_the_store_is_bounded(ehr: Ehr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.sandbox.records.MOST", 1)

    refused(ask(ehr, "POST", "Task", token(ehr), {"resourceType": "Task", "status": "draft", "intent": "order"}), 409)


def test_the_server_says_where_to_authorize(ehr: Ehr) -> None:
    said = ask(ehr, "GET", ".well-known/smart-configuration", "").json()

    assert said["authorization_endpoint"] == f"{ehr.public}/sandbox/auth/authorize"
    assert said["code_challenge_methods_supported"] == ["S256"]
    assert ask(ehr, "GET", "metadata", "").json()["resourceType"] == "CapabilityStatement"
    assert "d" not in requests.get(said["jwks_uri"], timeout=60).json()["keys"][0]


def request_of(ehr: Ehr, **changed: str) -> dict[str, str]:
    """An authorization request for a launch of the patient "alarming"."""
    (launch,) = parse_qs(urlsplit(ehr.launch("alarming", f"{ehr.public}/form/launch", '{"a":1}')).query)["launch"]
    return {
        "response_type": "code",
        "client_id": FORM_CLIENT,
        "redirect_uri": f"{ehr.public}/form/callback",
        "scope": SCOPE,
        "state": "s",
        "aud": ehr.base,
        "launch": launch,
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
    } | changed


def authorize(ehr: Ehr, asked: dict[str, str]) -> requests.Response:
    return requests.get(f"{ehr.public}/sandbox/auth/authorize", params=asked, allow_redirects=False, timeout=60)


def back(answer: requests.Response) -> dict[str, str]:
    assert answer.status_code == 302, answer.text
    return {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["Location"]).query).items()}


def exchange(ehr: Ehr, code: str, **changed: str) -> requests.Response:
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": f"{ehr.public}/form/callback"}
    form |= {"client_id": FORM_CLIENT, "code_verifier": VERIFIER} | changed
    return requests.post(f"{ehr.public}/sandbox/auth/token", data=form, timeout=60)


def test_a_launch_gives_a_token_for_its_patient(ehr: Ehr) -> None:
    went = back(authorize(ehr, request_of(ehr)))
    given = exchange(ehr, went["code"]).json()

    assert went["state"] == "s"
    assert (given["token_type"], given["patient"], given["scope"]) == ("Bearer", "alarming", SCOPE)
    assert given["appContext"] == '{"a":1}'
    assert ask(ehr, "GET", "Patient/alarming", given["access_token"]).status_code == 200


@pytest.mark.parametrize(
    "changed",
    [
        {"code_verifier": "w" * 43},
        {"client_id": "other"},
        {"redirect_uri": "https://evil.example"},
        {"code": "x"},
        {"grant_type": "password"},
    ],
)
def test_no_token_for_what_does_not_belong_together(ehr: Ehr, changed: dict[str, str]) -> None:
    code = back(authorize(ehr, request_of(ehr)))["code"]
    answer = exchange(ehr, **({"code": code} | changed))

    assert (answer.status_code, "access_token" in answer.json()) == (400, False)


def test_a_code_is_good_once(ehr: Ehr) -> None:
    code = back(authorize(ehr, request_of(ehr)))["code"]

    assert exchange(ehr, code).status_code == 200
    assert exchange(ehr, code).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("changed", [{"client_id": "x"}, {"redirect_uri": "https://evil.example/form/callback"}])
def test_nobody_is_sent_to_an_address_that_is_not_known(ehr: Ehr, changed: dict[str, str]) -> None:
    refused(authorize(ehr, request_of(ehr, **changed)), 400)


@pytest.mark.parametrize(
    "changed",
    [
        {"response_type": "token"},
        {"state": ""},
        {"aud": "https://elsewhere.example"},
        {"launch": "unknown"},
        {"code_challenge_method": "plain"},
        {"code_challenge": ""},
    ],
)
def test_a_request_that_smart_does_not_allow_gets_no_code(ehr: Ehr, changed: dict[str, str]) -> None:
    went = back(authorize(ehr, request_of(ehr, **changed)))

    assert "error" in went
    assert "code" not in went


def test_the_form_is_opened_for_the_patient_by_a_real_launch(ehr: Ehr, screening: Screening) -> None:
    with requests.Session() as browser:
        form = browser.get(ehr.form("alarming", screening.name), timeout=60)

    assert form.status_code == 200
    assert form.url.startswith(f"{ehr.public}/form/{screening.name}/")
    assert "Test alarming" in form.text
    assert [urlsplit(one.url).path for one in form.history] == [
        "/form/launch",
        "/sandbox/auth/authorize",
        "/form/callback",
    ]
