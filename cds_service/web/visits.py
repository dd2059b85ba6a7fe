"""Visits of the form: for whom it is filled in, and where the response goes.

What a visit holds is sealed in the database under a key that only the cookie of this browser holds, for this address:
two tabs with two patients cannot be mixed up. Sources: SMART App Launch 2.2; RFC 6265.
"""

import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime, timedelta
from typing import TypeVar

from flask import Response, request

from cds_content.shapes import Json
from cds_service import sealed
from cds_service.clients import Client
from cds_service.errors import Conflict, Forbidden, NotFound, ServiceError, Unavailable
from cds_service.store import forget_visit, keep_visit, sealed_visit
from cds_service.store.visits import claim_visit, end_visit, is_sent, release_visit
from cds_service.web.deployment import Deployment
from cds_service.web.pages import said
from cds_service.web.written import written

LIFE = timedelta(minutes=30)
COOKIE = "visit"
_ID = re.compile(r"[A-Za-z0-9_-]{22}", re.ASCII)  # of 16 random bytes
_SENDING = timedelta(seconds=30)  # more than a write takes; a process that ends meanwhile holds the visit no longer
Result = TypeVar("Result")


@dataclass(frozen=True)
class Visit:
    """For whom the form is filled in, and where the response goes.

    `server` is the FHIR server, `patient` the id there, `user` a relative reference; what is not known is empty, but
    never server and patient. `back` is where to go after sending, `until` the moment (ISO 8601) when the visit ends.
    """

    id: str
    screening: str
    server: str
    patient: str
    name: str
    birth_date: str
    user: str
    back: str
    until: str


def visit(service: Deployment, screening: str, id_: str) -> Visit:
    """The visit that this browser began. Raises NotFound for one that is over, or another's; Unavailable."""
    kept = _kept(service, screening, id_)
    return Visit(**{field.name: kept[field.name] for field in fields(Visit)})


def write(service: Deployment, visit: Visit, response: Json) -> str:
    """Gives the response to the EHR; gives back its reference there, "QuestionnaireResponse/1".

    Raises Unavailable where it is not certain that it was stored, and Forbidden where this visit may not store it; then
    the visit goes on, and the person can send again. Conflict while it is being sent; NotFound where the visit is over.
    """
    kept = _kept(service, visit.screening, visit.id)
    client, now = _client(service, kept), service.now()
    if not _ours(lambda: claim_visit(service.store, visit.id, now + _SENDING, now)):
        raise Conflict(said("launch.being-sent"))
    try:
        return written(response, kept, client.private_addresses)
    except Exception:
        with suppress(ServiceError):  # then it can be sent again a little later
            release_visit(service.store, visit.id)
        raise


def close(service: Deployment, visit: Visit) -> None:
    """Forgets the visit and its token, and keeps for as long as it would have lasted that it was sent.

    Raises Unavailable.
    """
    end_visit(service.store, visit.id, datetime.fromisoformat(visit.until))


def was_sent(service: Deployment, id_: str) -> bool:
    """Whether it is known that this visit ended with a response in the record; False says nothing."""
    with suppress(ServiceError):
        return is_sent(service.store, id_, service.now())
    return False


def begin(service: Deployment, visit: Visit, client: str, token: str, searches: bool, life: timedelta) -> str:
    """Keeps a visit of this client, and gives the key for its cookie. Raises Unavailable.

    `searches`: the token also lets look for responses.
    """
    return keep(service, visit.id, asdict(visit) | {"client": client, "token": token, "searches": searches}, life)


def new_id() -> str:
    """The name of something kept, which is no secret."""
    return secrets.token_urlsafe(16)


def keep(service: Deployment, id_: str, content: Json, life: timedelta) -> str:
    """Seals the content for so long, and gives the key. Raises Unavailable."""
    key, closed = sealed.seal(content | {"id": id_})
    now = service.now()
    _ours(lambda: keep_visit(service.store, id_, closed, now + life, now))
    return key


def found(service: Deployment, id_: str, cookie: str) -> Json | None:
    """What was kept under this id, with the key that this browser holds; None where there is none of it.

    Raises Unavailable.
    """
    key = request.cookies.get(named(service, cookie), "")
    closed = _ours(lambda: sealed_visit(service.store, id_, service.now())) if key and _ID.fullmatch(id_) else None
    content = sealed.opened(closed, key) if closed else None
    return content if content and content["id"] == id_ else None


def taken(service: Deployment, id_: str) -> bool:
    """Takes away what was kept; whether it was there, which is so for one call only. Raises Unavailable."""
    return _ours(lambda: forget_visit(service.store, id_))


def give(service: Deployment, response: Response, cookie: str, key: str, path: str, life: timedelta) -> None:
    """Gives this browser a key, for one address and what is below it; a life of nothing takes it back."""
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


def _ours(do: Callable[[], Result]) -> Result:
    """What the database gives. Raises Unavailable in the words of the page."""
    try:
        return do()
    except Unavailable:
        raise Unavailable(said("launch.not-now")) from None
