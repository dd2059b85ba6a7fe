"""Whether a JSON value is a QuestionnaireResponse as FHIR R4 defines it: elements, cardinality, JSON types, formats.

The elements come from the models of fhir.resources, which do not check this themselves: they take null, "true" as
boolean and any code. Source: HL7 FHIR R4, JSON representation; Data types; QuestionnaireResponse.
"""

import typing
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from fhir.resources.R4B import get_fhir_model_class

from cds_service.submission.formats import is_json, is_primitive, is_written
from cds_service.submission.kinds import ROOT, Found, Path

_CODED = ("QuestionnaireResponse", "Narrative", "Identifier")  # of other types the library leaves codes out


@dataclass(frozen=True)
class Element:
    """An element of a FHIR type: a primitive type, or the name of the type that it is of."""

    kind: str
    primitive: bool
    many: bool
    required: bool
    group: str  # of a choice type, as `value`
    codes: frozenset[str]


def is_response(body: Any) -> bool:
    return isinstance(body, dict) and body.get("resourceType") == ROOT


def shape_faults(body: Any) -> Iterator[Found]:
    """Every place at which a resource is not valid R4."""
    yield from _resource(body, ())


def _resource(value: Any, path: Path) -> Iterator[Found]:
    kind = value.get("resourceType") if isinstance(value, dict) else None
    if not isinstance(kind, str) or not _is_resource(kind):
        yield "wrong-json", path
        return
    yield from _object(kind, {name: part for name, part in value.items() if name != "resourceType"}, path)


def _object(kind: str, value: Any, path: Path) -> Iterator[Found]:
    """An object of a complex type."""
    if not isinstance(value, dict):
        yield "wrong-json", path
        return
    known = elements(kind)
    for name, part in value.items():
        element = known.get(name.removeprefix("_"))
        if element is None or (name.startswith("_") and not element.primitive):
            yield "unknown-element", path  # its name is not repeated: it may be anything
        elif _is_empty(part):
            yield "empty", (*path, name)
        elif name.startswith("_"):
            yield from _beside(element, part, value.get(name[1:]), (*path, name))
        else:
            yield from _listed(element, part, value.get(f"_{name}"), (*path, name))
    yield from _cardinality(kind, value, path)


def _is_empty(value: Any) -> bool:
    return value is None or value in ([], {}) or (isinstance(value, str) and not value.strip())


def _cardinality(kind: str, value: dict[str, Any], path: Path) -> Iterator[Found]:
    """Required elements, and choice types, of which one may be there. An element may be there as `_x` only.

    Not so in the response itself: without its status or a linkId, nobody can read what was reported.
    """
    if not value:
        yield "empty", path
    known, there = elements(kind), {name.removeprefix("_") for name in value}
    needed = value.keys() if kind.startswith(ROOT) else there
    for name, element in known.items():
        if element.required and not element.group and name not in needed:
            yield "missing-element", path
    groups = [known[name].group for name in there if name in known and known[name].group]
    for _ in {group for group in groups if groups.count(group) > 1}:
        yield "several-values", path


def _listed(element: Element, value: Any, beside: Any, path: Path) -> Iterator[Found]:
    """An element with its array, where it is one: an element of that may be null only where `_x` has something."""
    if isinstance(value, list) != element.many:
        yield "wrong-json", path
        return
    for index, part in enumerate(value) if element.many else ():
        said = beside[index] if isinstance(beside, list) and index < len(beside) else None
        if _is_empty(part) and not (element.primitive and part is None and said):
            yield "empty", (*path, index)
        elif part is not None:
            yield from _one(element, part, (*path, index))
    if not element.many:
        yield from _one(element, value, path)


def _one(element: Element, value: Any, path: Path) -> Iterator[Found]:
    if element.kind == "Resource":
        yield from _resource(value, path)
    elif not element.primitive:
        yield from _object(element.kind, value, path)
    elif not is_json(element.kind, value):
        yield "wrong-json", path
    elif not is_written(element.kind, value):
        yield "wrong-format", path
    elif element.codes and value not in element.codes:
        yield "unknown-code", path


def _beside(element: Element, value: Any, values: Any, path: Path) -> Iterator[Found]:
    """`_x`: id and extensions of a primitive; for an array as many as it has, null where there are none."""
    if isinstance(value, list) != element.many or (
        element.many and isinstance(values, list) and len(values) != len(value)
    ):
        yield "wrong-json", path
        return
    for part in value if element.many else [value]:
        if part is not None:
            yield from _object("Element", part, path)


@cache
def elements(kind: str) -> dict[str, Element]:
    """The elements of a FHIR type, by their names in JSON."""
    fields = get_fhir_model_class(kind).model_fields.values()
    found = {str(field.alias): _element(field) for field in fields if _extra(field).get("element_property")}
    return found if kind in _CODED else {name: replace(one, codes=frozenset()) for name, one in found.items()}


def _extra(field: Any) -> dict[str, Any]:
    return field.json_schema_extra or {}


def _element(field: Any) -> Element:
    many, leaf = _leaf(field.annotation)
    primitive = is_primitive(leaf)
    extra = _extra(field)
    return Element(
        kind=leaf if primitive else leaf.removesuffix("Type"),
        primitive=primitive,
        many=many,
        required=bool(extra.get("element_required")),
        group=str(extra.get("one_of_many", "")),
        codes=frozenset(extra.get("enum_values", ())),
    )


def _leaf(annotation: Any) -> tuple[bool, str]:
    """(whether it is an array, the name of the type) as the model's annotation says."""
    parts = [part for part in typing.get_args(annotation) if part is not type(None)]
    if typing.get_origin(annotation) is typing.Annotated:
        return False, type(parts[-1]).__name__
    if not parts:
        return False, str(annotation.__name__)
    return typing.get_origin(annotation) is list or _leaf(parts[0])[0], _leaf(parts[0])[1]


def _is_resource(kind: str) -> bool:
    """Whether FHIR has a resource of this name; what has `meta` is one."""
    try:
        return kind not in ("Resource", "DomainResource") and "meta" in get_fhir_model_class(kind).model_fields
    except ValueError:  # the library has no such type
        return False
