"""The service over HTTP: strict bodies in, JSON out, every refusal an OperationOutcome. Nothing clinical here."""

import logging
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from flask import Flask, Response, request
from sqlalchemy import Engine
from werkzeug.exceptions import HTTPException

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES
from cds_service import strict_json
from cds_service.errors import ServiceError, UnsupportedMedia

MAX_BODY = 1_000_000  # bytes; a screening is about 10 kB
FHIR_JSON = "application/fhir+json"
_REFUSED = {
    404: ("not-found", "no such address; GET /cds-services and /fhir/metadata tell what there is"),
    405: ("not-supported", "this method is not offered here; the header Allow names those that are"),
    413: ("too-long", f"body: over {MAX_BODY} bytes; send fewer responses"),
}
log = logging.getLogger("cds_service")


@dataclass(frozen=True)
class Deployment:
    """What the routes work with."""

    screenings: tuple[Screening, ...]
    store: Engine
    public: str
    development: bool = False
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_uuid: Callable[[], str] = lambda: str(uuid4())


def create_app(service: Deployment) -> Flask:
    """The WSGI application."""
    from cds_service.web import examples, fhir, hooks  # they import what stands in this module

    app = Flask("cds_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes, app.url_map.merge_slashes = False, False
    app.register_blueprint(hooks.routes(service))
    app.register_blueprint(fhir.routes(service))
    if service.development:
        app.register_blueprint(examples.routes(service))
    app.register_error_handler(ServiceError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    app.after_request(_secure)
    return app


def answer(value: Any, *, media: str = "application/json") -> Response:
    """`value` as JSON in the caller's language."""
    response = Response(orjson.dumps(value), content_type=media)
    response.headers["Content-Language"] = language()
    response.headers["Vary"] = "Accept-Language"
    return response


def language() -> str:
    """The language that the caller accepts best; Dutch where he names none of ours."""
    accepted = [tag.partition("-")[0].lower() for tag, quality in request.accept_languages if quality]
    return next((tag for tag in accepted if tag in LANGUAGES), LANGUAGES[0])


def body() -> Any:
    """The JSON that was sent. Raises UnsupportedMedia and BadRequest; HTTP 413 over MAX_BODY."""
    encoding = request.content_encoding or "identity"
    utf8 = request.mimetype_params.get("charset", "utf-8").lower() == "utf-8"
    if request.mimetype not in ("application/json", FHIR_JSON) or not utf8 or encoding != "identity":
        raise UnsupportedMedia("Content-Type: write application/json in UTF-8, without Content-Encoding")
    return strict_json.read(request.get_data(cache=False))


def _refuse(error: ServiceError) -> Response:
    return _outcome(error.status, error.code, str(error))


def _refuse_http(error: HTTPException) -> Response:
    """The web framework's own refusals; their texts never hold what was sent."""
    status = error.code or 500
    response = _outcome(status, *_REFUSED.get(status, ("processing", error.name)))
    response.headers.extend([header for header in error.get_headers() if header[0] == "Allow"])
    return response


def _fail(error: Exception) -> Response:
    """An error of ours: never an empty list of cards. Logged by place and kind, because its text may hold answers."""
    places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("%s at %s", type(error).__name__, " > ".join(places[-5:]))
    return _outcome(500, "exception", "internal error; no advice is given")


def _outcome(status: int, code: str, text: str) -> Response:
    issue = {"severity": "error", "code": code, "diagnostics": text}
    outcome = {"resourceType": "OperationOutcome", "issue": [issue]}
    return Response(orjson.dumps(outcome), status, content_type=FHIR_JSON)


def _secure(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    if response.status_code == 503:
        response.headers["Retry-After"] = "5"  # seconds
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
