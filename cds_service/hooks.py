"""CDS Hooks on the wire: the hooks that are offered, discovery, and the request of a call.

Unknown members are ignored at every level. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Discovery", "HTTP Request", and the
pages of the hooks.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic.json_schema import SkipJsonSchema

from cds_content.card_shapes import Service
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.errors import BadRequest, OtherPatient

SPECIFICATION = "3.0.0-ballot"  # the newest CDS Hooks version that is served; 2.0.1 clients ignore the member
_ID = r"[A-Za-z0-9\-.]{1,64}"
_STAFF = ("Practitioner/", "PractitionerRole/")
Id = Annotated[str, Field(pattern=f"^{_ID}$")]
User = Annotated[str, Field(pattern=f"^(Practitioner|PractitionerRole|Patient|RelatedPerson)/{_ID}$")]
Bundle = dict[str, Any] | Annotated[list[dict[str, Any]], Field(min_length=1)]  # a published sample has an array
_CAMEL = ConfigDict(strict=True, frozen=True, alias_generator=to_camel)


@dataclass(frozen=True)
class Hook:
    """What the page of a hook says: its version, the context it needs, and whether only staff may be the user.

    `may` are the optional members of its context; those of other hooks are not read. `about` is the member that the
    cards are about; empty: they are about the patient.
    """

    version: str
    needs: tuple[str, ...]
    may: tuple[str, ...] = ("encounterId",)
    staff: bool = True
    about: str = ""


_SELECTING = ("selections", "draftOrders", "encounterId")  # without them nothing is selected
HOOKS = {
    "patient-view": Hook("1.0", ("userId", "patientId"), staff=False),
    "encounter-start": Hook("1.0", ("userId", "patientId", "encounterId")),
    "order-select": Hook("1.0", ("userId", "patientId"), _SELECTING, about="draftOrders"),
    "order-sign": Hook("1.0", ("userId", "patientId", "draftOrders"), about="draftOrders"),
    "appointment-book": Hook("1.0", ("userId", "patientId", "appointments"), staff=False, about="appointments"),
    "problem-list-item-create": Hook("0.1.0", ("userId", "patientId", "conditions")),
    "questionnaire-response": Hook(  # our own
        "1.0", ("questionnaireResponse",), ("patientId", "userId", "encounterId"), staff=False
    ),
}


class Context(BaseModel):
    """The context of any hook; which members are needed stands in HOOKS."""

    model_config = _CAMEL
    user_id: User | None = None
    patient_id: Id | None = None
    encounter_id: Id | None = None
    selections: tuple[str, ...] | None = Field(None, strict=False)
    draft_orders: Bundle | None = None
    appointments: Bundle | None = None
    conditions: Bundle | None = None
    questionnaire_response: dict[str, Any] | None = None


class Authorization(BaseModel):
    """The token for the FHIR server; only passed on to it, never kept."""

    model_config = _CAMEL
    access_token: str | None = Field(None, alias="access_token", pattern=r"^[\x21-\x7e]{1,8192}$")
    token_type: str | None = Field(None, alias="token_type")
    patient: str | None = None


class HookRequest(BaseModel):
    model_config = _CAMEL
    hook: Annotated[str, Field(min_length=1)]
    hook_instance: Annotated[str, Field(min_length=1, max_length=255)]
    context: Context
    prefetch: dict[str, Any] | None = None
    fhir_server: str | None = None
    fhir_authorization: Authorization | None = None
    passed_over: SkipJsonSchema[tuple[Any, ...]] = Field((), strict=False)  # what its hook does not define

    @property
    def kind(self) -> Hook:
        return HOOKS[catalogued(self.hook)]


def read_request(body: Any, hooks: Iterable[str]) -> HookRequest:
    """The request of a call to a service that offers `hooks`.

    Raises BadRequest naming the member; OtherPatient for a token of another.
    """
    try:
        request = HookRequest.model_validate(_of_its_hook(body))
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in fault["loc"] if "[" not in str(part)) or "body"  # no types of Python
        wrong = fault["msg"].replace("tuple", "array").replace("dictionary", "object")  # JSON has no words of Python
        raise BadRequest(f"{place}: {wrong}; write it as the hook's definition says") from None
    if request.hook not in (offered := list(hooks)):
        raise BadRequest(f"hook: this service does not offer that hook; write '{' or '.join(offered)}'")
    _check_context(request)
    request = request.model_copy(update={"context": _with_patient(request)})
    token = request.fhir_authorization
    if token is not None and request.fhir_server is None:
        raise BadRequest("fhirServer: is missing beside fhirAuthorization; write the FHIR server's base URL")
    if token and token.patient not in (None, request.context.patient_id):
        raise OtherPatient("fhirAuthorization.patient: is another patient than context.patientId; send one patient")
    return request


def catalogued(hook: str) -> str:
    """The name of a hook in HOOKS: the own hook has a reversed host in front."""
    return hook.rpartition(".")[2]


def _check_context(request: HookRequest) -> None:
    context, hook = request.context, request.kind
    for name in hook.needs:
        if getattr(context, _snake(name)) is None:
            raise BadRequest(f"context.{name}: is missing; write it, as the definition of the hook says")
    if hook.staff and not (context.user_id or "").startswith(_STAFF):
        raise BadRequest("context.userId: is no user of this hook; write Practitioner/id or PractitionerRole/id")
    held = context.questionnaire_response
    if held is not None and held.get("resourceType") != "QuestionnaireResponse":
        raise BadRequest("context.questionnaireResponse: is another resource; write a QuestionnaireResponse")


def _snake(name: str) -> str:
    return re.sub(r"([A-Z])", lambda capital: f"_{capital[1].lower()}", name)


def _of_its_hook(body: Any) -> Any:
    """The body with the members of its context that its hook defines: those of another hook are unknown members."""
    context = body.get("context") if isinstance(body, dict) else None
    hook = HOOKS.get(catalogued(str(body["hook"]))) if isinstance(context, dict) and "hook" in body else None
    if not hook or not isinstance(context, dict):
        return {**body, "passedOver": []} if isinstance(body, dict) else body
    own = {name: value for name, value in context.items() if name in (*hook.needs, *hook.may)}
    chosen: Json = {"selections": ()} if "selections" in hook.may and own.get("selections") is None else {}
    others = [value for name, value in context.items() if name not in own]
    return body | {"context": own | chosen, "passedOver": others}


def _with_patient(request: HookRequest) -> Context:
    """Our own hook may leave the patient to the response's subject, relative or under the FHIR server."""
    context = request.context
    subject = (context.questionnaire_response or {}).get("subject")
    reference = subject.get("reference") if isinstance(subject, dict) else None
    base = re.escape(f"{(request.fhir_server or '').rstrip('/')}/")
    pattern = f"(?:{base})?Patient/({_ID})(?:/_history/{_ID})?"
    named = re.fullmatch(pattern, reference) if isinstance(reference, str) else None
    return context.model_copy(update={"patient_id": named[1]}) if named and not context.patient_id else context


def discovery(services: Iterable[tuple[str, Screening, Service]], language: str, *, versions: bool) -> Json:
    """The discovery response: every service with its prefetch templates, in the order given.

    With `versions` each entry has the members version and hookVersion of the 3.0 ballot.
    """
    return {"services": [_entry(id_, screening, one, language, versions) for id_, screening, one in services]}


def templates(screening: Screening, service: Service) -> dict[str, str]:
    """The prefetch templates of a service, by key; only tokens of CDS Hooks are left in them."""
    form = screening.questionnaire
    return {
        key: template.replace("{canonical}", form["url"]).replace("{version}", form["version"])
        for key, template in service.prefetch.items()
    }


def _entry(id_: str, screening: Screening, service: Service, language: str, versions: bool) -> Json:
    entry = {
        "hook": service.hook,
        "title": service.title[language],
        "description": service.description[language],
        "id": id_,
        "prefetch": templates(screening, service),
        "usageRequirements": service.usage_requirements[language],
    }
    new = {"version": SPECIFICATION, "hookVersion": HOOKS[catalogued(service.hook)].version}
    return entry | new if versions else entry
