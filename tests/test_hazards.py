"""What the hazard log (docs/safety/hazards.toml) asks for and no other test shows: whole lists, not single cases."""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from stdnum import luhn, verhoeff

from cds_content.loading import content_hash, load
from cds_content.screening import Screening
from cds_service.advice import decide
from cds_service.answers import Answers
from cds_service.responses import Reading
from tests.conftest import ROOT, Ask, topics
from tests.example_files import EXAMPLES, LANGUAGES
from tests.samples import CALM, call, patient, response
from tests.test_patients import CASES, about
from tests.test_patients import answers as answers_of
from tests.test_safety import ASKED_BY, DOCTOR, NOT_KNOWN, OPTIONS, REASSURING, SAFETY, WORST
from tests.triage_rates import people, shares

(CONTENT,) = load(ROOT)
FOLDERS = (ROOT / "questionnaires" / CONTENT.name, ROOT / "cards" / CONTENT.name)
FILES = [
    path for folder in FOLDERS for path in sorted(folder.iterdir()) if path.name not in ("review.md", "signed.toml")
]
CONTENT_FILES = [*FILES, ROOT / "cards/words.toml"]


# ------------------------------------------------------------------------------- H01, H02: missing and not known


@pytest.mark.parametrize("link_id", SAFETY)
def test_each_safety_answer_left_out_or_not_known_leaves_the_screening_incomplete(link_id: str, ask: Ask) -> None:
    around = {"age": 40} | CALM | ASKED_BY.get(link_id, {})
    left_out = {name: answer for name, answer in around.items() if name != link_id}

    for answers in (left_out, *(around | {name: code} for name, code in NOT_KNOWN if name == link_id)):
        calm = topics(ask(call(response(answers), about=patient(None))))
        worse = topics(ask(call(response(answers | {"co-trend": "worse"}), about=patient(None))))

        assert "incomplete" in calm
        assert not REASSURING & set(calm)
        assert "incomplete" in worse
        assert worse[0] not in REASSURING


# --------------------------------------------------------------------------------------- H09: nobody reads at once


@pytest.mark.parametrize(
    ("language", "said"),
    [
        ("nl", ("Niemand leest je antwoorden meteen", "Bel nu je huisarts of de huisartsenpost", "112")),
        ("en", ("Nobody reads your answers straight away", "Call your GP or out-of-hours GP now", "112")),
    ],
)
def test_the_form_opens_with_whom_to_call_and_that_nobody_reads_at_once(language: str, said: tuple[str, ...]) -> None:
    first = CONTENT.questionnaire["item"][0]
    texts = dict(pairs(first))

    assert first["type"] == "display"
    text = texts["text"][language]
    assert [words for words in said if words not in text] == []


# ------------------------------------------------------------------------------------------------ H10: over-triage

# What the specification calls an emergency; all else must be less.
EMERGENCIES = {
    "rf-bladder-bowel": "new",
    "rf-saddle": "new",
    "rf-sexual": "new",
    "rf-leg-sides": "both",
    "rf-leg-progress": "yes",
    "rf-other": "chest-abdomen",
}


def test_invented_patients_without_an_alarm_are_sent_to_no_doctor_and_are_not_incomplete(screening: Screening) -> None:
    found = shares(screening, 0.0, 500)

    assert {name for name, share in found.items() if share} == REASSURING
    assert sum(found.values()) == pytest.approx(1)


def test_among_invented_patients_exactly_those_with_an_emergency_answer_are_emergencies(screening: Screening) -> None:
    seen = set()
    for answers in people(screening, 0.1, 500):
        expected = any(code in answers[name].codes for name, code in EMERGENCIES.items())
        advice = decide(screening, [Reading(Answers(answers))]).disposition

        assert (advice == "emergency-now") == expected
        seen.add(advice)
    assert seen >= DOCTOR


def test_alarms_come_in_tiers_and_most_are_no_emergency(screening: Screening) -> None:
    found = shares(screening, 0.05, 500)

    assert 0 < found["emergency-now"] < sum(share for name, share in found.items() if name in DOCTOR) / 2


def test_every_alarm_at_once_is_one_card_and_a_gap_one_more(ask: Ask) -> None:
    every = CALM | WORST | {"rf-other": OPTIONS["rf-other"][2:]}

    assert topics(ask(call(response(every)))) == ["emergency-now"]
    assert topics(ask(call(response(every | {"rf-cancer": "unknown"})))) == ["emergency-now", "incomplete"]


# ------------------------------------------------------------------- H11: "no red flags" is not "nothing is wrong"

PHRASES = {
    "nl": ("niets ernstigs", "geen ernstige", "uitgesloten", "niets aan de hand", "geen zorgen", "onschuldig"),
    "en": ("nothing serious", "no serious", "ruled out", "nothing is wrong", "nothing wrong", "not worry", "harmless"),
}


def spoken() -> Iterator[tuple[str, str]]:
    """(file, text in small letters) of all that clinicians and patients read, but for the sheet's own statements."""
    words = [path for path in CONTENT_FILES if path.name != "statements.toml"]
    words += [*(ROOT / "cds_service/words").glob("*.toml"), *(ROOT / "cds_service/templates").glob("*.jinja")]
    yield from ((path.name, path.read_text("utf-8").lower()) for path in words)
    for path in (EXAMPLES / CONTENT.name).glob("*.json"):
        answer = json.loads(path.read_text("utf-8"))["response"]
        yield path.name, json.dumps(answer, ensure_ascii=False).lower()


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_says_or_implies_that_nothing_is_wrong(language: str) -> None:
    found = {name: [phrase for phrase in PHRASES[language] if phrase in text] for name, text in spoken()}

    assert len(found) > 80
    assert {name: phrases for name, phrases in found.items() if phrases} == {}


# ----------------------------------------------------------------------------------------------- H15: painkillers

DRUGS = re.compile("paracetamol|ibuprofen|pijnstiller|painkiller", re.IGNORECASE)
CAVEAT = {"nl": "Geen ibuprofen zonder overleg met arts of apotheker", "en": "No ibuprofen without asking a doctor"}
ASK_FIRST = {"nl": "zwangerschap, maagzweer", "en": "pregnant, previous ulcer"}


@pytest.mark.parametrize("language", LANGUAGES)
def test_painkillers_are_named_only_with_their_caveat_and_in_conservative_care(language: str, ask: Ask) -> None:
    bodies = [call(response(answers_of(case)), about=about(case)) for case in CASES]
    cards = [card for body in bodies for card in ask(body, language)]
    naming = [card for card in cards if DRUGS.search(json.dumps(card))]

    assert {topic for card in naming for topic in topics([card])} == REASSURING
    for card in naming:
        assert CAVEAT[language] in card["detail"]
        assert ASK_FIRST[language] in card["detail"]
        assert not DRUGS.search(json.dumps([card["summary"], card["suggestions"]]))


@pytest.mark.parametrize(
    ("answers", "age"),
    [
        ({"rf-other": "pregnant", "co-trend": "worse"}, 30),
        ({"co-trend": "worse"}, 17),
        ({"rf-other": "unknown", "co-trend": "worse"}, 30),
        ({"co-trend": "worse"}, None),
    ],
    ids=["pregnant", "a child", "perhaps pregnant", "of unknown age"],
)
def test_nobody_is_told_of_painkillers_who(answers: dict[str, Any], age: int | None, ask: Ask) -> None:
    for language in LANGUAGES:
        cards = ask(call(response(CALM | answers), about=patient(age)), language)
        assert cards
        assert not DRUGS.search(json.dumps(cards))


def test_no_content_creates_a_medication_or_deletes_anything(screening: Screening) -> None:
    bodies = [resource.body for resource in screening.texts.resource.values()]

    assert {body["resourceType"] for body in bodies} == {"ServiceRequest", "CarePlan", "Task"}
    for path in CONTENT_FILES:
        assert not re.search(
            r"Medication(Request|Administration|Dispense|Statement)|\"delete\"", path.read_text("utf-8")
        )


# ----------------------------------------------------------------------------------------------------- H16: codes

SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
# The specification's table of findings, referrals and procedures.
DISPLAYS = {
    "279039007": "Low back pain",
    "1187255000": "Paresthesia of saddle area",
    "56925008": "Abnormal sexual function",
    "26544005": "Muscle weakness",
    "448765001": "Unintentional weight loss",
    "309537005": "Numbness of lower limb",
    "367391008": "Malaise",
    "386661006": "Fever",
    "77386006": "Pregnant",
    "306254002": "Referral to Accident and Emergency doctor",
    "183561008": "Referral to general practitioner",
    "308447003": "Referral to physiotherapist",
    "311401005": "Patient education",
    "410289001": "Exercises education, guidance, and counseling",
}


def test_every_code_in_the_content_passes_its_check_digit() -> None:
    found = {(one["system"], one["code"]) for path in CONTENT_FILES for one in codings(read(path))}
    found |= {(SNOMED, code) for code in CONTENT.codes}
    snomed = {code for system, code in found if system == SNOMED}
    loinc = {code for system, code in found if system == LOINC}

    assert (len(snomed) > 20, len(loinc) > 15) == (True, True)
    assert [code for code in snomed if not verhoeff.is_valid(code)] == []
    assert [code for code in loinc if not luhn.is_valid(code.replace("-", ""))] == []


def test_codes_of_findings_and_referrals_are_those_of_the_specification() -> None:
    assert {code: one["display"] for code, one in CONTENT.codes.items()} == DISPLAYS
    for body in [resource.body for resource in CONTENT.texts.resource.values()]:
        for one in [one for one in codings(body) if one["system"] == SNOMED]:
            assert one["display"] == DISPLAYS[one["code"]]


# ---------------------------------------------------------------------------------------------- H17: translations


def test_every_text_is_in_both_languages_with_the_same_figures_and_places() -> None:
    found = [(path.name, text) for path in CONTENT_FILES for _, text in pairs(read(path))]

    assert len(found) > 300
    for name, text in found:
        assert all(text[language].strip() for language in LANGUAGES), (name, text)
        for pattern in (r"\d+", r"\{[a-z-]+\}"):
            dutch, english = (sorted(re.findall(pattern, text[language])) for language in LANGUAGES)
            assert dutch == english, (name, text)


@pytest.mark.parametrize("phrase", ["mensen verbeteren", "most people improve", "people improve most"])
def test_no_text_repeats_what_the_sheet_overstates(phrase: str) -> None:
    files = [path for path in CONTENT_FILES if phrase in path.read_text("utf-8").lower()]

    assert files == []
    assert [name for name, text in spoken() if phrase in text] == []


# ---------------------------------------------------------------------------------- H18: content changed unnoticed


@pytest.mark.parametrize("path", CONTENT_FILES, ids=[path.name for path in CONTENT_FILES])
def test_the_hash_changes_with_every_file_of_the_content(path: Path, tmp_path: Path) -> None:
    for folder in ("questionnaires", "cards"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    before = content_hash(tmp_path, CONTENT.name)
    changed = tmp_path / path.relative_to(ROOT)

    changed.write_bytes(changed.read_bytes().replace(b"a", b"b", 1))

    assert before == CONTENT.hash
    assert content_hash(tmp_path, CONTENT.name) != before


# ----------------------------------------------------------------------------------------------- reading the files


def read(path: Path) -> Any:
    text = path.read_text("utf-8")
    return json.loads(text) if path.suffix == ".json" else tomllib.loads(text)


def pairs(value: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """(member, text in each language) of every text in a value: { nl, en }, a translation, or a designation."""
    if isinstance(value, list):
        yield from (pair for part in value for pair in pairs(part))
    if not isinstance(value, dict):
        return
    if set(value) == set(LANGUAGES):
        yield "", value
    for name, part in value.items():
        if isinstance(part, str) and f"_{name}" in value:
            _, english = value[f"_{name}"]["extension"][0]["extension"]
            yield name, {"nl": part, "en": english.get("valueString") or english["valueMarkdown"]}
        yield from pairs(part)
    said = [one for one in value.get("designation", []) if one.get("language") == "en"]
    yield from (("display", {"nl": value["display"], "en": one["value"]}) for one in said)


def codings(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, list):
        yield from (one for part in value for one in codings(part))
    if isinstance(value, dict):
        if isinstance(value.get("system"), str) and isinstance(value.get("code"), str):
            yield value
        yield from (one for part in value.values() for one in codings(part))
