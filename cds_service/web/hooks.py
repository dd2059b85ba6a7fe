"""/cds-services: discovery, and one route for every service."""

from flask import Blueprint, Response

from cds_service.advice import NO_SCREENING, decide
from cds_service.cards import Call, advice_cards, offer_cards
from cds_service.errors import NotFound
from cds_service.hooks import discovery, read_request
from cds_service.prefetch import gather
from cds_service.store import decision, record
from cds_service.web import Deployment, answer, body, language


def routes(service: Deployment) -> Blueprint:
    """Discovery, and a POST for every service."""
    blueprint = Blueprint("hooks", __name__)
    offered = {id_: (one, hook) for one in service.screenings for id_, hook in one.services.items()}

    @blueprint.get("/cds-services")
    def discover() -> Response:
        return answer(discovery(offered, language()))

    @blueprint.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        """HTTP → hooks → prefetch → answers → findings → advice → cards → HTTP, and the decision is recorded."""
        if service_id not in offered:
            raise NotFound("no such service; GET /cds-services lists them")
        screening, hook = offered[service_id]
        request = read_request(body(), hook)
        now = service.now()
        evidence = gather(screening, request, now)
        about, new_uuid = request.context, service.new_uuid
        to = Call(about.patient_id, about.user_id, about.encounter_id, language(), now, service.public, new_uuid)
        if evidence.readings or evidence.doubts:
            advice = decide(screening, evidence.readings, evidence.doubts)
            cards = advice_cards(screening, advice, to)
        else:
            advice, cards = NO_SCREENING, offer_cards(screening, to) if evidence.complaint else []
        record(service.store, decision(screening, service_id, request.hook_instance, advice, cards), now)
        return answer({"cards": cards})

    return blueprint
