"""What a clinician can do with a card: suggestions, links, reasons; and what is added to a signed order."""

import time
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from cds_content.card_shapes import Card, Suggestion
from cds_content.shapes import Json
from cds_service.advice import NO_SCREENING, decide
from cds_service.answers import Answer
from cds_service.orders import Order
from cds_service.responses import Reading
from cds_service.suggestions import MOST_ANNOTATED, actions, annotations
from tests.core.parts import call, day, reading, said, screening

pytestmark = pytest.mark.timeless

ONE = "QuestionnaireResponse/r1"
NUMB = {"rf-leg": said("numbness")}


def suggested(*resources: str, **members: Any) -> Card:
    """A card with one suggestion that creates these."""
    label = {"nl": "doe", "en": "do"}
    return Card(suggestion=(Suggestion.model_validate({"label": label, "resources": resources} | members),))


def acted(card: Card, *readings: Reading, reasons: tuple[str, ...] = (), **members: Any) -> Json:
    content = screening()
    advice = decide(content, readings) if readings else NO_SCREENING
    return actions(content, card, reasons, advice, advice.fired, call(**members))


def created(*readings: Reading, what: str = "gp-referral", **members: Any) -> Json:
    """The resource that the only suggestion creates."""
    ((one,),) = [suggestion["actions"] for suggestion in acted(suggested(what), *readings, **members)["suggestions"]]
    resource: Json = one["resource"]
    return resource


def test_a_card_without_anything_to_do_has_no_member_for_it() -> None:
    assert acted(Card()) == {}


def test_a_suggestion_creates_its_resources_together() -> None:
    shown = acted(suggested("gp-referral", "education"), reading(), language="nl")

    (one,) = shown["suggestions"]
    assert shown["selectionBehavior"] == "at-most-one"
    assert (one["label"], one["uuid"]) == ("doe", "u1")
    assert one.keys() == {"label", "uuid", "actions"}
    assert [action["type"] for action in one["actions"]] == ["create", "create"]
    assert [action["resource"]["resourceType"] for action in one["actions"]] == ["ServiceRequest", "CarePlan"]
    assert one["actions"][0]["description"] == screening().texts.resource["gp-referral"].action["nl"]
    assert one["actions"][0]["resource"]["code"]["text"] == "Verwijzing naar de huisarts"


def test_without_a_patient_nothing_is_suggested() -> None:
    assert acted(suggested("gp-referral"), reading(), patient=None) == {}


def test_a_suggestion_that_is_not_for_a_gp_is_left_out_for_one() -> None:
    own = suggested("gp-referral", **{"not-for": ["gp"]})

    assert "suggestions" in acted(own, reading())
    assert acted(own, reading(), gp=True) == {}
    assert "suggestions" in acted(suggested("gp-referral"), reading(), gp=True)


def test_its_resources_can_be_taken_alone_only_where_the_client_knows_that() -> None:
    own = suggested("gp-referral", choose="any")

    (one,) = acted(own, reading(), choices=True)["suggestions"]
    assert one["actionSelectionBehavior"] == "any"
    (other,) = acted(own, reading())["suggestions"]
    assert "actionSelectionBehavior" not in other
    (without,) = acted(suggested("gp-referral"), reading(), choices=True)["suggestions"]
    assert "actionSelectionBehavior" not in without


def test_the_priority_is_that_of_a_referral_alone() -> None:
    shown = acted(suggested("gp-referral", "education", priority="urgent"), reading())

    referral, education = (action["resource"] for action in shown["suggestions"][0]["actions"])
    assert referral["priority"] == "urgent"
    assert "priority" not in education
    assert "priority" not in created(reading())


def test_a_referral_names_patient_requester_encounter_and_moment() -> None:
    west = datetime(2026, 3, 20, 9, 30, 5, tzinfo=timezone(timedelta(hours=-2)))
    referral = created(reading(), encounter="e1", now=west)

    assert referral["subject"] == {"reference": "Patient/p1"}
    assert referral["requester"] == {"reference": "Practitioner/gp-1"}
    assert referral["encounter"] == {"reference": "Encounter/e1"}
    assert referral["authoredOn"] == "2026-03-20T11:30:05Z"
    assert not {"requester", "encounter"} & created(reading(), user=None).keys()


def test_the_moment_is_in_utc_wherever_the_service_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as elsewhere:
        elsewhere.setenv("TZ", "UTC+5")
        time.tzset()
        there = created(reading())["authoredOn"]
    time.tzset()

    assert there == "2026-03-20T12:00:00Z"


def test_a_referral_names_its_reasons_with_their_codes() -> None:
    codes = screening().codes
    complaint = {"coding": [codes["279039007"]]}
    numb = {"coding": [codes["309537005"]], "text": "reduced feeling in a leg or both legs"}
    fall = {"text": "a fall or minor accident before the pain started or got worse"}
    one = {**NUMB, "rf-accident": said("minor")}

    assert created(reading(one))["reasonCode"] == [complaint, fall, numb]
    assert created(reading({**one, "lbp-present": said("no")}))["reasonCode"] == [fall, numb]
    dutch = created(reading(NUMB), language="nl")["reasonCode"]
    assert dutch[1]["text"] == "minder gevoel in het been of de benen"


def test_the_complaint_is_no_reason_where_any_response_denies_it() -> None:
    reasons = created(reading(), reading({**NUMB, "lbp-present": said("no")}, day(19)))["reasonCode"]

    assert [one["text"] for one in reasons] == ["reduced feeling in a leg or both legs"]


def test_a_referral_carries_the_responses_that_are_known_to_be_this_patients() -> None:
    two = [reading(reference=ONE), reading(NUMB, day(19), reference="QuestionnaireResponse/r2")]

    assert created(*two)["supportingInfo"] == [{"reference": ONE}, {"reference": "QuestionnaireResponse/r2"}]
    assert created(two[0], replace(two[1], doubts=("no-subject",)))["supportingInfo"] == [{"reference": ONE}]
    assert created(two[0], replace(two[1], reference=None))["supportingInfo"] == [{"reference": ONE}]
    assert created(two[0], replace(two[1], reference=ONE))["supportingInfo"] == [{"reference": ONE}]


def test_the_note_names_the_rows_and_the_rule_set() -> None:
    content = screening()
    (note,) = created(reading({**NUMB, "rf-accident": said("minor")}))["note"]

    assert note["text"].startswith(f"Rows R20, R21; rule set {content.version}, content {content.hash[:12]}.")
    (empty,) = created()["note"]
    assert empty["text"].startswith("Rows –; ")
    (dutch,) = created(reading(), language="nl")["note"]
    assert dutch["text"].startswith("Rijen R40; ")


def test_a_task_asks_for_this_version_of_the_form() -> None:
    content = screening()
    (asked,) = created(what="complete-questionnaire")["input"]

    assert asked["valueCanonical"] == f"{content.questionnaire['url']}|{content.questionnaire['version']}"


def test_the_reasons_to_override_are_codes_of_our_own() -> None:
    shown = acted(Card(), reasons=("already-referred", "other"), language="nl")

    system = "https://lowbackpain.example/fhir/CodeSystem/low-back-pain-override-reasons"
    assert [(one["system"], one["code"]) for one in shown["overrideReasons"]] == [
        (system, "already-referred"),
        (system, "other"),
    ]
    assert shown["overrideReasons"][0] == screening().coding("override-reasons", "already-referred", "nl")
    assert (
        shown["overrideReasons"][0]["display"]
        != screening().coding("override-reasons", "already-referred", "en")["display"]
    )


# -------------------------------------------------------------------------------------------------- links


def test_a_link_stands_once_and_leads_to_this_service() -> None:
    shown = acted(Card(links=("form", "ng59", "form")))

    assert shown["links"] == [
        {
            "label": screening().texts.link["form"].label["en"],
            "url": "https://cds.example/fhir/Questionnaire/low-back-pain",
            "type": "absolute",
        },
        {
            "label": screening().texts.link["ng59"].label["en"],
            "url": screening().texts.link["ng59"].url,
            "type": "absolute",
        },
    ]


def test_where_our_app_can_be_launched_the_link_launches_it_with_the_form_named_in_both_places() -> None:
    form, other = acted(Card(links=("form", "ng59")), smart=True, language="nl")["links"]

    canonical = "https%3A%2F%2Flowbackpain.example%2Ffhir%2FQuestionnaire%2Flow-back-pain%7C1.0.0"
    assert form == {
        "label": "Vul de vragenlijst in",
        "url": f"https://cds.example/form/launch?questionnaire={canonical}",
        "type": "smart",
        "appContext": '{"questionnaire":"https://lowbackpain.example/fhir/Questionnaire/low-back-pain|1.0.0"}',
    }
    assert other["type"] == "absolute"
    assert "appContext" not in other


# -------------------------------------------------------------------------------------------- annotations


def order(**members: Any) -> Order:
    """A sound MRI order."""
    return Order("imaging", "MR Lumbar spine", {"resourceType": "ServiceRequest", "id": "mri", **members})


def annotated(*orders: Order, readings: list[Reading] | None = None, language: str = "en") -> list[Json]:
    advice = decide(screening(), readings or [reading(reference=ONE)])
    return annotations(screening(), orders, advice, language)


def test_the_response_used_is_added_to_each_order_which_stays_whole() -> None:
    own = {"status": "draft", "supportingInfo": [{"reference": "Observation/1"}]}

    first, second = annotated(order(**own), order(id="other"))

    assert first == {
        "type": "update",
        "description": "Add the questionnaire response used to the order as supporting information",
        "resource": order(**own).resource | {"supportingInfo": [{"reference": "Observation/1"}, {"reference": ONE}]},
    }
    assert second["resource"]["supportingInfo"] == [{"reference": ONE}]
    assert annotated(order(), language="nl")[0]["description"].startswith("Voeg de gebruikte vragenlijst")


@pytest.mark.parametrize(
    "there", [ONE, f"https://ehr.example/fhir/{ONE}", f"{ONE}/_history/2"], ids=["as it is", "absolute", "a version"]
)
def test_a_response_that_is_there_is_not_added_again(there: str) -> None:
    assert annotated(order(supportingInfo=[{"reference": there}])) == []


def test_a_response_whose_id_only_ends_alike_is_added() -> None:
    (one,) = annotated(order(supportingInfo=[{"reference": f"My{ONE}"}, {"display": "x"}]))

    assert one["resource"]["supportingInfo"][-1] == {"reference": ONE}


def test_only_what_is_not_there_is_added() -> None:
    two = [reading(reference=ONE), reading(NUMB, day(19), reference="QuestionnaireResponse/r2")]

    (one,) = annotated(order(supportingInfo=[{"reference": ONE}]), readings=two)
    assert one["resource"]["supportingInfo"] == [{"reference": ONE}, {"reference": "QuestionnaireResponse/r2"}]


@pytest.mark.parametrize(
    "members",
    [{"supportingInfo": {"reference": "x"}}, {"id": 7}, {"id": None}, {"note": None}],
    ids=["supporting information that is no list", "an id that is a number", "no id", "a null, which nobody may send"],
)
def test_an_order_that_cannot_be_given_back_as_it_came_is_left_alone(members: dict[str, Any]) -> None:
    one, *others = annotated(order(**members), order(id="sound"))

    assert one["resource"]["id"] == "sound"
    assert not others


def test_an_order_of_a_kind_that_says_nothing_about_it_is_left_alone() -> None:
    physio = Order("physiotherapy", "x", {"resourceType": "ServiceRequest", "id": "x"})

    assert [one["resource"]["id"] for one in annotated(physio, order())] == ["mri"]


def test_without_a_response_that_can_be_named_nothing_is_added() -> None:
    assert annotated(order(), readings=[reading()]) == []


@pytest.mark.parametrize(("number", "added"), [(MOST_ANNOTATED, True), (MOST_ANNOTATED + 1, False)])
def test_a_screening_of_very_many_responses_is_not_written_into_orders(number: int, added: bool) -> None:
    several = [reading(reference=f"QuestionnaireResponse/{name}") for name in range(number)]

    assert bool(annotated(order(), readings=several)) is added


def test_an_answer_that_is_not_known_gives_no_code() -> None:
    referral = created(reading({"rf-cancer": Answer(doubt="missing")}))

    assert referral["reasonCode"][1] == {"text": "not every warning-sign question has a known answer"}
