"""The published form and its code systems are those of the clinical specification, in both languages."""

import json
import re
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.samples import ANSWERS, BASE
from tests.test_fhir import KINDS, Json, get, published
from tests.test_fhir_language import in_both, wordings
from tests.wire import objects

pytestmark = pytest.mark.timeless  # nothing in it is dated

SPECIFIED: list[Json] = json.loads((Path(__file__).parent / "clinical" / "items.json").read_text("utf-8"))
QUESTIONS = [one for one in SPECIFIED if one["type"] != "display"]
CHOICES = [one for one in SPECIFIED if one["options"]]
FOLLOW_UPS = {
    "rf-leg-sides": ("rf-leg", ["numbness", "weakness", "both"]),
    "rf-leg-progress": ("rf-leg", ["numbness", "weakness", "both"]),
    "rf-fever": ("rf-unwell", ["yes", "unknown"]),
}
CORE = "http://hl7.org/fhir/StructureDefinition"
LANGUAGES = ["nl", "en"]


def _by_id(specified: list[Json]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("specified", specified, ids=[one["linkId"] for one in specified])


def _form(client: FlaskClient, language: str = "nl") -> Json:
    return get(client, "Questionnaire/low-back-pain", language)


def _items(form: Json) -> list[Json]:
    """Every item of the form in its order, help included."""
    return [one for one in objects(form["item"]) if "linkId" in one]


def _item(client: FlaskClient, link_id: str, language: str = "nl") -> Json:
    (found,) = [one for one in _items(_form(client, language)) if one["linkId"] == link_id]
    return found


def _extensions(element: Json, url: str) -> list[Json]:
    return [one for one in element.get("extension", []) if one["url"] == url]


def _control(item: Json) -> list[tuple[str, str]]:
    controls = _extensions(item, f"{CORE}/questionnaire-itemControl")
    return [(coding["system"], coding["code"]) for one in controls for coding in one["valueCodeableConcept"]["coding"]]


def _is_help(item: Json) -> bool:
    return _control(item) == [("http://hl7.org/fhir/questionnaire-item-control", "help")]


def _codes(client: FlaskClient, name: str, language: str = "nl") -> dict[str, Json]:
    """The concepts of a CodeSystem by code."""
    system = get(client, f"CodeSystem/low-back-pain-{name}", language)
    concepts = {concept["code"]: concept for concept in system["concept"]}
    assert len(concepts) == len(system["concept"]) == system.get("count", len(concepts))
    return concepts


def test_the_items_are_those_specified_in_their_order(client: FlaskClient) -> None:
    asked = [one["linkId"] for one in _items(_form(client)) if not _is_help(one)]
    assert asked == [one["linkId"] for one in SPECIFIED]


@pytest.mark.requirement("Q-4")
def test_link_ids_are_unique_and_short(client: FlaskClient) -> None:
    link_ids = [one["linkId"] for one in _items(_form(client))]
    assert len(set(link_ids)) == len(link_ids)
    assert [one for one in link_ids if len(one) > 255] == []


@_by_id(SPECIFIED)
def test_an_item_has_the_specified_type_and_is_required_as_specified(client: FlaskClient, specified: Json) -> None:
    item = _item(client, specified["linkId"])
    kind, _, repeats = specified["type"].partition(" ")
    assert item["type"] == kind
    assert item.get("repeats", False) == (repeats == "(repeats)")
    assert item.get("required", False) == (specified["required"] == "yes")
    assert not (kind == "display" and {"required", "repeats", "code", "readOnly"} & set(item))


@pytest.mark.requirement("Q-10")
@pytest.mark.parametrize("language", LANGUAGES)
@_by_id(SPECIFIED)
def test_an_item_has_the_specified_text(client: FlaskClient, specified: Json, language: str) -> None:
    item = _item(client, specified["linkId"], language)
    assert in_both(item, "text", language) == {"nl": specified["text_nl"], "en": specified["text_en"]}


@pytest.mark.requirement("Q-10", "Q-12")
@pytest.mark.parametrize("language", LANGUAGES)
@_by_id(SPECIFIED)
def test_an_item_offers_the_specified_options(client: FlaskClient, specified: Json, language: str) -> None:
    codings = [one["valueCoding"] for one in _item(client, specified["linkId"], language).get("answerOption", [])]
    offered = [{"code": one["code"], **in_both(one, "display", language)} for one in codings]
    wanted = [{name: text.removesuffix(" (exclusive)") for name, text in one.items()} for one in specified["options"]]
    assert offered == wanted
    assert {one["system"] for one in codings} <= {ANSWERS}


@pytest.mark.requirement("Q-11")
@pytest.mark.parametrize("language", LANGUAGES)
@_by_id(SPECIFIED)
def test_an_item_has_the_specified_help_below_it(client: FlaskClient, specified: Json, language: str) -> None:
    below = _item(client, specified["linkId"], language).get("item", [])
    wanted = [dict(zip(LANGUAGES, specified["help"].split(" / "), strict=True))] if specified["help"] else []
    assert [in_both(one, "text", language) for one in below] == wanted
    assert all(_is_help(one) and one["type"] == "display" for one in below)


@pytest.mark.requirement("Q-7")
@_by_id(SPECIFIED)
def test_an_item_is_shown_when_specified(client: FlaskClient, specified: Json) -> None:
    item = _item(client, specified["linkId"])
    parent, codes = FOLLOW_UPS.get(specified["linkId"], ("", []))
    written = specified["enableWhen"]
    assert written == (f"{parent} in {{{', '.join(codes)}}}" if parent else "")
    assert item.get("enableWhen", []) == [
        {"question": parent, "operator": "=", "answerCoding": {"system": ANSWERS, "code": code}} for code in codes
    ]
    assert item.get("enableBehavior") == ("any" if parent else None)


@pytest.mark.requirement("Q-11")
@_by_id(QUESTIONS)
def test_a_question_is_drawn_as_its_type_asks(client: FlaskClient, specified: Json) -> None:
    control = {"choice": ["radio-button"], "choice (repeats)": ["check-box"], "integer": []}[specified["type"]]
    drawn = _control(_item(client, specified["linkId"]))
    assert drawn == [("http://hl7.org/fhir/questionnaire-item-control", code) for code in control]


@pytest.mark.requirement("Q-9")
@_by_id(QUESTIONS)
def test_the_code_of_a_question_stands_in_the_code_system_that_is_served(client: FlaskClient, specified: Json) -> None:
    served = {system["url"]: system for system in published(client, "CodeSystem")}
    own = [one for one in _item(client, specified["linkId"])["code"] if one["system"].startswith(BASE)]
    assert own
    for coding in own:
        concepts = {one["code"]: one for one in served[coding["system"]]["concept"]}
        assert coding["display"] == concepts[coding["code"]]["display"]


@pytest.mark.parametrize("language", LANGUAGES)
@_by_id(CHOICES)
def test_every_option_stands_in_the_code_system_of_answers_as_it_is_worded(
    client: FlaskClient, specified: Json, language: str
) -> None:
    concepts = _codes(client, "answers", language)
    for option in specified["options"]:
        called = wordings(concepts[option["code"]], language)
        assert option["nl"].removesuffix(" (exclusive)") in called["nl"]
        assert option["en"].removesuffix(" (exclusive)") in called["en"]


def test_the_code_system_of_answers_holds_nothing_that_is_not_offered(client: FlaskClient) -> None:
    assert set(_codes(client, "answers")) == {option["code"] for one in CHOICES for option in one["options"]}


@pytest.mark.requirement("Q-13")
def test_only_none_and_unknown_of_rf_other_exclude_the_other_options(client: FlaskClient) -> None:
    url = f"{CORE}/questionnaire-optionExclusive"
    exclusive = [
        (item["linkId"], option["valueCoding"]["code"], *(one["valueBoolean"] for one in _extensions(option, url)))
        for item in _items(_form(client))
        for option in item.get("answerOption", [])
        if _extensions(option, url)
    ]
    assert exclusive == [("rf-other", "none", True), ("rf-other", "unknown", True)]


def test_nothing_is_filled_in_or_chosen_beforehand_but_the_age_from_the_record(client: FlaskClient) -> None:
    names = {name for one in objects(_form(client)) for name in one}
    assert [name for name in names if name.lower().startswith("initial")] == []
    urls = {item["linkId"]: [one["url"] for one in item.get("extension", [])] for item in _items(_form(client))}
    assert [link_id for link_id, found in urls.items() if "initial" in str(found).lower()] == ["age"]


@pytest.mark.requirement("Q-13")
def test_age_is_a_whole_number_from_0_to_120(client: FlaskClient) -> None:
    age = _item(client, "age")
    limits = {name: _extensions(age, f"{CORE}/{name}") for name in ("minValue", "maxValue")}
    assert {name: [one["valueInteger"] for one in found] for name, found in limits.items()} == {
        "minValue": [0],
        "maxValue": [120],
    }


@pytest.mark.requirement("Q-3")
@pytest.mark.parametrize(
    "url",
    [
        "http://hl7.org/fhir/5.0/StructureDefinition/extension-Questionnaire.versionAlgorithm[x]",
        "http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm",
    ],
)
def test_versions_of_the_form_are_compared_as_semver(client: FlaskClient, url: str) -> None:
    (extension,) = _extensions(_form(client), url)
    coding = extension["valueCoding"]
    assert (coding["system"], coding["code"]) == ("http://hl7.org/fhir/version-algorithm", "semver")


@pytest.mark.requirement("Q-2")
def test_the_form_is_about_a_patient_and_claims_the_sdc_profile(client: FlaskClient) -> None:
    form = _form(client)
    assert form["subjectType"] == ["Patient"]
    assert "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire" in form["meta"]["profile"]


def test_the_form_says_that_it_is_no_certified_medical_device(client: FlaskClient) -> None:
    assert "geen gecertificeerd medisch hulpmiddel" in _form(client, "nl")["description"]
    assert "not a certified medical device" in _form(client, "en")["description"]


@pytest.mark.requirement("Q-2")
@pytest.mark.parametrize("kind", KINDS)
def test_everything_published_says_what_it_is(client: FlaskClient, kind: str) -> None:
    for resource in published(client, kind):
        assert re.fullmatch(r"[A-Z][A-Za-z0-9_]{1,254}", resource["name"]), resource["id"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", resource["version"]), resource["id"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", resource["date"]), resource["id"]
        assert resource["status"] in ("draft", "active"), resource["id"]
        assert isinstance(resource["experimental"], bool), resource["id"]
        assert all(resource[name].strip() for name in ("title", "publisher", "description")), resource["id"]


@pytest.mark.requirement("Q-2")
def test_a_name_belongs_to_one_resource(client: FlaskClient) -> None:
    names = [resource["name"] for kind in KINDS for resource in published(client, kind)]
    assert len(set(names)) == len(names)


def test_the_topics_are_the_dispositions_of_the_design_imaging_and_the_offer_of_the_form(client: FlaskClient) -> None:
    assert list(_codes(client, "dispositions")) == [
        "emergency-now",
        "doctor-same-day",
        "doctor-soon",
        "doctor-advice",
        "incomplete",
        "physio-or-doctor",
        "self-care",
        "not-applicable",
        "imaging",
        "form-offer",
    ]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ["dispositions", "override-reasons"])
def test_dispositions_and_override_reasons_are_worded_in_both_languages(
    client: FlaskClient, name: str, language: str
) -> None:
    for code, concept in _codes(client, name, language).items():
        called = wordings(concept, language)
        assert set(called) == {"nl", "en"}, code
        assert called["nl"] != called["en"], code


def test_code_systems_and_value_sets_name_each_other(client: FlaskClient) -> None:
    systems = {system["url"]: system for system in published(client, "CodeSystem")}
    sets = {value_set["url"]: value_set for value_set in published(client, "ValueSet")}
    assert {system["valueSet"] for system in systems.values()} == set(sets)
    for value_set in sets.values():
        for include in value_set["compose"]["include"]:
            assert include["version"] == systems[include["system"]]["version"]
    assert {system["content"] for system in systems.values()} == {"complete"}
