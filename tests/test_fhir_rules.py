"""The checker of resources finds what is wrong: every broken copy fails, and the names of its mistakes say why."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.fhir_rules import valid
from tests.samples import ANSWERS, CALM, bundle, response
from tests.test_fhir import Json, get
from tests.wire import ABSENT, changed

Path = tuple[str | int, ...]
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
_CORE = "http://hl7.org/fhir/StructureDefinition"
ONE, AGE = ("item", 1), ("item", 2)  # a choice, and a whole number
HELP = (*ONE, "item", 0)  # a display
CODING = {"system": ANSWERS, "code": "yes"}
FHIRPATH = {"language": "text/fhirpath", "expression": "true"}
WHEN = {"question": "lbp-present", "operator": "=", "answerCoding": CODING}


def extended(name: str, value: Json) -> Json:
    """An extension of SDC or of R4 with this value."""
    return {"url": f"{_SDC if name.startswith('sdc-') else _CORE}/{name}"} | value


# What is broken: where, what stands there instead, and the rule that says no.
BROKEN: dict[str, tuple[str, Path, Any, str]] = {
    "a status that R4 does not have": ("Q-1", ("status",), "activ", "status"),
    "a type that R4 does not have": ("Q-1", (*ONE, "type"), "select", "type"),
    "a boolean as text": ("Q-1", (*ONE, "required"), "true", "required"),
    "a date of another order": ("Q-1", ("date",), "22-11-2026", "date"),
    "an element that R4 does not have": ("Q-1", ("colour",), "red", "colour"),
    "an empty text": ("Q-1", ("publisher",), "", "publisher"),
    "an empty array": ("Q-1", ("contact",), [], "contact"),
    "null": ("Q-1", ("purpose",), None, "purpose"),
    "an extension that nobody knows": ("Q-1", ("extension", 0, "url"), "https://other.example/x", "not known"),
    "an extension on the wrong element": (
        "Q-1",
        ("extension", 0),
        extended("questionnaire-hidden", {"valueBoolean": True}),
        "does not stand on",
    ),
    "an extension with a value and parts": ("Q-1", ("extension", 0, "extension"), [{"url": "x"}], "ext-1"),
    "a name with a blank": ("Q-1", ("name",), "Low Back", "cnl-0"),
    "a url with a bar": ("Q-1", ("url",), "https://other.example/x|1", "cnl-1"),
    "no version algorithm": ("Q-1", ("extension",), ABSENT, "sdc-2"),
    "a linkId twice": ("Q-4", (*AGE, "linkId"), "lbp-present", "que-2"),
    "a linkId that is too long": ("Q-4", (*AGE, "linkId"), "a" * 256, "que-15"),
    "a group without items": ("Q-5", ("item", 9, "type"), "group", "que-1"),
    "a display with items": ("Q-5", (*HELP, "item"), [{"linkId": "x", "type": "string", "text": "x"}], "que-1"),
    "a display with a code": ("Q-5", (*HELP, "code"), [CODING], "que-3"),
    "options and a value set": ("Q-5", (*ONE, "answerValueSet"), "https://other.example/v|1", "que-4"),
    "options of a boolean": ("Q-5", (*ONE, "type"), "boolean", "que-5"),
    "a required display": ("Q-5", (*HELP, "required"), True, "que-6"),
    "a display that repeats": ("Q-5", (*HELP, "repeats"), False, "que-6"),
    "exists without a boolean": (
        "Q-5",
        (*AGE, "enableWhen"),
        [{"question": "lbp-present", "operator": "exists", "answerInteger": 1}],
        "que-7",
    ),
    "an initial value of a display": ("Q-5", (*HELP, "initial"), [{"valueBoolean": True}], "que-8"),
    "a display that is read only": ("Q-5", (*HELP, "readOnly"), True, "que-9"),
    "a length of a choice": ("Q-5", (*ONE, "maxLength"), 3, "que-10"),
    "options and an initial value": ("Q-5", (*ONE, "initial"), [{"valueCoding": CODING}], "que-11"),
    "two conditions and no behavior": ("Q-5", (*AGE, "enableWhen"), [WHEN, WHEN], "que-12"),
    "two initial values": ("Q-5", (*AGE, "initial"), [{"valueInteger": 1}, {"valueInteger": 2}], "que-13"),
    "an answerExpression beside options": (
        "Q-6",
        (*ONE, "extension", 0),
        extended("sdc-questionnaire-answerExpression", {"valueExpression": FHIRPATH}),
        "sdc-1",
    ),
    "an initial value and an expression for it": ("Q-6", (*AGE, "initial"), [{"valueInteger": 1}], "sdc-behave-1"),
    "an expression in a language that SDC lacks": (
        "Q-6",
        (*AGE, "extension", 2, "valueExpression", "language"),
        "text/javascript",
        "language",
    ),
    "an expression that says nothing": (
        "Q-6",
        (*AGE, "extension", 2, "valueExpression", "expression"),
        ABSENT,
        "exp-1",
    ),
    "an extracted display": (
        "Q-6",
        (*HELP, "extension"),
        [extended("sdc-questionnaire-observationExtract", {"valueBoolean": True})],
        "sdc-obsn-1",
    ),
    "a launch context of another type": ("Q-6", ("extension", 2, "extension", 1, "valueCode"), "Device", "sdc-lcext-1"),
    "a launch context without its type": ("Q-6", ("extension", 2, "extension", 1), ABSENT, "lacks type"),
    "a limit of the answers and no options": (
        "Q-6",
        (*AGE, "extension", 2),
        {
            "url": "http://hl7.org/fhir/5.0/StructureDefinition/extension-Questionnaire.item.answerConstraint",
            "valueCode": "optionsOnly",
        },
        "que-14",
    ),
    "a condition on no question": ("Q-7", (*AGE, "enableWhen"), [WHEN | {"question": "nope"}], "no item before"),
    "a condition on the item itself": ("Q-7", (*AGE, "enableWhen"), [WHEN | {"question": "age"}], "the item itself"),
    "a condition on an item below": ("Q-7", (*AGE, "enableWhen"), [WHEN | {"question": "age-help"}], "below it"),
    "a condition on a later item": ("Q-7", (*AGE, "enableWhen"), [WHEN | {"question": "rf-saddle"}], "no item before"),
    "a drawing as text": (
        "Q-11",
        (*ONE, "extension", 0),
        extended("questionnaire-itemControl", {"valueString": "radio-button"}),
        "its value is no",
    ),
    "a drawing that HL7 does not have": (
        "Q-11",
        (*ONE, "extension", 0, "valueCodeableConcept", "coding", 0, "code"),
        "radio",
        "is no code of",
    ),
    "hidden as text": (
        "Q-11",
        (*ONE, "extension", 0),
        extended("questionnaire-hidden", {"valueString": "true"}),
        "its value is no",
    ),
    "one option": ("Q-12", (*ONE, "answerOption"), [{"valueCoding": CODING}], "one option"),
    "an option twice": ("Q-12", (*ONE, "answerOption"), [{"valueCoding": CODING}] * 2, "offered twice"),
    "no options": ("Q-12", (*ONE, "answerOption"), ABSENT, "no options"),
    "options and a limit of the value": (
        "Q-12",
        (*ONE, "extension", 0),
        extended("minValue", {"valueInteger": 1}),
        "options and limits",
    ),
}


def _breaks(form: Json, path: Path, value: Any, rule: str) -> None:
    assert valid(form) == []
    mistakes = valid(changed(form, path, value))
    assert [one for one in mistakes if rule in one], mistakes


def _rows(*rows: str) -> pytest.MarkDecorator:
    chosen = {name: case[1:] for name, case in BROKEN.items() if case[0] in rows}
    assert chosen, rows
    return pytest.mark.parametrize(("path", "value", "rule"), chosen.values(), ids=chosen)


@pytest.fixture(name="form")
def _form(client: FlaskClient) -> Json:
    return get(client, "Questionnaire/low-back-pain")


@pytest.mark.requirement("Q-1")
@_rows("Q-1")
def test_a_form_that_breaks_r4_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


@pytest.mark.requirement("Q-4")
@_rows("Q-4")
def test_a_form_with_a_wrong_link_id_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


@pytest.mark.requirement("Q-5")
@_rows("Q-5")
def test_a_form_that_breaks_an_invariant_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


@pytest.mark.requirement("Q-6")
@_rows("Q-6")
def test_a_form_that_breaks_an_invariant_of_sdc_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


@pytest.mark.requirement("Q-7")
@_rows("Q-7")
def test_a_form_with_a_condition_on_a_wrong_item_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


@pytest.mark.requirement("Q-11")
@_rows("Q-11")
def test_a_form_that_is_drawn_wrongly_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


@pytest.mark.requirement("Q-12")
@_rows("Q-12")
def test_a_form_with_wrong_options_is_not_valid(form: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(form, path, value, rule)


def test_both_ways_to_show_an_item_at_once_are_not_valid(form: Json) -> None:
    shown = next(index for index, item in enumerate(form["item"]) if "enableWhen" in item)
    extension = extended("sdc-questionnaire-enableWhenExpression", {"valueExpression": FHIRPATH})
    _breaks(form, ("item", shown, "extension", 0), extension, "sdc-behave-2")


_UUID = "urn:uuid:7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11"
RESPONSE = response(CALM)
OUTCOME = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "invalid", "diagnostics": "x"}]}
FOUND = bundle(RESPONSE) | {"total": 1, "link": [{"relation": "self", "url": "https://other.example/fhir/x"}]}
FOUND["entry"][0] |= {
    "fullUrl": "https://other.example/fhir/QuestionnaireResponse/response-1",
    "search": {"mode": "match"},
}
OBSERVATION = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "x"},
    "effectiveDateTime": "2026-11-22T10:00:00Z",
    "subject": {"reference": "Patient/p1"},
    "derivedFrom": [{"reference": _UUID}],
    "valueInteger": 3,
}
TRANSACTION = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [{"fullUrl": _UUID, "resource": OBSERVATION, "request": {"method": "POST", "url": "Observation"}}],
}
GROUP = {
    "resourceType": "RequestGroup",
    "status": "active",
    "intent": "proposal",
    "contained": [{"resourceType": "Task", "id": "t1", "status": "draft", "intent": "proposal"}],
    "action": [{"title": "x", "action": [{"resource": {"reference": "#t1"}}]}],
}
PARAMETERS = {"resourceType": "Parameters", "parameter": [{"name": "return", "valueBoolean": True}]}
# A resource of ours, what is broken in it, and the rule that says no.
OTHERS: dict[str, tuple[Json, Path, Any, str]] = {
    "a response of no status": (RESPONSE, ("status",), ABSENT, "status"),
    "a response by a device that is none": (RESPONSE, ("author",), {"reference": "Medication/1"}, "author"),
    "a response of a wrong reference": (RESPONSE, ("subject",), {"reference": "p1"}, "reference"),
    "a response with items beside an answer": (RESPONSE, ("item", 0, "item"), [{"linkId": "x"}], "qrs-1"),
    "a time without a zone": (RESPONSE, ("authored",), "2026-11-22T10:00:00", "authored"),
    "an id with a blank": (RESPONSE, ("id",), "a b", "id"),
    "an outcome of no severity": (OUTCOME, ("issue", 0, "severity"), "bad", "severity"),
    "an outcome of no code": (OUTCOME, ("issue", 0, "code"), "wrong", "code"),
    "an outcome of nothing": (OUTCOME, ("issue",), [], "issue"),
    "a searchset without a self link": (FOUND, ("link",), ABSENT, "links to itself"),
    "a searchset without modes": (FOUND, ("entry", 0, "search"), ABSENT, "bdl-2"),
    "a relative fullUrl": (FOUND, ("entry", 0, "fullUrl"), "QuestionnaireResponse/response-1", "absolute"),
    "a fullUrl of another": (FOUND, ("entry", 0, "fullUrl"), "https://other.example/fhir/Task/1", "differ"),
    "a fullUrl of a version": (FOUND, ("entry", 0, "fullUrl"), "https://other.example/Task/1/_history/1", "bdl-8"),
    "a resource without id in a searchset": (FOUND, ("entry", 0, "resource", "id"), ABSENT, "no id"),
    "a fault in an entry": (FOUND, ("entry", 0, "resource", "status"), "done", "status"),
    "a transaction with a total": (TRANSACTION, ("total",), 1, "bdl-1"),
    "a transaction without requests": (TRANSACTION, ("entry", 0, "request"), ABSENT, "bdl-3"),
    "a request of a wrong method": (TRANSACTION, ("entry", 0, "request", "method"), "SEND", "method"),
    "an observation of no known status": (OBSERVATION, ("status",), "done", "status"),
    "a value and why there is none": (OBSERVATION, ("dataAbsentReason",), {"text": "x"}, "obs-6"),
    "an action with a resource and actions": (GROUP, ("action", 0, "resource"), {"reference": "#t1"}, "rqg-1"),
    "a reference to what is not contained": (GROUP, ("contained",), ABSENT, "ref-1"),
    "something contained that nobody names": (GROUP, ("contained", 0, "id"), "t2", "dom-3"),
    "a contained resource with a version": (GROUP, ("contained", 0, "meta"), {"versionId": "1"}, "dom-4"),
    "a priority that R4 does not have": (GROUP, ("priority",), "critical", "priority"),
    "a parameter with two values": (PARAMETERS, ("parameter", 0, "valueString"), "x", "value"),
    "a parameter with nothing": (PARAMETERS, ("parameter", 0, "valueBoolean"), ABSENT, "inv-1"),
    "a modifier extension": (
        OBSERVATION,
        ("modifierExtension",),
        [{"url": "https://other.example/x", "valueBoolean": True}],
        "modifierExtension",
    ),
}


@pytest.mark.requirement("R-12")
@pytest.mark.parametrize(("resource", "path", "value", "rule"), OTHERS.values(), ids=OTHERS)
def test_a_resource_that_breaks_r4_is_not_valid(resource: Json, path: Path, value: Any, rule: str) -> None:
    _breaks(resource, path, value, rule)


@pytest.mark.parametrize("nothing", [None, [], "x", {}, {"resourceType": "Patients"}])
def test_what_is_no_resource_is_not_valid(nothing: Any) -> None:
    assert valid(nothing) != []
