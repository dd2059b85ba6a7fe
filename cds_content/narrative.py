"""What a resource says, as plain XHTML in the language that it is served in: its narrative.

Only text and structure: no scripts, styles, forms or links. Source: HL7 FHIR R4 Narrative, invariants txt-1 and txt-2.
"""

from collections.abc import Iterator
from html import escape

from cds_content.shapes import Json

_OPEN = '<div xmlns="http://www.w3.org/1999/xhtml" lang="{language}" xml:lang="{language}">'


def narrated(resource: Json) -> Json:
    """The resource with a narrative: title, description, and the questions with their options, or the codes.

    A resource that has a narrative of its own keeps it.
    """
    if "text" in resource:
        return resource
    parts = [_OPEN.format(language=escape(resource.get("language", "en"))), *_body(resource), "</div>"]
    text = {"text": {"status": "generated", "div": "".join(parts)}}
    first = {name: resource[name] for name in ("resourceType", "id", "meta", "language") if name in resource}
    return first | text | resource


def _body(resource: Json) -> Iterator[str]:
    yield f"<h2>{escape(resource.get('title') or resource['resourceType'])}</h2>"
    for paragraph in str(resource.get("description", "")).split("\n\n"):
        if paragraph:
            yield f"<p>{escape(paragraph)}</p>"
    yield from _items(resource)
    yield from _codes(resource)


def _items(parent: Json) -> Iterator[str]:
    """A list of the items below a form or an item, each with its linkId, what it is shown for, text and options."""
    if parent.get("item"):
        yield "<ul>"
        for item in parent["item"]:
            yield f"<li><code>{escape(item['linkId'])}</code>{_shown(item)} {escape(item.get('text', ''))}"
            options = [option["valueCoding"] for option in item.get("answerOption", []) if "valueCoding" in option]
            yield from _list([(one["code"], one["display"]) for one in options])
            yield from _items(item)
            yield "</li>"
        yield "</ul>"


def _shown(item: Json) -> str:
    """The answers for which an item is shown, by linkId and code; empty: always."""
    rules = [(rule["question"], rule.get("answerCoding", {}).get("code", "")) for rule in item.get("enableWhen", [])]
    said = " | ".join(f"{name} = {code}" for name, code in rules)
    return f" ({escape(said)})" if said else ""


def _codes(resource: Json) -> Iterator[str]:
    """The codes of a CodeSystem, or the systems of a ValueSet."""
    concepts = resource.get("concept", [])
    yield from _list([(one["code"], one.get("display") or one.get("definition", "")) for one in concepts])
    includes = resource.get("compose", {}).get("include", [])
    yield from _list([(one["system"], one.get("version", "")) for one in includes if "system" in one])


def _list(pairs: list[tuple[str, str]]) -> Iterator[str]:
    if pairs:
        yield "<ul>"
        yield from (f"<li><code>{escape(code)}</code> {escape(words)}</li>" for code, words in pairs)
        yield "</ul>"
