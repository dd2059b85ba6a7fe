"""The proof: each statement holds for every patient, a fault in the content is found, the formulas are the core."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import z3

from cds_content.loading import load
from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES
from cds_proof import claims, found
from cds_proof.advised import Advised, advised
from cds_proof.claims import CLAIMS, Claim
from cds_proof.found import WrongTranslation, exists, find
from cds_proof.page import proof_page
from cds_proof.patients import Patient, patient
from cds_proof.proof import failing, prove_one, statements
from cds_service.advice import Advice, decide
from cds_service.answers import Answer
from cds_service.responses import Reading, read_response
from tests.conftest import ROOT
from tests.layers import answer_sets
from tests.processes import COMMAND, environment
from tests.samples import born

pytestmark = pytest.mark.timeless  # the rules have no clock
PAGE = ROOT / "docs/safety/proof.md"
DOCTOR = ("emergency-now", "doctor-same-day", "doctor-soon", "doctor-advice")
FINDINGS = "questionnaires/low-back-pain/findings.toml"

# The complaints for which the patient sheet sends to a doctor, from the sheet and the decision table by hand. S20 is
# read as rows R12, R13 and R24 read it: cancer, now or before, with or without the other parts.
ALARMS = {
    "S16, bladder or bowel": {"rf-bladder-bowel": ["new", "longstanding"]},
    "S17, sexual function": {"rf-sexual": ["new", "longstanding"]},
    "S18, feeling or strength in the legs": {"rf-leg": ["numbness", "weakness", "both"]},
    "S18, both legs, or getting worse": {"rf-leg-sides": ["both"], "rf-leg-progress": ["yes"]},
    "S19, unwell": {"rf-unwell": ["yes"]},
    "S19, fever": {"rf-fever": ["yes"]},
    "S20, cancer": {"rf-cancer": ["yes"]},
    "S21, an accident": {"rf-accident": ["minor", "major"]},
}


@pytest.mark.parametrize("name", statements())
def test_the_statement_holds_for_every_patient(name: str, screening: Screening) -> None:
    proof = prove_one(screening, name, statements()[name])

    assert [case.in_words("en") for case in proof.failing] == []
    assert proof.claims > 0


@pytest.mark.parametrize("name", statements())
def test_the_statement_holds_for_another_screening(name: str, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "tests/second_screening", tmp_path, dirs_exist_ok=True)
    shutil.copy(ROOT / "cards/words.toml", tmp_path / "cards/words.toml")
    (neck,) = load(tmp_path)

    assert [case.in_words("en") for case in prove_one(neck, name, statements()[name]).failing] == []


def test_every_statement_has_its_words_in_each_language_and_its_claims() -> None:
    assert list(statements()) == list(CLAIMS)
    assert all(set(says) == set(LANGUAGES) for says in statements().values())


@pytest.mark.parametrize("complaint", ALARMS)
def test_every_alarm_of_the_sheet_leads_to_a_doctor(complaint: str, screening: Screening) -> None:
    one = patient(screening, "one")
    given = advised(screening, one)
    reported = z3.Or(*(one.answers[link].codes[code] for link, codes in ALARMS[complaint].items() for code in codes))
    least = max(list(screening.dispositions).index(name) for name in DOCTOR)

    assert not exists(Claim(complaint, (one,), z3.And(one.alarms, reported, given.urgency > least)))
    assert exists(Claim(complaint, (one,), z3.And(one.alarms, reported)))  # and there are such patients


# ----------------------------------------------------------------------------------------- a fault in the content


def faulty(folder: Path, old: str, new: str) -> Path:
    """A copy of the content with one fault in the rules."""
    for name in ("questionnaires", "cards"):
        shutil.copytree(ROOT / name, folder / name)
    path = folder / FINDINGS
    assert path.read_text("utf-8").count(old) == 1
    path.write_text(path.read_text("utf-8").replace(old, new), "utf-8")
    return folder


FAULTS = {  # the fault: what is replaced by what, the statement that fails, what the patient says, and is advised
    "a dropped code: less strength in a leg leads to nobody": (
        'is = ["weakness", "both"]',
        'is = ["both"]',
        "alarm",
        "feeling and strength in the legs: Yes, less strength (rf-leg = weakness)",
        "incomplete",
    ),
    "a course answer that nobody misses": (
        '{ answer = "co-guidance", is = "not-known" },',
        "",
        "monotone",
        "guidance with moving: I don't know (co-guidance = unknown) → **incomplete** [R00] **but with** ",
        "physio-or-doctor",
    ),
    "a finding with another disposition": (
        'when = { answer = "rf-unwell", is = ["yes"] }\nadvice = "doctor-advice"',
        'when = { answer = "rf-unwell", is = ["yes"] }\nadvice = "physio-or-doctor"',
        "alarm",
        "feeling ill or unwell: Yes (rf-unwell = yes)",
        "physio-or-doctor",
    ),
    "an alarm that counts for the young only": (
        'when = { answer = "rf-other", is = ["pregnant"] }',
        'when = { all = [{ answer = "rf-other", is = ["pregnant"] }, { answer = "age", under = 45 }] }',
        "alarm",
        "I am pregnant (rf-other = pregnant)",
        "incomplete",
    ),
}


@pytest.mark.parametrize(("old", "new", "statement", "says", "advice"), FAULTS.values(), ids=FAULTS)
def test_a_fault_is_found_and_shown_as_a_patient_in_words(
    old: str, new: str, statement: str, says: str, advice: str, tmp_path: Path
) -> None:
    (wrong,) = load(faulty(tmp_path, old, new))

    proof = prove_one(wrong, statement, statements()[statement])

    shown = [case for case in proof.failing if says in case.in_words("en")]
    assert not proof.holds
    assert shown
    assert shown[0].found[-1].advice.disposition == advice
    assert f"**{advice}**" in shown[0].in_words("nl")


def changed(screening: Screening, row: str, **members: Any) -> Screening:
    """The rules with one finding changed, as no content check would let it through."""
    findings = (one.model_copy(update=members) if one.row == row else one for one in screening.findings)
    return replace(screening, findings=tuple(findings))


def without(screening: Screening, row: str) -> Screening:
    return replace(screening, findings=tuple(one for one in screening.findings if one.row != row))


LONG = {"nl": "x" * 140, "en": "x"}
# For each statement rules of which it does not hold: a statement that no rules can break would say nothing.
BROKEN: dict[str, Callable[[Screening], Screening]] = {
    "alarm": lambda true: without(true, "R14"),
    "unknown": lambda true: changed(true, "R00", advice="physio-or-doctor"),
    "response": lambda true: changed(true, "R00", advice="self-care"),
    "monotone": lambda true: changed(true, "R30", advice="self-care"),
    "added": lambda true: without(true, "R10"),
    "removed-safety": lambda true: changed(true, "R00", advice="physio-or-doctor"),
    "removed-course": lambda true: changed(true, "R35", advice="self-care"),
    "self-care": lambda true: changed(true, "R30", advice="self-care"),
    "exactly-one": lambda true: without(true, "R00"),
    "cards": lambda true: changed(true, "R12", advice="self-care"),
    "summaries": lambda true: changed(true, "R14", summary=LONG),
    "reachable": lambda true: without(true, "R50"),
    "counts": lambda true: changed(true, "R12", explains=False),
}


@pytest.mark.parametrize("name", BROKEN)
def test_every_statement_fails_for_some_rules(name: str, screening: Screening) -> None:
    assert failing(screening, name) is None
    assert failing(BROKEN[name](screening), name) is not None


def test_a_core_that_forgot_a_row_would_be_found(screening: Screening, monkeypatch: pytest.MonkeyPatch) -> None:
    """What no content can break: the most urgent row that fires decides."""
    monkeypatch.setattr(claims, "advised", lambda rules, one: advised(rules, one, without="R14"))

    assert {*BROKEN, "rows"} == set(CLAIMS)
    assert failing(screening, "rows") is not None


def test_a_counterexample_is_as_small_as_can_be(tmp_path: Path) -> None:
    """Two unusual answers are needed here, and no other is named."""
    (wrong,) = load(faulty(tmp_path, *FAULTS["an alarm that counts for the young only"][:2]))

    (case, *_) = prove_one(wrong, "alarm", statements()["alarm"]).failing

    age, pregnant = case.in_words("en").removeprefix("beyond the sheet: ").split("; ")
    assert int(age.removeprefix("age: ")) >= 45
    assert pregnant.endswith("I am pregnant (rf-other = pregnant) → **incomplete** [R00]")


def test_the_command_ends_with_1_and_names_the_patient_in_both_languages(tmp_path: Path) -> None:
    copy = faulty(tmp_path, 'is = ["weakness", "both"]', 'is = ["both"]')

    done = subprocess.run(
        [COMMAND, "prove"], capture_output=True, text=True, env=environment(tmp_path, CDS_CONTENT=str(copy))
    )

    assert done.returncode == 1
    assert "of the statements fail; the page names a patient for each" in done.stderr
    assert "Ja, minder kracht (rf-leg = weakness)" in done.stdout
    assert "Yes, less strength (rf-leg = weakness)" in done.stdout


def test_the_command_prints_the_page_that_the_safety_file_holds(tmp_path: Path) -> None:
    done = subprocess.run([COMMAND, "prove"], capture_output=True, text=True, env=environment(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == PAGE.read_text("utf-8"), f"write {PAGE.name} with: make safety"


def test_without_the_solver_the_command_says_what_to_install(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['z3'] = None; sys.argv = ['cds-service', 'prove']"
    script = f"{hidden}; from cds_service.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, env=environment(tmp_path))

    assert (done.returncode, done.stdout) == (1, "")
    assert "pip install 'z3-solver" in done.stderr


def test_what_fails_stands_first_on_the_page(tmp_path: Path) -> None:
    (wrong,) = load(faulty(tmp_path, 'is = ["weakness", "both"]', 'is = ["both"]'))
    proofs = [prove_one(wrong, name, statements()[name]) for name in ("alarm", "unknown")]

    page = proof_page(wrong, proofs)

    assert "**1 of 2 statements fail.**" in page
    assert page.index("Not proved") < page.index("## Uitspraken / Statements")
    assert page.count("| **fails** |") == page.count("| proved |") == 1


# --------------------------------------------------------------------------------- the formulas say what the core says


@pytest.fixture(scope="module", name="formulas")
def _formulas(screening: Screening) -> tuple[Patient, Advised]:
    one = patient(screening, "one")
    return one, advised(screening, one)


def who_says(one: Patient, reading: Reading) -> z3.ModelRef:
    """The patient who says exactly this."""
    model = z3.Model()
    values: list[tuple[z3.ExprRef, bool | int]] = [(one.doubted, bool(reading.doubts)), (one.alarms, reading.alarms)]
    for link, said in one.answers.items():
        answer: Answer = reading.answers[link]
        low, high = answer.span or (said.question.low, said.question.low)
        values += [(reported, code in answer.codes) for code, reported in said.codes.items()]
        values += [(said.low, low), (said.high, high), (said.damaged, answer.doubt in ("unreadable", "contradictory"))]
        values += [] if said.question.options else [(said.numbered, bool(answer.span))]
    for variable, value in values:
        model.update_value(variable, z3.BoolVal(value) if isinstance(value, bool) else z3.IntVal(value))
    return model


def by_formulas(formulas: tuple[Patient, Advised], reading: Reading) -> tuple[int, set[str]]:
    one, given = formulas
    model = who_says(one, reading)
    assert z3.is_true(model.eval(one.possible)), "a response that the service can read, and no patient of the proof"
    fired = {row for row, fires in given.fired.items() if z3.is_true(model.eval(fires))}
    return model.eval(given.urgency).as_long(), fired


def test_formulas_and_core_agree_on_answers_drawn_in_layers(
    screening: Screening, formulas: tuple[Patient, Advised]
) -> None:
    """Every way to damage an answer among them: what the service can read is a patient of the proof."""
    sets = answer_sets(screening, 4000, seed=7)
    now = datetime.now(UTC)
    births = (None, None, born(17), born(40), born(51), born(50)[:4], born(121)[:4])
    readings = [
        read_response(screening, one.response, True, birth_date=births[number % len(births)], now=now)
        for number, one in enumerate(sets)
    ]
    advices = [decide(screening, [reading]) for reading in readings]

    assert {advice.disposition for advice in advices} == set(screening.dispositions)
    for reading, advice in zip(readings, advices, strict=True):
        assert by_formulas(formulas, reading) == (
            list(screening.dispositions).index(advice.disposition),
            set(advice.rows),
        )


def test_where_formulas_and_core_differ_nothing_is_proved(
    screening: Screening, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(screening: Screening, readings: Any) -> Advice:
        return replace(decide(screening, readings), fired=())

    monkeypatch.setattr(found, "decide", other)
    with pytest.raises(WrongTranslation, match=r"the core fires \[\], the formulas \['R"):
        prove_one(screening, "reachable", statements()["reachable"])


def test_what_nobody_is_has_no_patient(screening: Screening) -> None:
    one = patient(screening, "one")

    assert find(screening, Claim("nobody", (one,), z3.And(one.doubted, z3.Not(one.doubted)))) is None
