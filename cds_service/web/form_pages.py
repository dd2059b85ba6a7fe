"""What the form shows at each step: the emergency notice first, whatever else there is to say."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Response, request

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import form, logs, strict_json
from cds_service.form import Given, Sheet
from cds_service.web.deployment import Deployment
from cds_service.web.form_posted import STEP, VERSION
from cds_service.web.pages import page, spoken
from cds_service.web.visits import Visit

log = logs.get()


@dataclass(frozen=True)
class Filling:
    """A form being filled in: what is asked, in which visit, if it is known, and what was known before.

    `alone`: in no visit, to try it out. `known` is linkId → answer.
    """

    service: Deployment
    screening: Screening
    sheet: Sheet
    alone: bool = False
    visit: Visit | None = None
    known: Given | None = None


def questions(
    filling: Filling, given: Given, faults: Mapping[str, str], *, at: str = "", failed: str = "", code: int = 200
) -> Response:
    """The questions with their answers; `failed` says why what was sent is not taken."""
    there = {entry.link_id for entry in form.shown(filling.sheet, given)}
    values = {"given": given, "faults": faults, "there": there, "at": at, "failed": failed}
    told = bool(failed) and is_alarming(filling, given)
    status = 422 if faults and code == 200 else code
    return page("form.html.jinja", code=status, **_shared(filling), **values, emergency=told)


def summary(filling: Filling, given: Given, *, failed: str = "", emergency: bool = False) -> Response:
    """All answers in words, to be sent; `failed` says why they were not."""
    asked = form.shown(filling.sheet, given)
    values = {"given": given, "asked": asked, "failed": failed, "emergency": emergency}
    return page("form-summary.html.jinja", code=503 if failed else 200, **_shared(filling), **values)


def sent(filling: Filling, response: Json, *, emergency: bool) -> Response:
    """The last page: where to go on, and alone the response itself, for developers."""
    shown = "" if filling.visit else strict_json.write(response).decode()
    back = filling.visit.back if filling.visit else ""
    return page("form-sent.html.jinja", **_shared(filling), shown=shown, back=back, emergency=emergency)


def ended(filling: Filling, given: Given, title: str, text: str, code: int) -> Response:
    """Nothing can be sent from here: why, and what was typed, so that it is not lost."""
    told = {"given": given, "emergency": is_alarming(filling, given)}
    asked = [entry for entry in filling.sheet.questions if entry.link_id in given]
    return page("form-over.html.jinja", code=code, **_shared(filling), **told, asked=asked, heading=title, text=text)


def response_of(filling: Filling, given: Given) -> Json:
    """The response as it would be sent."""
    visit = filling.visit
    return form.response(
        filling.screening,
        filling.sheet,
        given,
        patient=visit.patient if visit else "",
        user=visit.user if visit else "",
        language=spoken(),
        now=filling.service.now(),
    )


def is_alarming(filling: Filling, given: Given) -> bool:
    """Whether what can be read of these answers is an emergency, although they were not taken."""
    if not given:
        return False
    try:
        return is_emergency(filling, response_of(filling, form.sound(filling.sheet, given)))
    except Exception as error:
        note(error)
        return True


def is_emergency(filling: Filling, response: Json) -> bool:
    """An error of ours counts as an emergency: it must not pass for the absence of one."""
    born = filling.visit.birth_date if filling.visit else ""
    record: list[Json] = [{"resourceType": "Patient", "birthDate": born}] if born else []
    try:
        return form.is_emergency(filling.screening, response, record, spoken(), filling.service.now())
    except Exception as error:
        note(error)
        return True


def note(error: Exception) -> None:
    """Logs it by place and kind: the text of an exception may hold answers."""
    log.error("internal error", kind=type(error).__name__, place=logs.place(error))


def _shared(filling: Filling) -> dict[str, Any]:
    """What each step shows: the form, for whom, the words of its content, and what to do in an emergency."""
    screening, language = filling.screening, spoken()
    top = screening.dispositions.get(form.emergency(screening))
    net = screening.texts.text.get("safety-net")
    return {
        "sheet": filling.sheet,
        "alone": filling.alone,
        "visit": filling.visit,
        "minutes": _minutes(filling),
        "known": filling.known or {},
        "words": {name: words[language] for name, words in screening.words.form.items()},
        "urgent": top.patient[language] if top and top.patient else "",
        "net": net[language] if net else "",
        "action": request.path,
        "step": STEP,
        "version": VERSION,
        "canonical": screening.canonical,
    }


def _minutes(filling: Filling) -> int | None:
    """For how many whole minutes the visit is still open; None where there is none."""
    if filling.visit is None:
        return None
    left = datetime.fromisoformat(filling.visit.until) - filling.service.now().astimezone(UTC)
    return max(int(left.total_seconds() // 60), 0)
