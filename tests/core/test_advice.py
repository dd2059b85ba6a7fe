"""How one disposition follows from the responses in hand: by the rows, and never from silence."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import permutations
from typing import Any

import pytest

from cds_service.advice import NO_ORDER, NO_SCREENING, Advice, Unknown, decide, older, says
from cds_service.answers import Answer
from cds_service.responses import Reading
from tests.core.parts import day, reading, said, screening

pytestmark = pytest.mark.timeless

ALARM = {"rf-saddle": said("new")}  # R02, an emergency
FALL = {"rf-accident": said("minor")}  # R20, advice of a doctor
WORSE = {"co-trend": said("worse")}  # R30, physiotherapist or doctor
DENIED = {"lbp-present": said("no")}
MISSING = Answer(doubt="missing")


def advise(*readings: Reading, doubts: Sequence[str] = ()) -> Advice:
    return decide(screening(), readings, doubts)


def some_time(one: Reading) -> Reading:
    """The same, filled in at some time of 20 March."""
    return replace(one, earliest=day(20, 0), latest=day(20, 23))


def unread(**members: Any) -> Reading:
    """A response that is not read: an alarm may stand in it."""
    nothing = dict.fromkeys(reading().answers.by_question, MISSING)
    return reading(nothing, alarms=False, hidden=True, **({"doubts": ("unknown-version",)} | members))


# ------------------------------------------------------------------------------------------ one response

# Its answers where they are not calm → the rows, most urgent first; the first row's disposition.
BY_THE_ROWS: list[tuple[str, Mapping[str, Answer], list[str], str]] = [
    ("calm", {}, ["R40"], "self-care"),
    ("an alarm", ALARM, ["R02"], "emergency-now"),
    ("a fall", FALL, ["R20"], "doctor-advice"),
    ("worse", WORSE, ["R30"], "physio-or-doctor"),
    ("the most urgent first", {**FALL, **ALARM, **WORSE}, ["R02", "R20", "R30"], "emergency-now"),
    (
        "rows of one disposition as in the table",
        {"rf-bladder-bowel": said("new"), **ALARM, "rf-sexual": said("new")},
        ["R01", "R02", "R03"],
        "emergency-now",
    ),
    ("no low back pain", DENIED, ["R50"], "not-applicable"),
    ("no low back pain, but an alarm", {**DENIED, **ALARM}, ["R02"], "emergency-now"),
    ("a safety answer is missing", {"rf-cancer": MISSING}, ["R00"], "incomplete"),
    ("a safety answer is missing beside an alarm", {"rf-cancer": MISSING, **ALARM}, ["R02", "R00"], "emergency-now"),
    ("a safety answer is missing beside worse pain", {"rf-cancer": MISSING, **WORSE}, ["R00", "R30"], "incomplete"),
    ("no low back pain, and a safety answer is missing", {"rf-cancer": MISSING, **DENIED}, ["R00"], "incomplete"),
    ("nobody knows whether there is back pain", {"lbp-present": MISSING}, ["R00"], "incomplete"),
    ("the course is not known", {"co-trend": MISSING}, ["R35"], "physio-or-doctor"),
]


@pytest.mark.parametrize(
    ("answers", "rows", "disposition"), [row[1:] for row in BY_THE_ROWS], ids=[row[0] for row in BY_THE_ROWS]
)
def test_one_complete_response_counts_by_the_rows(
    answers: Mapping[str, Answer], rows: list[str], disposition: str
) -> None:
    one = reading(answers)
    advice = advise(one)

    assert list(advice.rows) == rows
    assert advice.disposition == disposition
    assert advice.newest is one
    assert list(advice.readings) == [one]
    assert not advice.history


def test_a_finding_names_the_answers_it_rests_on_and_their_response() -> None:
    one = reading(ALARM)

    (fired,) = advise(one).fired

    assert (set(fired.rests_on), fired.reading) == ({("rf-saddle", "new")}, one)


def test_self_care_rests_on_the_course_of_the_pain() -> None:
    one = reading()

    (fired,) = advise(one).fired

    course = {("co-duration", "lt6w"), ("co-trend", "improving"), ("co-activities", "can"), ("co-guidance", "no")}
    assert (set(fired.rests_on), fired.reading) == (course, one)


@pytest.mark.parametrize("answers", [DENIED, {"rf-cancer": MISSING}], ids=["not applicable", "incomplete"])
def test_the_other_computed_rows_rest_on_no_answer(answers: Mapping[str, Answer]) -> None:
    (fired,) = advise(reading(answers)).fired

    assert (fired.rests_on, fired.reading) == (frozenset(), None)


def test_every_safety_answer_that_is_not_known_is_named_with_its_doubt() -> None:
    answers = {
        "rf-cancer": MISSING,
        "rf-saddle": Answer(doubt="unreadable"),
        "age": Answer(span=(40, 70), doubt="contradictory"),
        "rf-sexual": said("declined", doubt="not-known"),
        "co-trend": MISSING,
    }

    assert set(advise(reading(answers)).unknown) == {
        Unknown("missing", "rf-cancer"),
        Unknown("unreadable", "rf-saddle"),
        Unknown("contradictory", "age"),
        Unknown("not-known", "rf-sexual"),
    }


def test_where_something_is_not_known_nothing_else_is_said_to_be() -> None:
    assert advise(reading(), doubts=("partly-seen",)).unknown == (Unknown("partly-seen"),)


# ----------------------------------------------------------------------------------- what does not reassure


def test_without_any_response_the_screening_is_incomplete_and_the_advice_says_why() -> None:
    advice = advise()

    assert (advice.rows, advice.disposition) == (("R00",), "incomplete")
    assert advice.unknown
    assert (advice.newest, advice.readings, advice.history) == (None, (), ())


def test_a_doubt_about_all_responses_together_is_no_reassurance() -> None:
    advice = advise(reading(), doubts=["partly-seen", "partly-seen"])

    assert (advice.rows, advice.unknown) == (("R00",), (Unknown("partly-seen"),))


@pytest.mark.parametrize("doubt", ["too-old", "unfinished", "no-date", "no-subject", "unknown-question"])
def test_of_a_response_in_doubt_the_alarms_count_and_no_answer_reassures(doubt: str) -> None:
    members: dict[str, Any] = {"doubts": (doubt,), "on": None if doubt == "no-date" else day(20)}

    assert advise(reading(**members)).rows == ("R00",)
    assert advise(reading(WORSE, **members)).rows == ("R00",)
    assert advise(reading(DENIED, **members)).rows == ("R00",)
    advice = advise(reading(ALARM, **members))
    assert advice.rows == ("R02", "R00")
    assert advice.unknown == (Unknown(doubt),)
    assert advice.newest is None


def test_of_a_response_that_is_not_read_nothing_but_that_is_said() -> None:
    one = unread()
    advice = advise(one)

    assert (advice.rows, advice.unknown, advice.history) == (("R00",), (Unknown("unknown-version"),), ())
    assert advice.readings == (one,)


def test_an_alarm_of_more_than_30_days_is_history() -> None:
    old = reading(ALARM | WORSE, alarms=False, doubts=("history",))
    advice = advise(old)

    assert (advice.rows, advice.unknown) == (("R00",), (Unknown("history"),))
    assert [(one.finding.row, one.reading) for one in advice.history] == [("R02", old)]
    assert advice.readings == (old,)


def test_history_is_named_once_from_the_newest_response_that_holds_it() -> None:
    old, older_one = (reading(ALARM, day(number), alarms=False, doubts=("history",)) for number in (9, 2))

    for readings in permutations((old, older_one)):
        assert [one.reading for one in advise(*readings).history] == [old]


def test_only_what_is_too_old_to_count_is_history() -> None:
    recent = reading(FALL, day(12), doubts=("too-old",))
    advice = advise(recent, reading(ALARM, day(2), alarms=False, doubts=("history",)))

    assert advice.rows == ("R20", "R00")
    assert [one.finding.row for one in advice.history] == ["R02"]


def test_beside_a_complete_response_there_is_no_history() -> None:
    advice = advise(reading(), reading(ALARM, day(2), alarms=False, doubts=("history",)))

    assert (advice.rows, advice.history) == (("R40",), ())


def test_where_no_row_says_what_an_answer_means_the_screening_is_incomplete() -> None:
    whole = screening()
    fewer = replace(whole, findings=tuple(one for one in whole.findings if one.row not in ("R30", "R35")))

    for answer in (said("worse"), said("improving", "worse"), MISSING, said("improving", doubt="contradictory")):
        advice = decide(fewer, [reading({"co-trend": answer})])
        assert (advice.rows, advice.unknown) == (("R00",), (Unknown("no-rule"),))
    assert decide(fewer, [reading({"co-trend": Answer(asked=False)})]).rows == ("R40",)


def test_a_screening_without_a_rule_for_alarms_or_for_the_course_advises_as_well() -> None:
    whole = screening()
    computed = replace(whole, findings=tuple(one for one in whole.findings if one.computed))

    assert decide(computed, [reading()]).rows == ("R40",)


@pytest.mark.parametrize("answer", [Answer(), MISSING, Answer(span=(40, 41), doubt="contradictory")])
def test_a_number_only_has_to_be_known_for_reassurance(answer: Answer) -> None:
    whole = screening()
    age = whole.questions["age"]
    calm = replace(age, item=age.item.model_copy(update={"safety": False}))
    optional = replace(whole, questions={**whole.questions, "age": calm})

    assert decide(optional, [reading({"age": answer})]).rows == ("R00",)
    assert decide(optional, [reading({"age": Answer(span=(0, 0))})]).rows[-1] != "R00"


def test_an_option_without_an_answer_is_not_safe() -> None:
    whole = screening()
    fewer = replace(whole, findings=tuple(one for one in whole.findings if one.row != "R35"))

    assert decide(fewer, [reading({"co-trend": Answer()})]).rows == ("R00",)
    assert decide(fewer, [reading({"co-trend": Answer(span=(1, 1))})]).rows == ("R00",)


# ------------------------------------------------------------------------------------------ several responses


def test_the_no_answers_of_the_newest_complete_response_count() -> None:
    new, old = reading(), reading({"rf-cancer": MISSING, **WORSE}, day(19))

    for readings in permutations((new, old)):
        advice = advise(*readings)
        assert (advice.rows, advice.unknown, advice.readings, advice.newest) == (("R40",), (), (new,), new)


def test_an_older_reassuring_response_does_not_reassure_beside_a_newer_one_with_a_gap() -> None:
    advice = advise(reading(on=day(19)), reading({"rf-cancer": MISSING}))

    assert (advice.rows, advice.unknown) == (("R00",), (Unknown("missing", "rf-cancer"),))


def test_an_alarm_counts_although_a_newer_complete_response_does_not_report_it() -> None:
    new, old = reading(WORSE), reading(ALARM, day(10), doubts=("too-old",))

    for readings in permutations((new, old)):
        advice = advise(*readings)
        assert advice.rows == ("R02", "R30")
        assert [one.reading for one in advice.fired] == [old, new]
        assert (advice.readings, advice.newest) == ((new, old), new)


def test_an_alarm_in_several_responses_is_named_once_from_the_newest() -> None:
    three = [reading(ALARM, day(number)) for number in (20, 19, 18)]

    for readings in permutations(three):
        (fired,) = advise(*readings).fired
        assert fired.reading is three[0]
        assert advise(*readings).readings == (three[0],)


def test_of_responses_of_one_moment_the_same_is_the_newest_in_any_order() -> None:
    several = [reading(reference=f"QuestionnaireResponse/{name}") for name in "abc"]

    for pair in ([*several], [several[0], reading(on=day(20))]):
        assert len({id(advise(*readings).newest) for readings in permutations(pair)}) == 1


def test_the_newest_is_the_one_that_was_begun_last() -> None:
    whole_day = replace(reading(), earliest=day(19, 0), latest=day(20, 23))
    moment = reading(on=day(20, 8))

    for readings in permutations((whole_day, moment)):
        assert advise(*readings).newest is moment


def test_of_two_responses_neither_of_which_is_older_both_must_reassure() -> None:
    moment = reading(on=day(20, 8))

    both = some_time(reading())
    assert advise(moment, both).rows == ("R40",)
    assert advise(moment, both).readings == (both, moment)
    assert advise(moment, some_time(reading(WORSE))).rows == ("R30",)
    assert advise(moment, some_time(reading({"rf-cancer": MISSING}))).rows == ("R00",)


def test_back_pain_is_denied_only_where_all_say_so() -> None:
    moment = reading(DENIED, day(20, 8))

    assert advise(moment, some_time(reading(DENIED))).rows == ("R50",)
    assert advise(moment, some_time(reading())).rows == ("R00",)
    assert advise(some_time(reading()), moment).unknown == (Unknown("no-rule"),)


def test_back_pain_is_not_denied_where_a_later_unfinished_response_reports_it() -> None:
    unfinished = reading(on=day(21), status="in-progress", doubts=("unfinished",))

    assert advise(reading(DENIED), unfinished).rows == ("R00",)
    assert advise(reading(DENIED), replace(unfinished, answers=reading(DENIED).answers)).rows == ("R50",)


def test_denied_back_pain_comes_before_a_conservative_row() -> None:
    whole = screening()
    rows = tuple(
        one.model_copy(update={"when": one.when.all_[1]}) if one.row == "R30" and one.when and one.when.all_ else one
        for one in whole.findings
    )

    assert "R50" in decide(replace(whole, findings=rows), [reading({**DENIED, **WORSE})]).rows


@pytest.mark.parametrize("status", ["in-progress", "stopped"])
@pytest.mark.parametrize("gap", ["missing", "too-old", "unfinished"])
def test_the_gaps_of_an_unfinished_response_do_not_count_beside_a_complete_one(gap: str, status: str) -> None:
    unfinished = reading(
        {"rf-cancer": MISSING}, day(21), status=status, doubts=tuple({"unfinished", gap} - {"missing"})
    )

    assert advise(reading(), unfinished).rows == ("R40",)
    alone = advise(unfinished)
    assert alone.rows == ("R00",)
    assert {Unknown("unfinished"), Unknown("missing", "rf-cancer")} <= set(alone.unknown)


SIDES, PROGRESS = Unknown("missing", "rf-leg-sides"), Unknown("not-known", "rf-leg-progress")
NUMB: dict[str, Answer] = {"rf-leg": said("numbness"), "rf-leg-sides": MISSING}
NUMB |= {"rf-leg-progress": said("unknown", doubt="not-known")}


def test_what_an_unfinished_response_reports_and_does_not_follow_up_is_a_gap() -> None:
    unfinished = reading(NUMB | {"rf-cancer": MISSING}, day(21), status="in-progress", doubts=("unfinished",))
    advice = advise(reading(), unfinished)

    assert advice.rows == ("R21", "R00"), "whether both legs are numb, or quickly more (R04), is not known"
    assert set(advice.unknown) == {SIDES, PROGRESS}


def test_what_an_older_response_reports_and_does_not_follow_up_is_a_gap() -> None:
    advice = advise(reading(), reading(NUMB, day(19)))

    assert (advice.rows, set(advice.unknown)) == (("R21", "R00"), {SIDES, PROGRESS})


def test_a_gap_is_named_once() -> None:
    assert advise(reading(NUMB), reading(NUMB, day(19))).unknown.count(SIDES) == 1


def test_what_was_followed_up_is_no_gap() -> None:
    known = NUMB | {"rf-leg-sides": said("one"), "rf-leg-progress": said("no")}

    assert advise(reading(), reading(known, day(19))).rows == ("R21",)


def test_a_follow_up_of_what_was_not_reported_is_no_gap() -> None:
    odd = {"rf-leg": said("none"), "rf-leg-sides": MISSING}

    assert advise(reading(), reading(odd, day(19))).rows == ("R40",)


def test_a_follow_up_of_what_no_longer_counts_is_no_gap() -> None:
    history = reading(NUMB, day(1), alarms=False, doubts=("history",))

    assert advise(reading(), history).rows == ("R40",)


def test_what_is_in_doubt_in_an_unfinished_response_counts_beside_a_complete_one() -> None:
    answers = {"rf-cancer": Answer(doubt="unreadable"), "rf-saddle": said("unknown", doubt="not-known")}
    unfinished = reading(answers, day(21), status="in-progress", doubts=("unfinished", "unknown-question"))
    advice = advise(reading(), unfinished)

    assert advice.rows == ("R00",)
    assert set(advice.unknown) == {
        Unknown("unknown-question"),
        Unknown("unreadable", "rf-cancer"),
        Unknown("not-known", "rf-saddle"),
    }


def test_a_gap_of_a_complete_response_in_doubt_counts_beside_a_complete_one() -> None:
    late = reading({"rf-cancer": MISSING}, day(21), doubts=("no-subject",))

    assert set(advise(reading(), late).unknown) == {Unknown("no-subject"), Unknown("missing", "rf-cancer")}


def test_an_older_response_in_doubt_is_superseded_by_a_complete_one() -> None:
    old = reading({"rf-cancer": Answer(doubt="unreadable")}, day(19), doubts=("no-subject",))

    assert advise(reading(), old).rows == ("R40",)


def test_an_older_response_that_may_hide_an_alarm_is_not_superseded() -> None:
    hidden = unread(on=day(2))
    advice = advise(reading(), hidden)

    assert (advice.rows, advice.unknown) == (("R00",), (Unknown("unknown-version"),))


def test_of_an_older_response_that_may_hide_an_alarm_no_course_counts() -> None:
    hidden = reading({"rf-cancer": Answer(doubt="unreadable"), **WORSE}, day(2), hidden=True)
    advice = advise(reading(), hidden)

    assert (advice.rows, advice.unknown) == (("R00",), (Unknown("unreadable", "rf-cancer"),))


def test_a_response_without_a_date_is_not_superseded() -> None:
    undated = reading(ALARM, None, doubts=("no-date",))

    for readings in permutations((reading(), undated)):
        advice = advise(*readings)
        assert (advice.rows, advice.unknown) == (("R02", "R00"), (Unknown("no-date"),))


def test_each_doubt_is_named_once() -> None:
    two = [reading({"rf-cancer": MISSING}, day(number), doubts=("no-subject",)) for number in (20, 21)]

    assert advise(*two).unknown == (Unknown("no-subject"), Unknown("missing", "rf-cancer"))


def test_where_no_response_is_behind_the_advice_all_are_named_the_newest_first() -> None:
    two = [unread(on=day(number)) for number in (20, 19)]

    for readings in permutations(two):
        assert list(advise(*readings).readings) == two


# --------------------------------------------------------------------------------------------- older, says


def test_a_response_is_older_only_when_it_was_certainly_filled_in_before() -> None:
    newest = replace(reading(), earliest=day(20, 8), latest=day(20, 10))

    assert older(reading(on=day(20, 7)), newest)
    assert not older(reading(on=day(20, 8)), newest)
    assert not older(reading(on=day(20, 9)), newest)
    assert not older(replace(reading(), earliest=day(19), latest=day(20, 9)), newest)
    assert not older(reading(on=None), newest)
    assert not older(reading(on=day(19)), None)
    assert not older(reading(on=day(19)), reading(on=None))


def test_a_response_says_whether_the_screening_applies() -> None:
    for codes, inside, outside in (("yes", True, False), ("no", False, True), ("unknown", False, False)):
        one = reading({"lbp-present": said(codes)})
        assert says(screening(), one, "in_scope") is inside
        assert says(screening(), one, "out_of_scope") is outside


def test_where_there_is_no_screening_that_is_what_is_not_known_and_where_no_order_is_judged_nothing_is() -> None:
    assert [one.doubt for one in NO_SCREENING.unknown] == ["no-screening"]
    assert (NO_SCREENING.fired, NO_ORDER.fired, NO_ORDER.unknown) == ((), (), ())
    assert (NO_SCREENING.rows, NO_ORDER.rows) == ((), ())
