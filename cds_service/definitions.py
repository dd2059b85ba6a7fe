"""What describes this server beside its CapabilityStatement: a definition of each operation, and its own codes.

Sources: HL7 FHIR R4, OperationDefinition and CodeSystem.
"""

from cds_content.shapes import Json
from cds_service import __version__
from cds_service.operations import PARTS, Operation
from cds_service.submission.kinds import KINDS, SYSTEM

PUBLISHER = "Low back pain screening project"


def operation_definition(operation: Operation, address: str, date: str) -> Json:
    """The OperationDefinition of an operation, served at `address`, which ends in /fhir."""
    name = "".join(part.capitalize() for part in operation.code.split("-"))
    return {
        "resourceType": "OperationDefinition",
        "id": operation.id,
        "meta": {"versionId": __version__},
        "language": "en",
        "url": operation.url(address),
        "version": __version__,
        "name": f"{operation.kind}{name}",
        "title": f"{operation.kind} ${operation.code}",
        "status": "draft",
        "kind": "operation",
        "experimental": True,
        "date": date,
        "publisher": PUBLISHER,
        "description": operation.what,
        "affectsState": operation.affects,
        "code": operation.code,
        "base": operation.base,
        "resource": [operation.kind],
        "system": False,
        "type": operation.type,
        "instance": operation.instance,
        "parameter": [_parameter(*one) for one in operation.parameters],
    }


def fault_codes(base: str, date: str) -> Json:
    """The CodeSystem of what can be wrong with a response: `details` of the issues that say so."""
    concepts = [{"code": code, "definition": words} for code, (_, _, words) in KINDS.items()]
    name = SYSTEM.partition("/")[2]
    return {
        "resourceType": "CodeSystem",
        "id": name,
        "meta": {"versionId": __version__},
        "language": "en",
        "url": f"{base}/{SYSTEM}",
        "version": __version__,
        "name": "SubmissionFaults",
        "title": "Faults of submitted responses",
        "status": "draft",
        "experimental": True,
        "date": date,
        "publisher": PUBLISHER,
        "description": "What can be wrong with a QuestionnaireResponse that is submitted here.",
        "caseSensitive": True,
        "content": "complete",
        "count": len(concepts),
        "concept": concepts,
    }


def _parameter(name: str, use: str, low: int, high: str, kind: str, what: str) -> Json:
    said: Json = {"name": name, "use": use, "min": low, "max": high, "documentation": what}
    return said | ({"type": kind} if kind else {"part": [_parameter(*part) for part in PARTS[name]]})
