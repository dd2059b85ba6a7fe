"""/fhir/AuditEvent: the audit trail of the caller's own, for its auditors. Source: HL7 FHIR R4 "Search"; IHE BALP."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from flask import Blueprint, Response

from cds_content.shapes import Json
from cds_service.audit import audit_event
from cds_service.dates import span
from cds_service.errors import BadRequest, NotFound
from cds_service.resources import ID
from cds_service.searching import page_size, place, place_written
from cds_service.store import events
from cds_service.web import Caller, Deployment, caller, hash_patient
from cds_service.web.exchange import asked, refuse_format, resource_answer, searchset

SEARCH = {"_id": "token", "date": "date", "patient": "reference"}
_MOMENT = timedelta(microseconds=1)
_SECOND = datetime.min.replace(tzinfo=UTC) + _MOMENT  # the second moment that there is: only the first is before it
_PATIENT = re.compile(rf"(?:(?:(https?://[^\s|#?]+)/)?Patient/)?({ID})", re.ASCII)


def routes(service: Deployment) -> Blueprint:
    """Search and read; the role auditor, and no other, of the client whose acts these are."""
    blueprint = Blueprint("audit", __name__, url_prefix="/fhir/AuditEvent")
    blueprint.before_request(refuse_format)
    address = f"{service.public}/fhir"

    @blueprint.get("")
    @blueprint.post("/_search")
    def search() -> Response:
        who = caller(service, role="auditor", needs="AuditEvent.s")
        pairs = asked(SEARCH)
        count, after, wanted = page_size(pairs), _place(pairs), _criteria(pairs, service, who)
        asking = partial(events, service.store, who.owner, count=count + 1, after=after)
        total, rows = (0, []) if wanted is None else asking(**wanted)
        found = [audit_event(dict(row), address) for row in rows[:count]]
        bundle = searchset(address, "AuditEvent", found, total, pairs, _following(rows, count))
        return resource_answer(bundle, language="en")

    @blueprint.get("/<id_>")
    @blueprint.get("/<id_>/_history/1")
    def read(id_: str) -> Response:
        owner = caller(service, role="auditor", needs="AuditEvent.r").owner
        number = _number(id_)
        rows = events(service.store, owner, id=number, count=1)[1] if number else []
        if not rows:
            raise NotFound("no such AuditEvent; GET /fhir/AuditEvent lists those of your own acts")
        return resource_answer(audit_event(dict(rows[0]), address), language="en")

    return blueprint


def _place(pairs: list[tuple[str, str]]) -> tuple[datetime, int] | None:
    """Where the page before ended. Raises BadRequest for what no link of ours says."""
    after = place(pairs)
    number = _number(after[1]) if after else None
    if after and number is None:
        raise BadRequest("_after: is no place among the events; follow the next link of the page before")
    return (after[0], number) if after and number is not None else None


def _following(rows: Sequence[Mapping[Any, Any]], count: int) -> str:
    """Where the next page begins; empty where nothing is behind the `count` events of this one."""
    last = rows[count - 1] if len(rows) > count > 0 else None
    return place_written(last["at"], str(last["id"])) if last else ""


def _number(id_: str) -> int | None:
    """The number of an event; None for what is no id that we ever gave."""
    return int(id_) if id_.isascii() and id_.isdigit() and len(id_) < 19 else None


def _criteria(pairs: list[tuple[str, str]], service: Deployment, who: Caller) -> Json | None:
    """What the store is asked; None when nothing can match. Raises BadRequest for values that cannot be read."""
    given = [pair for pair in pairs if pair[0] in SEARCH]
    names = [name for name, _ in given if name != "date"]
    if len(set(names)) < len(names) or any("," in value for _, value in given):
        raise BadRequest(f"{', '.join(SEARCH)}: write each once and with one value; only date may be repeated")
    wanted: Json = _period([value for name, value in given if name == "date"])
    for name, value in given:
        if name == "_id":
            wanted["id"] = _number(value)
        if name == "patient":
            wanted["patient"] = _hash(value, service, who)
    return None if None in wanted.values() else wanted


def _hash(value: str, service: Deployment, who: Caller) -> str | None:
    """The hash of the patient, whom the trail names by the id alone; None for one on a server that is not agreed."""
    match = _PATIENT.fullmatch(value)
    if not match:
        raise BadRequest("patient: is no reference; write Patient/ and the id on your own FHIR server")
    server, id_ = match.groups()
    return hash_patient(service, who.owner, id_) if server in (None, *who.client.fhir_servers) else None


def _period(values: list[str]) -> dict[str, datetime]:
    """The first and last moment that all of these date parameters leave, each where there is one."""
    firsts, lasts = list[datetime](), list[datetime]()
    for value in values:
        prefix = value[:2] if value[:1].isalpha() else "eq"
        moments = span(value.removeprefix(prefix).replace(" ", "+"))  # a plus sign that nobody escaped is a blank
        if not moments or prefix not in ("eq", "gt", "ge", "lt", "le", "sa", "eb"):
            raise BadRequest("date: cannot be read; write eq, gt, ge, lt, le, sa or eb and a date or dateTime")
        firsts += {"eq": [moments[0]], "ge": [moments[0]]}.get(prefix, [])
        firsts += [moments[1] + _MOMENT] if prefix in ("gt", "sa") else []
        lasts += {"eq": [moments[1]], "le": [moments[1]]}.get(prefix, [])
        lasts += [max(moments[0], _SECOND) - _MOMENT] if prefix in ("lt", "eb") else []
    return ({"since": max(firsts)} if firsts else {}) | ({"until": min(lasts)} if lasts else {})
