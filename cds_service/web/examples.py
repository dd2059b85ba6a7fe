"""/examples (development only): requests to try, with their times filled in, so that they work on any day."""

import re
from datetime import timedelta

from flask import Blueprint, Response

from cds_content.files import PUBLISHED_BASE
from cds_content.screening import reversed_host
from cds_service.config import HOME
from cds_service.errors import NotFound
from cds_service.web import Deployment

_TIME = re.compile(r"\{now-(\d+)h\}")


def routes(service: Deployment) -> Blueprint:
    """A GET for every file in examples/."""
    blueprint = Blueprint("examples", __name__)
    base = service.screenings[0].base
    known = {path.stem: path for path in (HOME / "examples").glob("*.json")}

    @blueprint.get("/examples/<name>")
    def example(name: str) -> Response:
        if name not in known:
            raise NotFound(f"no such example; there are: {', '.join(sorted(known))}")
        now = service.now()
        text = known[name].read_text("utf-8").replace(PUBLISHED_BASE, base)
        text = text.replace(f"{reversed_host(PUBLISHED_BASE)}.", f"{reversed_host(base)}.")
        filled = _TIME.sub(lambda hours: (now - timedelta(hours=int(hours[1]))).isoformat(timespec="seconds"), text)
        return Response(filled, content_type="application/json")

    return blueprint
