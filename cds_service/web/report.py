"""/report: the figures as a page, for operators. Drawn here, no script; nothing comes from elsewhere."""

from base64 import b64encode
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from flask import Blueprint, Response, request
from jinja2 import Environment, StrictUndefined

from cds_content.screening import Screening
from cds_service.errors import BadRequest
from cds_service.report import CELL, NOTE, by_name, by_reason, received, submitted, weekly
from cds_service.report import plots as drawn
from cds_service.report.plots import plots
from cds_service.report.remarks import remarks
from cds_service.report.sections import sections, strangers
from cds_service.store.counts import WEEKS, Counts, figures
from cds_service.web import Deployment, caller

LONGEST = 260  # weeks: as long as decisions are kept
_TEMPLATE = Path(__file__).with_name("report.html.jinja")
_STYLE = Path(__file__).with_name("report.css").read_text("utf-8")
_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()
_POLICY = f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def routes(service: Deployment) -> Blueprint:
    """The report on the last weeks, `?weeks=` of them; the role operator, and no other."""
    blueprint = Blueprint("report", __name__)

    @blueprint.get("/report")
    def report() -> Response:
        caller(service, role="operator", needs="*.r")
        html = page(figures(service.store, service.now(), _weeks()), service.screenings)
        headers = {"Content-Language": "en", "Content-Security-Policy": _POLICY}
        return Response(html, headers=headers, content_type="text/html; charset=utf-8")

    return blueprint


def page(counts: Counts, screenings: Sequence[Screening]) -> str:
    """The report as HTML: no scripts, and no markup that comes from a text."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.globals.update(
        weekly=weekly, by_name=by_name, by_reason=by_reason, submitted=submitted, remarks=remarks, plots=plots
    )
    environment.globals.update(left=drawn.LEFT, top=drawn.TOP, height=drawn.HEIGHT, broad=drawn.STEP - drawn.GAP)
    return environment.from_string(_TEMPLATE.read_text("utf-8")).render(
        sections=sections(counts, screenings),
        others=strangers(counts, screenings),
        received=received(counts),
        note=NOTE,
        cell=CELL,
        style=_STYLE,
    )


def _weeks() -> int:
    given = request.args.get("weeks", str(WEEKS))
    if not (given.isascii() and given.isdigit() and len(given) < 4 and 0 < int(given) <= LONGEST):
        raise BadRequest(f"weeks: is no number of weeks; write one from 1 to {LONGEST}")
    return int(given)
