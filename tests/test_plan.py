"""The rules as FHIR definitions: valid and complete, one plan for each service, which makes what the cards suggest."""

import json
import re
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.plan import definitions
from cds_content.plan.facts import plain
from cds_content.screening import Screening
from cds_content.translations import in_language
from tests.conftest import Ask
from tests.fhir_rules import valid
from tests.samples import BASE, CALM, bundle, call, response
from tests.test_orders import MRI, PHYSIO, post, rows
from tests.test_orders import call as order_call
from tests.test_second_screening import SECOND, content
from tests.wire import cards_of

Json = dict[str, Any]
PUBLIC = "https://cds.example.org"
CALM_40 = {"age": 40} | CALM  # FHIRPath knows the age by its item only
TABLE = json.loads((Path(__file__).parent / "clinical/decision_table.json").read_text("utf-8"))
PRIORITY = {"info": "routine", "warning": "urgent", "critical": "stat"}  # R4, indicator-to-request-priority
HOOK = "low-back-pain-patient-view"


@pytest.fixture(scope="module", name="published")
def _published(screening: Screening) -> dict[str, Json]:
    """Every definition by its canonical with version."""
    return {f"{one['url']}|{one['version']}": one for one in definitions(screening, PUBLIC)}


@pytest.fixture(scope="module", name="plans")
def _plans(published: dict[str, Json]) -> dict[str, Json]:
    return {one["id"]: one for one in published.values() if one["resourceType"] == "PlanDefinition"}


@pytest.fixture(scope="module", name="actions")
def _actions(plans: dict[str, Json]) -> dict[str, Json]:
    """The actions of the patient-view plan, by row."""
    return {action["id"]: action for action in plans[HOOK]["action"]}


def holds(action: Json, sent: Json) -> bool:
    """Whether the condition of an action is true of a response; the focus is another resource, as in an engine."""
    expression = action["condition"][0]["expression"]["expression"]
    result = fhirpathpy.evaluate({"resourceType": "Patient"}, expression, {"resource": sent}, models["r4"])
    assert result in ([True], [False])
    return bool(result[0])


@pytest.mark.requirement("P-1", "P-2", "P-5", "P-6")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("public", ["", PUBLIC])
def test_every_definition_is_valid_in_every_language(
    public: str, language: str, screening: Screening, tmp_path: Path
) -> None:
    (neck,) = load(content(tmp_path, SECOND))
    made = [*definitions(screening, public), *definitions(neck, public)]

    assert {one["id"]: mistakes for one in made if (mistakes := valid(in_language(one, language)))} == {}


def test_every_definition_has_a_canonical_of_its_own(screening: Screening, published: dict[str, Json]) -> None:
    made = definitions(screening, PUBLIC)

    assert len({one["id"] for one in made}) == len({one["name"] for one in made}) == len(published) == len(made)
    for one in made:
        assert one["url"] == f"{BASE}/{one['resourceType']}/{one['id']}"
        assert (one["version"], one["meta"]["versionId"], one["status"]) == ("1.0.0", "1.0.0", "draft")
        assert one["experimental"] is True
        assert one["publisher"] == screening.questionnaire["publisher"]


def test_every_canonical_that_a_definition_names_is_published(screening: Screening, published: dict[str, Json]) -> None:
    text = json.dumps(list(published.values()))
    named = set(re.findall(rf"{BASE}/[A-Za-z]+/[a-z-]+\|[0-9.]+", text))

    assert named - published.keys() - {screening.canonical} == set()
    assert f"{BASE}/Library/low-back-pain-rules|1.0.0" in named


def test_every_text_is_in_both_languages(published: dict[str, Json]) -> None:
    for one in published.values():
        english, dutch = in_language(one, "en"), in_language(one, "nl")
        assert english["title"] != dutch["title"]
        for action, other in zip(_all_actions(english), _all_actions(dutch), strict=True):
            assert {
                name for name in ("title", "description") if name in action and action[name] == other[name]
            } == set()


def _all_actions(parent: Json) -> list[Json]:
    inner = parent.get("action", [])
    return [*inner, *(one for action in inner for one in _all_actions(action))]


@pytest.mark.requirement("P-2")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_there_is_one_plan_for_each_service(language: str, client: FlaskClient, plans: dict[str, Json]) -> None:
    services = client.get("/cds-services", headers={"Accept-Language": language}).get_json()["services"]

    spoken = {id_: in_language(plan, language) for id_, plan in plans.items()}
    assert {one["id"]: (one["title"], one["description"]) for one in services} == {
        id_: (plan["title"], plan["description"]) for id_, plan in spoken.items()
    }
    for one in services:
        triggers = [trigger for action in plans[one["id"]]["action"] for trigger in action["trigger"]]
        assert {(trigger["type"], trigger["name"]) for trigger in triggers} == {("named-event", one["hook"])}


@pytest.mark.requirement("P-2")
def test_a_plan_says_where_its_service_is(plans: dict[str, Json], screening: Screening) -> None:
    for id_, plan in plans.items():
        (endpoint,) = plan["extension"]
        assert endpoint["url"] == "http://hl7.org/fhir/StructureDefinition/cqf-cdsHooksEndpoint"
        assert endpoint["valueUri"] == f"{PUBLIC}/cds-services/{id_}"
    assert not any("extension" in one for one in definitions(screening) if one["resourceType"] == "PlanDefinition")


@pytest.mark.requirement("P-2")
def test_a_plan_needs_what_its_service_is_sent(client: FlaskClient, plans: dict[str, Json]) -> None:
    for service in client.get("/cds-services").get_json()["services"]:
        for action in plans[service["id"]]["action"]:
            needed = {one["type"] for one in action["input"]}
            assert "QuestionnaireResponse" in needed
            if "order" not in service["hook"] and "appointment" not in service["hook"]:
                assert needed == {re.split(r"[/?]", one)[0] for one in service["prefetch"].values()}


@pytest.mark.requirement("P-1")
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row["id"])
def test_each_row_of_the_decision_table_is_an_action(row: Json, actions: dict[str, Json]) -> None:
    dutch = actions[row["id"]]
    english = in_language({"language": "nl"} | dutch, "en")

    if row["summary_nl"] != "-":
        assert (dutch["title"], english["title"]) == (row["summary_nl"], row["summary_en"])
        assert dutch["priority"] == PRIORITY[row["indicator"]]
    assert dutch["code"][0]["coding"][0]["code"] == row["disposition"]
    expression = dutch["condition"][0]["expression"]
    assert (dutch["condition"][0]["kind"], expression["language"]) == ("applicability", "text/fhirpath")
    assert expression["name"] == row["id"]


@pytest.mark.requirement("P-1")
def test_the_actions_are_those_of_the_decision_table_the_most_urgent_first(actions: dict[str, Json]) -> None:
    assert set(actions) == {row["id"] for row in TABLE}
    urgency = ["emergency-now", "doctor-same-day", "doctor-soon", "doctor-advice", "incomplete", "physio-or-doctor"]
    dispositions = [action["code"][0]["coding"][0]["code"] for action in actions.values()]
    assert list(dict.fromkeys(dispositions)) == [*urgency, "self-care", "not-applicable"]


@pytest.mark.requirement("P-1")
def test_each_action_shows_the_sentences_it_rests_on(actions: dict[str, Json], screening: Screening) -> None:
    for finding in screening.findings:
        shown = actions[finding.row]["documentation"]
        stated = {one["label"]: one["citation"] for one in shown if one["type"] == "justification"}
        assert stated == {name: screening.statements.statement[name].nl for name in finding.basis}
        assert [one["label"] for one in shown if one["type"] == "citation"] == list(finding.beyond)
    assert "patiënt" not in json.dumps(actions["R02"]["documentation"])  # R02 does not rest on the sheet


@pytest.mark.requirement("P-1")
@pytest.mark.parametrize(
    "said", [{"rf-saddle": "new"}, {"rf-leg": "numbness"}, {"co-trend": "worse"}, {"rf-other": None}, {}]
)
def test_an_action_suggests_what_the_card_suggests(said: Json, ask: Ask, actions: dict[str, Json]) -> None:
    answers = {name: code for name, code in (CALM | said).items() if code}
    (card, *_) = ask(call(response(answers)))
    action = actions[card["extension"]["example.lowbackpain.rules"]["rows"][0]]

    assert action["selectionBehavior"] == card["selectionBehavior"]
    assert [one["title"] for one in action["action"]] == [one["label"] for one in card["suggestions"]]
    for one, suggestion in zip(action["action"], card["suggestions"], strict=True):
        assert [part["description"] for part in one["action"]] == [
            part["description"] for part in suggestion["actions"]
        ]


@pytest.mark.requirement("P-1", "S-13")
@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param({}, {"IMG-1"}, id="a calm patient"),
        pytest.param({"co-trend": "worse"}, {"IMG-1"}, id="conservative care"),
        pytest.param({"rf-saddle": "new"}, {"IMG-2", "PHY-1"}, id="an alarm"),
        pytest.param({"rf-saddle": "unknown"}, {"IMG-3", "PHY-2"}, id="a safety answer not known"),
        pytest.param({"lbp-present": "no"}, {"IMG-3"}, id="no low back pain"),
    ],
)
def test_an_order_gets_the_card_that_the_plan_calls_for(
    said: Json, expected: set[str], client: FlaskClient, plans: dict[str, Json]
) -> None:
    sent = response(CALM_40 | said)
    cards = cards_of(post(client, order_call("order-sign", {"draftOrders": bundle(MRI, PHYSIO)}, sent)))

    assert {rows(card)[0] for card in cards} == expected
    assert {one["id"] for one in plans["low-back-pain-order-sign"]["action"] if holds(one, sent)} == expected


def test_the_plan_of_an_order_names_its_codes(plans: dict[str, Json]) -> None:
    filters = {
        action["id"]: [(one["type"], part["path"]) for one in action["input"] for part in one.get("codeFilter", [])]
        for action in (
            *plans["low-back-pain-order-select"]["action"],
            *plans["low-back-pain-appointment-book"]["action"],
        )
    }

    assert filters["IMG-1"] == [("ServiceRequest", "code")]
    assert filters["PHY-1"] == [("Appointment", path) for path in ("serviceType", "specialty", "reasonCode")]
    assert "IMG-1" not in {one["id"] for one in plans["low-back-pain-appointment-book"]["action"]}
    (scans,) = plans["low-back-pain-order-select"]["action"][0]["input"][0]["codeFilter"]
    assert {"system": "http://loinc.org", "code": "24968-0", "display": "MR Lumbar spine"} in scans["code"]


def test_where_an_order_meets_an_alarm_the_most_urgent_disposition_suggests(plans: dict[str, Json]) -> None:
    doctor = plans["low-back-pain-order-sign"]["action"][0]
    sent = response(CALM_40 | {"rf-cancer": "yes", "rf-leg": "weakness"})

    assert [one["id"] for one in doctor["action"] if holds(one, sent)] == ["doctor-same-day"]


def test_no_condition_counts_a_conservative_row_without_a_complete_response(actions: dict[str, Json]) -> None:
    sent = response(CALM_40 | {"co-trend": "worse"}, status="in-progress")

    assert [row for row, action in actions.items() if holds(action, sent)] == ["R00"]


@pytest.mark.requirement("P-5")
def test_each_suggested_resource_has_its_activity(published: dict[str, Json], screening: Screening) -> None:
    made = {one["id"]: one for one in published.values() if one["resourceType"] == "ActivityDefinition"}

    assert set(made) == {f"low-back-pain-{name}" for name in screening.texts.resource}
    for one in made.values():
        assert (one["intent"], one["doNotPerform"]) == ("proposal", False)
    referral = made["low-back-pain-emergency-referral"]
    assert (referral["kind"], referral["code"]["coding"][0]["code"]) == ("ServiceRequest", "306254002")
    assert referral["profile"] == "http://hl7.org/fhir/uv/cpg/StructureDefinition/cpg-servicerequest"
    assert made["low-back-pain-education"]["kind"] == "CarePlan"


@pytest.mark.requirement("P-5")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize(
    "said", [{"rf-saddle": "new"}, {"rf-leg": "numbness"}, {"co-trend": "worse"}, {"rf-unwell": "unknown"}, {}]
)
def test_an_activity_makes_the_resource_that_the_card_suggests(
    said: Json, language: str, ask: Ask, published: dict[str, Json]
) -> None:
    sent = response(CALM_40 | said)
    suggestions = ask(call(sent), language)[0]["suggestions"]
    by_title = {in_language(one, language)["title"]: in_language(one, language) for one in published.values()}

    for action in [one for suggestion in suggestions for one in suggestion["actions"]]:
        made, suggested = applied(by_title[action["description"]], sent), action["resource"]
        activity = made.pop("instantiatesCanonical")
        assert (activity if isinstance(activity, str) else activity[0]) in published
        assert suggested.keys() - made.keys() <= {"priority", "note", "requester", "author", "encounter"}
        different = {name for name, value in made.items() if value != suggested[name]}
        assert different <= {"authoredOn", "created", "reasonCode", "code"}
        assert made.get("reasonCode", [])[:1] == suggested.get("reasonCode", [])[:1]
        assert valid(made) == []


def applied(activity: Json, sent: Json) -> Json:
    """The resource that the activity makes for a response: its code and intent, and each of its dynamic values."""
    made: Json = {"resourceType": activity["kind"], "intent": activity["intent"]}
    made |= {"code": _plain(activity["code"])} if "code" in activity else {}
    for value in activity["dynamicValue"]:
        found = fhirpathpy.evaluate({}, value["expression"]["expression"], {"resource": sent}, models["r4"])
        if found:
            _put(made, value["path"].split("."), found[0])
    return made


def _plain(value: Any) -> Any:
    """Without the translations."""
    if isinstance(value, list):
        return [_plain(part) for part in value]
    members = value.items() if isinstance(value, dict) else ()
    return {name: _plain(part) for name, part in members if not name.startswith("_")} if members else value


def _put(made: Any, path: list[str], value: Any) -> None:
    name, _, index = path[0].removesuffix("]").partition("[")
    name = "valueCanonical" if name == "value" else name  # the one choice that a suggested resource has
    if not index:
        made[name] = value if not path[1:] else made.get(name, {})
    else:
        made.setdefault(name, []).extend([{}] * (int(index) + 1 - len(made[name])) if name in made else [{}])
        made[name][int(index)] = value if not path[1:] else dict(made[name][int(index)])
    if path[1:]:
        _put(made[name][int(index)] if index else made[name], path[1:], value)


@pytest.mark.requirement("P-6")
def test_filling_in_the_form_is_collecting_information(published: dict[str, Json], screening: Screening) -> None:
    task = published[f"{BASE}/ActivityDefinition/low-back-pain-complete-questionnaire|1.0.0"]
    cpg = "http://hl7.org/fhir/uv/cpg"

    assert (task["kind"], task["profile"]) == ("Task", f"{cpg}/StructureDefinition/cpg-questionnairetask")
    collect = {"system": f"{cpg}/CodeSystem/cpg-activity-type-cs", "code": "collect-information"}
    assert collect in task["code"]["coding"]
    assert task["extension"] == [
        {"url": f"{cpg}/StructureDefinition/cpg-collectWith", "valueCanonical": screening.canonical}
    ]
    assert applied(task, response(CALM))["input"][0]["valueCanonical"] == screening.canonical


def test_the_library_holds_every_expression_by_name(published: dict[str, Json]) -> None:
    library = published[f"{BASE}/Library/low-back-pain-rules|1.0.0"]

    assert library["type"]["coding"][0]["code"] == "logic-library"
    assert {one["contentType"] for one in library["content"]} == {"text/fhirpath"}
    orders = {"IMG-1", "IMG-2", "IMG-3", "PHY-1", "PHY-2"}
    assert library["content"][0]["title"] == "facts"
    assert {one["title"] for one in library["content"]} == {"facts"} | orders | {row["id"] for row in TABLE}


@pytest.mark.parametrize("name", ["rf saddle", "rf-saddle;", "a=b", "x[0]", "é", ""])
def test_a_link_id_that_the_expressions_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="write linkIds and codes of letters"):
        plain(name)
