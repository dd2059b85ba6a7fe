"""The service over HTTP: strict bodies in, JSON out, every refusal an OperationOutcome. Nothing clinical here."""

import re

from flask import Flask
from flask_cors import CORS

from cds_service.web.call import FHIR_JSON, Caller, answer, body, caller, hash_patient, language, recorded_user
from cds_service.web.deployment import Deployment
from cds_service.web.headers import offer_methods, secure
from cds_service.web.observed import observe
from cds_service.web.pages import prepare
from cds_service.web.refusals import MAX_BODY, refuse_as_outcomes

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


def create_app(service: Deployment) -> Flask:
    """The WSGI application."""
    from cds_service.web.astray import alarms_astray  # both import what stands in this module
    from cds_service.web.routes import routes

    app = Flask("cds_service")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY + 1  # what has no length is cut there; so it is seen to be too long
    app.url_map.strict_slashes, app.url_map.merge_slashes = False, False
    prepare(app, service)
    offer_methods(app)
    if service.origins:  # never with credentials: a browser has none of ours to send along
        CORS(
            app,
            origins=[re.compile(rf"{re.escape(one)}\Z") for one in service.origins],  # a text would fit in any case
            methods=["GET", "POST", "PUT", "DELETE"],
            allow_headers=["authorization", "content-type", "if-match", "if-none-exist", "if-none-match", "prefer"],
            expose_headers=["etag", "last-modified", "location"],
            max_age=600,
        )
    for blueprint in routes(service):
        app.register_blueprint(blueprint)
    observe(app)
    refuse_as_outcomes(app, lambda: alarms_astray(service))
    secure(app, service.public)
    return app
