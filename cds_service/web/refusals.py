"""Every refusal over HTTP: an OperationOutcome, or a page for people, without a word of what was sent."""

from collections.abc import Callable

import orjson
from flask import Flask, Response, g
from werkzeug.exceptions import HTTPException

from cds_content.shapes import Json
from cds_service import logs
from cds_service.errors import NotAuthenticated, ServiceError, TooManyCalls, Unprocessable
from cds_service.strict_json import MAX_BYTES
from cds_service.web.call import FHIR_JSON
from cds_service.web.pages import is_page, refusal

MAX_BODY = MAX_BYTES
_REFUSED = {
    404: ("not-found", "no such address; GET /cds-services and /fhir/metadata tell what there is"),
    405: ("not-supported", "this method is not offered here; the header Allow names those that are"),
    413: ("too-long", f"body: over {MAX_BODY} bytes; send fewer responses"),
}
log = logs.get()


def refuse_as_outcomes(app: Flask, astray: Callable[[], list[Json]]) -> None:
    """Whatever is raised in this application is answered as an OperationOutcome.

    `astray` gives the issues that stand first where there is no such address, or no such method.
    """
    app.register_error_handler(ServiceError, _refuse)
    app.register_error_handler(HTTPException, lambda error: _refuse_http(error, astray))
    app.register_error_handler(Exception, _fail)


def _refuse(error: ServiceError) -> Response:
    g.reason = error.reason if isinstance(error, NotAuthenticated) else error.code
    if isinstance(error, Unprocessable):
        return _outcome(error.status, error.issues)
    response = _outcome(error.status, [_issue(error.code, str(error))])
    if isinstance(error, TooManyCalls):
        response.headers["Retry-After"] = str(error.wait)
    return response


def _refuse_http(error: HTTPException, astray: Callable[[], list[Json]]) -> Response:
    """The web framework's own refusals; their texts never hold what was sent."""
    status = error.code or 500
    code, text = _REFUSED.get(status, ("processing", error.name))
    g.reason = code
    named = astray() if status in (404, 405) else []
    response = _outcome(status, [*named, _issue(code, text)])
    response.headers.extend([header for header in error.get_headers() if header[0] == "Allow"])
    return response


def _fail(error: Exception) -> Response:
    """An error of ours: never an empty list of cards. Logged by place and kind, because its text may hold answers."""
    g.reason = "exception"
    log.error("internal error", kind=type(error).__name__, place=logs.place(error))
    return _outcome(500, [_issue("exception", "internal error; no advice is given")])


def _issue(code: str, text: str) -> Json:
    return {"severity": "error", "code": code, "diagnostics": text}


def _outcome(status: int, issues: list[Json]) -> Response:
    if is_page():
        return refusal(status, issues[0]["diagnostics"])
    outcome = {"resourceType": "OperationOutcome", "issue": issues}
    return Response(orjson.dumps(outcome), status, content_type=FHIR_JSON)
