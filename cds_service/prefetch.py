"""What is in hand about the patient: every resource that counts, none of another patient, and what could not be had.

A prefetch key has four states: absent or OperationOutcome (not to be had), null or empty (nothing there). None of them
means "no alarm". Source: CDS Hooks 2.0.1 and 3.0 ballot, "Providing FHIR Resources to a CDS Service".
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.errors import BadRequest, DataMissing, OtherPatient
from cds_service.hooks import HookRequest
from cds_service.resources import (
    MODIFIERS,
    OUTCOME,
    coded,
    contained,
    held,
    is_of,
    is_partial,
    is_resource,
    names,
    parts,
    system_of,
)
from cds_service.responses import Reading, belongs, read_response

MOST = 500  # responses that are read; the largest body has room for 400 of our form
_INACTIVE = ("inactive", "remission", "resolved", "refuted", "entered-in-error")
_MISSING = (
    "not sent or not to be had; send the QuestionnaireResponses, or null or an empty Bundle when there are none,"
    " or let them be fetched (fhirServer as agreed, and fhirAuthorization), or submit them to /fhir"
)


@dataclass(frozen=True)
class Evidence:
    """Responses as they count, doubts about all of them, and whether the record knows the complaint."""

    readings: tuple[Reading, ...]
    doubts: tuple[str, ...]
    complaint: bool


def refuse_others(request: HookRequest, values: Iterable[Any]) -> None:
    """Raises OtherPatient when a prefetch value or the context holds anything of another patient than the call's."""
    context = request.context
    sent = [part for value in values for part in parts(value) if is_resource(part)]
    bundles = (context.draft_orders, context.appointments, context.conditions, *request.passed_over)
    sent += [resource for bundle in bundles for _, resource in held(bundle)]
    sent += [context.questionnaire_response] if context.questionnaire_response else []
    sent += [inner for one in sent for inner in contained(one)]
    if any(is_of(one, context.patient_id, request.fhir_server) is False for one in sent):
        raise OtherPatient("the call holds a resource of another patient; send this patient's resources only")


@dataclass(frozen=True)
class Submitted:
    """The responses to our form that the client handed to us for this patient, and the address where it can read them.

    With `instead`, a key that is absent from the prefetch says nothing: the client hands all responses to us. `unclear`
    when there are some of which it is not known whether they are about this patient, or more than are read.
    """

    responses: tuple[Json, ...] = ()
    address: str = ""
    instead: bool = False
    unclear: bool = False


def gather(
    screening: Screening,
    request: HookRequest,
    prefetch: Json,
    orders: Sequence[Json],
    submitted: Submitted,
    now: datetime,
) -> Evidence:
    """The evidence of one call: `prefetch` is what was sent and fetched, `orders` are the orders that are judged.

    Raises BadRequest for what is no FHIR, and DataMissing when no response is in hand and it is not known whether there
    is one.
    """
    sent = _of_type(prefetch, "responses", "QuestionnaireResponse")
    every = [one for one in [*_in_hand(screening, request), *sent] if belongs(one, screening)]
    ours, handed = every[:MOST], submitted.responses
    by_context = request.context.questionnaire_response is not None
    partly = is_partial(prefetch["responses"]) if "responses" in prefetch else not (by_context or submitted.instead)
    if partly and not ours and not handed:
        raise DataMissing(f"prefetch.responses: {_MISSING}")
    birth_date = _birth_date(_of_type(prefetch, "patient", "Patient"))
    of_record = [_reading(screening, request, one, birth_date, now) for one in _standing(ours)]
    of_ours = [_handed(screening, one, submitted.address, birth_date, now) for one in _standing(handed)]
    readings = [*of_record, *_not_known_to(of_record, of_ours)]
    doubts = {
        "partly-seen": partly or submitted.unclear or len(every) > MOST,
        "entered-in-error": bool(ours or handed) and not readings,
    }
    known = [*_of_type(prefetch, "conditions", "Condition"), *_of_type(prefetch, "encounter", "Encounter"), *orders]
    known += [resource for _, resource in held(request.context.conditions)]
    return Evidence(
        readings=tuple(readings),
        doubts=tuple(doubt for doubt, holds in doubts.items() if holds),
        complaint=any(names_complaint(screening, one) for one in known),
    )


def _standing(responses: Sequence[Json]) -> list[Json]:
    return [one for one in responses if one.get("status") != "entered-in-error"]


def _handed(screening: Screening, response: Json, address: str, birth_date: Any, now: datetime) -> Reading:
    """A response that was submitted: its subject was compared then, and it is read at our address, not the EHR's."""
    reading = read_response(screening, response, True, birth_date=birth_date, now=now)
    return replace(reading, reference=reading.reference and f"{address}/{reading.reference}")


def _not_known_to(record: Sequence[Reading], submitted: Sequence[Reading]) -> list[Reading]:
    """The submitted ones that are no copy of one in hand: a copy counts once, and no alarm is lost."""
    known = [replace(one, reference=None) for one in record]
    return [one for one in submitted if replace(one, reference=None) not in known]


def _birth_date(patients: Sequence[Json]) -> Any:
    """What the Patient says of it; several that differ, or one that is modified, are a value that nobody can read."""
    stated = {repr(one.get("birthDate")): one.get("birthDate") for one in patients}
    modified = any(one.keys() & MODIFIERS for one in patients)
    return next(iter(stated.values())) if len(stated) == 1 and not modified else list(stated) or None


def _reading(screening: Screening, request: HookRequest, response: Json, birth_date: Any, now: datetime) -> Reading:
    named = names(response.get("subject"), request.context.patient_id, request.fhir_server) is True
    reading = read_response(screening, response, named, birth_date=birth_date, now=now)
    in_hand = response is request.context.questionnaire_response  # the EHR may not have it: nothing refers to it
    return replace(reading, reference=None) if in_hand else reading


def _in_hand(screening: Screening, request: HookRequest) -> list[Json]:
    """The response that the context itself holds."""
    response = request.context.questionnaire_response
    if response is not None and not belongs(response, screening):
        form = screening.canonical
        raise BadRequest(f"context.questionnaireResponse.questionnaire: is another form; write a response to {form}")
    return [] if response is None else [response]


def _of_type(sent: Json, key: str, kind: str) -> list[Json]:
    """The resources of one type under our key: alone, in a Bundle or in an array. BadRequest for anything else."""
    found_there = list(parts(sent.get(key)))
    if not all(is_resource(part) and not _is_misspelt(part, kind) for part in found_there):
        raise BadRequest(f"prefetch.{key}: is no FHIR resource; write a Bundle, a resource, an array or null")
    found = [part for part in found_there if part["resourceType"] == kind]
    if not found and any(part["resourceType"] not in ("Bundle", OUTCOME) for part in found_there):
        raise BadRequest(f"prefetch.{key}: holds other resources only; write {kind}, a Bundle of it, or null")
    return found


def _is_misspelt(resource: Json, kind: str) -> bool:
    """Whether the type is ours but for its case: what nobody reads may hold an alarm."""
    own: str = resource["resourceType"]
    return own != kind and own.lower() == kind.lower()


def names_complaint(screening: Screening, resource: Json) -> bool:
    """A Condition that stands, an Encounter, an order or an appointment with a code by which the record knows it."""
    states = coded(resource.get("clinicalStatus")) | coded(resource.get("verificationStatus"))
    known = {(system_of(coding.system), coding.code) for coding in screening.texts.known_by}
    said = set().union(*(coded(resource.get(name)) for name in ("code", "reasonCode", "type")))
    return bool(said & known) and not {code for _, code in states} & set(_INACTIVE)
