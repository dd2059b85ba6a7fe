"""The words of a card: what was reported, what is not known, who filled in what and when; each from our own texts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from cds_content.card_shapes import Card, Paragraph
from cds_service.advice import decide
from cds_service.answers import Answer
from cds_service.details import detail, listed, text
from cds_service.findings import Atom
from cds_service.orders import Order
from cds_service.responses import Reading
from tests.core.parts import call, day, reading, said, screening, when

pytestmark = pytest.mark.timeless

ALARM = {"rf-saddle": said("new")}
FALL = {"rf-accident": said("minor")}
MISSING = Answer(doubt="missing")


def written(words: str, *readings: Reading, language: str = "en", **members: Any) -> list[str]:
    """The first paragraphs of a card with this one paragraph of its own, up to those that close every card."""
    content = screening()
    advice = decide(content, readings)
    card = Card(detail=(Paragraph.model_validate({"nl": words, "en": words} | members),))
    whole = detail(content, advice, card, advice.fired, [], call(language=language))
    closing = text(content.texts.closing[-1:], _shared(language), language)
    return whole.removesuffix(closing).strip().split("\n\n")


def _shared(language: str) -> dict[str, str]:
    content = screening()
    signed = content.texts.signed if content.signed_by else content.texts.unsigned
    return {
        "version": content.version,
        "hash": content.hash[:12],
        "signed": signed[language],
        "next-review": str(content.next_review),
        "fresh-days": "7",
        "alarm-days": "30",
    }


def test_a_reason_is_named_with_its_answer_and_its_row() -> None:
    one = reading({**ALARM, **FALL})

    first, *_ = written("{reasons}", one)
    numb = f"{_label('rf-saddle')} – {_option('rf-saddle', 'new')}"
    fall = f"{_label('rf-accident')} – {_option('rf-accident', 'minor')}"
    assert first.splitlines() == [
        f"- new numbness or tingling between the legs (answer: {numb}) [R02]",
        f"- a fall or minor accident before the pain started or got worse (answer: {fall}) [R20]",
    ]


def _option(link_id: str, code: str) -> str:
    return screening().questions[link_id].options[code]["en"]


def _label(link_id: str, language: str = "en") -> str:
    return screening().questions[link_id].label[language]


def test_several_answers_behind_one_reason_are_all_named() -> None:
    one = reading({"rf-bladder-bowel": said("longstanding"), "rf-sexual": said("longstanding")})

    first, *_ = written("{reasons}", one)
    bladder = f"{_label('rf-bladder-bowel')} – {_option('rf-bladder-bowel', 'longstanding')}"
    assert f"(answer: {bladder}; {_label('rf-sexual')} – {_option('rf-sexual', 'longstanding')}) [R22]" in first


@pytest.mark.parametrize(("span", "shown"), [((60, 60), "60"), ((60, 61), "60–61")])
def test_an_age_is_named_as_a_number_or_a_range(span: tuple[int, int], shown: str) -> None:
    first, *_ = written("{reasons}", reading({"age": Answer(span=span), "rf-cancer": said("yes")}))

    assert f"{_label('age')} – {shown};" in first


def test_what_is_not_known_is_named_as_the_reason_that_it_is() -> None:
    for answer, words in ((MISSING, "not answered"), (Answer(doubt="unreadable"), "answer unreadable")):
        first, *_ = written("{reasons}", reading({"co-trend": answer}))
        assert (
            f"(answer: {_label('co-trend')} – {words}; {_label('lbp-present')} – {_option('lbp-present', 'yes')}) [R35]"
            in first
        )


def test_a_row_that_rests_on_no_answer_is_named_without_one() -> None:
    first, *_ = written("{reasons}", reading({"rf-cancer": MISSING}))

    assert first == "- not every warning-sign question has a known answer [R00]"


def test_what_is_not_known_is_named_by_question_or_by_response() -> None:
    one = reading({"rf-cancer": MISSING}, doubts=("too-old",))

    first, *_ = written("{unknown}", one)
    assert first == f"- the response is more than 7 days old\n- {_label('rf-cancer')}: not answered"
    dutch, *_ = written("{unknown}", one, language="nl")
    assert dutch == f"- de vragenlijst is ouder dan 7 dagen\n- {_label('rf-cancer', 'nl')}: niet beantwoord"


def test_history_is_named_with_its_rows() -> None:
    first, *_ = written("{history}", reading(ALARM, alarms=False, doubts=("history",)))

    assert first.endswith("[R02]")
    assert "new numbness" in first


# ------------------------------------------------------------------------------------- when a paragraph is there


def paragraphs(words: str, *readings: Reading, **members: Any) -> bool:
    """Whether the paragraph is on the card."""
    return "mark" in " ".join(written(words, *readings, **members))


def test_a_paragraph_with_an_empty_place_is_left_out() -> None:
    assert not paragraphs("mark {history}", reading())
    assert not paragraphs("mark {reasons} {history}", reading())
    assert paragraphs("mark {reasons}", reading())
    assert paragraphs("mark", reading())


def test_a_paragraph_for_complete_screenings_is_left_out_while_something_is_not_known() -> None:
    assert paragraphs("mark", reading(), only="complete")
    assert not paragraphs("mark", reading({"rf-cancer": MISSING}), only="complete")
    assert paragraphs("mark", reading({"rf-cancer": MISSING}))


def test_a_paragraph_about_an_answer_is_there_only_while_the_newest_complete_response_gives_it() -> None:
    lasting = when(answer="co-duration", is_=["gt3m"])
    three_months = reading({"co-duration": said("gt3m")})

    assert paragraphs("mark", three_months, when=lasting)
    assert not paragraphs("mark", reading(), when=lasting)
    assert not paragraphs("mark", reading(), replace(three_months, earliest=day(9), latest=day(9)), when=lasting)
    assert not paragraphs("mark", reading({"co-duration": MISSING}), when=lasting)
    assert not paragraphs("mark", replace(three_months, doubts=("too-old",)), when=lasting)


def test_the_closing_paragraph_for_complete_screenings_follows_the_same_rule() -> None:
    assert any(words.startswith("Not known: nothing") for words in written("x", reading()))
    assert not any(words.startswith("Not known: nothing") for words in written("x", reading({"rf-cancer": MISSING})))


def test_a_closing_paragraph_about_an_answer_follows_the_same_rule() -> None:
    lasting = Paragraph(nl="al lang", en="for long", when=when(answer="co-duration", is_=["gt3m"]))
    content = replace(screening(), texts=screening().texts.model_copy(update={"closing": (lasting,)}))

    for duration, shown in (("gt3m", "for long"), ("lt6w", "")):
        advice = decide(content, [reading({"co-duration": said(duration)})])
        assert detail(content, advice, Card(), advice.fired, [], call()) == shown


def test_paragraphs_stand_apart_in_the_language_of_the_reader() -> None:
    both = [Paragraph(nl="een {a}", en="one {a}"), Paragraph(nl="leeg {b}", en="empty {b}"), Paragraph(nl="x", en="y")]

    assert text(both, {"a": "A", "b": ""}, "en") == "one A\n\ny"
    assert text(both, {"a": "A", "b": ""}, "nl") == "een A\n\nx"


# ------------------------------------------------------------------------------------------- where it comes from


def test_the_statements_behind_the_rows_and_the_paragraphs_are_named_in_their_order() -> None:
    fall = reading({**FALL, "rf-leg": said("numbness")})  # S21; S15 and S18

    first, *_ = written("{basis}", fall, basis=["S2", "S30"])
    assert first == "S2, S15, S18, S21, S30"


def test_a_paragraph_that_is_left_out_brings_no_statement() -> None:
    content = screening()
    advice = decide(content, [reading({**FALL, "rf-cancer": MISSING})])
    kept, left = (
        Paragraph(nl="{basis}", en="{basis}"),
        Paragraph(nl="x", en="x", only="complete", basis=frozenset({"S33"})),
    )
    shown = detail(content, advice, Card(detail=(kept, left)), advice.fired[:1], [], call())

    assert shown.startswith("S21\n\n")


def test_the_sources_of_the_urgency_are_those_of_the_most_urgent_rows_each_once() -> None:
    first, *_ = written("{sources}", reading({**ALARM, "rf-sexual": said("new"), "rf-cancer": said("yes")}))

    rows = {one.row: one.beyond for one in screening().findings}
    names = dict.fromkeys((*rows["R02"], *rows["R03"]))
    assert first == "; ".join(screening().statements.reference[name].label["en"] for name in names)


def test_who_filled_in_what_and_when_is_named() -> None:
    first, *_ = written("{filled-in}", reading(who="RelatedPerson"))
    assert first == "2026-03-20 by a relative"
    unfinished, *_ = written("{filled-in}", reading(ALARM, status="stopped", doubts=("unfinished",)))
    assert unfinished == "2026-03-20 by not known (status: stopped)"
    undated, *_ = written("{filled-in}", reading(ALARM, None, doubts=("no-date",)), language="nl")
    assert undated == "datum onbekend door onbekend"


def test_responses_that_were_filled_in_alike_are_named_once_and_others_apart() -> None:
    same, *_ = written("{filled-in}", reading(on=day(20, 8)), reading(ALARM, day(20, 7)))
    assert same == "2026-03-20 by not known"
    other, *_ = written("{filled-in}", reading(), reading(ALARM, day(19)))
    assert other == "2026-03-20 by not known; 2026-03-19 by not known"


def test_orders_are_named_one_on_a_line() -> None:
    content = screening()
    advice = decide(content, [reading(ALARM)])
    orders = [Order("imaging", name, {"resourceType": "ServiceRequest"}) for name in ("a scan", "another")]
    card = Card(detail=(Paragraph(nl="{orders}", en="{orders}"),))

    shown = detail(content, advice, card, advice.fired, orders, call())
    assert shown.startswith("- a scan (ServiceRequest)\n- another (ServiceRequest)\n\n")


def test_the_last_paragraph_names_the_rule_set_and_its_review() -> None:
    content = screening()
    advice = decide(content, [reading()])

    for language in ("nl", "en"):
        shown = detail(content, advice, Card(), advice.fired, [], call(language=language))
        closing = text(content.texts.closing[-1:], _shared(language), language)
        assert content.version in closing
        assert shown.endswith(closing)


def test_a_signed_screening_says_so() -> None:
    content = replace(screening(), signed_by="A. Clinician")
    advice = decide(content, [reading()])

    shown = detail(content, advice, Card(), advice.fired, [], call())
    assert content.texts.signed["en"] in shown
    assert content.texts.unsigned["en"] not in shown


# ------------------------------------------------------------------------------- denied, superseded, covered

DENIED = {"lbp-present": said("no")}


def test_an_alarm_beside_denied_back_pain_says_so() -> None:
    note = screening().texts.denied["en"]

    assert written("{denied}", reading({**DENIED, **ALARM}))[0] == note
    assert note not in written("x", reading(ALARM))
    assert note not in written("x", reading(DENIED))
    assert note in written("x", reading(), reading({**DENIED, **ALARM}, day(19)))


def test_where_back_pain_is_not_denied_nothing_is_said_about_it() -> None:
    assert not paragraphs("mark {denied}", reading(ALARM))


def test_an_alarm_that_a_newer_response_no_longer_reports_names_both_days() -> None:
    shown = written("{superseded}", reading(), reading({**ALARM, **FALL}, day(12), doubts=("too-old",)))

    first = shown[0]
    assert first.startswith("Reported on 2026-03-12; the newer response of 2026-03-20 no longer reports it: ")
    numb, fall = (
        "new numbness or tingling between the legs",
        "a fall or minor accident before the pain started or got worse",
    )
    assert f"{numb}; {fall}." in first
    assert "up to 30 days" in first


def test_each_older_response_with_an_alarm_is_named_apart() -> None:
    shown = written("{superseded}", reading(), reading(ALARM, day(19)), reading(FALL, day(18)))

    assert [words[:22] for words in shown if words.startswith("Reported on")][:2] == [
        "Reported on 2026-03-19",
        "Reported on 2026-03-18",
    ]


@pytest.mark.parametrize(
    "readings",
    [
        [reading(ALARM)],
        [reading(), reading(ALARM, None, doubts=("no-date",))],
        [reading(ALARM, doubts=("too-old",))],
        [reading(ALARM), reading(ALARM, day(19))],
    ],
    ids=["the newest reports it", "no date to compare", "no complete response", "both report it"],
)
def test_an_alarm_is_not_superseded(readings: list[Reading]) -> None:
    assert not any(words.startswith("Reported on") for words in written("x", *readings))


# answers → the rows that a card lists
LISTED: list[tuple[str, Mapping[str, Answer], list[str]]] = [
    ("another answer is another reason", {**ALARM, **FALL}, ["R02", "R20"]),
    ("a more urgent row on the same answer covers it", {**FALL, "age": Answer(span=(70, 70))}, ["R15a"]),
    (
        "one of its answers is not covered",
        {"rf-other": said("pregnant", "weight-loss", "low-immunity")},
        ["R16", "R25", "R26"],
    ),
    (
        "rows of one urgency do not cover each other, nor one that rests on another answer, too",
        {
            "rf-cancer": said("yes"),
            "rf-unwell": said("yes"),
            "rf-clear-cause": said("no"),
            "age": Answer(span=(60, 60)),
        },
        ["R12", "R13", "R34"],
    ),
    ("a row that rests on no answer is always listed", {**ALARM, "rf-cancer": MISSING}, ["R02", "R00"]),
]


@pytest.mark.parametrize(("answers", "rows"), [row[1:] for row in LISTED], ids=[row[0] for row in LISTED])
def test_a_reason_is_left_out_when_more_urgent_ones_rest_on_the_same_answers(
    answers: Mapping[str, Answer], rows: list[str]
) -> None:
    content = screening()
    fired = decide(content, [reading(answers)]).fired

    named = [one.finding.row for one in listed(content, fired)]
    assert named == rows


def test_two_more_urgent_rows_cover_a_reason_together() -> None:
    content = screening()
    one = reading({**ALARM, "rf-sexual": said("new"), **FALL})
    first, second, last = decide(content, [one]).fired
    atoms: frozenset[Atom] = first.rests_on | second.rests_on

    assert listed(content, [first, second, replace(last, rests_on=atoms)]) == [first, second]
    assert listed(content, [first, replace(last, rests_on=atoms)]) == [first, replace(last, rests_on=atoms)]


def test_a_reason_in_another_response_is_not_covered() -> None:
    content = screening()
    first = decide(content, [reading({**FALL, "age": Answer(span=(70, 70))})]).fired

    same, other = first[1], replace(first[1], reading=reading(FALL, day(19)))
    assert listed(content, [first[0], same]) == [first[0]]
    assert listed(content, [first[0], other]) == [first[0], other]
