"""PlanDefinition/$apply: what a plan advises for a patient, as a CarePlan with a RequestGroup. Nothing is stored.

Source: HL7 FHIR R4, OperationDefinition PlanDefinition-apply; `url` and `data` are those of CPG 2.0. At type level
`planDefinition` and `url` name a plan of this server by its canonical: what is applied is always the published one.
What is judged stands in `data` (Patient, QuestionnaireResponses, for plans about orders the orders); where it has no
response, those that the client submitted for the subject count. Requests are `proposal`, not `option`: each can be
taken out of the group and stands for itself.
"""

import re
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES
from cds_service.advice import NO_ORDER
from cds_service.care_plan import care_plan
from cds_service.errors import BadRequest, DataMissing, NotFound, Unprocessable
from cds_service.judgement import Asker, applied, resources_of
from cds_service.parameters import Given, read_parameters
from cds_service.request_group import plan_of, request_group
from cds_service.resources import ID, coded, dicts
from cds_service.responses import belongs
from cds_service.web import Caller, Deployment, caller, language
from cds_service.web.asker import asker
from cds_service.web.exchange import issue, refuse_format, resource_answer, sent

# What a parameter that refers to something is to be, and its parts: the server, and what we use.
_REFERENCES = {
    "subject": (rf"(?:(https?://\S+)/)?Patient/({ID})", "Patient/id"),
    "encounter": (rf"()Encounter/({ID})", "Encounter/id"),
    "practitioner": (rf"()(Practitioner(?:Role)?/{ID})", "Practitioner/id or PractitionerRole/id"),
    "organization": (rf"()(Organization/{ID})", "Organization/id"),
}
_CONCEPTS = ("userType", "userLanguage", "userTaskContext", "setting", "settingContext")
_TYPE_LEVEL = ("planDefinition", "url")
_PATIENTS = {"patient", "related-person"}  # codes of userType for readers who are no clinicians


def routes(service: Deployment) -> Blueprint:
    """The operation on the plan that the parameters name, and on the plan at the address; there also by GET."""
    blueprint = Blueprint("apply", __name__, url_prefix="/fhir/PlanDefinition")
    blueprint.before_request(refuse_format)

    @blueprint.post("/$apply")
    def apply_named() -> Response:
        who, given = caller(service, needs="QuestionnaireResponse.s"), _read(read_parameters(sent()), _TYPE_LEVEL)
        return _applied(service, who, *_named(service, given), given)

    @blueprint.route("/<id_>/$apply", methods=["GET", "POST"])
    def apply_plan(id_: str) -> Response:
        who = caller(service, needs="QuestionnaireResponse.s")
        screening = next((one for one in service.screenings if id_ in one.services), None)
        if screening is None:
            raise NotFound("no such PlanDefinition; GET /fhir/PlanDefinition lists what there is")
        given = read_parameters(sent()) if request.method == "POST" else _simple()
        return _applied(service, who, screening, id_, _read(given))

    return blueprint


def _simple() -> Given:
    """The parameters of a GET, which has no resources. Raises BadRequest."""
    given = {name: list[Any](values) for name, values in request.args.lists() if name not in ("_format", "_pretty")}
    if given.keys() - _REFERENCES.keys():
        raise BadRequest(
            f"search: only these can be in a URL: {', '.join(_REFERENCES)}; POST Parameters for the others"
        )
    return given


def _read(given: Given, more: tuple[str, ...] = ()) -> Given:
    """The parameters, all of them known. Raises BadRequest, also for a reader who is no clinician."""
    known = (*_REFERENCES, *_CONCEPTS, "data", *more)
    if given.keys() - set(known):
        raise BadRequest(f"Parameters: one is unknown; write some of: {', '.join(known)}")
    if {code for _, code in coded(given.get("userType", []))} & _PATIENTS:
        text = "userType: the plans are for clinicians; leave it out, or call a CDS Hooks service for the patient"
        raise Unprocessable([issue("error", "not-supported", text)])
    return given


def _named(service: Deployment, given: Given) -> tuple[Screening, str]:
    """The plan that the parameters name. Raises BadRequest and NotFound."""
    plans = [one for one in given.get("planDefinition", []) if isinstance(one, dict)]
    named = [*given.get("url", []), *("|".join(str(one[k]) for k in ("url", "version") if k in one) for one in plans)]
    if len(named) != 1 or not isinstance(named[0], str):
        raise BadRequest("Parameters: name one plan; write `url`, the canonical of a PlanDefinition of this server")
    for screening in service.screenings:
        for id_ in screening.services:
            canonical = plan_of(screening, id_)
            if named[0] in (canonical, canonical.partition("|")[0]):
                return screening, id_
    raise NotFound("no such PlanDefinition; GET /fhir/PlanDefinition lists what there is")


def _applied(service: Deployment, who: Caller, screening: Screening, id_: str, given: Given) -> Response:
    asked = _asker(service, who, given)
    data = given.get("data", [])
    asked = _with_evidence(screening, data, asked)
    advice, cards = applied(screening, screening.services[id_].hook, data, asked)
    if advice is NO_ORDER:
        raise DataMissing("data: holds no order or appointment that this plan judges; send what is to be judged")
    group = request_group(screening, advice, cards, asked.call, id_="advice", plan=plan_of(screening, id_))
    return resource_answer(care_plan(screening, id_, advice, group, asked.call), language=asked.call.language)


def _with_evidence(screening: Screening, data: list[Any], asked: Asker) -> Asker:
    """The asker, with what was submitted in hand. Raises DataMissing where there is no response at all."""
    submitted = tuple(asked.submitted())
    held = [one for one in resources_of(data) if one["resourceType"] == "QuestionnaireResponse"]
    if not any(belongs(one, screening) for one in [*held, *submitted]):
        raise DataMissing(
            f"data: holds no response to {screening.canonical}, and none was submitted for this subject; "
            "send the QuestionnaireResponse in data, or submit it to /fhir/QuestionnaireResponse"
        )
    return replace(asked, submitted=lambda: submitted)


def _asker(service: Deployment, who: Caller, given: Given) -> Asker:
    """For whom the plan is applied. Raises BadRequest."""
    server, patient = _reference(given, "subject", who.client.fhir_servers)
    if not patient:
        raise BadRequest("subject: is missing; write Patient/id")
    spoken = _language(given) or language(who.client)
    user, encounter = (_reference(given, name)[1] or None for name in ("practitioner", "encounter"))
    _reference(given, "organization")
    only = who.client.fhir_servers[0] if len(who.client.fhir_servers) == 1 else None
    return asker(service, who, patient, spoken, user=user, encounter=encounter, server=server or only)


def _reference(given: Given, name: str, servers: tuple[str, ...] = ()) -> tuple[str, str]:
    """(server, what is referred to) of a parameter, both empty where it is left out. Raises BadRequest."""
    pattern, write = _REFERENCES[name]
    if name not in given:
        return "", ""
    said = [one.get("reference") if isinstance(one, dict) else one for one in given[name]]
    match = re.fullmatch(pattern, said[0]) if len(said) == 1 and isinstance(said[0], str) else None
    if not match or (match[1] and match[1] not in servers):
        raise BadRequest(f"{name}: is not one reference that can be followed; write one {write}")
    return match[1] or "", match[2]


def _language(given: Given) -> str:
    """The language of `userLanguage`, where it is one of ours."""
    codings = [coding for one in dicts(given.get("userLanguage")) for coding in dicts(one.get("coding"))]
    tags = [str(coding.get("code")).lower().partition("-")[0] for coding in codings]
    return next((tag for tag in tags if tag in LANGUAGES), "")
