"""What a person sent from a page of the form, as far as it can be read; nothing readable is ever dropped.

Source: HTML, "URL-encoded form data".
"""

from dataclasses import dataclass
from urllib.parse import parse_qsl

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from cds_service import form
from cds_service.form import Given, Sheet
from cds_service.web.pages import said

MAX_FORM = 64_000  # bytes of answers
STEP, VERSION = "step", "questionnaire"  # the fields of the page that are no answers
_FORM = "application/x-www-form-urlencoded"
_STEPS = ("review", "send", "change", "language", "summary-language")


@dataclass(frozen=True)
class Posted:
    """Which button was pressed (`about`: what it stands at), and the answers.

    `wrong` says in words why they are not taken as they are, with `status`; empty where nothing is wrong.
    """

    step: str
    about: str
    given: Given
    wrong: str = ""
    status: int = 200


def posted(sheet: Sheet, canonical: str) -> Posted:
    """What came in for this form, whose version it has to be: another one asks other things."""
    fields, wrong, status = _fields()
    step, _, about = fields.pop(STEP, [""])[0].partition(":")
    version = fields.pop(VERSION, [""])
    if not wrong and step not in _STEPS:
        wrong, status = said("form.no-step"), 400
    elif not wrong and version != [canonical]:
        wrong, status = said("form.changed"), 409
    elif not wrong and form.strays(sheet, fields):
        wrong, status = said("form.stray"), 422
    return Posted(step, about, form.read(sheet, fields.items()), wrong, status)


def _fields() -> tuple[dict[str, list[str]], str, int]:
    """name → what was typed there; and what is wrong with it as a whole, with its status."""
    body, wrong, status = _body()
    if request.mimetype != _FORM:
        return {}, said("form.unreadable"), 415
    fields: dict[str, list[str]] = {}
    for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True):
        fields.setdefault(name, []).append(value)
    return fields, wrong, status


def _body() -> tuple[bytes, str, int]:
    """What was sent, to the last whole field that there is room for."""
    try:
        body = request.get_data()
    except RequestEntityTooLarge:
        return b"", said("form.too-long"), 413
    if len(body) > MAX_FORM:
        return body[:MAX_FORM].rpartition(b"&")[0], said("form.too-long"), 413
    return body, "", 200
