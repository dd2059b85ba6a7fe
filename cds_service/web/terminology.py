"""/fhir/ValueSet and /fhir/CodeSystem: $expand, $validate-code and $lookup. Source: FHIR R4, Terminology Service."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from flask import Blueprint, Response, request

from cds_content.shapes import LANGUAGES, Json
from cds_content.translations import in_language
from cds_service.dates import instant
from cds_service.errors import BadRequest, NotFound
from cds_service.operations import OPERATIONS
from cds_service.parameters import Given, read_parameters, write_parameters
from cds_service.terminology import checked, concepts, expansion, looked_up, names, the
from cds_service.web import Deployment, language
from cds_service.web.exchange import refuse_format, resource_answer, sent

_ALWAYS = ("_format", "_pretty")
_NUMBERS, _BOOLEAN = ("offset", "count"), ("includeDesignations",)
_COMPLEX = ("coding", "codeableConcept")
# What a coding holds, and the parameter that says the same beside it.
_OF_VALUE_SET = {"system": "system", "version": "systemVersion", "display": "display"}
_OF_CODE_SYSTEM = {"display": "display"}  # its `version` is that of the resource
_OF_LOOKUP = {"system": "system", "version": "version"}


def routes(service: Deployment) -> Blueprint:
    """The operations by GET with simple parameters, and by POST with Parameters."""
    blueprint = Blueprint("terminology", __name__, url_prefix="/fhir")
    blueprint.before_request(refuse_format)
    published = [resource for screening in service.screenings for resource in screening.resources]
    both = ["GET", "POST"]

    @blueprint.route("/ValueSet/$expand", methods=both)
    @blueprint.route("/ValueSet/<id_>/$expand", methods=both)
    def expand(id_: str = "") -> Response:
        given = _given("ValueSet", "expand")
        spoken, value_set = _language(given), _named(published, "ValueSet", id_, given)
        shown = expansion(in_language(value_set, spoken), concepts(published, value_set), given, spoken)
        made = {"identifier": f"urn:uuid:{service.new_uuid()}"}
        made |= {"timestamp": instant(service.now())}
        return resource_answer(shown | {"expansion": made | shown["expansion"]}, language=spoken)

    @blueprint.route("/ValueSet/$validate-code", methods=both)
    @blueprint.route("/ValueSet/<id_>/$validate-code", methods=both)
    def validate_in_value_set(id_: str = "") -> Response:
        return validated("ValueSet", id_)

    @blueprint.route("/CodeSystem/$validate-code", methods=both)
    @blueprint.route("/CodeSystem/<id_>/$validate-code", methods=both)
    def validate_in_code_system(id_: str = "") -> Response:
        return validated("CodeSystem", id_)

    def validated(kind: str, id_: str) -> Response:
        given = _given(kind, "validate-code")
        named = _named(published, kind, id_, given)
        codings, spoken = _codings(kind, given), _language(given)
        if kind == "CodeSystem":  # which names the system of its codes; a value set may hold those of several
            codings = [{"system": named["url"]} | one for one in codings]
        said = checked(concepts(published, named), codings, spoken)
        return resource_answer(write_parameters(said), language=spoken)

    @blueprint.route("/CodeSystem/$lookup", methods=both)
    def lookup() -> Response:
        given = _given("CodeSystem", "lookup")
        if ("code" in given) == ("coding" in given):
            raise BadRequest("code, coding: write one of them")
        spoken = _language(given)
        coding = _completed(given["coding"], given, _OF_LOOKUP) if "coding" in given else given
        system = the(published, "CodeSystem", _text(coding, "system"), _text(coding, "version", ""))
        said = looked_up(system, concepts(published, system), _text(coding, "code"), spoken)
        return resource_answer(write_parameters(said), language=spoken)

    return blueprint


def _named(published: list[Json], kind: str, id_: str, given: Json) -> Json:
    """The resource at the address, or the one that `url` names. Raises NotFound when there is none.

    Raises BadRequest where the parameters name another one than the address does: the answer would be of either.
    """
    version = "valueSetVersion" if kind == "ValueSet" else "version"
    if not id_:
        return the(published, kind, _text(given, "url"), _text(given, version, ""))
    for one in published:
        if (one["resourceType"], one["id"]) == (kind, id_):
            if not names(one, _text(given, "url", one["url"]), _text(given, version, "")):
                raise BadRequest(f"url, {version}: name another {kind} than the address; leave them out")
            return one
    raise NotFound(f"no such {kind}; GET /fhir/{kind} lists what there is")


def _given(kind: str, code: str) -> Json:
    """The parameters that were sent, each once. Raises BadRequest for one that the operation does not have."""
    (operation,) = [one for one in OPERATIONS if (one.kind, one.code) == (kind, code)]
    known = {name for name, use, *_ in operation.parameters if use == "in"}
    if request.method == "POST":
        return _once(read_parameters(sent()), known)
    return _once({name: said for name, said in request.args.lists() if name not in _ALWAYS}, known - set(_COMPLEX))


def _once(given: Given, known: Collection[str]) -> Json:
    unknown = [name for name in given if name not in known]
    if unknown or any(len(values) > 1 for values in given.values()):
        raise BadRequest(f"parameters: one is not supported, or given twice; write some of: {', '.join(sorted(known))}")
    return {name: _typed(name, value) for name, (value,) in given.items()}


def _typed(name: str, value: Any) -> Any:
    """A parameter in its type, also where it is a text of the URL. Raises BadRequest when it is of another."""
    if name in _NUMBERS and isinstance(value, str | int) and re.fullmatch(r"\d{1,9}", str(value), re.ASCII):
        return int(value)
    if name in _BOOLEAN and value in (True, False, "true", "false"):
        return value in (True, "true")
    kind = dict if name in _COMPLEX else str
    if name in (*_NUMBERS, *_BOOLEAN) or not isinstance(value, kind):
        raise BadRequest(f"{name}: is of another type; its OperationDefinition says which")
    return value


def _codings(kind: str, given: Json) -> list[Json]:
    """The codings to check, of which one must be valid. Raises BadRequest for what is none."""
    beside = _OF_VALUE_SET if kind == "ValueSet" else _OF_CODE_SYSTEM
    if sum(name in given for name in ("code", *_COMPLEX)) != 1:
        raise BadRequest("code, coding, codeableConcept: write one of them")
    if kind == "ValueSet" and "code" in given and "system" not in given:
        raise BadRequest("system: is missing; write that of the code")
    if "code" in given:
        return [{"code": given["code"]} | {name: given[said] for name, said in beside.items() if said in given}]
    if "coding" in given:
        found = [_completed(given["coding"], given, beside)]
    else:
        found = given["codeableConcept"].get("coding")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise BadRequest("codeableConcept.coding: write an array of codings")
    for one, name in ((one, name) for one in found for name in ("system", "version", "code", "display")):
        _text(one, name, "")
    return found


def _completed(coding: Json, given: Json, beside: Mapping[str, str]) -> Json:
    """The coding with what the parameters beside it say. Raises BadRequest where these contradict it."""
    said = {member: given[name] for member, name in beside.items() if name in given}
    for member, value in said.items():
        if coding.get(member, value) != value:
            raise BadRequest(f"{beside[member]}: is not the {member} of the coding; write it once, in the coding")
    return said | coding


def _language(given: Json) -> str:
    """The language of displays: the one named, where we have it, else that of the call."""
    named = str(given.get("displayLanguage", "")).partition("-")[0].lower()
    return named if named in LANGUAGES else language()


def _text(given: Json, name: str, default: str | None = None) -> str:
    value = given.get(name, default)
    if not isinstance(value, str):
        raise BadRequest(f"{name}: is no text, or missing; write it")
    return value
