"""/form: the form as a page. Answers travel in the page itself, and are kept nowhere here until they are sent.

Whatever goes wrong, the emergency notice stands first, and what was typed stands on the page that follows.
"""

from flask import Blueprint, Response, g, request
from werkzeug.exceptions import HTTPException

from cds_content.screening import Screening
from cds_content.translations import items_of
from cds_service import form
from cds_service.errors import Forbidden, NotFound, ServiceError, Unavailable
from cds_service.form import Given
from cds_service.populate import populated
from cds_service.web import visits
from cds_service.web.deployment import Deployment
from cds_service.web.form_pages import (
    Filling,
    ended,
    is_alarming,
    is_emergency,
    note,
    questions,
    response_of,
    sent,
    summary,
)
from cds_service.web.form_posted import Posted, posted
from cds_service.web.pages import page, pages, refusal, said, spoken
from cds_service.web.visits import Visit

_LOOKS = ("GET", "HEAD")


def routes(service: Deployment) -> Blueprint:
    """The list of forms; each form alone (development mode only), and in the visit that a SMART launch began."""
    blueprint = pages("form", service)

    @blueprint.get("/form")
    def forms() -> Response:
        sheets = [form.sheet(one, spoken()) for one in service.screenings]
        return page("forms.html.jinja", sheets=sheets)

    @blueprint.route("/form/<name>", methods=["GET", "POST"])
    def alone(name: str) -> Response:
        if not service.development:
            raise Forbidden(said("form.from-ehr"))
        return _step(_filling(service, name, alone=True))

    @blueprint.route("/form/<name>/<visit>", methods=["GET", "POST"])
    def visited(name: str, visit: str) -> Response:
        filling = _filling(service, name)
        try:
            found = visits.visit(service, name, visit)
        except NotFound:
            return _over(filling, visit, _given(filling))
        except Unavailable:
            if request.method in _LOOKS:
                raise
            return _unopened(filling)
        return _step(_filling(service, name, visit=found))

    @blueprint.errorhandler(Exception)
    def refuse(error: Exception) -> Response:
        return _refused(service, error)

    return blueprint


def _filling(service: Deployment, name: str, *, alone: bool = False, visit: Visit | None = None) -> Filling:
    """Raises NotFound."""
    for screening in service.screenings:
        if screening.name == name:
            known = _known(service, screening, visit) if visit else {}
            return Filling(service, screening, form.sheet(screening, spoken()), alone, visit, known)
    raise NotFound(said("form.none"))


def _known(service: Deployment, screening: Screening, visit: Visit) -> Given:
    """What $populate fills in for this patient; nothing where it fails, because everything can be typed."""
    reference = {"reference": f"Patient/{visit.patient}"}
    born = {"birthDate": visit.birth_date} if visit.birth_date else {}
    sent = {"questionnaireRef": [{"reference": screening.canonical}], "subject": [reference]}
    record = {"resourceType": "Patient", "id": visit.patient} | born
    try:
        begun, _ = populated(screening, {**sent, "data": [record]}, spoken(), service.now())
        answers = [(item["linkId"], item["answer"][0]) for item in items_of(begun) if "answer" in item]
        return {link_id: (str(answer["valueInteger"]),) for link_id, answer in answers}
    except Exception as error:
        note(error)
        return {}


def _step(filling: Filling) -> Response:
    """The questions; with answers that have no fault, their summary; and when that is sent, what happens next."""
    if request.method in _LOOKS:
        return questions(filling, filling.known or {}, {})
    came = _posted(filling)
    given, looked = came.given, came.step in ("review", "send") or came.about == "faults"
    found = form.faults(filling.sheet, given) if looked or (came.wrong and given) else {}
    if came.wrong:
        return questions(filling, given, found, failed=came.wrong, code=came.status)
    if came.step == "send" and not found:
        return _send(filling, given)
    if found or came.step in ("change", "language"):
        return questions(filling, given, found, at=came.about if came.step == "change" else "")
    return summary(filling, given, failed=said("form.failed-before") if came.about == "failed" else "")


def _send(filling: Filling, given: Given) -> Response:
    """Writes the response where the visit came from; alone, nowhere. Whatever fails, an emergency is still named."""
    response, visit = response_of(filling, given), filling.visit
    emergency = is_emergency(filling, response)
    if visit is None:
        return sent(filling, response, emergency=emergency)
    try:
        visits.write(filling.service, visit, response)
    except NotFound:
        return _over(filling, visit.id, given)
    except Exception as error:
        return summary(filling, given, failed=_why(error), emergency=emergency)
    _close(filling.service, visit)
    return sent(filling, response, emergency=emergency)


def _close(service: Deployment, visit: Visit) -> None:
    """What was written counts as sent, although the visit could not be closed: it ends by itself, too."""
    try:
        visits.close(service, visit)
    except Exception as error:
        note(error)


def _over(filling: Filling, visit: str, given: Given) -> Response:
    """The visit is over: whether its answers are known to be sent, and never that they are known not to be."""
    if visits.was_sent(filling.service, visit):
        return ended(filling, given, said("form.was-sent"), said("form.was-sent-what"), 404)
    return ended(filling, given, said("form.over"), said("form.over-what"), 404)


def _unopened(filling: Filling) -> Response:
    """The database cannot be asked: the visit may well go on, so the answers stay in a page that can send them."""
    given = _given(filling)
    return summary(filling, given, failed=said("form.not-opened"), emergency=is_alarming(filling, given))


def _refused(service: Deployment, error: Exception) -> Response:
    """Every other refusal, and every error of ours: the notice of the form, the reason, and what was typed."""
    status, code, text = _reason(error)
    g.refused, g.reason = True, code
    name = (request.view_args or {}).get("name", "")
    if all(one.name != name for one in service.screenings):
        return refusal(status, text)
    filling = _filling(service, name)
    return ended(filling, _given(filling), said("layout.refused"), text, status)


def _reason(error: Exception) -> tuple[int, str, str]:
    """Status, code for the log, and words."""
    if isinstance(error, ServiceError):
        return error.status, error.code, str(error)
    if isinstance(error, HTTPException):
        return error.code or 500, "processing", error.name
    note(error)
    return 500, "exception", said("form.fault")


def _why(error: Exception) -> str:
    if isinstance(error, ServiceError):
        return str(error)
    note(error)
    return said("form.not-sent")


def _posted(filling: Filling) -> Posted:
    return posted(filling.sheet, filling.screening.canonical)


def _given(filling: Filling) -> Given:
    """The answers that came, if any did."""
    return _posted(filling).given if request.method == "POST" else {}
