"""Visits of the form: for whom it is filled in, and where the response goes.

What a visit holds is sealed in the database under a key that only the cookie of this browser holds, for this address:
two tabs with two patients cannot be mixed up. Sources: SMART App Launch 2.2; HL7 FHIR R4, "create"; RFC 6265.
"""

import re
import secrets
import time
from dataclasses import asdict, dataclass, fields
from datetime import timedelta

from flask import Response, request

from cds_content.shapes import Json
from cds_service import outbound, sealed, strict_json
from cds_service.clients import Client
from cds_service.errors import BadRequest, Forbidden, NotFound, Unavailable
from cds_service.outbound import Answered, Unanswered, Unreachable
from cds_service.smart import PATIENCE
from cds_service.store import forget_visit, keep_visit, sealed_visit
from cds_service.web.deployment import Deployment
from cds_service.web.pages import said

LIFE = timedelta(minutes=30)
COOKIE = "visit"
_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # of 16 random bytes
_REFERENCE = re.compile(
    r"(?:^|/)(QuestionnaireResponse/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]{1,64})?$", re.ASCII
)


@dataclass(frozen=True)
class Visit:
    """For whom the form is filled in, and where the response goes.

    `server` is the FHIR server, `patient` the id there, `user` a relative reference; what is not known is empty, but
    never server and patient. `back` is where to go after sending.
    """

    id: str
    screening: str
    server: str
    patient: str
    name: str
    birth_date: str
    user: str
    back: str


def visit(service: Deployment, screening: str, id_: str) -> Visit:
    """The visit that this browser began. Raises NotFound for one that is over, or another's; Unavailable."""
    kept = _kept(service, screening, id_)
    return Visit(**{field.name: kept[field.name] for field in fields(Visit)})


def write(service: Deployment, visit: Visit, response: Json) -> str:
    """Gives the response to the EHR; gives back its reference there, "QuestionnaireResponse/1".

    Raises Unavailable where it is not certain that it was stored, and Forbidden where this visit may not store it; then
    the visit goes on, and the person can send again. NotFound where the visit is over.
    """
    kept = _kept(service, visit.screening, visit.id)
    headers = {"Accept": "application/fhir+json", "Content-Type": "application/fhir+json"}
    headers["Authorization"] = f"Bearer {kept['token']}"
    private, body = _client(service, kept).private_addresses, strict_json.write(response)
    until, url = time.monotonic() + PATIENCE, f"{visit.server}/QuestionnaireResponse"
    try:
        answer = outbound.send("POST", url, headers=headers, body=body, until=until, private=private)
    except Unanswered:
        raise Unavailable(said("launch.not-confirmed")) from None
    except Unreachable:
        raise Unavailable(said("launch.not-written")) from None
    return _stored(answer, visit)


def close(service: Deployment, visit: Visit) -> None:
    """Forgets the visit, and its token. Raises Unavailable."""
    forget_visit(service.store, visit.id)


def begin(service: Deployment, visit: Visit, client: str, token: str, life: timedelta) -> str:
    """Keeps a visit of this client, and gives the key for its cookie. Raises Unavailable."""
    return keep(service, visit.id, asdict(visit) | {"client": client, "token": token}, life)


def new_id() -> str:
    """The name of something kept, which is no secret."""
    return secrets.token_urlsafe(16)


def keep(service: Deployment, id_: str, content: Json, life: timedelta) -> str:
    """Seals the content for so long, and gives the key. Raises Unavailable."""
    key, closed = sealed.seal(content | {"id": id_})
    now = service.now()
    keep_visit(service.store, id_, closed, now + life, now)
    return key


def found(service: Deployment, id_: str, cookie: str) -> Json | None:
    """What was kept under this id, with the key that this browser holds; None where there is none of it."""
    key = request.cookies.get(named(service, cookie), "")
    closed = sealed_visit(service.store, id_, service.now()) if key and _ID.fullmatch(id_) else None
    content = sealed.opened(closed, key) if closed else None
    return content if content and content["id"] == id_ else None


def give(service: Deployment, response: Response, cookie: str, key: str, path: str, life: timedelta) -> None:
    """Gives this browser a key, for one address and what is below it."""
    secure = service.public.startswith("https://")
    age = int(life.total_seconds())
    response.set_cookie(
        named(service, cookie), key, max_age=age, path=path, httponly=True, secure=secure, samesite="Lax"
    )


def named(service: Deployment, cookie: str) -> str:
    """The name of a cookie, which a browser takes by https only where this service has that."""
    return f"__Secure-{cookie}" if service.public.startswith("https://") else cookie


def _kept(service: Deployment, screening: str, id_: str) -> Json:
    kept = found(service, id_, COOKIE)
    if kept is None or kept.get("screening") != screening:
        raise NotFound(said("launch.over"))
    return kept


def _client(service: Deployment, kept: Json) -> Client:
    """The client of a visit, as it is agreed by now. Raises Forbidden."""
    client = service.clients.get(kept["client"])
    if client is None or client.smart is None or kept["server"] not in client.fhir_servers:
        raise Forbidden(said("launch.not-allowed"))
    return client


def _stored(answer: Answered, visit: Visit) -> str:
    """The reference of what was stored. Raises Unavailable and Forbidden: a refusal with status 200 is one too."""
    if answer.status in (401, 403):
        raise Forbidden(said("launch.not-allowed"))
    if answer.status not in (200, 201):
        raise Unavailable(said("launch.not-written" if answer.status < 500 else "launch.not-confirmed"))
    body = _body(answer.body, visit)
    place = _REFERENCE.search(answer.headers.get("location", ""))
    reference = place or _REFERENCE.search(f"QuestionnaireResponse/{body.get('id', '')}")
    if not reference:
        raise Unavailable(said("launch.not-confirmed"))
    return reference[1]


def _body(body: bytes, visit: Visit) -> Json:
    """What the server says that it stored, if it says so: a response about this patient."""
    if not body.strip():
        return {}
    try:
        told = strict_json.read(body)
        subject = told["subject"]["reference"]
    except (BadRequest, KeyError, TypeError):
        raise Unavailable(said("launch.not-confirmed")) from None
    about = (f"Patient/{visit.patient}", f"{visit.server}/Patient/{visit.patient}")
    if told.get("resourceType") != "QuestionnaireResponse" or subject not in about:
        raise Unavailable(said("launch.not-confirmed"))
    return dict(told)
