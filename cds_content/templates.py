"""The {places} of texts and of resource templates."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from cds_content.shapes import LANGUAGES

PLACE = re.compile(r"\{([a-z-]+)\}")
Places = Mapping[str, Any]
Template = Callable[[Places], Any]


def fill(value: Any, places: Places, language: str) -> Any:
    """A resource template with its places filled in; a member without a value is left out."""
    return template(value, language)(places)


def template(value: Any, language: str) -> Template:
    """The same for one that is filled in again and again: what holds no place is made once, and must not be changed."""
    if isinstance(value, dict) and set(value) == set(LANGUAGES):
        value = value[language]
        return lambda _: value
    if not isinstance(value, str | list | dict):
        return lambda _: value
    if isinstance(value, str):
        return _text(value)
    made = (
        _parts([template(part, language) for part in value]) if isinstance(value, list) else _members(value, language)
    )
    if PLACE.search(json.dumps(value)):
        return made
    constant = made({})
    return lambda _: constant


def _text(words: str) -> Template:
    whole = PLACE.fullmatch(words)
    if whole:
        name = whole[1]
        return lambda places: places[name]
    if not PLACE.search(words):
        return lambda _: words
    return lambda places: PLACE.sub(lambda found: places[found[1]], words)


def _parts(parts: list[Template]) -> Template:
    return lambda places: [part(places) for part in parts]


def _members(value: Mapping[str, Any], language: str) -> Template:
    members = [(name, template(part, language)) for name, part in value.items()]

    def filled(places: Places) -> dict[str, Any]:
        found = ((name, part(places)) for name, part in members)
        return {name: part for name, part in found if part is not None and part != []}

    return filled
