"""The grammar of findings.toml: each form of `when`, true, false or unknown; `all` and `any` over the three."""

from typing import Any

import pytest

from cds_service.answers import Answer, Answers
from cds_service.findings import Atom, Truth, support, truth
from tests.core.parts import said, when

pytestmark = pytest.mark.timeless

YES, NO, UNKNOWN = (when(answer=name, is_=["yes"]) for name in ("yes", "no", "unknown"))
ANSWERS = {"yes": said("yes"), "no": said("no"), "unknown": said("unknown", doubt="not-known")}


def of(condition: Any, **answers: Answer) -> Truth:
    return truth(condition, Answers(ANSWERS | answers))


# Kleene: `all` is as true as its least part, `any` as its greatest.
PARTS = [
    ((YES, YES), Truth.YES, Truth.YES),
    ((YES, UNKNOWN), Truth.UNKNOWN, Truth.YES),
    ((UNKNOWN, NO), Truth.NO, Truth.UNKNOWN),
    ((YES, NO), Truth.NO, Truth.YES),
    ((NO, NO), Truth.NO, Truth.NO),
    ((UNKNOWN, UNKNOWN), Truth.UNKNOWN, Truth.UNKNOWN),
]


@pytest.mark.parametrize(("parts", "all_", "any_"), PARTS)
def test_all_is_its_least_part_and_any_its_greatest(parts: tuple[Any, ...], all_: Truth, any_: Truth) -> None:
    for ordered in (parts, parts[::-1]):
        assert of(when(all_=ordered)) is all_
        assert of(when(any_=ordered)) is any_


CODES = when(answer="pain", is_=["weakness", "both"])
LEFT_OUT = when(answer="pain", is_="not-known")

# condition, answer → its truth
ATOMS: list[tuple[str, Any, Answer, Truth]] = [
    ("one of the codes", CODES, said("both"), Truth.YES),
    ("none of the codes", CODES, said("none"), Truth.NO),
    ("several answers, one of which is among the codes", CODES, said("weakness", "none"), Truth.YES),
    ("one of the codes in a contradiction: the alarm counts", CODES, said("both", doubt="contradictory"), Truth.YES),
    ("none of the codes in a contradiction", CODES, said("none", doubt="contradictory"), Truth.UNKNOWN),
    ("missing", CODES, Answer(doubt="missing"), Truth.UNKNOWN),
    ("unreadable", CODES, Answer(doubt="unreadable"), Truth.UNKNOWN),
    ("not asked", CODES, Answer(asked=False), Truth.NO),
    ("not known is true of what is missing", LEFT_OUT, Answer(doubt="missing"), Truth.YES),
    ("not known is true of what is damaged", LEFT_OUT, Answer(doubt="unreadable"), Truth.YES),
    ("not known is true of the option for it", LEFT_OUT, said("unknown", doubt="not-known"), Truth.YES),
    ("not known is false of what is known", LEFT_OUT, said("none"), Truth.NO),
    ("over 50 at 50", when(answer="pain", over=50), Answer(span=(50, 50)), Truth.NO),
    ("over 50 at 51", when(answer="pain", over=50), Answer(span=(51, 51)), Truth.YES),
    ("at least 65 at 64", when(answer="pain", at_least=65), Answer(span=(64, 64)), Truth.NO),
    ("at least 65 at 65", when(answer="pain", at_least=65), Answer(span=(65, 65)), Truth.YES),
    ("at least 0 at 0", when(answer="pain", at_least=0), Answer(span=(0, 0)), Truth.YES),
    ("under 18 at 18", when(answer="pain", under=18), Answer(span=(18, 18)), Truth.NO),
    ("under 18 at 17", when(answer="pain", under=18), Answer(span=(17, 17)), Truth.YES),
    ("over 50 for any age of a range", when(answer="pain", over=50), Answer(span=(50, 51)), Truth.YES),
    ("at least 65 for any age of a range", when(answer="pain", at_least=65), Answer(span=(64, 65)), Truth.YES),
    ("under 18 for any age of a range", when(answer="pain", under=18), Answer(span=(17, 18)), Truth.YES),
    ("over 0 at 0", when(answer="pain", over=0), Answer(span=(0, 0)), Truth.NO),
    ("under 0 at 0", when(answer="pain", under=0), Answer(span=(0, 0)), Truth.NO),
    ("an age that is not known", when(answer="pain", over=50), Answer(doubt="missing"), Truth.UNKNOWN),
    ("an age that nobody asked for", when(answer="pain", over=50), Answer(asked=False), Truth.NO),
    (
        "an age in doubt that is over 50 all the same",
        when(answer="pain", over=50),
        Answer(span=(40, 70), doubt="contradictory"),
        Truth.YES,
    ),
    (
        "an age in doubt that is not over 50",
        when(answer="pain", over=50),
        Answer(span=(40, 40), doubt="unreadable"),
        Truth.UNKNOWN,
    ),
]


@pytest.mark.parametrize(("condition", "answer", "expected"), [row[1:] for row in ATOMS], ids=[row[0] for row in ATOMS])
def test_one_answer_makes_a_condition_true_false_or_unknown(condition: Any, answer: Answer, expected: Truth) -> None:
    assert of(condition, pain=answer) is expected


# condition → the answers that a card must name as its reason
REASONS: list[tuple[str, Any, set[Atom]]] = [
    ("the code that was given, not those that were not", when(answer="yes", is_=["yes", "more"]), {("yes", "yes")}),
    ("every code given that counts", when(answer="two", is_=["a", "b"]), {("two", "a"), ("two", "b")}),
    ("of alternatives those that are true", when(any_=[YES, NO, UNKNOWN]), {("yes", "yes")}),
    ("a number without a code", when(answer="age", over=50), {("age", "")}),
    ("what is not known without a code", when(answer="unknown", is_="not-known"), {("unknown", "")}),
    (
        "every part",
        when(all_=[YES, when(answer="age", at_least=65), when(any_=[NO, when(answer="two", is_=["b"])])]),
        {("yes", "yes"), ("age", ""), ("two", "b")},
    ),
]


@pytest.mark.parametrize(("condition", "atoms"), [row[1:] for row in REASONS], ids=[row[0] for row in REASONS])
def test_a_reason_rests_on_the_answers_that_make_it_true(condition: Any, atoms: set[Atom]) -> None:
    answers = Answers(ANSWERS | {"age": Answer(span=(70, 70)), "two": said("a", "b", "c")})

    assert support(condition, answers) == atoms
