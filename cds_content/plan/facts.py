"""The facts: one FHIRPath expression that reads a response as the service does, and gives one string.

    ;counts;current;;lbp-present=yes;;age=#40;;rf-other=pregnant;rf-other=weight-loss;;

`counts` where alarms count, `current` where "no" answers count as well; then each item that is answered between `;;`,
with one `linkId=code` (or `linkId=#number`) for each of its answers, and nothing after `=` for one that cannot be read.
A response that does not count gives `;`. No code or linkId that was sent can pose as another: `;`, `#`, `@` and blanks
in it become `?`. Only functions of FHIRPath N1 are used (aggregate() is for trial use there). What is followed here is
cds_service.responses and .answers.
"""

import re

from cds_content.screening import Question, Screening
from cds_service.responses import AHEAD, READ, UNFINISHED

NOTHING = ";"
COUNTS, CURRENT = ";counts;", ";counts;current;"
_END = r"$(?!\s)"  # the end of the text, with not even a line break after it

# A dateTime of FHIR that exists in the calendar; a time has a zone, and no 60th second.
_MONTH_DAY = "(0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8])"
_LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29"
_TIME = "T([01][0-9]|2[0-3])(:[0-5][0-9]){2}([.][0-9]+)?(Z|[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_MOMENT = f"^(?!0000)([0-9]{{4}}(-(0[1-9]|1[0-2]))?|([0-9]{{4}}-({_MONTH_DAY})|{_LEAP})({_TIME})?){_END}"
_START = "($this & '-01-01T00:00:00Z'.substring(length() - 4)).toDateTime()"  # a date has no zone: read as UTC
_HARMLESS = r".replaceMatches('[;#@\\s]', '?')"
_PATIENT = f"^(https?://.*/)?Patient/[A-Za-z0-9.-]{{1,64}}(/_history/[A-Za-z0-9.-]{{1,64}})?{_END}"


def facts(screening: Screening) -> str:
    """The expression, for %resource = the response; whom it is about, and when, is judged by what it says itself."""
    one_of_ours = f"$this != 'history' and {_is_read(screening)}"
    current = f"$this = 'fresh' and {_is_current(screening)}"
    body = f"{quoted(COUNTS)} & iif({current}, 'current;', '') & {_answers(screening)} & ';'"
    return f"('' & {_age(screening)}).select(iif({one_of_ours}, {body}, '{NOTHING}'))"


def quoted(text: str) -> str:
    """A string of FHIRPath."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def matching(pattern: str) -> str:
    """A test whether a string matches, whole or in part: engines differ, so patterns say where text begins and ends."""
    return f"matches({quoted(pattern)})"


def one_of(texts: list[str]) -> str:
    """A collection of strings of FHIRPath."""
    return f"({' | '.join(quoted(text) for text in texts)})"


def fact(screening: Screening, question: Question, code: str) -> str:
    """How the facts write that a question was answered with this option."""
    return f"{plain(question.link_id)}={plain(code)}{_mark(screening, question.system)}"


def plain(name: str) -> str:
    """A linkId or code. Raises ValueError for one that the facts cannot hold."""
    if not re.fullmatch(r"[\w/.-]+", name, re.ASCII):
        raise ValueError(f"'{name}': write linkIds and codes of letters, digits, '-', '_', '.' and '/'")
    return name


def literally(text: str) -> str:
    """A regular expression for a plain name, or for a fact."""
    return text.replace(".", "[.]")


def _systems(screening: Screening) -> list[str]:
    return list(dict.fromkeys(one.system for one in screening.questions.values() if one.options))


def _mark(screening: Screening, system: str) -> str:
    """What tells the codes of a second code system from those of the first."""
    place = _systems(screening).index(system)
    return f"@{place}" if place else ""


def _age(screening: Screening) -> str:
    """`history` when alarms no longer count, `fresh` when "no" answers count; empty when neither or not known."""
    alarming, fresh = screening.alarming.days, screening.fresh.days
    ends = f"iif(length() = 10, now() - {alarming + 1} days, now() - {alarming} days)"
    for length, span in ((7, "1 month"), (4, "1 year")):
        ends = f"iif(length() = {length}, now() - {alarming} days - {span}, {ends})"
    known = f"{_START} >= now() - {fresh} days and {_START} <= now() + {AHEAD.seconds // 60} minutes"
    age = f"iif({_START} < {ends}, 'history', iif({known}, 'fresh', ''))"
    return f"%resource.authored.toString().where({matching(_MOMENT)}).select({age})"


def _is_read(screening: Screening) -> str:
    """Whether the response is to a version of our form that we know, in a status that is read."""
    url = screening.questionnaire["url"]
    forms = one_of([url, *(f"{url}|{version}" for version in sorted(screening.accepts))])
    bare = "%resource.modifierExtension.empty() and %resource.implicitRules.empty()"
    return f"%resource.questionnaire in {forms} and %resource.status in {one_of(list(READ))} and {bare}"


def _is_current(screening: Screening) -> str:
    """Whether a fresh response is complete: finished, about a patient, and with nothing that is not in the form."""
    finished = [status for status in READ if status not in UNFINISHED]
    asked, shown = _named(list(screening.questions)), _named(sorted(screening.displays))
    known = f"iif({asked}, true, {shown} and answer.empty() and modifierExtension.empty())"
    return (
        f"%resource.status in {one_of(finished)} and %resource.subject.reference.{matching(_PATIENT)}"
        f" and %resource.repeat(item.combine(answer.item)).all({known if screening.displays else asked})"
    )


def _named(link_ids: list[str]) -> str:
    names = "|".join(literally(plain(link_id)) for link_id in link_ids)
    return f"linkId.{matching(f'^({names}){_END}')}"


def _answers(screening: Screening) -> str:
    """The facts of every item, wherever it is nested, one after the other."""
    codes = " & ".join(_code(screening, system) for system in _systems(screening)) or "''"
    number = "iif(value.ofType(integer).extension.empty(), value.ofType(integer).select('#' & toString()), '')"
    value = f"iif(modifierExtension.exists(), '', iif(value.ofType(Coding).exists(), {codes}, {number}))"
    name = f"linkId{_HARMLESS}"
    each = f"answer.aggregate($total.combine($total.first() & '=' & {value}), {name}).tail()"
    item = f"iif(modifierExtension.exists(), ';' & {name} & '=;', {each}.aggregate($total & $this & ';', ';'))"
    damaged = f"{_modified()}.where(answer.exists()).select(';' & {name} & '=;')"
    return f"{_items(screening)}.select({item}).combine({damaged}).aggregate($total & $this, '')"


def _modified() -> str:
    """Every item below one that has a modifier extension, or in an answer that has one: none of these is known."""
    every, below, changed = (
        "%resource.repeat(item.combine(answer.item))",
        "item.combine(answer.item)",
        "where(modifierExtension.exists())",
    )
    in_answers = f"{every}.answer.{changed}.item"
    return f"{every}.{changed}.repeat({below}).combine({in_answers}).combine({in_answers}.repeat({below}))"


def _code(screening: Screening, system: str) -> str:
    mark = _mark(screening, system)
    coded = f"value.ofType(Coding).where(system = {quoted(system)}).code{_HARMLESS}"
    return f"{coded}.select($this & {quoted(mark)})" if mark else coded


def _items(screening: Screening) -> str:
    """Every item of the response: those as deep as the form goes by their paths, which keep what is there twice.

    Deeper ones are found by repeat(), which may pass over one that equals another.
    """
    level, levels = ["%resource.item"], [["%resource.item"]]
    for _ in range(_depth(screening.questionnaire["item"]) - 1):
        level = [f"{path}{step}" for path in level for step in (".item", ".answer.item")]
        levels.append(level)
    paths = [path for level in levels for path in level]
    return f"{_combined(paths)}.combine({_combined(level)}.repeat(item.combine(answer.item)))"


def _depth(items: list[dict[str, object]]) -> int:
    inner = [item["item"] for item in items if "item" in item]
    return 1 + max((_depth(one) for one in inner if isinstance(one, list)), default=0)


def _combined(paths: list[str]) -> str:
    return paths[0] + "".join(f".combine({path})" for path in paths[1:])
