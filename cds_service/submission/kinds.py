"""What can be wrong with a submitted QuestionnaireResponse: one table of kinds, and where a fault stands as FHIRPath.

No text holds anything that was sent. Source: HL7 FHIR R4 OperationOutcome, value set issue-type; SDC "Validation".
"""

import re
from dataclasses import dataclass
from typing import Any

from cds_content.shapes import Json

Path = tuple[str | int, ...]  # where something stands in the JSON: names of members, indexes of arrays
Found = tuple[str, Path]  # a kind of KINDS, and where it was found

ROOT = "QuestionnaireResponse"
SYSTEM = "CodeSystem/submission-faults"  # below the canonical base; the codes are the keys of KINDS

# kind → (status of the refusal, or 0: stored with a warning; code of issue-type; what is wrong and what to write)
KINDS: dict[str, tuple[int, str, str]] = {
    # It is no FHIR R4.
    "not-a-response": (400, "structure", "is no QuestionnaireResponse; send a JSON object with that resourceType"),
    "unknown-element": (400, "structure", "holds an element that FHIR R4 does not have here; leave it out"),
    "empty": (400, "structure", "holds null, a blank text, an empty array or object; leave such a member out"),
    "wrong-json": (400, "structure", "is another kind of JSON value than FHIR has here; write it as FHIR does"),
    "wrong-format": (400, "value", "is not written as FHIR writes a value of this type; mend it"),
    "missing-element": (400, "required", "lacks an element that FHIR requires; write it"),
    "several-values": (400, "structure", "holds several elements of which FHIR allows one; leave one"),
    "unknown-code": (400, "code-invalid", "is no code of the value set that FHIR requires; write one of its codes"),
    # It cannot be attributed.
    "no-form": (422, "required", "does not say which form was filled in; write `questionnaire`"),
    "unknown-form": (
        422,
        "not-found",
        "names a form that is not judged here; GET /fhir/Questionnaire lists those that are",
    ),
    "unknown-version": (
        422,
        "not-found",
        "names a version of the form that is not known; read and fill in a known one",
    ),
    "other-contained-form": (
        422,
        "business-rule",
        "is contained and not the form as published; name its canonical URL",
    ),
    "no-subject": (422, "required", "does not say whose answers these are; write subject.reference as Patient/id"),
    "foreign-subject": (422, "value", "is no Patient of the client's one FHIR server; write Patient/id"),
    # It cannot be read.
    "unknown-modifier": (422, "extension", "holds what may change its meaning and is not understood; leave it out"),
    "group-with-answer": (422, "structure", "is a group, which has no answer; answer the questions in it"),
    "display-with-answer": (422, "structure", "only shows a text, and has an answer or items; leave those out"),
    "item-outside-answer": (422, "structure", "is a question, whose items stand in its answer; write answer.item"),
    "wrong-type": (422, "value", "is of another type than the question asks for; write the value[x] of its type"),
    "not-an-option": (422, "code-invalid", "is none of the options (system and code); write one of them"),
    "overfull": (
        422,
        "too-long",
        "has more than 500 items and answers, far more than the form; send those of the form",
    ),
    # It is stored.
    "unknown-question": (0, "not-found", "has a linkId that the form does not have; the item is not judged"),
    "misplaced": (0, "structure", "stands elsewhere than in the form; write it where the form has it"),
    "out-of-order": (0, "structure", "comes before what the form has before it; write items in the order of the form"),
    "missing-answer": (0, "required", "lacks the answer to a required question, or has too few; complete it"),
    "repeated": (0, "structure", "repeats what the form asks once, or stands beside its other answers; give it once"),
    "too-many": (0, "business-rule", "has more answers than the form allows; leave some out"),
    "not-enabled": (0, "business-rule", "answers a question that these answers do not ask; leave the answer out"),
    "other-text": (0, "value", "is not the text of the form in any of its languages; leave it out or mend it"),
    "no-value": (0, "required", "has no value; write one, or leave the answer out"),
    "out-of-range": (0, "value", "is less or more than the form allows; check the answer"),
    "wrong-length": (0, "value", "is shorter or longer than the form allows; check the answer"),
    "wrong-pattern": (0, "value", "is not written as the form asks; check the answer"),
    "too-precise": (0, "value", "has more decimals than the form allows; round it"),
    "exclusive": (0, "business-rule", "excludes the other answers beside it; leave either out"),
    "wrong-media": (0, "value", "is of a media type or size that the form does not allow; attach another"),
    "wrong-unit": (0, "value", "is in no unit that the form allows; write it in such a unit"),
    "no-authored": (
        0,
        "required",
        "does not say when it was filled in, so its answers cannot reassure; write `authored`",
    ),
    "authored-ahead": (0, "value", "is in the future, so the answers cannot reassure; check the clock"),
    "authored-past": (
        0,
        "value",
        "is so long ago that its alarms do not count; check the date, or fill the form in again",
    ),
    "wrong-target": (0, "value", "refers to a type of resource that FHIR does not allow here; refer to another"),
    "unsafe-narrative": (0, "value", "holds markup that FHIR does not allow; the narrative is not kept"),
    "more-faults": (0, "processing", "has more faults than are listed; mend these first"),
}
_IDENTIFIER = re.compile(r"[A-Za-z]+")
_RESERVED = {"and", "as", "contains", "day", "div", "false", "implies", "in", "is", "mod", "or", "true", "xor", "year"}


@dataclass(frozen=True)
class Fault:
    """One fault. With a `status` (400 or 422) it refuses the response; with 0 the response is stored."""

    status: int
    code: str  # of http://hl7.org/fhir/issue-type
    detail: str  # a key of KINDS
    expression: str  # FHIRPath that selects the node, or the nearest around it; empty where there is no resource
    text: str

    @property
    def refuses(self) -> bool:
        return self.status != 0


def fault(kind: str, path: Path, body: Any) -> Fault:
    """A fault of this kind, found at `path` in `body`."""
    status, code, text = KINDS[kind]
    place = expression(body, path)
    return Fault(status, code, kind, place, f"{place or 'body'}: {text}")


def expression(body: Any, path: Path) -> str:
    """FHIRPath that selects the node at `path`, or else the nearest one around it; by index, so that it leaks nothing.

    It goes no further than every engine sees the same: not into `_x`, nor past elements of an array that are null.
    """
    if not isinstance(body, dict) or body.get("resourceType") != ROOT:
        return ""
    said = ROOT
    node: Any = body
    steps: list[Any] = list(path)
    while steps:
        name = _member(node, steps[0])
        if not name:
            break
        node = node[steps.pop(0)]
        if isinstance(node, list):
            if not steps or not _indexed(node, steps[0]):
                return said + name if any(one and (isinstance(one, dict) or _scalar(one)) for one in node) else said
            name += f"[{steps[0]}]"
            node = node[steps.pop(0)]
        said += name
    return said


def _member(node: Any, step: str | int) -> str:
    """The step to this member; empty where FHIRPath may see nothing."""
    value = node.get(step) if isinstance(node, dict) else None
    if not isinstance(step, str) or value in (None, "", {}, []):
        return ""
    name = "value" if re.fullmatch(r"value[A-Z]\w*", step) else step
    return f".{name}" if _IDENTIFIER.fullmatch(name) and name not in _RESERVED else ""


def _indexed(values: list[Any], index: str | int) -> bool:
    """Whether this element and all before it are such that engines agree on its index."""
    if not isinstance(index, int) or index >= len(values):
        return False
    return all(isinstance(one, dict) and one for one in values[: index + 1]) or all(map(_scalar, values[: index + 1]))


def _scalar(value: Any) -> bool:
    return isinstance(value, str | int | float)


def issue(one: Fault, base: str) -> Json:
    """The fault as OperationOutcome.issue; `base` is that of the canonical URLs."""
    said: Json = {
        "severity": "error" if one.refuses else "warning",
        "code": one.code,
        "details": {"coding": [{"system": f"{base}/{SYSTEM}", "code": one.detail}]},
        "diagnostics": one.text,
    }
    return said | ({"expression": [one.expression]} if one.expression else {})
