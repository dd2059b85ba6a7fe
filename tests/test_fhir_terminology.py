"""Terminology: what is in the value sets and code systems of this server, by $expand, $validate-code and $lookup."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.fhir_invariants import items_of
from tests.fhir_rules import valid
from tests.samples import ANSWERS, BASE
from tests.test_fhir import Json, get, published
from tests.wire import refusal_of

pytestmark = pytest.mark.timeless  # nothing in it is dated

SET = f"{BASE}/ValueSet/low-back-pain-answers"
BY_ID = "ValueSet/low-back-pain-answers"
SNOMED = "http://snomed.info/sct"


def parameters(**named: Any) -> Json:
    """Parameters of these names; a value is ready-made content, or a text with the name of its type before it."""
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": name.replace("_", "-"), **value} for name, value in named.items()],
    }


def expanded(client: FlaskClient, query: str = "", language: str = "nl") -> Json:
    """The expansion of the answers; fails unless the value set is valid."""
    value_set = get(client, f"{BY_ID}/$expand?{query}", language)
    assert valid(value_set) == []
    assert "compose" not in value_set
    found: Json = value_set["expansion"]
    return found


def _offered(client: FlaskClient) -> set[str]:
    """The codes that the form offers as answers."""
    form = get(client, "Questionnaire/low-back-pain")
    options = [option["valueCoding"] for item in items_of(form) for option in item.get("answerOption", [])]
    assert {one["system"] for one in options} == {ANSWERS}
    return {one["code"] for one in options}


@pytest.mark.requirement("S-3")
def test_the_expansion_of_the_answers_is_what_the_form_offers(client: FlaskClient) -> None:
    found = expanded(client)
    codes = [one["code"] for one in found["contains"]]
    assert set(codes) == _offered(client)
    assert found["total"] == len(codes) == len(set(codes))
    assert {(one["system"], one["version"]) for one in found["contains"]} == {(ANSWERS, "1.0.0")}
    assert found["identifier"].startswith("urn:uuid:")


@pytest.mark.requirement("S-3")
def test_every_value_set_can_be_expanded_and_each_of_its_codes_is_valid(client: FlaskClient) -> None:
    for value_set in published(client, "ValueSet"):
        found = get(client, f"ValueSet/{value_set['id']}/$expand")["expansion"]
        assert found["contains"]
        for one in found["contains"]:
            address = f"ValueSet/{value_set['id']}/$validate-code?system={one['system']}&code={one['code']}"
            assert _said(get(client, address))["result"] is True


@pytest.mark.requirement("S-3")
def test_a_value_set_is_expanded_by_its_url_and_by_post_as_by_its_id(client: FlaskClient) -> None:
    by_id = expanded(client)["contains"]
    body = parameters(url={"valueUri": SET}, valueSetVersion={"valueString": "1.0.0"})
    by_post = client.post("/fhir/ValueSet/$expand", json=body).get_json()
    assert by_post["expansion"]["contains"] == by_id
    for query in (f"url={SET}", f"url={SET}|1.0.0", f"url={SET}&valueSetVersion=1.0.0"):
        assert get(client, f"ValueSet/$expand?{query}")["expansion"]["contains"] == by_id
    for query in (f"url={SET}|2.0.0", f"url={SET}&valueSetVersion=2.0.0", f"url={ANSWERS}", "url=https://o.example/x"):
        refusal_of(client.get(f"/fhir/ValueSet/$expand?{query}"), 404)


@pytest.mark.requirement("S-3")
@pytest.mark.parametrize(("spoken", "display"), {"nl": "Weet ik niet", "en": "I don't know"}.items())
def test_displays_are_in_the_language_that_is_asked_for(client: FlaskClient, spoken: str, display: str) -> None:
    by_header = expanded(client, language=spoken)["contains"]
    assert expanded(client, f"displayLanguage={spoken}-NL", language="nl")["contains"] == by_header
    assert {one["code"]: one["display"] for one in by_header}["unknown"] == display


@pytest.mark.requirement("S-3")
def test_an_expansion_can_be_filtered_and_read_in_pages(client: FlaskClient) -> None:
    whole = [one["code"] for one in expanded(client)["contains"]]
    pages = [expanded(client, f"count=5&offset={start}") for start in range(0, len(whole), 5)]
    assert [one["code"] for page in pages for one in page["contains"]] == whole
    assert {page["total"] for page in pages} == {len(whole)}
    assert "contains" not in expanded(client, "count=0")
    assert {one["code"] for one in expanded(client, "filter=WEET IK")["contains"]} == {"unknown"}
    assert expanded(client, "filter=nothing like it") | {"identifier": "", "timestamp": ""} == {
        "identifier": "",
        "timestamp": "",
        "total": 0,
    }


@pytest.mark.requirement("S-3")
def test_designations_are_given_on_request(client: FlaskClient) -> None:
    assert not any("designation" in one for one in expanded(client)["contains"])
    found = {one["code"]: one["designation"] for one in expanded(client, "includeDesignations=true")["contains"]}
    assert {"language": "en", "value": "I don't know"} in found["unknown"]


def _said(body: Json) -> Json:
    assert valid(body) == []
    return {one["name"]: next(value for name, value in one.items() if name != "name") for one in body["parameter"]}


YES = {"system": ANSWERS, "code": "yes"}
# The parameters of ValueSet/$validate-code, and whether the code is in the set.
CODED: dict[str, tuple[Json, bool]] = {
    "a code of it": ({"coding": {"valueCoding": YES}}, True),
    "with its version": ({"coding": {"valueCoding": YES | {"version": "1.0.0"}}}, True),
    "with another version": ({"coding": {"valueCoding": YES | {"version": "2.0.0"}}}, False),
    "with a display": ({"coding": {"valueCoding": YES | {"display": "Ja"}}}, True),
    "with its display in the other language": ({"coding": {"valueCoding": YES | {"display": "yes"}}}, True),
    "with another display": ({"coding": {"valueCoding": YES | {"display": "Nee"}}}, False),
    "another code": ({"coding": {"valueCoding": YES | {"code": "perhaps"}}}, False),
    "the code of another system": ({"coding": {"valueCoding": {"system": SNOMED, "code": "yes"}}}, False),
    "the code in capitals": ({"coding": {"valueCoding": YES | {"code": "YES"}}}, False),
    "one of two codings": (
        {"codeableConcept": {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "x"}, YES]}}},
        True,
    ),
    "none of two codings": (
        {"codeableConcept": {"valueCodeableConcept": {"coding": [{"system": SNOMED, "code": "x"}] * 2}}},
        False,
    ),
    "a code and its system": ({"code": {"valueCode": "yes"}, "system": {"valueUri": ANSWERS}}, True),
    "a code and another system": ({"code": {"valueCode": "yes"}, "system": {"valueUri": SNOMED}}, False),
    "a code and another version": (
        {"code": {"valueCode": "yes"}, "system": {"valueUri": ANSWERS}, "systemVersion": {"valueString": "2.0.0"}},
        False,
    ),
    "a coding without its system, which a code means nothing without": (
        {"coding": {"valueCoding": {"code": "yes"}}},
        False,
    ),
    "no coding with a system": ({"codeableConcept": {"valueCodeableConcept": {"coding": [{"code": "yes"}]}}}, False),
    "a coding, its system beside it": (
        {"coding": {"valueCoding": {"code": "yes"}}, "system": {"valueUri": ANSWERS}},
        True,
    ),
    "a coding, another version beside it": (
        {"coding": {"valueCoding": YES}, "systemVersion": {"valueString": "2.0.0"}},
        False,
    ),
    "a coding, another display beside it": ({"coding": {"valueCoding": YES}, "display": {"valueString": "Nee"}}, False),
}


@pytest.mark.requirement("S-3")
@pytest.mark.parametrize(("given", "result"), CODED.values(), ids=CODED)
def test_a_code_is_in_a_value_set_or_not(client: FlaskClient, given: Json, result: bool) -> None:
    for path in (f"{BY_ID}/$validate-code", "ValueSet/$validate-code"):
        named = {} if path.startswith(BY_ID) else {"url": {"valueUri": SET}}
        said = _said(client.post(f"/fhir/{path}", json=parameters(**named, **given)).get_json())
        assert said["result"] is result
        assert ("message" in said) == (not result)
        assert said.get("display") == ("Ja" if result else None)


@pytest.mark.requirement("S-3")
def test_a_coding_without_a_system_is_told_what_to_write(client: FlaskClient) -> None:
    body = parameters(coding={"valueCoding": {"code": "yes"}})

    said = _said(client.post(f"/fhir/{BY_ID}/$validate-code", json=body).get_json())

    assert (said["result"], said["message"]) == (False, "the coding has no system; write that of its code")


@pytest.mark.requirement("S-3")
def test_the_resource_at_the_address_may_be_named_again(client: FlaskClient) -> None:
    for query in (f"url={SET}", f"url={SET}|1.0.0", f"url={SET}&valueSetVersion=1.0.0", "valueSetVersion=1.0.0"):
        assert expanded(client, query)["contains"]
    again = f"CodeSystem/low-back-pain-answers/$validate-code?url={ANSWERS}&version=1.0.0&code=yes"
    assert _said(get(client, again))["result"] is True


@pytest.mark.requirement("S-3", "Q-9")
def test_every_code_of_ours_in_the_form_resolves_in_the_code_system_that_is_served(client: FlaskClient) -> None:
    form = get(client, "Questionnaire/low-back-pain", "en")
    codings = [
        coding
        for item in items_of(form)
        for coding in [*item.get("code", []), *(one["valueCoding"] for one in item.get("answerOption", []))]
    ]
    own = [one for one in codings if one["system"].startswith(BASE)]
    assert len(own) > 50
    for one in own:
        query = {"url": one["system"], "code": one["code"], "display": one["display"]}
        answer = client.get("/fhir/CodeSystem/$validate-code", query_string=query)
        assert _said(answer.get_json())["result"] is True, one


@pytest.mark.requirement("S-3")
def test_a_code_that_a_code_system_does_not_have_is_not_valid(client: FlaskClient) -> None:
    assert _said(get(client, f"CodeSystem/$validate-code?url={ANSWERS}&code=perhaps"))["result"] is False
    assert _said(get(client, "CodeSystem/low-back-pain-answers/$validate-code?code=yes"))["result"] is True
    refusal_of(client.get("/fhir/CodeSystem/$validate-code?url=https://other.example/x&code=yes"), 404)


@pytest.mark.requirement("S-3")
def test_a_code_is_looked_up_with_its_wordings(client: FlaskClient) -> None:
    body = get(client, f"CodeSystem/$lookup?system={ANSWERS}&code=unknown", "en")
    said = _said(body)
    assert (said["name"], said["version"], said["display"]) == ("LowBackPainAnswers", "1.0.0", "I don't know")
    wordings = [one["part"] for one in body["parameter"] if one["name"] == "designation"]
    assert [{"name": "language", "valueCode": "nl"}, {"name": "value", "valueString": "Weet ik niet"}] in wordings
    by_post = client.post("/fhir/CodeSystem/$lookup", json=parameters(coding={"valueCoding": YES}))
    assert _said(by_post.get_json())["display"] == "Ja"
    beside = parameters(coding={"valueCoding": {"code": "yes"}}, system={"valueUri": ANSWERS})
    assert _said(client.post("/fhir/CodeSystem/$lookup", json=beside).get_json())["display"] == "Ja"
    older = parameters(coding={"valueCoding": YES}, version={"valueString": "0.9.0"})
    refusal_of(client.post("/fhir/CodeSystem/$lookup", json=older), 404)
    refusal_of(client.get(f"/fhir/CodeSystem/$lookup?system={ANSWERS}&code=perhaps"), 404)
    refusal_of(client.get(f"/fhir/CodeSystem/$lookup?system={SNOMED}&code=279039007"), 404)


# What is asked wrongly.
WRONG = [
    "ValueSet/$expand",
    f"{BY_ID}/$expand?context=x",
    f"{BY_ID}/$expand?count=-1",
    f"{BY_ID}/$expand?count=many",
    f"{BY_ID}/$expand?count=1&count=2",
    f"{BY_ID}/$expand?includeDesignations=perhaps",
    f"{BY_ID}/$validate-code",
    f"{BY_ID}/$validate-code?code=yes",
    f"{BY_ID}/$validate-code?coding={ANSWERS}|yes",
    "CodeSystem/$validate-code?code=yes",
    f"CodeSystem/$lookup?system={ANSWERS}",
    "CodeSystem/$lookup?code=yes",
    # Something else is named than what is at the address.
    f"{BY_ID}/$expand?url={BASE}/ValueSet/other",
    f"{BY_ID}/$expand?url={SET}|2.0.0",
    f"{BY_ID}/$expand?valueSetVersion=2.0.0",
    f"{BY_ID}/$validate-code?url={BASE}/ValueSet/other&system={ANSWERS}&code=yes",
    "CodeSystem/low-back-pain-answers/$validate-code?url=http://snomed.info/sct&code=yes",
    "CodeSystem/low-back-pain-answers/$validate-code?version=2.0.0&code=yes",
    f"CodeSystem/low-back-pain-answers/$validate-code?system={ANSWERS}&code=yes",
]
WRONG_BODIES: dict[str, tuple[str, Json]] = {
    "a value set of the client's own": (
        "ValueSet/$expand",
        parameters(valueSet={"resource": {"resourceType": "ValueSet"}}),
    ),
    "a bare value set": ("ValueSet/$expand", {"resourceType": "ValueSet", "status": "draft"}),
    "a count as text": (f"{BY_ID}/$expand", parameters(count={"valueString": "many"})),
    "a coding that is a text": (f"{BY_ID}/$validate-code", parameters(coding={"valueString": "yes"})),
    "a code that is a number": (f"{BY_ID}/$validate-code", parameters(coding={"valueCoding": {"code": 1}})),
    "a concept whose codings are no array": (
        f"{BY_ID}/$validate-code",
        parameters(codeableConcept={"valueCodeableConcept": {"coding": YES}}),
    ),
    "a code and a coding": (
        f"{BY_ID}/$validate-code",
        parameters(code={"valueCode": "yes"}, system={"valueUri": ANSWERS}, coding={"valueCoding": YES}),
    ),
    "a coding without its system": ("CodeSystem/$lookup", parameters(coding={"valueCoding": {"code": "yes"}})),
    "a coding, another system beside it": (
        "CodeSystem/$lookup",
        parameters(coding={"valueCoding": YES}, system={"valueUri": SNOMED}),
    ),
    "a coding with its version, another version beside it": (
        "CodeSystem/$lookup",
        parameters(coding={"valueCoding": YES | {"version": "1.0.0"}}, version={"valueString": "2.0.0"}),
    ),
    "a coding of a value set, another system beside it": (
        f"{BY_ID}/$validate-code",
        parameters(coding={"valueCoding": YES}, system={"valueUri": SNOMED}),
    ),
}


@pytest.mark.requirement("S-3", "R-11")
@pytest.mark.parametrize("path", WRONG)
def test_what_is_asked_wrongly_is_refused(client: FlaskClient, path: str) -> None:
    refusal_of(client.get(f"/fhir/{path}"), 400)


@pytest.mark.requirement("S-3", "R-11")
@pytest.mark.parametrize(("path", "body"), WRONG_BODIES.values(), ids=WRONG_BODIES)
def test_wrong_parameters_are_refused(client: FlaskClient, path: str, body: Json) -> None:
    refusal_of(client.post(f"/fhir/{path}", json=body), 400)


@pytest.mark.parametrize("path", ["ValueSet/nope/$expand", "CodeSystem/nope/$validate-code?code=yes"])
def test_an_unknown_one_is_not_found(client: FlaskClient, path: str) -> None:
    refusal_of(client.get(f"/fhir/{path}"), 404)
