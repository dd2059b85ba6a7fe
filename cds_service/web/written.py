"""A response is given to an EHR, which stores it or does not; there is nothing between.

Sources: HL7 FHIR R4, "create", "Conditional create", OperationOutcome; RFC 7240.
"""

import hashlib
import hmac
import re
import time
from urllib.parse import quote

from cds_content.shapes import Json
from cds_service import outbound, strict_json
from cds_service.errors import BadRequest, Forbidden, Unavailable
from cds_service.outbound import Answered, Unanswered, Unreachable
from cds_service.partners import place
from cds_service.resources import dicts
from cds_service.smart import PATIENCE
from cds_service.web.pages import said

_REFERENCE = re.compile(
    r"(?:^|/)(QuestionnaireResponse/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$", re.ASCII
)


def written(response: Json, visit: Json, private: bool) -> str:
    """The reference of what was stored for this visit: what is kept of it, with its token.

    `private`: the server may stand on a private address. Raises Unavailable where it is not certain that anything was
    stored, and Forbidden where it may not be: a refusal with status 200 is one too.
    """
    answer = _answer(response, visit, private)
    if answer.status in (401, 403):
        raise Forbidden(said("launch.not-allowed"))
    if answer.status not in (200, 201):
        raise Unavailable(said("launch.not-written" if answer.status < 500 else "launch.not-confirmed"))
    body = _body(answer.body, visit["server"], visit["patient"])
    address = _REFERENCE.search(answer.headers.get("location", ""))
    found = address or _REFERENCE.search(f"QuestionnaireResponse/{body.get('id', '')}")
    if not found:
        raise Unavailable(said("launch.not-confirmed"))
    return found[1]


def _answer(response: Json, visit: Json, private: bool) -> Answered:
    """What the EHR answers. A server that hangs holds no more threads than it has places. Raises Unavailable."""
    named = _identifier(response, visit)
    body, headers = strict_json.write(response | {"identifier": named}), _headers(visit, named)
    until, url = time.monotonic() + PATIENCE, f"{visit['server']}/QuestionnaireResponse"
    try:
        with place(visit["server"]):
            return outbound.send("POST", url, headers=headers, body=body, until=until, private=private)
    except Unanswered:
        raise Unavailable(said("launch.not-confirmed")) from None
    except Unreachable:
        raise Unavailable(said("launch.not-written")) from None


def _identifier(response: Json, visit: Json) -> Json:
    """The same for the same answers of a visit, and another for others: what was changed is never taken for known.

    Nobody can try answers against it, because the token of the visit is its key.
    """
    answers = strict_json.write(response["item"])
    digest = hmac.new(visit["token"].encode(), answers, hashlib.sha256).hexdigest()[:32]
    return {"system": f"{response['questionnaire'].partition('|')[0]}/visit", "value": f"{visit['id']}.{digest}"}


def _headers(visit: Json, named: Json) -> dict[str, str]:
    """Whose token does not let it search may not ask what is there either: a server would refuse If-None-Exist."""
    wanted = quote(f"{named['system']}|{named['value']}", safe="")
    unless = {"If-None-Exist": f"identifier={wanted}"} if visit.get("searches") else {}
    return unless | {
        "Accept": "application/fhir+json",
        "Content-Type": "application/fhir+json",
        "Prefer": "return=minimal",
        "Authorization": f"Bearer {visit['token']}",
    }


def _body(body: bytes, server: str, patient: str) -> Json:
    """What the server says that it stored, if it says so: a response about this patient, or remarks without an error.

    With remarks, and with nothing, only the address of what was stored proves that something was.
    """
    if not body.strip():
        return {}
    try:
        told = strict_json.read(body)
        if told["resourceType"] == "OperationOutcome" and not _has_error(told):
            return {}
        subject = told["subject"]["reference"]
    except (BadRequest, KeyError, TypeError):
        raise Unavailable(said("launch.not-confirmed")) from None
    if told["resourceType"] != "QuestionnaireResponse" or subject not in (
        f"Patient/{patient}",
        f"{server}/Patient/{patient}",
    ):
        raise Unavailable(said("launch.not-confirmed"))
    return dict(told)


def _has_error(outcome: Json) -> bool:
    """Whether it names an error, or says something that cannot be read."""
    issues = outcome.get("issue", [])
    read = dicts(issues)
    return len(read) != len(issues) or any(one.get("severity") not in ("warning", "information") for one in read)
