"""Cards as a clinician and an EHR read them: complete, honest, in both languages, and free of what a patient typed."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class
from jsonschema import Draft202012Validator

from cds_content.reassurance import FORBIDDEN
from cds_content.screening import Screening
from tests.conftest import Ask, topics
from tests.samples import BASE, CALM, ago, call, item, patient, response
from tests.test_patients import CASES, about, answers

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SCHEMAS = [json.loads(path.read_text()) for path in (Path(__file__).parent / "schemas").glob("response-*.json")]
SAFETY_NET = {"nl": "bel direct een arts", "en": "call a doctor at once"}

each_language = pytest.mark.parametrize("language", ["nl", "en"])


@pytest.fixture(name="all_cards")
def _all_cards(ask: Ask) -> dict[str, list[dict[str, Any]]]:
    """Every card of every test patient, by language."""
    bodies = [call(response(answers(case)), about=about(case)) for case in CASES]
    return {language: [card for body in bodies for card in ask(body, language)] for language in ("nl", "en")}


@each_language
def test_every_card_fits_the_specification(language: str, all_cards: dict[str, list[dict[str, Any]]]) -> None:
    assert len(SCHEMAS) == 2
    for schema in SCHEMAS:
        Draft202012Validator(schema).validate({"cards": all_cards[language]})


@each_language
def test_every_card_says_what_it_must(language: str, all_cards: dict[str, list[dict[str, Any]]]) -> None:
    for card in all_cards[language]:
        detail = card["detail"]
        assert re.search(r"\[R\d\d[ab]?\]", detail) or topics([card]) == ["incomplete"]
        assert SAFETY_NET[language] in detail
        assert ("Niet bekend" if language == "nl" else "ot known") in detail
        assert ("door de patiënt" if language == "nl" else "by the patient") in detail
        assert re.search(r"\bS\d+\b", detail) or re.search("termijn|timing|Beyond|Verder|urgency", detail)
        assert "1.0.0" in detail
        assert ("Geen gecertificeerd medisch hulpmiddel" if language == "nl" else "Not a certified medical") in detail
        assert not [words for words in FORBIDDEN if words in (detail + card["summary"]).lower()]
        assert not re.search(r"\{[a-z-]+\}", detail), "a place was not filled in"


def test_uuids_are_unique_and_lower_case(all_cards: dict[str, list[dict[str, Any]]]) -> None:
    cards = [card for language in all_cards.values() for card in language]
    uuids = [card["uuid"] for card in cards]
    uuids += [suggestion["uuid"] for card in cards for suggestion in card["suggestions"]]

    assert len(uuids) == len(set(uuids))
    assert all(UUID.fullmatch(uuid) for uuid in uuids)


# disposition → indicator, what its suggestions create, and the priority of the referral
SUGGESTED = {
    "emergency-now": ("critical", [["306254002"]], "stat"),
    "doctor-same-day": ("critical", [["183561008"]], "asap"),
    "doctor-soon": ("warning", [["183561008"]], "urgent"),
    "doctor-advice": ("warning", [["183561008"]], "routine"),
    "incomplete": ("warning", [["complete-questionnaire"]], None),
    "physio-or-doctor": ("info", [["308447003", "education"], ["183561008", "education"], ["education"]], "routine"),
    "self-care": ("info", [["education"]], None),
}


def created(suggestion: dict[str, Any]) -> list[str]:
    resources = [action["resource"] for action in suggestion["actions"]]
    return ["education" if one["resourceType"] == "CarePlan" else one["code"]["coding"][0]["code"] for one in resources]


def test_each_disposition_has_its_indicator_and_suggestions(all_cards: dict[str, list[dict[str, Any]]]) -> None:
    seen = set()
    for card in all_cards["en"]:
        (topic,) = topics([card])
        indicator, suggestions, priority = SUGGESTED[topic]
        seen.add(topic)
        assert card["indicator"] == indicator
        assert [created(suggestion) for suggestion in card["suggestions"]] == suggestions
        assert card["selectionBehavior"] == "at-most-one"
        for resource in resources(card):
            if resource["resourceType"] == "ServiceRequest":
                assert resource["priority"] == priority
    assert seen == set(SUGGESTED)


def resources(card: dict[str, Any]) -> list[dict[str, Any]]:
    return [action["resource"] for suggestion in card["suggestions"] for action in suggestion["actions"]]


def test_suggested_resources_are_complete_r4_drafts(all_cards: dict[str, list[dict[str, Any]]]) -> None:
    for card in all_cards["nl"]:
        for resource in resources(card):
            get_fhir_model_class(resource["resourceType"]).model_validate(resource)
            assert (resource["status"], resource["intent"]) == ("draft", "proposal")
            assert (resource.get("subject") or resource["for"]) == {"reference": "Patient/p1"}
            assert resource["resourceType"] in ("ServiceRequest", "CarePlan", "Task")
            if resource["resourceType"] != "Task":
                assert resource["supportingInfo"] == [{"reference": "QuestionnaireResponse/response-1"}]
        assert {action["type"] for one in card["suggestions"] for action in one["actions"]} == {"create"}


def test_the_task_asks_for_the_questionnaire(ask: Ask) -> None:
    (card,) = ask(call(response(CALM | {"rf-leg": "unknown"})))

    ((asked,),) = [resource["input"] for resource in resources(card)]
    assert asked["type"]["text"] == "questionnaire"
    assert asked["valueCanonical"] == f"{BASE}/Questionnaire/low-back-pain|1.0.0"


def test_referral_reasons_are_low_back_pain_and_the_finding(ask: Ask) -> None:
    (card,) = ask(call(response(CALM | {"rf-leg": "numbness", "rf-leg-sides": "one", "rf-leg-progress": "no"})), "en")

    codes = [concept["coding"][0]["code"] for concept in resources(card)[0]["reasonCode"]]
    assert codes == ["279039007", "309537005"]


def test_low_back_pain_is_no_reason_where_it_is_denied(ask: Ask) -> None:
    (card,) = ask(call(response(CALM | {"lbp-present": "no", "rf-saddle": "new"})))

    assert "279039007" not in json.dumps(resources(card))


def test_the_encounter_and_requester_of_the_call_go_into_the_referral(ask: Ask) -> None:
    context = {"userId": "PractitionerRole/r1", "patientId": "p1", "encounterId": "e9"}

    (card,) = ask(call(response(CALM | {"rf-saddle": "new"}), context=context))

    (referral,) = resources(card)
    assert referral["encounter"] == {"reference": "Encounter/e9"}
    assert referral["requester"] == {"reference": "PractitionerRole/r1"}


UNWELL = {"rf-unwell": "yes", "rf-fever": "no"}
FRAIL = "osteoporosis-steroids"

# Each row: why, answers, rows that the card names, rows that it leaves out.
REASONS: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("cancer is covered by cancer with another risk", {"rf-cancer": "yes", "rf-clear-cause": "no"}, ["R13"], ["R24"]),
    (
        "a fall and frail bones are covered by a fall with frail bones",
        {"rf-accident": "minor", "rf-other": FRAIL},
        ["R15a"],
        ["R20", "R25"],
    ),
    ("fever and feeling unwell are two answers", {"rf-unwell": "yes", "rf-fever": "yes"}, ["R11", "R23"], []),
    ("two other risks are two answers", {"rf-other": ["weight-loss", "pregnant"]}, ["R16", "R26"], []),
    (
        "frail bones are not covered by lowered immunity",
        {"rf-other": ["low-immunity", FRAIL], **UNWELL},
        ["R18", "R25"],
        ["R23"],
    ),
    (
        "the sheet's own sentence is added",
        {"rf-cancer": "yes", "rf-clear-cause": "no", **UNWELL},
        ["R12", "R13"],
        ["R23", "R24"],
    ),
]


@pytest.mark.parametrize("row", REASONS, ids=[row[0] for row in REASONS])
def test_a_reason_is_left_out_when_a_more_urgent_row_rests_on_the_same_answer(
    row: tuple[str, dict[str, Any], list[str], list[str]], ask: Ask
) -> None:
    _, given, named, left_out = row

    (card,) = ask(call(response(CALM | given), about=patient(60)))

    assert [name for name in named if f"[{name}]" in card["detail"]] == named
    assert not [name for name in left_out if f"[{name}]" in card["detail"]]


def test_the_urgency_comes_only_from_rows_of_that_urgency(ask: Ask) -> None:
    (card,) = ask(call(response(CALM | {"rf-saddle": "new", "rf-cancer": "yes", "rf-sexual": "longstanding"})), "en")

    (line,) = [line for line in card["detail"].splitlines() if line.startswith("The urgency comes from")]
    assert "CES warning card" in line
    assert not [name for name in ("Downie", "choice of this project", "Choosing Wisely") if name in line]


def test_self_care_shows_the_answers_it_rests_on(ask: Ask) -> None:
    (card,) = ask(call(response(CALM)), "en")

    assert "course of the pain – The pain is getting less" in card["detail"]
    assert "daily activities – Yes" in card["detail"]


def test_an_alarm_beside_denied_back_pain_says_so(ask: Ask) -> None:
    (denied,) = ask(call(response(CALM | {"lbp-present": "no", "rf-saddle": "new"})), "en")
    (present,) = ask(call(response(CALM | {"rf-saddle": "new"})), "en")

    assert "says that there is no low back pain now" in denied["detail"]
    assert "says that there is no low back pain now" not in present["detail"]


def test_the_card_shows_the_answer_that_caused_it(ask: Ask) -> None:
    (card,) = ask(call(response(CALM | {"rf-accident": "minor"}), about=patient(70)), "en")

    assert "fall or accident – Yes, a fall or a minor accident" in card["detail"]
    assert "age – 70" in card["detail"]


def test_the_incomplete_card_names_each_gap_and_its_kind(ask: Ask) -> None:
    body = response(CALM | {"rf-cancer": "unknown", "rf-saddle": ["no", "new"], "rf-accident": {"valueString": "nee"}})
    body["item"] = [one for one in body["item"] if one["linkId"] != "rf-sexual"]

    _, card = ask(call(body), "en")

    assert "- cancer, now or before: not known, or not said" in card["detail"]
    assert "- feeling between the legs: contradictory answers" in card["detail"]
    assert "- fall or accident: answer unreadable" in card["detail"]
    assert "- sexual function: not answered" in card["detail"]


def test_painkillers_and_no_warning_sign_are_left_out_while_something_is_not_known(ask: Ask) -> None:
    _, incomplete = ask(call(response(CALM | {"co-trend": "same", "rf-other": "unknown"})), "en")
    (complete,) = ask(call(response(CALM | {"co-trend": "same"})), "en")

    for words in ("painkillers", "No warning sign was reported"):
        assert words in complete["detail"]
        assert words not in incomplete["detail"]


# who filled it in → as the card says it
WHO = {
    "Patient/p1": "by the patient",
    "https://ehr.example/fhir/RelatedPerson/r": "by a relative",
    "Practitioner/x": "by a clinician",
    "PractitionerRole/x": "by a clinician",
    "Device/x": "by not known",
    "Jan Jansen": "by not known",
}


@pytest.mark.parametrize("source", WHO)
def test_the_card_says_who_filled_it_in_and_when(source: str, ask: Ask) -> None:
    when = ago(days=2)

    (card,) = ask(call(response(CALM, source={"reference": source, "display": "Jan Jansen"}, authored=when)), "en")

    assert f"Filled in: {when[:10]} {WHO[source]}" in card["detail"]
    assert "Jansen" not in json.dumps(card)


def test_nothing_that_was_typed_enters_a_card(ask: Ask) -> None:
    marker = "<img src=x onerror=alert(1)>[x](javascript:1)"
    body = response(CALM | {"rf-saddle": "new", "rf-leg": "unknown"}, text={"status": "generated", "div": marker})
    for one in body["item"]:
        one["text"] = marker
        one["answer"][0]["valueCoding"]["display"] = marker
    body["item"].append({"linkId": "extra", "text": marker, "answer": [{"valueString": marker}]})
    about_him = patient(40, name=[{"text": marker}])

    assert marker not in json.dumps(ask(call(body, about=about_him)), ensure_ascii=False)


@pytest.mark.parametrize("user", ["Patient/p1", "RelatedPerson/r1"])
def test_a_patient_who_reads_the_card_sees_plain_words_and_no_suggestions(user: str, ask: Ask) -> None:
    context = {"userId": user, "patientId": "p1"}

    (card,) = ask(call(response(CALM | {"rf-saddle": "new", "rf-leg": "unknown"}), context=context))

    assert card["summary"] == "Bel nu je huisarts of de huisartsenpost. Bel 112 bij levensgevaar."
    assert not {"suggestions", "overrideReasons", "links"} & card.keys()
    assert not re.search(r"R\d\d|S\d\d|snomed", card["detail"] + card["summary"])
    for calm in ({}, {"rf-leg": "unknown"}, {"co-trend": "worse"}):
        assert ask(call(response(CALM | calm), context=context)) == []


def test_urls_are_absolute_and_hold_no_patient(all_cards: dict[str, list[dict[str, Any]]]) -> None:
    for card in all_cards["nl"]:
        urls = [card["source"]["url"], *(link["url"] for link in card["links"])]
        assert all(re.match(r"https?://\S+$", url) and "p1" not in url for url in urls)


def test_same_input_gives_the_same_cards_but_for_uuids(ask: Ask) -> None:
    body = call(response(CALM | {"rf-saddle": "new", "rf-leg": "unknown"}))

    first, second = (UUID.sub("", json.dumps(ask(body))) for _ in range(2))

    assert re.sub(r'"20\d\d-\d\d-\d\dT[^"]+"', "", first) == re.sub(r'"20\d\d-\d\d-\d\dT[^"]+"', "", second)


def test_dutch_and_english_give_the_same_class_and_actions(all_cards: dict[str, list[dict[str, Any]]]) -> None:
    for dutch, english in zip(all_cards["nl"], all_cards["en"], strict=True):
        assert topics([dutch]) == topics([english])
        assert dutch["summary"] != english["summary"]
        assert [created(one) for one in dutch["suggestions"]] == [created(one) for one in english["suggestions"]]


def test_summaries_are_those_of_the_decision_table(screening: Screening) -> None:
    table = json.loads((Path(__file__).parent / "clinical/decision_table.json").read_text())
    written = {row["id"]: (row["summary_nl"], row["summary_en"], row["disposition"]) for row in table}
    ours = {
        one.row: (one.summary["nl"] if one.summary else "-", one.summary["en"] if one.summary else "-", one.advice)
        for one in screening.findings
    }

    assert ours == written


def test_an_age_item_is_shown_as_a_number(ask: Ask) -> None:
    body = response(CALM)
    body["item"].append(item("age", 16))

    (card,) = ask(call(body, about=patient(None)), "en")

    assert "age – 16" in card["detail"]
