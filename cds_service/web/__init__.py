"""The service over HTTP: strict bodies in, JSON out, every refusal an OperationOutcome. Nothing clinical here."""

import logging
import traceback

import orjson
from flask import Flask, Response
from flask_cors import CORS
from werkzeug.exceptions import HTTPException

from cds_content.shapes import Json
from cds_service.errors import ServiceError, Unprocessable
from cds_service.web.call import FHIR_JSON, Caller, answer, body, caller, hash_patient, language, recorded_user
from cds_service.web.deployment import Deployment

__all__ = [
    "FHIR_JSON",
    "MAX_BODY",
    "Caller",
    "Deployment",
    "answer",
    "body",
    "caller",
    "create_app",
    "hash_patient",
    "language",
    "recorded_user",
]

MAX_BODY = 1_000_000  # bytes; a screening is about 10 kB
_REFUSED = {
    404: ("not-found", "no such address; GET /cds-services and /fhir/metadata tell what there is"),
    405: ("not-supported", "this method is not offered here; the header Allow names those that are"),
    413: ("too-long", f"body: over {MAX_BODY} bytes; send fewer responses"),
}
log = logging.getLogger("cds_service")


def create_app(service: Deployment) -> Flask:
    """The WSGI application."""
    from cds_service.web.routes import routes  # they import what stands in this module

    app = Flask("cds_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes, app.url_map.merge_slashes = False, False
    if service.origins:  # never with credentials: a browser has none of ours to send along
        CORS(
            app,
            origins=list(service.origins),
            methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type", "if-match", "if-none-exist", "if-none-match", "prefer"],
            expose_headers=["etag", "last-modified", "location"],
            max_age=600,
        )
    for blueprint in routes(service):
        app.register_blueprint(blueprint)
    app.register_error_handler(ServiceError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    app.after_request(_secure)
    return app


def _refuse(error: ServiceError) -> Response:
    if isinstance(error, Unprocessable):
        return _outcome(error.status, error.issues)
    return _outcome(error.status, [_issue(error.code, str(error))])


def _refuse_http(error: HTTPException) -> Response:
    """The web framework's own refusals; their texts never hold what was sent."""
    status = error.code or 500
    response = _outcome(status, [_issue(*_REFUSED.get(status, ("processing", error.name)))])
    response.headers.extend([header for header in error.get_headers() if header[0] == "Allow"])
    return response


def _fail(error: Exception) -> Response:
    """An error of ours: never an empty list of cards. Logged by place and kind, because its text may hold answers."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("%s at %s", type(error).__name__, " > ".join(places[-5:]))
    return _outcome(500, [_issue("exception", "internal error; no advice is given")])


def _issue(code: str, text: str) -> Json:
    return {"severity": "error", "code": code, "diagnostics": text}


def _outcome(status: int, issues: list[Json]) -> Response:
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    return Response(orjson.dumps(outcome), status, content_type=FHIR_JSON)


def _secure(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"  # seconds
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
