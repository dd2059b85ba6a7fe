"""The cards of one advice: which there are, in which order, and what stands on each.

Source: CDS Hooks 2.0.1, "CDS Service Response".
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import NO_SCREENING, Advice, decide
from cds_service.answers import Answer
from cds_service.cards import advice_cards, offer_cards, order_cards
from cds_service.orders import Order
from tests.core.parts import call, reading, said, screening

pytestmark = pytest.mark.timeless

TABLE = json.loads((Path(__file__).parent.parent / "clinical/decision_table.json").read_text("utf-8"))
SUMMARY = {row["id"]: {"nl": row["summary_nl"], "en": row["summary_en"]} for row in TABLE}

ALARM = {"rf-saddle": said("new")}
SOON = {"rf-other": said("weight-loss")}
FALL = {"rf-accident": said("minor")}
GAP = {"rf-cancer": Answer(doubt="missing")}
WORSE = {"co-trend": said("worse")}


PATIENT = "Patient/p1"


def advise(answers: Mapping[str, Answer]) -> Advice:
    return decide(screening(), [reading(answers)])


def cards(answers: Mapping[str, Answer], **members: Any) -> list[Json]:
    return advice_cards(screening(), advise(answers), call(**members))


def topics(shown: list[Json]) -> list[str]:
    return [card["source"]["topic"]["code"] for card in shown]


def rules(card: Json) -> Json:
    named: Json = card["extension"]["example.lowbackpain.rules"]
    return named


def labels(card: Json) -> list[str]:
    return [one["label"] for one in card.get("suggestions", [])]


# ------------------------------------------------------------------------------------------- triage

# Answers → the cards, most urgent first: one of the doctor class suppresses the conservative one.
SHOWN: list[tuple[str, Mapping[str, Answer], list[str]]] = [
    ("calm", {}, ["self-care"]),
    ("an alarm", ALARM, ["emergency-now"]),
    ("two alarms: one card", {**ALARM, **FALL}, ["emergency-now"]),
    ("an alarm and a gap", {**ALARM, **GAP}, ["emergency-now", "incomplete"]),
    ("an alarm suppresses conservative care", {**ALARM, **WORSE}, ["emergency-now"]),
    ("an alarm, a gap and worse pain", {**ALARM, **GAP, **WORSE}, ["emergency-now", "incomplete"]),
    ("a gap", GAP, ["incomplete"]),
    ("a gap and worse pain", {**GAP, **WORSE}, ["incomplete", "physio-or-doctor"]),
    ("worse pain", WORSE, ["physio-or-doctor"]),
    ("no low back pain: no card", {"lbp-present": said("no")}, []),
]


@pytest.mark.parametrize(("answers", "shown"), [row[1:] for row in SHOWN], ids=[row[0] for row in SHOWN])
def test_there_is_at_most_one_card_of_each_class_and_a_doctor_comes_first(
    answers: Mapping[str, Answer], shown: list[str]
) -> None:
    assert topics(cards(answers)) == shown


INDICATOR = [
    (ALARM, "R02", "critical"),
    ({"rf-accident": said("major")}, "R14", "critical"),
    (SOON, "R16", "warning"),
    (FALL, "R20", "warning"),
    (GAP, "R00", "warning"),
    (WORSE, "R30", "info"),
    ({}, "R40", "info"),
]


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize(("answers", "row", "indicator"), INDICATOR, ids=[one[1] for one in INDICATOR])
def test_a_card_has_the_summary_of_its_most_urgent_row_and_its_indicator(
    answers: Mapping[str, Answer], row: str, indicator: str, language: str
) -> None:
    (card,) = cards(answers, language=language)

    assert card["summary"] == SUMMARY[row][language]
    assert card["indicator"] == indicator


def test_a_row_without_a_summary_is_summed_up_by_its_reason() -> None:
    whole = screening()
    rows = tuple(one.model_copy(update={"summary": None}) if one.row == "R02" else one for one in whole.findings)
    changed = replace(whole, findings=rows)
    advice = decide(changed, [reading(ALARM)])

    (card,) = advice_cards(changed, advice, call())

    assert card["summary"] == advice.fired[0].finding.reason["en"]
    (ordered,) = order_cards(changed, {"physiotherapy": advice}, [PHYSIO], call())
    assert ordered["summary"] == f"Doctor first: {advice.fired[0].finding.reason['en']}"


@pytest.mark.parametrize(
    ("language", "display"), [("nl", "Vandaag met spoed een arts"), ("en", "Doctor today, as an emergency")]
)
def test_a_card_names_its_source_topic_and_rules(language: str, display: str) -> None:
    (card,) = cards({**ALARM, **FALL}, language=language)

    source = card["source"]
    assert source["label"] == _label(screening(), language)
    assert source["url"] == "https://cds.example/fhir/Questionnaire/low-back-pain"
    assert source["topic"] == {
        "system": "https://lowbackpain.example/fhir/CodeSystem/low-back-pain-dispositions",
        "code": "emergency-now",
        "display": display,
    }
    assert rules(card) == {
        "rows": ["R02", "R20"],
        "version": screening().version,
        "hash": screening().hash,
        "nextReview": str(screening().next_review),
    }


def _label(content: Screening, language: str) -> str:
    """The label of the source as texts.toml has it, with its places filled in."""
    texts = content.texts
    signed = texts.signed if content.signed_by else texts.unsigned
    return texts.source[language].replace("{version}", content.version).replace("{signed}", signed[language])


def test_every_card_and_every_suggestion_has_a_fresh_uuid() -> None:
    shown = cards({**ALARM, **GAP})

    uuids = [card["uuid"] for card in shown] + [one["uuid"] for card in shown for one in card["suggestions"]]
    assert sorted(uuids) == ["u1", "u2", "u3", "u4"]


def test_a_card_says_what_was_reported_suggests_its_referral_and_asks_why_it_is_overridden() -> None:
    (card,) = cards(FALL)

    assert "Advice of a doctor" in card["detail"]
    assert "[R20]" in card["detail"]
    assert labels(card) == ["Refer to the GP"]
    assert card["selectionBehavior"] == "at-most-one"
    assert [one["code"] for one in card["overrideReasons"]] == list(screening().texts.override_reasons)
    assert [link["label"] for link in card["links"]]
    (referral,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert [concept["text"] for concept in referral["reasonCode"][1:]] == [
        finding.reason["en"] for finding in screening().findings if finding.row == "R20"
    ]
    assert "R20" in referral["note"][0]["text"]


def test_a_reason_that_a_more_urgent_row_covers_is_in_the_rules_but_neither_in_the_detail_nor_in_the_referral() -> None:
    (card,) = cards({**FALL, "age": Answer(span=(70, 70))})

    assert rules(card)["rows"] == ["R15a", "R20"]
    assert "[R15a]" in card["detail"]
    assert "[R20]" not in card["detail"]
    (referral,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert len(referral["reasonCode"]) == 2, "the complaint and one finding"


def test_a_gp_is_offered_no_referral_to_a_gp() -> None:
    (card,) = cards(FALL, gp=True)

    assert labels(card) == []


# ------------------------------------------------------------------------------------- a patient reads it


@pytest.mark.parametrize("reader", [PATIENT, "RelatedPerson/r1"])
@pytest.mark.parametrize("language", ["nl", "en"])
def test_a_patient_reads_whom_to_call_and_nothing_else(language: str, reader: str) -> None:
    (card,) = cards({**FALL, **ALARM, **GAP}, user=reader, language=language)

    contact = screening().dispositions["emergency-now"].patient
    assert contact
    assert card["summary"] == card["detail"] == contact[language]
    assert card["indicator"] == "critical"
    assert topics([card]) == ["emergency-now"]
    assert "rows" not in rules(card)
    assert rules(card)["hash"] == screening().hash
    assert card.keys() == {"uuid", "summary", "indicator", "detail", "source", "extension"}


@pytest.mark.parametrize("answers", [{}, GAP, WORSE], ids=["calm", "a gap", "worse"])
def test_a_patient_whom_no_doctor_has_to_see_reads_nothing(answers: Mapping[str, Answer]) -> None:
    assert cards(answers, user=PATIENT) == []


# ----------------------------------------------------------------------------------------- the offer


def test_the_form_is_offered_by_one_card() -> None:
    (card,) = offer_cards(screening(), call())

    offer = screening().texts.offer
    assert card["summary"] == offer.summary["en"]
    assert card["indicator"] == offer.indicator == "info"
    assert topics([card]) == ["form-offer"]
    assert call().public in card["links"][0]["url"]
    assert labels(card) == [one.label["en"] for one in offer.suggestion]
    assert [one["code"] for one in card["overrideReasons"]] == list(screening().texts.override_reasons)
    assert rules(card).keys() == {"version", "hash", "nextReview"}
    assert card["source"]["label"] == _label(screening(), "en")
    assert screening().texts.text["safety-net"]["en"] in card["detail"]
    assert screening().hash[:12] in card["detail"]
    assert card["uuid"] not in [one["uuid"] for one in card["suggestions"]]


def test_the_offer_suggests_to_have_the_form_filled_in_by_this_patient_for_this_caller() -> None:
    (card,) = offer_cards(screening(), call(language="nl"))

    assert card["summary"] == screening().texts.offer.summary["nl"]
    assert screening().texts.text["safety-net"]["nl"] in card["detail"]
    (task,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert task["for"] == {"reference": PATIENT}


def test_a_patient_is_not_offered_the_form_on_a_card() -> None:
    assert offer_cards(screening(), call(user=PATIENT)) == []


# ------------------------------------------------------------------------------------- orders, appointments

MRI = Order("imaging", "MR Lumbar spine", {"resourceType": "ServiceRequest", "id": "mri"})
XRAY = Order("imaging", "XR Lumbar spine Views", {"resourceType": "ServiceRequest", "id": "xray"})
PHYSIO = Order("physiotherapy", "Exercise therapy", {"resourceType": "ServiceRequest", "id": "exercise"})
BOTH = [PHYSIO, MRI, XRAY]
REFER_NOW = "Refer to the emergency department now"
FILL_IN = "Ask the patient to fill in the questionnaire (again)"


def about(answers: Mapping[str, Answer], orders: list[Order], **members: Any) -> list[Json]:
    """The cards about these orders, both kinds of which have the advice of the same answers."""
    advice = advise(answers)
    kinds = {one.kind for one in orders}
    advices = {kind: advice for kind in screening().orders if kind in kinds}
    return order_cards(screening(), advices, orders, call(**members))


ABOUT: list[tuple[str, Mapping[str, Answer], list[Order], list[list[str]]]] = [
    ("a scan, calm", {}, [MRI], [["IMG-1", "R40"]]),
    ("a scan, worse pain", WORSE, [MRI], [["IMG-1", "R30"]]),
    ("a scan, an alarm", ALARM, [MRI], [["IMG-2", "R02"]]),
    ("a scan, a gap", GAP, [MRI], [["IMG-3", "R00"]]),
    ("a scan, a gap and worse pain", {**GAP, **WORSE}, [MRI], [["IMG-3", "R00"]]),
    ("a scan, an alarm and a gap", {**ALARM, **GAP}, [MRI], [["IMG-2", "R02"], ["IMG-3", "R00"]]),
    ("two scans, one card", {}, [MRI, XRAY], [["IMG-1", "R40"]]),
    ("physiotherapy, calm: no card", {}, [PHYSIO], []),
    ("physiotherapy, an alarm", ALARM, [PHYSIO], [["PHY-1", "R02"]]),
    ("physiotherapy, a gap", GAP, [PHYSIO], [["PHY-2", "R00"]]),
    ("both, an alarm", ALARM, BOTH, [["IMG-2", "R02"], ["PHY-1", "R02"]]),
    (
        "both, an alarm and a gap: three cards at most, every doctor first",
        {**ALARM, **GAP},
        BOTH,
        [["IMG-2", "R02"], ["PHY-1", "R02"], ["IMG-3", "R00"]],
    ),
    ("no order", ALARM, [], []),
]


@pytest.mark.parametrize(("answers", "orders", "rows"), [row[1:] for row in ABOUT], ids=[row[0] for row in ABOUT])
def test_each_kind_of_order_gets_the_cards_that_its_advice_calls_for(
    answers: Mapping[str, Answer], orders: list[Order], rows: list[list[str]]
) -> None:
    assert [rules(card)["rows"] for card in about(answers, orders)] == rows


def test_a_suggestion_stands_on_the_first_card_of_its_class_only() -> None:
    scan, physio, gap = about({**ALARM, **GAP}, BOTH)

    assert (labels(scan), labels(physio), labels(gap)) == ([REFER_NOW], [], [FILL_IN])


def test_each_kind_has_the_cards_of_its_own_advice() -> None:
    advices = {"imaging": advise({}), "physiotherapy": advise(FALL)}

    shown = order_cards(screening(), advices, BOTH, call())

    assert [rules(card)["rows"][0] for card in shown] == ["PHY-1", "IMG-1"]


def test_a_card_names_the_orders_of_its_kind_and_no_others() -> None:
    scan, physio = about(ALARM, BOTH)

    for name in ("MR Lumbar spine (ServiceRequest/mri)", "XR Lumbar spine Views (ServiceRequest/xray)"):
        assert f"- {name}" in scan["detail"]
        assert name not in physio["detail"]
    assert "- Exercise therapy (ServiceRequest/exercise)" in physio["detail"]


def test_a_card_about_a_scan_has_its_own_topic_and_reasons_and_one_about_physiotherapy_that_of_the_advice() -> None:
    scan, physio = about(ALARM, BOTH)
    shared = list(screening().texts.override_reasons)

    assert topics([scan, physio]) == ["imaging", "emergency-now"]
    assert [one["code"] for one in scan["overrideReasons"]] == [
        *shared,
        *screening().orders["imaging"].override_reasons,
    ]
    assert [one["code"] for one in physio["overrideReasons"]] == shared


def test_the_card_about_an_order_goes_on_as_the_card_of_the_disposition() -> None:
    (card,) = about(ALARM, [MRI])

    order, triage, stays = (
        card["detail"].find(words) for words in ("With this order", "**Doctor today", "The order stays")
    )
    assert 0 <= order < triage < stays
    assert "[R02]" in card["detail"]
    assert card["indicator"] == "critical"
    assert [link["label"] for link in card["links"]] == [link["label"] for link in cards(ALARM)[0]["links"]]
    assert card["selectionBehavior"] == "at-most-one"
    (referral,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert "R02" in referral["note"][0]["text"]
    assert len(referral["reasonCode"]) == 2, "the complaint and one finding"


def test_a_calm_card_about_a_scan_is_as_it_is_written() -> None:
    (card,) = about({}, [MRI])

    assert "Self-care with safety net" not in card["detail"]
    assert "With this order" in card["detail"]
    assert card["indicator"] == "info"
    assert card["summary"].startswith("A scan rarely shows the cause of low back pain")
    assert labels(card) == ["Refer to the physiotherapist"]


def test_the_links_of_an_order_card_come_before_those_of_the_disposition() -> None:
    whole = screening()
    kind = whole.orders["imaging"]
    own = tuple(one.model_copy(update={"links": ("ng59",), "suggestion": one.suggestion}) for one in kind.card)
    changed = replace(whole, orders={"imaging": kind.model_copy(update={"card": own})})

    (card,) = order_cards(changed, {"imaging": advise(GAP)}, [MRI], call())

    named = [whole.texts.link[name].label["en"] for name in ("ng59", "form")]
    assert [link["label"] for link in card["links"]] == named


def test_the_own_suggestion_of_an_order_card_stays_where_that_of_the_disposition_was_made_before() -> None:
    whole = screening()
    kinds = {}
    for name, kind in whole.orders.items():
        own = whole.dispositions["self-care"].suggestion
        written = tuple(one.model_copy(update={"suggestion": own}) for one in kind.card)
        kinds[name] = kind.model_copy(update={"card": written})
    changed = replace(whole, orders=kinds)

    scan, physio = order_cards(changed, dict.fromkeys(kinds, advise(ALARM)), BOTH, call())

    assert labels(scan) == ["Education and lifestyle advice", REFER_NOW]
    assert labels(physio) == ["Education and lifestyle advice"]


@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_summary_about_physiotherapy_is_that_of_the_most_urgent_row(language: str) -> None:
    (card,) = about({**FALL, **SOON}, [PHYSIO], language=language)

    first = {"nl": "Eerst een arts: ", "en": "Doctor first: "}[language]
    assert card["summary"] == first + SUMMARY["R16"][language]


def test_only_the_rows_of_its_class_stand_on_an_order_card() -> None:
    doctor, gap = about({**ALARM, **FALL, **GAP}, [MRI])

    assert rules(doctor)["rows"] == ["IMG-2", "R02", "R20"]
    assert rules(gap)["rows"] == ["IMG-3", "R00"]
    assert "[R02]" not in gap["detail"]


def test_a_reason_that_is_covered_is_left_out_of_an_order_card() -> None:
    (card,) = about({**FALL, "age": Answer(span=(70, 70))}, [MRI])

    assert rules(card)["rows"] == ["IMG-2", "R15a", "R20"]
    assert "[R20]" not in card["detail"]
    (referral,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert len(referral["reasonCode"]) == 2, "the complaint and one finding"


def test_a_patient_reads_once_whom_to_call_whatever_was_ordered() -> None:
    for orders in (BOTH, [PHYSIO]):
        (card,) = about({**ALARM, **GAP}, orders, user=PATIENT)
        assert topics([card]) == ["emergency-now"]
        assert "rows" not in rules(card)
    assert about(GAP, BOTH, user=PATIENT) == []
    assert about({}, [], user=PATIENT) == []


def test_a_patient_reads_whom_to_call_where_only_the_advice_about_a_later_kind_says_so() -> None:
    advices = {"imaging": advise(GAP), "physiotherapy": advise(ALARM)}

    assert topics(order_cards(screening(), advices, BOTH, call(user=PATIENT))) == ["emergency-now"]


def test_without_a_screening_the_form_can_be_offered_though_nothing_fired() -> None:
    assert advice_cards(screening(), NO_SCREENING, call()) == []
