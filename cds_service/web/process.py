"""Questionnaire/$process-response: a response in hand is judged; its answers are not kept.

Source: SDC 4.0.0, role Form Receiver, OperationDefinition Questionnaire-process-response. Earlier editions call the
parameter `response`; the body may also be the bare response. `data` is ours: the Patient, for the age.
"""

from collections.abc import Sequence
from typing import Any

from flask import Blueprint, Response

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import metrics
from cds_service.advice_outcome import advice_outcome
from cds_service.errors import BadRequest, NotFound
from cds_service.judgement import OWN, judged
from cds_service.parameters import is_parameters, read_parameters
from cds_service.request_group import plan_for, request_group
from cds_service.store import decision, record
from cds_service.submission import faults, form_of, kept, patient_of
from cds_service.submission.alarms import alarm_issues
from cds_service.submission.kinds import Fault, issue
from cds_service.web import Caller, Deployment, caller, language
from cds_service.web.asker import act, asker
from cds_service.web.exchange import naming, outcome, refuse_format_naming, resource_answer, sent, sent_if_readable

SERVICE = "Questionnaire/$process-response"  # what the decision is recorded under
_NAMES = ("in", "response", "data")
_WITHDRAWN: Json = {
    "severity": "error",
    "code": "business-rule",
    "diagnostics": "QuestionnaireResponse.status: is entered-in-error, so there is nothing to judge; send what counts",
    "expression": ["QuestionnaireResponse.status"],
}


def routes(service: Deployment) -> Blueprint:
    """A POST for a response to any form of this service, and one for a form by its id."""
    blueprint = Blueprint("process", __name__, url_prefix="/fhir/Questionnaire")
    blueprint.before_request(refuse_format_naming(service, _alarms))

    @blueprint.post("/$process-response")
    @blueprint.post("/<id_>/$process-response")
    def process(id_: str = "") -> Response:
        """The advice; or every fault, and no advice, where the response cannot be attributed or read."""
        who = caller(service, needs="QuestionnaireResponse.c")
        with naming(lambda: _alarms(service, who, sent_if_readable())):
            body = sent()
        with naming(lambda: _alarms(service, who, body)):
            return _processed(service, who, id_, body)

    return blueprint


def _processed(service: Deployment, who: Caller, id_: str, body: Any) -> Response:
    """Raises NotFound and BadRequest."""
    forms = [one for one in service.screenings if id_ in ("", one.questionnaire["id"])]
    if not forms:
        raise NotFound("no such Questionnaire; GET /fhir/Questionnaire lists what there is")
    response, data = _given(body)
    found = faults(forms, response, service.now(), who.client.fhir_servers)
    if any(one.refuses for one in found):
        return _refused(service, who, forms, response, found)
    if response["status"] == "entered-in-error":
        return outcome([_WITHDRAWN], 422)
    return _advised(service, who, forms, response, data, found)


def _alarms(service: Deployment, who: Caller, body: Any) -> list[Json]:
    """What the answers would call for, by any form of this service, whichever the address names."""
    return alarm_issues(service.screenings, body, service.now(), language(who.client))


def _given(body: Any) -> tuple[Any, list[Any]]:
    """The response that was sent, alone or in Parameters, and the data beside it. Raises BadRequest."""
    if not is_parameters(body):
        return body, []
    given = read_parameters(body)
    responses = [*given.get("in", []), *given.get("response", [])]
    if given.keys() - set(_NAMES) or len(responses) != 1:
        raise BadRequest("Parameters: write one parameter `in`, the QuestionnaireResponse; `data` may be beside it")
    return responses[0], given.get("data", [])


def _refused(
    service: Deployment, who: Caller, forms: Sequence[Screening], response: Any, found: Sequence[Fault]
) -> Response:
    """Every fault; before them what the answers would call for, so that no alarm is lost with the refusal."""
    status = min(one.status for one in found if one.refuses)
    return outcome([*_alarms(service, who, response), *(issue(one, forms[0].base) for one in found)], status)


def _advised(
    service: Deployment,
    who: Caller,
    forms: Sequence[Screening],
    response: Json,
    data: Sequence[Any],
    found: Sequence[Fault],
) -> Response:
    """The advice, recorded; with a warning for each fault of the response."""
    screening, _ = form_of(forms, response)
    patient = patient_of(response, who.client.fhir_servers)
    if screening is None or patient is None:
        raise NotImplementedError("a response without form or patient has a fault that refuses it")
    own = kept(screening, response) | {"subject": {"reference": f"Patient/{patient}"}}
    asked = asker(service, who, patient, language(who.client))
    advice, cards = judged(screening, own, asked, data)
    done = act(service, who, asked)
    record(service.store, done, decision(screening, done, SERVICE, advice), cards)
    metrics.count_advice(who.name, screening, advice, cards)
    group = request_group(screening, advice, cards, asked.call, id_="advice", plan=plan_for(screening, OWN))
    warnings = [issue(one, screening.base) for one in found]
    return resource_answer(advice_outcome(screening, advice, cards, group, warnings), language=asked.call.language)
