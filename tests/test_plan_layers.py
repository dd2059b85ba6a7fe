"""The rules in FHIRPath fire exactly the rows that the service fires, over thousands of patients drawn in layers.

An independent engine evaluates the conditions of the generated PlanDefinition. All of them begin with the same facts,
so those are evaluated once for each response and every test of them on the result; that each condition alone gives the
same is tried on fewer.
"""

import multiprocessing
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fhirpathpy
import pytest
import time_machine
from fhirpathpy.models import models

from cds_content.loading import load
from cds_content.plan import definitions
from cds_content.screening import Screening
from cds_service.advice import decide
from cds_service.resources import names
from cds_service.responses import read_response
from tests.conftest import ROOT
from tests.damage import ANSWERS, ITEMS
from tests.layers import AnswerSet, answer_sets, calm, written
from tests.test_second_screening import SECOND, content

MANY, SOME = 5_000, 500  # SOME where the clock is moved: only what "now" is differs there
SEED = 20_261_122
SYSTEM = "https://lowbackpain.example/fhir/CodeSystem/low-back-pain-answers"
LEAP = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)-02-29"
Json = dict[str, Any]
Engine = Callable[[Json], frozenset[str]]
Rules = dict[str, str]  # row → condition


@dataclass(frozen=True)
class Judged:
    """What fired for one response: by the service, and by the conditions of the plan."""

    layer: str
    disposition: str
    service: frozenset[str]
    plan: frozenset[str]


def rules(screening: Screening) -> Rules:
    """The conditions of the plan about patients, as published."""
    plan = next(one for one in definitions(screening) if one["id"].endswith("patient-view"))
    return {action["id"]: action["condition"][0]["expression"]["expression"] for action in plan["action"]}


def engine(screening: Screening, conditions: Rules) -> Engine:
    """What fires for a response. Fails unless each condition is the facts, as the Library has them, and a test."""
    library = next(one for one in definitions(screening) if one["resourceType"] == "Library")
    begin = f"{b64decode(library['content'][0]['data']).decode()}.select("
    assert all(condition.startswith(begin) for condition in conditions.values())
    tests = {row: condition.removeprefix(begin).removesuffix(")") for row, condition in conditions.items()}
    return _compiled(begin, tests)


def _compiled(begin: str, tests: Rules) -> Engine:
    """All rows at once: what follows the facts, X.select(a) and X.select(b), is X.select(a & b)."""
    every = " & ".join(f"iif({test}, '{row} ', '')" for row, test in tests.items())
    run = fhirpathpy.compile(f"{begin}{every})", models["r4"])
    return lambda response: frozenset(run(response, {"resource": response})[0].split())


def by_service(screening: Screening, response: Json) -> tuple[str, frozenset[str]]:
    """The disposition and the rows of the service, where the patient of the call is the one that the response names."""
    subject = response.get("subject", {})
    base, _, own = str(subject.get("reference")).rpartition("Patient/")
    named = names(subject, own.partition("/_history/")[0], base.rstrip("/") or None) is True
    reading = read_response(screening, response, named, birth_date=None, now=datetime.now(UTC))
    advice = decide(screening, [reading])
    return advice.disposition, frozenset(advice.rows)


_Here: dict[str, Any] = {}  # of one process of the pool


def _begin(conditions: Rules, ahead: int) -> None:
    if ahead:
        time_machine.travel(datetime.now(UTC) + timedelta(days=ahead), tick=True).start()
    (screening,) = load(ROOT)
    _Here.update(screening=screening, fired=engine(screening, conditions))


def _judge(drawn: AnswerSet) -> Judged:
    disposition, rows = by_service(_Here["screening"], drawn.response)
    return Judged(drawn.layer, disposition, rows, _Here["fired"](drawn.response))


@pytest.fixture(scope="module", name="conditions")
def _conditions(screening: Screening) -> Rules:
    return rules(screening)


@pytest.fixture(scope="module", name="drawn")
def _drawn(screening: Screening) -> list[AnswerSet]:
    return answer_sets(screening, MANY, SEED)


@pytest.fixture(scope="module", name="judged")
def _judged(conditions: Rules, drawn: list[AnswerSet], pytestconfig: pytest.Config) -> list[Judged]:
    """The responses, judged by both, on two cores."""
    ahead = pytestconfig.getoption("--ahead")
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), _begin, (conditions, ahead)) as pool:
        return list(pool.map(_judge, drawn[: SOME if ahead else MANY], chunksize=25))


@pytest.mark.requirement("P-1", "S-13")
def test_the_plan_fires_exactly_the_rows_that_the_service_fires(judged: list[Judged]) -> None:
    assert [one for one in judged if one.service != one.plan] == []


def test_each_row_was_tried_alone_often(judged: list[Judged], screening: Screening) -> None:
    fired = Counter(one.layer for one in judged if one.layer.removeprefix("row ") in one.service)

    least = 50 if len(judged) == MANY else 1
    assert {one.row: fired[f"row {one.row}"] for one in screening.findings if fired[f"row {one.row}"] < least} == {}


def test_each_disposition_was_given_to_one_in_twenty(judged: list[Judged], screening: Screening) -> None:
    given = Counter(one.disposition for one in judged)

    least = len(judged) / 20 if len(judged) == MANY else 1
    assert {name: given[name] for name in screening.dispositions if given[name] < least} == {}


def test_no_safety_answer_that_is_left_out_or_not_known_reassures(screening: Screening, conditions: Rules) -> None:
    fired, said = engine(screening, conditions), calm(screening)
    safety = [one for one in screening.questions.values() if one.item.safety and not one.shown_for]
    patients = [{at: answers for at, answers in said.items() if at != one.link_id} for one in safety]
    patients += [{**said, one.link_id: [code]} for one in safety for code in one.item.not_known]

    assert fired(written(screening, said)) == {"R40"}
    assert {fired(written(screening, one)) for one in patients} == {frozenset({"R00"})}


def test_every_safety_answer_was_damaged_in_every_way_of_a_calm_patient(
    drawn: list[AnswerSet], screening: Screening
) -> None:
    layers = Counter(one.layer for one in drawn)

    for name, question in screening.questions.items():
        unknown = {one.layer for one in drawn if one.layer == f"unknown {name}"}
        assert layers[f"left out {name}"] == 1
        assert bool(unknown) == bool(question.item.not_known)
        assert layers[f"damaged {name}"] == len(ITEMS) + len(ANSWERS)


@pytest.mark.timeless  # of the rules; how they read dates is tried on the same responses above
def test_a_condition_alone_gives_the_same(conditions: Rules, drawn: list[AnswerSet], screening: Screening) -> None:
    """As an engine evaluates it that knows one condition, and nothing of the others."""
    alone = {row: fhirpathpy.compile(condition, models["r4"]) for row, condition in conditions.items()}
    responses = {by_service(screening, one.response): one.response for one in drawn[:200]}
    by_disposition = {disposition: (sent, rows) for (disposition, rows), sent in responses.items()}

    assert len(by_disposition) == len(screening.dispositions)
    for sent, rows in by_disposition.values():
        assert {row for row, run in alone.items() if run(sent, {"resource": sent}) == [True]} == rows


@pytest.mark.timeless  # of the rules; how they read dates is tried on the same responses above
def test_a_second_screening_has_rules_of_its_own(tmp_path: Path) -> None:
    (neck,) = load(content(tmp_path, SECOND))
    fired = engine(neck, rules(neck))

    drawn = answer_sets(neck, 1_300, SEED)[:300]
    assert [one for one in drawn if fired(one.response) != by_service(neck, one.response)[1]] == []


@pytest.mark.timeless  # whether a fault is found, and not whether there is one
@pytest.mark.parametrize(
    ("row", "said", "instead", "layer"),
    [
        ("R10", "rf-leg=weakness|rf-leg=both", "rf-leg=both", "row R10"),
        ("R13", " or contains(';co-trend=worse;')", "", "row R13"),
        ("R27", "1[0-7]", "1[0-6]", "row R27"),
        ("R15a", "6[5-9]", "6[6-9]", "row R15a"),
        ("R35", ";counts;current;", ";counts;", "date"),
        ("R00", "lbp-present=(yes|no)", "lbp-present=(yes)", "row R50"),
        ("R40", "rf-saddle=(no);;", "rf-saddle=(no|unknown);;", "unknown rf-saddle"),
        ("R40", "(;;lbp-present=.*;;lbp-present=|", "(", "damaged lbp-present"),
        ("R50", ";lbp-present=no;", ";lbp-present=unknown;", "row R50"),
        ("all", f".where(system = '{SYSTEM}')", "", "damaged rf-leg"),
        ("all", "answer.aggregate", "answer.first().aggregate", "damaged rf-saddle"),
        ("all", "iif(modifierExtension.exists(), ''", "iif(false, ''", "damaged rf-unwell"),
        ("all", "[;#@\\\\s]", "[#@]", "damaged rf-cancer"),
        ("all", ".repeat(item.combine(answer.item))", ".where(false)", "damaged rf-saddle"),
        ("all", "now() - 7 days", "now() - 70 days", "date"),
        ("all", "now() - 31 days", "now() - 30 days", "date"),
        ("all", "now() + 5 minutes", "now() + 50 days", "date"),
        ("all", "[.][0-9]+", "[.][0-9]", "date"),
        ("all", LEAP, "0000-00-00", "date"),
        ("all", "'completed' | 'amended')", "'completed' | 'amended' | 'in-progress')", "status"),
        ("all", " | 'stopped')", ")", "status"),
        ("all", "%resource.implicitRules.empty()", "true", "form"),
        ("all", "(https?://.*/)?Patient/", "(.*/)?Patient/", "subject"),
    ],
)
def test_a_fault_that_is_planted_is_found(
    row: str, said: str, instead: str, layer: str, conditions: Rules, drawn: list[AnswerSet], screening: Screening
) -> None:
    """Either in the test of one row, or in the facts."""
    begin, _, _ = conditions["R01"].rpartition("contains(")
    tests = {name: text.removeprefix(begin).removesuffix(")") for name, text in conditions.items()}
    broken = {name: test.replace(said, instead) if row == name else test for name, test in tests.items()}
    facts = begin.replace(said, instead) if row == "all" else begin
    assert (facts, broken) != (begin, tests)

    fired = _compiled(facts, broken)
    tried = (one for one in drawn if one.layer == layer)
    assert any(fired(one.response) != by_service(screening, one.response)[1] for one in tried)
