"""QuestionnaireResponse/$validate: every fault of a response, against FHIR R4 and its form; nothing is stored.

200 also for what is not valid: `error` is what a POST would refuse, `warning` what it would store. Source: HL7 FHIR R4,
"Resource operations", $validate.
"""

from collections.abc import Collection
from typing import Any

from flask import Blueprint, Response, request

from cds_content.shapes import Json
from cds_service.errors import BadRequest
from cds_service.parameters import is_parameters, one_of, read_parameters
from cds_service.parameters import refused as refused_parameter
from cds_service.submission import faults
from cds_service.submission.alarms import disposition_issue, is_urgent, readable_alarms
from cds_service.submission.kinds import issue
from cds_service.web import Caller, Deployment, caller, language
from cds_service.web.exchange import issue as plain_issue
from cds_service.web.exchange import outcome
from cds_service.web.submission_answer import KIND, naming_alarms, sent_naming_alarms
from cds_service.web.submission_stored import stored_body, stored_version

PROFILES = (
    f"http://hl7.org/fhir/StructureDefinition/{KIND}",
    "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaireresponse",
)
_NAMED = "the answers give this disposition; $validate stores nothing; see that a clinician reads it now"
MODES = ("create", "update", "delete", "profile")


def routes(service: Deployment) -> Blueprint:
    """The operation on what is sent, and on a response of the caller's own that is stored."""
    blueprint = Blueprint("submission_validate", __name__)

    @blueprint.post("/$validate")
    def validate() -> Response:
        who = caller(service, needs="QuestionnaireResponse.c")
        with naming_alarms(service, who, body := sent_naming_alarms(service, who)):
            return _validated(service, who, _given(body))

    @blueprint.get("/<id_>/$validate")
    def validate_stored(id_: str) -> Response:
        who = caller(service, needs="QuestionnaireResponse.r")
        given = {name: list(values) for name, values in request.args.lists()}
        return _validated(service, who, given | {"resource": [stored_body(stored_version(service, who, id_))]})

    @blueprint.post("/<id_>/$validate")
    def validate_update(id_: str) -> Response:
        """What is sent as the next version of the response, or the stored one where none is sent."""
        who = caller(service, needs="QuestionnaireResponse.u")
        with naming_alarms(service, who, body := sent_naming_alarms(service, who)):
            given, stored = _given(body), stored_body(stored_version(service, who, id_))
            return _validated(service, who, {"resource": [stored]} | given, id_)

    return blueprint


def _given(body: Any) -> dict[str, list[Any]]:
    return read_parameters(body) if is_parameters(body) else {"resource": [body]}


def _validated(service: Deployment, who: Caller, given: dict[str, list[Any]], id_: str = "") -> Response:
    """Raises BadRequest and Unprocessable for what is asked in a way that is not supported; SHALL, as R4 says."""
    resource, mode, profile = one_of(given, "resource"), one_of(given, "mode"), one_of(given, "profile")
    if mode is not None and mode not in MODES:
        raise BadRequest(f"mode: is unknown; write one of: {', '.join(MODES)}")
    if profile is not None and str(profile).partition("|")[0] not in PROFILES:
        raise refused_parameter(
            "profile", "not-supported", f"is not validated here; write one of: {', '.join(PROFILES)}"
        )
    if resource is None:
        raise BadRequest("resource: is missing; send the response, or Parameters with it")
    found = faults(service.screenings, resource, service.now(), who.client.fhir_servers)
    issues = [issue(one, service.screenings[0].base) for one in found]
    if id_ and isinstance(resource, dict) and resource.get("id") != id_:
        issues.insert(0, plain_issue("error", "invariant", f"{KIND}.id: is not the id in the address", expression=KIND))
    issues = [*_alarms(service, who, resource, {one["severity"] for one in issues}), *issues]
    return outcome(issues or [plain_issue("information", "informational", "all ok: valid FHIR R4 and by its form")])


def _alarms(service: Deployment, who: Caller, resource: Any, severities: Collection[str]) -> list[Json]:
    """The dispositions that a POST would name: urgent ones, and where it would refuse also others of doctor class."""
    refused, spoken = "error" in severities, language(who.client)
    found = readable_alarms(service.screenings, resource, service.now())
    named = [one for one in found if refused or is_urgent(*one)]
    return [
        disposition_issue(*one, spoken, "refused" if refused else "stored") | {"diagnostics": _NAMED} for one in named
    ]
