"""The {places} of texts and of resource templates."""

import re
from collections.abc import Mapping
from typing import Any

from cds_content.shapes import LANGUAGES

PLACE = re.compile(r"\{([a-z-]+)\}")


def fill(value: Any, places: Mapping[str, Any], language: str) -> Any:
    """A resource template with its places filled in; a member without a value is left out."""
    if isinstance(value, str):
        whole = PLACE.fullmatch(value)
        return places[whole[1]] if whole else PLACE.sub(lambda found: places[found[1]], value)
    if isinstance(value, list):
        return [fill(part, places, language) for part in value]
    if isinstance(value, dict) and set(value) == set(LANGUAGES):
        return value[language]
    if isinstance(value, dict):
        filled = {name: fill(part, places, language) for name, part in value.items()}
        return {name: part for name, part in filled.items() if part is not None and part != []}
    return value
