"""QuestionnaireResponse/$extract: an Observation for each answer, the referral that a card suggests, never a guess."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.store import audit_events, decisions, open_store, responses
from tests.fhir_rules import valid
from tests.samples import ANSWERS, BASE, CALM, FORM, ago, call, item, response
from tests.wire import cards_of, changed, refusal_of, same, send, serving

TYPE = "/fhir/QuestionnaireResponse/$extract"
QUESTIONS = f"{BASE}/CodeSystem/low-back-pain-questions"
EXTRACT = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observationExtract"
CATEGORY = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-observation-extract-category"
COMPLETE = {"lbp-present": "yes", "age": 40} | CALM  # in the order of the form
EMERGENCY = COMPLETE | {"rf-bladder-bowel": "new"}  # new trouble with bladder or bowel: a doctor now


@pytest.fixture(scope="module", name="client")
def _client(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A service of these tests alone: what they store counts in no other's calls."""
    with serving(screening, tmp_path_factory.mktemp("extract")) as client:
        yield client


def post(client: FlaskClient, body: Any, address: str = TYPE, language: str = "nl") -> TestResponse:
    headers = {"Accept-Language": language}
    return client.post(address, json=body, headers=headers, content_type="application/fhir+json")


def extracted(answer: TestResponse) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The resources of the transaction and the issues; fails unless all is valid FHIR and refers to what is there."""
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert valid(body) == []
    parts = {part["name"]: part["resource"] for part in body["parameter"]}
    assert list(parts) == ["return", "issues"][: len(parts)]
    bundle = parts["return"]
    resources, urls = [entry["resource"] for entry in bundle["entry"]], [entry["fullUrl"] for entry in bundle["entry"]]
    assert bundle["type"] == "transaction"
    assert len(set(urls)) == len(urls)
    wanted = [{"method": "POST", "url": one["resourceType"]} for one in resources]
    assert [entry["request"] for entry in bundle["entry"]] == wanted
    (provenance,) = of_type(resources, "Provenance")
    assert [target["reference"] for target in provenance["target"]] == urls[: resources.index(provenance)]
    return resources, parts.get("issues", {"issue": []})["issue"]


def of_type(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in resources if one["resourceType"] == kind]


def said(resources: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    """(question, answer) of each Observation, by our own codes."""
    return [(_own(one["code"]), _value(one)) for one in of_type(resources, "Observation")]


def _own(concept: dict[str, Any]) -> str:
    (code,) = [str(one["code"]) for one in concept["coding"] if one["system"] == QUESTIONS]
    return code


def _value(observation: dict[str, Any]) -> Any:
    if "valueInteger" in observation:
        return observation["valueInteger"]
    (coding,) = observation["valueCodeableConcept"]["coding"]
    assert coding["system"] == ANSWERS
    return coding["code"]


@pytest.mark.requirement("S-7", "S-8")
@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "Parameters"])
def test_each_answer_is_one_observation_and_nothing_else_is(client: FlaskClient, wrapped: bool) -> None:
    body = response(COMPLETE)
    parameter = {"name": "questionnaire-response", "resource": body}

    resources, issues = extracted(
        post(client, {"resourceType": "Parameters", "parameter": [parameter]} if wrapped else body)
    )

    assert sorted(said(resources), key=str) == sorted(COMPLETE.items(), key=str)
    assert of_type(resources, "ServiceRequest") == []  # self-care: nobody is referred
    assert issues == []


@pytest.mark.requirement("S-8")
def test_an_observation_takes_over_what_the_response_says_of_all_answers(client: FlaskClient) -> None:
    moment = ago(hours=2)
    shared = {
        "authored": moment,
        "encounter": {"reference": "Encounter/e1"},
        "author": {"reference": "Practitioner/gp-1"},
        "basedOn": [{"reference": "ServiceRequest/s1"}, {"reference": "CarePlan/c1"}],
        "partOf": [{"reference": "Procedure/x1"}, {"reference": "Observation/o1"}],
    }

    resources, _ = extracted(post(client, response(COMPLETE, **shared)))

    first = of_type(resources, "Observation")[0]
    survey = {"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "survey"}
    assert first["status"] == "final"
    assert survey.items() <= first["category"][0]["coding"][0].items()
    assert first["subject"] == {"reference": "Patient/p1"}
    assert first["encounter"] == {"reference": "Encounter/e1"}
    assert (first["effectiveDateTime"], first["issued"]) == (moment, moment)
    assert first["performer"] == [{"reference": "Practitioner/gp-1"}]
    assert first["basedOn"] == shared["basedOn"]
    assert first["partOf"] == [{"reference": "Procedure/x1"}]  # R4 has no Observation there
    assert first["derivedFrom"] == [{"reference": "QuestionnaireResponse/response-1"}]
    (provenance,) = of_type(resources, "Provenance")
    assert provenance["entity"] == [{"role": "source", "what": {"reference": "QuestionnaireResponse/response-1"}}]


@pytest.mark.requirement("S-8")
def test_the_code_of_an_observation_is_that_of_the_question_with_its_text(client: FlaskClient) -> None:
    resources, _ = extracted(post(client, response(EMERGENCY), language="en"))

    first = of_type(resources, "Observation")[0]
    form = client.get("/fhir/Questionnaire/low-back-pain", headers={"Accept-Language": "en"}).get_json()
    (asked,) = [one for one in form["item"] if one["linkId"] == "lbp-present"]
    assert [(one["system"], one["code"]) for one in first["code"]["coding"]] == [
        (QUESTIONS, "lbp-present"),
        ("http://snomed.info/sct", "279039007"),
    ]
    assert first["code"]["text"] == asked["text"]
    assert first["valueCodeableConcept"]["coding"][0]["display"] == "Yes"


@pytest.mark.requirement("S-8")
def test_a_device_is_no_performer_of_an_observation(client: FlaskClient) -> None:
    resources, _ = extracted(post(client, response(COMPLETE, author={"reference": "Device/form"})))

    assert all("performer" not in one for one in of_type(resources, "Observation"))


@pytest.mark.requirement("S-8")
def test_what_is_no_encounter_is_not_taken_over(client: FlaskClient) -> None:
    resources, issues = extracted(post(client, response(EMERGENCY, encounter={"reference": "Patient/p1"})))

    assert all("encounter" not in one for one in resources)
    assert [one for one in issues if one.get("expression") == ["QuestionnaireResponse.encounter"]]


@pytest.mark.requirement("S-8")
def test_a_day_without_a_time_is_effective_and_no_moment_of_issue(client: FlaskClient) -> None:
    day = ago(days=1)[:10]

    resources, _ = extracted(post(client, response(COMPLETE, authored=day)))

    observations = of_type(resources, "Observation")
    assert {one["effectiveDateTime"] for one in observations} == {day}
    assert all("issued" not in one for one in observations)


@pytest.mark.requirement("S-8")
@pytest.mark.parametrize("authored", [None, ago(days=-3)], ids=["none", "ahead"])
def test_observations_have_no_time_where_none_is_known_and_that_is_said(client: FlaskClient, authored: Any) -> None:
    resources, issues = extracted(post(client, response(COMPLETE, authored=authored)))

    assert all("effectiveDateTime" not in one and "issued" not in one for one in of_type(resources, "Observation"))
    assert [one for one in issues if one["diagnostics"].startswith("authored: ")]


@pytest.mark.requirement("S-8")
def test_what_is_not_answered_gives_no_observation_in_either_form(client: FlaskClient) -> None:
    answers = {name: answer for name, answer in COMPLETE.items() if name != "rf-cancer"}
    left_out = response(answers)
    empty = changed(left_out, ("item",), [*left_out["item"], {"linkId": "rf-cancer"}])

    for body in (left_out, empty):
        resources, _ = extracted(post(client, body))
        assert "rf-cancer" not in dict(said(resources))


@pytest.mark.requirement("S-8")
def test_several_answers_to_one_question_are_several_observations(client: FlaskClient) -> None:
    both = {"rf-other": ["osteoporosis-steroids", "pregnant"]}

    resources, _ = extracted(post(client, response(COMPLETE | both)))

    assert sorted(value for name, value in said(resources) if name == "rf-other") == sorted(both["rf-other"])


@pytest.mark.requirement("S-8")
def test_an_answer_of_not_knowing_is_given_as_it_is(client: FlaskClient) -> None:
    resources, _ = extracted(post(client, response(COMPLETE | {"rf-saddle": "unknown"})))

    assert ("rf-saddle", "unknown") in said(resources)


# Each row: why the answers to a question say nothing for certain, the question, the items of the response.
DAMAGED: list[tuple[str, str, list[dict[str, Any]]]] = [
    ("two answers where one is asked", "rf-saddle", [item("rf-saddle", ["no", "new"])]),
    ("answered twice over", "rf-saddle", [item("rf-saddle", "no"), item("rf-saddle", "new")]),
    ("answered though not asked", "rf-leg-sides", [item("rf-leg-sides", "both"), item("rf-saddle", "no")]),
    ("none of these, and one of these", "rf-other", [item("rf-other", ["none", "pregnant"]), item("rf-saddle", "no")]),
    ("an age that nobody has", "age", [item("age", 400), item("rf-saddle", "no")]),
]


@pytest.mark.requirement("S-8")
@pytest.mark.parametrize("row", DAMAGED, ids=[row[0] for row in DAMAGED])
def test_what_contradicts_itself_gives_no_observation_and_a_warning(
    client: FlaskClient, row: tuple[str, str, list[dict[str, Any]]]
) -> None:
    _, name, items = row
    answers = {link: answer for link, answer in COMPLETE.items() if link not in (name, "rf-saddle")}

    resources, issues = extracted(
        post(client, changed(response(answers), ("item",), [*response(answers)["item"], *items]))
    )

    assert name not in dict(said(resources))
    assert len(said(resources)) >= len(answers)
    assert [one for one in issues if one["diagnostics"].startswith(f"{name}: ") and one["severity"] == "warning"]


@pytest.mark.requirement("S-7")
def test_an_emergency_has_its_referral_as_a_draft_for_the_same_patient(client: FlaskClient) -> None:
    shared = {"encounter": {"reference": "Encounter/e1"}, "subject": {"reference": "Patient/p1", "display": "Ann"}}

    resources, issues = extracted(post(client, response(EMERGENCY, **shared)))

    (referral,) = of_type(resources, "ServiceRequest")
    assert (referral["status"], referral["intent"], referral["priority"]) == ("draft", "proposal", "stat")
    assert referral["code"]["coding"][0]["code"] == "306254002"  # referral to an accident and emergency doctor
    assert (referral["subject"], referral["encounter"]) == (shared["subject"], shared["encounter"])
    assert referral["supportingInfo"] == [{"reference": "QuestionnaireResponse/response-1"}]
    assert issues[0]["details"]["coding"][0]["code"] == "emergency-now"  # said first, whatever else is said


# Each row: why, the answers. Where the most urgent card suggests a referral, it is the one that is extracted.
SUGGESTED: list[tuple[str, dict[str, Any]]] = [
    ("an emergency", EMERGENCY),
    ("an emergency beside a gap", EMERGENCY | {"rf-saddle": "unknown"}),
    ("fever", COMPLETE | {"rf-unwell": "yes", "rf-fever": "yes"}),
    ("older than 65", COMPLETE | {"age": 70, "rf-clear-cause": "no"}),
    ("guidance wanted: conservative care", COMPLETE | {"co-guidance": "yes"}),
    ("self-care", COMPLETE),
    ("incomplete", COMPLETE | {"rf-saddle": "unknown"}),
    ("no low back pain", COMPLETE | {"lbp-present": "no"}),
]


@pytest.mark.requirement("S-7")
@pytest.mark.parametrize("row", SUGGESTED, ids=[row[0] for row in SUGGESTED])
def test_the_referral_is_that_of_the_most_urgent_card(client: FlaskClient, row: tuple[str, dict[str, Any]]) -> None:
    body = response(row[1])
    cards = cards_of(send(client, call(body, about={"resourceType": "Patient", "id": "p1"})))
    suggestions = cards[0]["suggestions"] if cards else []
    actions = suggestions[0]["actions"] if suggestions else []
    shown = [action["resource"] for action in actions if action["resource"]["resourceType"] == "ServiceRequest"]

    resources, _ = extracted(post(client, body))

    by_nobody = [{name: part for name, part in one.items() if name != "requester"} for one in shown]
    assert same(of_type(resources, "ServiceRequest")) == same(by_nobody)


@pytest.mark.requirement("S-7")
def test_with_nothing_to_extract_there_is_a_warning_and_no_bundle(client: FlaskClient) -> None:
    answer = post(client, response({}, item=None))

    body = answer.get_json()
    assert answer.status_code == 200
    assert valid(body) == []
    assert body["resourceType"] == "OperationOutcome"
    assert {issue["severity"] for issue in body["issue"]} == {"warning"}
    assert "nothing to extract" in body["issue"][-1]["diagnostics"]


@pytest.mark.requirement("S-7")
@pytest.mark.parametrize("status", ["in-progress", "stopped", "entered-in-error"])
def test_only_a_finished_response_is_extracted(client: FlaskClient, status: str) -> None:
    answer = post(client, response(EMERGENCY, status=status))

    refusal_of(answer, 422)
    assert answer.get_json()["issue"][-1]["expression"] == ["QuestionnaireResponse.status"]
    named = [one["details"]["coding"][0]["code"] for one in answer.get_json()["issue"][:-1]]
    assert named == ([] if status == "entered-in-error" else ["emergency-now"])


@pytest.mark.requirement("S-7")
def test_parameters_that_are_refused_name_the_alarm_of_their_response(client: FlaskClient) -> None:
    held = {"name": "questionnaire-response", "resource": response(EMERGENCY)}
    wrong = {"name": "extract-all", "valueBoolean": True}
    answer = post(client, {"resourceType": "Parameters", "parameter": [held, wrong]})

    refusal_of(answer, 400)
    assert answer.get_json()["issue"][0]["details"]["coding"][0]["code"] == "emergency-now"


@pytest.mark.requirement("S-7")
def test_an_amended_response_is_extracted(client: FlaskClient) -> None:
    assert said(extracted(post(client, response(COMPLETE, status="amended")))[0])


# Each row: why the response cannot be attributed or read, status, the response.
REFUSED: list[tuple[str, int, Any]] = [
    ("another form", 422, response(COMPLETE, questionnaire="https://elsewhere.example/Questionnaire/x")),
    ("no form", 422, response(COMPLETE, questionnaire=None)),
    ("another version", 422, response(COMPLETE, questionnaire=f"{FORM}|9.9.9")),
    ("nobody", 422, response(COMPLETE, subject=None)),
    ("no patient", 422, response(COMPLETE, subject={"reference": "Group/g1"})),
    ("an answer that is no option", 422, response(COMPLETE | {"rf-saddle": "perhaps"})),
    ("a text for a code", 422, response(COMPLETE | {"rf-saddle": [{"valueString": "no"}]})),
    ("a modifier", 422, response(COMPLETE, modifierExtension=[{"url": "urn:x", "valueBoolean": True}])),
    ("no response", 400, {"resourceType": "Patient", "id": "p1"}),
    ("Parameters without a response", 400, {"resourceType": "Parameters"}),
    (
        "Parameters with something else",
        400,
        {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "questionnaire-response", "resource": response(COMPLETE)},
                {"name": "extract-all", "valueBoolean": True},
            ],
        },
    ),
]


@pytest.mark.requirement("S-7")
@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_what_cannot_be_attributed_or_read_gives_nothing(client: FlaskClient, row: tuple[str, int, Any]) -> None:
    refusal_of(post(client, row[2]), row[1])


@pytest.mark.requirement("S-7")
@pytest.mark.parametrize(("version", "status"), [("1.0.0", 200), ("9.9.9", 422)])
def test_a_form_that_is_sent_along_must_be_the_one_filled_in(client: FlaskClient, version: str, status: int) -> None:
    form = client.get("/fhir/Questionnaire/low-back-pain").get_json() | {"version": version}
    given = [
        {"name": "questionnaire-response", "resource": response(COMPLETE)},
        {"name": "questionnaire", "resource": form},
    ]

    assert post(client, {"resourceType": "Parameters", "parameter": given}).status_code == status


def test_a_response_without_an_id_is_named_by_its_form(client: FlaskClient) -> None:
    resources, _ = extracted(post(client, response(EMERGENCY, id=None)))

    source = {"type": "QuestionnaireResponse", "display": f"{FORM}|1.0.0"}
    assert of_type(resources, "Observation")[0]["derivedFrom"] == [source]
    assert "supportingInfo" not in of_type(resources, "ServiceRequest")[0]


@pytest.mark.requirement("S-7")
def test_a_stored_response_is_extracted_by_its_owner_and_nothing_is_stored(
    screening: Screening, tmp_path: Path
) -> None:
    with serving(screening, tmp_path) as client:
        location = client.post("/fhir/QuestionnaireResponse", json=response(EMERGENCY)).headers["Location"]
        address = location.partition("/_history")[0]
        before = kept(tmp_path)

        resources, _ = extracted(client.post(f"{address}/$extract"))

        assert kept(tmp_path) == before
        assert of_type(resources, "Observation")[0]["derivedFrom"] == [{"reference": address}]
        assert of_type(resources, "ServiceRequest")[0]["supportingInfo"] == [{"reference": address}]
        assert said(resources) == said(extracted(post(client, response(EMERGENCY)))[0])


CREATE = "/fhir/QuestionnaireResponse"


def instance(client: FlaskClient, body: Any) -> str:
    """The address of $extract of this response, stored."""
    location = client.post(CREATE, json=body).headers["Location"]
    return f"{location.partition('/_history')[0]}/$extract"


def parameters(**resources: Any) -> dict[str, Any]:
    held = [{"name": name.replace("_", "-"), "resource": one} for name, one in resources.items()]
    return {"resourceType": "Parameters", "parameter": held}


def test_at_a_response_the_same_may_be_sent_again_as_it_is_read(client: FlaskClient) -> None:
    address = instance(client, response(COMPLETE))
    same_one = client.get(address.removesuffix("/$extract")).get_json()
    form = client.get("/fhir/Questionnaire/low-back-pain").get_json()

    for body in (
        same_one,
        {name: value for name, value in same_one.items() if name not in ("id", "meta")},  # which we gave it
        parameters(),
        parameters(questionnaire_response=same_one),
        parameters(questionnaire=form),
    ):
        assert said(extracted(post(client, body, address))[0]) == list(COMPLETE.items())


# Each row: why, the body that contradicts the address or cannot be read, its status, words of the refusal.
BESIDE: list[tuple[str, Any, int, str]] = [
    ("other answers", response(CALM | {"rf-saddle": "new"}), 400, "is another response than the one at this address"),
    ("the id of another", response(COMPLETE, id="other"), 400, "is another response"),
    ("another, in Parameters", parameters(questionnaire_response=response(CALM)), 400, "is another response"),
    ("what is no response", {"resourceType": "Patient", "id": "p1"}, 400, "is another response"),
    ("an array", [], 400, "is another response"),
    ("a parameter that is not known", parameters(other=response(COMPLETE)), 400, "Parameters: write"),
    (
        "another form",
        parameters(questionnaire={"resourceType": "Questionnaire", "url": "urn:x"}),
        422,
        "questionnaire: ",
    ),
]


@pytest.mark.requirement("S-7", "R-11")
@pytest.mark.parametrize("row", BESIDE, ids=[row[0] for row in BESIDE])
def test_at_a_response_what_contradicts_it_is_refused(client: FlaskClient, row: tuple[str, Any, int, str]) -> None:
    _, body, status, words = row
    address = instance(client, response(COMPLETE))

    assert words in refusal_of(post(client, body, address), status)


@pytest.mark.requirement("S-7", "R-7")
@pytest.mark.parametrize("where", ["stored", "nothing"])
def test_an_emergency_that_contradicts_the_address_is_named_first(client: FlaskClient, where: str) -> None:
    calm = instance(client, response(COMPLETE)) if where == "stored" else f"{CREATE}/nothing/$extract"
    for body in (response(EMERGENCY), parameters(questionnaire_response=response(EMERGENCY))):
        answer = post(client, body, calm)

        assert answer.status_code == (400 if where == "stored" else 404)
        assert answer.get_json()["issue"][0]["details"]["coding"][0]["code"] == "emergency-now"


@pytest.mark.requirement("S-7", "R-11")
@pytest.mark.parametrize(
    ("data", "media", "status"), [(b"{", "application/fhir+json", 400), (b"<x/>", "application/fhir+xml", 415)]
)
def test_at_a_response_what_cannot_be_read_is_refused(
    client: FlaskClient, data: bytes, media: str, status: int
) -> None:
    address = instance(client, response(COMPLETE))

    refusal_of(client.post(address, data=data, content_type=media), status)


def kept(folder: Path) -> list[int]:
    """How many rows there are of what a call may leave behind."""
    engine = open_store(f"sqlite:///{folder / 'served.sqlite'}")
    with engine.begin() as connection:
        tables = (audit_events, decisions, responses)
        return [connection.scalar(select(func.count()).select_from(table)) or 0 for table in tables]


@pytest.mark.requirement("S-7")
def test_a_stored_response_that_is_not_there_or_was_deleted_gives_nothing(screening: Screening, tmp_path: Path) -> None:
    with serving(screening, tmp_path) as client:
        refusal_of(client.post("/fhir/QuestionnaireResponse/nothing/$extract"), 404)
        location = client.post("/fhir/QuestionnaireResponse", json=response(COMPLETE)).headers["Location"]
        address = location.partition("/_history")[0]
        client.delete(address)

        refusal_of(client.post(f"{address}/$extract"), 410)


# Each row: what the form says, where, and which questions then give Observations.
MARKED: list[tuple[str, tuple[str, ...], Any, set[str]]] = [
    ("the root says no", ("root",), False, set()),
    ("an item says no", ("rf-saddle",), False, set(COMPLETE) - {"rf-saddle"}),
    ("an item says yes below a no", ("root", "rf-saddle"), None, {"rf-saddle"}),
    ("a code says yes below a no", ("root", "code"), None, {"rf-saddle"}),
]


@pytest.mark.requirement("S-8")
@pytest.mark.parametrize("row", MARKED, ids=[row[0] for row in MARKED])
def test_the_form_says_what_is_extracted(
    screening: Screening, tmp_path: Path, row: tuple[str, tuple[str, ...], Any, set[str]]
) -> None:
    _, where, _, wanted = row
    form = marked(screening.questionnaire, where)

    with serving(replace(screening, questionnaire=form), tmp_path) as client:
        answer = post(client, response(COMPLETE))

    found = said(extracted(answer)[0]) if wanted else []
    assert {name for name, _ in found} == wanted
    assert wanted or answer.get_json()["resourceType"] == "OperationOutcome"


def marked(form: dict[str, Any], where: tuple[str, ...]) -> dict[str, Any]:
    """The form with observationExtract false at the first place, and true at the second."""
    no, yes = {"url": EXTRACT, "valueBoolean": False}, {"url": EXTRACT, "valueBoolean": True}
    others = [one for one in form["extension"] if one["url"] != EXTRACT]
    items = []
    for one in form["item"]:
        if one["linkId"] == "rf-saddle" and where[-1] == "rf-saddle":
            one = one | {"extension": [*one.get("extension", []), yes if len(where) > 1 else no]}
        if one["linkId"] == "rf-saddle" and where[-1] == "code":
            one = one | {"code": [code | {"extension": [yes]} for code in one["code"]]}
        items.append(one)
    return form | {"extension": [*others, no if where[0] == "root" else yes], "item": items}


@pytest.mark.requirement("S-8")
def test_the_category_of_an_item_goes_before_that_of_the_form(screening: Screening, tmp_path: Path) -> None:
    exam = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/observation-category", "code": "exam"}]}
    form = screening.questionnaire
    own = [
        one | ({"extension": [{"url": CATEGORY, "valueCodeableConcept": exam}]} if one["linkId"] == "age" else {})
        for one in form["item"]
    ]

    with serving(replace(screening, questionnaire=form | {"item": own}), tmp_path) as client:
        resources, _ = extracted(post(client, response(COMPLETE)))

    categories = {
        _own(one["code"]): one["category"][0]["coding"][0]["code"] for one in of_type(resources, "Observation")
    }
    assert categories == dict.fromkeys(COMPLETE, "survey") | {"age": "exam"}


def test_an_old_response_is_extracted_as_what_was_true_then(client: FlaskClient) -> None:
    resources, _ = extracted(post(client, response(COMPLETE, authored=timedelta(days=400))))

    assert len(said(resources)) == len(COMPLETE)
    assert of_type(resources, "ServiceRequest") == []
