"""/: what this service is, for whom, and where to go. Public, also in production."""

from flask import Blueprint, Response

from cds_service.web import Deployment
from cds_service.web.pages import page, pages
from cds_service.web.review import title


def routes(service: Deployment) -> Blueprint:
    """The first page."""
    blueprint = pages("home", service)

    @blueprint.get("/")
    def home() -> Response:
        return page("home.html.jinja", screenings=service.screenings, title=title)

    return blueprint
