"""PlanDefinition/$apply: a CarePlan with the advice of the hooks; nothing is stored, and nothing missing is calm."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from socket import create_server
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from cds_content.screening import Screening
from cds_service.clients import Client
from cds_service.store import Act, Received, create, open_store
from cds_service.store.tables import metadata
from cds_service.web import Deployment, create_app, hash_patient
from tests.advice_as_fhir import RULES, as_read, as_sent, group_of, mistakes, rows_of, topics_of
from tests.conftest import SERVICE
from tests.samples import BASE, CALM, FORM, bundle, call, item, patient, response
from tests.test_orders import MRI, PHYSIO, appointment
from tests.test_patients import about, answers, each_patient
from tests.wire import cards_of, refusal_of, serving

PLAN = "/fhir/PlanDefinition/low-back-pain-patient-view/$apply"
CANONICAL = f"{BASE}/PlanDefinition/low-back-pain-patient-view"
SERVER = "https://ehr.example/fhir"
ALARM = CALM | {"rf-saddle": "new"}
GAP = CALM | {"rf-saddle": "unknown"}
TRIAGE = ("patient-view", "encounter-start", "problem-list-item-create", "questionnaire-response")
ABOUT_ORDERS = ("order-select", "order-sign")

Json = dict[str, Any]
Served = tuple[FlaskClient, Deployment]


def parameters(*data: Any, **more: Any) -> Json:
    """Parameters for p1 with these resources as data; a text in `more` is a string, the others are ready-made."""
    named = {"subject": "Patient/p1"} | more
    given = [
        {"name": name} | ({"valueString": value} if isinstance(value, str) else value)
        for name, value in named.items()
        if value is not None
    ]
    return {"resourceType": "Parameters", "parameter": given + [{"name": "data", "resource": one} for one in data]}


def apply(client: FlaskClient, body: Any, address: str = PLAN, language: str = "nl") -> Any:
    return client.post(address, json=body, headers={"Accept-Language": language})


def plan(answer: Any) -> Json:
    """The CarePlan of an answer; fails unless that is 200 and valid R4."""
    assert answer.status_code == 200, answer.text[:500]
    assert answer.mimetype == "application/fhir+json"
    found: Json = answer.get_json()
    assert found["resourceType"] == "CarePlan"
    assert mistakes(found) == []
    return found


def advised(answer: Any) -> list[str]:
    return topics_of(group_of(plan(answer)))


@pytest.fixture(name="two")
def _two(screening: Screening, tmp_path: Path) -> Iterator[Served]:
    """A service with the clients `a` and `b`; the header Authorization is the name."""
    store = open_store(f"sqlite:///{tmp_path / 'served.sqlite'}")
    clients = {"a": Client(issuer="a", fhir_servers=(SERVER,)), "b": Client(issuer="b")}
    service = Deployment(
        (screening,), store, "http://127.0.0.1:8080", clients=clients, identify=lambda name, *_: name or ""
    )
    yield create_app(service).test_client(), service
    store.dispose()


def submit(service: Deployment, client: str, one: Json) -> None:
    """Keeps a response about p1 as if this client had submitted it."""
    now, patient_hash = datetime.now(UTC), hash_patient(service, client, "p1")
    create(service.store, Act(client, now), Received(one, patient_hash, FORM, "completed", now, "", ("", ""), ""))


def contents(service: Deployment) -> str:
    with service.store.connect() as connection:
        return str([connection.execute(select(table)).all() for table in metadata.sorted_tables])


@pytest.mark.requirement("P-4")
@each_patient
def test_the_patient_gets_the_advice_of_the_decision_table(case: Json, client: FlaskClient) -> None:
    assert advised(apply(client, parameters(response(answers(case)), about(case)))) == case["cards"]


@pytest.mark.requirement("P-3", "P-4")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize(
    "said", [ALARM, GAP, CALM | {"co-trend": "same"}, CALM], ids=["alarm", "gap", "course", "calm"]
)
def test_the_plan_holds_the_cards_of_the_hook(said: Json, language: str, client: FlaskClient) -> None:
    cards = cards_of(client.post(SERVICE, json=call(response(said)), headers={"Accept-Language": language}))
    body = parameters(bundle(response(said), patient()), practitioner="Practitioner/gp-1")
    found = plan(apply(client, body, language=language))

    assert [as_read(one, found["contained"]) for one in group_of(found)["action"]] == [as_sent(one) for one in cards]
    assert rows_of(group_of(found)) == [card["extension"][RULES]["rows"] for card in cards]
    assert found["language"] == language


@pytest.mark.requirement("P-4")
def test_the_care_plan_is_a_draft_proposal_for_the_subject(client: FlaskClient) -> None:
    body = parameters(
        response(CALM),
        patient(),
        encounter="Encounter/e1",
        practitioner="Practitioner/gp-1",
        organization="Organization/o1",
    )
    found = plan(apply(client, body))

    assert (found["status"], found["intent"]) == ("draft", "proposal")
    assert found["subject"] == {"reference": "Patient/p1"}
    assert found["encounter"] == {"reference": "Encounter/e1"}
    assert found["author"] == {"reference": "Practitioner/gp-1"}
    assert found["instantiatesCanonical"] == [f"{CANONICAL}|1.0.0"]
    assert "id" not in found


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("hook", TRIAGE)
def test_every_plan_about_the_patient_advises_alike(hook: str, client: FlaskClient) -> None:
    address = f"/fhir/PlanDefinition/low-back-pain-{hook}/$apply"

    assert advised(apply(client, parameters(response(ALARM), patient()), address)) == ["emergency-now"]
    assert advised(apply(client, parameters(response(CALM), patient()), address)) == ["self-care"]


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize(
    "named",
    [
        {"url": {"valueCanonical": CANONICAL}},
        {"url": {"valueUri": f"{CANONICAL}|1.0.0"}},
        {"planDefinition": {"resource": {"resourceType": "PlanDefinition", "url": CANONICAL, "status": "draft"}}},
        {"planDefinition": {"resource": {"resourceType": "PlanDefinition", "url": CANONICAL, "version": "1.0.0"}}},
    ],
    ids=["url", "url and version", "the resource", "the resource and its version"],
)
def test_at_the_type_the_parameters_name_the_plan(named: Json, client: FlaskClient) -> None:
    body = parameters(response(ALARM), patient(), **named)

    assert advised(apply(client, body, "/fhir/PlanDefinition/$apply")) == ["emergency-now"]


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize(
    ("named", "status"),
    [
        ({}, 400),
        ({"url": {"valueCanonical": f"{CANONICAL}|9.9.9"}}, 404),
        ({"url": {"valueCanonical": f"{BASE}/PlanDefinition/other"}}, 404),
        ({"planDefinition": {"resource": {"resourceType": "PlanDefinition", "status": "draft"}}}, 404),
        ({"planDefinition": {"valueString": CANONICAL}}, 400),
    ],
    ids=["none", "another version", "another", "one without a url", "a text"],
)
def test_a_plan_that_is_not_named_or_not_here_is_refused(named: Json, status: int, client: FlaskClient) -> None:
    refusal_of(apply(client, parameters(response(CALM), **named), "/fhir/PlanDefinition/$apply"), status)


@pytest.mark.requirement("P-4")
def test_a_plan_at_the_address_is_there_or_not_found(client: FlaskClient) -> None:
    refusal_of(apply(client, parameters(response(CALM)), "/fhir/PlanDefinition/other/$apply"), 404)
    refusal_of(client.get("/fhir/PlanDefinition/other/$apply?subject=Patient/p1"), 404)
    refusal_of(apply(client, parameters(response(CALM), url={"valueCanonical": CANONICAL})), 400)


# Each row: why, the data, the status and the code of the refusal.
MISSING: list[tuple[str, list[Any], int, str]] = [
    ("nothing", [], 412, "required"),
    ("the patient only", [patient()], 412, "required"),
    ("an empty search", [bundle()], 412, "required"),
    (
        "a response to another form",
        [response(CALM, questionnaire="https://example.org/Questionnaire/other")],
        412,
        "required",
    ),
    ("another patient's response", [response(CALM, subject={"reference": "Patient/p2"})], 400, "business-rule"),
    ("another patient", [response(CALM), patient(id="p2")], 400, "business-rule"),
    ("a Bundle that holds no resource", [{"resourceType": "Bundle", "entry": [{"resource": {}}]}], 400, "invalid"),
]


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("row", MISSING, ids=[row[0] for row in MISSING])
def test_without_a_response_there_is_no_plan(row: tuple[str, list[Any], int, str], client: FlaskClient) -> None:
    _, data, status, code = row
    answer = apply(client, parameters(*data))
    refusal_of(answer, status)

    assert answer.get_json()["issue"][0]["code"] == code


# Each row: why, the data, the topics. What is not known is never calm.
UNKNOWN: list[tuple[str, list[Any], list[str]]] = [
    ("without the patient the age is not known", [response(CALM)], ["incomplete"]),
    ("in progress", [response(CALM, status="in-progress"), patient()], ["incomplete"]),
    ("entered in error", [response(CALM, status="entered-in-error"), patient()], ["incomplete"]),
    ("of no subject", [response(CALM, subject=None), patient()], ["incomplete"]),
    ("of another version", [response(CALM, questionnaire=f"{FORM}|9.9.9"), patient()], ["incomplete"]),
    ("a part of a search", [bundle(response(CALM), patient()) | {"total": 2}], ["incomplete"]),
    (
        "an alarm in an older response",
        [response(CALM, id="new"), response(ALARM, id="old"), patient()],
        ["emergency-now"],
    ),
    ("damaged", [response({}, item=[item("rf-saddle", [{"valueString": "no"}])]), patient()], ["incomplete"]),
]


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("row", UNKNOWN, ids=[row[0] for row in UNKNOWN])
def test_what_is_not_known_is_never_calm(row: tuple[str, list[Any], list[str]], client: FlaskClient) -> None:
    _, data, expected = row

    assert advised(apply(client, parameters(*data))) == expected


@pytest.mark.requirement("P-4")
def test_where_there_is_no_card_a_note_says_why(client: FlaskClient) -> None:
    found = plan(apply(client, parameters(response(CALM | {"lbp-present": "no"}), patient()), language="en"))

    assert "action" not in group_of(found)
    assert found["note"] == group_of(found)["note"]
    assert found["note"][0]["text"].startswith("Not applicable")


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("hook", ABOUT_ORDERS)
@pytest.mark.parametrize(
    ("order", "said", "expected"),
    [
        pytest.param(MRI, ALARM, ["imaging"], id="a scan, and an alarm"),
        pytest.param(MRI, CALM, ["imaging"], id="a scan of a calm patient"),
        pytest.param(PHYSIO, ALARM, ["emergency-now"], id="physiotherapy, and an alarm"),
    ],
)
def test_plans_about_orders_judge_those_in_the_data(
    order: Json, said: Json, expected: list[str], hook: str, client: FlaskClient
) -> None:
    address = f"/fhir/PlanDefinition/low-back-pain-{hook}/$apply"

    assert advised(apply(client, parameters(response(said), patient(), order), address)) == expected


@pytest.mark.requirement("P-4")
def test_the_plan_about_appointments_judges_those_in_the_data(client: FlaskClient) -> None:
    address = "/fhir/PlanDefinition/low-back-pain-appointment-book/$apply"

    assert advised(apply(client, parameters(response(ALARM), patient(), appointment()), address)) == ["emergency-now"]
    refusal_of(apply(client, parameters(response(ALARM), patient(), PHYSIO), address), 412)


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("hook", ABOUT_ORDERS)
def test_without_an_order_that_is_judged_there_is_no_plan(hook: str, client: FlaskClient) -> None:
    address = f"/fhir/PlanDefinition/low-back-pain-{hook}/$apply"

    assert "order" in refusal_of(apply(client, parameters(response(CALM), patient()), address), 412)


@pytest.mark.requirement("P-5")
def test_a_referral_says_what_it_is_made_from_and_what_it_rests_on(client: FlaskClient) -> None:
    found = plan(apply(client, parameters(response(ALARM), patient()), language="en"))
    (referral,) = [one for one in found["contained"] if one["resourceType"] == "ServiceRequest"]

    assert referral["instantiatesCanonical"] == [f"{BASE}/ActivityDefinition/low-back-pain-emergency-referral|1.0.0"]
    assert referral["supportingInfo"] == [{"reference": "QuestionnaireResponse/response-1"}]
    assert [one.get("text") for one in referral["reasonCode"]][-1] == "new numbness or tingling between the legs"
    assert (referral["status"], referral["intent"], referral["priority"]) == ("draft", "proposal", "stat")
    assert "doNotPerform" not in referral


@pytest.mark.requirement("P-6")
def test_an_incomplete_screening_asks_for_the_form(client: FlaskClient) -> None:
    found = plan(apply(client, parameters(response(GAP), patient())))
    (task,) = [one for one in found["contained"] if one["resourceType"] == "Task"]
    collect = {"system": "http://hl7.org/fhir/uv/cpg/CodeSystem/cpg-activity-type-cs", "code": "collect-information"}

    assert (task["status"], task["intent"]) == ("draft", "proposal")
    assert task["instantiatesCanonical"] == f"{BASE}/ActivityDefinition/low-back-pain-complete-questionnaire|1.0.0"
    assert collect in task["code"]["coding"]
    assert [one["valueCanonical"] for one in task["input"] if collect in one["type"]["coding"]] == [f"{FORM}|1.0.0"]


@pytest.mark.requirement("P-5")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_everything_suggested_names_its_activity_definition(
    language: str, screening: Screening, client: FlaskClient
) -> None:
    """It is found by the words of the action, so in each language."""
    said = (ALARM, GAP, CALM | {"co-trend": "same"}, CALM, CALM | {"rf-saddle": "longstanding"})
    plans = [plan(apply(client, parameters(response(one), patient()), language=language)) for one in said]
    made_from = [one["instantiatesCanonical"] for found in plans for one in found["contained"][1:]]

    named = {canonical for one in made_from for canonical in (one if isinstance(one, list) else [one])}
    assert named == {f"{BASE}/ActivityDefinition/low-back-pain-{name}|1.0.0" for name in screening.texts.resource}


# Each row: why, the parameters, the status.
WRONG: list[tuple[str, Json, int]] = [
    ("no subject", parameters(response(CALM), subject=None), 400),
    ("a subject elsewhere", parameters(response(CALM), subject="https://x.example/fhir/Patient/p1"), 400),
    ("a group", parameters(response(CALM), subject="Group/g1"), 400),
    (
        "two subjects",
        parameters(response(CALM), subject=None)
        | {"parameter": [{"name": "subject", "valueString": "Patient/p1"}] * 2},
        400,
    ),
    ("no practitioner", parameters(response(CALM), practitioner="Patient/p1"), 400),
    ("no organization", parameters(response(CALM), organization="o1"), 400),
    ("no encounter", parameters(response(CALM), encounter="e1"), 400),
    ("an unknown parameter", parameters(response(CALM), mode="test"), 400),
    (
        "a reader who is a patient",
        parameters(response(CALM), userType={"valueCodeableConcept": {"coding": [{"code": "patient"}]}}),
        422,
    ),
    ("no Parameters", response(CALM), 400),
]


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("row", WRONG, ids=[row[0] for row in WRONG])
def test_parameters_that_cannot_be_used_are_refused(row: tuple[str, Json, int], client: FlaskClient) -> None:
    _, body, status = row
    answer = apply(client, body)
    refusal_of(answer, status)

    assert "p1" not in answer.text


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize(
    ("code", "accepted", "expected"),
    [("en", "nl", "en"), ("nl-NL", "en", "nl"), ("EN-GB", "nl", "en"), ("fr", "en", "en")],
)
def test_the_user_may_name_a_language(code: str, accepted: str, expected: str, client: FlaskClient) -> None:
    coding = {"coding": [{"system": "urn:ietf:bcp:47", "code": code}]}
    answer = apply(client, parameters(response(CALM), userLanguage={"valueCodeableConcept": coding}), language=accepted)

    assert plan(answer)["language"] == answer.headers["Content-Language"] == expected


def get(client: FlaskClient, name: str, query: str = "?subject=Patient/p1") -> Any:
    """What the client of this name gets for its patient."""
    return client.get(PLAN + query, headers={"Authorization": name})


@pytest.mark.requirement("P-4", "R-2")
def test_only_json_is_written(client: FlaskClient) -> None:
    refusal_of(client.post(f"{PLAN}?_format=xml", json=parameters(response(CALM))), 406)


@pytest.mark.requirement("P-4")
def test_nothing_is_stored(two: Served) -> None:
    client, service = two
    submit(service, "a", response(ALARM))
    before = contents(service)
    sent = [parameters(response(ALARM), patient()), parameters(patient()), parameters(subject=None)]
    statuses = [client.post(PLAN, json=one, headers={"Authorization": "a"}).status_code for one in sent]

    assert [*statuses, get(client, "a").status_code] == [200, 200, 400, 200]
    assert contents(service) == before


@pytest.mark.requirement("P-4")
def test_what_the_client_submitted_counts_where_the_data_has_no_response(two: Served) -> None:
    client, service = two
    submit(service, "a", response(ALARM | {"age": 40}))  # it has a FHIR server, which is not asked, and not missed
    found = plan(get(client, "a"))
    (referral,) = [one for one in found["contained"] if one["resourceType"] == "ServiceRequest"]
    (used,) = referral["supportingInfo"]

    assert topics_of(group_of(found)) == ["emergency-now"]
    assert used["reference"].startswith("http://127.0.0.1:8080/fhir/QuestionnaireResponse/")


@pytest.mark.requirement("P-4")
def test_what_another_client_submitted_is_not_there(two: Served) -> None:
    client, service = two
    submit(service, "a", response(ALARM))
    refusal_of(get(client, "b"), 412)
    submit(service, "b", response(CALM | {"age": 40}))

    assert topics_of(group_of(plan(get(client, "b")))) == ["self-care"]


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize(
    "query", ["", "?data=x&subject=Patient/p1", "?subject=Patient/p1&userLanguage=en", "?subject=p1"]
)
def test_by_get_only_what_fits_in_a_url(query: str, two: Served) -> None:
    client, service = two
    submit(service, "a", response(ALARM))
    refusal_of(get(client, "a", query), 400)


@pytest.mark.requirement("P-4")
@pytest.mark.parametrize("subject", ["Patient/p1", f"{SERVER}/Patient/p1"])
@pytest.mark.parametrize("named", ["Patient/p1", f"{SERVER}/Patient/p1"])
def test_the_patient_may_be_named_by_the_address_on_the_clients_server(subject: str, named: str, two: Served) -> None:
    client, _ = two
    body = parameters(response(CALM, subject={"reference": named}), patient(), subject=subject)

    assert advised(client.post(PLAN, json=body, headers={"Authorization": "a"})) == ["self-care"]


@pytest.mark.requirement("P-4")
def test_nothing_is_fetched(screening: Screening, tmp_path: Path) -> None:
    """What is missing of a search is a gap; the operation asks no server for it."""
    with create_server(("127.0.0.1", 0)) as ehr:
        ehr.settimeout(0)
        server = f"http://127.0.0.1:{ehr.getsockname()[1]}/fhir"
        link = [{"relation": "next", "url": f"{server}/QuestionnaireResponse?page=2"}]
        asks = Client(fhir_servers=(server,), open_fhir_servers=True, private_addresses=True)
        agreed = {"development": asks}
        with serving(screening, tmp_path, clients=agreed) as client:
            found = advised(apply(client, parameters(bundle(response(CALM)) | {"link": link}, patient())))
        with pytest.raises(BlockingIOError):
            ehr.accept()

    assert found == ["incomplete"]
