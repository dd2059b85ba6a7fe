"""Silence is never reassurance: the five safety properties over the answer space, and every damaged safety answer."""

from collections.abc import Iterator
from copy import deepcopy
from datetime import UTC, datetime
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_content.screening import Screening
from cds_service.advice import Advice, decide
from cds_service.answers import read_answers
from cds_service.responses import Reading, read_response
from tests.conftest import SERVICE, Ask, topics
from tests.samples import ANSWERS, CALM, ago, call, item, patient, response

REASSURING = {"physio-or-doctor", "self-care"}
DOCTOR = {"emergency-now", "doctor-same-day", "doctor-soon", "doctor-advice"}
URGENCY = ["emergency-now", "doctor-same-day", "doctor-soon", "doctor-advice", "incomplete", "physio-or-doctor"]
URGENCY += ["self-care", "not-applicable"]

# Written from the specification, not from the content: the options of each question, safe ones first.
OPTIONS: dict[str, list[str]] = {
    "lbp-present": ["no", "yes", "unknown"],
    "rf-bladder-bowel": ["no", "unknown", "longstanding", "new"],
    "rf-saddle": ["no", "unknown", "longstanding", "new"],
    "rf-sexual": ["no", "not-applicable", "unknown", "declined", "longstanding", "new"],
    "rf-leg": ["none", "unknown", "numbness", "weakness", "both"],
    "rf-leg-sides": ["one", "unknown", "both"],
    "rf-leg-progress": ["no", "unknown", "yes"],
    "rf-unwell": ["no", "unknown", "yes"],
    "rf-fever": ["no", "unknown", "yes"],
    "rf-cancer": ["no", "unknown", "yes"],
    "rf-clear-cause": ["yes", "unknown", "no"],
    "rf-accident": ["no", "unknown", "minor", "major"],
    "rf-other": [
        "none",
        "unknown",
        "weight-loss",
        "osteoporosis-steroids",
        "low-immunity",
        "pregnant",
        "chest-abdomen",
    ],
    "co-duration": ["lt6w", "6w-3m", "unknown", "gt3m"],
    "co-trend": ["improving", "unknown", "same", "worse"],
    "co-activities": ["can", "unknown", "cannot"],
    "co-guidance": ["no", "unknown", "yes"],
}
FOLLOW_UPS = {
    "rf-leg-sides": ("rf-leg", {"numbness", "weakness", "both"}),
    "rf-leg-progress": ("rf-leg", {"numbness", "weakness", "both"}),
    "rf-fever": ("rf-unwell", {"yes", "unknown"}),
}
SAFETY = [link_id for link_id in OPTIONS if not link_id.startswith("co-")] + ["age"]
NOT_KNOWN = {("rf-sexual", "declined")} | {
    (link_id, "unknown") for link_id in SAFETY if link_id not in ("rf-clear-cause", "age")
}
WORST = {link_id: options[-1] for link_id, options in OPTIONS.items() if link_id not in ("lbp-present", "rf-other")}

many = settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def answer_sets(draw: st.DrawFn) -> dict[str, Any]:
    """A consistent answer set, mostly calm: uniform draws would nearly all be emergencies and prove nothing."""
    answers: dict[str, Any] = dict(CALM) | {"age": draw(st.sampled_from([17, 18, 40, 50, 51, 64, 65, 90]))}
    for link_id in draw(st.lists(st.sampled_from(sorted(set(OPTIONS) - set(FOLLOW_UPS))), max_size=5)):
        answers[link_id] = draw(st.sampled_from(OPTIONS[link_id]))
    for link_id, (parent, codes) in FOLLOW_UPS.items():
        if answers[parent] in codes:
            answers[link_id] = draw(st.sampled_from(OPTIONS[link_id]))
    return answers


def advise(screening: Screening, answers: dict[str, Any]) -> Advice:
    items = {"item": [item(link_id, answer) for link_id, answer in answers.items()]}
    return decide(screening, [Reading(read_answers(items, screening.questions, screening.displays))])


def rank(advice: Advice) -> int:
    return URGENCY.index(advice.disposition)


@many
@given(answers=answer_sets())
def test_p1_an_unknown_safety_answer_never_leaves_reassurance_on_top(
    answers: dict[str, Any], screening: Screening
) -> None:
    unknown = [link_id for link_id, answer in answers.items() if (link_id, answer) in NOT_KNOWN]
    advice = advise(screening, answers)

    if unknown:
        assert advice.disposition not in REASSURING | {"not-applicable"}
        assert {one.question for one in advice.unknown} >= set(unknown)
    elif advice.disposition == "incomplete":
        pytest.fail(f"every safety answer is known, but the advice is incomplete: {answers}")


@many
@given(answers=answer_sets(), link_id=st.sampled_from(sorted(WORST)))
def test_p2_the_worst_answer_never_lowers_the_urgency(
    answers: dict[str, Any], link_id: str, screening: Screening
) -> None:
    worse = advise(screening, answers | {link_id: WORST[link_id]})

    assert rank(worse) <= rank(advise(screening, answers))


@many
@given(answers=answer_sets(), extra=st.sampled_from(OPTIONS["rf-other"][2:]))
def test_p2_another_risk_never_lowers_the_urgency(answers: dict[str, Any], extra: str, screening: Screening) -> None:
    had = answers["rf-other"]
    more = [extra] if had in ("none", "unknown") else sorted({had, extra})

    assert rank(advise(screening, answers | {"rf-other": more})) <= rank(advise(screening, answers))


@many
@given(answers=answer_sets())
def test_p3_every_alarm_of_the_sheet_leads_to_a_doctor(answers: dict[str, Any], screening: Screening) -> None:
    alarms = {
        "rf-bladder-bowel": {"new", "longstanding"},
        "rf-sexual": {"new", "longstanding"},
        "rf-leg": {"numbness", "weakness", "both"},
        "rf-unwell": {"yes"},
        "rf-fever": {"yes"},
        "rf-accident": {"minor", "major"},
        "rf-cancer": {"yes"},
    }
    if any(answers.get(link_id) in codes for link_id, codes in alarms.items()):
        assert advise(screening, answers).disposition in DOCTOR


@many
@given(answers=answer_sets(), link_id=st.sampled_from(SAFETY))
def test_p4_leaving_out_a_safety_answer_never_reassures(
    answers: dict[str, Any], link_id: str, screening: Screening
) -> None:
    left = {name: answer for name, answer in answers.items() if name != link_id}
    follow_up_not_asked = link_id in FOLLOW_UPS and answers[FOLLOW_UPS[link_id][0]] not in FOLLOW_UPS[link_id][1]

    if not follow_up_not_asked:
        assert advise(screening, left).disposition in DOCTOR | {"incomplete"}


@many
@given(answers=answer_sets(), status=st.sampled_from(["in-progress", "stopped"]))
def test_p5_an_unfinished_response_never_reassures(answers: dict[str, Any], status: str, ask: Ask) -> None:
    cards = ask(call(response(answers, status=status), about=patient(None)))

    assert topics(cards)[-1:] == ["incomplete"]


# ---------------------------------------------------------------------------------- every damaged safety answer


def damaged(link_id: str) -> Iterator[tuple[str, Any]]:
    """(what was done, the item in its damaged form; None: left out) from the safe answer to this question."""
    safe: Any = 40 if link_id == "age" else CALM.get(link_id, OPTIONS.get(link_id, [""])[0])
    whole = item(link_id, safe)
    code = {"system": ANSWERS, "code": safe}
    values: dict[str, Any] = {
        "valueBoolean false": {"valueBoolean": False},
        "valueBoolean as text": {"valueBoolean": "no"},
        "valueString": {"valueString": "no"},
        "valueString of the display": {"valueString": "Nee"},
        "valueInteger 0 for a code, a decimal for an age": {"valueDecimal": 40.5},
        "a null": None,
        "an empty object": {},
        "a bare string": "no",
        "a bare number": 7,
        "an empty coding": {"valueCoding": {}},
        "a coding without code": {"valueCoding": {"system": ANSWERS, "display": "Nee"}},
        "a coding without system": {"valueCoding": {"code": safe}},
        "another system": {"valueCoding": {"system": "http://snomed.info/sct", "code": safe}},
        "the system with a slash": {"valueCoding": {"system": f"{ANSWERS}/", "code": safe}},
        "an unknown code": {"valueCoding": {"system": ANSWERS, "code": "nope"}},
        "the code in capitals": {"valueCoding": {"system": ANSWERS, "code": str(safe).upper() + "X"}},
        "the code with a space": {"valueCoding": {"system": ANSWERS, "code": f"{safe} "}},
        "a code that is a list": {"valueCoding": {"system": ANSWERS, "code": [safe]}},
        "a code that is null": {"valueCoding": {"system": ANSWERS, "code": None}},
        "a coding that is text": {"valueCoding": "no"},
        "a coding in a list": {"valueCoding": [code]},
        "a data-absent-reason": {"valueCoding": {"extension": [{"url": "x", "valueCode": "unknown"}]}},
        "two kinds of value": {"valueCoding": code, "valueString": "no"},
        "a modifier that we do not know": {**whole["answer"][0], "modifierExtension": [{"url": "x"}]},
        "an age out of range": {"valueInteger": 121},
        "a negative age": {"valueInteger": -1},
        "an age that is true": {"valueInteger": True},
        "an age as text": {"valueInteger": "40"},
    }
    yield from ((done, {"linkId": link_id, "answer": [value]}) for done, value in values.items())
    yield "left out", None
    yield "without answer", {"linkId": link_id}
    yield "an empty answer array", {"linkId": link_id, "answer": []}
    yield "a null answer", {"linkId": link_id, "answer": None}
    yield "an answer that is an object", {"linkId": link_id, "answer": whole["answer"][0]}
    yield "an answer that is text", {"linkId": link_id, "answer": "no"}
    yield "another linkId", {**whole, "linkId": f"{link_id}x"}
    yield "a linkId in capitals", {**whole, "linkId": link_id.upper()}
    yield "a linkId that is no text", {**whole, "linkId": 5}
    yield "no linkId", {"answer": whole["answer"]}
    yield "the item as text", link_id
    yield "the item as null", [None]
    yield "the same answer twice", {**whole, "answer": whole["answer"] * 2}
    yield "a modifier on the item", {**whole, "modifierExtension": [{"url": "x"}]}


# A follow-up is a safety answer where it is asked: here it is asked by a parent that fires no more than advice.
ASKED_BY = {
    "rf-leg-sides": {"rf-leg": "numbness", "rf-leg-progress": "no"},
    "rf-leg-progress": {"rf-leg": "numbness", "rf-leg-sides": "one"},
    "rf-fever": {"rf-unwell": "unknown"},
}
DAMAGES = [(link_id, done, form) for link_id in SAFETY for done, form in damaged(link_id)]


@pytest.mark.parametrize("known_age", [True, False], ids=["birth date known", "birth date not known"])
@pytest.mark.parametrize(
    ("link_id", "done", "form"), DAMAGES, ids=[f"{link_id}: {done}" for link_id, done, _ in DAMAGES]
)
def test_no_damaged_safety_answer_reassures(
    link_id: str, done: str, form: Any, known_age: bool, client: FlaskClient
) -> None:
    around = CALM | ASKED_BY.get(link_id, {}) | ({} if known_age else {"age": 40})
    body = response({name: answer for name, answer in around.items() if name != link_id})
    body["item"] += [] if form is None else form if isinstance(form, list) else [form]

    answer = client.post(SERVICE, json=call(body, about=patient(40 if known_age else None)))

    assert answer.status_code in (200, 400)
    if answer.status_code == 200:
        found = topics(answer.get_json()["cards"])
        absent_age = link_id == "age" and known_age and done in ("left out", "without answer")
        if absent_age:  # not an error: the birth date is known, and the age item is not required
            assert found == ["self-care"]
        else:
            assert not REASSURING & set(found)
            assert "incomplete" in found


@pytest.mark.parametrize("link_id", SAFETY)
def test_a_second_item_with_the_same_link_id_is_a_contradiction(link_id: str, ask: Ask) -> None:
    safe: Any = 40 if link_id == "age" else CALM.get(link_id, OPTIONS.get(link_id, [""])[0])
    body = response(CALM | ASKED_BY.get(link_id, {}) | {link_id: safe})
    body["item"].append(item(link_id, safe))

    assert "incomplete" in topics(ask(call(body, about=patient(None) if link_id == "age" else patient())))


@pytest.mark.parametrize("link_id", sorted(WORST))
def test_in_a_contradiction_the_alarming_answer_counts(link_id: str, ask: Ask) -> None:
    alarming = topics(ask(call(response(CALM | ASKED_BY.get(link_id, {}) | {link_id: WORST[link_id]}))))
    safe = CALM.get(link_id, OPTIONS[link_id][0])

    both = topics(ask(call(response(CALM | ASKED_BY.get(link_id, {}) | {link_id: [safe, WORST[link_id]]}))))

    assert both[0] == ("incomplete" if link_id == "rf-clear-cause" else alarming[0])
    assert "incomplete" in both or link_id.startswith("co-")


@pytest.mark.parametrize("nesting", ["in a group", "below an answer"])
def test_answers_are_read_wherever_they_are_nested(nesting: str, ask: Ask) -> None:
    body = response(CALM | {"rf-saddle": "new"})
    first, *rest = deepcopy(body["item"])
    if nesting == "below an answer":
        first["answer"][0]["item"] = rest
    else:
        first["item"] = rest
    body["item"] = [first]

    assert topics(ask(call(body))) == ["emergency-now"]


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        ({"linkId": "extra", "answer": [{"valueString": "x"}]}, "incomplete"),
        ({"linkId": "extra"}, "incomplete"),
        ({"linkId": "intro", "answer": [{"valueString": "x"}]}, "incomplete"),
        ({"linkId": "intro", "text": "as in the form"}, "self-care"),
        ({"linkId": "rf-saddle-help"}, "self-care"),
        ({"linkId": "rf-fever"}, "self-care"),
    ],
    ids=["a question not in the form", "an empty one", "an answered text", "a text", "a help text", "one not asked"],
)
def test_only_parts_of_the_form_may_stand_in_the_response(extra: dict[str, Any], expected: str, ask: Ask) -> None:
    body = response(CALM)
    body["item"].append(extra)

    assert topics(ask(call(body))) == [expected]


@many
@given(answers=answer_sets(), days=st.integers(min_value=0, max_value=60))
def test_advice_over_http_is_the_advice_of_the_core(
    answers: dict[str, Any], days: int, screening: Screening, ask: Ask
) -> None:
    one = response(answers, authored=ago(days=days, hours=1))
    reading = read_response(screening, one, True, birth_date=None, now=datetime.now(UTC))
    advice = decide(screening, [reading])
    cards = ask(call(one, about=patient(None)))

    assert topics(cards)[:1] == ([] if advice.disposition == "not-applicable" else [advice.disposition])
