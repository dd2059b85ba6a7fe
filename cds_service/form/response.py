"""The QuestionnaireResponse of answers that have no fault. Source: HL7 FHIR R4, QuestionnaireResponse."""

from collections.abc import Iterator, Set
from datetime import datetime

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.translations import in_language
from cds_service.dates import instant
from cds_service.form.given import Given, shown
from cds_service.form.sheet import Sheet

_PEOPLE = ("Patient/", "RelatedPerson/", "Practitioner/", "PractitionerRole/")


def response(
    screening: Screening, sheet: Sheet, given: Given, *, patient: str, user: str, language: str, now: datetime
) -> Json:
    """The completed response about this patient (an id; empty: nobody is named), filled in by `user`, a reference.

    Answers to questions that these answers do not call for are left out.
    """
    asked = {entry.link_id for entry in shown(sheet, given)}
    form = in_language(screening.questionnaire, language)
    who = {"author": {"reference": user}, "source": {"reference": user}} if user.startswith(_PEOPLE) else {}
    return {
        "resourceType": "QuestionnaireResponse",
        "language": language,
        "questionnaire": screening.canonical,
        "status": "completed",
        **({"subject": {"reference": f"Patient/{patient}"}} if patient else {}),
        "authored": instant(now),
        **who,
        "item": list(_items(screening, form, given, asked)),
    }


def _items(screening: Screening, parent: Json, given: Given, asked: Set[str]) -> Iterator[Json]:
    """The items of groups that hold an answer, and of questions that have one; texts as the person read them."""
    for item in parent.get("item", []):
        begun = {name: item[name] for name in ("linkId", "text") if name in item}
        within = list(_items(screening, item, given, asked))
        if item["type"] == "group" and within:
            yield begun | {"item": within}
        elif item["linkId"] in asked and (said := given.get(item["linkId"], ())):
            answers = [_value(item, one) for one in said]
            answers[0] |= {"item": within} if within else {}
            yield begun | {"answer": answers}


def _value(item: Json, said: str) -> Json:
    if item["type"] == "integer":
        return {"valueInteger": int(said)}
    coding = next(one["valueCoding"] for one in item["answerOption"] if one["valueCoding"]["code"] == said)
    return {"valueCoding": {name: coding[name] for name in ("system", "code", "display") if name in coding}}
