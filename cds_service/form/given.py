"""What came in from the form, and what is wrong with it. What was not offered is a fault, never an answer left out."""

import re
from collections.abc import Iterable, Iterator, Mapping

from cds_service.form.sheet import Entry, Sheet

Given = Mapping[str, tuple[str, ...]]  # linkId → codes, or the digits that were typed
_NUMBER = re.compile(r"\d{1,4}", re.ASCII)


def read(sheet: Sheet, fields: Iterable[tuple[str, list[str]]]) -> Given:
    """The answers among the fields of the page, without empty ones; what is no question of it is left to `strays`."""
    given = {name: tuple(dict.fromkeys(value.strip() for value in values)) for name, values in fields}
    kept = {name: tuple(value for value in values if value) for name, values in given.items()}
    return {entry.link_id: kept[entry.link_id] for entry in sheet.questions if kept.get(entry.link_id)}


def strays(sheet: Sheet, names: Iterable[str]) -> set[str]:
    """The names that are no question of the form: what they say is a fault, never an answer left out in silence."""
    return set(names) - {entry.link_id for entry in sheet.questions}


def shown(sheet: Sheet, given: Given) -> list[Entry]:
    """The questions that are asked with these answers: a follow-up is there while an answer calls for it."""
    asked: dict[str, Entry] = {}
    for entry in sheet.questions:
        called = any(
            parent in asked and codes & set(given.get(parent, ())) for parent, codes in (entry.shown_for or {}).items()
        )
        if called or not entry.shown_for:
            asked[entry.link_id] = entry
    return list(asked.values())


def faults(sheet: Sheet, given: Given) -> dict[str, str]:
    """linkId → what is wrong with the answer there, as a name of cds_service/words/form.toml."""
    found = ((entry.link_id, next(_faults(entry, given.get(entry.link_id, ())), "")) for entry in shown(sheet, given))
    return {link_id: fault for link_id, fault in found if fault}


def sound(sheet: Sheet, given: Given) -> Given:
    """What can be read of answers that may have faults: codes that are offered, and numbers in the range of
    the questions that are asked."""
    codes = {entry.link_id: {option.code for option in entry.options} for entry in sheet.questions if entry.options}
    wrong = {link_id for link_id, fault in faults(sheet, given).items() if fault == "no-number"}
    return {
        link_id: tuple(one for one in said if one in codes.get(link_id, {one}))
        for link_id, said in given.items()
        if link_id not in wrong
    }


def _faults(entry: Entry, said: tuple[str, ...]) -> Iterator[str]:
    if not said:
        yield from ["missing"] if entry.required else []
    elif entry.kind == "number":
        if len(said) > 1 or not _NUMBER.fullmatch(said[0]) or not entry.low <= int(said[0]) <= entry.high:
            yield "no-number"
    elif set(said) - {option.code for option in entry.options}:
        yield "not-offered"
    elif len(said) > 1 and entry.kind == "one":
        yield "one-only"
    elif len(said) > 1 and any(option.exclusive for option in entry.options if option.code in said):
        yield "contradictory"
