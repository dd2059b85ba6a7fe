"""/sandbox/fhir (development only): the FHIR server of the mini-EHR, for whoever has one of its access tokens.

Source: HL7 FHIR R4, "RESTful API"; SMART App Launch 2.2, "Scopes".
"""

import time
from collections.abc import Callable
from dataclasses import replace
from threading import Event
from typing import Any

from flask import Blueprint, Response, g, request

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.errors import BadRequest, Forbidden
from cds_service.sandbox import Ehr, Exchange
from cds_service.sandbox.calls import searchset
from cds_service.sandbox.firing import MOST
from cds_service.sandbox.records import KINDS
from cds_service.sandbox.switches import SLOW
from cds_service.sandbox.tokens import Grant
from cds_service.web import FHIR_JSON, Deployment, body
from cds_service.web.sandbox import refuse_other_hosts

Granted = Callable[[str, str], Grant]  # type of resource, letter of the interaction → what the token is for
_MOST = MOST + 1  # calls with one token that are kept: one more than is shown, so that it is seen that there were more


def routes(service: Deployment, ehr: Ehr) -> Blueprint:
    """Read, search, create, update and delete of what is on record of the token's patient; and the server's papers."""
    blueprint = Blueprint("sandbox_fhir", __name__, url_prefix="/sandbox/fhir")

    def granted(kind: str, letter: str) -> Grant:
        """Raises NotAuthenticated, and Forbidden for a scope that does not reach so far."""
        grant = g.grant = ehr.grants.of(request.headers.get("Authorization", ""), service.now())
        if not grant.reaches(kind, letter):
            raise Forbidden(f"the scope of this access token does not reach this; ask for one with .{letter}")
        if "slow-fhir" in ehr.switches:
            _dawdle(ehr.public, g.pop("grant"))
        return grant

    _add_papers(blueprint, ehr)
    _add_looks(blueprint, ehr, granted)
    _add_changes(blueprint, ehr, granted)

    @blueprint.before_request
    def begin() -> None:
        g.began = time.monotonic()
        refuse_other_hosts(service)

    @blueprint.after_app_request  # of a refusal, too
    def note(response: Response) -> Response:
        """The call is shown beside the hook that it was made for."""
        grant: Grant | None = g.pop("grant", None)
        if grant and len(grant.used) < _MOST:
            grant.used.append(_exchange(ehr.public, response))
        return response

    return blueprint


def _add_papers(blueprint: Blueprint, ehr: Ehr) -> None:
    """What a server says of itself, to anybody."""

    @blueprint.get("/metadata")
    def metadata() -> Response:
        return _json(_capabilities(ehr.base))

    @blueprint.get("/.well-known/smart-configuration")
    def configuration() -> Response:
        return _json(_configuration(ehr.public), media="application/json")


def _add_looks(blueprint: Blueprint, ehr: Ehr, granted: Granted) -> None:
    @blueprint.get("/<kind>/<id_>")
    def read(kind: str, id_: str) -> Response:
        return _json(ehr.records.read(kind, id_, granted(kind, "r").patient))

    @blueprint.get("/<kind>")
    def search(kind: str) -> Response:
        grant, asked = granted(kind, "s"), request.args.to_dict()
        if any(len(values) > 1 for _, values in request.args.lists()):
            raise BadRequest("search: a parameter stands there twice; write it once, its values separated by commas")
        return _json(searchset(ehr.records.search(grant.patient, kind, asked), ehr.base, kind, asked))


def _add_changes(blueprint: Blueprint, ehr: Ehr, granted: Granted) -> None:
    @blueprint.post("/<kind>")
    def create(kind: str) -> Response:
        kept = ehr.records.create(granted(kind, "c").patient, _sent(kind))
        return _json(kept, 201, {"Location": f"{ehr.base}/{kind}/{kept['id']}/_history/1"})

    @blueprint.put("/<kind>/<id_>")
    def update(kind: str, id_: str) -> Response:
        grant, sent = granted(kind, "u"), _sent(kind)
        if sent.get("id") != id_:
            raise BadRequest("id: is another than in the address; write the same")
        return _json(ehr.records.update(grant.patient, sent))

    @blueprint.delete("/<kind>/<id_>")
    def delete(kind: str, id_: str) -> Response:
        ehr.records.delete(granted(kind, "d").patient, kind, id_)
        return Response(status=204)


def _sent(kind: str) -> Json:
    sent = body()
    if not isinstance(sent, dict) or sent.get("resourceType") != kind:
        raise BadRequest("resourceType: is another than in the address; write the same")
    return sent


def _json(value: Json, status: int = 200, headers: Json | None = None, media: str = FHIR_JSON) -> Response:
    return Response(strict_json.write(value), status, headers, content_type=media)


def _dawdle(public: str, grant: Grant) -> None:
    """Takes long. The call is noted first, because who made it will not wait for the answer."""
    if len(grant.used) < _MOST:
        grant.used.append(replace(_asked(public), error="slow"))
    Event().wait(SLOW)


def _exchange(public: str, response: Response) -> Exchange:
    """What is shown of the call: all of it, because all of it is invented."""
    ms = round((time.monotonic() - g.began) * 1000, 1)
    shown = _read(response.get_data()) if response.is_json else None
    return replace(
        _asked(public),
        ms=ms,
        status=response.status_code,
        reason=response.status.partition(" ")[2],
        response_headers=dict(response.headers),
        response_body=shown,
    )


def _asked(public: str) -> Exchange:
    sent = _read(request.get_data()) if request.is_json else None
    target, version = request.full_path.rstrip("?"), str(request.environ.get("SERVER_PROTOCOL", "HTTP/1.1"))
    url = f"{public}{target}"
    return Exchange("fhir", request.method, url, dict(request.headers), sent, target=target, request_version=version)


def _read(body: bytes) -> Any:
    """What was sent, for people to see; None where it cannot be read."""
    try:
        return strict_json.read(body)
    except BadRequest:
        return None


def _configuration(public: str) -> Json:
    auth = f"{public}/sandbox/auth"
    return {
        "issuer": f"{public}/sandbox/fhir",
        "jwks_uri": f"{public}/sandbox/jwks.json",
        "authorization_endpoint": f"{auth}/authorize",
        "token_endpoint": f"{auth}/token",
        "token_endpoint_auth_methods_supported": ["none"],
        "grant_types_supported": ["authorization_code"],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
        "id_token_signing_alg_values_supported": ["ES384"],
        "scopes_supported": ["launch", "launch/patient", "openid", "fhirUser", "patient/*.cruds"],
        "capabilities": [
            "launch-ehr",
            "launch-standalone",
            "client-public",
            "context-ehr-patient",
            "context-standalone-patient",
            "sso-openid-connect",
            "permission-patient",
            "permission-v2",
        ],
    }


def _capabilities(base: str) -> Json:
    interactions = [{"code": code} for code in ("read", "search-type", "create", "update", "delete")]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": "2026-11-22",
        "kind": "instance",
        "implementation": {"description": "The FHIR server of the sandbox; all in it is invented", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["json"],
        "rest": [{"mode": "server", "resource": [{"type": kind, "interaction": interactions} for kind in KINDS]}],
    }
