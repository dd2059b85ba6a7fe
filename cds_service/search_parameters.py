"""Which published resource matches a search: one table of parameters, and what each type of parameter means.

Source: HL7 FHIR R4, "Search" (3.1.1.4); HL7 SDC 4.0.0, SearchParameter canonical-experimental.
"""

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from cds_content.shapes import LANGUAGES, Json
from cds_content.translations import texts
from cds_service.dates import span
from cds_service.errors import BadRequest
from cds_service.searching import separated, token, unescaped

MODIFIERS = ("missing",)
_CORE, _SDC = "http://hl7.org/fhir/SearchParameter", "http://hl7.org/fhir/uv/sdc/SearchParameter"
_CODES = {  # element of type code → its code system
    "status": "http://hl7.org/fhir/publication-status",
    "subjectType": "http://hl7.org/fhir/resource-types",
    "kind": "http://hl7.org/fhir/operation-kind",
}


@dataclass(frozen=True)
class Parameter:
    """A search parameter: its type, the element that it looks at, and where it is defined, with {kind} filled in."""

    type: str
    element: str
    definition: str


PARAMETERS = {
    "_id": Parameter("token", "id", f"{_CORE}/Resource-id"),
    "url": Parameter("uri", "url", f"{_CORE}/{{kind}}-url"),
    "version": Parameter("token", "version", f"{_CORE}/{{kind}}-version"),
    "name": Parameter("string", "name", f"{_CORE}/{{kind}}-name"),
    "title": Parameter("string", "title", f"{_CORE}/{{kind}}-title"),
    "status": Parameter("token", "status", f"{_CORE}/{{kind}}-status"),
    "experimental": Parameter("token", "experimental", f"{_SDC}/canonical-experimental"),
    "date": Parameter("date", "date", f"{_CORE}/{{kind}}-date"),
    "publisher": Parameter("string", "publisher", f"{_CORE}/{{kind}}-publisher"),
    "description": Parameter("string", "description", f"{_CORE}/{{kind}}-description"),
    "identifier": Parameter("token", "identifier", f"{_CORE}/{{kind}}-identifier"),
    "jurisdiction": Parameter("token", "jurisdiction", f"{_CORE}/{{kind}}-jurisdiction"),
    "subject-type": Parameter("token", "subjectType", f"{_SDC}/Questionnaire-subject-type"),
    "context-type-value": Parameter("composite", "useContext", f"{_CORE}/{{kind}}-context-type-value"),
}


def matches(resource: Json, pairs: Sequence[tuple[str, str]]) -> bool:
    """Every parameter holds for one of its values, which commas separate; parameters of the result do not count.

    Raises BadRequest for a value that cannot be read.
    """
    return all(_holds(resource, *pair) for pair in pairs if pair[0].partition(":")[0] in PARAMETERS)


def _holds(resource: Json, name: str, value: str) -> bool:
    base, _, modifier = name.partition(":")
    parameter = PARAMETERS[base]
    if modifier == "missing":
        if value not in ("true", "false"):
            raise BadRequest(f"{base}:missing: write true or false")
        return (parameter.element not in resource) == (value == "true")
    held = [_MEANINGS[parameter.type](resource, parameter.element, part) for part in separated(value, ",")]
    return any(held)  # each is read, so that a wrong one is refused whatever the others say


def _uri(resource: Json, element: str, value: str) -> bool:
    return bool(resource.get(element) == unescaped(value))


def _string(resource: Json, element: str, value: str) -> bool:
    """It begins so, in any language, whatever the case and the accents."""
    own = [text for one in LANGUAGES for text in texts(resource, element, resource.get("language", one)).values()]
    return any(_plain(text).startswith(_plain(unescaped(value))) for text in own)


def _plain(text: str) -> str:
    apart = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in apart if not unicodedata.combining(letter))


def _token(resource: Json, element: str, value: str) -> bool:
    """[code], [system]|[code], |[code] (without a system) or [system]|."""
    system, code = token(value)
    return any(
        (not code or code == own) and (system is None or system == its_system)
        for its_system, own in _tokens(resource, element)
    )


def _tokens(resource: Json, element: str) -> list[tuple[str, str]]:
    """(system, code) of each value of the element."""
    value = resource.get(element, [])
    found: list[tuple[str, str]] = []
    for part in value if isinstance(value, list) else [value]:
        if isinstance(part, dict):
            codings = part.get("coding", [{"system": part.get("system"), "code": part.get("value")}])
            found += [(one.get("system", ""), one.get("code", "")) for one in codings]
        else:
            found.append((_CODES.get(element, ""), {True: "true", False: "false"}.get(part, str(part))))
    return found


def _date(resource: Json, element: str, value: str) -> bool:
    """Prefix and date; the resource's date and the value are spans of time, of which a day has 24 hours."""
    prefix = value[:2] if value[:1].isalpha() else "eq"
    asked, own = span(value.removeprefix(prefix)), span(str(resource.get(element, "")))
    if asked is None or prefix not in _PREFIXES:
        raise BadRequest(f"{element}: cannot be read; write {', '.join(_PREFIXES)} and a date or dateTime")
    return own is not None and _PREFIXES[prefix](asked, own)


_PREFIXES: dict[str, Callable[[Any, Any], bool]] = {  # what is asked, what the resource has; each first and last moment
    "eq": lambda asked, own: asked[0] <= own[0] and own[1] <= asked[1],
    "ne": lambda asked, own: not (asked[0] <= own[0] and own[1] <= asked[1]),
    "gt": lambda asked, own: own[1] > asked[1],
    "ge": lambda asked, own: own[1] >= asked[0],
    "lt": lambda asked, own: own[0] < asked[0],
    "le": lambda asked, own: own[0] <= asked[1],
    "sa": lambda asked, own: own[0] > asked[1],
    "eb": lambda asked, own: own[1] < asked[0],
}


def _context(resource: Json, element: str, value: str) -> bool:
    """[code of the kind of context]$[its value], each a token."""
    kind, *meant = separated(value, "$")
    if len(meant) != 1:
        raise BadRequest("context-type-value: write the kind of context, $ and its value, as focus$279039007")
    for context in resource.get(element, []):
        codes = {"kind": {"coding": [context["code"]]}, "meant": context.get("valueCodeableConcept", {})}
        if _token(codes, "kind", kind) and _token(codes, "meant", meant[0]):
            return True
    return False


_MEANINGS: dict[str, Callable[[Json, str, str], bool]] = {
    "uri": _uri,
    "string": _string,
    "token": _token,
    "date": _date,
    "composite": _context,
}
