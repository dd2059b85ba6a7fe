"""/cds-services: discovery, and one route for every service."""

from flask import Blueprint, Response

from cds_service.details import Call
from cds_service.errors import NotFound
from cds_service.hooks import discovery, read_request, templates
from cds_service.reply import Asked, reply
from cds_service.store import decision, record
from cds_service.web import Deployment, answer, body, caller, language


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
        name, client = caller(service)
        if service_id not in service.offered:
            raise NotFound("no such service; GET /cds-services lists them")
        screening, hooks = service.offered[service_id]
        request = read_request(body(), hooks)
        about, spoken, now = request.context, language(client), service.now()
        to = Call(
            patient=about.patient_id,
            user=about.user_id,
            encounter=about.encounter_id,
            language=spoken,
            now=now,
            public=service.public,
            new_uuid=service.new_uuid,
            gp=client.reader == "gp",
            choices=client.action_selection_behavior,
        )
        advice, response = reply(Asked(screening, templates(screening, hooks[request.hook]), request, client, to))
        row = decision(screening, name, service_id, request.hook_instance, advice)
        record(service.store, row, response["cards"], now)
        return answer(response, spoken=spoken)

    return blueprint
