"""/fhir: what is published, by read, vread and search, and what this server does. Source: HL7 FHIR R4, RESTful API."""

import gzip
from hashlib import sha256

import orjson
from flask import Blueprint, Response, request

from cds_content.narrative import narrated
from cds_content.plan import definitions
from cds_content.shapes import Json
from cds_content.translations import in_language, texts
from cds_service.advice_outcome import definition
from cds_service.capabilities import PUBLISHED, capability_statement, searched
from cds_service.definitions import fault_codes, operation_definition
from cds_service.errors import BadRequest, NotFound
from cds_service.operations import OPERATIONS
from cds_service.search_parameters import MODIFIERS, matches
from cds_service.searching import following, offset, page_size
from cds_service.web import Deployment, language
from cds_service.web.exchange import asked, refuse_format, resource_answer, searchset

_SMALL = 1_000  # bytes; less is not worth compressing


def routes(service: Deployment) -> Blueprint:
    """Read, vread and search of all that is published, and the CapabilityStatement."""
    blueprint = Blueprint("fhir", __name__, url_prefix="/fhir")
    blueprint.before_request(refuse_format)
    blueprint.after_request(_compressed)
    address, kinds = f"{service.public}/fhir", f"any({', '.join(PUBLISHED)})"
    published = resources(service)

    @blueprint.get("/metadata")
    def metadata() -> Response:
        if request.args.get("mode", "full") not in ("full", "normative"):
            raise BadRequest("mode: write full or normative; there are no TerminologyCapabilities")
        statement = capability_statement(address, _newest(published), cors=bool(service.origins))
        return resource_answer(statement, version=sha256(orjson.dumps(statement)).hexdigest()[:16])

    @blueprint.get(f"/<{kinds}:kind>")
    @blueprint.post(f"/<{kinds}:kind>/_search")
    def search(kind: str) -> Response:
        pairs = asked(searched(kind), MODIFIERS)
        start = offset(pairs)
        found = [one for one in published if one["resourceType"] == kind and matches(one, pairs)]
        page = [spoken(one) for one in found[start : start + page_size(pairs)]]
        bundle = searchset(address, kind, page, len(found), pairs, following(pairs, len(found)))
        return resource_answer(bundle, language=language())

    @blueprint.get(f"/<{kinds}:kind>/<id_>")
    @blueprint.get(f"/<{kinds}:kind>/<id_>/_history/<version>")
    def read(kind: str, id_: str, version: str | None = None) -> Response:
        for one in published:
            if (one["resourceType"], one["id"]) == (kind, id_) and version in (None, one["meta"]["versionId"]):
                return resource_answer(spoken(one))
        raise NotFound(f"no such {kind}; GET /fhir/{kind} lists what there is")

    return blueprint


def resources(service: Deployment) -> list[Json]:
    """All that is published: content, what is generated from it, and what describes this server."""
    plans = [one for screening in service.screenings for one in definitions(screening, service.public)]
    written = [one for screening in service.screenings for one in screening.resources]
    address, base, date = f"{service.public}/fhir", service.screenings[0].base, _newest(written)
    operations = [operation_definition(one, address, date) for one in OPERATIONS]
    form = service.screenings[0].questionnaire
    extensions = [definition(service.screenings[0])] if "publisher" in form else []  # content need not name one
    made = [*plans, *extensions, fault_codes(base, date), *operations]
    return [*written, *(_versioned(one) for one in made)]


def _versioned(resource: Json) -> Json:
    """What is generated changes with its version only."""
    return resource | {"meta": {"versionId": resource["version"], **resource.get("meta", {})}}


def spoken(resource: Json) -> Json:
    """The resource in the language that the caller accepts best of those that it has, with its narrative."""
    wanted = language()
    own = texts(resource, "title", resource["language"])
    return narrated(in_language(resource, wanted) if wanted in own else resource)


def _newest(published: list[Json]) -> str:
    return max(str(one["date"]) for one in published)


def _compressed(response: Response) -> Response:
    """What is published is public and compresses well; no secret stands in it that its size could tell."""
    response.vary.add("Accept-Encoding")
    if request.accept_encodings.quality("gzip") > 0 and response.status_code == 200 and len(response.data) > _SMALL:
        response.data = gzip.compress(response.data, mtime=0)
        response.headers["Content-Encoding"] = "gzip"
    return response
