"""A submitted response judged against FHIR R4 and its form: one broken response per rule of acceptance.

What is wrong with each, and where, is what FHIR R4 and SDC "Validation" say; what refuses is what cannot be attributed
or read.
"""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from cds_content.screening import Screening
from cds_content.translations import in_language
from cds_service.submission import faults, kept, patient_of
from cds_service.submission.alarms import disposition_of, readable_alarms
from cds_service.submission.kinds import KINDS, issue
from tests.fhir_rules import valid
from tests.samples import ANSWERS, BASE, CALM, FORM, ago, item, response
from tests.wire import ABSENT, changed, places

AGE = 1  # the index in ORDER of the one question that is no choice
ORDER = ["lbp-present", "age", *[name for name in CALM if name != "lbp-present"]]
LEG_FOLLOW_UPS = ("rf-leg-sides", "rf-leg-progress")
NAME = "Jansen-19520317"  # of a patient, wherever somebody may write it
EHR = "https://ehr.example/fhir"
Path = tuple[str | int, ...]


def sound(answers: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A response of which nothing can be said: all that is asked is answered, in the order of the form."""
    given = CALM | {"age": 40} | (answers or {})
    order = list(ORDER)
    order[order.index("rf-leg") + 1 : order.index("rf-unwell") + 1] = [*LEG_FOLLOW_UPS, "rf-unwell", "rf-fever"]
    return response({name: given[name] for name in order if name in given}, **members)


def at(link_id: str) -> int:
    return ORDER.index(link_id)


# A primitive without a value, and why: http://hl7.org/fhir/extensibility.html#Special-Case
WHY = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}]}


def option(code: str, system: str = ANSWERS, **members: str) -> dict[str, Any]:
    return {"valueCoding": {"system": system, "code": code, **members}}


def found(screening: Screening, body: Any) -> list[tuple[int, str, str]]:
    """(status, own code, expression) of each fault; fails unless each of them is a fault as it must be told."""
    given = faults([screening], body, datetime.now(UTC), [EHR])
    told = {"resourceType": "OperationOutcome", "issue": [issue(one, screening.base) for one in given]}
    assert valid(told) == [] or not given
    for one in given:
        assert one.detail in KINDS
        assert not one.expression or selects(body, one.expression), one.expression
    return [(one.status, one.detail, one.expression) for one in given]


@cache
def compiled(expression: str) -> Callable[..., list[Any]]:
    return fhirpathpy.compile(expression, models["r4"])


def selects(body: Any, expression: str) -> bool:
    nodes = compiled(expression)(body)
    return any(node not in (None, {}, []) for node in nodes)


def place(path: str) -> str:
    return f"QuestionnaireResponse.{path}" if path else "QuestionnaireResponse"


def test_nothing_is_wrong_with_a_sound_response(screening: Screening) -> None:
    assert found(screening, sound()) == []


LEG, OTHER = at("rf-leg"), at("rf-other")
MOVED = [item(name, ({"age": 40} | CALM)[name]) for name in [*ORDER[1:], ORDER[0]]]
TWICE = [*sound()["item"], item("co-guidance", "no")]
FILLED = [*sound()["item"]]

# (rule, why, where it is changed, the new value, status, own code, where the fault is said to be)
BROKEN: list[tuple[str, str, Path, Any, int, str, str]] = [
    ("QR-1", "another form", ("questionnaire",), f"{BASE}/Questionnaire/other", 422, "unknown-form", "questionnaire"),
    ("QR-1", "an unknown version", ("questionnaire",), f"{FORM}|9.9.9", 422, "unknown-version", "questionnaire"),
    ("QR-1", "a version that is blank", ("questionnaire",), f"{FORM}|", 422, "unknown-version", "questionnaire"),
    ("QR-1", "a fragment of it", ("questionnaire",), f"{FORM}|1.0.0#x", 422, "unknown-version", "questionnaire"),
    ("QR-1", "no form", ("questionnaire",), ABSENT, 422, "no-form", ""),
    ("QR-2", "no status", ("status",), ABSENT, 400, "missing-element", ""),
    ("QR-2", "a status of FHIR R5 drafts", ("status",), "activ", 400, "unknown-code", "status"),
    ("QR-3", "an unknown linkId", ("item", LEG, "linkId"), NAME, 0, "unknown-question", f"item[{LEG}]"),
    ("QR-3", "a question in the answer to another", ("item", 0, "answer", 0, "item"), [item("rf-leg", "none")], 0,
     "misplaced", "item[0].answer[0].item[0]"),
    ("QR-4", "an answer to a display", ("item", LEG), {"linkId": "intro", "answer": [{"valueString": "x"}]}, 422,
     "display-with-answer", f"item[{LEG}].answer"),
    ("QR-4", "an item where answer.item belongs", ("item", LEG, "item"), [{"linkId": "rf-leg-help"}], 422,
     "item-outside-answer", f"item[{LEG}].item"),
    ("QR-5", "the first question last", ("item",), MOVED, 0, "out-of-order", "item[14]"),
    ("QR-6", "a boolean in a choice", ("item", LEG, "answer", 0), {"valueBoolean": False}, 422, "wrong-type",
     f"item[{LEG}].answer[0].value"),
    ("QR-6", "a decimal for an integer", ("item", AGE, "answer", 0), {"valueDecimal": 40.5}, 422, "wrong-type",
     f"item[{AGE}].answer[0].value"),
    ("QR-6", "a text for an integer", ("item", AGE, "answer", 0), {"valueString": "40"}, 422, "wrong-type",
     f"item[{AGE}].answer[0].value"),
    ("QR-7", "a code that is no option", ("item", LEG, "answer", 0), option("maybe"), 422, "not-an-option",
     f"item[{LEG}].answer[0].value"),
    ("QR-7", "the code of another question", ("item", LEG, "answer", 0), option("improving"), 422, "not-an-option",
     f"item[{LEG}].answer[0].value"),
    ("QR-7", "the right code of a wrong system", ("item", LEG, "answer", 0), option("none", "urn:x"), 422,
     "not-an-option", f"item[{LEG}].answer[0].value"),
    ("QR-7", "the right code without a system", ("item", LEG, "answer", 0), {"valueCoding": {"code": "none"}}, 422,
     "not-an-option", f"item[{LEG}].answer[0].value"),
    ("QR-7", "the right display without a code", ("item", LEG, "answer", 0), {"valueCoding": {"display": "Nee"}}, 422,
     "not-an-option", f"item[{LEG}].answer[0].value"),
    ("QR-7", "the display as a string", ("item", LEG, "answer", 0), {"valueString": "Nee"}, 422, "wrong-type",
     f"item[{LEG}].answer[0].value"),
    ("QR-8", "a required answer left out", ("item", LEG), ABSENT, 0, "missing-answer", ""),
    ("QR-8", "a required item without an answer", ("item", LEG, "answer"), ABSENT, 0, "missing-answer", f"item[{LEG}]"),
    ("QR-9", "two answers to one that does not repeat", ("item", LEG, "answer"), [option("none"), option("both")], 0,
     "repeated", f"item[{LEG}].answer[1]"),
    ("QR-9", "two items of one that does not repeat", ("item",), TWICE, 0, "repeated", "item[15]"),
    ("QR-11", "another text", ("item", LEG, "text"), NAME, 0, "other-text", f"item[{LEG}].text"),
    ("QR-13", "one less than the least", ("item", AGE, "answer", 0), {"valueInteger": -1}, 0, "out-of-range",
     f"item[{AGE}].answer[0].value"),
    ("QR-13", "one more than the most", ("item", AGE, "answer", 0), {"valueInteger": 121}, 0, "out-of-range",
     f"item[{AGE}].answer[0].value"),
    ("QR-13", "none of these, and one of these", ("item", OTHER, "answer"), [option("pregnant"), option("none")], 0,
     "exclusive", f"item[{OTHER}].answer[1]"),
    ("QR-14", "no subject", ("subject",), ABSENT, 422, "no-subject", ""),
    ("QR-14", "a subject by name only", ("subject",), {"display": NAME}, 422, "no-subject", "subject"),
    ("QR-14", "a subject by identifier only", ("subject",), {"identifier": {"value": NAME}}, 422, "no-subject",
     "subject"),
    ("QR-14", "a subject that is no Patient", ("subject", "reference"), "Group/g1", 422, "foreign-subject",
     "subject.reference"),
    ("QR-14", "a subject that says it is none", ("subject",), {"reference": "Patient/p1", "type": "Group"}, 422,
     "foreign-subject", "subject.reference"),
    ("QR-14", "a patient of another server", ("subject", "reference"), "https://other.example/Patient/p1", 422,
     "foreign-subject", "subject.reference"),
    ("QR-14", "a server whose name begins as ours", ("subject", "reference"), f"{EHR}2/Patient/p1", 422,
     "foreign-subject", "subject.reference"),
    ("QR-14", "a contained patient", ("subject", "reference"), "#p1", 422, "foreign-subject", "subject.reference"),
    ("QR-14", "a logical URN", ("subject", "reference"), "urn:uuid:8f1c0b0e-1111-4222-8333-444455556666", 422,
     "foreign-subject", "subject.reference"),
    ("QR-14", "an author that may be none", ("author",), {"reference": "Location/l1"}, 0, "wrong-target", "author"),
    ("QR-14", "not said when", ("authored",), ABSENT, 0, "no-authored", ""),
    ("QR-14", "filled in before its alarms would count", ("authored",), ago(days=31), 0, "authored-past", "authored"),
    ("QR-14", "filled in tomorrow", ("authored",), ago(days=-1), 0, "authored-ahead", "authored"),
    ("QR-16", "a modifier of the response", ("modifierExtension",), [{"url": "urn:x", "valueBoolean": True}], 422,
     "unknown-modifier", "modifierExtension"),
    ("QR-16", "a modifier of an item", ("item", LEG, "modifierExtension"), [{"url": "urn:x"}], 422,
     "unknown-modifier", f"item[{LEG}].modifierExtension"),
    ("QR-16", "a modifier of an answer", ("item", LEG, "answer", 0, "modifierExtension"), [{"url": "urn:x"}], 422,
     "unknown-modifier", f"item[{LEG}].answer[0].modifierExtension"),
    ("QR-16", "rules of its own", ("implicitRules",), "urn:x", 422, "unknown-modifier", "implicitRules"),
    ("QR-17", "a contained form that is not there", ("questionnaire",), "#form", 422, "other-contained-form",
     "questionnaire"),
    ("R-12", "null", ("item", LEG), None, 400, "empty", "item"),
    ("R-12", "an empty array", ("item", LEG, "answer"), [], 400, "empty", f"item[{LEG}]"),
    ("R-12", "an empty object", ("item", LEG, "answer", 0), {}, 400, "empty", f"item[{LEG}]"),
    ("R-12", "an empty text", ("id",), "", 400, "empty", ""),
    ("R-12", "a blank text", ("item", LEG, "text"), "  ", 400, "empty", f"item[{LEG}].text"),
    ("R-12", "an element that is none", (NAME,), "x", 400, "unknown-element", ""),
    ("R-12", "an element of R5", ("item", LEG, "answer", 0, "valueFoo"), 1, 400, "unknown-element",
     f"item[{LEG}].answer[0]"),
    ("R-12", "comments", ("fhir_comments",), ["x"], 400, "unknown-element", ""),
    ("R-12", "an object where an array is", ("item",), {"linkId": "a"}, 400, "wrong-json", "item"),
    ("R-12", "a text for a number", ("item", AGE, "answer", 0), {"valueInteger": "40"}, 400, "wrong-json",
     f"item[{AGE}].answer[0].value"),
    ("R-12", "true for a number", ("item", AGE, "answer", 0), {"valueInteger": True}, 400, "wrong-json",
     f"item[{AGE}].answer[0].value"),
    ("R-12", "a number with a point for a whole one", ("item", AGE, "answer", 0), {"valueInteger": 40.0}, 400,
     "wrong-json", f"item[{AGE}].answer[0].value"),
    ("R-12", "a text for true", ("item", LEG, "answer", 0), {"valueBoolean": "true"}, 400, "wrong-json",
     f"item[{LEG}].answer[0].value"),
    ("R-12", "a text for a Coding", ("item", LEG, "answer", 0), {"valueCoding": "none"}, 400, "wrong-json",
     f"item[{LEG}].answer[0].value"),
    ("R-12", "two values", ("item", LEG, "answer", 0), {"valueString": "x", **option("none")}, 400, "several-values",
     f"item[{LEG}].answer[0]"),
    ("R-12", "no linkId, but why", ("item", LEG), {"_linkId": WHY, "answer": [option("none")]}, 400, "missing-element",
     f"item[{LEG}]"),
    ("R-12", "no linkId", ("item", LEG), {"answer": [option("none")]}, 400, "missing-element", f"item[{LEG}]"),
    ("R-12", "a day that is none", ("authored",), "2026-02-30", 400, "wrong-format", "authored"),
    ("R-12", "a time without a zone", ("authored",), "2026-02-03T10:00:00", 400, "wrong-format", "authored"),
    ("R-12", "an id that is none", ("id",), NAME * 9, 400, "wrong-format", "id"),
    ("R-12", "a code with a line break", ("language",), "nl\nen", 400, "wrong-format", "language"),
    ("R-12", "NUL", ("item", LEG, "text"), "a\0b", 400, "wrong-format", f"item[{LEG}].text"),
    ("R-12", "a contained resource that is none", ("contained",), [{"resourceType": NAME}], 400, "wrong-json",
     "contained[0]"),
    ("R-12", "a use that is no code of identifiers", ("identifier",), {"use": "mine"}, 400, "unknown-code",
     "identifier.use"),
    ("R-12", "a script in the narrative", ("text",), {"status": "generated", "div": "<div><script>1</script></div>"}, 0,
     "unsafe-narrative", "text"),
]  # fmt: skip


@pytest.mark.requirement("QR-1", "QR-2", "QR-3", "QR-4", "QR-5", "QR-6", "QR-7", "QR-8", "QR-9", "QR-11", "QR-13")
@pytest.mark.requirement("QR-14", "QR-16", "QR-17", "QR-18", "R-12")
@pytest.mark.parametrize(
    ("path", "value", "status", "detail", "where"), [pytest.param(*row[2:], id=f"{row[0]} {row[1]}") for row in BROKEN]
)
def test_the_fault_of(path: Path, value: Any, status: int, detail: str, where: str, screening: Screening) -> None:
    body = changed(sound(), path, value)
    assert (status, detail, place(where)) in found(screening, body)
    assert min((one[0] for one in found(screening, body) if one[0]), default=0) == status


@pytest.mark.requirement("QR-18", "S-14")
@pytest.mark.parametrize(("path", "value"), [pytest.param(*row[2:4], id=f"{row[0]} {row[1]}") for row in BROKEN])
def test_no_fault_repeats_what_was_sent(path: Path, value: Any, screening: Screening) -> None:
    body = changed(sound(), path, value)
    for one in faults([screening], body, datetime.now(UTC)):
        said = str(issue(one, screening.base))
        assert NAME not in said
        assert "urn:x" not in said


@pytest.mark.requirement("QR-18")
def test_no_fault_repeats_a_value_wherever_it_stands(screening: Screening) -> None:
    for path in places(sound()):
        for body in (changed(sound(), path, NAME), changed(sound(), path, {NAME: NAME})):
            for one in faults([screening], body, datetime.now(UTC)):
                assert NAME not in str(issue(one, screening.base))
                assert not one.expression or selects(body, one.expression)


# (rule, why, where it is changed, the new value): nothing is wrong with it
FINE: list[tuple[str, str, Path, Any]] = [
    ("QR-1", "the form without a version", ("questionnaire",), FORM),
    ("QR-4", "a help text within the answer", ("item", LEG, "answer", 0, "item"), [{"linkId": "rf-leg-help"}]),
    ("QR-7", "another display", ("item", LEG, "answer", 0), option("none", display="Nee, niets")),
    ("QR-9", "two answers to one that repeats", ("item", OTHER, "answer"), [option("pregnant"), option("weight-loss")]),
    ("QR-11", "the Dutch text", ("item", 0, "text"), "Heb je nu pijn laag in je rug?"),
    ("QR-11", "the English text", ("item", 0, "text"), "Do you have pain low in your back now?"),
    ("QR-13", "the least", ("item", AGE, "answer", 0), {"valueInteger": 0}),
    ("QR-13", "the most", ("item", AGE, "answer", 0), {"valueInteger": 120}),
    ("QR-14", "a patient of the client's own server", ("subject", "reference"), f"{EHR}/Patient/p1"),
    ("QR-14", "a version of the patient", ("subject", "reference"), "Patient/p1/_history/3"),
    ("QR-14", "an author that may be one", ("author",), {"reference": f"{EHR}/PractitionerRole/r1"}),
    ("R-12", "an unknown profile", ("meta",), {"profile": ["http://hl7.org/fhir/4.0/StructureDefinition/X"]}),
    ("R-12", "an extension", ("item", LEG, "extension"), [{"url": "urn:x", "valueString": "x"}]),
    ("R-12", "an extension of a primitive", ("_authored",), {"extension": [{"url": "urn:x", "valueCode": "x"}]}),
    ("R-12", "a given name with a null and its extension", ("contained",),
     [{"resourceType": "Patient", "id": "a", "name": [{"given": ["A", None], "_given": [None, {"id": "x"}]}]}]),
    ("R-12", "a plain narrative", ("text",),
     {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml"><p>A &amp; <b>B</b><br/></p></div>'}),
]  # fmt: skip


@pytest.mark.requirement("QR-1", "QR-4", "QR-7", "QR-9", "QR-11", "QR-13", "QR-14", "R-12")
@pytest.mark.parametrize(("path", "value"), [pytest.param(*row[2:], id=f"{row[0]} {row[1]}") for row in FINE])
def test_nothing_is_wrong_with(path: Path, value: Any, screening: Screening) -> None:
    assert found(screening, changed(sound(), path, value)) == []


@pytest.mark.requirement("QR-2")
@pytest.mark.parametrize("status", ["in-progress", "completed", "amended", "entered-in-error", "stopped"])
def test_a_response_of_each_status_is_taken(status: str, screening: Screening) -> None:
    assert found(screening, sound(status=status)) == []


@pytest.mark.requirement("QR-2")
@pytest.mark.parametrize(
    ("status", "advice"),
    [
        ("completed", "self-care"),
        ("amended", "self-care"),
        ("in-progress", "incomplete"),
        ("stopped", "incomplete"),
        ("entered-in-error", "incomplete"),
    ],
)
def test_only_what_is_complete_reassures(status: str, advice: str, screening: Screening) -> None:
    assert disposition_of(screening, sound(status=status), datetime.now(UTC)) == advice


@pytest.mark.requirement("QR-2", "QR-8")
def test_what_is_missing_from_an_unfinished_response_is_a_warning(screening: Screening) -> None:
    body = changed(sound(status="in-progress"), ("item", LEG), ABSENT)
    assert found(screening, body) == [(0, "missing-answer", "QuestionnaireResponse")]


@pytest.mark.requirement("QR-8")
def test_a_required_follow_up_is_missing_only_where_it_is_asked(screening: Screening) -> None:
    missing = (0, "missing-answer", "QuestionnaireResponse")
    assert found(screening, sound({"rf-leg": "weakness"})) == [missing, missing]  # sides and progress
    assert found(screening, sound({"rf-leg": "weakness", "rf-leg-sides": "one"})) == [missing]
    assert found(screening, sound({"rf-leg": "none"})) == []


@pytest.mark.requirement("QR-10")
def test_an_answer_that_is_not_asked_is_told_where_the_response_is_complete(screening: Screening) -> None:
    not_asked = {"rf-leg": "none", "rf-leg-sides": "both"}
    assert found(screening, sound(not_asked)) == [(0, "not-enabled", f"QuestionnaireResponse.item[{LEG + 1}]")]
    assert found(screening, sound(not_asked, status="in-progress")) == []
    assert found(screening, sound({"rf-leg": "both", "rf-leg-sides": "both", "rf-leg-progress": "no"})) == []


@pytest.mark.requirement("QR-10")
def test_an_empty_item_that_is_not_asked_is_fine(screening: Screening) -> None:
    body = sound()
    body["item"].insert(LEG + 1, {"linkId": "rf-leg-sides"})
    assert found(screening, body) == []


@pytest.mark.requirement("QR-12")
@pytest.mark.parametrize("link_id", ORDER)
def test_an_item_left_out_and_one_without_an_answer_say_the_same(link_id: str, screening: Screening) -> None:
    out, empty = (
        changed(sound(), ("item", at(link_id)), ABSENT),
        changed(sound(), ("item", at(link_id), "answer"), ABSENT),
    )
    assert [one[:2] for one in found(screening, out)] == [one[:2] for one in found(screening, empty)]
    now = datetime.now(UTC)
    assert disposition_of(screening, out, now) == disposition_of(screening, empty, now)


def with_form(screening: Screening, language: str = "nl", **members: Any) -> dict[str, Any]:
    """A response that contains the form in a language, with these members of it changed."""
    form = in_language(deepcopy(screening.questionnaire), language) | {"id": "form"} | members
    return sound(questionnaire="#form", contained=[{name: part for name, part in form.items() if part is not None}])


@pytest.mark.requirement("QR-17")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_the_published_form_may_be_contained(language: str, screening: Screening) -> None:
    body = with_form(screening, language, meta=None, text=None)
    assert found(screening, body) == []


@pytest.mark.requirement("QR-17")
def test_a_forged_contained_form_is_refused(screening: Screening) -> None:
    refusal = (422, "other-contained-form", "QuestionnaireResponse.questionnaire")
    for name in ("url", "version"):
        assert refusal in found(screening, with_form(screening, **{name: "0.0.1"}))
    for path in [path for path in places(screening.questionnaire["item"][5]) if len(path) < 3]:
        body = with_form(screening)
        body["contained"][0]["item"][5] = changed(body["contained"][0]["item"][5], path, ABSENT)
        assert refusal in found(screening, body), path


@pytest.mark.requirement("QR-17")
def test_a_contained_form_gives_way_to_its_canonical_where_it_is_kept(screening: Screening) -> None:
    body = with_form(screening)
    patient = {"resourceType": "Patient", "id": "a"}
    assert kept(screening, body) == sound(authored=body["authored"])
    body["contained"].append(patient)
    assert kept(screening, body) == sound(authored=body["authored"], contained=[patient])


def test_a_narrative_that_is_not_allowed_is_not_kept(screening: Screening) -> None:
    bad = {"status": "generated", "div": '<div><a href="javascript:1">x</a></div>'}
    body = sound(text=bad, contained=[{"resourceType": "Patient", "id": "a", "text": bad}])
    assert [one[1:] for one in found(screening, body)] == [
        ("unsafe-narrative", "QuestionnaireResponse.text"),
        ("unsafe-narrative", "QuestionnaireResponse.contained[0].text"),
    ]
    sent = sound(authored=body["authored"], contained=[{"resourceType": "Patient", "id": "a"}])
    assert kept(screening, body) == sent


@pytest.mark.parametrize(
    "div",
    [
        "<div><script>x</script></div>",
        "<div><img src='x' onerror='y'/></div>",
        "<div onclick='x'>y</div>",
        "<div style='background:url(x)'>y</div>",
        "<div><a href='javascript:x'>y</a></div>",
        "<div><form><input/></form></div>",
        "<div><iframe src='x'></iframe></div>",
        "<div><!-- x --></div>",
        "<div><![CDATA[x]]></div>",
        "<div><![foo[</div>",
        "<div><![</div>",
        "<div><?x?></div>",
        "<!DOCTYPE html><div>x</div>",
        "<div>x</div><div>y</div>x</div>",
        "<div><p>x</div>",
        "<div><div>x</div>",
        "x",
        "<p>x</p>",
    ],
)
def test_a_narrative_is_not_safe_with(div: str, screening: Screening) -> None:
    body = sound(text={"status": "generated", "div": div})
    assert [one[1] for one in found(screening, body)] == ["unsafe-narrative"]


@pytest.mark.requirement("QR-18")
def test_there_is_one_fault_for_each_mistake_and_those_that_refuse_come_first(screening: Screening) -> None:
    body = sound({"rf-leg": "maybe", "age": 121}, authored=None, questionnaire=f"{FORM}|1.0.0")
    body["item"][0]["text"] = "x"
    assert [one[1] for one in found(screening, body)] == ["not-an-option", "no-authored", "other-text", "out-of-range"]


@pytest.mark.requirement("R-14")
def test_a_body_with_very_many_faults_is_answered_with_the_first(screening: Screening) -> None:
    body = sound(item=[{"linkId": "x"}] * 450)
    given = found(screening, body)
    assert len(given) == 101
    assert given[-1] == (0, "more-faults", "QuestionnaireResponse")


@pytest.mark.parametrize("body", [None, [], "x", 1, {}, {"resourceType": "Patient"}, [sound()]])
def test_what_is_no_response_is_refused_with_one_fault(body: Any, screening: Screening) -> None:
    assert found(screening, body) == [(400, "not-a-response", "")]


# (why, the path that is broken, its new value): the answers still tell of an emergency
ALARMING: list[tuple[str, Path, Any]] = [
    ("another form", ("questionnaire",), "https://other.example/Questionnaire/x"),
    ("an unknown version", ("questionnaire",), f"{FORM}|0.0.1"),
    ("no form", ("questionnaire",), ABSENT),
    ("no subject", ("subject",), ABSENT),
    ("an unknown status", ("status",), "done"),
    ("a modifier", ("modifierExtension",), [{"url": "urn:x"}]),
    ("a modifier of the item", ("item", at("rf-saddle"), "modifierExtension"), [{"url": "urn:x"}]),
    ("rules of its own", ("implicitRules",), "urn:x"),
    ("another answer that is damaged", ("item", LEG, "answer", 0), None),
    ("no type", ("resourceType",), ABSENT),
]


@pytest.mark.parametrize(("path", "value"), [pytest.param(*row[1:], id=row[0]) for row in ALARMING])
def test_an_alarm_is_read_in_spite_of(path: Path, value: Any, screening: Screening) -> None:
    body = changed(sound({"rf-saddle": "new"}), path, value)
    assert readable_alarms([screening], body, datetime.now(UTC)) == [(screening, "emergency-now")]


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        sound(),
        sound({"rf-saddle": "new"}, status="entered-in-error"),
        sound({"rf-saddle": "new"}, authored=ago(days=40)),
        sound({"rf-saddle": [option("new", "urn:x")]}),
    ],
    ids=["null", "an array", "empty", "calm", "entered in error", "long ago", "of another system"],
)
def test_no_alarm_is_made_up(body: Any, screening: Screening) -> None:
    assert readable_alarms([screening], body, datetime.now(UTC)) == []


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        ("Patient/p1", "p1"),
        (f"{EHR}/Patient/p1", "p1"),
        (f"{EHR}//Patient/p1", None),
        ("/Patient/p1", None),
        ("x/Patient/p1", None),
        ("Patient/p1/x", None),
        ("Patient/", None),
        ("Patient/p 1", None),
        ("patient/p1", None),
    ],
)
def test_the_patient_is(reference: str, expected: str | None) -> None:
    assert patient_of({"subject": {"reference": reference}}, [f"{EHR}/"]) == expected
