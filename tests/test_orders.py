"""Orders and appointments: IMG-1 to IMG-3, doctor first, silence about others; no order is blocked or deleted."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_content.card_shapes import Coding, NamedCode
from cds_content.screening import Screening
from cds_service.clients import Client
from cds_service.store import decisions, open_store
from cds_service.web import Deployment, create_app
from tests.advice_as_fhir import RULES
from tests.conftest import topics
from tests.requirements import requests
from tests.requirements.requests import LOINC, SNOMED
from tests.samples import CALM, bundle, patient, response
from tests.store_samples import kept
from tests.wire import cards_of, refusal_of, store_in

BACK_PAIN = {"coding": [requests.LOW_BACK_PAIN]}
ALARM = CALM | {"rf-saddle": "new"}
GAP = CALM | {"rf-saddle": "unknown"}
SUMMARY = {
    "IMG-1": (
        "Een scan laat bij lage rugpijn zelden de oorzaak zien; beoordeel na onderzoek of hij nodig is.",
        "A scan rarely shows the cause of low back pain; judge after examination whether it is needed.",
    ),
    "IMG-2": (
        "Alarmsignalen gemeld: laat een arts beoordelen; wacht niet op de scan.",
        "Warning signs reported: arrange doctor assessment; do not wait for the scan.",
    ),
    "IMG-3": (
        "Geen volledige screening: beoordeel eerst alarmsignalen voordat u over een scan beslist.",
        "No complete screening: assess warning signs before deciding about a scan.",
    ),
}  # clinical specification 4.5


def order(system: str, code: str, id_: str = "o1", **members: Any) -> dict[str, Any]:
    """A draft ServiceRequest for p1 with this code."""
    return requests.order({"system": system, "code": code}, id_, **members)


MRI = order(LOINC, "24968-0", "mri")
XRAY = order(SNOMED, "840361000", "xray")
PHYSIO = order(SNOMED, "308447003", "physio")
BLOOD = order(LOINC, "718-7", "blood")


def appointment(**members: Any) -> dict[str, Any]:
    """A proposed physiotherapy appointment of p1, as HL7 codes it."""
    service = {"system": "http://terminology.hl7.org/CodeSystem/service-type", "code": "65"}
    return requests.appointment(service, id="a1", **members)


def call(hook: str, context: dict[str, Any], *responses: Any, **members: Any) -> dict[str, Any]:
    """A call with these responses in the prefetch; `members` replace members of the body."""
    prefetch = {"patient": patient(), "responses": bundle(*responses), "conditions": None}
    who = {"userId": "Practitioner/gp-1", "patientId": "p1"}
    body = {"hook": hook, "hookInstance": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11", "context": who | context}
    return body | {"prefetch": prefetch} | members


def post(client: FlaskClient, body: dict[str, Any], language: str = "en") -> Any:
    return requests.call(client, body, language)


def signed(client: FlaskClient, *responses: Any, orders: Any = (MRI,), language: str = "en") -> list[dict[str, Any]]:
    return cards_of(post(client, call("order-sign", {"draftOrders": bundle(*orders)}, *responses), language))


def rows(card: dict[str, Any]) -> list[str]:
    named: list[str] = card["extension"]["example.lowbackpain.rules"]["rows"]
    return named


# Each row: why, the responses on record, the rows and indicators of the cards about a lumbar MRI.
IMAGING: list[tuple[str, list[Any], list[tuple[str, str]]]] = [
    ("complete and calm", [response(CALM)], [("IMG-1", "info")]),
    ("complete, physiotherapist or doctor", [response(CALM | {"co-trend": "worse"})], [("IMG-1", "info")]),
    ("an emergency", [response(ALARM)], [("IMG-2", "critical")]),
    ("advice of a doctor", [response(CALM | {"rf-accident": "minor"})], [("IMG-2", "warning")]),
    ("an answer not known", [response(GAP)], [("IMG-3", "warning")]),
    ("an alarm and a gap", [response(ALARM | {"rf-leg": "unknown"})], [("IMG-2", "critical"), ("IMG-3", "warning")]),
    ("no screening", [], [("IMG-3", "warning")]),
    (
        "another form only",
        [response(CALM, questionnaire="https://x.example/Questionnaire/other")],
        [("IMG-3", "warning")],
    ),
    ("not finished", [response(CALM, status="in-progress")], [("IMG-3", "warning")]),
    ("entered in error", [response(CALM, status="entered-in-error")], [("IMG-3", "warning")]),
]


@pytest.mark.parametrize("hook", ["order-select", "order-sign"])
@pytest.mark.parametrize("row", IMAGING, ids=[row[0] for row in IMAGING])
def test_a_lumbar_scan_gets_the_row_that_the_screening_calls_for(
    row: tuple[str, list[Any], list[tuple[str, str]]], hook: str, client: FlaskClient
) -> None:
    _, responses, expected = row
    context = {"draftOrders": bundle(MRI), "selections": ["ServiceRequest/mri"]}

    for language in ("nl", "en"):
        cards = cards_of(post(client, call(hook, context, *responses), language))

        assert [(rows(card)[0], card["indicator"]) for card in cards] == expected
        assert topics(cards) == ["imaging"] * len(expected)
        assert [card["summary"] for card in cards] == [SUMMARY[name][language == "en"] for name, _ in expected]


def test_a_response_of_more_than_a_week_does_not_reassure_about_a_scan(client: FlaskClient) -> None:
    (card,) = signed(client, response(CALM, authored=timedelta(days=8)))

    assert rows(card)[0] == "IMG-3"


def test_chronic_pain_rests_on_the_sheet_and_acute_pain_on_the_guidelines(client: FlaskClient) -> None:
    (chronic,) = signed(client, response(CALM | {"co-duration": "gt3m"}))
    (acute,) = signed(client, response(CALM | {"co-duration": "lt6w"}))
    (unknown,) = signed(client, response(CALM | {"co-duration": "unknown"}))

    assert "In most chronic low back pain even a good scan shows no clear cause" in chronic["detail"]
    assert "S30" in chronic["detail"]
    for card in (acute, unknown):
        assert "NICE NG59" in card["detail"]
        assert "NHG M54" in card["detail"]
        assert "S30" not in card["detail"]
    assert "NICE NG59 (1.1.4)" not in chronic["detail"]


def test_the_card_names_the_orders_in_our_own_words(client: FlaskClient) -> None:
    typed = "<img src=x> scan of the back [x](javascript:1)"
    named = MRI | {"code": MRI["code"] | {"text": typed}}
    named["code"]["coding"][0]["display"] = typed

    (card,) = signed(client, response(CALM), orders=(BLOOD, named, XRAY))

    assert "- MR Lumbar spine (ServiceRequest/mri)" in card["detail"]
    assert "- Plain X-ray of lumbar vertebral column region (ServiceRequest/xray)" in card["detail"]
    assert typed not in json.dumps(card)
    assert "blood" not in card["detail"]


def test_no_order_is_blocked_deleted_or_replaced_by_another_scan(client: FlaskClient, screening: Screening) -> None:
    scans = {code.code for code in screening.orders["imaging"].codes}
    for responses in ([response(CALM)], [response(ALARM)], [response(GAP)], []):
        for card in signed(client, *responses, orders=(MRI, PHYSIO)):
            for action in [action for one in card.get("suggestions", []) for action in one["actions"]]:
                assert action["type"] == "create"
                coded = json.dumps(action["resource"].get("code", {}))
                assert not [code for code in scans if f'"{code}"' in coded]


def test_reasons_to_override_a_scan_card_include_those_for_imaging(client: FlaskClient) -> None:
    ours = {"red-flag-on-exam", "changes-management", "specialist-request"}
    for responses in ([response(CALM)], [response(ALARM)], []):
        (card,) = signed(client, *responses)
        assert ours | {"already-assessed", "other"} <= {reason["code"] for reason in card["overrideReasons"]}
    (card,) = signed(client, response(ALARM), orders=(PHYSIO,))
    assert not ours & {reason["code"] for reason in card["overrideReasons"]}


def test_a_scan_with_an_alarm_carries_the_reasons_and_referral_of_the_triage_card(client: FlaskClient) -> None:
    (card,) = signed(client, response(ALARM))

    assert "[R02]" in card["detail"]
    (referral,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert (referral["priority"], referral["code"]["coding"][0]["code"]) == ("stat", "306254002")


def test_a_scan_without_a_screening_offers_the_form(client: FlaskClient) -> None:
    (card,) = signed(client)

    (task,) = [action["resource"] for one in card["suggestions"] for action in one["actions"]]
    assert (task["resourceType"], task["status"]) == ("Task", "draft")
    assert [link["url"] for link in card["links"]] == [
        "http://127.0.0.1:8080/form/launch?questionnaire=https%3A%2F%2Flowbackpain.example%2Ffhir%2FQuestionnaire%2Flow-back-pain%7C1.0.0"
    ]


# Each row: why, orders, responses, topics of the cards.
PHYSIOTHERAPY: list[tuple[str, tuple[Any, ...], list[Any], list[str]]] = [
    ("an alarm: doctor first", (PHYSIO,), [response(ALARM)], ["emergency-now"]),
    ("exercise therapy likewise", (order(SNOMED, "229065009"),), [response(ALARM)], ["emergency-now"]),
    (
        "a longstanding sign: a doctor within days first",
        (PHYSIO,),
        [response(CALM | {"rf-saddle": "longstanding"})],
        ["doctor-soon"],
    ),
    ("calm: nothing to say", (PHYSIO,), [response(CALM)], []),
    ("physiotherapist or doctor: nothing to say", (PHYSIO,), [response(CALM | {"co-trend": "worse"})], []),
    ("not complete: ask first", (PHYSIO,), [response(GAP)], ["incomplete"]),
    ("no screening, another reason or none", (PHYSIO,), [], []),
    ("no screening, low back pain", (PHYSIO | {"reasonCode": [BACK_PAIN]},), [], ["form-offer"]),
    ("a blood test", (BLOOD,), [response(ALARM)], []),
    ("a scan and physiotherapy", (MRI, PHYSIO), [response(ALARM)], ["imaging", "emergency-now"]),
]


@pytest.mark.parametrize("row", PHYSIOTHERAPY, ids=[row[0] for row in PHYSIOTHERAPY])
def test_physiotherapy_waits_for_the_doctor_while_alarms_stand(
    row: tuple[str, tuple[Any, ...], list[Any], list[str]], client: FlaskClient
) -> None:
    _, orders, responses, expected = row

    assert topics(signed(client, *responses, orders=orders)) == expected


def test_there_are_never_more_than_three_cards(client: FlaskClient) -> None:
    cards = signed(client, response(ALARM | {"rf-leg": "unknown"}), orders=(MRI, XRAY, PHYSIO))

    assert [rows(card)[0] for card in cards] == ["IMG-2", "PHY-1", "IMG-3"]


@pytest.mark.parametrize("element", ["serviceType", "specialty", "reasonCode"])
def test_a_physiotherapy_appointment_with_an_alarm_says_doctor_first(element: str, client: FlaskClient) -> None:
    coded = appointment(serviceType=None) | {element: [{"coding": [{"system": SNOMED, "code": "91251008"}]}]}

    (card,) = cards_of(post(client, call("appointment-book", {"appointments": bundle(coded)}, response(ALARM))))

    assert (rows(card)[0], card["indicator"]) == ("PHY-1", "critical")
    assert "Physical therapy procedure (Appointment/a1)" in card["detail"]


def test_a_patient_who_books_physiotherapy_with_an_alarm_reads_plain_words_only(client: FlaskClient) -> None:
    context = {"appointments": bundle(appointment()), "userId": "Patient/p1"}

    (card,) = cards_of(post(client, call("appointment-book", context, response(ALARM))))
    calm = cards_of(post(client, call("appointment-book", context, response(GAP))))

    assert card["summary"] == "Call your GP or out-of-hours GP now. Call 112 if life is in danger."
    assert not {"suggestions", "overrideReasons", "links"} & card.keys()
    assert "rows" not in card["extension"][RULES]
    assert calm == []


# Each row: why nothing is judged; the order in its place.
IGNORED: list[tuple[str, dict[str, Any]]] = [
    ("revoked", MRI | {"status": "revoked"}),
    ("entered in error", MRI | {"status": "entered-in-error"}),
    ("a prohibition", MRI | {"doNotPerform": True}),
    ("another code", BLOOD),
    ("the code in another system", order("http://snomed.info/sct", "24968-0")),
    ("no code", MRI | {"code": {"coding": [{}]}}),
    ("another resource", MRI | {"resourceType": "NutritionOrder"}),
]


@pytest.mark.parametrize("row", IGNORED, ids=[row[0] for row in IGNORED])
def test_what_is_no_lumbar_scan_or_physiotherapy_needs_no_data_and_gets_no_card(
    row: tuple[str, dict[str, Any]], client: FlaskClient
) -> None:
    body = call("order-sign", {"draftOrders": bundle(row[1])})

    assert cards_of(post(client, body | {"prefetch": {}})) == []


@pytest.mark.parametrize("status", ["draft", "active", "on-hold", "completed", None])
def test_a_signed_order_is_judged_whatever_its_status(status: str | None, client: FlaskClient) -> None:
    assert topics(signed(client, response(ALARM), orders=(MRI | {"status": status},))) == ["imaging"]


SELECTED = {
    "its reference": ["ServiceRequest/mri"],
    "an absolute reference": ["https://ehr.example/fhir/ServiceRequest/mri"],
    "one version": ["ServiceRequest/mri/_history/2"],
    "among others": ["MedicationRequest/m1", "ServiceRequest/mri"],
}


@pytest.mark.parametrize("selections", SELECTED.values(), ids=SELECTED)
def test_only_selected_orders_are_judged(selections: list[str], client: FlaskClient) -> None:
    context = {"draftOrders": bundle(MRI, PHYSIO), "selections": selections}

    assert topics(cards_of(post(client, call("order-select", context, response(ALARM))))) == ["imaging"]


SYSTEMS = {
    "in capitals": "HTTP://LOINC.ORG",
    "with www": "http://www.loinc.org",
    "with https and a slash": "https://loinc.org/",
    "with its version": "http://loinc.org|2.78",
    "with blanks": " http://loinc.org ",
}


@pytest.mark.parametrize("system", SYSTEMS.values(), ids=SYSTEMS)
def test_a_code_system_is_known_however_it_is_written(system: str, client: FlaskClient) -> None:
    assert topics(signed(client, response(ALARM), orders=(order(system, "24968-0"),))) == ["imaging"]


def test_an_edition_of_snomed_ct_is_snomed_ct(client: FlaskClient) -> None:
    edition = "http://snomed.info/sct/11000146104/version/20260331"
    coding = {"system": edition, "code": PHYSIO["code"]["coding"][0]["code"]}

    assert topics(signed(client, response(ALARM), orders=(PHYSIO | {"code": {"coding": [coding]}},))) != []


MAY_MEAN_IT: dict[str, tuple[Any, str]] = {  # the id of the order, and the selection
    "an id that is null": (None, "ServiceRequest/mri"),
    "an empty id": ("", "ServiceRequest/mri"),
    "an id that is a number": (5, "ServiceRequest/mri"),
    "an id that is an array": (["mri"], "ServiceRequest/mri"),
    "an id with a blank": ("mri ", "ServiceRequest/mri"),
    "a slash behind the selection": ("mri", "ServiceRequest/mri/"),
    "a selection in small letters": ("mri", "servicerequest/mri"),
    "a selection with a hash": ("mri", "#mri"),
    "a selection with a query": ("mri", "ServiceRequest/mri?x=1"),
}


@pytest.mark.parametrize(("own", "selected"), MAY_MEAN_IT.values(), ids=MAY_MEAN_IT)
def test_an_order_that_a_damaged_selection_may_mean_is_judged(own: Any, selected: str, client: FlaskClient) -> None:
    context = {"draftOrders": bundle(MRI | {"id": own}), "selections": [selected]}

    assert topics(cards_of(post(client, call("order-select", context, response(ALARM))))) == ["imaging"]


def test_a_selection_of_an_order_that_was_not_sent_selects_no_other(client: FlaskClient) -> None:
    context = {"draftOrders": bundle(MRI), "selections": ["ServiceRequest/another"]}

    assert cards_of(post(client, call("order-select", context, response(ALARM)))) == []


def test_an_order_without_an_id_is_selected_by_its_full_url(client: FlaskClient) -> None:
    nameless = {name: value for name, value in MRI.items() if name != "id"}
    orders = {"resourceType": "Bundle", "entry": [{"fullUrl": "urn:uuid:1", "resource": nameless}]}
    context = {"draftOrders": orders, "selections": ["urn:uuid:1"]}

    assert topics(cards_of(post(client, call("order-select", context, response(ALARM))))) == ["imaging"]


def test_orders_of_another_patient_are_refused(client: FlaskClient) -> None:
    for orders in (MRI | {"subject": {"reference": "Patient/p2"}}, BLOOD | {"subject": {"reference": "Patient/p2"}}):
        refusal_of(post(client, call("order-sign", {"draftOrders": bundle(orders)}, response(CALM))), 400)
    other = appointment(participant=[{"actor": {"reference": "Patient/p2"}}])
    refusal_of(post(client, call("appointment-book", {"appointments": bundle(other)}, response(CALM))), 400)


def test_a_group_appointment_of_this_patient_is_judged(client: FlaskClient) -> None:
    both = appointment(participant=[{"actor": {"reference": f"Patient/{name}"}} for name in ("p2", "p1")])

    answer = post(client, call("appointment-book", {"appointments": bundle(both)}, response(ALARM)))

    assert topics(cards_of(answer)) == ["emergency-now"]


@pytest.mark.parametrize("orders", [(MRI,), (PHYSIO,)], ids=["a scan", "physiotherapy"])
def test_a_judged_order_without_any_data_is_412(orders: Any, client: FlaskClient) -> None:
    body = call("order-sign", {"draftOrders": bundle(*orders)}) | {"prefetch": {}}

    assert "prefetch.responses" in refusal_of(post(client, body), 412)


CPT = {"system": "http://www.ama-assn.org/go/cpt", "code": "00000"}  # no real code: the product ships none


def configured(screening: Screening, tmp_path: Any, **agreed: Any) -> FlaskClient:
    """The service for a client with which this was agreed."""
    store = open_store(f"sqlite:///{tmp_path / 'd.sqlite'}")
    clients = {"development": Client.model_validate(agreed)}
    return create_app(Deployment((screening,), store, "http://127.0.0.1:8080", True, clients)).test_client()


@pytest.mark.parametrize("orders", [(MRI, PHYSIO), (PHYSIO, MRI)], ids=["the scan first", "the scan last"])
def test_what_is_recorded_is_no_calmer_than_the_card(orders: Any, screening: Screening, tmp_path: Path) -> None:
    """Without low back pain physiotherapy needs nothing, and a scan of the low back is not screened for."""
    store = store_in(tmp_path / "decisions.sqlite")
    theirs = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", True)).test_client()

    (card,) = signed(theirs, response(CALM | {"lbp-present": "no"}), orders=orders)

    assert card["summary"] == SUMMARY["IMG-3"][1]
    assert [row["disposition"] for row in kept(store, decisions)] == ["incomplete"]


def test_a_client_adds_its_own_codes(screening: Screening, tmp_path: Any, client: FlaskClient) -> None:
    own = NamedCode(**CPT, display="CT of the low back, our code")
    theirs = configured(screening, tmp_path, orders={"imaging": [own]})
    scan = order(CPT["system"], CPT["code"])

    (card,) = signed(theirs, response(CALM), orders=(scan,))

    assert "CT of the low back, our code (ServiceRequest/o1)" in card["detail"]
    assert signed(client, response(CALM), orders=(scan,)) == []


def test_an_order_for_another_reason_is_ignored_only_where_the_client_named_every_reason(
    screening: Screening, tmp_path: Any
) -> None:
    other = Coding(system=SNOMED, code="363346000")
    theirs = configured(screening, tmp_path, **{"other-reasons": [other]})
    reason = {"coding": [{"system": SNOMED, "code": "363346000"}]}

    def about(reasons: Any) -> list[str]:
        return topics(signed(theirs, response(ALARM), orders=(MRI | {"reasonCode": reasons},)))

    assert about([reason]) == []
    assert about([reason, BACK_PAIN]) == ["imaging"]
    assert about([reason, {"text": "back"}]) == ["imaging"]
    assert about([]) == ["imaging"]
    assert about(None) == ["imaging"]


def test_the_gp_is_not_advised_to_refer_to_the_gp(screening: Screening, tmp_path: Any, client: FlaskClient) -> None:
    gp = configured(screening, tmp_path, reader="gp")
    body = call("patient-view", {}, response(CALM | {"rf-accident": "minor"}))
    choice = call("patient-view", {}, response(CALM | {"co-trend": "worse"}))

    def labels(one: FlaskClient, sent: dict[str, Any]) -> list[str]:
        return [each["label"] for card in cards_of(post(one, sent)) for each in card.get("suggestions", [])]

    assert labels(client, body) == ["Refer to the GP"]
    assert labels(gp, body) == []
    assert labels(gp, choice) == ["Refer to the physiotherapist, with education", "Education only"]
    assert "selectionBehavior" not in cards_of(post(gp, body))[0]


def test_system_actions_and_choices_go_only_to_clients_that_agreed(
    screening: Screening, tmp_path: Any, client: FlaskClient
) -> None:
    agreed = configured(screening, tmp_path, **{"system-actions": True, "action-selection-behavior": True})
    full = MRI | {
        "extension": [{"url": "https://ehr.example/x", "valueString": "kept"}],
        "supportingInfo": [{"display": "a"}],
    }
    body = call("order-sign", {"draftOrders": bundle(full, BLOOD)}, response(CALM))
    choice = call("patient-view", {}, response(CALM | {"co-trend": "worse"}))

    (action,) = post(agreed, body).get_json()["systemActions"]

    assert (action["type"], bool(action["description"])) == ("update", True)
    assert action["resource"] == full | {
        "supportingInfo": [{"display": "a"}, {"reference": "QuestionnaireResponse/response-1"}]
    }
    annotated = call("order-sign", {"draftOrders": bundle(action["resource"])}, response(CALM))
    assert "systemActions" not in post(agreed, annotated).get_json()
    selected = call("order-select", body["context"] | {"selections": ["ServiceRequest/mri"]}, response(CALM))
    assert topics(cards_of(post(agreed, selected))) == ["imaging"]
    assert "systemActions" not in post(agreed, selected).get_json()
    assert "systemActions" not in post(client, body).get_json()
    chosen = [one.get("actionSelectionBehavior") for one in post(agreed, choice).get_json()["cards"][0]["suggestions"]]
    assert chosen == ["any", "any", None]
    assert "actionSelectionBehavior" not in post(client, choice).text
