"""One line of NDJSON → one row: what the hook would advise on that response alone, or why that cannot be said.

The line is judged by the core as it stands: `remembered` is faster and must say the same. Source of the lines: FHIR
Bulk Data Access, NDJSON. Nothing of a response but its id, its subject and its moment is in a row, and these only
where they are well-formed: whatever stands there goes into spreadsheets.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.advice import Advice, Unknown, decide
from cds_service.errors import BadRequest, TooLarge
from cds_service.resources import ID, contained, is_of, names
from cds_service.responses import belongs, read_response

NOT_JUDGED = "not-judged"  # in the place of a disposition: nothing is known about this patient
DAMAGED, TOO_LARGE, OTHER_TYPE, OTHER_FORM = "damaged", "too-large", "other-type", "other-form"
OTHER_PATIENT, WITHDRAWN = "other-patient", "entered-in-error"
_SUBJECT = re.compile(rf"(?:https?://[A-Za-z0-9.:_/~-]+/)?Patient/{ID}(?:/_history/{ID})?", re.ASCII)
MOMENT = re.compile(r"\d[0-9TZ:.+-]{3,39}", re.ASCII)


class Outcome(NamedTuple):
    """What a row says beside whose it is; many rows share one. `reason` says why a response was not read."""

    disposition: str
    fired: str = ""
    unknown: str = ""
    status: str = ""
    reason: str = ""


class Row(NamedTuple):
    """`line` counts from 1; `id`, `subject` and `authored` are empty where there is none that is well-formed."""

    line: int
    id: str
    subject: str
    authored: str
    outcome: Outcome


@dataclass(frozen=True)
class Judge:
    """By what is judged: the screening, the moment for which all counts, and the birth date of a Patient's id."""

    screening: Screening
    now: datetime
    born: Callable[[str], Any] = lambda _: None


def row(judge: Judge, number: int, line: bytes) -> Row:
    """The row of one line. Never raises for what is in the line."""
    try:
        response = strict_json.read(line)
    except TooLarge:
        return unread(number, TOO_LARGE)
    except BadRequest:
        return unread(number, DAMAGED)
    if not isinstance(response, dict) or response.get("resourceType") != "QuestionnaireResponse":
        return unread(number, OTHER_TYPE)
    reference = _member(response.get("subject"), "reference")
    return Row(
        number,
        _formed(re.compile(ID), response.get("id")),
        _formed(_SUBJECT, reference),
        _formed(MOMENT, response.get("authored")),
        outcome(judge, response, reference),
    )


def outcome(judge: Judge, response: Json, reference: Any) -> Outcome:
    """What the core says of a response; `reference` is that of its subject."""
    screening, (patient, server) = judge.screening, whom(reference)
    if not belongs(response, screening):
        return Outcome(NOT_JUDGED, reason=OTHER_FORM)
    if any(is_of(one, patient, server) is False for one in (response, *contained(response)) if patient):
        return Outcome(NOT_JUDGED, reason=OTHER_PATIENT)
    if response.get("status") == WITHDRAWN:
        return _said(decide(screening, (), (WITHDRAWN,)), WITHDRAWN, WITHDRAWN)
    named = names(response.get("subject"), patient, server) is True
    born = judge.born(patient) if named and patient else None
    reading = read_response(screening, response, named, birth_date=born, now=judge.now)
    return _said(decide(screening, [reading]), reading.status, "")


def unread(number: int, reason: str) -> Row:
    """The row of a line that holds no response that can be judged."""
    return Row(number, "", "", "", Outcome(NOT_JUDGED, reason=reason))


def whom(reference: Any) -> tuple[str | None, str | None]:
    """The Patient's id that a reference names, and the server it is on (None: the one of the file)."""
    base, found, local = reference.rpartition("Patient/") if isinstance(reference, str) else ("", "", "")
    return (local.partition("/")[0] or None, base.removesuffix("/") or None) if found else (None, None)


def _said(advice: Advice, status: str, reason: str) -> Outcome:
    unknown = " ".join(map(_unknown, advice.unknown))
    return Outcome(advice.disposition, " ".join(advice.rows), unknown, status, reason)


def _unknown(one: Unknown) -> str:
    return f"{one.question}:{one.doubt}" if one.question else one.doubt


def _member(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _formed(pattern: re.Pattern[str], value: Any) -> str:
    return value if isinstance(value, str) and pattern.fullmatch(value) else ""
