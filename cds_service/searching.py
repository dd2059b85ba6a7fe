"""Searchsets: which resources match a search, part of a resource, and a page of what was found. No HTTP here.

Source: HL7 FHIR R4, "Search".
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from urllib.parse import urlencode

from fhir.resources.R4B import get_fhir_model_class

from cds_content.shapes import Json
from cds_service.errors import BadRequest

RESULT = ("_count", "_after", "_summary", "_elements")  # parameters of the result; _after is our own, of next links
PAGE, LARGEST = 50, 200  # resources on one page, unless asked for others; a response is about 10 kB
SUMMARIES = ("true", "text", "data", "count", "false")
_SUBSETTED = {"system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue", "code": "SUBSETTED"}
_PLACE = re.compile(r"(\d{1,17})\.([A-Za-z0-9.-]{1,64})", re.ASCII)
_EPOCH, _STEP = datetime(1970, 1, 1, tzinfo=UTC), timedelta(microseconds=1)

Pairs = Sequence[tuple[str, str]]


def understood(
    given: Iterable[tuple[str, str]], names: Collection[str], modifiers: Collection[str] = (), *, strict: bool = False
) -> list[tuple[str, str]]:
    """The parameters among `given` that a search on `names` knows; empty ones do not count.

    Raises BadRequest for a modifier that is not one of `modifiers` and, when `strict`, for an unknown parameter.
    """
    known = [*names, *RESULT, "_format", "_pretty"]
    found = []
    for name, value in given:
        base, colon, modifier = name.partition(":")
        if base not in known:
            if strict:
                raise BadRequest(f"search: a parameter is unknown; write some of: {', '.join(known)}")
        elif colon and modifier not in modifiers:
            raise BadRequest(f"{base}: this modifier is not supported; write {_written(base, modifiers)}")
        elif value:
            found.append((name, value))
    return found


def separated(value: str, mark: str) -> list[str]:
    """The parts of a value between marks that are not escaped; each still escaped. Source: R4, "Search", 3.1.1.4."""
    parts = [""]
    for piece in re.findall(r"\\.|.", value, re.DOTALL):  # a backslash goes with what it escapes
        if piece == mark:
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def unescaped(part: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", part)


def token(part: str) -> tuple[str | None, str]:
    """System and code of an escaped token: None where no system is named, "" where it says that there is none."""
    system, *code = separated(part, "|")
    return (unescaped(system), unescaped("|".join(code))) if code else (None, unescaped(system))


def page_size(pairs: Pairs) -> int:
    """How many resources a page holds. Raises BadRequest for what is no number."""
    return min(_whole(pairs, "_count", PAGE), LARGEST)


def offset(pairs: Pairs) -> int:
    """After how many resources a page begins, in a list that stays as it is. Raises BadRequest."""
    return _whole(pairs, "_after", 0)


def following(pairs: Pairs, total: int) -> str:
    """After how many resources the next page begins; empty where there is none."""
    end = offset(pairs) + page_size(pairs)
    return str(end) if end < total else ""


def place(pairs: Pairs) -> tuple[datetime, str] | None:
    """Where the page before ended, as `place_written` says it, in a list that changes; None on the first page.

    Raises BadRequest for anything else.
    """
    after = dict(pairs).get("_after")
    match = _PLACE.fullmatch(after) if after else None
    if after and not match:
        raise BadRequest("_after: is no place in this search; follow the next link of the page before")
    return (_EPOCH + int(match[1]) * _STEP, match[2]) if match else None


def place_written(moment: datetime, id_: str) -> str:
    """The place of what has this moment and this id, as the value of _after: letters, digits, dots and hyphens."""
    return f"{(moment - _EPOCH) // _STEP}.{id_}"


def _whole(pairs: Pairs, name: str, otherwise: int) -> int:
    value = dict(pairs).get(name, str(otherwise))
    if not (value.isascii() and value.isdigit() and len(value) < 10):
        raise BadRequest(f"{name}: is no whole number; write 0 or more")
    return int(value)


def searchset(address: str, kind: str, found: Sequence[Json], total: int, pairs: Pairs, after: str) -> Json:
    """One page of what was found, of the type `kind`, by the understood parameters; `address` ends in /fhir.

    `found` is that page, `total` counts all matches; `after` is where the next page begins, empty if there is none.
    """
    count = page_size(pairs)
    only_count = count == 0 or dict(pairs).get("_summary") == "count"
    entries = [
        {"fullUrl": f"{address}/{kind}/{one['id']}", "resource": trimmed(one, pairs), "search": {"mode": "match"}}
        for one in ([] if only_count else found)
    ]
    links = [{"relation": "self", "url": _address(address, kind, pairs)}]
    if not only_count and after:
        others = [pair for pair in pairs if pair[0] not in ("_count", "_after")]
        page = [("_count", str(count)), ("_after", after)]
        links.append({"relation": "next", "url": _address(address, kind, [*others, *page])})
    bundle = {"resourceType": "Bundle", "type": "searchset", "total": total, "link": links}
    return bundle | ({"entry": entries} if entries else {})


def trimmed(resource: Json, pairs: Pairs) -> Json:
    """The resource with the elements that `_summary` or `_elements` ask for, and then marked as SUBSETTED.

    What R4 demands of the type is always there. Raises BadRequest for a `_summary` that R4 does not know.
    """
    given = dict(pairs)
    summary, elements = given.get("_summary", "false"), set(given.get("_elements", "").replace(" ", "").split(","))
    if summary not in SUMMARIES:
        raise BadRequest(f"_summary: is unknown; write one of: {', '.join(SUMMARIES)}")
    if summary == "data":
        return _subsetted({name: part for name, part in resource.items() if name != "text"})
    if elements - {""} or summary in ("true", "text"):
        in_summary, needed = _elements(resource["resourceType"])
        wanted = {"true": in_summary, "text": {"text"}}.get(summary, elements)
        kept = {"resourceType", "id", "meta", "implicitRules", "modifierExtension"} | needed | wanted
        return _subsetted({name: part for name, part in resource.items() if name.removeprefix("_") in kept})
    return resource


def _written(base: str, modifiers: Collection[str]) -> str:
    return " or ".join([base, *(f"{base}:{one}" for one in modifiers)])


def _address(address: str, kind: str, pairs: Pairs) -> str:
    return f"{address}/{kind}" + (f"?{urlencode(pairs)}" if pairs else "")


def _subsetted(resource: Json) -> Json:
    meta: Mapping[str, list[Json]] = resource.get("meta", {})
    return resource | {"meta": {**meta, "tag": [*meta.get("tag", []), _SUBSETTED]}}


@cache
def _elements(kind: str) -> tuple[set[str], set[str]]:
    """The elements of a type that R4 marks as summary, and those that it demands."""
    summary, needed = set(), set()
    for name, field in get_fhir_model_class(kind).model_fields.items():
        extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
        summary |= {field.alias or name} if extra.get("summary_element_property") else set()
        needed |= {field.alias or name} if field.is_required() or extra.get("element_required") else set()
    return summary, needed
