"""One call over HTTP: who calls, in which language, what was sent, and JSON as the answer."""

import hashlib
import hmac
import re
from dataclasses import dataclass
from typing import Any

from flask import Response, g, request

from cds_content.shapes import LANGUAGES
from cds_service import strict_json
from cds_service.auth import refusal
from cds_service.clients import DEVELOPMENT, Client, Role
from cds_service.errors import Forbidden, UnsupportedMedia
from cds_service.sandbox.trust import SANDBOX, issuer_of
from cds_service.scopes import Scopes, granted, reaches, read_scopes
from cds_service.store import access
from cds_service.web.deployment import Deployment

FHIR_JSON = "application/fhir+json"
ACCESS_TOKEN = 43  # characters, of 32 random bytes
_ACCESS = re.compile(rf"Bearer ([A-Za-z0-9_-]{{{ACCESS_TOKEN}}})", re.ASCII)
_NO_STAFF = ("Patient", "RelatedPerson")


@dataclass(frozen=True)
class Caller:
    """Who calls. `owner` is the client and its tenant, if any: what every row of the database belongs to.

    `scopes` are those of an access token; None: the call has a token of its own, and reaches all that the roles do.
    """

    owner: str
    client: Client
    scopes: Scopes | None = None

    @property
    def name(self) -> str:
        return self.owner.partition(" ")[0]


def caller(service: Deployment, role: Role = "client", needs: str = "") -> Caller:
    """Who calls; in development mode nobody is authenticated. Asked again in the same request, it is the same caller.

    `needs` is the interaction, `QuestionnaireResponse.c` for one, that the scopes of an access token have to reach;
    without it no access token counts. Raises NotAuthenticated before a byte of the body is read, TooManyCalls, and
    Forbidden for a client without the role or a token without the scope.
    """
    who: Caller = g.get("caller") or _identified(service, access_tokens=bool(needs))
    if role not in who.client.roles:
        raise Forbidden(f"this address is for clients with the role {role!r}; have it added to clients.toml")
    if who.scopes is not None and not reaches(who.scopes, needs):
        raise Forbidden(f"the scopes of this access token do not reach this; ask for one that reaches {needs!r}")
    return who


def admitted(service: Deployment, owner: str, scopes: Scopes | None = None) -> Caller:
    """The caller of this request, now that it is known whose it is. Raises TooManyCalls."""
    who = Caller(owner, service.clients[owner.partition(" ")[0]], scopes)
    g.client, g.tenant = who.name, who.owner.partition(" ")[2]  # for the log, the client also for the metrics
    service.admit(who.owner, who.client.calls_per_second)
    g.caller = who
    return who


def _identified(service: Deployment, *, access_tokens: bool) -> Caller:
    authorization = request.headers.get("Authorization", "")
    if service.development:
        return admitted(service, _in_development(service, authorization))
    if access_tokens and (shown := _ACCESS.fullmatch(authorization)):
        return admitted(service, *_holder(service, shown[1]))
    if service.identify is None:
        raise refusal("no-token")
    return admitted(service, service.identify(authorization, f"{service.public}{request.path}", service.now()))


def _in_development(service: Deployment, authorization: str) -> str:
    """The sandbox, where a token says that it is; that is checked in full. All others are not authenticated."""
    if SANDBOX not in service.clients or issuer_of(authorization) != service.clients[SANDBOX].issuer:
        return DEVELOPMENT
    return service.identify_sandbox(authorization, f"{service.public}{request.path}", service.now())


def _holder(service: Deployment, token: str) -> tuple[str, Scopes]:
    """To whom the access token was given, and for what; never more than what is agreed with that client by now."""
    owner, scopes = access(service.store, token, service.now()) or ("", "")
    name, _, tenant = owner.partition(" ")
    client = service.clients.get(name)
    if client is None or (tenant and tenant not in client.tenants):
        raise refusal("access-token")
    return owner, granted(read_scopes(scopes), read_scopes(" ".join(client.scopes)))


def hash_patient(service: Deployment, owner: str, patient: str) -> str:
    """What stands for the patient with this id on the FHIR server of this owner, in the records of this service."""
    return hashed(service.patient_key, owner, patient)


def hashed(key: bytes, owner: str, patient: str) -> str:
    """The keyed hash of a patient: nobody without the key can tell who it is. The same id of two owners gives two."""
    return hmac.new(key, f"{owner}\n{patient}".encode(), hashlib.sha256).hexdigest()


def recorded_user(service: Deployment, owner: str, user: str | None) -> str:
    """The user, a relative reference, as the records of this service name them; empty where nobody is named.

    A patient or a relative who uses the client is there by the keyed hash of their id, staff as the client named them.
    """
    kind, _, id_ = (user or "").partition("/")
    return f"{kind}/{hash_patient(service, owner, id_)}" if kind in _NO_STAFF else user or ""


def answer(value: Any, *, media: str = "application/json", spoken: str = "") -> Response:
    """`value` as JSON; `spoken` is its language, where that is not the caller's."""
    response = Response(strict_json.write(value), content_type=media)
    response.headers["Content-Language"] = spoken or language()
    response.headers["Vary"] = "Accept-Language"
    return response


def language(client: Client | None = None) -> str:
    """The client's configured language, else the one that the caller accepts best, else Dutch."""
    if client and client.language:
        return client.language
    accepted = [tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality]
    return next((tag for tag in accepted if tag in LANGUAGES), LANGUAGES[0])


def body() -> Any:
    """The JSON that was sent. Raises UnsupportedMedia and BadRequest; HTTP 413 over MAX_BODY."""
    encoding = request.content_encoding or "identity"
    utf8 = request.mimetype_params.get("charset", "utf-8").lower() == "utf-8"
    if request.mimetype not in ("application/json", FHIR_JSON) or not utf8 or encoding != "identity":
        raise UnsupportedMedia("Content-Type: write application/json in UTF-8, without Content-Encoding")
    return strict_json.read(request.get_data(cache=False))
