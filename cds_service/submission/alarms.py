"""What advice a submitted response gives by itself, and what alarms a refused one still tells. Nothing is silent."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Literal

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import decide
from cds_service.responses import READ, read_response
from cds_service.submission import form_of

MOST = 500  # responses that are read of one body; more would keep everybody else waiting
Told = Literal["stored", "refused", "past", "replaced"]
_SAID: dict[Told, str] = {
    "stored": "the answers give this disposition; no card shows it until a hook is called",
    "refused": "the answers that could be read would give this disposition; nothing was stored",
    "past": "the answers gave this disposition when they were filled in, too long ago for any card; check `authored`",
    "replaced": "the version before gave this disposition, and no card shows it any more",
}
_HOLDING = ("entry", "parameter", "part", "resource")


def disposition_of(screening: Screening, response: Json, now: datetime) -> str:
    """The disposition that a response to this screening's form gives at `now`, as a call with it alone would.

    Its subject is known; no birth date is. One that was entered in error is not read: it gives no advice.
    """
    return decide(screening, [read_response(screening, response, True, birth_date=None, now=now)]).disposition


def disposition_then(screening: Screening, response: Json, now: datetime) -> str:
    """The disposition that a response gave when it was filled in, however long ago."""
    return disposition_of(screening, response | {"authored": now.isoformat()}, now)


def is_urgent(screening: Screening, disposition: str) -> bool:
    """Whether a doctor is needed today: nobody may see it for hours where no hook fires."""
    card = screening.dispositions[disposition]
    return card.class_ == "doctor" and card.indicator == "critical"


def readable_alarms(screenings: Sequence[Screening], body: Any, now: datetime) -> list[tuple[Screening, str]]:
    """The dispositions of doctor class that the answers of what was refused would give, as far as they can be read.

    `body` is a response, or an array, a Bundle or Parameters that holds some. Each is read as if the form were one of
    ours and there were no modifiers: an alarm too many is better than one unheard.
    """
    found: dict[tuple[str, str], tuple[Screening, str]] = {}
    for response in islice(_responses(body), MOST):
        found |= {(one.name, name): (one, name) for one, name in _alarms_of(screenings, response, now)}
    return list(found.values())


def alarm_issues(screenings: Sequence[Screening], body: Any, now: datetime, language: str) -> list[Json]:
    """An OperationOutcome.issue for each alarm that can be read in what was refused, in words of this language."""
    named = readable_alarms(screenings, body, now)
    return [disposition_issue(screening, name, language, "refused") for screening, name in named]


def _responses(body: Any) -> Iterator[Json]:
    """What was sent that has answers, itself or in what wraps it."""
    if isinstance(body, list):
        yield from (found for one in body for found in _responses(one))
    elif isinstance(body, dict) and _wraps(body):
        yield from (found for name in _HOLDING for found in _responses(body.get(name)))
    elif isinstance(body, dict) and body.get("item") and body.get("status") != "entered-in-error":
        yield body


def _wraps(body: Json) -> bool:
    return body.get("resourceType") in ("Bundle", "Parameters") or bool("item" not in body and body.keys() & _HOLDING)


def _alarms_of(screenings: Sequence[Screening], response: Json, now: datetime) -> list[tuple[Screening, str]]:
    known, _ = form_of(screenings, response)
    given = [(one, disposition_of(one, _leniently(one, response), now)) for one in ([known] if known else screenings)]
    return [(one, name) for one, name in given if one.dispositions[name].class_ == "doctor"]


def _leniently(screening: Screening, response: Json) -> Json:
    body = {name: value for name, value in _unmodified(response).items() if name != "implicitRules"}
    status = body.get("status")
    return body | {"questionnaire": screening.canonical, "status": status if status in READ else "completed"}


def _unmodified(value: Any) -> Any:
    """The value without any modifierExtension."""
    if isinstance(value, list):
        return [_unmodified(part) for part in value]
    if isinstance(value, dict):
        return {name: _unmodified(part) for name, part in value.items() if name != "modifierExtension"}
    return value


def disposition_issue(screening: Screening, disposition: str, language: str, said: Told) -> Json:
    """OperationOutcome.issue that names the disposition, in words of the content in this language."""
    named = screening.coding("dispositions", disposition, language)
    return {
        "severity": "error" if said == "refused" else "warning",
        "code": "business-rule",
        "details": {"coding": [named], "text": named["display"]},
        "diagnostics": f"{_SAID[said]}; see that a clinician reads it now",
    }
