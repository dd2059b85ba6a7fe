"""Who did what, when and about whom, as AuditEvents: for each decision and each write, never with answers.

Source: IHE Basic Audit Log Patterns (BALP) 1.1.3, profiles Create, Read, Update and Delete and those with a patient;
HL7 FHIR R4 AuditEvent; DICOM PS3.16, CID 400 to 402.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cds_content.shapes import Json

BALP = "https://profiles.ihe.net/ITI/BALP"
_DICOM = "http://dicom.nema.org/resources/ontology/DCM"
_HL7 = "http://terminology.hl7.org/CodeSystem"
_UNKNOWN = {"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason", "valueCode": "unknown"}


@dataclass(frozen=True)
class Kind:
    """What a request of one action says: its interaction, the BALP profile (empty: none), and the types of agents."""

    interaction: str
    profile: str
    client: Json
    server: Json
    user: Json


def _coding(system: str, code: str, display: str) -> Json:
    return {"system": system, "code": code, "display": display}


_SOURCE = _coding(_DICOM, "110153", "Source Role ID")
_DESTINATION = _coding(_DICOM, "110152", "Destination Role ID")
_APPLICATION = _coding(_DICOM, "110150", "Application")
_CUSTODIAN = _coding(f"{_HL7}/provenance-participant-type", "custodian", "Custodian")
_AUTHOR = _coding(f"{_HL7}/v3-ParticipationType", "AUT", "author (originator)")
_RECIPIENT = _coding(f"{_HL7}/v3-ParticipationType", "IRCP", "information recipient")
_REST = _coding(f"{_HL7}/audit-event-type", "rest", "RESTful Operation")
REQUESTS = {
    "C": Kind("create", "Create", _SOURCE, _DESTINATION, _AUTHOR),
    "R": Kind("read", "Read", _DESTINATION, _SOURCE, _RECIPIENT),
    "U": Kind("update", "Update", _SOURCE, _DESTINATION, _AUTHOR),
    "D": Kind("delete", "Delete", _APPLICATION, _CUSTODIAN, _AUTHOR),
    "E": Kind("operation", "", _SOURCE, _DESTINATION, _AUTHOR),  # BALP has no profile for operations
}
COMMANDS = {  # what the operator of this service does with the rows of a client, by commands
    "erase": _coding(_DICOM, "110110", "Patient Record"),
    "export": _coding(_DICOM, "110106", "Export"),
    "purge": _coding(_DICOM, "110100", "Application Activity"),
}


def audit_event(row: Mapping[str, Any], base: str) -> Json:
    """The AuditEvent of one row of the audit trail (id, at, client, agent, patient, instance, action, what, outcome).

    `base` is the address of this server, up to /fhir. The patient is there by the keyed hash and no reference; the
    user by an identifier: staff as the client named them, which means something on the client's own server only, and a
    patient or a relative by their kind and the keyed hash of their id.
    """
    at = row["at"].isoformat(timespec="milliseconds")
    command, request = COMMANDS.get(row["what"]), REQUESTS[row["action"]]
    said = {"type": command} if command else {"type": _REST, "subtype": [_interaction(request)]}
    agents = _operator(row, base) if command else _agents(row, request, base)
    return {
        "resourceType": "AuditEvent",
        "id": str(row["id"]),
        "meta": {"versionId": "1", "lastUpdated": at, **({} if command else _profile(row, request))},
        **said,
        "action": row["action"],
        "recorded": at,
        "outcome": row["outcome"],
        "agent": agents,
        "source": {
            "observer": _server(base),
            "type": [_coding(f"{_HL7}/security-source-type", "4", "Application Server")],
        },
        "entity": _entities(row, base),
    }


def _interaction(kind: Kind) -> Json:
    return _coding("http://hl7.org/fhir/restful-interaction", kind.interaction, kind.interaction)


def _profile(row: Mapping[str, Any], kind: Kind) -> Json:
    """The profile of what was done, if BALP has one: it describes what succeeded."""
    name = f"{'Patient' if row['patient'] else ''}{kind.profile}"
    known = kind.profile and row["outcome"] == "0"
    return {"profile": [f"{BALP}/StructureDefinition/IHE.BasicAudit.{name}"]} if known else {}


def _operator(row: Mapping[str, Any], base: str) -> list[Json]:
    """This service, started by somebody who is named or not."""
    user = [{"type": {"coding": [_AUTHOR]}, "who": _user(row["agent"]), "requestor": True}] if row["agent"] else []
    return [{"type": {"coding": [_APPLICATION]}, "who": _server(base), "requestor": not user}, *user]


def _agents(row: Mapping[str, Any], kind: Kind, base: str) -> list[Json]:
    """The client, this server, and the user, if one is named.

    The address of the client is not kept: behind a proxy it would be that of the proxy.
    """
    who = {"identifier": {"system": f"{base}/sid/client", "value": row["client"]}}
    client = {"who": who, "network": {"_address": {"extension": [_UNKNOWN]}}}
    server = {"who": _server(base), "network": {"address": base, "type": "5"}}  # 5: a URI
    found = [(kind.client, client, not row["agent"]), (kind.server, server, False)]
    found += [(kind.user, {"who": _user(row["agent"])}, True)] if row["agent"] else []
    return [{"type": {"coding": [type_]}, **agent, "requestor": asks} for type_, agent, asks in found]


def _user(reference: str) -> Json:
    kind = reference.rpartition("/")[0].rpartition("/")[2]
    return ({"type": kind} if kind else {}) | {"identifier": {"value": reference}}


def _server(base: str) -> Json:
    return {"identifier": {"system": "urn:ietf:rfc:3986", "value": base}, "display": "cds-service"}


def _entities(row: Mapping[str, Any], base: str) -> list[Json]:
    """The patient, what was written or decided, and the call that it came with; those that there are."""
    found = [
        {
            "what": _what(row["what"], base),
            "type": _coding(f"{_HL7}/audit-entity-type", "2", "System Object"),
            "role": _coding(f"{_HL7}/object-role", "4", "Domain Resource"),
        }
    ]
    if row["patient"]:
        patient = {"type": "Patient", "identifier": {"system": f"{base}/sid/patient-hash", "value": row["patient"]}}
        person = _coding(f"{_HL7}/audit-entity-type", "1", "Person")
        found.append({"what": patient, "type": person, "role": _coding(f"{_HL7}/object-role", "1", "Patient")})
    if row["instance"]:
        request = {"identifier": {"value": row["instance"]}}
        found.append(
            {"what": request, "type": {"system": f"{BALP}/CodeSystem/BasicAuditEntityType", "code": "XrequestId"}}
        )
    return found


def _what(what: str, base: str) -> Json:
    """A reference to a resource of this server; to a row of ours that is no resource, its kind and number."""
    kind, _, number = what.partition("/")
    if kind[:1].isupper():
        return {"reference": what}
    return {"identifier": {"system": f"{base}/sid/{kind}", "value": number}} if number else {"display": kind}
