"""Examples for the FHIR package: for each disposition a response that leads to it, and the advice that it gets.

They are made from the content by the same way as every advice, so that they fit it whatever it becomes.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from uuid import NAMESPACE_URL, uuid5

from cds_content.reach import witness
from cds_content.screening import Question, Screening
from cds_content.shapes import Json
from cds_service.clients import Client
from cds_service.details import Call
from cds_service.judgement import Asker, applied
from cds_service.request_group import plan_for, request_group

PATIENT: Json = {"resourceType": "Patient", "id": "example", "active": True}
_HOOK, _AGE = "patient-view", 40


def examples(screening: Screening) -> Iterator[Json]:
    """QuestionnaireResponses and RequestGroups, both about `PATIENT`."""
    for disposition in screening.dispositions:
        change = _way_to(screening, disposition)
        if change is not None:
            response = _response(screening, f"{screening.name}-{disposition}", change)
            yield response
            yield _advice(screening, response)


def _way_to(screening: Screening, disposition: str) -> Mapping[str, str] | None:
    """What a calm patient must answer otherwise for this advice."""
    found = [witness(screening, one) for one in screening.findings if one.advice == disposition]
    return next((change for change in found if change is not None), None)


def _response(screening: Screening, id_: str, change: Mapping[str, str]) -> Json:
    form = screening.questionnaire
    return {
        "resourceType": "QuestionnaireResponse",
        "id": id_,
        "questionnaire": screening.canonical,
        "status": "completed",
        "subject": {"reference": "Patient/example"},
        "authored": f"{form['date']}T08:00:00Z",
        "source": {"reference": "Patient/example"},
        "item": list(_items(screening, form, change)),
    }


def _items(screening: Screening, parent: Json, change: Mapping[str, str]) -> Iterator[Json]:
    """The items below `parent` that have an answer, nested as in the form."""
    for item in parent.get("item", []):
        inner = list(_items(screening, item, change))
        question = screening.questions.get(item["linkId"])
        if item["type"] == "group" and inner:
            yield {"linkId": item["linkId"], "item": inner}
        elif question and (value := _value(screening, question, change)):
            yield {"linkId": item["linkId"], "answer": [value | ({"item": inner} if inner else {})]}


def _value(screening: Screening, question: Question, change: Mapping[str, str]) -> Json:
    """The answer to a question; empty where it is not asked, or the change is to leave it out."""
    said = change.get(question.link_id)
    if said == "missing" or (said is None and not _is_asked(screening, question, change)):
        return {}
    if not question.options:
        return {"valueInteger": int(said) if said else question.calm_number(_AGE)}
    code = said or question.calm
    return {"valueCoding": {"system": question.system, "code": code, "display": question.options[code]["nl"]}}


def _is_asked(screening: Screening, question: Question, change: Mapping[str, str]) -> bool:
    shown_for = question.shown_for.items()
    given = {at: _value(screening, screening.questions[at], change).get("valueCoding", {}) for at, _ in shown_for}
    return not question.shown_for or any(given[at].get("code") in codes for at, codes in shown_for)


def _advice(screening: Screening, response: Json) -> Json:
    now = datetime.fromisoformat(response["authored"]).astimezone(UTC) + timedelta(hours=1)
    numbers = count()
    call = Call(
        patient="example",
        user=None,
        encounter=None,
        language="en",
        now=now,
        public=screening.base.removesuffix("/fhir"),
        new_uuid=lambda: str(uuid5(NAMESPACE_URL, f"{screening.base}/{response['id']}/{next(numbers)}")),
    )
    advice, cards = applied(screening, _HOOK, [response], Asker(Client(), call))
    group_id = f"{response['id']}-advice"
    return request_group(screening, advice, cards, call, id_=group_id, plan=plan_for(screening, _HOOK))
