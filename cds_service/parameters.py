"""FHIR Parameters, what operations take and give: read into names with their values, and written from them.

Source: HL7 FHIR R4, "Parameters" and its invariant inv-1 (one of value, resource and part).
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cds_content.shapes import Json
from cds_service.errors import BadRequest, Unprocessable

Given = dict[str, list[Any]]  # name → its values in their order; the value of a parameter with parts is again a Given

_TEXTS = "Base64Binary Canonical Code Date DateTime Id Instant Markdown Oid String Time Uri Url Uuid"
_NUMBERS = "Integer PositiveInt UnsignedInt"
_PARTS = (  # the data types of R4 that are objects
    "Address Age Annotation Attachment CodeableConcept Coding ContactDetail ContactPoint Contributor Count"
    " DataRequirement Distance Dosage Duration Expression HumanName Identifier Meta Money ParameterDefinition Period"
    " Quantity Range Ratio Reference RelatedArtifact SampledData Signature Timing TriggerDefinition UsageContext"
)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_whole(value: Any) -> bool:
    return type(value) is int  # true is no number


def _is_decimal(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict) and bool(value) and "resourceType" not in value


_KINDS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys((f"value{kind}" for kind in _TEXTS.split()), _is_text),
    **dict.fromkeys((f"value{kind}" for kind in _NUMBERS.split()), _is_whole),
    **dict.fromkeys((f"value{kind}" for kind in _PARTS.split()), _is_object),
    "valueBoolean": lambda value: isinstance(value, bool),
    "valueDecimal": _is_decimal,
}


def is_parameters(body: Any) -> bool:
    """Whether a body says that it is Parameters; an operation may also take a bare resource."""
    return isinstance(body, dict) and body.get("resourceType") == "Parameters"


def read_parameters(body: Any) -> Given:
    """Each name with its values, in their order: values and resources as they stand, parts as a Given of their own.

    Raises BadRequest, with the place, for whatever is no Parameters, also for what may not be passed over
    (modifierExtension, implicitRules). A name that an operation does not know is for the operation to judge.
    """
    if not is_parameters(body):
        raise BadRequest('body: is no Parameters; write {"resourceType": "Parameters", "parameter": [...]}')
    if body.keys() & {"modifierExtension", "implicitRules"}:
        raise BadRequest(
            "Parameters: changes the meaning of its content; leave modifierExtension and implicitRules out"
        )
    return _read(body.get("parameter", []), "Parameters.parameter")


def write_parameters(pairs: Iterable[tuple[str, Any]]) -> Json:
    """Parameters of (name, value) pairs; names may be repeated, and the order is kept.

    A value is a resource, a text, a whole number, true or false, a list of pairs (the parts), or ready-made content
    of a parameter, `{"valueReference": {...}}`.
    """
    return {"resourceType": "Parameters", "parameter": [_written(name, value) for name, value in pairs]}


def refused(name: str, code: str, text: str) -> Unprocessable:
    """The refusal of what the parameter `name` says; `code` is of http://hl7.org/fhir/issue-type."""
    expression = f"Parameters.parameter.where(name = '{name}')"
    issue = {"severity": "error", "code": code, "diagnostics": f"{name}: {text}", "expression": [expression]}
    return Unprocessable([issue])


def one_of(given: Given, name: str) -> Any:
    """The one value of a parameter, None when it is absent. Raises BadRequest when there are several."""
    values = given.get(name, [])
    if len(values) > 1:
        raise BadRequest(f"{name}: is given {len(values)} times; give it once")
    return values[0] if values else None


def _read(given: Any, place: str) -> Given:
    if not isinstance(given, list):
        raise BadRequest(f"{place}: is no array; write one with a parameter each")
    found: Given = {}
    for index, parameter in enumerate(given):
        name, value = _parameter(parameter, f"{place}[{index}]")
        found.setdefault(name, []).append(value)
    return found


def _parameter(parameter: Any, place: str) -> tuple[str, Any]:
    """The name and value of one parameter."""
    if not isinstance(parameter, dict) or not _is_text(parameter.get("name")):
        raise BadRequest(f"{place}.name: is missing; write each parameter as an object with its name")
    if "modifierExtension" in parameter:
        raise BadRequest(f"{place}.modifierExtension: changes what is meant and is not known here; leave it out")
    held = [member for member in parameter if member in ("resource", "part") or member.startswith("value")]
    if len(held) != 1:
        raise BadRequest(f"{place}: write one of value[x], resource and part")
    return parameter["name"], _value(held[0], parameter[held[0]], f"{place}.{_safe(held[0])}")


def _safe(member: str) -> str:
    """The member as a place; what somebody made up is not repeated."""
    return member if member in _KINDS or member in ("resource", "part") else "value[x]"


def _value(member: str, value: Any, place: str) -> Any:
    if member == "part":
        return _read(value, place)
    if member == "resource":
        if not isinstance(value, dict) or not _is_text(value.get("resourceType")):
            raise BadRequest(f"{place}: is no resource; write one with its resourceType")
        return value
    if member not in _KINDS or not _KINDS[member](value):
        raise BadRequest(f"{place}: is no value of a type of R4; write value and the type, and a value of that type")
    return value


def _written(name: str, value: Any) -> Json:
    if isinstance(value, list):
        return {"name": name, "part": [_written(*pair) for pair in value]}
    if isinstance(value, dict):
        return {"name": name} | ({"resource": value} if "resourceType" in value else value)
    kind = {bool: "valueBoolean", int: "valueInteger", str: "valueString"}[type(value)]
    return {"name": name, kind: value}
