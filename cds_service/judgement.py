"""What the hooks would advise, for operations of FHIR: the same way from responses to cards, and no other.

A call of a hook is made of what the operation was given, and answered as that hook answers it; nothing is fetched.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.clients import Client
from cds_service.details import Call
from cds_service.errors import BadRequest
from cds_service.hooks import HOOKS, HookRequest, catalogued
from cds_service.reply import Asked, reply
from cds_service.resources import is_partial, is_resource, parts

OWN = "questionnaire-response"  # the hook for a response in hand
_KEYS = {"Patient": "patient", "Condition": "conditions", "Encounter": "encounter"}  # of the prefetch
_RESPONSE = "QuestionnaireResponse"


@dataclass(frozen=True)
class Asker:
    """For whom an operation answers: the client, who reads the advice about which patient, and what was submitted.

    `server` is the FHIR server under which absolute references to the patient are compared.
    """

    client: Client
    call: Call
    submitted: Callable[[], Sequence[Json]] = tuple
    server: str | None = None


def judged(screening: Screening, response: Json, asker: Asker, data: Sequence[Any] = ()) -> tuple[Advice, list[Json]]:
    """The advice on a response in hand, and its cards; `data` may hold the Patient, and other responses.

    Raises BadRequest for a response to another form or `data` that is none, and OtherPatient.
    """
    prefetch = _prefetch(data)
    return _answered(screening, OWN, {"questionnaireResponse": response}, prefetch, asker)


def applied(screening: Screening, hook: str, data: Sequence[Any], asker: Asker) -> tuple[Advice, list[Json]]:
    """The advice of the service of a hook on what is in hand: resources or Bundles, also of the orders to judge.

    Where these hold no response, those that the client submitted are all that there is. Raises BadRequest and
    OtherPatient.
    """
    about = HOOKS[catalogued(hook)].about
    orders = _bundle(_orders(data, appointments=about == "appointments"))
    return _answered(screening, hook, {about: orders} if about else {}, {"responses": None} | _prefetch(data), asker)


def resources_of(data: Sequence[Any]) -> list[Json]:
    """Every resource in hand, those in Bundles as well. Raises BadRequest for what is none."""
    found = list(parts(list(data)))
    if not all(is_resource(one) for one in found):
        raise BadRequest("data: holds what is no FHIR resource; write resources, or Bundles of them")
    return [one for one in found if one["resourceType"] != "Bundle"]


def _prefetch(data: Sequence[Any]) -> Json:
    """The data under the keys of the prefetch; responses as they were sent, so that what was only partly had shows."""
    held = resources_of(data)
    sent = {key: _bundle(one for one in held if one["resourceType"] == kind) for kind, key in _KEYS.items()}
    about_responses = is_partial(list(data)) or any(one["resourceType"] == _RESPONSE for one in held)
    return sent | ({"responses": list(data)} if about_responses else {})


def _orders(data: Sequence[Any], *, appointments: bool) -> list[Json]:
    others = [one for one in resources_of(data) if one["resourceType"] not in (*_KEYS, _RESPONSE)]
    return [one for one in others if (one["resourceType"] == "Appointment") is appointments]


def _bundle(resources: Iterable[Json]) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def _answered(
    screening: Screening, hook: str, context: Json, prefetch: Json, asker: Asker
) -> tuple[Advice, list[Json]]:
    """The hook's answer; what the response's subject and the user are is compared as the hook compares it."""
    call = asker.call
    about = {"patientId": call.patient, "userId": call.user, "encounterId": call.encounter}
    sent = {
        "hook": hook,
        "hookInstance": "operation",
        "context": {name: value for name, value in (about | context).items() if value is not None},
        "prefetch": prefetch,
    } | ({"fhirServer": asker.server} if asker.server else {})
    request = HookRequest.model_validate(sent)
    keys = dict.fromkeys((*_KEYS.values(), "responses"), "")  # templates without a query: nothing is fetched
    advice, response = reply(Asked(screening, keys, request, asker.client, call, asker.submitted))
    cards: list[Json] = response["cards"]
    return advice, cards
