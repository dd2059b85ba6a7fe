"""/cds-services: discovery, and one route for every service."""

from functools import partial

from flask import Blueprint, Response, g

from cds_service import metrics
from cds_service.details import Call
from cds_service.errors import NotFound
from cds_service.hooks import discovery, read_request, templates
from cds_service.prefetch import MOST
from cds_service.reply import Asked, reply
from cds_service.store import Act, decision, of_patient, record
from cds_service.web import Deployment, answer, body, caller, hash_patient, language, recorded_user


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
        if service_id not in service.offered:
            raise NotFound("no such service; GET /cds-services lists them")
        screening, hooks = service.offered[service_id]
        g.service, g.hook = service_id, next(iter(hooks)) if len(hooks) == 1 else "other"  # for the log and the metrics
        request = read_request(body(), hooks)
        g.hook = request.hook
        about, spoken, now = request.context, language(who.client), service.now()
        to = Call(
            patient=about.patient_id,
            user=about.user_id,
            encounter=about.encounter_id,
            language=spoken,
            now=now,
            public=service.public,
            new_uuid=service.new_uuid,
            gp=who.client.reader == "gp",
            choices=who.client.action_selection_behavior,
            smart=service.development or who.client.smart is not None,
        )
        patient = hash_patient(service, who.owner, about.patient_id) if about.patient_id else ""
        submitted = partial(of_patient, service.store, who.owner, patient, MOST + 1) if patient else tuple
        queries = templates(screening, hooks[request.hook])
        advice, response = reply(Asked(screening, queries, request, who.client, to, submitted))
        user = recorded_user(service, who.owner, about.user_id)
        act = Act(who.owner, now, user, patient, request.hook_instance)
        record(service.store, act, decision(screening, act, service_id, advice), response["cards"])
        metrics.count_advice(who.name, screening, advice, response["cards"])
        return answer(response, spoken=spoken)

    return blueprint
