"""/cds-services/<id>/feedback: what clinicians did with the cards."""

from flask import Blueprint, Response

from cds_service.errors import NotFound
from cds_service.feedback import read_feedback, rows
from cds_service.store import Act, issued, record_feedback
from cds_service.web import Deployment, answer, body, caller


def routes(service: Deployment) -> Blueprint:
    """A POST for the feedback on the cards of every service."""
    blueprint = Blueprint("feedback", __name__)

    @blueprint.post("/cds-services/<service_id>/feedback")
    def receive(service_id: str) -> Response:
        """All entries are kept, or none; `recorded` counts those received, repeats included."""
        client = caller(service).owner
        if service_id not in service.offered:
            raise NotFound("no such service; GET /cds-services lists them")
        entries = read_feedback(body())
        given = issued(service.store, client, service_id, [entry.card for entry in entries])
        record_feedback(service.store, Act(client, service.now()), rows(entries, given))
        return answer({"recorded": len(entries)})

    return blueprint
