"""Calls to try, made from the content of a screening, so that they fit it whatever it becomes."""

from collections.abc import Iterator
from datetime import date

from cds_content.card_shapes import Service
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.templates import fill
from cds_service import schemas

Case = str  # what the patient answered: a key of said["cases"]


def calls(screening: Screening, service: Service, day: date, said: Json) -> dict[Case, Json]:
    """Calls to a service of a patient with the complaint who answered on `day`, and of one who has not answered yet.

    `said` holds the resources with {places}. A hook that brings the response along has no call without one.
    """
    cases = {case: _call(screening, service, case, day, said) for case in said["cases"]}
    if "questionnaireResponse" in schemas.members(service):
        del cases["no-response-yet"]
    return cases


def _call(screening: Screening, service: Service, case: Case, day: date, said: Json) -> Json:
    places = _places(screening, case, day, said)
    prefetch = {key: fill(said["prefetch"][key], places, "en") for key in service.prefetch if key in said["prefetch"]}
    if case == "no-response-yet":
        prefetch["responses"] = said["nothing"]
    return {
        "hook": service.hook,
        "hookInstance": said["instance"],
        "context": {name: fill(said["context"][name], places, "en") for name in schemas.members(service)},
        "prefetch": prefetch,
    }


def _places(screening: Screening, case: Case, day: date, said: Json) -> Json:
    complaint = screening.codes[screening.texts.reason_code]
    places = {
        "complaint": complaint,
        "order": _judged(screening, "ServiceRequest") or complaint,
        "appointment": _judged(screening, "Appointment") or complaint,
        "form": screening.canonical,
        "authored": f"{day}T00:00:00Z",
        "items": list(_items(screening, alarm=case == "one-alarm")),
    }
    return places | {name: fill(said[name], places, "en") for name in ("condition", "response")}


def _judged(screening: Screening, type_: str) -> Json:
    """The code of an order of this resource type about which there are cards; empty where there is none."""
    kinds = [kind for kind in screening.orders.values() if type_ in kind.elements]
    return kinds[0].codes[0].model_dump(include={"system", "code", "display"}) if kinds else {}


def _items(screening: Screening, *, alarm: bool) -> Iterator[Json]:
    """The least alarming answer to each question; with `alarm` the first safety question has its most alarming one."""
    asked = [one for one in screening.questions.values() if one.item.order and not one.shown_for]
    alarming = [one.link_id for one in asked if alarm and one.item.safety and not one.item.in_scope][:1]
    for question in asked:
        ranked = question.item.ranked()
        code = ranked[-1] if question.link_id in alarming else min(question.item.in_scope, default=ranked[0])
        yield {"linkId": question.link_id, "answer": [{"valueCoding": {"system": question.system, "code": code}}]}
