"""CDS Hooks on the wire: discovery, and the request of a call.

Unknown members are ignored at every level. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Discovery" and "HTTP Request".
"""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from cds_content.screening import Screening
from cds_content.shapes import Json, Service
from cds_service.errors import BadRequest, OtherPatient

_ID = r"[A-Za-z0-9\-.]{1,64}"
Id = Annotated[str, Field(pattern=f"^{_ID}$")]
User = Annotated[str, Field(pattern=f"^(Practitioner|PractitionerRole|Patient|RelatedPerson)/{_ID}$")]
_CAMEL = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


class Context(BaseModel):
    model_config = _CAMEL
    user_id: User
    patient_id: Id
    encounter_id: Id | None = None


class HookRequest(BaseModel):
    model_config = _CAMEL
    hook: Annotated[str, Field(min_length=1)]
    hook_instance: Annotated[str, Field(min_length=1, max_length=255)]
    context: Context
    prefetch: dict[str, Any] | None = None
    fhir_server: str | None = None
    fhir_authorization: dict[str, Any] | None = None


def read_request(body: Any, service: Service) -> HookRequest:
    """The request of a call to `service`. Raises BadRequest naming the member; OtherPatient for a token of another."""
    try:
        request = HookRequest.model_validate(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"]) or "body"
        raise BadRequest(f"{place}: {fault['msg']}; write it as the hook's definition says") from None
    if request.hook != service.hook:
        raise BadRequest(f"hook: this service does not offer that hook; write '{service.hook}'")
    token = request.fhir_authorization
    if token is not None and request.fhir_server is None:
        raise BadRequest("fhirServer: is missing beside fhirAuthorization; write the FHIR server's base URL")
    if token and token.get("patient") not in (None, request.context.patient_id):
        raise OtherPatient("fhirAuthorization.patient: is another patient than context.patientId; send one patient")
    return request


def discovery(services: dict[str, tuple[Screening, Service]], language: str) -> Json:
    """The discovery response: every service by its id, with its prefetch templates, in the order of the content."""
    return {
        "services": [
            {
                "hook": service.hook,
                "title": service.title[language],
                "description": service.description[language],
                "id": id_,
                "prefetch": {
                    key: template.replace("{canonical}", form["url"]).replace("{version}", form["version"])
                    for key, template in service.prefetch.items()
                },
                "usageRequirements": service.usage_requirements[language],
            }
            for id_, (screening, service) in services.items()
            for form in [screening.questionnaire]
        ]
    }
