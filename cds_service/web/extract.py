"""/fhir/QuestionnaireResponse/$extract: a completed response as Observations and a draft referral. Nothing is stored.

The result is always Parameters with `return`, a transaction Bundle, and `issues` where there are any: a shape that
depended on the answers would break where they alarm. Where there is nothing to extract it is an OperationOutcome.
Source: SDC 4.0.0, "QuestionnaireResponse/$extract"; HL7 FHIR R4, "Operations".
"""

import re
from typing import Any

from flask import Blueprint, Response, request

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.errors import BadRequest, Unprocessable
from cds_service.extract import FINISHED, extracted
from cds_service.judgement import judged
from cds_service.parameters import is_parameters, one_of, read_parameters, refused, write_parameters
from cds_service.resources import ID
from cds_service.web import Caller, Deployment, caller, language
from cds_service.web.asker import asker
from cds_service.web.exchange import issue, outcome, refuse_format_naming, resource_answer
from cds_service.web.submission_answer import KIND, alarms, content, judge, naming_alarms, sent_naming_alarms
from cds_service.web.submission_stored import stored_body, stored_version

_RESPONSE = "questionnaire-response"


def routes(service: Deployment) -> Blueprint:
    """The operation on a response that is sent, and on one of the caller's own that is stored."""
    blueprint = Blueprint("extract", __name__, url_prefix=f"/fhir/{KIND}")
    blueprint.before_request(refuse_format_naming(service, alarms))

    @blueprint.post("/$extract")
    def extract_sent() -> Response:
        who = caller(service, needs="QuestionnaireResponse.r")
        with naming_alarms(service, who, given := sent_naming_alarms(service, who)):
            body, form = _given(given)
        own = body.get("id") if isinstance(body, dict) else None
        reference = f"{KIND}/{own}" if isinstance(own, str) and re.fullmatch(ID, own) else ""
        return _answer(service, who, body, reference, form)

    @blueprint.post("/<id_>/$extract")
    def extract_stored(id_: str) -> Response:
        who = caller(service, needs="QuestionnaireResponse.r")
        given = sent_naming_alarms(service, who) if request.get_data() else write_parameters([])
        with naming_alarms(service, who, given):
            stored = stored_body(stored_version(service, who, id_))
            form = _form_beside(given, stored)
        return _answer(service, who, stored, f"{service.public}/fhir/{KIND}/{id_}", form)

    return blueprint


def _given(body: Any) -> tuple[Any, Any]:
    """The response that was sent, bare or in Parameters, and its form where that was sent too. Raises BadRequest."""
    if not is_parameters(body):
        return body, None
    given = read_parameters(body)
    if given.keys() - {_RESPONSE, "questionnaire"} or _RESPONSE not in given:
        raise BadRequest(f"Parameters: write {_RESPONSE}, and nothing else but its questionnaire")
    return one_of(given, _RESPONSE), one_of(given, "questionnaire")


def _form_beside(body: Any, stored: Json) -> Any:
    """The form that was sent to the address of a response, if any. Raises BadRequest.

    So that nobody takes what is extracted for that of another response that was sent along.
    """
    given = read_parameters(body) if is_parameters(body) else {_RESPONSE: [body]}
    if given.keys() - {_RESPONSE, "questionnaire"}:
        raise BadRequest(f"Parameters: write nothing, or {_RESPONSE}, the one at this address, and its questionnaire")
    if not all(_is_same(one, stored) for one in given.get(_RESPONSE, [])):
        raise BadRequest(f"body: is another response than the one at this address; POST it to /fhir/{KIND}/$extract")
    return one_of(given, "questionnaire")


def _is_same(body: Any, stored: Json) -> bool:
    return isinstance(body, dict) and body.get("id", stored["id"]) == stored["id"] and content(body) == content(stored)


def _is_form(screening: Screening, form: Any) -> bool:
    """Whether a form that was sent is the one that is read here, by URL and version."""
    named = (form.get("url"), form.get("version")) if isinstance(form, dict) else ()
    return named in [(screening.questionnaire["url"], version) for version in screening.accepts]


def _refuse_unfinished(screening: Screening, response: Json, form: Any) -> None:
    if response["status"] not in FINISHED:
        words = "QuestionnaireResponse.status: is not completed or amended, so nothing is extracted; complete it first"
        raise Unprocessable([issue("error", "business-rule", words, expression=f"{KIND}.status")])
    if form is not None and not _is_form(screening, form):
        raise refused("questionnaire", "business-rule", "is not the form that was filled in; leave it out")


def _answer(service: Deployment, who: Caller, body: Any, reference: str, form: Any = None) -> Response:
    """Raises Unprocessable, as a POST of the response does, for one that cannot be attributed or read, and where it is
    not finished: what is in progress may still change."""
    submission, spoken = judge(service, who, body), language(who.client)
    response, screening = submission.received.body, submission.screening
    with naming_alarms(service, who, body):
        _refuse_unfinished(screening, response, form)
    asked = asker(service, who, submission.patient, spoken)
    _, cards = judged(screening, response | {"subject": {"reference": f"Patient/{submission.patient}"}}, asked)
    source: Json = {"reference": reference} if reference else {"type": KIND, "display": screening.canonical}
    bundle, left_out = extracted(screening, response, cards, source, asked.call)
    issues = [*submission.issues, *left_out]
    if bundle is None:
        return outcome(issues)
    told = [("issues", {"resourceType": "OperationOutcome", "issue": issues})] if issues else []
    return resource_answer(write_parameters([("return", bundle), *told]), language=spoken)
