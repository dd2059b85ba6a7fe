"""SMART Backend Services: a client shows a signed assertion, and gets an access token for a few minutes.

With it the client calls /fhir, /report and /metrics, and signs nothing more; the hooks want a token of each call's own.
Sources: SMART App Launch 2.2, "Backend Services"; RFC 6749, 3.2, 4.4, 5.1 and 5.2; RFC 7521, 4.2; RFC 7523.
"""

from collections.abc import Mapping
from datetime import timedelta
from secrets import token_urlsafe

from flask import Blueprint, Response, g, request

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.auth import ALGORITHMS, TOKEN_ENDPOINT, refusal
from cds_service.errors import NotAuthenticated
from cds_service.scopes import SUPPORTED, Scopes, granted, read_scopes, written
from cds_service.store import give_access
from cds_service.web.call import Caller, admitted
from cds_service.web.deployment import Deployment

LIFETIME = timedelta(seconds=300)
MAX_FORM = 16_000  # bytes; an assertion has at most half of it
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
GRANT = "client_credentials"
_FORM = "application/x-www-form-urlencoded"


class _Refused(Exception):
    """`error` is a code of RFC 6749, 5.2; the text says what to write instead, in letters that it allows."""

    def __init__(self, error: str, text: str) -> None:
        super().__init__(text)
        self.error = error


def routes(service: Deployment) -> Blueprint:
    """The token endpoint, and the document that says where it is and what it knows; both open to all."""
    blueprint = Blueprint("authorization", __name__)

    @blueprint.get("/fhir/.well-known/smart-configuration")
    def configuration() -> Response:
        return _json(_configuration(service.public))

    @blueprint.post(TOKEN_ENDPOINT)
    def token() -> Response:
        request.max_content_length = MAX_FORM
        try:
            return _given(service, _form())
        except NotAuthenticated as error:
            g.reason = error.reason
            return _refusal("invalid_client", "the client is not authenticated", 401)  # the same for every cause
        except _Refused as error:
            g.reason = error.error.replace("_", "-")
            return _refusal(error.error, str(error), 400)

    return blueprint


def _form() -> Mapping[str, str]:
    """What was sent, each parameter once. Raises _Refused for what is no request for a token of this kind."""
    form = request.form if request.mimetype == _FORM else None
    if form is None or any(len(values) > 1 for _, values in form.lists()):
        raise _Refused("invalid_request", f"write {_FORM}, each parameter once")
    if "Authorization" in request.headers:
        raise _Refused("invalid_request", "authenticate by the client_assertion only, without a header Authorization")
    if "grant_type" not in form:
        raise _Refused("invalid_request", f"grant_type is missing, write {GRANT}")
    if form["grant_type"] != GRANT:
        raise _Refused("unsupported_grant_type", f"write {GRANT}")
    return form


def _given(service: Deployment, form: Mapping[str, str]) -> Response:
    who, now = _client(service, form), service.now()
    scopes = written(_granted(form.get("scope", ""), who))
    token = token_urlsafe(32)
    give_access(service.store, token, who.owner, scopes, now + LIFETIME, now)
    given = {"access_token": token, "token_type": "bearer", "expires_in": int(LIFETIME.total_seconds())}
    return _json(given | {"scope": scopes})


def _client(service: Deployment, form: Mapping[str, str]) -> Caller:
    """The client of the assertion. Raises NotAuthenticated."""
    assertion = form.get("client_assertion", "")
    if service.identify is None or not assertion or form.get("client_assertion_type") != ASSERTION_TYPE:
        raise refusal("no-token")
    owner = service.identify(f"Bearer {assertion}", f"{service.public}{TOKEN_ENDPOINT}", service.now())
    who = admitted(service, owner)
    if form.get("client_id", who.client.issuer) != who.client.issuer:
        raise refusal("other-sub")
    return who


def _granted(text: str, who: Caller) -> Scopes:
    """What is asked for and agreed. Raises _Refused where nothing is."""
    try:
        scopes = granted(read_scopes(text), read_scopes(" ".join(who.client.scopes)))
    except ValueError as error:
        raise _Refused("invalid_scope", f"the scope {error}") from None
    if not scopes:
        raise _Refused("invalid_scope", "nothing of it was agreed with this client, write scopes that were")
    return scopes


def _configuration(public: str) -> Json:
    return {
        "token_endpoint": f"{public}{TOKEN_ENDPOINT}",
        "token_endpoint_auth_methods_supported": ["private_key_jwt"],
        "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
        "grant_types_supported": [GRANT],
        "scopes_supported": [f"system/{kind}.{letters}" for kind, letters in SUPPORTED.items()],
        "capabilities": ["client-confidential-asymmetric", "permission-v2"],
    }


def _refusal(error: str, text: str, status: int) -> Response:
    return _json({"error": error, "error_description": text}, status)


def _json(value: Json, status: int = 200) -> Response:
    headers = {"Pragma": "no-cache"}  # RFC 6749, 5.1, beside the Cache-Control that every answer has
    return Response(strict_json.write(value), status, headers, content_type="application/json")
