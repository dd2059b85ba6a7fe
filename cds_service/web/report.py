"""/report: the figures as a page, for operators. The plots are drawn here, and nothing comes from elsewhere."""

from typing import Any

from flask import Blueprint, Response, request

from cds_service.errors import BadRequest
from cds_service.report import CELL, NOTE, by_name, by_reason, plots, received, submitted, weekly
from cds_service.report.remarks import remarks
from cds_service.report.sections import sections, strangers
from cds_service.store.counts import WEEKS, figures
from cds_service.web import Deployment, caller
from cds_service.web.pages import page

LONGEST = 260  # weeks: as long as decisions are kept
_LINES: dict[str, Any] = {"weekly": weekly, "by_name": by_name, "by_reason": by_reason, "submitted": submitted}
_DRAWN: dict[str, Any] = {"left": plots.LEFT, "top": plots.TOP, "height": plots.HEIGHT, "broad": plots.STEP - plots.GAP}


def routes(service: Deployment) -> Blueprint:
    """The report on the last weeks, `?weeks=` of them; the role operator, and no other.

    No blueprint of pages: it is read with a token, by clients, and they read its refusals as those of all the rest.
    """
    blueprint = Blueprint("report", __name__)

    @blueprint.get("/report")
    def report() -> Response:
        caller(service, role="operator", needs="*.r")
        return _page(service, _weeks())

    return blueprint


def _page(service: Deployment, weeks: int) -> Response:
    """The figures as a page: its words are English, whatever the language of the frame around them."""
    counts = figures(service.store, service.now(), weeks)
    shown = page(
        "report.html.jinja",
        sections=sections(counts, service.screenings),
        others=strangers(counts, service.screenings),
        received=received(counts),
        note=NOTE,
        cell=CELL,
        remarks=remarks,
        plots=plots.plots,
        **_LINES,
        **_DRAWN,
    )
    shown.headers["Content-Language"] = "en"
    return shown


def _weeks() -> int:
    given = request.args.get("weeks", str(WEEKS))
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 0 < int(given) <= LONGEST):
        raise BadRequest(f"weeks: is no number of weeks; write one from 1 to {LONGEST}")
    return int(given)
