"""What one response answers: known, not known, unreadable, contradictory or missing; and never a guess."""

from typing import Any

import pytest

from cds_service.answers import MOST, Answer, is_overfull, read_answers
from tests.core.parts import SYSTEM, coded, entry, number, question, read, said, screening

pytestmark = pytest.mark.timeless

UNREADABLE = Answer(doubt="unreadable")
MODIFIER = [{"url": "https://x.example"}]
CODE = {"system": SYSTEM, "code": "no"}
SEVERAL = question(repeats=True, exclusive=frozenset({"no"}))

# What the item says → what is known of it.
ONE_ITEM: list[tuple[str, Any, Answer]] = [
    ("one of our codes is known", [coded("no")], said("no")),
    ("so is an alarming one", [coded("yes")], said("yes")),
    ("the option for it says that it is not known", [coded("unknown")], said("unknown", doubt="not-known")),
    ("a display that somebody wrote is not read", [{"valueCoding": CODE | {"display": "yes"}}], said("no")),
    ("beside a value an extension may stand", [coded("no", extension=MODIFIER)], said("no")),
    (
        "two answers where one is asked contradict",
        [coded("no"), coded("yes")],
        said("no", "yes", doubt="contradictory"),
    ),
    ("so does the same answer twice", [coded("no"), coded("no")], said("no", doubt="contradictory")),
    ("a contradiction comes before what is unreadable", [coded("yes"), {}], said("yes", doubt="contradictory")),
    ("an empty list of answers is damage", [], UNREADABLE),
    ("an answer that is an object is damage", coded("no"), UNREADABLE),
    ("an answer that is text is damage", "no", UNREADABLE),
    ("an answer that is null is damage", None, UNREADABLE),
    ("a value that is no object is unreadable", ["no"], UNREADABLE),
    ("an answer without a value is unreadable", [{}], UNREADABLE),
    ("a modifier may turn an answer round", [coded("no", modifierExtension=MODIFIER)], UNREADABLE),
    ("a value of another type is unreadable", [{"valueString": "no"}], UNREADABLE),
    ("two values in one answer are unreadable", [coded("no", valueString="no")], UNREADABLE),
    ("a value with an extension of its own is unreadable", [coded("no", _valueString={})], UNREADABLE),
    ("a coding that is text is unreadable", [{"valueCoding": "no"}], UNREADABLE),
    ("a code of another system is unreadable", [{"valueCoding": CODE | {"system": "https://x.example"}}], UNREADABLE),
    ("a code without a system is unreadable", [{"valueCoding": {"code": "no"}}], UNREADABLE),
    ("a code that is none of ours is unreadable", [coded("maybe")], UNREADABLE),
    ("a code that is a list is unreadable", [coded(["no"])], UNREADABLE),
    ("a coding without a code is unreadable", [{"valueCoding": {"system": SYSTEM}}], UNREADABLE),
    ("a number where a code is asked is unreadable", [{"valueInteger": 3}], UNREADABLE),
]


@pytest.mark.parametrize(("given", "known"), [row[1:] for row in ONE_ITEM], ids=[row[0] for row in ONE_ITEM])
def test_an_item_is_read_without_guessing(given: Any, known: Answer) -> None:
    assert read(entry(given))["pain"] == known


# The number of a question that allows 1 to 120 → what is known of it.
NUMBERS: list[tuple[str, Any, Answer]] = [
    ("the lowest", [{"valueInteger": 1}], Answer(span=(1, 1))),
    ("the highest", [{"valueInteger": 120}], Answer(span=(120, 120))),
    ("below the lowest", [{"valueInteger": 0}], UNREADABLE),
    ("above the highest", [{"valueInteger": 121}], UNREADABLE),
    ("true is no number", [{"valueInteger": True}], UNREADABLE),
    ("text is no number", [{"valueInteger": "40"}], UNREADABLE),
    ("a part of a number", [{"valueInteger": 40.5}], UNREADABLE),
    ("a code is no number", [coded("no")], UNREADABLE),
    (
        "two numbers contradict, and the range covers both",
        [{"valueInteger": 70}, {"valueInteger": 40}],
        Answer(span=(40, 70), doubt="contradictory"),
    ),
]


@pytest.mark.parametrize(("given", "known"), [row[1:] for row in NUMBERS], ids=[row[0] for row in NUMBERS])
def test_a_number_is_read_within_its_bounds(given: Any, known: Answer) -> None:
    assert read(entry(given, "age"), asked=(number(),))["age"] == known


# Several answers to a question that allows several, and whose "no" excludes all others.
REPEATED: list[tuple[str, list[Any], Answer]] = [
    ("two answers go together", [coded("yes"), coded("unknown")], said("yes", "unknown", doubt="not-known")),
    (
        "one that excludes the others contradicts them",
        [coded("no"), coded("yes")],
        said("no", "yes", doubt="contradictory"),
    ),
    ("alone it does not", [coded("no")], said("no")),
    ("one that is unreadable leaves the other alarming", [coded("yes"), {}], said("yes", doubt="unreadable")),
]


@pytest.mark.parametrize(("given", "known"), [row[1:] for row in REPEATED], ids=[row[0] for row in REPEATED])
def test_several_answers_are_read_together(given: list[Any], known: Answer) -> None:
    assert read(entry(given), asked=(SEVERAL,))["pain"] == known


def test_two_items_for_one_question_contradict_even_where_several_answers_are_allowed() -> None:
    answers = read(entry([coded("yes")]), entry([coded("unknown")]), asked=(SEVERAL,))

    assert answers["pain"] == said("yes", "unknown", doubt="contradictory")
    assert not answers.stray


@pytest.mark.parametrize("items", [[], [{"linkId": "pain"}]], ids=["no item", "an item without an answer"])
def test_a_question_that_nobody_answered_is_missing(items: list[Any]) -> None:
    answers = read(*items)

    assert answers["pain"] == Answer(doubt="missing")
    assert not answers.stray


def test_a_modifier_on_an_item_makes_it_unreadable() -> None:
    assert read(entry([coded("no")], modifierExtension=MODIFIER))["pain"] == UNREADABLE


# ---------------------------------------------------------------------------------------------- follow-ups

FOLLOW_UP = question("more", shown_for={"pain": frozenset({"yes", "unknown"})})
BOTH = (question(), FOLLOW_UP)

FOLLOWED: list[tuple[str, list[Any], Answer]] = [
    ("asked and not answered: missing", [entry([coded("yes")])], Answer(doubt="missing")),
    ("not asked and not answered: nothing is missing", [entry([coded("no")])], Answer(asked=False)),
    ("asked and answered", [entry([coded("unknown")]), entry([coded("no")], "more")], said("no")),
    (
        "answered where its parent excludes it: a contradiction in which the alarm counts",
        [entry([coded("no")]), entry([coded("yes")], "more")],
        said("yes", doubt="contradictory"),
    ),
    (
        "unreadable where its parent excludes it: a contradiction, not an absence",
        [entry([coded("no")]), entry([{}], "more")],
        Answer(doubt="contradictory"),
    ),
    ("before its parent in the response", [entry([coded("no")], "more"), entry([coded("yes")])], said("no")),
]


@pytest.mark.parametrize(("items", "known"), [row[1:] for row in FOLLOWED], ids=[row[0] for row in FOLLOWED])
def test_a_follow_up_is_asked_by_the_answer_of_its_parent(items: list[Any], known: Answer) -> None:
    assert read(*items, asked=BOTH)["more"] == known


def test_a_follow_up_is_asked_where_any_of_its_parents_asks_it() -> None:
    more = question("more", shown_for={"pain": frozenset({"yes"}), "other": frozenset({"yes"})})
    items = [entry([coded("no")]), entry([coded("yes")], "other")]

    assert read(*items, asked=(question(), question("other"), more))["more"] == Answer(doubt="missing")


# ------------------------------------------------------------------------------------------ nesting and strays

NESTED: list[tuple[str, Any]] = [
    ("in a group", {"linkId": "text", "item": [entry([coded("yes")])]}),
    ("in a group of a group", {"linkId": "text", "item": [{"linkId": "text", "item": [entry([coded("yes")])]}]}),
    ("below an answer", entry([coded("no", item=[entry([coded("yes")])])], "other")),
    ("below the second answer", entry([coded("no"), coded("no", item=[entry([coded("yes")])])], "other")),
    ("below an answer that is damaged", entry([None, {"item": [entry([coded("yes")])]}], "other")),
    ("behind an item that is damaged", {"linkId": "text", "item": [None, 7, {}, entry([coded("yes")])]}),
]


@pytest.mark.parametrize("item", [row[1] for row in NESTED], ids=[row[0] for row in NESTED])
def test_an_alarm_is_found_wherever_it_is_nested(item: Any) -> None:
    asked = (question(), question("other"))

    assert read(item, asked=asked, displays=frozenset({"text"}))["pain"] == said("yes")


def below_a_modifier(*, deep: bool = False, answer: bool = False, code: str = "no") -> Any:
    """An answer that stands below an item, or in an answer, whose meaning an extension changes."""
    inner = entry([coded(code)])
    held = {"linkId": "text", "item": [inner]} if deep else inner
    if answer:
        return entry([coded("no", modifierExtension=MODIFIER, item=[held])], "other")
    return {"linkId": "text", "modifierExtension": MODIFIER, "item": [held]}


@pytest.mark.parametrize("deep", [False, True], ids=["at once", "deeper"])
@pytest.mark.parametrize("answer", [False, True], ids=["of an item", "of an answer"])
def test_below_a_modifier_an_alarm_counts_and_nothing_is_known(*, answer: bool, deep: bool) -> None:
    asked, texts = (question(), question("other")), frozenset({"text"})

    for code in ("no", "yes"):
        item = below_a_modifier(deep=deep, answer=answer, code=code)
        assert read(item, asked=asked, displays=texts)["pain"] == said(code, doubt="contradictory")


def test_in_an_answer_of_an_item_with_a_modifier_nothing_is_known() -> None:
    item = entry([coded("no", item=[entry([coded("no")])])], "other", modifierExtension=MODIFIER)

    assert read(item, asked=(question(), question("other")))["pain"] == said("no", doubt="contradictory")


@pytest.mark.parametrize(("below", "whole"), [(166, True), (167, False)])
def test_what_is_there_once_more_below_a_modifier_counts_as_one(*, below: int, whole: bool) -> None:
    """The item above, and for each below it the item, its answer and the damage: with 166 of them 499 of the 500."""
    held = {"linkId": "text", "modifierExtension": MODIFIER, "item": [entry([coded("no")])] * below}

    assert is_overfull({"item": [held]}) is not whole


def test_beside_a_modifier_an_answer_is_known() -> None:
    asked = (question(), question("other"))

    assert read(entry([coded("no")], "other", modifierExtension=MODIFIER), entry([coded("no")]), asked=asked)[
        "pain"
    ] == said("no")


def test_a_follow_up_that_nobody_answered_below_a_modifier_is_missing() -> None:
    item = {"linkId": "text", "modifierExtension": MODIFIER, "item": [{"linkId": "pain"}]}

    assert read(item, displays=frozenset({"text"}))["pain"] == Answer(doubt="missing")


STRAY: list[tuple[str, Any]] = [
    ("a question that is not in the form", entry([coded("no")], "extra")),
    ("one without an answer", {"linkId": "extra"}),
    ("a text with an answer", entry([coded("no")], "text")),
    ("a text with an answer that is null", entry(None, "text")),
    ("an item that is null", None),
    ("an item that is text", "pain"),
    ("an item without a linkId", {"answer": [coded("no")]}),
    ("an item whose linkId is a number", entry([coded("no")], 7)),
    ("items that are no list", {"linkId": "pain", "item": {"linkId": "pain"}}),
    ("items that are null", {"linkId": "pain", "item": None}),
]


@pytest.mark.parametrize("item", [row[1] for row in STRAY], ids=[row[0] for row in STRAY])
def test_a_part_that_is_not_in_the_form_is_noticed(item: Any) -> None:
    assert read(item, displays=frozenset({"text"})).stray


def test_what_stands_behind_a_stray_item_is_read() -> None:
    assert read(None, entry([coded("no")], "extra"), entry([coded("yes")]))["pain"] == said("yes")


def test_a_stray_item_is_not_forgotten_for_the_sound_ones_after_it() -> None:
    assert read(
        entry([coded("no")], "extra"), {"linkId": "text"}, entry([coded("no")]), displays=frozenset({"text"})
    ).stray


def test_a_text_of_the_form_is_no_stray_part() -> None:
    assert not read({"linkId": "text"}, entry([coded("no")]), displays=frozenset({"text"})).stray


@pytest.mark.parametrize("response", [{}, {"item": []}], ids=["no items", "an empty list of items"])
def test_an_empty_response_answers_nothing_and_holds_nothing_strange(response: dict[str, Any]) -> None:
    answers = read_answers(response, {"pain": question()}, frozenset())

    assert answers["pain"] == Answer(doubt="missing")
    assert not answers.stray
    assert not is_overfull(response)


# ------------------------------------------------------------------------------------------------- bounds

TEXTS = [{"linkId": "text"}] * MOST
LAST = entry([coded("yes")])  # an item and an answer


@pytest.mark.parametrize(
    ("before", "whole"), [(MOST - 2, True), (MOST - 1, False), (MOST, False)], ids=["the most", "one more", "two more"]
)
def test_no_more_than_the_most_items_and_answers_are_read(before: int, whole: bool) -> None:
    items = [*TEXTS[:before], LAST]

    answers = read(*items, displays=frozenset({"text"}))

    assert answers["pain"] == (said("yes") if whole else Answer(doubt="missing"))
    assert answers.stray is not whole
    assert is_overfull({"item": items}) is not whole


def test_a_whole_response_to_the_form_is_within_the_most() -> None:
    form = screening()
    items = [entry([coded("no")] * max(len(one.options), 1), name) for name, one in form.questions.items()]

    assert not is_overfull({"item": [*items, *({"linkId": name} for name in form.displays)]})


def test_every_answer_of_an_item_counts_towards_the_most() -> None:
    items = [entry([coded("no")] * (MOST - 1))]

    assert not is_overfull({"item": items})
    assert is_overfull({"item": [*items, {"linkId": "text"}]})


def test_an_item_that_is_damaged_counts_as_one() -> None:
    assert not is_overfull({"item": [None] * MOST})
    assert is_overfull({"item": [None] * (MOST + 1)})


def test_what_was_read_before_the_most_is_kept() -> None:
    answers = read(LAST, *TEXTS, displays=frozenset({"text"}))

    assert answers["pain"] == said("yes")
    assert answers.stray


def test_the_answer_to_a_question_that_is_not_in_the_form_is_an_error_not_a_calm_answer() -> None:
    with pytest.raises(KeyError):
        read()["extra"]
