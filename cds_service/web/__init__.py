"""The service over HTTP: strict bodies in, JSON out, every refusal an OperationOutcome. Nothing clinical here."""

import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any
from uuid import uuid4

import orjson
from flask import Flask, Response, request
from flask_cors import CORS
from sqlalchemy import Engine
from werkzeug.exceptions import HTTPException

from cds_content.card_shapes import Service
from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES
from cds_service import strict_json
from cds_service.auth import Identify
from cds_service.clients import DEVELOPMENT, Client
from cds_service.errors import NotAuthenticated, ServiceError, UnsupportedMedia

MAX_BODY = 1_000_000  # bytes; a screening is about 10 kB
FHIR_JSON = "application/fhir+json"
_REFUSED = {
    404: ("not-found", "no such address; GET /cds-services and /fhir/metadata tell what there is"),
    405: ("not-supported", "this method is not offered here; the header Allow names those that are"),
    413: ("too-long", f"body: over {MAX_BODY} bytes; send fewer responses"),
}
log = logging.getLogger("cds_service")

Offered = Mapping[str, tuple[Screening, Mapping[str, Service]]]  # id → screening, and its service for each hook


@dataclass(frozen=True)
class Deployment:
    """What the routes work with.

    `identify` names the client of a call or raises NotAuthenticated. `hooks` are those offered (None: all); `grouped`
    puts all hooks of a screening under one id; `versions` adds version and hookVersion to discovery.
    """

    screenings: tuple[Screening, ...]
    store: Engine
    public: str
    development: bool = False
    clients: Mapping[str, Client] = field(default_factory=lambda: {DEVELOPMENT: Client()})
    identify: Identify | None = None
    hooks: tuple[str, ...] | None = None
    grouped: bool = False
    versions: bool = True
    origins: tuple[str, ...] = ()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_uuid: Callable[[], str] = lambda: str(uuid4())

    @cached_property
    def offered(self) -> Offered:
        """The services by id, in the order of the content. Two hooks share an id only when `grouped`."""
        found: dict[str, tuple[Screening, dict[str, Service]]] = {}
        for screening in self.screenings:
            for id_, service in screening.services.items():
                if self.hooks is None or service.hook in self.hooks:
                    _, hooks = found.setdefault(screening.name if self.grouped else id_, (screening, {}))
                    hooks[service.hook] = service
        return found


def create_app(service: Deployment) -> Flask:
    """The WSGI application."""
    from cds_service.web import contract, examples, feedback, fhir, hooks  # they import what stands in this module

    app = Flask("cds_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.url_map.strict_slashes, app.url_map.merge_slashes = False, False
    if service.origins:  # never with credentials: a browser has none of ours to send along
        headers = ["authorization", "content-type"]
        CORS(app, origins=list(service.origins), allow_headers=headers, methods=["GET", "POST"], max_age=600)
    app.register_blueprint(hooks.routes(service))
    app.register_blueprint(feedback.routes(service))
    app.register_blueprint(fhir.routes(service))
    app.register_blueprint(contract.routes(service))
    if service.development:
        app.register_blueprint(examples.routes(service))
    app.register_error_handler(ServiceError, _refuse)
    app.register_error_handler(HTTPException, _refuse_http)
    app.register_error_handler(Exception, _fail)
    app.after_request(_secure)
    return app


def answer(value: Any, *, media: str = "application/json", spoken: str = "") -> Response:
    """`value` as JSON; `spoken` is its language, where that is not the caller's."""
    response = Response(orjson.dumps(value), content_type=media)
    response.headers["Content-Language"] = spoken or language()
    response.headers["Vary"] = "Accept-Language"
    return response


def caller(service: Deployment) -> tuple[str, Client]:
    """The client that calls, by name; in development mode nobody is authenticated.

    Raises NotAuthenticated before a byte of the body is read.
    """
    if service.development:
        return DEVELOPMENT, service.clients[DEVELOPMENT]
    if service.identify is None:
        raise NotAuthenticated
    name = service.identify(request.headers.get("Authorization"), f"{service.public}{request.path}", service.now())
    return name, service.clients[name]


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
    if response.status_code == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response
