"""What R4 asks of a resource and fhir.resources does not check: `valid` names every mistake.

The models of fhir.resources say which codes and which targets of references there are; here the resource as it is
written is held against them, with the invariants (fhir_invariants), the extensions (fhir_extensions), the formats of
primitives and the rules of JSON. Sources: HL7 FHIR R4 (4.0.1); HL7 Structured Data Capture 4.0.0.
"""

import re
import typing
from collections.abc import Iterator
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from tests.fhir_codes import BOUND, CODES, SYSTEMS
from tests.fhir_extensions import extension_mistakes
from tests.fhir_invariants import INVARIANTS, resource_mistakes

Json = dict[str, Any]

_DATE = r"\d{4}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?"
_TIME = r"([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
_ZONE = r"(Z|[+-]((0\d|1[0-3]):[0-5]\d|14:00))"
_FORMATS = {
    "Base64Binary": r"(\s*([0-9a-zA-Z+/=]){4}\s*)+",
    "Canonical": r"\S+",
    "Code": r"[^\s]+( [^\s]+)*",
    "Date": _DATE,
    "DateTime": rf"\d{{4}}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01])(T{_TIME}{_ZONE})?)?)?",
    "Id": r"[A-Za-z0-9\-.]{1,64}",
    "Instant": rf"\d{{4}}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T{_TIME}{_ZONE}",
    "Markdown": r"(?s).*\S.*",
    "Oid": r"urn:oid:[0-2](\.(0|[1-9]\d*))+",
    "String": r"(?s).*\S.*",
    "Time": _TIME,
    "Uri": r"\S+",
    "Url": r"\S+",
    "UuidVersion": r"urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
}
_WHOLE = {"Integer": -(2**31), "UnsignedInt": 0, "PositiveInt": 1}


def valid(resource: Any, *, contained: bool = False) -> list[str]:
    """Every mistake in a resource, each with its place; empty when it is valid.

    What is contained may refer to what is contained beside it.
    """
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    try:
        model = get_fhir_model_class(str(kind))
        model.model_validate(resource)
    except (KeyError, LookupError, ValueError) as error:
        if not isinstance(error, ValidationError):
            return [f"resourceType: {kind!r} is no type of R4"]
        return [f"{kind}.{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors()]
    return [*_element(str(kind), resource, str(kind)), *resource_mistakes(resource, contained=contained)]


def _element(kind: str, value: Json, place: str) -> Iterator[str]:
    """The mistakes in an object of a type of R4, and in what is below it."""
    fields = {field.alias or name: field for name, field in get_fhir_model_class(kind).model_fields.items()}
    yield from extension_mistakes(value, place, kind)
    if "fhir_comments" in value:
        yield f"{place}.fhir_comments: R4 has no comments"
    for member, content in value.items():
        if member == "resourceType":
            continue
        if content is None or content in ("", [], {}):
            yield f"{place}.{member}: is empty"
            continue
        field, listed = fields[member], isinstance(content, list)
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        for index, part in enumerate(content if listed else [content]):
            here = f"{place}.{member}[{index}]" if listed else f"{place}.{member}"
            yield from _value(kind, member, field.annotation, extra, part, here)
    for check in INVARIANTS.get(kind, ()):
        yield from (f"{place}: {mistake}" for mistake in check(value))


def _value(kind: str, member: str, annotation: Any, extra: Json, value: Any, place: str) -> Iterator[str]:
    type_, marks = _type(annotation)
    name = type_.__name__.removesuffix("Type") if isinstance(type_, type) else "bool"
    if value is None:  # a gap in a list of primitives, whose extension stands in the sibling
        if marks == "" and name != "bool":
            yield f"{place}: is null"
    elif name == "FHIRPrimitiveExtension":
        yield from _element("Element", value, place)
    elif name == "Resource":
        yield from (f"{place}: {mistake}" for mistake in valid(value, contained=member == "contained"))
    elif isinstance(value, dict):
        yield from _element(name, value, place)
        yield from _targets(name, value, extra, place)
        yield from _known(value, place)
    else:
        yield from _primitive(kind, member, name, marks, extra, value, place)


def _type(annotation: Any) -> tuple[Any, str]:
    """The type of R4 that an annotation names: a model, or a primitive with the name of its format."""
    marks = ""
    while arguments := [one for one in typing.get_args(annotation) if one is not type(None)]:
        if typing.get_origin(annotation) is typing.Annotated:
            marks = type(arguments[-1]).__name__
        annotation = arguments[0]
    return annotation, marks


def _primitive(kind: str, member: str, name: str, marks: str, extra: Json, value: Any, place: str) -> Iterator[str]:
    if name == "bool":
        if not isinstance(value, bool):
            yield f"{place}: is no boolean"
    elif marks in _WHOLE:
        if type(value) is not int or value < _WHOLE[marks]:
            yield f"{place}: is no {marks}"
    elif marks == "Decimal":
        if type(value) not in (int, float):
            yield f"{place}: is no decimal"
    elif not isinstance(value, str) or not re.fullmatch(_FORMATS.get(marks, r"(?s).*\S.*"), value):
        yield f"{place}: is no {marks or 'string'}"
    codes = BOUND.get(f"{kind}.{member}") or (extra.get("enum_values") if marks == "Code" else None)
    if codes and value not in codes:
        yield f"{place}: {value!r} is none of the codes of R4"
    elif f"{kind}.{member}" not in BOUND and "+" in (codes or []):
        yield f"{place}: fhir_codes.BOUND lacks the codes of {kind}.{member}"


def _targets(name: str, value: Json, extra: Json, place: str) -> Iterator[str]:
    """A reference points to one of the types that R4 allows there."""
    allowed = extra.get("enum_reference_types", ["Resource"])
    reference = value.get("reference", "") if name == "Reference" else ""
    named = re.fullmatch(
        r"(?:https?://\S+/)?([A-Z][A-Za-z]+)/[A-Za-z0-9\-.]{1,64}(/_history/[A-Za-z0-9\-.]+)?", reference
    )
    if name == "Reference" and not value.keys() & {"reference", "identifier", "display", "extension"}:
        yield f"{place}: says nothing about what it refers to"
    if reference and not named and not reference.startswith(("#", "urn:")):
        yield f"{place}.reference: is no reference of R4"
    kind = named[1] if named else value.get("type")
    if name == "Reference" and kind and "Resource" not in allowed and kind not in allowed:
        yield f"{place}: refers to {kind}; R4 allows {', '.join(allowed)}"
    if name == "Reference" and named and value.get("type", kind) != kind:
        yield f"{place}.type: is not that of the reference"


def _known(value: Json, place: str) -> Iterator[str]:
    """A coding with a code system that we know has one of its codes."""
    system, code = value.get("system"), value.get("code")
    if system in SYSTEMS and code is not None and code not in SYSTEMS[system]:
        yield f"{place}: {code!r} is no code of {system}"
    if system in CODES.values():
        yield f"{place}.system: names a value set; write its code system"
