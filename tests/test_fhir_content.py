"""The form as SDC means it: what fills it in beforehand, its limits, its narrative, and what a version of it is."""

import json
from collections.abc import Iterator
from copy import deepcopy
from hashlib import sha256
from typing import Any

import pytest
from fhirpathpy import evaluate
from flask.testing import FlaskClient

from tests.conftest import Ask
from tests.fhir_invariants import extensions, items_of
from tests.fhir_rules import valid
from tests.samples import BASE, CALM, FORM, born, call, patient, response
from tests.test_fhir import Json, get, published
from tests.wire import changed

# What a response means depends on: one fingerprint for each version that was ever published. To change what it covers,
# give the form another version, add its line here, and keep the old version readable: its line stays.
VERSIONS = {f"{FORM}|1.0.0": "99198b4f759e7e56d0176851f386d992aeb120232f014482aa1250f5fd485260"}
LANGUAGES = ["nl", "en"]


def _meaning(parent: Json) -> Iterator[Json]:
    """What the answers to the items below `parent` mean: no rendering, population or extraction."""
    kept = ("linkId", "type", "text", "_text", "required", "repeats", "enableWhen", "enableBehavior", "maxLength")
    for item in parent.get("item", []):
        said = {name: item[name] for name in (*kept, "code", "answerOption", "answerValueSet") if name in item}
        limits = [one for name in ("/minValue", "/maxValue", "/regex") for one in extensions(item, name)]
        yield said | {"limits": limits, "item": list(_meaning(item))}


def fingerprint(form: Json) -> str:
    """The same for two forms whose responses mean the same."""
    written = json.dumps(list(_meaning(form)), sort_keys=True, ensure_ascii=False)
    return sha256(written.encode()).hexdigest()


@pytest.mark.requirement("Q-21")
@pytest.mark.parametrize(("canonical", "frozen"), VERSIONS.items())
def test_a_published_version_stays_readable_and_keeps_its_meaning(
    client: FlaskClient, canonical: str, frozen: str
) -> None:
    url, _, version = canonical.partition("|")
    bundle = get(client, f"Questionnaire?url={url}&version={version}")
    assert [fingerprint(entry["resource"]) for entry in bundle["entry"]] == [frozen], "give the form another version"


@pytest.mark.requirement("Q-21")
def test_the_form_that_is_served_is_a_frozen_version(client: FlaskClient) -> None:
    form = get(client, "Questionnaire/low-back-pain")
    assert VERSIONS.get(f"{form['url']}|{form['version']}") == fingerprint(form)


MEANT: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "the words of a question": (("item", 1, "text"), "Heb je pijn in je nek?"),
    "its type": (("item", 1, "type"), "boolean"),
    "whether it must be answered": (("item", 1, "required"), False),
    "an option": (("item", 1, "answerOption", 0, "valueCoding", "code"), "maybe"),
    "the words of an option": (("item", 1, "answerOption", 0, "valueCoding", "display"), "Misschien"),
    "its linkId": (("item", 1, "linkId"), "lbp"),
    "its code": (("item", 1, "code", 0, "code"), "lbp"),
    "a limit": (("item", 2, "extension", 1, "valueInteger"), 130),
}
NOT_MEANT: dict[str, tuple[tuple[str | int, ...], Any]] = {
    "how it is drawn": (("item", 1, "extension", 0, "valueCodeableConcept", "coding", 0, "code"), "drop-down"),
    "what fills it in beforehand": (("item", 2, "extension", 2, "valueExpression", "expression"), "1"),
    "what is extracted": (("extension", 3, "valueBoolean"), False),
    "its title": (("title",), "Rugpijn"),
}


@pytest.mark.requirement("Q-21")
@pytest.mark.parametrize(("path", "value"), MEANT.values(), ids=MEANT)
def test_a_change_of_meaning_changes_the_fingerprint(
    client: FlaskClient, path: tuple[str | int, ...], value: Any
) -> None:
    form = get(client, "Questionnaire/low-back-pain")
    assert fingerprint(changed(form, path, value)) != fingerprint(form)


@pytest.mark.requirement("Q-21")
@pytest.mark.parametrize(("path", "value"), NOT_MEANT.values(), ids=NOT_MEANT)
def test_a_change_of_something_else_does_not(client: FlaskClient, path: tuple[str | int, ...], value: Any) -> None:
    form = get(client, "Questionnaire/low-back-pain")
    assert changed(form, path, value) != form
    assert fingerprint(changed(form, path, value)) == fingerprint(form)


@pytest.mark.requirement("Q-21")
def test_every_reference_to_a_value_set_or_code_system_names_its_version(client: FlaskClient) -> None:
    for value_set in published(client, "ValueSet"):
        assert all("version" in part for part in value_set["compose"]["include"]), value_set["id"]
    form = get(client, "Questionnaire/low-back-pain")
    assert all("|" in item.get("answerValueSet", "|") for item in items_of(form))


@pytest.mark.requirement("Q-8")
def test_a_question_asks_one_thing(client: FlaskClient) -> None:
    form = get(client, "Questionnaire/low-back-pain")
    codes = {
        item["linkId"]: [one["code"] for one in item["code"] if one["system"].startswith(BASE)]
        for item in items_of(form)
        if item["type"] != "display"
    }
    assert codes == {link_id: [link_id] for link_id in codes}


# The sheet's rule of four parts, and its reason on the card; the rest is as in a calm patient.
FOUR: dict[str, Any] = {"age": 60, "rf-cancer": "yes", "rf-unwell": "yes", "rf-clear-cause": "no"}
OTHERWISE: dict[str, Any] = {"age": 40, "rf-cancer": "no", "rf-unwell": "no", "rf-clear-cause": "yes"}
REASON = "over 50, cancer now or before, unwell, and pain without a clear cause"


def _details(ask: Ask, answers: dict[str, Any]) -> str:
    asked = {**CALM, **answers} | ({"rf-fever": "no"} if answers["rf-unwell"] == "yes" else {})
    in_order = {name: asked[name] for name in [*list(CALM), "age", "rf-fever"] if name in asked}
    return " ".join(card["detail"] for card in ask(call(response(in_order), about=patient(None)), "en"))


@pytest.mark.requirement("Q-8")
def test_the_four_parts_of_a_rule_are_four_questions(ask: Ask) -> None:
    assert REASON in _details(ask, FOUR)
    for link_id in FOUR:
        assert REASON not in _details(ask, FOUR | {link_id: OTHERWISE[link_id]}), f"without {link_id}"
        assert REASON not in _details(ask, OTHERWISE | {link_id: FOUR[link_id]}), f"{link_id} alone"


@pytest.mark.requirement("Q-12")
def test_a_choice_offers_2_to_20_options_itself(client: FlaskClient) -> None:
    for item in items_of(get(client, "Questionnaire/low-back-pain")):
        if item["type"] == "choice":
            assert 2 <= len(item["answerOption"]) <= 20, item["linkId"]
            assert "answerValueSet" not in item, item["linkId"]


AGES = {-1: True, 0: False, 1: False, 119: False, 120: False, 121: True}


@pytest.mark.requirement("Q-13")
@pytest.mark.parametrize(("age", "out_of_range"), AGES.items())
def test_an_age_beyond_its_limits_is_named(client: FlaskClient, age: int, out_of_range: bool) -> None:
    in_order = {"lbp-present": "yes", "age": age, **CALM}
    body = client.post("/fhir/QuestionnaireResponse/$validate", json=response(in_order)).get_json()
    named = [one for one in body["issue"] if "item[1]" in str(one.get("expression"))]
    assert bool(named) == out_of_range, body


@pytest.mark.requirement("Q-16")
def test_the_form_names_the_patient_as_its_launch_context(client: FlaskClient) -> None:
    (context,) = extensions(get(client, "Questionnaire/low-back-pain"), "-launchContext")
    (name,), types = extensions(context, "name"), extensions(context, "type")
    system = "http://hl7.org/fhir/uv/sdc/CodeSystem/launchContext"
    assert (name["valueCoding"]["system"], name["valueCoding"]["code"]) == (system, "patient")
    assert [one["valueCode"] for one in types] == ["Patient"]


def _expression(form: Json) -> str:
    (age,) = [item for item in items_of(form) if item["linkId"] == "age"]
    (said,) = extensions(age, "-initialExpression")
    assert said["valueExpression"]["language"] == "text/fhirpath"
    return str(said["valueExpression"]["expression"])


def _populated(client: FlaskClient, about: Json) -> list[Any]:
    """The age that $populate fills in, if any, for this Patient as launch context."""
    context = [{"name": "name", "valueString": "patient"}, {"name": "content", "resource": about}]
    parameters = [
        {"name": "subject", "valueReference": {"reference": "Patient/p1"}},
        {"name": "context", "part": context},
    ]
    body = {"resourceType": "Parameters", "parameter": parameters}
    answer = client.post("/fhir/Questionnaire/low-back-pain/$populate", json=body)
    assert answer.status_code == 200, answer.text
    (filled,) = [one["resource"] for one in answer.get_json()["parameter"] if one["name"] == "response"]
    return [
        one["valueInteger"] for item in items_of(filled) if item["linkId"] == "age" for one in item.get("answer", [])
    ]


BORN: dict[str, tuple[Json, list[int]]] = {
    "on their birthday": (patient(birthDate=born(50)), [50]),
    "the day before it": (patient(birthDate=born(50, days=-1)), [49]),
    "the day after it": (patient(birthDate=born(50, days=1)), [50]),
    "born this day": (patient(birthDate=born(0)), [0]),
    "only the year known": (patient(birthDate=born(50)[:4]), []),
    "only the month known": (patient(birthDate=born(50)[:7]), []),
    "no birth date": (patient(None), []),
}


@pytest.mark.requirement("Q-16")
@pytest.mark.parametrize(("about", "age"), BORN.values(), ids=BORN)
def test_populate_fills_in_the_age_that_the_forms_own_expression_gives(
    client: FlaskClient, about: Json, age: list[int]
) -> None:
    expression = _expression(get(client, "Questionnaire/low-back-pain"))
    assert evaluate({}, expression, {"patient": about}) == age
    if "birthDate" not in about or len(about["birthDate"]) == 10:
        assert _populated(client, about) == age


@pytest.mark.requirement("Q-18")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_narrative_lists_every_question_with_its_options_in_the_language_served(
    client: FlaskClient, language: str
) -> None:
    form = get(client, "Questionnaire/low-back-pain", language)
    said = form["text"]["div"].replace("&#x27;", "'").replace("&quot;", '"').replace("&amp;", "&")
    assert form["text"]["status"] == "generated"
    assert f'lang="{language}"' in said
    for item in items_of(form):
        assert item["linkId"] in said
        assert item["text"] in said
        for option in item.get("answerOption", []):
            assert option["valueCoding"]["display"] in said


BAD_NARRATIVES = {
    "a script": "<p><script>alert(1)</script></p>",
    "a style": "<style>p {color: red}</style><p>x</p>",
    "a form": "<form><p>x</p></form>",
    "an input": "<p>x<input/></p>",
    "an event": '<p onclick="x()">x</p>',
    "a link that runs": '<a href="javascript:x()">x</a>',
    "a picture from elsewhere": '<p>x<img src="https://other.example/x.png"/></p>',
    "nothing": "<p> </p>",
    "an open tag": "<p>x",
}


@pytest.mark.requirement("Q-18")
@pytest.mark.parametrize("inner", BAD_NARRATIVES.values(), ids=BAD_NARRATIVES)
def test_a_narrative_that_is_active_or_empty_is_not_valid(client: FlaskClient, inner: str) -> None:
    form = deepcopy(get(client, "Questionnaire/low-back-pain"))
    assert valid(form) == []
    form["text"]["div"] = f'<div xmlns="http://www.w3.org/1999/xhtml">{inner}</div>'
    assert [one for one in valid(form) if "txt-" in one or "div" in one]
