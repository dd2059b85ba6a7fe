"""/fhir/Questionnaire/$populate: a form begun for a patient. Nothing is stored. Source: SDC 4.0.0, "$populate"."""

from flask import Blueprint, Response

from cds_content.screening import Screening
from cds_service.errors import NotFound
from cds_service.parameters import Given, read_parameters, write_parameters
from cds_service.populate import named_form, populated, refuse_other_form
from cds_service.web import Deployment, caller, language
from cds_service.web.exchange import refuse_format, resource_answer, sent


def routes(service: Deployment) -> Blueprint:
    """The operation for a form that the parameters name, and for the form at the address."""
    blueprint = Blueprint("populate", __name__, url_prefix="/fhir/Questionnaire")
    blueprint.before_request(refuse_format)

    @blueprint.post("/$populate")
    @blueprint.post("/<id_>/$populate")
    def populate(id_: str = "") -> Response:
        spoken = language(caller(service, needs="Questionnaire.r").client)
        given = read_parameters(sent())
        response, issues = populated(_form(service, id_, given), given, spoken, service.now())
        told = [("issues", {"resourceType": "OperationOutcome", "issue": issues})] if issues else []
        return resource_answer(write_parameters([("response", response), *told]), language=spoken)

    return blueprint


def _form(service: Deployment, id_: str, given: Given) -> Screening:
    """The screening of the form at the address; without an id there, of the form that the parameters name.

    Raises NotFound, and BadRequest where the parameters name another form than the address does.
    """
    if not id_:
        return named_form(service.screenings, given)
    for screening in service.screenings:
        if screening.questionnaire["id"] == id_:
            refuse_other_form(screening, given)
            return screening
    raise NotFound("no such Questionnaire; GET /fhir/Questionnaire lists what there is")
