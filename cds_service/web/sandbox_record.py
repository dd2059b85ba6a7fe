"""What is on record of a patient, as lines to read. Resources may hold anything: nothing is assumed of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.web.sandbox_cards import pretty

_NAMED_BY = ("code", "serviceType", "reasonCode", "title", "description", "questionnaire")
_DATED_BY = ("authored", "authoredOn", "start", "created", "recordedDate", "onsetDateTime")
PEOPLE = {  # what a reference names
    "Patient": "other-patient",
    "RelatedPerson": "relative",
    "Practitioner": "staff",
    "PractitionerRole": "staff",
}
_BY = ("author", "source", "requester", "asserter", "recorder")


@dataclass(frozen=True)
class Entry:
    """One resource: what it is about, its status, when and by whom; empty where the resource does not say."""

    kind: str
    id: str
    name: str
    status: str
    date: str
    by: str
    by_kind: str  # a name of PEOPLE for a reference that only names an id, "patient" for the patient of this record
    json: str


def entries(resources: Sequence[Json], titles: dict[str, str], patient: str) -> list[Entry]:
    """A line for each resource on record of the patient with this id.

    `titles` gives the words for the address of a form, and for a code that has none.
    """
    return [_entry(one, titles, patient) for one in resources]


def age(birth_date: str, now: datetime) -> int | None:
    """Whole years; None where the day of birth is not known to the day."""
    try:
        born = datetime.fromisoformat(birth_date).date()
    except ValueError:
        return None
    return now.year - born.year - ((now.month, now.day) < (born.month, born.day))


def screening_of(response: Json, screenings: Sequence[Screening]) -> Screening | None:
    """The screening whose form this response answers."""
    form = str(response.get("questionnaire", "")).partition("|")[0]
    return next((one for one in screenings if one.questionnaire["url"] == form), None)


def _entry(resource: Json, titles: dict[str, str], patient: str) -> Entry:
    name, by = (next(_words(resource, names), "") for names in (_NAMED_BY, _BY))
    return Entry(
        kind=str(resource.get("resourceType", "")),
        id=str(resource.get("id", "")),
        name=titles.get(name.partition("|")[0], name),
        status=next(_words(resource, ("status", "clinicalStatus")), ""),
        date=next(_words(resource, _DATED_BY), "").replace("T", " ")[:16],
        by=by,
        by_kind="patient" if by == f"Patient/{patient}" else PEOPLE.get(by.partition("/")[0] if "/" in by else "", ""),
        json=pretty(resource),
    )


def _words(resource: Json, names: Sequence[str]) -> Iterator[str]:
    """What the first of these members says that says anything."""
    for name in names:
        if words := _said(resource.get(name)):
            yield words


def _said(value: Any) -> str:
    """The words of a text, a CodeableConcept, a Coding, a Reference, or the first of a list of them."""
    if isinstance(value, list):
        return _said(value[0]) if value else ""
    if isinstance(value, dict):
        return next(_words(value, ("text", "coding", "display", "reference", "code")), "")
    return value if isinstance(value, str) else ""
