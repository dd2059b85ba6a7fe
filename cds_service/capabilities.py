"""What the FHIR side does and nothing more: the CapabilityStatement.

Sources: HL7 FHIR R4, CapabilityStatement; HL7 SDC 4.0.0, roles and "Expressions".
"""

from cds_content.narrative import narrated
from cds_content.shapes import Json
from cds_service import __version__
from cds_service.definitions import PUBLISHER
from cds_service.operations import OPERATIONS
from cds_service.search_parameters import PARAMETERS

PUBLISHED = (  # the types that everybody may read
    "Questionnaire",
    "CodeSystem",
    "ValueSet",
    "PlanDefinition",
    "ActivityDefinition",
    "Library",
    "OperationDefinition",
    "StructureDefinition",
)
_CORE = "http://hl7.org/fhir/SearchParameter"
_CONFORMANCE = PUBLISHED[1:3] + PUBLISHED[-2:]  # their search parameters share their definitions
_EVERYWHERE = ("_id", "url", "version", "name", "title", "status", "experimental", "date", "publisher", "description")
_MORE = {"Questionnaire": ("identifier", "jurisdiction", "subject-type", "context-type-value")}
_STORED: dict[str, Json] = {
    "QuestionnaireResponse": {
        "interaction": ["create", "read", "vread", "update", "delete", "search-type"],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": False,
        "conditionalCreate": True,
        "conditionalRead": "not-match",
        "searchParam": {
            "_id": ("token", "Resource-id"),
            "questionnaire": ("reference", "QuestionnaireResponse-questionnaire"),
            "status": ("token", "QuestionnaireResponse-status"),
            "subject": ("reference", "QuestionnaireResponse-subject"),
            "patient": ("reference", "QuestionnaireResponse-patient"),
            "authored": ("date", "QuestionnaireResponse-authored"),
            "author": ("reference", "QuestionnaireResponse-author"),
            "identifier": ("token", "QuestionnaireResponse-identifier"),
        },
        "documentation": "Responses to the forms of this server; each client reads its own only. An element that R4"
        " does not have is refused. What cannot be attributed or read is refused with 422; other faults are warnings.",
    },
    "AuditEvent": {
        "interaction": ["read", "vread", "search-type"],
        "versioning": "versioned",
        "conditionalRead": "not-match",
        "searchParam": {
            "_id": ("token", "Resource-id"),
            "date": ("date", "AuditEvent-date"),
            "patient": ("reference", "AuditEvent-patient"),
        },
        "documentation": "What was decided, read and written for this client; for its auditors.",
    },
}
_SDC = "http://hl7.org/fhir/uv/sdc"
_ROLES = ("sdc-form-receiver", "sdc-form-fill-manager", "sdc-form-response-manager")
_FEATURE = "http://hl7.org/fhir/uv/application-feature/StructureDefinition/feature"
_ABOUT = "CDS service for low back pain. Not a certified medical device, not for clinical use."
_LANGUAGES = (
    "Expression languages: text/fhirpath for population (the initialExpression of a question; $populate gives what it"
    " gives) and for the conditions of PlanDefinitions. No behavior or extraction expression is used: what is shown"
    " follows from enableWhen, and $extract is observation-based. CQL and x-fhir-query are not supported."
)
_TEXTS = (
    "Texts come in Dutch or English, by Accept-Language; an ETag names the version, in either. JSON only. An unknown"
    " search parameter is ignored, or refused with `Prefer: handling=strict`."
)
_SECURITY = (
    "TLS is ended before this service. Clients that were agreed send a signed JWT as bearer token, as CDS Hooks says,"
    " or an access token of SMART Backend Services (`.well-known/smart-configuration`); each sees its own data only."
    " What is published, and this statement, are open. Every act is recorded."
)
_SMART = {
    "coding": [
        {
            "system": "http://terminology.hl7.org/CodeSystem/restful-security-service",
            "code": "SMART-on-FHIR",
            "display": "SMART-on-FHIR",
        }
    ]
}


def searched(kind: str) -> tuple[str, ...]:
    """The search parameters of a published type."""
    return _EVERYWHERE + _MORE.get(kind, ())


def capability_statement(address: str, date: str, *, cors: bool) -> Json:
    """The CapabilityStatement of the server at `address`, which ends in /fhir; `date` is that of the newest content."""
    published = [_published(kind, address) for kind in PUBLISHED]
    stored = [_stored(kind, address) for kind in _STORED]
    rest = {
        "mode": "server",
        "documentation": f"{_TEXTS}\n\n{_LANGUAGES}",
        "security": {"cors": cors, "service": [_SMART], "description": _SECURITY},
        "resource": [*published, *stored],
    }
    return narrated(
        {
            "resourceType": "CapabilityStatement",
            "language": "en",
            "url": f"{address}/metadata",
            "version": __version__,
            "name": "CDSService",
            "title": "CDS service for low back pain",
            "status": "draft",
            "experimental": True,
            "date": date,
            "publisher": PUBLISHER,
            "description": f"{_ABOUT}\n\n{_LANGUAGES}",
            "kind": "instance",
            "instantiates": [f"{_SDC}/CapabilityStatement/{role}" for role in _ROLES],
            "software": {"name": "cds-service", "version": __version__},
            "implementation": {"description": _ABOUT, "url": address},
            "fhirVersion": "4.0.1",
            "format": ["application/fhir+json", "json"],
            "rest": [rest],
        }
    )


def _published(kind: str, address: str) -> Json:
    group = "conformance" if kind in _CONFORMANCE else kind
    found = {name: (PARAMETERS[name].type, PARAMETERS[name].definition.format(kind=group)) for name in searched(kind)}
    said = {
        "type": kind,
        "interaction": [{"code": code} for code in ("read", "vread", "search-type")],
        "versioning": "versioned",
        "conditionalRead": "not-match",
        "searchParam": [{"name": name, "definition": where, "type": type_} for name, (type_, where) in found.items()],
    }
    feature = {"extension": [_population()]} if kind == "Questionnaire" else {}
    return feature | said | _operations(kind, address)


def _stored(kind: str, address: str) -> Json:
    said = _STORED[kind]
    found = [
        {"name": name, "definition": f"{_CORE}/{where}", "type": type_}
        for name, (type_, where) in said["searchParam"].items()
    ]
    codes = [{"code": code} for code in said["interaction"]]
    return {"type": kind} | said | {"interaction": codes, "searchParam": found} | _operations(kind, address)


def _operations(kind: str, address: str) -> Json:
    found = [one for one in OPERATIONS if one.kind == kind]
    said = [{"name": one.code, "definition": one.url(address), "documentation": one.what} for one in found]
    return {"operation": said} if said else {}


def _population() -> Json:
    """SDC "Expressions": that FHIRPath is the language of what fills in a form beforehand."""
    code = {"system": "urn:ietf:bcp:13", "code": "text/fhirpath"}
    parts = [
        {"url": "definition", "valueCanonical": f"{_SDC}/CodeSystem/temp#populationExpressionLanguage"},
        {"url": "value", "valueCoding": code},
    ]
    return {"url": _FEATURE, "extension": parts}
