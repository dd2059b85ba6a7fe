"""A submission over HTTP: what was sent, judged; refused with every fault, or answered as Prefer says.

An alarm is named whatever Prefer says, because no hook may fire for hours. Source: HL7 FHIR R4, "RESTful API".
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from flask import Response, g, request

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service import logs, metrics
from cds_service.dates import span
from cds_service.errors import Unprocessable
from cds_service.store import Act, Received, Stored
from cds_service.submission import faults, form_of, is_past, kept, patient_of
from cds_service.submission.alarms import (
    disposition_issue,
    disposition_of,
    disposition_then,
    is_urgent,
    readable_alarms,
)
from cds_service.submission.kinds import Fault, issue
from cds_service.web import Caller, Deployment, hash_patient, language
from cds_service.web.exchange import issue as plain_issue
from cds_service.web.exchange import naming, outcome, preference, resource_answer, sent, sent_if_readable

KIND = "QuestionnaireResponse"
_WITHDRAWN = "entered-in-error"
_NO_PROVENANCE = "X-Provenance: is not kept; the AuditEvent of this act records who sent what and when"
log = logs.get()


class NotFhir(Unprocessable):
    """What was sent breaks FHIR itself; each of `issues` is one fault."""

    status, code = 400, "structure"


@dataclass(frozen=True)
class Submission:
    """A response that may be stored, with the issues that its answer carries; of an urgent one the first names that."""

    screening: Screening
    received: Received
    patient: str  # the id, which is not stored outside the body
    urgent: bool
    issues: tuple[Json, ...]


def judge(service: Deployment, who: Caller, body: Any) -> Submission:
    """What was sent, judged. Raises NotFhir and Unprocessable with every fault, and the alarms first."""
    servers, now = who.client.fhir_servers, service.now()
    found = faults(service.screenings, body, now, servers)
    refusals = [one for one in found if one.refuses]
    if refusals:
        unreadable = any(one.status == NotFhir.status for one in refusals)
        issues = [issue(one, service.screenings[0].base) for one in found]
        raise (NotFhir if unreadable else Unprocessable)([*alarms(service, who, body), *issues])
    screening, _ = form_of(service.screenings, body)
    patient = patient_of(body, servers)
    assert screening is not None  # noqa: S101 - a fault would have refused it
    assert patient is not None  # noqa: S101 - likewise
    body = kept(screening, body)
    named = _urgent(screening, body, now, language(who.client))
    received = _received(service, who, screening, body, patient, disposition_of(screening, body, now))
    return Submission(screening, received, patient, bool(named), (*named, *_issues(screening, found)))


def naming_alarms(service: Deployment, who: Caller, body: Any) -> AbstractContextManager[None]:
    """Whatever refuses a response that could be judged, such as a precondition: its alarms are named first."""
    return naming(lambda: alarms(service, who, body))


def sent_naming_alarms(service: Deployment, who: Caller) -> Any:
    """The JSON that was sent; raises as `sent` does. The alarms are named also where its Content-Type refuses it."""
    with naming(lambda: alarms(service, who, sent_if_readable())):
        return sent()


def alarms(service: Deployment, who: Caller, body: Any) -> list[Json]:
    """The dispositions of doctor class that a refused response would give, as issues; also in the log."""
    named = readable_alarms(service.screenings, body, service.now())
    for screening, name in named:
        metrics.count_alarm(screening, name, stored=False)
        log.warning("alarm in a refused response", **_whose(who), screening=screening.name, disposition=name)
    return [disposition_issue(screening, name, language(who.client), "refused") for screening, name in named]


def _urgent(screening: Screening, body: Json, now: datetime, spoken: str) -> list[Json]:
    """What the response alarms about where nobody may see it for hours; also where it is too old for any card."""
    past = is_past(screening, body, now)
    name = disposition_then(screening, body, now) if past else disposition_of(screening, body, now)
    said = disposition_issue(screening, name, spoken, "past" if past else "stored")
    return [said] if is_urgent(screening, name) else []


def _issues(screening: Screening, found: Sequence[Fault]) -> list[Json]:
    passed = [plain_issue("warning", "not-supported", _NO_PROVENANCE)] if "X-Provenance" in request.headers else []
    return [*(issue(one, screening.base) for one in found), *passed]


def _received(
    service: Deployment, who: Caller, screening: Screening, body: Json, patient: str, disposition: str
) -> Received:
    authored = span(body["authored"]) if "authored" in body else None
    identifier, version = body.get("identifier", {}), body["questionnaire"].partition("|")[2]
    form = screening.questionnaire
    return Received(
        body=body,
        patient=hash_patient(service, who.owner, patient),
        questionnaire=f"{form['url']}|{version or form['version']}",
        status=body["status"],
        authored=authored[0] if authored else None,
        latest=authored[1] if authored else None,
        author=body.get("author", {}).get("reference", ""),
        identifier=(identifier.get("system", ""), identifier["value"]) if "value" in identifier else ("", ""),
        disposition=disposition,
    )


def act(service: Deployment, who: Caller, patient: str) -> Act:
    """Who does what is recorded now about the patient with this hash, in the call with this id, as the log has it."""
    return Act(who.owner, service.now(), "", patient, g.request_id)


def beside(service: Deployment, who: Caller, submission: Submission, stored: Stored) -> Submission:
    """The submission that was not stored, because `stored` meets If-None-Exist: the alarms of both are named.

    Of other content the alarm is named first, as not stored; whoever sent it is told that, whatever Prefer says.
    """
    own, there = submission.received, stored.body or {}
    if content(there) == content(own.body):
        return submission
    log.warning("kept, another not stored", **_whose(who), id=stored.id, disposition=own.disposition)
    spoken, screening = language(who.client), submission.screening
    doctor = screening.dispositions[own.disposition].class_ == "doctor"
    unstored = [disposition_issue(screening, own.disposition, spoken, "refused")] if doctor else []
    if doctor:
        metrics.count_alarm(screening, own.disposition, stored=False)
    words = "If-None-Exist: what is there has other content, and what was sent was not stored; update that one"
    told = submission.issues[1:] if submission.urgent else submission.issues  # the first would call it stored
    kept = _urgent_there(service, there, spoken)
    return replace(
        submission, issues=(*unstored, *kept, *told, plain_issue("warning", "duplicate", words)), urgent=True
    )


def _urgent_there(service: Deployment, there: Json, spoken: str) -> list[Json]:
    """What the stored response alarms about, where nobody may see it for hours."""
    screening = form_of(service.screenings, there)[0]
    return _urgent(screening, there, service.now(), spoken) if screening else []


def after(service: Deployment, who: Caller, submission: Submission, before: Json) -> Submission:
    """The submission as what follows a version: an alarm of that which it takes back is named, whatever Prefer says.

    Not where it says that all was entered in error, or is an alarm itself.
    """
    screening, name = submission.screening, disposition_of(submission.screening, before, service.now())
    if submission.urgent or not is_urgent(screening, name) or submission.received.status == _WITHDRAWN:
        return submission
    log.warning("alarm replaced", **_whose(who), screening=screening.name, disposition=name)
    gone = disposition_issue(screening, name, language(who.client), "replaced")
    return replace(submission, urgent=True, issues=(gone, *submission.issues))


def content(body: Json) -> Json:
    """What a response says, without what this server gave it."""
    return {name: value for name, value in body.items() if name not in ("id", "meta")}


def written(service: Deployment, who: Caller, submission: Submission, stored: Stored, status: int) -> Response:
    """The answer to a write, with Location, ETag and Last-Modified; a line in the log, of ids only."""
    screening, disposition = submission.screening, submission.received.disposition
    say = log.warning if submission.urgent else log.info
    say("response stored", **_whose(who), id=stored.id, screening=screening.name, disposition=disposition)
    if screening.dispositions[disposition].class_ == "doctor":
        metrics.count_alarm(screening, disposition, stored=True)
    return answered(service, submission, stored, status)


def _whose(who: Caller) -> dict[str, str]:
    return {"client": who.name, "tenant": who.owner.partition(" ")[2]}


def answered(service: Deployment, submission: Submission, stored: Stored, status: int) -> Response:
    """The stored response as Prefer asks for it, but with the issues where one of them is urgent."""
    response = _preferred(submission, stored, status)
    response.headers["Location"] = f"{service.public}/fhir/{KIND}/{stored.id}/_history/{stored.version}"
    response.set_etag(str(stored.version), weak=True)
    response.last_modified = stored.at
    return response


def _preferred(submission: Submission, stored: Stored, status: int) -> Response:
    wanted, issues = preference("return"), list(submission.issues)
    if submission.urgent or wanted == "operationoutcome" or (issues and not wanted):
        return outcome(issues or [plain_issue("information", "informational", "all ok: nothing to remark")], status)
    if wanted == "minimal":
        return Response(status=status)
    return resource_answer(stored.body or {}, status)
