"""/openapi.json and /contract: what the service offers, for machines and, in the same words, for people."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date
from functools import lru_cache
from typing import Any

from flask import Blueprint, Response

from cds_content.shapes import Json
from cds_service.contract import Offer, document
from cds_service.hooks import discovery
from cds_service.schemas import NOT_BLANK, kind, members
from cds_service.web import MAX_BODY, Deployment, answer
from cds_service.web.pages import page

_LIMITS = {"maxLength": "at most {} characters", "minimum": "from {}", "format": "format {}", "pattern": "pattern {}"}
_BLANK = (r"pattern \S", f"pattern {NOT_BLANK}")


def routes(service: Deployment) -> Blueprint:
    """The OpenAPI document, and the page that renders it. Both are made once a day: their examples hold its date.

    No blueprint of pages: clients read the refusals here, and any name may lead to what anybody may read.
    """
    blueprint = Blueprint("contract", __name__)

    @lru_cache(maxsize=1)
    def made(day: date) -> Json:
        return document(_offer(service, day))

    @blueprint.get("/openapi.json")
    def contract() -> Response:
        return answer(made(service.now().astimezone(UTC).date()), spoken="en")

    @blueprint.get("/contract")
    def read() -> Response:
        return _page(made(service.now().astimezone(UTC).date()), list(_services(service)))

    return blueprint


@dataclass(frozen=True)
class Row:
    """One member of a schema: where it stands, what it may be (texts, each with the schema it links to), its words."""

    place: str
    shape: list[tuple[str, str]]
    needed: bool
    words: str


def rows(schema: Json, place: str = "") -> Iterator[Row]:
    """Every member of the schema and of the objects within it, down to where it refers to another schema."""
    for name, member in schema.get("properties", {}).items():
        needed, here = name in schema.get("required", []), f"{place}.{name}" if place else name
        yield Row(here, list(shape(member)), needed, member.get("description", ""))
        for inner in [member, *member.get("anyOf", [])]:
            yield from rows(inner.get("items", inner), f"{here}[]" if "items" in inner else here)


def shape(schema: Json) -> Iterator[tuple[str, str]]:
    """What a value may be, as (text, name of the schema that it links to)."""
    if "$ref" in schema:
        yield named(schema), named(schema)
    elif choices := schema.get("anyOf") or schema.get("oneOf"):
        for index, choice in enumerate(choices):
            yield from [(" or ", "")] if index else []
            yield from shape(choice)
    elif "items" in schema:
        yield "array of ", ""
        yield from shape(schema["items"])
    else:
        yield _plain(schema), ""


def named(reference: Json) -> str:
    """The name of the component that is referred to."""
    return str(reference["$ref"]).rpartition("/")[2]


def _page(document: Json, services: list[Json]) -> Response:
    """The document as a page: its words are English, whatever the language of the frame around them."""
    reading: dict[str, Any] = {"rows": rows, "shape": shape, "named": named, "tried": _tried, "written": _written}
    made = page(
        "contract.html.jinja", document=document, components=document["components"], services=services, **reading
    )
    made.headers["Content-Language"] = "en"
    return made


def _plain(schema: Json) -> str:
    stated = [schema["const"]] if "const" in schema else schema.get("enum", [])
    limits = [words.format(schema[name]) for name, words in _LIMITS.items() if name in schema]
    limits = ["not blank" if one in _BLANK else one for one in limits]
    values = [f"one of {', '.join(map(str, stated))}" if len(stated) > 1 else f"always {stated[0]}"] if stated else []
    return ", ".join([str(schema.get("type", "anything")), *values, *limits])


def _tried(address: str, operation: Json) -> str:
    """The address with an example in each place."""
    for parameter in operation.get("parameters", []):
        if parameter.get("in") == "path":
            example = parameter.get("example") or next(iter(parameter["examples"]))
            address = address.replace(f"{{{parameter['name']}}}", example)
    return address


def _written(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _offer(service: Deployment, day: date) -> Offer:
    return Offer(
        screenings=service.screenings,
        services=service.offered,
        public=service.public,
        development=service.development,
        versions=service.versions,
        largest=MAX_BODY,
        day=day,
    )


def _services(service: Deployment) -> Iterator[Json]:
    """The entries of discovery, with what the context of each hook needs and may hold."""
    for id_, (screening, hooks) in service.offered.items():
        for one in hooks.values():
            (entry,) = discovery([(id_, screening, one)], "en", versions=service.versions)["services"]
            needs = kind(one).needs
            yield entry | {"needs": needs, "may": [name for name in members(one) if name not in needs]}
