"""What the tests of the core are made of: questions, answers and responses of their own, on days of their own."""

from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from cds_content.loading import load
from cds_content.screening import Question, Screening
from cds_content.shapes import Condition, Item
from cds_service.answers import Answer, Answers, read_answers
from cds_service.details import Call
from cds_service.responses import Reading

SYSTEM = "https://answers.example"
Json = dict[str, Any]


@cache
def screening() -> Screening:
    """The screening of low back pain, compiled once for all tests of the core."""
    (one,) = load(Path(__file__).parent.parent.parent)
    return one


def question(link_id: str = "pain", **members: Any) -> Question:
    """A safety question with the answers no, unknown (which is "not known") and yes."""
    item = Item.model_validate({"safety": True, "safe": ["no"], "not-known": ["unknown"]})
    options = {code: {"en": code} for code in ("no", "unknown", "yes")}
    own: dict[str, Any] = {"item": item, "system": SYSTEM, "options": options}
    return Question(link_id, {"en": link_id}, **(own | members))


def number(link_id: str = "age") -> Question:
    """A question for a whole number from 1 to 120."""
    return question(link_id, options={}, system="", low=1, high=120)


def coded(code: Any, **members: Any) -> Json:
    """One answer with a code of our own system."""
    return {"valueCoding": {"system": SYSTEM, "code": code}, **members}


def entry(answer: Any, link_id: Any = "pain", **members: Any) -> Json:
    """An item of a response."""
    return {"linkId": link_id, "answer": answer, **members}


def read(*items: Any, asked: tuple[Question, ...] = (question(),), displays: frozenset[str] = frozenset()) -> Answers:
    """What a response with these items answers."""
    return read_answers({"item": list(items)}, {one.link_id: one for one in asked}, displays)


def when(**form: Any) -> Condition:
    """A condition as findings.toml writes it, its keys with a line below instead of a hyphen: `at_least`."""
    return Condition.model_validate({name.rstrip("_").replace("_", "-"): part for name, part in form.items()})


def day(number: int, hour: int = 12) -> datetime:
    """A moment of March 2026, in UTC."""
    return datetime(2026, 3, number, hour, tzinfo=UTC)


TODAY = day(20)

# Every answer of a patient for whom self-care is right (age 40, every safety answer safe, the pain getting less).
CALM: Mapping[str, Answer] = {
    "lbp-present": Answer(frozenset({"yes"})),
    "age": Answer(span=(40, 40)),
    "rf-bladder-bowel": Answer(frozenset({"no"})),
    "rf-saddle": Answer(frozenset({"no"})),
    "rf-sexual": Answer(frozenset({"no"})),
    "rf-leg": Answer(frozenset({"none"})),
    "rf-leg-sides": Answer(asked=False),
    "rf-leg-progress": Answer(asked=False),
    "rf-unwell": Answer(frozenset({"no"})),
    "rf-fever": Answer(asked=False),
    "rf-cancer": Answer(frozenset({"no"})),
    "rf-clear-cause": Answer(frozenset({"yes"})),
    "rf-accident": Answer(frozenset({"no"})),
    "rf-other": Answer(frozenset({"none"})),
    "co-duration": Answer(frozenset({"lt6w"})),
    "co-trend": Answer(frozenset({"improving"})),
    "co-activities": Answer(frozenset({"can"})),
    "co-guidance": Answer(frozenset({"no"})),
}


def said(*codes: str, doubt: Any = None) -> Answer:
    """An answer with these codes."""
    return Answer(frozenset(codes), doubt=doubt)


def reading(changed: Mapping[str, Answer] | None = None, on: datetime | None = TODAY, **members: Any) -> Reading:
    """A response of the calm patient, but for these answers; filled in at one moment, or at an unknown one."""
    answers = Answers({**CALM, **(changed or {})})
    return Reading(**({"answers": answers, "earliest": on, "latest": on} | members))


def call(**members: Any) -> Call:
    """A clinician's call; its UUIDs are u1, u2, ..."""
    numbers = count(1)
    own: dict[str, Any] = {
        "patient": "p1",
        "user": "Practitioner/gp-1",
        "encounter": None,
        "language": "en",
        "now": TODAY,
        "public": "https://cds.example",
        "new_uuid": lambda: f"u{next(numbers)}",
    }
    return Call(**(own | members))
