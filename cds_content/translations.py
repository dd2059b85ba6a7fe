"""FHIR resources as published: items, and texts in every language (extension http://hl7.org/fhir/StructureDefinition/translation)."""

from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from cds_content.shapes import Json

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"


def texts(parent: Mapping[str, Any], name: str, language: str) -> dict[str, str]:
    """The string member `name` in each language that it has; `language` is that of the base text."""
    found = {language: parent[name]} if isinstance(parent.get(name), str) else {}
    for extension in parent.get(f"_{name}", {}).get("extension", []):
        parts = {part.get("url"): part for part in extension.get("extension", [])}
        if extension["url"] == TRANSLATION and {"lang", "content"} <= parts.keys():
            found[parts["lang"].get("valueCode", "")] = parts["content"].get(_content(parts["content"]), "")
    return found


def _content(part: Json) -> str:
    return "valueMarkdown" if "valueMarkdown" in part else "valueString"


def displays(resources: Iterable[Json], id_: str) -> dict[str, dict[str, str]]:
    """code → display in each language, of the CodeSystem with this id."""
    return {
        concept["code"]: {
            part["language"]: part["value"] for part in reversed(concept.get("designation", [])) if "language" in part
        }
        | {system["language"]: concept["display"]}
        for system in resources
        if system["resourceType"] == "CodeSystem" and system["id"] == id_
        for concept in system["concept"]
    }


def in_language(resource: Json, language: str) -> Json:
    """The resource with `language` as its base language; the texts that it replaces become the translations."""
    resolved = deepcopy(resource)
    if resource["language"] != language:
        _resolve(resolved, resource["language"], language)
        resolved["language"] = language
    return resolved


def _resolve(value: Any, old: str, new: str) -> None:
    for part in value if isinstance(value, list) else ():
        _resolve(part, old, new)
    for name, part in list(value.items()) if isinstance(value, dict) else ():
        _resolve(part, old, new)
        for extension in value.get(f"_{name}", {}).get("extension", []) if isinstance(part, str) else ():
            lang, content = extension["extension"]
            if lang["valueCode"] == new:
                lang["valueCode"], kind = old, _content(content)
                value[name], content[kind] = content[kind], part
        for other in part if name == "designation" else ():
            if other["language"] == new and value["display"] != other["value"]:
                value["display"], other["value"], other["language"] = other["value"], value["display"], old
                break


def items_of(parent: Mapping[str, Any]) -> Iterator[Json]:
    """Every item below `parent`, in the order of the form."""
    for item in parent.get("item", []):
        yield item
        yield from items_of(item)
