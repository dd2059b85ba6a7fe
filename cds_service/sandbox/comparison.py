"""One answer changed: the record as it would be then, for a look at what that changes."""

from collections.abc import Sequence
from typing import Any

from cds_content.screening import Question, Screening
from cds_content.shapes import Json
from cds_service.errors import BadRequest, NotFound
from cds_service.sandbox.records import Records


def changed(
    records: Records, responses: Sequence[Json], screenings: Sequence[Screening], link_id: str, code: str, patient: str
) -> Records:
    """A copy of the record with one answer of the newest response changed; an empty code takes it out.

    Raises NotFound where there is no response to a form of ours, BadRequest for a question or answer that it lacks.
    """
    response, screening = _newest(responses, screenings)
    question = screening.questions.get(link_id)
    if question is None:
        raise BadRequest("linkId: is no question of that form; choose one of its questions")
    items = _without(response.get("item"), link_id)
    answer = [{"linkId": link_id, "answer": [_value(question, code)]}] if code else []
    trial = Records()
    trial.restore(records.snapshot())
    trial.replace(patient, response | {"item": [*items, *answer]})
    return trial


def _newest(responses: Sequence[Json], screenings: Sequence[Screening]) -> tuple[Json, Screening]:
    forms = {one.questionnaire["url"]: one for one in screenings}
    for response in responses:
        if (url := str(response.get("questionnaire")).partition("|")[0]) in forms:
            return response, forms[url]
    raise NotFound("this patient has no response; fill in the form first")


def _value(question: Question, code: str) -> Json:
    if code in question.options:
        return {"valueCoding": {"system": question.system, "code": code}}
    if not question.options and code.isascii() and code.isdecimal() and question.low <= int(code[:9]) <= question.high:
        return {"valueInteger": int(code[:9])}
    raise BadRequest("answer: is none of that question; choose one of its answers")


def _without(items: Any, link_id: str) -> list[Any]:
    """The items, also those within others and within answers, but for the one with this linkId."""
    kept = [one for one in items or [] if not (isinstance(one, dict) and one.get("linkId") == link_id)]
    return [_within(one, link_id) for one in kept]


def _within(part: Any, link_id: str) -> Any:
    """The item or answer, without that item in any of its own lists."""
    lists = [name for name in ("item", "answer") if isinstance(part, dict) and isinstance(part.get(name), list)]
    return part | {name: _without(part[name], link_id) for name in lists} if lists else part
