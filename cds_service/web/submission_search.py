"""Search of the responses that a client submitted, and the search that If-None-Exist names.

Source: HL7 FHIR R4, "Search"; SDC 4.0.0, role Form Response Manager.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from flask import Blueprint, Response, request

from cds_service.dates import span
from cds_service.errors import BadRequest
from cds_service.resources import ID
from cds_service.searching import page_size, place, place_written, separated, token, understood, unescaped
from cds_service.store import Criteria, Place
from cds_service.store import search as stored_search
from cds_service.submission import patient_of
from cds_service.web import Caller, Deployment, caller, hash_patient
from cds_service.web.exchange import asked, resource_answer, searchset
from cds_service.web.submission_answer import KIND

SEARCH = {
    "_id": "token",
    "authored": "date",
    "author": "reference",
    "identifier": "token",
    "patient": "reference",
    "questionnaire": "reference",
    "status": "token",
    "subject": "reference",
}
MOST = 100  # values of one parameter; each is a part of one statement of SQL
_STATUS = "http://hl7.org/fhir/questionnaire-answers-status"
_AUTHORS = ("Device", "Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson")
_PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb")
_DATED = re.compile(r"([a-z]{2})?(\d.*)", re.ASCII | re.DOTALL)

Pairs = Sequence[tuple[str, str]]


def routes(service: Deployment) -> Blueprint:
    """Search by GET and by POST to _search, of the caller's own."""
    blueprint = Blueprint("submission_search", __name__)

    @blueprint.get("")
    @blueprint.post("/_search")
    def search() -> Response:
        who = caller(service, needs="QuestionnaireResponse.s")
        pairs = asked(SEARCH)
        count, after, wanted = page_size(pairs), place(pairs), criteria(service, who, pairs)
        behind = Place(*after) if after else None
        asking = partial(stored_search, service.store, who.owner, count=count, after=behind)
        total, found, last = asking(wanted) if wanted else (0, [], None)
        page = [one.body for one in found if one.body is not None]
        following = place_written(*last) if last else ""
        return resource_answer(searchset(f"{service.public}/fhir", KIND, page, total, pairs, following))

    return blueprint


def condition(service: Deployment, who: Caller) -> Criteria | None:
    """What If-None-Exist names; None without that header. Raises BadRequest where that is no search that we know."""
    header = request.headers.get("If-None-Exist")
    if header is None:
        return None
    try:
        given = parse_qsl(header.lstrip("?"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    except ValueError:
        given = []
    pairs = [pair for pair in understood(given, SEARCH, strict=True) if pair[0] in SEARCH]
    if not pairs or len(pairs) != len(given):
        raise BadRequest(
            "If-None-Exist: is no search; write identifier=system|value, or others of the search parameters"
        )
    wanted = criteria(service, who, pairs)
    if wanted is None:
        raise BadRequest("If-None-Exist: nothing can match it; write each parameter once")
    return wanted


def criteria(service: Deployment, who: Caller, pairs: Pairs) -> Criteria | None:
    """What the store is asked; None where nothing can match. Raises BadRequest for a value that cannot be read.

    A comma means any of the values, a repeated parameter means all of them.
    """
    _refuse_many(pairs)
    wanted: dict[str, set[Any]] = {}
    dates: list[tuple[str, datetime, datetime]] = []
    for name, value in pairs:
        if name == "authored":
            dates.append(_dated(value))
        elif name in SEARCH:
            member, read = _READERS[name]
            values = {one for part in separated(value, ",") for one in read(_Asked(service, who), part)}
            if member in wanted and read in (_as_is, _identifiers):
                raise BadRequest(f"{name}: is written twice; write it once, with commas between the values")
            wanted[member] = wanted[member] & values if member in wanted else values
    if not all(wanted.values()):
        return None
    return Criteria(authored=tuple(dates), **{name: tuple(sorted(values, key=str)) for name, values in wanted.items()})


def _refuse_many(pairs: Pairs) -> None:
    """Raises BadRequest where a parameter has more values than a database takes."""
    counts = Counter(name for name, value in pairs if name in SEARCH for _ in separated(value, ","))
    for name, count in counts.items():
        if count > MOST:
            raise BadRequest(f"{name}: has more than {MOST} values; write searches of {MOST} values or fewer each")


@dataclass(frozen=True)
class _Asked:
    service: Deployment
    who: Caller


def _as_is(_: _Asked, value: str) -> list[str]:
    """The store knows how to compare it."""
    return [unescaped(value)]


def _identifiers(_: _Asked, value: str) -> list[tuple[str | None, str]]:
    return [token(value)]


def _statuses(_: _Asked, value: str) -> list[str]:
    system, code = token(value)
    return [code] if system in (None, _STATUS) else []


def _patients(to: _Asked, value: str) -> list[str]:
    """The hash of the patient; none for a reference to something else."""
    value = unescaped(value)
    reference = f"Patient/{value}" if re.fullmatch(ID, value) else value
    id_ = patient_of({"subject": {"reference": reference}}, to.who.client.fhir_servers)
    return [hash_patient(to.service, to.who.owner, id_)] if id_ else []


def _authors(_: _Asked, value: str) -> list[str]:
    return [f"{kind}/{value}" for kind in _AUTHORS] if re.fullmatch(ID, value) else [unescaped(value)]


_READERS: dict[str, tuple[str, Callable[[_Asked, str], Sequence[Any]]]] = {
    "_id": ("ids", _as_is),
    "author": ("author", _authors),
    "identifier": ("identifier", _identifiers),
    "patient": ("patient", _patients),
    "questionnaire": ("questionnaire", _as_is),
    "status": ("status", _statuses),
    "subject": ("patient", _patients),
}


def _dated(value: str) -> tuple[str, datetime, datetime]:
    match = _DATED.fullmatch(value)
    moments = span(match[2].replace(" ", "+")) if match else None  # a plus sign that nobody escaped
    if not match or not moments or (match[1] or "eq") not in _PREFIXES:
        raise BadRequest(
            f"authored: is no date; write {', '.join(_PREFIXES)} or nothing, and a date such as 2026-11-22"
        )
    return match[1] or "eq", *moments
