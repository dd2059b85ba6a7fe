"""/form: the form as a page. Answers travel in the page itself, and are kept nowhere here until they are sent."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Response, request

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.translations import items_of
from cds_service import form, logs, strict_json
from cds_service.errors import BadRequest, Forbidden, NotFound, ServiceError, UnsupportedMedia
from cds_service.form import Given, Sheet
from cds_service.populate import populated
from cds_service.web import visits
from cds_service.web.deployment import Deployment
from cds_service.web.pages import page, pages, said, spoken
from cds_service.web.visits import Visit

_FORM = "application/x-www-form-urlencoded"
MAX_FORM = 64_000  # bytes of answers
log = logs.get()


@dataclass(frozen=True)
class Filling:
    """A form being filled in: what is asked, in which visit, if any, and what was known before (linkId → answer)."""

    screening: Screening
    sheet: Sheet
    visit: Visit | None
    known: Given


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
            raise Forbidden("form: is opened from the EHR of the patient; nothing can be sent from here")
        return _step(service, _filling(service, name, None))

    @blueprint.route("/form/<name>/<visit>", methods=["GET", "POST"])
    def visited(name: str, visit: str) -> Response:
        try:
            found = visits.visit(service, name, visit)
        except ServiceError:
            if request.method == "GET":
                raise
            return _over(service, _filling(service, name, None))
        return _step(service, _filling(service, name, found))

    return blueprint


def _filling(service: Deployment, name: str, visit: Visit | None) -> Filling:
    """Raises NotFound."""
    for screening in service.screenings:
        if screening.name == name:
            sheet, known = form.sheet(screening, spoken()), _known(service, screening, visit) if visit else {}
            return Filling(screening, sheet, visit, known)
    raise NotFound("form: there is none of this name; /form lists what there is")


def _known(service: Deployment, screening: Screening, visit: Visit) -> Given:
    """What $populate fills in for this patient."""
    reference = {"reference": f"Patient/{visit.patient}"}
    born = {"birthDate": visit.birth_date} if visit.birth_date else {}
    sent = {"questionnaireRef": [{"reference": screening.canonical}], "subject": [reference]}
    record = {"resourceType": "Patient", "id": visit.patient} | born
    begun, _ = populated(screening, {**sent, "data": [record]}, spoken(), service.now())
    answers = [(item["linkId"], item["answer"][0]) for item in items_of(begun) if "answer" in item]
    return {link_id: (str(answer["valueInteger"]),) for link_id, answer in answers}


def _step(service: Deployment, filling: Filling) -> Response:
    """The questions; with answers that have no fault, their summary; and when that is sent, what happens next."""
    if request.method == "GET":
        return _questions(filling, filling.known, {})
    step, given = _sent(filling.sheet)
    found = form.faults(filling.sheet, given) if step in ("review", "send") else {}
    if step == "send" and not found:
        return _send(service, filling, given)
    if found or step.partition(":")[0] in ("change", "language"):
        return _questions(filling, given, found, at=step.partition(":")[2])
    if step == "summary-language" or step == "review":
        return _summary(filling, given)
    raise BadRequest("step: is none of this form; use its buttons")


def _sent(sheet: Sheet) -> tuple[str, Given]:
    """What was pressed, and the answers. Raises UnsupportedMedia and BadRequest."""
    request.max_content_length = MAX_FORM
    if request.mimetype != _FORM:
        raise UnsupportedMedia(f"Content-Type: write {_FORM}")
    fields = [(name, values) for name, values in request.form.lists() if name != "step"]
    return request.form.get("step", ""), form.read(sheet, fields)


def _questions(
    filling: Filling, given: Given, faults: Mapping[str, str], *, at: str = "", failed: str = ""
) -> Response:
    there = {entry.link_id for entry in form.shown(filling.sheet, given)}
    values = {"given": given, "faults": faults, "there": there, "at": at, "failed": failed}
    return page("form.html.jinja", code=422 if faults else 200, **_shared(filling), **values)


def _summary(filling: Filling, given: Given, *, failed: str = "", emergency: bool = False) -> Response:
    asked = form.shown(filling.sheet, given)
    values = {"given": given, "asked": asked, "failed": failed, "emergency": emergency}
    return page("form-summary.html.jinja", code=503 if failed else 200, **_shared(filling), **values)


def _send(service: Deployment, filling: Filling, given: Given) -> Response:
    """Writes the response where the visit came from; alone, nowhere. Whatever fails, an emergency is still named."""
    response, visit = _response(service, filling, given), filling.visit
    emergency = _is_emergency(service, filling, response)
    if visit and (failed := _failed(lambda: visits.write(service, visit, response))):
        return _summary(filling, given, failed=failed, emergency=emergency)
    if visit:
        _failed(lambda: visits.close(service, visit))  # it ends by itself, too
    return page("form-sent.html.jinja", **_shared(filling), **_told(filling, response), emergency=emergency)


def _over(service: Deployment, filling: Filling) -> Response:
    """What came in when its visit was over: nothing is sent, and an emergency is named all the same."""
    _, given = _sent(filling.sheet)
    response = _response(service, filling, form.sound(filling.sheet, given))
    emergency = _is_emergency(service, filling, response)
    return page("form-over.html.jinja", code=404, **_shared(filling), emergency=emergency)


def _response(service: Deployment, filling: Filling, given: Given) -> Json:
    visit = filling.visit
    return form.response(
        filling.screening,
        filling.sheet,
        given,
        patient=visit.patient if visit else "",
        user=visit.user if visit else "",
        language=spoken(),
        now=service.now(),
    )


def _is_emergency(service: Deployment, filling: Filling, response: Json) -> bool:
    """An error of ours counts as an emergency: it must not pass for the absence of one."""
    born = filling.visit.birth_date if filling.visit else ""
    record: list[Json] = [{"resourceType": "Patient", "birthDate": born}] if born else []
    try:
        return form.is_emergency(filling.screening, response, record, spoken(), service.now())
    except Exception as error:
        _log(error)
        return True


def _failed(do: Callable[[], object]) -> str:
    """Does it, and says what a person should know where it did not succeed; empty where it did."""
    try:
        do()
    except ServiceError as error:
        return str(error)
    except Exception as error:
        _log(error)
        return said("form.not-sent")
    return ""


def _log(error: Exception) -> None:
    """By place and kind: the text of an exception may hold answers."""
    log.error("internal error", kind=type(error).__name__, place=logs.place(error))


def _told(filling: Filling, response: Json) -> dict[str, Any]:
    """Where to go on, and alone the response itself, for developers."""
    if filling.visit:
        return {"shown": "", "back": filling.visit.back}
    return {"shown": strict_json.write(response).decode(), "back": ""}


def _shared(filling: Filling) -> dict[str, Any]:
    """What each step shows: the form, for whom, the words of its content, and what to do in an emergency."""
    screening, language = filling.screening, spoken()
    top = screening.dispositions.get(form.emergency(screening))
    net = screening.texts.text.get("safety-net")
    return {
        "sheet": filling.sheet,
        "visit": filling.visit,
        "known": filling.known,
        "words": {name: words[language] for name, words in screening.words.form.items()},
        "urgent": top.patient[language] if top and top.patient else "",
        "net": net[language] if net else "",
        "action": request.path,
    }
