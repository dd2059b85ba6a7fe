"""/sandbox/auth (development only): the authorization server of the mini-EHR, and the key that it signs with.

It asks nobody: whoever sits at the sandbox is its only user. Source: SMART App Launch 2.2.
"""

from collections.abc import Mapping

from flask import Blueprint, Response, redirect, request
from werkzeug.wrappers import Response as Answer

from cds_content.shapes import Json
from cds_service import strict_json
from cds_service.sandbox import Ehr
from cds_service.sandbox.launches import Refused
from cds_service.web import Deployment
from cds_service.web.sandbox import refuse_other_hosts

_FORM = "application/x-www-form-urlencoded"


def routes(service: Deployment, ehr: Ehr) -> Blueprint:
    """Authorization and token endpoint, and the public key of the sandbox."""
    blueprint = Blueprint("sandbox_authorization", __name__, url_prefix="/sandbox")
    blueprint.before_request(lambda: refuse_other_hosts(service))

    @blueprint.get("/auth/authorize")
    def authorize() -> Answer:
        first = ehr.patients()[0]
        return redirect(ehr.launches.authorize(request.args.to_dict(), (first.id, first.user), service.now()))

    @blueprint.post("/auth/token")
    def token() -> Response:
        request.max_content_length = 16_000
        try:
            return _json(ehr.launches.exchange(_form(), service.now()))
        except Refused as refused:
            return _json({"error": refused.error, "error_description": str(refused)}, 400)

    @blueprint.get("/jwks.json")
    def jwks() -> Response:
        return _json(ehr.signer.jwks())

    return blueprint


def _form() -> Mapping[str, str]:
    if request.mimetype != _FORM or any(len(values) > 1 for _, values in request.form.lists()):
        raise Refused("invalid_request", f"write {_FORM}, each parameter once")
    return request.form


def _json(value: Json, status: int = 200) -> Response:
    return Response(strict_json.write(value), status, {"Pragma": "no-cache"}, content_type="application/json")
