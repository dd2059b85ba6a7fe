"""Terminology of what is published: value sets expanded, codes checked and looked up.

Value sets are those of this service: whole code systems of its own, or codes of them by name. Source: HL7 FHIR R4,
"Terminology Service" (ValueSet $expand and $validate-code, CodeSystem $validate-code and $lookup).
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from cds_content.shapes import Json
from cds_content.translations import displays
from cds_service.errors import BadRequest, NotFound


@dataclass(frozen=True)
class Concept:
    """A code with its display in each language, and every wording as (language, text)."""

    system: str
    version: str
    code: str
    display: dict[str, str]
    wordings: tuple[tuple[str, str], ...]


def the(resources: Iterable[Json], kind: str, url: str, version: str = "") -> Json:
    """The published resource with this canonical URL, which may end in |version. Raises NotFound when there is none."""
    for one in resources:
        if one["resourceType"] == kind and names(one, url, version):
            return one
    raise NotFound(f"url, version: no such {kind} here; GET /fhir/{kind} lists what there is")


def names(one: Json, url: str, version: str = "") -> bool:
    """Whether a canonical URL, which may end in |version, and a version (empty: any) are those of the resource."""
    url, _, pinned = url.partition("|")
    return bool(url == one["url"] and {pinned, version} <= {"", one["version"]})


def concepts(resources: Sequence[Json], one: Json) -> list[Concept]:
    """The codes of a CodeSystem or a ValueSet, in their order.

    Raises BadRequest for a value set that is composed in a way that is not supported.
    """
    if one["resourceType"] == "CodeSystem":
        return list(_of(one, None))
    compose = one.get("compose", {})
    if compose.get("exclude") or any(part.keys() & {"filter", "valueSet"} for part in compose.get("include", [])):
        raise BadRequest("ValueSet.compose: filter, valueSet and exclude are not supported; expand it elsewhere")
    found: list[Concept] = []
    for part in compose.get("include", []):
        system = the(resources, "CodeSystem", part["system"], part.get("version", ""))
        found += _of(system, [concept["code"] for concept in part["concept"]] if "concept" in part else None)
    return found


def expansion(value_set: Json, found: Sequence[Concept], wanted: Json, language: str) -> Json:
    """The value set with its codes; `wanted` holds filter, offset, count and includeDesignations where they are given.

    `total` counts all codes that the filter lets through, whichever page of them is given.
    """
    part = str(wanted.get("filter", "")).casefold()
    fitting = [one for one in found if _fits(one, part)]
    first, designations = wanted.get("offset", 0), wanted.get("includeDesignations", False)
    shown = fitting[first : first + wanted["count"]] if "count" in wanted else fitting[first:]
    said: Json = {"total": len(fitting)} | ({"offset": first} if wanted.keys() & {"offset", "count"} else {})
    contains = [_contained(one, language, designations=designations) for one in shown]
    bare = {name: value for name, value in value_set.items() if name not in ("compose", "text")}
    return bare | {"expansion": said | ({"contains": contains} if contains else {})}


def checked(found: Sequence[Concept], codings: Sequence[Json], language: str) -> list[tuple[str, object]]:
    """Whether one of the codings is among the concepts, as the parameters that $validate-code returns.

    A display that is given must be one of the wordings, in any language and whatever its case. A coding without a
    system is none of them: the same code means something else in another system.
    """
    message = "the code is not in it"
    for coding in codings:
        if "system" not in coding:
            message = "the coding has no system; write that of its code"
        for one in found:
            if (coding.get("system"), coding.get("code")) != (one.system, one.code):
                continue
            if coding.get("version", one.version) != one.version:
                message = "this version of the code system is not there"
            elif "display" in coding and coding["display"].casefold() not in {
                text.casefold() for _, text in one.wordings
            }:
                message = f"the display is none of this code; it is called '{one.display[language]}'"
            else:
                return [("result", True), ("display", one.display[language])]
    return [("result", False), ("message", message)]


def looked_up(system: Json, found: Sequence[Concept], code: str, language: str) -> list[tuple[str, object]]:
    """What a code means, as the parameters that $lookup returns. Raises NotFound for a code that is not there."""
    for one in found:
        if one.code == code:
            said: list[tuple[str, object]] = [("name", system["name"]), ("version", one.version)]
            said.append(("display", one.display[language]))
            for spoken, text in one.wordings:
                said.append(("designation", [("language", {"valueCode": spoken}), ("value", text)]))
            return said
    raise NotFound("code: is not in this code system; GET it to see what is")


def _of(system: Json, codes: Sequence[str] | None) -> Iterator[Concept]:
    """The concepts of a code system, all or those named; a code has one wording, or several in a language."""
    called = displays([system], system["id"])
    for concept in system["concept"]:
        if codes is None or concept["code"] in codes:
            others = [(one["language"], one["value"]) for one in concept.get("designation", []) if "language" in one]
            wordings = ((system["language"], concept["display"]), *others)
            yield Concept(system["url"], system["version"], concept["code"], called[concept["code"]], wordings)


def _fits(one: Concept, part: str) -> bool:
    return any(part in text.casefold() for text in (one.code, *(text for _, text in one.wordings)))


def _contained(one: Concept, language: str, *, designations: bool) -> Json:
    said: Json = {"system": one.system, "version": one.version, "code": one.code, "display": one.display[language]}
    others = [{"language": spoken, "value": text} for spoken, text in one.wordings]
    return said | ({"designation": others} if designations else {})
