"""What is on record in the sandbox: FHIR resources in memory, each of one patient, at most MOST in all.

As strict as real servers are. Source: HL7 FHIR R4, "RESTful API" and "Search".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import RLock
from typing import Any
from uuid import uuid4

from cds_content.shapes import Json
from cds_service.errors import BadRequest, Conflict, NotFound, Unprocessable

MOST = 1_000  # resources
PAGE = 50  # resources of one search, at most
_NEEDED = {
    "ServiceRequest": ("status", "intent"),
    "QuestionnaireResponse": ("status",),
    "Task": ("status", "intent"),
    "CarePlan": ("status", "intent"),
    "Appointment": ("status",),
}
KINDS = (
    *("Patient", "Condition", "QuestionnaireResponse", "Encounter", "ServiceRequest", "Task", "CarePlan"),
    *("Appointment", "CommunicationRequest", "Communication", "Practitioner"),
)
_RESTED_ON = ("Patient", "Encounter", "Practitioner")
_WHOSE = ("subject", "for", "patient", "recipient")  # the members that say whose a resource is
_FILTERS = ("_id", "questionnaire", "clinical-status", "status")
_KNOWN = ("patient", "subject", *_FILTERS, "_sort", "_count", "_offset")


@dataclass(frozen=True)
class _Kept:
    owner: str  # the patient in whose record it stands, whatever it says itself; empty: it is nobody's
    resource: Json
    version: int = 1


@dataclass(frozen=True)
class Page:
    """A part of what was found: `total` in all; `following` is the offset of the next part, 0 where there is none."""

    found: Sequence[Json]
    total: int
    following: int = 0


class Records:
    """Safe for threads: each method is done as a whole."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], _Kept] = {}
        self.lock = RLock()  # for several changes that belong together

    def put(self, owner: str, resource: Json) -> Json:
        """Keeps it in the record of this patient as it is, with an id; one that is taken is replaced by a new one."""
        with self.lock:
            id_, kind = resource.get("id"), str(resource.get("resourceType"))
            free = isinstance(id_, str) and (kind, id_) not in self._kept
            return self._keep(owner, resource | {"id": id_ if free else str(uuid4())})

    def create(self, owner: str, resource: Json) -> Json:
        """Keeps a new resource under an id of its own. Raises Unprocessable, Conflict where there is no room."""
        _check(resource)
        _check_owner(owner, resource)
        with self.lock:
            return self._keep(owner, resource | {"id": str(uuid4())})

    def read(self, kind: str, id_: str, owner: str = "") -> Json:
        """The resource. Raises NotFound, also for one of another patient than `owner`."""
        with self.lock:
            kept = self._kept.get((kind, id_))
        if kept is None or (owner and kept.owner not in ("", owner)):
            raise NotFound(f"no such {kind if kind in KINDS else 'resource'} of this patient in the sandbox")
        return kept.resource

    def update(self, owner: str, resource: Json) -> Json:
        """Replaces a resource. Raises NotFound and Unprocessable."""
        _check(resource)
        _check_owner(owner, resource)
        return self.replace(owner, resource)

    def replace(self, owner: str, resource: Json) -> Json:
        """Replaces a resource by one that may be as damaged as it likes. Raises NotFound."""
        with self.lock:
            key = (resource["resourceType"], str(resource.get("id")))
            self.read(*key, owner)
            version = self._kept[key].version + 1
            self._kept[key] = _Kept(self._kept[key].owner, _versioned(resource, version), version)
            return self._kept[key].resource

    def delete(self, owner: str, kind: str, id_: str) -> None:
        """Raises NotFound, and Conflict for what the chart rests on."""
        with self.lock:
            self.read(kind, id_, owner)
            if kind in _RESTED_ON:
                raise Conflict(f"a chart rests on its {', '.join(_RESTED_ON)}: none is deleted; leave the action out")
            del self._kept[kind, id_]

    def of(self, owner: str, kind: str) -> list[Json]:
        """All resources of this type in the record of the patient, the last one first."""
        with self.lock:
            return [one.resource for (type_, _), one in self._kept.items() if (type_, one.owner) == (kind, owner)][::-1]

    def search(self, owner: str, kind: str, asked: Mapping[str, str]) -> Page:
        """What the search finds in the record of the patient. Raises BadRequest for what is not known."""
        if unknown := asked.keys() - set(_KNOWN):
            raise BadRequest(f"{len(unknown)} search parameter(s) not known here; write any of: {', '.join(_KNOWN)}")
        for name in ("patient", "subject"):
            if owner not in _patients(name, asked.get(name, owner)):
                return Page((), 0)
        found = [one for one in self.of(owner, kind) if all(_fits(one, name, asked) for name in _FILTERS)]
        return _page(_sorted(found, asked.get("_sort", "")), asked)

    def snapshot(self) -> dict[tuple[str, str], Any]:
        with self.lock:
            return dict(self._kept)

    def restore(self, snapshot: dict[tuple[str, str], Any]) -> None:
        with self.lock:
            self._kept = dict(snapshot)

    def _keep(self, owner: str, resource: Json) -> Json:
        if len(self._kept) >= MOST:
            raise Conflict(f"the sandbox holds {MOST} resources, and no more; reset it")
        kept = _Kept(owner, _versioned(resource, 1))
        self._kept[str(resource.get("resourceType")), str(resource["id"])] = kept
        return kept.resource


def owner_of(resource: Json) -> str:
    """The id of the patient whom the resource names; empty where it names none in the relative form."""
    for name in _WHOSE:
        about = resource.get(name)
        reference = about.get("reference") if isinstance(about, dict) else None
        if isinstance(reference, str) and reference.startswith("Patient/"):
            return reference.removeprefix("Patient/")
    return ""


def _versioned(resource: Json, version: int) -> Json:
    meta = resource.get("meta") if isinstance(resource.get("meta"), dict) else {}
    return resource | {"meta": {**(meta or {}), "versionId": str(version)}}


def _check(resource: Json) -> None:
    """Raises Unprocessable for what servers refuse: a type that is not kept, a required element that is missing."""
    kind = resource.get("resourceType")
    if kind not in KINDS:
        raise Unprocessable([_issue("not-supported", f"resourceType: not kept here; write one of: {', '.join(KINDS)}")])
    missing = [name for name in _NEEDED.get(str(kind), ()) if not isinstance(resource.get(name), str)]
    if missing:
        raise Unprocessable([_issue("required", f"{kind}.{name}: is missing; write it") for name in missing])


def _check_owner(owner: str, resource: Json) -> None:
    if owner_of(resource) not in ("", owner):
        raise Unprocessable([_issue("business-rule", "subject: is another patient than the one in view; write that")])


def _issue(code: str, text: str) -> Json:
    return {"severity": "error", "code": code, "diagnostics": text}


def _patients(name: str, value: str) -> list[str]:
    """The ids that a search for a patient names. Raises BadRequest for another form of reference."""
    found = [one.removeprefix("Patient/") for one in value.split(",")]
    if any("/" in one or "|" in one for one in found):
        raise BadRequest(f"{name}: is no patient of this server; write Patient/ and the id")
    return found


def _fits(resource: Json, name: str, asked: Mapping[str, str]) -> bool:
    """Whether the resource holds one of the values asked for, separated by commas. Raises BadRequest."""
    if name not in asked:
        return True
    wanted = asked[name].split(",")
    if name == "clinical-status":
        return any(_is_coded(coding, one) for coding in _codings(resource) for one in wanted)
    if name in ("_id", "status") and "|" in asked[name]:
        raise BadRequest(f"{name}: its values have no code system; write the value alone")
    return resource.get(name.removeprefix("_")) in wanted


def _codings(condition: Json) -> list[Json]:
    status = condition.get("clinicalStatus")
    coding = status.get("coding") if isinstance(status, dict) else None
    return [one for one in coding if isinstance(one, dict)] if isinstance(coding, list) else []


def _is_coded(coding: Json, token: str) -> bool:
    """Whether the coding fits the token: `code` of any system, `|code` of none, `system|code`, `system|` of any code.

    Source: HL7 FHIR R4, "Search", 3.1.1.4.10.
    """
    system, bar, code = token.rpartition("|")
    of_system = not bar or coding.get("system", "") == system
    return of_system and (coding.get("code") == code or bool(system and not code))


def _sorted(found: list[Json], by: str) -> list[Json]:
    """By a member that holds a date, as text: the sandbox writes all dates alike. Those without it come last."""
    name = by.removeprefix("-")
    if name not in ("", "authored", "date", "_lastUpdated"):
        raise BadRequest("_sort: not known here; write authored or -authored")
    return sorted(found, key=lambda one: str(one.get(name) or ""), reverse=by.startswith("-")) if name else found


def _page(found: Sequence[Json], asked: Mapping[str, str]) -> Page:
    count, offset = (asked.get(name, usual) for name, usual in (("_count", str(PAGE)), ("_offset", "0")))
    if not (count.isdecimal() and offset.isdecimal() and len(count + offset) < 10):
        raise BadRequest("_count: is no whole number; write one")
    end = int(offset) + min(max(int(count), 1), PAGE)
    return Page(found[int(offset) : end], len(found), end if end < len(found) else 0)
