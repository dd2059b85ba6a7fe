"""What the tests send: patients, responses and hook calls, built from answers. Times are offsets from now."""

from datetime import UTC, datetime, timedelta
from typing import Any

BASE = "https://lowbackpain.example/fhir"
FORM = f"{BASE}/Questionnaire/low-back-pain"
ANSWERS = f"{BASE}/CodeSystem/low-back-pain-answers"

# Every safety answer safe, the pain getting less: the one patient for whom self-care is right (age 40, clear cause).
CALM: dict[str, Any] = {
    "lbp-present": "yes",
    "rf-bladder-bowel": "no",
    "rf-saddle": "no",
    "rf-sexual": "no",
    "rf-leg": "none",
    "rf-unwell": "no",
    "rf-cancer": "no",
    "rf-clear-cause": "yes",
    "rf-accident": "no",
    "rf-other": "none",
    "co-duration": "lt6w",
    "co-trend": "improving",
    "co-activities": "can",
    "co-guidance": "no",
}


def ago(**span: float) -> str:
    """A FHIR dateTime that long before now."""
    return (datetime.now(UTC) - timedelta(**span)).isoformat(timespec="seconds")


def item(link_id: str, answer: Any) -> dict[str, Any]:
    """An item of a response: a code, an age, a list of codes, or ready-made `answer` content (a list of dicts)."""
    given = answer if isinstance(answer, list) else [answer]
    return {"linkId": link_id, "answer": [_value(one) for one in given]}


def _value(answer: Any) -> Any:
    if isinstance(answer, str):
        return {"valueCoding": {"system": ANSWERS, "code": answer}}
    return {"valueInteger": answer} if type(answer) is int else answer


def response(answers: dict[str, Any], **members: Any) -> dict[str, Any]:
    """A completed QuestionnaireResponse of an hour ago; a member given as None is left out.

    `authored` may be a timedelta, how long before now: so it is exact however long the suite has been running.
    """
    resource = {
        "resourceType": "QuestionnaireResponse",
        "id": "response-1",
        "questionnaire": f"{FORM}|1.0.0",
        "status": "completed",
        "subject": {"reference": "Patient/p1"},
        "authored": ago(hours=1),
        "source": {"reference": "Patient/p1"},
        "item": [item(link_id, answer) for link_id, answer in answers.items()],
    }
    if isinstance(members.get("authored"), timedelta):
        members["authored"] = (datetime.now(UTC) - members["authored"]).isoformat()
    return {name: value for name, value in (resource | members).items() if value is not None}


def born(age: int, days: int = 0) -> str:
    """The birth date of somebody who became `age` years old `days` days ago."""
    today = datetime.now(UTC).date() - timedelta(days=days)
    year = today.year - age
    try:
        return today.replace(year=year).isoformat()
    except ValueError:  # 29 February, and no leap year then
        return today.replace(year=year, month=3, day=1).isoformat()


def patient(age: int | None = 40, **members: Any) -> dict[str, Any]:
    """The Patient p1; without an age there is no birth date."""
    known = {} if age is None else {"birthDate": born(age, days=30)}
    return {"resourceType": "Patient", "id": "p1", **known, **members}


def bundle(*resources: Any) -> dict[str, Any]:
    """A searchset of these resources."""
    entries = [{"resource": resource} for resource in resources]
    return {"resourceType": "Bundle", "type": "searchset"} | ({"entry": entries} if entries else {})


def call(*responses: Any, about: dict[str, Any] | None = None, **members: Any) -> dict[str, Any]:
    """A patient-view call with these responses in a Bundle; `members` replace members of the body."""
    prefetch = {"patient": about or patient(), "responses": bundle(*responses)}
    body = {
        "hook": "patient-view",
        "hookInstance": "7f3f2b9e-4c1c-4a0e-9a52-0d4d2c1f7a11",
        "context": {"userId": "Practitioner/gp-1", "patientId": "p1"},
        "prefetch": prefetch,
    }
    return body | members
