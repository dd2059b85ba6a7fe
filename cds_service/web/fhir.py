"""/fhir: what is published, by read, vread and search. Source: HL7 FHIR R4, RESTful API."""

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from cds_content.shapes import Json
from cds_content.translations import in_language
from cds_service import __version__
from cds_service.errors import BadRequest, NotFound
from cds_service.web import FHIR_JSON, Deployment, answer, language

PUBLISHED = ("Questionnaire", "CodeSystem", "ValueSet")
SEARCH = {"url": "uri", "version": "token", "name": "string", "title": "string", "status": "token"}


def routes(service: Deployment) -> Blueprint:
    """Read, vread and search of all that is published, and the CapabilityStatement."""
    blueprint = Blueprint("fhir", __name__, url_prefix="/fhir")
    address = f"{service.public}/fhir"
    published = [resource for screening in service.screenings for resource in screening.resources]
    kinds = f"any({', '.join(PUBLISHED)})"

    @blueprint.get("/metadata")
    def metadata() -> Response:
        date = max(str(resource["date"]) for resource in published)
        response = answer(_capabilities(address, date), media=FHIR_JSON)
        response.headers["Content-Language"] = "en"
        return response

    @blueprint.get(f"/<{kinds}:kind>")
    def search(kind: str) -> Response:
        found = [one for one in published if one["resourceType"] == kind and _matches(one)]
        return answer(_bundle(address, kind, [in_language(one, language()) for one in found]), media=FHIR_JSON)

    @blueprint.get(f"/<{kinds}:kind>/<id_>")
    @blueprint.get(f"/<{kinds}:kind>/<id_>/_history/<version>")
    def read(kind: str, id_: str, version: str | None = None) -> Response:
        for one in published:
            if (one["resourceType"], one["id"]) == (kind, id_) and version in (None, one["meta"]["versionId"]):
                return answer(in_language(one, language()), media=FHIR_JSON)
        raise NotFound(f"no such {kind}; GET /fhir/{kind} lists what there is")

    return blueprint


def _matches(resource: Json) -> bool:
    """Every search parameter holds for one of its values; parameters that are not ours are ignored."""
    for name, values in request.args.lists():
        base, _, modifier = name.partition(":")
        if base in SEARCH and modifier:
            raise BadRequest(f"{base}: modifiers are not supported; leave the modifier out")
        if base in SEARCH and not all(any(_holds(resource, base, one) for one in value.split(",")) for value in values):
            return False
    return True


def _holds(resource: Json, name: str, value: str) -> bool:
    own = str(resource[name])
    if SEARCH[name] == "string":  # FHIR: a string matches when it starts so, whatever its case
        return any(text.lower().startswith(value.lower()) for text in (own, in_language(resource, "en")[name]))
    system, bar, code = value.rpartition("|") if name == "status" else ("", "", value)
    return own == code and (not bar or system == "http://hl7.org/fhir/publication-status")


def _bundle(address: str, kind: str, found: list[Json]) -> Json:
    query = urlencode([(name, value) for name, value in request.args.items(multi=True) if name in SEARCH])
    entries = [
        {"fullUrl": f"{address}/{kind}/{one['id']}", "resource": one, "search": {"mode": "match"}} for one in found
    ]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    bundle["link"] = [{"relation": "self", "url": f"{address}/{kind}" + (f"?{query}" if query else "")}]
    return bundle | ({"entry": entries} if entries else {})


def _capabilities(address: str, date: str) -> Json:
    """What this server does at `address`, and nothing more."""
    interactions = [{"code": code} for code in ("read", "vread", "search-type")]
    parameters = [{"name": name, "type": kind} for name, kind in SEARCH.items()]
    about = "CDS service for low back pain. Not a certified medical device, not for clinical use."
    return {
        "resourceType": "CapabilityStatement",
        "language": "en",
        "status": "draft",
        "experimental": True,
        "date": date,
        "kind": "instance",
        "software": {"name": "cds-service", "version": __version__},
        "implementation": {"description": about, "url": address},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [
            {
                "mode": "server",
                "resource": [
                    {"type": kind, "interaction": interactions, "versioning": "versioned", "searchParam": parameters}
                    for kind in PUBLISHED
                ],
            }
        ],
    }
