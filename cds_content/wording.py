"""Texts: there in every language, with known places, and short where a card is short."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from string import Formatter
from typing import Any

from cds_content.card_shapes import OrderCard
from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Json
from cds_content.templates import PLACE
from cds_content.translations import displays, items_of, texts

MAX_SUMMARY = 139  # CDS Hooks: fewer than 140 characters
_ALWAYS = {"version", "hash", "signed", "next-review", "fresh-days", "alarm-days"}
_STAMP = {"version", "hash", "next-review"}
_DETAIL = {"reasons", "unknown", "basis", "sources", "filled-in", "history", "superseded", "denied", "orders"}
_RESPONSE = {
    "filled-in": {"date", "who"},
    "filled-in-status": {"date", "who", "status"},
    "no-date": set[str](),
    "answers": {"answers"},
    "superseded": {"old", "new", "reasons"} | _ALWAYS,
    "note": {"rows"} | _ALWAYS,
}

Mistake = tuple[str, str, str]  # file, place, what is wrong and what to write instead


def text_mistakes(screening: Screening) -> Iterator[Mistake]:
    """Everything that is wrong with the texts of one screening."""
    for file, place, text, places in _texts(screening):
        for words in (text or {}).values():
            if wrong := _wrong_place(words, places):
                yield file, place, wrong
            if place.endswith(("summary", "patient")) and (len(words) > MAX_SUMMARY or "\n" in words):
                yield file, place, f"write one line of at most {MAX_SUMMARY} characters"
    yield from _unstamped(screening)
    for name, template in screening.texts.resource.items():
        if any(set(part) != set(LANGUAGES) for part in _dicts(template.body) if set(part) & set(LANGUAGES)):
            yield (
                "texts.toml",
                f"resource.{name}",
                f"a text lacks a language; write it in each of: {', '.join(LANGUAGES)}",
            )


def _texts(screening: Screening) -> Iterator[tuple[str, str, Mapping[str, str] | None, set[str]]]:
    """(file, place, text, places that it may hold) for every text that can stand on a card."""
    shared, words = screening.texts, screening.words
    for one in screening.findings:
        yield "findings.toml", f"finding.{one.row}.summary", one.summary, set()
        yield "findings.toml", f"finding.{one.row}.reason", one.reason, set()
    yield "texts.toml", "offer.summary", shared.offer.summary, set()
    for name, disposition in screening.dispositions.items():
        yield "advice.toml", f"{name}.patient", disposition.patient, set()
    for file, name, card in screening.cards:
        for part in card.detail:
            yield file, f"{name}.detail", {"nl": part.nl, "en": part.en}, _DETAIL | _ALWAYS | shared.text.keys()
        for suggestion in card.suggestion:
            yield file, f"{name}.suggestion", suggestion.label, set()
    for name, kind in screening.orders.items():
        yield "orders.toml", f"{name}.annotation", kind.annotation, set()
        for card in kind.card:
            yield "orders.toml", f"{name}.{card.row}.summary", _longest(screening, card), {"advice"}
    for part in shared.closing:
        yield "texts.toml", "closing", {"nl": part.nl, "en": part.en}, _DETAIL | _ALWAYS | shared.text.keys()
    yield "texts.toml", "source", shared.source, _ALWAYS
    yield from (("texts.toml", place, text, set[str]()) for place, text in _plain(screening))
    for name, text in words.response.items():
        yield "words.toml", f"response.{name}", text, _RESPONSE.get(name, set())
    yield from (("words.toml", f"who.{name}", text, set[str]()) for name, text in words.who.items())
    yield from (("words.toml", f"doubt.{name}", text, _ALWAYS) for name, text in words.doubt.items())


def _unstamped(screening: Screening) -> Iterator[Mistake]:
    """Where a card would not say which content it rests on, and when that must be reviewed again."""
    for place, parts in (("closing", screening.texts.closing), ("offer.detail", screening.texts.offer.detail)):
        for language in LANGUAGES:
            shown = {name for part in parts for name in PLACE.findall(getattr(part, language))}
            if lacking := " and ".join(f"{{{name}}}" for name in sorted(_STAMP - shown)):
                yield "texts.toml", place, f"every card shows which content it rests on; write {lacking}"


def _longest(screening: Screening, card: OrderCard) -> dict[str, str]:
    """The summary of a card about orders, with the longest that {advice} may stand for."""
    named = [one for one in screening.findings if one.advice in screening.dispositions]
    fitting = [one.summary or {} for one in named if screening.class_of(one) == card.when]
    advice = {language: max((one.get(language, "") for one in fitting), key=len, default="") for language in LANGUAGES}
    return {language: text.replace("{advice}", advice[language]) for language, text in card.summary.items()}


def _plain(screening: Screening) -> Iterator[tuple[str, Mapping[str, str]]]:
    shared = screening.texts
    yield from (("signed", shared.signed), ("unsigned", shared.unsigned), ("denied", shared.denied))
    yield from ((f"text.{name}", text) for name, text in shared.text.items())
    yield from ((f"link.{name}", link.label) for name, link in shared.link.items())
    yield from ((f"link.{name}.smart", link.smart.label) for name, link in shared.link.items() if link.smart)
    yield from ((f"resource.{name}", resource.action) for name, resource in shared.resource.items())


def _wrong_place(words: str, known: set[str]) -> str:
    """What is wrong with the {places} of a text; empty when nothing is."""
    try:
        places = [name for _, name, _, _ in Formatter().parse(words) if name is not None]
    except ValueError:
        return "a { or } has no other half; write both"
    wrong = next((name for name in places if name not in known), None)
    near = get_close_matches(wrong.lower(), known, n=3) or sorted(known) if wrong is not None else []
    return "" if wrong is None else f"unknown place '{{{wrong}}}'; write one of: {', '.join(near) or 'no place'}"


def _dicts(value: Any) -> Iterator[Json]:
    if isinstance(value, dict):
        yield value
    for part in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _dicts(part)


def resource_mistakes(resource: Json, base: str) -> Iterator[tuple[str, str]]:
    """(place, mistake) for every text of a published resource that is not there in every language."""
    instead = f"write a translation for each of: {', '.join(LANGUAGES)}"
    for place, parent, name in _named_texts(resource, base):
        if set(texts(parent, name, resource["language"])) != set(LANGUAGES):
            yield f"{place}.{name}", instead
    for code, found in displays([resource], resource["id"]).items():
        if not set(found) >= set(LANGUAGES):
            yield f"concept {code}", f"write a display, and a designation for each of: {', '.join(LANGUAGES)}"


def _named_texts(resource: Json, base: str) -> Iterator[tuple[str, Json, str]]:
    """(place, what holds it, its name) for each text that must be there."""
    for name in ("title", "description", "purpose", "copyright"):
        if name in resource or name == "title":
            yield resource["resourceType"], resource, name
    for item in items_of(resource):
        yield item["linkId"], item, "text"
        for coding in [*item.get("code", []), *(one.get("valueCoding", {}) for one in item.get("answerOption", []))]:
            if str(coding.get("system", base)).startswith(base):  # others' code systems have their own texts
                yield item["linkId"], coding, "display"
