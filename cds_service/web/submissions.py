"""/fhir/QuestionnaireResponse: the responses that a client submits: create, read, update, delete of its own.

No id is chosen by a client: an update creates nothing (405). Source: HL7 FHIR R4, "RESTful API"; SDC 4.0.0, role Form
Response Manager.
"""

import re
from dataclasses import replace
from typing import NoReturn

from flask import Blueprint, Response, after_this_request, request

from cds_content.shapes import Json
from cds_service.errors import BadRequest, Conflict, PreconditionFailed, ServiceError, Unprocessable
from cds_service.store import Stored, create, create_unless, delete, read, update
from cds_service.submission import patient_of
from cds_service.web import Caller, Deployment, caller, submission_search, submission_validate
from cds_service.web.exchange import issue, refuse_format_naming, resource_answer, sent_if_readable
from cds_service.web.submission_answer import (
    KIND,
    Submission,
    act,
    after,
    alarms,
    answered,
    beside,
    judge,
    naming_alarms,
    sent_naming_alarms,
    written,
)
from cds_service.web.submission_stored import stored_body, stored_version

_FINAL = ("completed", "amended")


class _NotCreating(ServiceError):
    status, code = 405, "not-supported"


_NO_UPDATE = "an update creates nothing, because ids are given here; POST the response without this id"
_NO_ID = "an update is sent to the address of what it changes; write its id there, or POST a new response"


def routes(service: Deployment) -> Blueprint:
    """Create (also conditional), read, vread, update, delete, search and $validate of the caller's own responses."""
    blueprint = Blueprint("submissions", __name__, url_prefix=f"/fhir/{KIND}")
    blueprint.before_request(refuse_format_naming(service, alarms))
    blueprint.register_blueprint(submission_search.routes(service))
    blueprint.register_blueprint(submission_validate.routes(service))

    @blueprint.post("")
    def create_one() -> Response:
        return _created(service, _creator(service))

    @blueprint.put("")
    def update_none() -> Response:
        with naming_alarms(service, caller(service, needs=f"{KIND}.u"), sent_if_readable()):
            return _not_creating(_NO_ID, "GET, HEAD, POST")

    @blueprint.get("/<id_>")
    @blueprint.get("/<id_>/_history/<version>")
    def read_one(id_: str, version: str | None = None) -> Response:
        stored = stored_version(service, caller(service, needs=f"{KIND}.r"), id_, version)
        return resource_answer(stored_body(stored), version=str(stored.version), modified=stored.at)

    @blueprint.put("/<id_>")
    def update_one(id_: str) -> Response:
        return _changed(service, caller(service, needs=f"{KIND}.u"), id_)

    @blueprint.delete("/<id_>")
    def delete_one(id_: str) -> Response:
        return _removed(service, caller(service, needs=f"{KIND}.d"), id_)

    return blueprint


def _creator(service: Deployment) -> Caller:
    """Who creates; If-None-Exist searches, and shows what it finds."""
    who = caller(service, needs=f"{KIND}.c")
    return caller(service, needs=f"{KIND}.s") if "If-None-Exist" in request.headers else who


def _created(service: Deployment, who: Caller) -> Response:
    """201 and stored; 200 and not stored where If-None-Exist finds one. Refused with every fault."""
    submission = judge(service, who, body := sent_naming_alarms(service, who))
    received = submission.received
    with naming_alarms(service, who, body):
        criteria = submission_search.condition(service, who)
        acting = act(service, who, received.patient)
        if criteria is None:
            stored, new = create(service.store, acting, received), True
        else:
            stored, new = create_unless(service.store, acting, received, criteria)
        if not new:
            _refuse_other_patient(submission, stored, who)
    if new:
        return written(service, who, submission, stored, 201)
    return answered(service, beside(service, who, submission, stored), stored, 200)


def _changed(service: Deployment, who: Caller, id_: str) -> Response:
    """200 and a new version, by the address and If-Match. Refused with every fault."""
    submission = judge(service, who, body := sent_naming_alarms(service, who))
    with naming_alarms(service, who, body):
        if body.get("id") != id_:
            raise BadRequest(f"{KIND}.id: is not the id in the address; write the same")
        before = read(service.store, who.owner, id_)
        if before is None:
            return _not_creating(_NO_UPDATE, "DELETE, GET, HEAD")
        submission = _continued(submission, stored_body(before), who)
        stored = _updated(service, who, submission, before)
    return written(service, who, after(service, who, submission, stored_body(before)), stored, 200)


def _removed(service: Deployment, who: Caller, id_: str) -> Response:
    """204, also where it was deleted before; its earlier versions stay readable until they are purged."""
    stored = stored_version(service, who, id_)
    if stored.body is not None:
        _refuse_stale(wanted := _if_match(), stored)
        delete(service.store, act(service, who, ""), id_, if_match=wanted)
    return Response(status=204)


def _not_creating(words: str, allowed: str) -> NoReturn:
    """Raises _NotCreating; the header Allow names the methods that there are at this address."""

    def allow(response: Response) -> Response:
        response.headers["Allow"] = allowed
        return response

    after_this_request(allow)
    raise _NotCreating(words)


def _refuse_other_patient(submission: Submission, stored: Stored, who: Caller) -> None:
    """Raises PreconditionFailed: one patient's response is no answer about another."""
    if patient_of(stored.body or {}, who.client.fhir_servers) != submission.patient:
        words = "If-None-Exist: the response that matches is of another patient; write criteria that name this patient"
        raise PreconditionFailed(words)


def _continued(submission: Submission, before: Json, who: Caller) -> Submission:
    """The update as it follows what was there: after `completed`, a `completed` is `amended` (SDC).

    Raises Unprocessable for another patient or form: the alarms of the one before would be gone without a word.
    """
    same = {
        "subject": ("patient", patient_of(before, who.client.fhir_servers) == submission.patient),
        "questionnaire": ("form", _form(before) == _form(submission.received.body)),
    }
    if others := [(element, kind) for element, (kind, is_same) in same.items() if not is_same]:
        words = "{}.{}: is another {}; mark this one entered-in-error and POST a new one"
        raise Unprocessable(
            [issue("error", "business-rule", words.format(KIND, *one), expression=f"{KIND}.{one[0]}") for one in others]
        )
    received = submission.received
    if received.status != "completed" or before["status"] not in _FINAL:
        return submission
    amended = replace(received, status="amended", body=received.body | {"status": "amended"})
    return replace(submission, received=amended)


def _form(body: Json) -> str:
    """The canonical URL of the form, of any version; what is stored names one, never a contained form."""
    return str(body.get("questionnaire", "")).partition("|")[0]


def _updated(service: Deployment, who: Caller, submission: Submission, before: Stored) -> Stored:
    """Raises PreconditionFailed for a stale If-Match, Conflict where another change came in between."""
    _refuse_stale(_if_match(), before)
    acting = act(service, who, submission.received.patient)
    try:
        stored = update(service.store, acting, before.id, submission.received, before.version)
    except PreconditionFailed:
        stored = None
    if stored is None:
        raise Conflict("another change came in between; read the response again and change that version")
    return stored


def _refuse_stale(wanted: int | None, stored: Stored) -> None:
    if wanted not in (None, stored.version):
        raise PreconditionFailed("If-Match: names another version than the current one; read it and try again")


def _if_match() -> int | None:
    """The version that If-Match names; None where there is none. Raises BadRequest, and PreconditionFailed."""
    header = request.headers.get("If-Match")
    if header in (None, "*"):
        return None
    match = re.fullmatch(r'(?:W/)?"([^"]*)"', header or "")
    if not match:
        raise BadRequest('If-Match: is no ETag; write W/"1" with the version')
    return int(match[1]) if re.fullmatch(r"\d{1,9}", match[1], re.ASCII) else -1
