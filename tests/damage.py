"""What may be wrong with a response: each way to damage an answer or item, each odd status, moment, subject and form.

A damage takes (response, linkId, question, draw) and changes the response; it does nothing where there is no such item.
Only what JSON of FHIR can hold: null, empty arrays and members that FHIR does not have are the service's own tests.
"""

from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from cds_content.screening import Question, Screening
from tests.samples import ago

Json = dict[str, Any]
Damage = Callable[[Json, str, Question, Random], None]

_ODD = {"url": "https://lowbackpain.example/fhir/StructureDefinition/odd", "valueBoolean": True}


def _holders(parent: Json) -> list[list[Json]]:
    """Every `item` array of a response, wherever it stands."""
    found = [parent["item"]] if isinstance(parent.get("item"), list) else []
    for item in parent.get("item", []):
        found += _holders(item)
        for answer in item.get("answer", []):
            found += _holders(answer)
    return found


def _found(sent: Json, name: str) -> list[tuple[list[Json], Json]]:
    return [(holder, item) for holder in _holders(sent) for item in holder if item.get("linkId") == name]


def _on_item(change: Callable[[list[Json], Json, Question, Random], None]) -> Damage:
    def damage(sent: Json, name: str, question: Question, draw: Random) -> None:
        for holder, item in _found(sent, name)[:1]:
            change(holder, item, question, draw)

    return damage


def _on_answer(change: Callable[[Json, Question, Random], Json]) -> Damage:
    """The first answer becomes what `change` makes of it."""

    def damage(sent: Json, name: str, question: Question, draw: Random) -> None:
        for _, item in _found(sent, name)[:1]:
            if item.get("answer"):
                item["answer"][0] = change(deepcopy(item["answer"][0]), question, draw)

    return damage


def _other(question: Question, draw: Random) -> Json:
    """An answer that the question offers."""
    if question.options:
        return {"valueCoding": {"system": question.system, "code": draw.choice(sorted(question.options))}}
    return {"valueInteger": draw.randint(question.low, question.high)}


def _with_code(**changed: Any) -> Damage:
    def change(answer: Json, question: Question, _: Random) -> Json:
        code = next(iter(question.options), "40")
        coding = {"system": question.system or "urn:x", "code": code} | answer.get("valueCoding", {}) | changed
        kept = {name: part for name, part in coding.items() if part is not None}
        return {"valueCoding": kept} | ({"item": answer["item"]} if "item" in answer else {})

    return _on_answer(change)


def _instead(**value: Any) -> Damage:
    return _on_answer(lambda _, __, ___: dict(value))


def _misspelt(mend: Callable[[str], str]) -> Damage:
    def change(answer: Json, question: Question, _: Random) -> Json:
        code = answer.get("valueCoding", {}).get("code", "40")
        return {"valueCoding": {"system": question.system, "code": mend(code)}}

    return _on_answer(change)


def _again(*, same: bool) -> Damage:
    """The item twice: as it is, or with another answer."""

    def change(holder: list[Json], item: Json, question: Question, draw: Random) -> None:
        copy = deepcopy(item) if same else {"linkId": item["linkId"], "answer": [_other(question, draw)]}
        holder.insert(draw.randint(0, len(holder)), copy)

    return _on_item(change)


def _more_answers(number: int, *, same: bool) -> Damage:
    def change(_: list[Json], item: Json, question: Question, draw: Random) -> None:
        for _time in range(number if item.get("answer") else 0):
            item["answer"].append(deepcopy(item["answer"][0]) if same else _other(question, draw))

    return _on_item(change)


def _member(**members: Any) -> Damage:
    return _on_item(lambda _, item, __, ___: item.update(deepcopy(members)))


def _without_answer(_: list[Json], item: Json, __: Question, ___: Random) -> None:
    item.pop("answer", None)


def _below(*above: str) -> Damage:
    """The item below others: `item` stands in an item, `answer` in the answer of one."""

    def change(holder: list[Json], item: Json, _: Question, __: Random) -> None:
        holder.remove(item)
        inner = item
        for step in above:
            inner = (
                {"linkId": "intro", "item": [inner]}
                if step == "item"
                else {"linkId": "intro", "answer": [{"item": [inner]}]}
            )
        holder.append(inner)

    return _on_item(change)


def _under_a_modified_neighbour(*, answer: bool) -> Damage:
    """The item below another whose meaning, or whose answer's, an extension changes that we do not know."""

    def change(holder: list[Json], item: Json, _: Question, draw: Random) -> None:
        others = [one for one in holder if one is not item and one.get("answer")]
        if others:
            holder.remove(item)
            neighbour = draw.choice(others)
            above = neighbour["answer"][0] if answer else neighbour
            above["modifierExtension"] = [{"url": "urn:x", "valueBoolean": True}]
            above.setdefault("item", []).append(item)

    return _on_item(change)


def _under_a_neighbour(holder: list[Json], item: Json, _: Question, draw: Random) -> None:
    """The item within, or within the answer of, another item of the form."""
    others = [one for one in holder if one is not item and one.get("answer")]
    if others:
        holder.remove(item)
        other = draw.choice(others)
        draw.choice((other, other["answer"][0])).setdefault("item", []).append(item)


def _stray(**members: Any) -> Damage:
    return _on_item(lambda holder, _, __, ___: holder.append(deepcopy(members)))


def _exclusive(_: list[Json], item: Json, question: Question, draw: Random) -> None:
    """An option that excludes the others, together with one of them."""
    if question.exclusive and item.get("answer"):
        codes = [draw.choice(sorted(question.exclusive)), draw.choice(sorted(question.options))]
        item["answer"] = [{"valueCoding": {"system": question.system, "code": code}} for code in codes]


def _tangled(holder: list[Json], item: Json, question: Question, _: Random) -> None:
    """Another item whose linkId reads like an answer to this one."""
    code = next(iter(question.options), "#40")
    holder.append({"linkId": f"x;{item['linkId']}={code};", "answer": [{"valueString": "x"}]})


ANSWERS: tuple[Damage, ...] = (
    _with_code(system="https://elsewhere.example/CodeSystem/answers"),
    _with_code(system=None),
    _with_code(code=None),
    _with_code(code="not-offered"),
    _with_code(display="as shown", userSelected=True),
    _misspelt(lambda code: f"{code} "),
    _misspelt(lambda code: f"{code}\n"),
    _misspelt(str.upper),
    _misspelt(lambda code: f"x;{code}"),
    _misspelt(lambda code: f"#{code}"),
    _instead(valueString="no"),
    _instead(valueBoolean=False),
    _instead(valueInteger=200),
    _instead(valueInteger=-1),
    _instead(valueInteger=17),
    _instead(valueDecimal=40.5),
    _instead(valueInteger=40, _valueInteger={"extension": [_ODD]}),
    _instead(valueDate="2026-01-01"),
    _instead(valueReference={"display": "no"}),
    _instead(extension=[_ODD]),
    _on_answer(
        lambda _, question, __: {"valueQuantity": {"system": question.system or "urn:x", "code": "no", "value": 1}}
    ),
    _on_answer(lambda answer, _, __: answer | {"modifierExtension": [_ODD]}),
    _on_answer(lambda answer, _, __: answer | {"extension": [_ODD], "id": "a1"}),
    _on_answer(lambda _, question, draw: _other(question, draw)),
)
ITEMS: tuple[Damage, ...] = (
    _on_item(_without_answer),
    _again(same=True),
    _again(same=False),
    _more_answers(1, same=True),
    _more_answers(1, same=False),
    _more_answers(3, same=False),
    _member(modifierExtension=[_ODD]),
    _member(modifierExtension=[_ODD | {"valueBoolean": False}], extension=[_ODD]),
    _member(text="as shown", id="i1", extension=[_ODD]),
    _below("item"),
    _below("item", "item"),
    _below("answer", "item"),
    _below("item", "item", "item", "item"),
    _on_item(_under_a_neighbour),
    _under_a_modified_neighbour(answer=False),
    _under_a_modified_neighbour(answer=True),
    _stray(linkId="not-in-the-form"),
    _stray(linkId="not-in-the-form", answer=[{"valueString": "x"}]),
    _stray(linkId="intro"),
    _stray(linkId="intro", answer=[{"valueString": "x"}]),
    _stray(linkId="intro", modifierExtension=[_ODD]),
    _on_item(_exclusive),
    _on_item(_tangled),
)

Members = Callable[[Screening], Json]  # members that replace those of a response; None leaves one out


def _members(**members: Any) -> Members:
    return lambda _: members


def _on_day(**span: float) -> str:
    return (datetime.now(UTC) - timedelta(**span)).date().isoformat()


STATUSES = tuple(
    _members(status=status)
    for status in ("completed", "amended", "in-progress", "stopped", "entered-in-error", "Completed", None)
)
MOMENTS = (
    *(_members(authored=ago(**span)) for span in ({"days": 6}, {"days": 8}, {"days": 29}, {"days": 31}, {"days": 900})),
    *(_members(authored=ago(minutes=minutes)) for minutes in (0, -3, -30, -60000)),
    *(_members(authored=_on_day(days=days)) for days in (0, 1, 6, 7, 8, 29, 30, 31, 33, -1, -3)),
    *(_members(authored=_on_day(days=days)[:7]) for days in (0, 20, 31, 62, 400, -40)),
    *(_members(authored=_on_day(days=days)[:4]) for days in (0, 400, 800, -400)),
    *(_members(authored=ago(hours=1).replace("+00:00", zone)) for zone in ("Z", "", "+01", "+15:00", "z", "+00:00 ")),
    *(
        _members(authored=ago(hours=20).replace("+00:00", zone))
        for zone in (".5Z", ".123456789Z", "+14:00", "+14:30", "-11:30")
    ),
    *(_members(authored=ago(hours=1)[:11] + time) for time in ("24:00:00Z", "10:60:00Z", "10:00:60Z", "10:00Z", "10Z")),
    *(_members(authored=authored) for authored in (None, "", "yesterday", "0000-01-01", "2026-13-01", "26-01-01")),
    *(_members(authored=f"{year}-02-29") for year in ("1900", "2000", "2023", "2024")),
    *(_members(authored=f"{_on_day(days=0)[:4]}-{day}") for day in ("02-30", "04-31", "00-10", "06-00", "6-1")),
)
SUBJECTS = tuple(
    _members(subject=subject)
    for subject in (
        None,
        {"display": "somebody"},
        {"reference": ""},
        {"reference": "#p1"},
        {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
        {"reference": "Practitioner/p1"},
        {"reference": "elsewhere/Patient/p1"},
        {"reference": "Patient/p1/extra"},
        {"reference": "Patient/p1/_history/2"},
        {"reference": "https://ehr.example/fhir/Patient/p1"},
        {"identifier": {"value": "1"}},
    )
)
FORMS: tuple[Members, ...] = (
    lambda screening: {"questionnaire": screening.questionnaire["url"]},
    lambda screening: {"questionnaire": f"{screening.questionnaire['url']}|9.9.9"},
    lambda screening: {"questionnaire": f"{screening.canonical}#item"},
    lambda screening: {"questionnaire": screening.canonical.upper()},
    _members(questionnaire=None),
    _members(questionnaire="https://elsewhere.example/Questionnaire/other"),
    _members(implicitRules="https://elsewhere.example/rules"),
    _members(modifierExtension=[_ODD]),
    _members(extension=[_ODD], language="nl", meta={"versionId": "1"}),
    _members(item=None),
)
