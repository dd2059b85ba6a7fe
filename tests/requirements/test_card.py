"""Every card that can be reached: its parts as the specification wants them, and nothing of what was typed."""

import json
import re
from urllib.parse import quote

import pytest
from flask.testing import FlaskClient

from tests.requirements.conftest import Answer
from tests.requirements.requests import (
    ADVISING,
    ALARM,
    ANKLE,
    HOOKS,
    LOINC,
    OWN,
    PHYSIOTHERAPY,
    Json,
    about_somebody,
    appointment,
    call,
    collection,
    condition,
    encounter,
    order,
    valid,
)
from tests.samples import BASE, CALM, FORM, bundle, patient, response
from tests.wire import cards_of

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
URL = re.compile(r"https?://[^/\s?#]+(/[^\s?#]*)?")
CARD = {"uuid", "summary", "detail", "indicator", "source", "suggestions", "selectionBehavior", "overrideReasons"}
CARD |= {"links", "extension"}
SOMEBODY = "zz-patient-73"


@pytest.mark.requirement("CARD-1")
def test_every_card_has_a_uuid_of_its_own(every_card: list[Json]) -> None:
    uuids = [card["uuid"] for card in every_card]
    assert len(set(uuids)) == len(uuids) > 0
    assert [uuid for uuid in uuids if not UUID.fullmatch(uuid)] == []


@pytest.mark.requirement("CARD-1")
@pytest.mark.parametrize("hook", HOOKS)
def test_two_calls_give_cards_with_different_uuids(client: FlaskClient, hook: str) -> None:
    body = valid(hook, response(CALM | ALARM))
    first, second = ({card["uuid"] for card in cards_of(call(client, body))} for _ in range(2))
    assert first
    assert not first & second


@pytest.mark.requirement("CARD-2")
def test_every_summary_is_one_line_of_at_most_139_characters(every_card: list[Json]) -> None:
    summaries = {card["summary"] for card in every_card}
    assert [
        one for one in summaries if not 0 < len(one) <= 139 or re.search(r"[\n\r\t]", one) or one != one.strip()
    ] == []


@pytest.mark.requirement("CARD-3")
def test_no_text_of_a_card_holds_html(every_card: list[Json]) -> None:
    texts = {card[name] for card in every_card for name in ("summary", "detail")}
    assert [text for text in texts if re.search(r"<[A-Za-z/!]|&[a-z]+;|javascript:", text)] == []


@pytest.mark.requirement("CARD-3")
def test_details_read_well_where_a_single_newline_is_a_space(every_card: list[Json]) -> None:
    paragraphs = {part for card in every_card for part in card["detail"].split("\n\n")}
    lines = [part.split("\n") for part in paragraphs if "\n" in part]
    assert lines, "there are lists"
    assert [part for part in lines if not all(line.startswith("- ") for line in part)] == []


@pytest.mark.requirement("CARD-3")
def test_details_have_balanced_emphasis_and_no_headings_or_rules(every_card: list[Json]) -> None:
    details = {card["detail"] for card in every_card}
    assert [
        text for text in details if text.count("**") % 2 or re.search(r"^(#|---|===|>|```|\s{4})", text, re.M)
    ] == []
    assert [text for text in details if text != text.strip() or "\n\n\n" in text or "\t" in text] == []


HOSTILE = "<img src=x onerror=alert(1)> [click](javascript:alert(1)) ![x](https://evil.example/x.png) zz-typed"
TYPED = {"text": HOSTILE, "coding": [{"system": HOSTILE, "code": HOSTILE, "display": HOSTILE}]}


def _typed_code(resource: Json) -> Json:
    """The resource with our coding first, and everything that can be typed beside it hostile."""
    (name,) = {"code", "serviceType", "reasonCode"} & resource.keys()
    concept = resource[name][0] if isinstance(resource[name], list) else resource[name]
    ours = {name: value for name, value in concept["coding"][0].items() if name != "display"}
    hostile = {"text": HOSTILE, "coding": [ours | {"display": HOSTILE}, *TYPED["coding"]]}
    changed = {name: [hostile] if isinstance(resource[name], list) else hostile}
    return resource | changed | {"description": HOSTILE, "note": [{"text": HOSTILE}], "patientInstruction": HOSTILE}


def _typed_response() -> Json:
    typed = response(CALM | ALARM, text={"status": "generated", "div": HOSTILE}, source={"display": HOSTILE})
    for item in typed["item"]:
        item["text"] = HOSTILE
        item["answer"][0]["valueCoding"]["display"] = HOSTILE
    typed["item"].append({"linkId": "rf-leg-sides", "answer": [{"valueString": HOSTILE}]})
    return typed


def _typed(hook: str) -> Json:
    """A call in which every text that a person can type is hostile."""
    context: dict[str, Json] = {
        "order-select": {"draftOrders": collection(_typed_code(order()))},
        "order-sign": {"draftOrders": collection(_typed_code(order()))},
        "appointment-book": {"appointments": collection(_typed_code(appointment()))},
        "problem-list-item-create": {"conditions": collection(_typed_code(condition()))},
    }
    body = valid(hook, _typed_response(), about=patient(name=[{"text": HOSTILE}]), **context.get(hook, {}))
    if "encounter" in body["prefetch"]:
        body["prefetch"]["encounter"] = _typed_code(encounter())
    if "conditions" in body["prefetch"]:
        body["prefetch"]["conditions"] = bundle(_typed_code(condition()))
    return body


@pytest.mark.requirement("CARD-3")
@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("hook", HOOKS)
def test_nothing_that_was_typed_enters_a_card(client: FlaskClient, hook: str, language: str) -> None:
    cards = cards_of(call(client, _typed(hook), language))
    assert cards[0]["indicator"] == "critical"
    told = json.dumps(cards, ensure_ascii=False)
    assert [words for words in ("zz-typed", "evil", "onerror", "javascript", "<img") if words in told] == []


@pytest.mark.requirement("CARD-4")
def test_every_indicator_is_one_of_three_and_each_is_used(every_card: list[Json]) -> None:
    assert {card["indicator"] for card in every_card} == {"info", "warning", "critical"}


@pytest.mark.requirement("CARD-5")
def test_every_source_names_the_patient_sheet(answers: list[Answer]) -> None:
    named = {"nl": "Patiëntinformatie lage rugpijn", "en": "Patient sheet low back pain"}
    wrong = [
        card["source"]["label"]
        for answer in answers
        for card in answer.cards
        if not card["source"]["label"].startswith(named[answer.language])
    ]
    assert wrong == []


USERS = [(hook, "Practitioner/zz-user-9") for hook in HOOKS]
USERS += [(hook, f"Patient/{SOMEBODY}") for hook in ("patient-view", "appointment-book", OWN)]


@pytest.mark.requirement("CARD-6", "LINK-6")
@pytest.mark.parametrize(("hook", "user"), USERS)
def test_no_url_says_anything_about_the_patient(client: FlaskClient, hook: str, user: str) -> None:
    body = about_somebody(valid(hook, response(CALM | ALARM | {"rf-leg": "unknown"}), userId=user), SOMEBODY)
    cards = cards_of(call(client, body))
    urls = [card["source"]["url"] for card in cards]
    urls += [link["url"] for card in cards for link in card.get("links", [])]
    assert urls
    launch = f"?questionnaire={quote(f'{FORM}|1.0.0', safe='')}"  # which form a link opens, the same for everybody
    urls = [url.removesuffix(launch) for url in urls]
    hints = ("zz-", "rf-", "R02", "emergency", "response-1", "?", "#")
    assert [url for url in urls if not URL.fullmatch(url) or any(hint in url for hint in hints)] == []


@pytest.mark.requirement("CARD-6")
def test_every_source_url_is_absolute(every_card: list[Json]) -> None:
    assert [url for url in {card["source"]["url"] for card in every_card} if not URL.fullmatch(url)] == []


def _published(client: FlaskClient, name: str) -> dict[str, set[str]]:
    """code → its displays, of a code system that the service publishes."""
    system = client.get(f"/fhir/CodeSystem/low-back-pain-{name}").get_json()
    assert system["url"] == f"{BASE}/CodeSystem/low-back-pain-{name}"
    return {
        concept["code"]: {concept["display"], *(one["value"] for one in concept.get("designation", []))}
        for concept in system["concept"]
    }


@pytest.mark.requirement("CARD-8")
def test_every_topic_is_a_code_of_a_published_code_system(client: FlaskClient, every_card: list[Json]) -> None:
    topics = [card["source"]["topic"] for card in every_card]
    known = _published(client, "dispositions")
    assert {topic["system"] for topic in topics} == {f"{BASE}/CodeSystem/low-back-pain-dispositions"}
    assert [topic for topic in topics if topic["display"] not in known.get(topic["code"], set())] == []


ADVICE = {"emergency-now", "doctor-same-day", "doctor-soon", "doctor-advice", "incomplete", "physio-or-doctor"}


@pytest.mark.requirement("CARD-8")
def test_every_topic_of_a_card_is_reached(every_card: list[Json]) -> None:
    reached = {card["source"]["topic"]["code"] for card in every_card}
    assert reached == ADVICE | {"self-care", "imaging", "form-offer"}


@pytest.mark.requirement("CARD-9")
def test_suggestions_come_with_how_many_may_be_taken(every_card: list[Json]) -> None:
    assert {("suggestions" in card, card.get("selectionBehavior")) for card in every_card} == {
        (True, "at-most-one"),
        (False, None),
    }


@pytest.mark.requirement("CARD-10", "SUG-3")
def test_at_most_one_suggestion_is_recommended(every_card: list[Json]) -> None:
    marks = [[one.get("isRecommended", False) for one in card.get("suggestions", [])] for card in every_card]
    assert all(mark in (True, False) and type(mark) is bool for card in marks for mark in card)
    assert max(sum(card) for card in marks) <= 1


@pytest.mark.requirement("CARD-11", "CARD-12")
def test_every_override_reason_can_be_looked_up(client: FlaskClient, clinicians_cards: list[Json]) -> None:
    known = _published(client, "override-reasons")
    reasons = [reason for card in clinicians_cards for reason in card["overrideReasons"]]
    assert {reason["system"] for reason in reasons} == {f"{BASE}/CodeSystem/low-back-pain-override-reasons"}
    assert all(reason["display"] in known[reason["code"]] for reason in reasons)
    assert {reason["code"] for reason in reasons} == known.keys(), "each published reason is offered somewhere"


BLOOD = {"system": LOINC, "code": "58410-2", "display": "CBC panel"}


@pytest.mark.requirement("CARD-13")
@pytest.mark.parametrize("answers", [{}, ALARM, {"rf-leg": "unknown"}], ids=["calm", "alarm", "incomplete"])
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_the_card_names_the_order_that_it_is_about_and_no_other(client: FlaskClient, hook: str, answers: Json) -> None:
    body = valid(hook, response(CALM | answers), draftOrders=collection(order(BLOOD, "order-2"), order()))
    if hook == "order-select":
        body["context"]["selections"] = ["ServiceRequest/order-2", "ServiceRequest/order-1"]
    cards = cards_of(call(client, body))
    assert cards
    for card in cards:
        assert "MR Lumbar spine" in card["detail"]
        assert [words for words in ("CBC", "58410") if words in json.dumps(card)] == []


@pytest.mark.requirement("CARD-13")
@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
def test_the_card_names_every_order_that_it_is_about(client: FlaskClient, hook: str) -> None:
    scan = {"system": LOINC, "code": "24963-1"}
    body = valid(hook, draftOrders=collection(order(), order(scan, "order-2")))
    if hook == "order-select":
        body["context"]["selections"] = ["ServiceRequest/order-1", "ServiceRequest/order-2"]
    (card,) = cards_of(call(client, body))
    assert "MR Lumbar spine" in card["detail"]
    assert "CT Lumbar spine" in card["detail"]


@pytest.mark.requirement("CARD-13")
def test_the_card_names_the_appointment_that_it_is_about_and_no_other(client: FlaskClient) -> None:
    both = collection(appointment(ANKLE, id="appointment-2"), appointment())
    (card,) = cards_of(call(client, valid("appointment-book", response(CALM | ALARM), appointments=both)))
    assert "Physical therapy procedure" in card["detail"]
    assert "ankle" not in card["detail"]


MANY_ORDERS = [*(order(id_=f"scan-{n}") for n in range(4)), *(order(PHYSIOTHERAPY, f"care-{n}") for n in range(4))]
MANY: dict[str, Json] = {
    "order-select": {
        "draftOrders": collection(*MANY_ORDERS),
        "selections": [f"ServiceRequest/{one['id']}" for one in MANY_ORDERS],
    },
    "order-sign": {"draftOrders": collection(*MANY_ORDERS)},
}


@pytest.mark.requirement("CARD-13")
@pytest.mark.parametrize("hook", MANY)
def test_there_are_at_most_three_cards_and_doctor_first_however_many_orders_there_are(
    client: FlaskClient, hook: str
) -> None:
    cards = cards_of(call(client, valid(hook, response(CALM | ALARM | {"rf-leg": "unknown"}), **MANY[hook])))
    assert [card["indicator"] for card in cards] == ["critical", "critical", "warning"]
    assert all(f"scan-{n}" in cards[0]["detail"] and f"care-{n}" in cards[1]["detail"] for n in range(4))


@pytest.mark.requirement("CARD-14")
def test_a_card_has_members_of_the_specification_only(every_card: list[Json]) -> None:
    assert {name for card in every_card for name in card} == CARD
    assert {name for card in every_card for name in card["source"]} == {"label", "url", "topic"}


@pytest.mark.requirement("CARD-14")
@pytest.mark.parametrize("hook", ADVISING)
def test_what_is_ours_on_a_card_stands_under_extension(client: FlaskClient, hook: str) -> None:
    (card,) = cards_of(call(client, valid(hook, response(CALM | ALARM))))
    (own,) = card["extension"].values()
    assert own["rows"] == ["R02"]
    assert own["version"] == "1.0.0"
    assert re.fullmatch(r"[0-9a-f]{12,64}", own["hash"])
