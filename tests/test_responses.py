"""Which response counts: every line of the design's table, with the boundaries at 7 and 30 days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.conftest import Ask, topics
from tests.samples import CALM, FORM, ago, bundle, call, patient, response

ALARM = CALM | {"rf-saddle": "new"}
CHILD = CALM | {"rf-accident": "minor"}

# A month that ended less than 30 days ago, if at all, and began more than 7 days ago, whatever today is.
LAST_MONTH = str(datetime.now(UTC) - timedelta(days=15))[:7]

ALARM_AND_INCOMPLETE = ["emergency-now", "incomplete"]
INCOMPLETE = ["incomplete"]

# (why, members of the response, cards when an alarm is in it, cards when it is calm)
ONE_RESPONSE: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    ("completed, an hour old: by the rows", {}, ["emergency-now"], ["self-care"]),
    ("amended counts like completed", {"status": "amended"}, ["emergency-now"], ["self-care"]),
    ("almost 7 days old", {"authored": timedelta(days=6, hours=23)}, ["emergency-now"], ["self-care"]),
    ("just over 7 days old", {"authored": timedelta(days=7, minutes=1)}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("almost 30 days old", {"authored": timedelta(days=29, hours=23)}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("just over 30 days old: alarms are history", {"authored": timedelta(days=30, minutes=1)}, INCOMPLETE, INCOMPLETE),
    ("in progress", {"status": "in-progress"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("stopped", {"status": "stopped"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    (
        "in progress and 29 days old",
        {"status": "in-progress", "authored": timedelta(days=29)},
        ALARM_AND_INCOMPLETE,
        INCOMPLETE,
    ),
    ("in progress and 31 days old", {"status": "in-progress", "authored": timedelta(days=31)}, INCOMPLETE, INCOMPLETE),
    ("entered in error, and the only one", {"status": "entered-in-error"}, INCOMPLETE, INCOMPLETE),
    ("another status code", {"status": "registered"}, INCOMPLETE, INCOMPLETE),
    ("no status", {"status": None}, INCOMPLETE, INCOMPLETE),
    ("a status that is no text", {"status": ["completed"]}, INCOMPLETE, INCOMPLETE),
    ("a version that is not accepted", {"questionnaire": f"{FORM}|9.9.9"}, INCOMPLETE, INCOMPLETE),
    ("an empty version", {"questionnaire": f"{FORM}|"}, INCOMPLETE, INCOMPLETE),
    ("no version: our form", {"questionnaire": FORM}, ["emergency-now"], ["self-care"]),
    ("another form", {"questionnaire": "https://other.example/Questionnaire/x|1.0.0"}, [], []),
    ("another form whose name starts like ours", {"questionnaire": f"{FORM}-2|1.0.0"}, [], []),
    ("our form with a fragment", {"questionnaire": f"{FORM}#x"}, INCOMPLETE, INCOMPLETE),
    ("our form with a blank before it", {"questionnaire": f" {FORM}|1.0.0"}, INCOMPLETE, INCOMPLETE),
    ("our form with a blank before the bar", {"questionnaire": f"{FORM} |1.0.0"}, INCOMPLETE, INCOMPLETE),
    ("our form with a slash behind it", {"questionnaire": f"{FORM}/|1.0.0"}, INCOMPLETE, INCOMPLETE),
    ("our form over http", {"questionnaire": FORM.replace("https", "http")}, INCOMPLETE, INCOMPLETE),
    ("our form in capitals", {"questionnaire": FORM.upper()}, INCOMPLETE, INCOMPLETE),
    ("our form without its base", {"questionnaire": "Questionnaire/low-back-pain|1.0.0"}, INCOMPLETE, INCOMPLETE),
    ("a version without a form", {"questionnaire": "|1.0.0"}, INCOMPLETE, INCOMPLETE),
    ("rules of its own", {"implicitRules": "https://x.example"}, INCOMPLETE, INCOMPLETE),
    (
        "authored in no time zone of this world",
        {"authored": "2026-01-01T00:00:00-23:59"},
        ALARM_AND_INCOMPLETE,
        INCOMPLETE,
    ),
    ("no form named", {"questionnaire": None}, INCOMPLETE, INCOMPLETE),
    ("the form is no text", {"questionnaire": {"url": FORM}}, INCOMPLETE, INCOMPLETE),
    ("a form of its own inside", {"questionnaire": "#form"}, INCOMPLETE, INCOMPLETE),
    ("no authored", {"authored": None}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored unreadable", {"authored": "gisteren"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored without a time zone", {"authored": "2026-11-20T10:00:00"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored on a day that is not", {"authored": "2026-02-30T10:00:00Z"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored is a number", {"authored": 0}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored in the year 0000", {"authored": "0000-01-01T00:00:00Z"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored 4 minutes ahead: clocks differ", {"authored": timedelta(minutes=-4)}, ["emergency-now"], ["self-care"]),
    ("authored 6 minutes ahead", {"authored": timedelta(minutes=-6)}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored in the year 9999", {"authored": "9999-12-31T23:59:59Z"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("authored today, without a time", {"authored": ago()[:10]}, ["emergency-now"], ["self-care"]),
    (
        "authored on a day whose start is over 7 days ago",
        {"authored": ago(days=7)[:10]},
        ALARM_AND_INCOMPLETE,
        INCOMPLETE,
    ),
    ("authored on a day that ended over 30 days ago", {"authored": ago(days=32)[:10]}, INCOMPLETE, INCOMPLETE),
    ("authored in a month of which the start is stale", {"authored": LAST_MONTH}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("no subject", {"subject": None}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("a subject without a reference", {"subject": {"display": "x"}}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("a subject by identifier", {"subject": {"identifier": {"value": "1"}}}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("a subject that is no object", {"subject": "Patient/p1"}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    ("a subject in an array", {"subject": [{"reference": "Patient/p1"}]}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    (
        "the patient in another member",
        {"subject": None, "patient": {"reference": "Patient/p1"}},
        ALARM_AND_INCOMPLETE,
        INCOMPLETE,
    ),
    ("a contained subject", {"subject": {"reference": "#p1"}}, ALARM_AND_INCOMPLETE, INCOMPLETE),
    (
        "an absolute subject, and no fhirServer to compare it with",
        {"subject": {"reference": "https://ehr.example/fhir/Patient/p1"}},
        ALARM_AND_INCOMPLETE,
        INCOMPLETE,
    ),
    ("a version of the patient", {"subject": {"reference": "Patient/p1/_history/3"}}, ["emergency-now"], ["self-care"]),
    ("a modifier that we do not know", {"modifierExtension": [{"url": "x"}]}, INCOMPLETE, INCOMPLETE),
    ("no items at all", {"item": None}, INCOMPLETE, INCOMPLETE),
    ("items that are no array", {"item": {}}, INCOMPLETE, INCOMPLETE),
]


@pytest.mark.parametrize("holds", ["alarm", "calm"])
@pytest.mark.parametrize("row", ONE_RESPONSE, ids=[row[0] for row in ONE_RESPONSE])
def test_one_response_counts_as_the_table_says(
    row: tuple[str, dict[str, Any], list[str], list[str]], holds: str, ask: Ask
) -> None:
    _, members, with_alarm, calm = row

    cards = ask(call(response(ALARM if holds == "alarm" else CALM, **members)))

    assert (with_alarm if holds == "alarm" else calm) == topics(cards)


def old(**members: Any) -> dict[str, Any]:
    return {"id": "response-2", "authored": timedelta(days=3), **members}


TWO_ANSWERS = {"rf-other": ["none", "Chest-abdomen"]}
NUMB = {"rf-leg": "numbness", "rf-leg-sides": "unknown", "rf-leg-progress": "unknown"}
ADVICE_AND_INCOMPLETE = ["doctor-advice", "incomplete"]

# Each row: why, the responses, the cards.
SEVERAL: list[tuple[str, list[tuple[dict[str, Any], dict[str, Any]]], list[str]]] = [
    ("the newest complete one counts for 'no'", [(CALM, {}), (CALM | {"rf-cancer": "unknown"}, old())], ["self-care"]),
    ("whatever their order", [(CALM | {"rf-cancer": "unknown"}, old()), (CALM, {})], ["self-care"]),
    ("a gap in the newest complete one counts", [(CALM | {"rf-cancer": "unknown"}, {}), (CALM, old())], INCOMPLETE),
    ("an older alarm counts beside a newer calm one", [(CALM, {}), (ALARM, old())], ["emergency-now"]),
    ("an alarm of 29 days ago too", [(CALM, {}), (ALARM, old(authored=timedelta(days=29)))], ["emergency-now"]),
    ("one of 31 days ago no longer", [(CALM, {}), (ALARM, old(authored=timedelta(days=31)))], ["self-care"]),
    ("an alarm entered in error does not", [(CALM, {}), (ALARM, old(status="entered-in-error"))], ["self-care"]),
    ("an alarm in another form does not", [(CALM, {}), (ALARM, old(questionnaire="https://x.org/q"))], ["self-care"]),
    ("an alarm in an unfinished one counts", [(CALM, {}), (ALARM, old(status="in-progress"))], ["emergency-now"]),
    (
        "an unfinished newer one without alarms leaves the complete one standing",
        [(CALM, old()), (CALM, {"status": "in-progress"})],
        ["self-care"],
    ),
    ("an undated alarm counts, and may be the newest", [(CALM, {}), (ALARM, old(authored=None))], ALARM_AND_INCOMPLETE),
    ("an undated calm one may be the newest", [(CALM, {}), (CALM, old(authored=None))], INCOMPLETE),
    (
        "a newer one that cannot be read stands in the way",
        [(CALM, old()), (CALM, {"questionnaire": f"{FORM}|9"})],
        INCOMPLETE,
    ),
    (
        "an older one that cannot be read may hold an alarm",
        [(CALM, {}), (CALM, old(questionnaire=f"{FORM}|9"))],
        INCOMPLETE,
    ),
    ("so may one with another status", [(CALM, {}), (CALM, old(status="Completed"))], INCOMPLETE),
    ("so may one with an unreadable safety answer", [(CALM, {}), (CALM | {"rf-saddle": "nope"}, old())], INCOMPLETE),
    (
        "and its course of the pain does not count",
        [(CALM, {}), (CALM | {"rf-saddle": "nope", "co-trend": "worse"}, old())],
        INCOMPLETE,
    ),
    ("so may one with a part that is not in the form", [(CALM, {}), (CALM | {"rf-sadle": "new"}, old())], INCOMPLETE),
    ("so may one with an answer beside one that cannot be read", [(CALM, {}), (CALM | TWO_ANSWERS, old())], INCOMPLETE),
    (
        "what was reported before and not followed up is a gap",
        [(CALM, {}), (CALM | NUMB, old())],
        ADVICE_AND_INCOMPLETE,
    ),
    (
        "so is what an unfinished one reports and does not follow up",
        [(CALM, old()), ({"rf-leg": "numbness"}, {"status": "in-progress"})],
        ADVICE_AND_INCOMPLETE,
    ),
    ("an older one with a gap holds none", [(CALM, {}), (CALM | {"rf-saddle": "unknown"}, old())], ["self-care"]),
    ("a newer one without subject stands in the way", [(CALM, old()), (CALM, {"subject": None})], INCOMPLETE),
    (
        "an unfinished newer one with a gap leaves the complete one standing",
        [(CALM, old()), ({"lbp-present": "yes"}, {"status": "in-progress"})],
        ["self-care"],
    ),
    (
        "an unfinished newer one that does not know does not",
        [(CALM, old()), ({"rf-saddle": "unknown"}, {"status": "in-progress"})],
        INCOMPLETE,
    ),
    (
        "nor one whose answer is unreadable",
        [(CALM, old()), ({"rf-saddle": {"valueString": "ja"}}, {"status": "in-progress"})],
        INCOMPLETE,
    ),
    (
        "nor one with a question that is not in the form",
        [(CALM, old()), ({"rf-sadle": "new"}, {"status": "in-progress"})],
        INCOMPLETE,
    ),
    ("nor one without subject", [(CALM, old()), (CALM, {"status": "in-progress", "subject": None})], INCOMPLETE),
    (
        "no low back pain, but an unfinished newer one says there is",
        [(CALM | {"lbp-present": "no"}, old()), ({"lbp-present": "yes"}, {"status": "in-progress"})],
        INCOMPLETE,
    ),
    ("two of the same moment both count", [(CALM, {}), (ALARM, {})], ["emergency-now"]),
    ("two of the same moment, one with a gap", [(CALM, {}), (CALM | {"rf-leg": "unknown"}, {})], INCOMPLETE),
    (
        "a course answer of an older one does not count",
        [(CALM, {}), (CALM | {"co-trend": "worse"}, old())],
        ["self-care"],
    ),
    ("two alarms in two responses: the most urgent leads", [(CHILD, {}), (ALARM, old())], ["emergency-now"]),
    (
        "only stale ones: incomplete",
        [(CALM, old(authored=timedelta(days=8))), (CALM, old(authored=timedelta(days=9)))],
        INCOMPLETE,
    ),
]


@pytest.mark.parametrize("row", SEVERAL, ids=[row[0] for row in SEVERAL])
def test_several_responses_count_together(
    row: tuple[str, list[tuple[dict[str, Any], dict[str, Any]]], list[str]], ask: Ask
) -> None:
    _, responses, expected = row

    cards = ask(call(*(response(answers, **members) for answers, members in responses)))

    assert expected == topics(cards)


def test_an_alarm_no_longer_reported_names_both_dates_and_how_to_end_it(ask: Ask) -> None:
    older, newer = ago(days=3), ago(hours=1)

    (card,) = ask(call(response(CALM, authored=newer), response(ALARM, authored=older)), "en")

    assert f"Reported on {older[:10]}" in card["detail"]
    assert f"newer response of {newer[:10]}" in card["detail"]
    assert "entered-in-error" in card["detail"]
    assert "amended" in card["detail"]


def test_alarms_of_more_than_30_days_ago_are_named_as_history(ask: Ask) -> None:
    (card,) = ask(call(response(ALARM, authored=ago(days=40))), "en")

    assert "Reported earlier, more than 30 days ago" in card["detail"]
    assert "new numbness or tingling between the legs" in card["detail"]


def test_history_is_not_named_beside_a_complete_response(ask: Ask) -> None:
    gap, alarm = response(CALM | {"rf-leg": "unknown"}), response(ALARM, authored=timedelta(days=40))

    (card,) = ask(call(gap, alarm), "en")

    assert "Reported earlier" not in card["detail"]


def test_what_the_newest_response_reports_is_named_beside_an_older_alarm_on_the_same_answer(ask: Ask) -> None:
    cancer = CALM | {"rf-cancer": "yes"}
    older = response(cancer | {"rf-clear-cause": "no"}, authored=timedelta(days=3), id="response-2")

    (card,) = ask(call(response(cancer), older), "en")

    assert "[R13]" in card["detail"]
    assert "[R24]" in card["detail"]


def test_the_incomplete_card_says_why(ask: Ask) -> None:
    says: dict[str, dict[str, Any]] = {
        "the response names no patient": {"subject": None},
        "more than 7 days old": {"authored": timedelta(days=8)},
        "not finished": {"status": "stopped"},
        "absent, unreadable or in the future": {"authored": "soon"},
        "unknown version or form": {"questionnaire": f"{FORM}|0.1.0"},
        "marked as entered in error": {"status": "entered-in-error"},
    }
    for reason, members in says.items():
        assert reason in ask(call(response(CALM, **members)), "en")[0]["detail"]


@pytest.mark.parametrize("shape", ["bundle", "alone", "array"])
def test_responses_are_found_in_a_bundle_alone_or_in_an_array(shape: str, ask: Ask) -> None:
    one = response(ALARM)
    value = {"bundle": bundle(one), "alone": one, "array": [one]}[shape]

    assert topics(ask(call(prefetch={"patient": patient(), "responses": value}))) == ["emergency-now"]


def test_a_next_page_means_that_not_all_was_seen(ask: Ask) -> None:
    page = bundle(response(CALM)) | {"link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}]}

    (card,) = ask(call(prefetch={"patient": patient(), "responses": page}), "en")

    assert topics([card]) == ["incomplete"]
    assert "not all responses could be read" in card["detail"]


def test_an_absolute_subject_under_the_fhir_server_is_compared(ask: Ask) -> None:
    one = response(CALM, subject={"reference": "https://ehr.example/fhir/Patient/p1"})

    assert topics(ask(call(one, fhirServer="https://ehr.example/fhir/"))) == ["self-care"]


# (why, birthDate, age item or None, cards)
BIRTH_DATES: list[tuple[str, Any, int | None, list[str]]] = [
    ("a year that may be 51: as if over 50", str(datetime.now(UTC).year - 51), None, ["physio-or-doctor"]),
    ("a year that is surely under 51", str(datetime.now(UTC).year - 45), None, ["self-care"]),
    ("a month of birth", f"{datetime.now(UTC).year - 45}-06", None, ["self-care"]),
    ("a year that may be under 18", str((datetime.now(UTC) + timedelta(days=1)).year - 18), None, ["doctor-advice"]),
    ("a birth date in the future", f"{datetime.now(UTC).year + 2}-01-01", None, INCOMPLETE),
    ("a birth date of 1800", "1800-01-01", None, INCOMPLETE),
    ("a birth date that is none", "1980-13-01", None, INCOMPLETE),
    ("a birth date that is a number", 1980, None, INCOMPLETE),
    ("an unreadable birth date is not replaced by the item", "??", 40, INCOMPLETE),
    ("no birth date, and the item", None, 40, ["self-care"]),
]


@pytest.mark.parametrize("row", BIRTH_DATES, ids=[row[0] for row in BIRTH_DATES])
def test_the_age_follows_from_the_birth_date(row: tuple[str, Any, int | None, list[str]], ask: Ask) -> None:
    _, birth_date, stated, expected = row
    answers = CALM | {"rf-clear-cause": "no"} | ({} if stated is None else {"age": stated})

    about = patient(None) | ({} if birth_date is None else {"birthDate": birth_date})

    cards = ask(call(response(answers), about=about))

    assert expected == topics(cards)


def test_the_51st_birthday_counts_on_the_day_of_filling_in(ask: Ask) -> None:
    recent = [datetime.now(UTC) - timedelta(days=days) for days in (2, 3)]
    authored = next(moment for moment in recent if (moment.month, moment.day) != (2, 29))
    day_of = authored.date().replace(year=authored.year - 51)
    answers = response(CALM | {"rf-clear-cause": "no"}, authored=authored.isoformat(timespec="seconds"))
    eve = day_of + timedelta(days=1)

    assert topics(ask(call(answers, about=patient(None, birthDate=str(day_of))))) == ["physio-or-doctor"]
    assert topics(ask(call(answers, about=patient(None, birthDate=str(eve))))) == ["self-care"]


def test_two_patients_with_different_birth_dates_are_not_known(ask: Ask) -> None:
    both = [patient(30), patient(60)]

    cards = ask(call(prefetch={"patient": both, "responses": response(CALM)}))

    assert topics(cards) == ["incomplete"]
