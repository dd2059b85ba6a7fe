"""/cds-services: discovery, and one route for every service."""

from collections.abc import Mapping
from datetime import datetime
from functools import partial

from flask import Blueprint, Response, g

from cds_content.card_shapes import Service
from cds_content.screening import Screening
from cds_service import metrics
from cds_service.details import Call
from cds_service.errors import NotFound
from cds_service.hooks import Context, HookRequest, discovery, read_request, templates
from cds_service.prefetch import MOST
from cds_service.reply import Asked, reply
from cds_service.store import Act, decision, of_patient, record
from cds_service.web import Caller, Deployment, answer, body, caller, hash_patient, language, recorded_user


def routes(service: Deployment) -> Blueprint:
    """Discovery, and a POST for every service."""
    blueprint = Blueprint("hooks", __name__)

    @blueprint.get("/cds-services")
    def discover() -> Response:
        listed = [(id_, one, hook) for id_, (one, hooks) in service.offered.items() for hook in hooks.values()]
        return answer(discovery(listed, language(), versions=service.versions))

    @blueprint.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        """HTTP → hooks → prefetch → answers → findings → advice → cards → HTTP, and the decision is recorded."""
        who = caller(service)
        screening, hooks = _offered(service, service_id)
        request = read_request(body(), hooks)
        g.hook = request.hook
        act = _act(service, who, request)
        submitted = partial(of_patient, service.store, who.owner, act.patient, MOST + 1) if act.patient else tuple
        to, queries = _call(service, who, request.context, act.at), templates(screening, hooks[request.hook])
        advice, response = reply(Asked(screening, queries, request, who.client, to, submitted))
        record(service.store, act, decision(screening, act, service_id, advice), response["cards"])
        metrics.count_advice(who.name, screening, advice, response["cards"])
        return answer(response, spoken=to.language)

    return blueprint


def _offered(service: Deployment, service_id: str) -> tuple[Screening, Mapping[str, Service]]:
    """The screening of a service, and what it offers at each hook. Raises NotFound. Notes both for log and metrics."""
    if service_id not in service.offered:
        raise NotFound("no such service; GET /cds-services lists them")
    screening, hooks = service.offered[service_id]
    g.service, g.hook = service_id, next(iter(hooks)) if len(hooks) == 1 else "other"
    return screening, hooks


def _act(service: Deployment, who: Caller, request: HookRequest) -> Act:
    """What is recorded of the call beside its advice: who asked when about whom, the patient as a keyed hash."""
    about = request.context
    patient = hash_patient(service, who.owner, about.patient_id) if about.patient_id else ""
    user = recorded_user(service, who.owner, about.user_id)
    return Act(who.owner, service.now(), user, patient, request.hook_instance)


def _call(service: Deployment, who: Caller, about: Context, now: datetime) -> Call:
    return Call(
        patient=about.patient_id,
        user=about.user_id,
        encounter=about.encounter_id,
        language=language(who.client),
        now=now,
        public=service.public,
        new_uuid=service.new_uuid,
        gp=who.client.reader == "gp",
        choices=who.client.action_selection_behavior,
        smart=service.development or who.client.smart is not None,
    )
