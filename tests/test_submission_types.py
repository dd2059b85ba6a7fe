"""Any form of R4 is judged: every type of question, groups, limits, and every operator of enableWhen."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cds_content.screening import Screening
from cds_service.submission import faults
from tests.samples import FORM, response

HL7, SDC = "http://hl7.org/fhir/StructureDefinition", "http://hl7.org/fhir/uv/sdc/StructureDefinition"
KG = {"value": 80, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
RED = {"system": "urn:colours", "code": "red"}


def wrong(screening: Screening, questions: list[dict[str, Any]], items: list[dict[str, Any]], **members: Any) -> Any:
    """(own code, expression without its root) of each fault of a response to a form of these questions."""
    form = {"resourceType": "Questionnaire", "url": FORM, "version": "1.0.0", "item": questions}
    other = replace(screening, questionnaire=form)
    body = response({}, item=items, **members) if items else response({}, item=None, **members)
    given = faults([other], body, datetime.now(UTC))
    return [(one.detail, one.expression.removeprefix("QuestionnaireResponse").removeprefix(".")) for one in given]


def asked(kind: str, **members: Any) -> dict[str, Any]:
    return {"linkId": "q", "type": kind, **members}


def answered(*answers: dict[str, Any], link_id: str = "q") -> list[dict[str, Any]]:
    return [{"linkId": link_id, "answer": list(answers)}]


def extension(url: str, **value: Any) -> dict[str, Any]:
    return {"url": url, **value}


COLOURS = {"answerOption": [{"valueCoding": RED}, {"valueCoding": {"system": "urn:colours", "code": "blue"}}]}
RIGHT: list[tuple[str, dict[str, Any]]] = [
    ("boolean", {"valueBoolean": False}),
    ("integer", {"valueInteger": 3}),
    ("decimal", {"valueDecimal": 3.5}),
    ("decimal", {"valueDecimal": 3}),
    ("date", {"valueDate": "2026-02"}),
    ("dateTime", {"valueDateTime": "2026-02-03T10:00:00Z"}),
    ("time", {"valueTime": "10:00:00"}),
    ("string", {"valueString": "x"}),
    ("text", {"valueString": "x\ny"}),
    ("url", {"valueUri": "urn:x"}),
    ("choice", {"valueCoding": RED}),
    ("open-choice", {"valueCoding": RED}),
    ("open-choice", {"valueString": "red"}),
    ("quantity", {"valueQuantity": KG}),
    ("attachment", {"valueAttachment": {"contentType": "image/png", "url": "https://ehr.example/Binary/1"}}),
    ("reference", {"valueReference": {"reference": "Condition/1"}}),
]
KINDS = [*dict.fromkeys(kind for kind, _ in RIGHT)]


@pytest.mark.requirement("QR-6")
@pytest.mark.parametrize("asked_for", KINDS)
@pytest.mark.parametrize("answer", [answer for _, answer in RIGHT])
def test_the_value_is_of_the_type_asked_for(asked_for: str, answer: dict[str, Any], screening: Screening) -> None:
    same = any(answer.keys() == right.keys() for name, right in RIGHT if name == asked_for)
    expected = [] if same else [("wrong-type", "item[0].answer[0].value")]
    assert wrong(screening, [asked(asked_for)], answered(answer)) == expected


@pytest.mark.requirement("QR-6", "QR-7")
@pytest.mark.parametrize(
    ("kind", "options", "answer", "expected"),
    [
        ("choice", COLOURS, {"valueCoding": RED}, ""),
        ("choice", COLOURS, {"valueCoding": {"system": "urn:colours", "code": "green"}}, "not-an-option"),
        ("choice", COLOURS, {"valueString": "red"}, "wrong-type"),
        ("open-choice", COLOURS, {"valueString": "green"}, ""),
        ("choice", {"answerOption": [{"valueInteger": 1}]}, {"valueInteger": 1}, ""),
        ("choice", {"answerOption": [{"valueInteger": 1}]}, {"valueInteger": 2}, "not-an-option"),
        ("choice", {"answerOption": [{"valueInteger": 1}]}, {"valueCoding": RED}, "wrong-type"),
        ("choice", {"answerOption": [{"valueString": "a"}]}, {"valueString": "a"}, ""),
        ("choice", {"answerOption": [{"valueDate": "2026-01-01"}]}, {"valueDate": "2026-01-02"}, "not-an-option"),
        ("integer", {"answerOption": [{"valueInteger": 1}]}, {"valueInteger": 2}, "not-an-option"),
    ],
)
def test_the_answer_is_an_option(
    kind: str, options: dict[str, Any], answer: dict[str, Any], expected: str, screening: Screening
) -> None:
    found = wrong(screening, [asked(kind, **options)], answered(answer))
    assert [detail for detail, _ in found] == ([expected] if expected else [])


LIMITS: list[tuple[str, dict[str, Any], list[Any], list[Any]]] = [  # type, limit, answers within it, answers beyond it
    ("integer", extension(f"{HL7}/minValue", valueInteger=2), [2, 3], [1, -2]),
    ("integer", extension(f"{HL7}/maxValue", valueInteger=2), [2, 1], [3]),
    ("decimal", extension(f"{HL7}/maxValue", valueDecimal=2.5), [2.5, -1], [2.51, 3]),
    ("decimal", extension(f"{HL7}/maxDecimalPlaces", valueInteger=2), [1.25, 1, 1.5], [1.125]),
    ("date", extension(f"{HL7}/minValue", valueDate="2026-02-10"), ["2026-02-10", "2026-02", "2026"],
     ["2026-02-09", "2025"]),
    ("date", extension(f"{HL7}/maxValue", valueDate="2026-02"), ["2026-02-28", "2026"], ["2026-03-01", "2027"]),
    ("dateTime", extension(f"{HL7}/maxValue", valueDateTime="2026-02-10T10:00:00Z"),
     ["2026-02-10T10:00:00Z", "2026-02-10T11:30:00+02:00"], ["2026-02-10T10:00:01Z", "2026-02-10T09:30:00-02:00"]),
    ("time", extension(f"{HL7}/minValue", valueTime="10:00:00"), ["10:00:00"], ["09:59:59"]),
    ("string", extension(f"{HL7}/minLength", valueInteger=2), ["ab"], ["a"]),
    ("string", extension(f"{HL7}/regex", valueString="[a-z]+"), ["ab"], ["ab1", "1ab"]),
    ("quantity", extension(f"{SDC}/sdc-questionnaire-minQuantity", valueQuantity=KG), [KG, KG | {"value": 81}],
     [KG | {"value": 79.9}]),
    ("quantity", extension(f"{SDC}/sdc-questionnaire-maxQuantity", valueQuantity=KG), [KG], [KG | {"value": 80.5}]),
    ("quantity", extension(f"{HL7}/questionnaire-unitOption", valueCoding={"system": KG["system"], "code": "kg"}),
     [KG], [KG | {"code": "g"}, {"value": 1, "unit": "kg"}]),
    ("attachment", extension(f"{HL7}/mimeType", valueCode="image/png"), [{"contentType": "image/png"}],
     [{"contentType": "image/jpeg"}, {"title": "x"}]),
    ("attachment", extension(f"{HL7}/maxSize", valueDecimal=1), [{"size": 1_000_000}, {"title": "x"}],
     [{"size": 1_000_001}]),
]  # fmt: skip
MEMBERS = {kind: next(iter(answer)) for kind, answer in RIGHT}


@pytest.mark.requirement("QR-13")
@pytest.mark.parametrize(
    ("kind", "limit", "value", "fits"),
    [
        *((kind, limit, value, True) for kind, limit, within, _ in LIMITS for value in within),
        *((kind, limit, value, False) for kind, limit, _, beyond in LIMITS for value in beyond),
    ],
)
def test_a_limit_holds_up_to_its_last_value(
    kind: str, limit: dict[str, Any], value: Any, fits: bool, screening: Screening
) -> None:
    found = wrong(screening, [asked(kind, extension=[limit])], answered({MEMBERS[kind]: value}))
    assert len(found) == (not fits)
    assert all(where == "item[0].answer[0].value" for _, where in found)


@pytest.mark.requirement("QR-13")
@pytest.mark.parametrize("kind", ["string", "text", "url", "open-choice"])
def test_no_text_is_longer_than_the_form_allows(kind: str, screening: Screening) -> None:
    member = "valueUri" if kind == "url" else "valueString"
    assert wrong(screening, [asked(kind, maxLength=3)], answered({member: "abc"})) == []
    found = wrong(screening, [asked(kind, maxLength=3)], answered({member: "abcd"}))
    assert found == [("wrong-length", "item[0].answer[0].value")]


GROUP = {"linkId": "g", "type": "group", "item": [asked("boolean", required=True)]}
YES = answered({"valueBoolean": True})


@pytest.mark.requirement("QR-4")
def test_a_group_has_items_and_no_answer(screening: Screening) -> None:
    assert wrong(screening, [GROUP], [{"linkId": "g", "item": YES}]) == []
    found = wrong(screening, [GROUP], [{"linkId": "g", "answer": [{"valueBoolean": True}], "item": YES}])
    assert found == [("group-with-answer", "item[0].answer")]


@pytest.mark.requirement("QR-3")
def test_an_item_stands_where_the_form_has_it(screening: Screening) -> None:
    found = wrong(screening, [GROUP], YES)
    assert ("misplaced", "item[0]") in found


@pytest.mark.requirement("QR-8", "QR-12")
@pytest.mark.parametrize(
    ("items", "where"), [([], ""), ([{"linkId": "g"}], "item[0]"), ([{"linkId": "g", "item": [{"linkId": "q"}]}], None)]
)
def test_a_required_answer_is_missed_in_a_group_that_is_left_out_or_empty(
    items: list[dict[str, Any]], where: str | None, screening: Screening
) -> None:
    assert wrong(screening, [GROUP], items) == [("missing-answer", "item[0].item[0]" if where is None else where)]


@pytest.mark.requirement("QR-8")
def test_nothing_is_missed_in_a_group_that_is_not_asked(screening: Screening) -> None:
    hidden = GROUP | {"enableWhen": [{"question": "first", "operator": "=", "answerBoolean": True}]}
    first = {"linkId": "first", "type": "boolean"}
    assert wrong(screening, [first, hidden], []) == []
    assert wrong(screening, [first, hidden], answered({"valueBoolean": True}, link_id="first")) == [
        ("missing-answer", "")
    ]
    found = wrong(
        screening, [first, hidden], [*answered({"valueBoolean": False}, link_id="first"), {"linkId": "g", "item": YES}]
    )
    assert found == [("not-enabled", "item[1].item[0]")]  # QR-10


@pytest.mark.requirement("QR-8")
def test_a_required_group_needs_an_answer_in_it(screening: Screening) -> None:
    group = {"linkId": "g", "type": "group", "required": True, "item": [asked("boolean")]}
    assert wrong(screening, [group], [{"linkId": "g", "item": YES}]) == []
    assert wrong(screening, [group], [{"linkId": "g", "item": [{"linkId": "q"}]}]) == [("missing-answer", "item[0]")]


@pytest.mark.requirement("QR-9")
def test_only_a_group_that_repeats_is_several_items(screening: Screening) -> None:
    twice = [{"linkId": "g", "item": YES}, {"linkId": "g", "item": YES}]
    assert wrong(screening, [GROUP | {"repeats": True}], twice) == []
    assert wrong(screening, [GROUP], twice) == [("repeated", "item[1]")]
    assert wrong(screening, [asked("boolean", repeats=True)], [*YES, *YES]) == [("repeated", "item[1]")]


@pytest.mark.requirement("QR-9")
@pytest.mark.parametrize(("count", "expected"), [(1, "missing-answer"), (2, ""), (3, ""), (4, "too-many")])
def test_there_are_as_many_answers_as_the_form_wants(count: int, expected: str, screening: Screening) -> None:
    limits = [
        extension(f"{HL7}/questionnaire-minOccurs", valueInteger=2),
        extension(f"{HL7}/questionnaire-maxOccurs", valueInteger=3),
    ]
    question = asked("integer", repeats=True, required=True, extension=limits)
    found = wrong(screening, [question], answered(*[{"valueInteger": n} for n in range(count)]))
    assert found == ([(expected, "item[0]")] if expected else [])


def test_an_answer_without_a_value_is_told(screening: Screening) -> None:
    found = wrong(screening, [asked("boolean")], answered({"extension": [{"url": "urn:x", "valueCode": "x"}]}))
    assert found == [("no-value", "item[0].answer[0]")]


# An answer to the first question, the rule for the second, and whether that is then asked.
# (type, answers, operator, answer[x] of the rule, asked)
RULES: list[tuple[str, list[dict[str, Any]], str, dict[str, Any], bool]] = [
    ("integer", [{"valueInteger": 5}], "=", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 4}], "=", {"answerInteger": 5}, False),
    ("integer", [], "=", {"answerInteger": 5}, False),
    ("integer", [{"valueInteger": 4}, {"valueInteger": 5}], "=", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 4}], "!=", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 5}], "!=", {"answerInteger": 5}, False),
    ("integer", [], "!=", {"answerInteger": 5}, False),
    ("integer", [{"valueInteger": 6}], ">", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 5}], ">", {"answerInteger": 5}, False),
    ("integer", [{"valueInteger": 5}], ">=", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 4}], ">=", {"answerInteger": 5}, False),
    ("integer", [{"valueInteger": 4}], "<", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 5}], "<", {"answerInteger": 5}, False),
    ("integer", [{"valueInteger": 5}], "<=", {"answerInteger": 5}, True),
    ("integer", [{"valueInteger": 6}], "<=", {"answerInteger": 5}, False),
    ("integer", [], "<", {"answerInteger": 5}, False),
    ("integer", [], "exists", {"answerBoolean": True}, False),
    ("integer", [], "exists", {"answerBoolean": False}, True),
    ("integer", [{"valueInteger": 0}], "exists", {"answerBoolean": True}, True),
    ("integer", [{"valueInteger": 0}], "exists", {"answerBoolean": False}, False),
    ("boolean", [{"valueBoolean": False}], "=", {"answerBoolean": False}, True),
    ("boolean", [], "=", {"answerBoolean": False}, False),
    ("decimal", [{"valueDecimal": 1.5}], ">", {"answerDecimal": 1.25}, True),
    ("date", [{"valueDate": "2026-02-03"}], ">", {"answerDate": "2026-01"}, True),
    ("date", [{"valueDate": "2026"}], ">", {"answerDate": "2026-01-01"}, False),
    ("dateTime", [{"valueDateTime": "2026-02-03T10:00:00+02:00"}], "<", {"answerDateTime": "2026-02-03T09:00:00Z"},
     True),
    ("time", [{"valueTime": "10:00:00"}], ">=", {"answerTime": "10:00:00"}, True),
    ("string", [{"valueString": "a"}], "=", {"answerString": "a"}, True),
    ("choice", [{"valueCoding": RED | {"display": "rood"}}], "=", {"answerCoding": RED}, True),
    ("choice", [{"valueCoding": {"code": "red"}}], "=", {"answerCoding": RED}, False),
    ("quantity", [{"valueQuantity": KG | {"value": 90}}], ">", {"answerQuantity": KG}, True),
    ("quantity", [{"valueQuantity": {"value": 90, "unit": "lb"}}], ">", {"answerQuantity": KG}, False),
    ("reference", [{"valueReference": {"reference": "A/1"}}], "=", {"answerReference": {"reference": "A/1"}}, True),
]  # fmt: skip


@pytest.mark.requirement("QR-10")
@pytest.mark.parametrize(("kind", "answers", "operator", "rule", "is_asked"), RULES)
def test_a_question_is_asked_where(
    kind: str, answers: list[dict[str, Any]], operator: str, rule: dict[str, Any], is_asked: bool, screening: Screening
) -> None:
    first = {"linkId": "first", "type": kind, "repeats": True}
    then = asked("boolean", enableWhen=[{"question": "first", "operator": operator, **rule}])
    given = answered(*answers, link_id="first") if answers else []
    expected = [] if is_asked else [("not-enabled", f"item[{len(given)}]")]
    assert wrong(screening, [first, then], [*given, *YES]) == expected


@pytest.mark.requirement("QR-10")
@pytest.mark.parametrize(
    ("behavior", "answers", "is_asked"),
    [
        ("any", (1, 0), True),
        ("any", (0, 1), True),
        ("any", (0, 0), False),
        ("all", (1, 1), True),
        ("all", (1, 0), False),
    ],
)
def test_any_or_all_of_the_rules_have_to_hold(
    behavior: str, answers: tuple[int, int], is_asked: bool, screening: Screening
) -> None:
    firsts = [{"linkId": name, "type": "integer"} for name in ("a", "b")]
    rules = [{"question": name, "operator": "=", "answerInteger": 1} for name in ("a", "b")]
    then = asked("boolean", enableBehavior=behavior, enableWhen=rules)
    given = [*answered({"valueInteger": answers[0]}, link_id="a"), *answered({"valueInteger": answers[1]}, link_id="b")]
    expected = [] if is_asked else [("not-enabled", "item[2]")]
    assert wrong(screening, [*firsts, then], [*given, *YES]) == expected


@pytest.mark.requirement("QR-10")
def test_what_stands_in_something_that_is_not_asked_is_not_asked(screening: Screening) -> None:
    inner = asked("boolean")
    outer = {
        "linkId": "o",
        "type": "boolean",
        "enableWhen": [{"question": "f", "operator": "exists", "answerBoolean": True}],
    }
    first = {"linkId": "f", "type": "boolean"}
    items = [{"linkId": "o", "answer": [{"valueBoolean": True, "item": YES}]}]
    found = wrong(screening, [first, outer | {"item": [inner]}], items)
    assert found == [("not-enabled", "item[0]"), ("not-enabled", "item[0].answer[0].item[0]")]
