"""Which response counts, and how far: each line of the table, with its boundaries, at noon of 20 March 2026."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cds_service.answers import MOST, Answer
from cds_service.responses import Reading, belongs, read_response
from tests.core.parts import day, said, screening
from tests.samples import ANSWERS, CALM, FORM, item

pytestmark = pytest.mark.timeless

NOW = day(20)
ALARM = CALM | {"rf-saddle": "new"}


def ago(**span: float) -> str:
    return (NOW - timedelta(**span)).isoformat()


def respond(answers: Mapping[str, Any] = ALARM, **members: Any) -> dict[str, Any]:
    """A completed response of an hour ago; a member given as None is left out."""
    whole = {
        "id": "r1",
        "questionnaire": f"{FORM}|1.0.0",
        "status": "completed",
        "authored": ago(hours=1),
        "source": {"reference": "Patient/p1"},
        "item": [item(link_id, answer) for link_id, answer in answers.items()],
    }
    return {name: value for name, value in (whole | members).items() if value is not None}


def read(response: dict[str, Any], *, named: bool = True, birth_date: Any = "1986-01-01") -> Reading:
    return read_response(screening(), response, named, birth_date=birth_date, now=NOW)


COUNTS: tuple[str, ...] = ()
YEAR_9999 = "9999-12-31T23:59:59Z"

# Members of the response → whether its alarms count, and why its "no" answers are not known (empty: they are).
TABLE: list[tuple[str, dict[str, Any], bool, tuple[str, ...]]] = [
    ("completed, an hour old", {}, True, COUNTS),
    ("amended", {"status": "amended"}, True, COUNTS),
    ("7 days old", {"authored": ago(days=7)}, True, COUNTS),
    ("a second more", {"authored": ago(days=7, seconds=1)}, True, ("too-old",)),
    ("30 days old", {"authored": ago(days=30)}, True, ("too-old",)),
    ("a second more than 30 days old", {"authored": ago(days=30, seconds=1)}, False, ("history",)),
    ("in progress", {"status": "in-progress"}, True, ("unfinished",)),
    ("stopped", {"status": "stopped"}, True, ("unfinished",)),
    ("in progress, 8 days old", {"status": "in-progress", "authored": ago(days=8)}, True, ("unfinished", "too-old")),
    ("in progress, 31 days old", {"status": "in-progress", "authored": ago(days=31)}, False, ("unfinished", "history")),
    ("another status", {"status": "registered"}, False, ("unknown-status",)),
    ("no status", {"status": None}, False, ("unknown-status",)),
    ("a version that is not accepted", {"questionnaire": f"{FORM}|9"}, False, ("unknown-version",)),
    ("no version", {"questionnaire": FORM}, True, COUNTS),
    ("an empty version", {"questionnaire": f"{FORM}|"}, False, ("unknown-version",)),
    ("no form named", {"questionnaire": None}, False, ("unknown-version",)),
    ("a form that is a number", {"questionnaire": 7}, False, ("unknown-version",)),
    ("a modifier", {"modifierExtension": [{"url": "x"}]}, False, ("unknown-version",)),
    ("rules of its own", {"implicitRules": "https://x.example"}, False, ("unknown-version",)),
    (
        "a version that is not accepted and a status that is not known",
        {"questionnaire": f"{FORM}|9", "status": "x"},
        False,
        ("unknown-version",),
    ),
    ("5 minutes ahead", {"authored": ago(minutes=-5)}, True, COUNTS),
    ("a second more than 5 minutes ahead", {"authored": ago(minutes=-5, seconds=-1)}, True, ("no-date",)),
    ("no authored", {"authored": None}, True, ("no-date",)),
    ("authored that is a number", {"authored": 2026}, True, ("no-date",)),
    ("authored that is text", {"authored": "today"}, True, ("no-date",)),
    ("authored with text behind it", {"authored": f"{ago(hours=1)} or so"}, True, ("no-date",)),
    ("authored without a zone", {"authored": "2026-03-20T10:00:00"}, True, ("no-date",)),
    ("authored without seconds", {"authored": "2026-03-20T10:00Z"}, True, ("no-date",)),
    ("authored in a zone that is none", {"authored": "2026-03-20T10:00:00+15:00"}, True, ("no-date",)),
    ("authored on 30 February", {"authored": "2026-02-30"}, True, ("no-date",)),
    ("authored in the year 0000", {"authored": "0000"}, True, ("no-date",)),
    ("authored in the year 9999", {"authored": "9999"}, True, ("no-date",)),
    ("authored at the end of time", {"authored": YEAR_9999}, True, ("no-date",)),
    ("a day of this week", {"authored": "2026-03-14"}, True, COUNTS),
    ("a day whose start is over 7 days ago", {"authored": "2026-03-13"}, True, ("too-old",)),
    ("a day whose end is within 30 days", {"authored": "2026-02-18"}, True, ("too-old",)),
    ("a day whose end is not", {"authored": "2026-02-17"}, False, ("history",)),
    ("a month: its latest moment for alarms", {"authored": "2026-02"}, True, ("too-old",)),
    ("a month that is over for long", {"authored": "2026-01"}, False, ("history",)),
    ("this month: its earliest moment for the others", {"authored": "2026-03"}, True, ("too-old",)),
    ("this year", {"authored": "2026"}, True, ("too-old",)),
    ("a part that is not in the form", {"item": [item("extra", "no")]}, True, ("unknown-question",)),
    ("damaged items", {"item": {}}, True, ("unknown-question",)),
    ("more than is read", {"item": [item("rf-saddle", "new")] * MOST}, True, ("unknown-question",)),
]


@pytest.mark.parametrize(("members", "alarms", "doubts"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
def test_a_response_counts_by_the_table(members: dict[str, Any], alarms: bool, doubts: tuple[str, ...]) -> None:
    reading = read(respond(**members))

    assert (reading.alarms, reading.doubts) == (alarms, doubts)


def test_a_response_that_names_no_patient_leaves_the_rest_not_known() -> None:
    assert read(respond(), named=False).doubts == ("no-subject",)
    assert read(respond(), named=False).alarms


def test_all_reasons_for_doubt_are_named() -> None:
    response = respond(status="stopped", authored=None, item=[item("extra", "no")])

    assert read(response, named=False).doubts == ("unfinished", "no-date", "no-subject", "unknown-question")


def test_the_answers_of_an_accepted_response_are_read_and_those_of_others_are_not() -> None:
    assert read(respond()).answers["rf-saddle"] == said("new")
    assert read(respond(authored=ago(days=40))).answers["rf-saddle"] == said("new"), "to be named as history"
    refused: list[dict[str, Any]] = [{"questionnaire": f"{FORM}|9"}, {"status": "x"}]
    for members in refused:
        answers = read(respond(**members)).answers
        assert answers["rf-saddle"] == Answer(doubt="missing")
        assert answers["age"] == Answer(doubt="missing")


# -------------------------------------------------------------------------------- what may hide an alarm

UNREADABLE = [{"valueString": "ja"}]
HIDING: list[tuple[str, dict[str, Any], bool]] = [
    ("nothing hides in what is read", {}, False),
    ("nor in what is unfinished", {"status": "in-progress"}, False),
    ("a version that is not accepted", {"questionnaire": f"{FORM}|9"}, True),
    ("a status that is not known", {"status": "x"}, True),
    ("a part that is not in the form", {"item": [item("extra", "no")]}, True),
    ("an unreadable safety answer", {"item": [item("rf-saddle", UNREADABLE)]}, True),
    (
        "a safety answer and one that cannot be read",
        {"item": [item("rf-saddle", "no"), item("rf-saddle", UNREADABLE)]},
        True,
    ),
    ("an unreadable answer about the course", {"item": [item("co-trend", UNREADABLE)]}, False),
    ("a safety answer that is missing", {"item": []}, False),
    ("of more than 30 days old nothing counts", {"questionnaire": f"{FORM}|9", "authored": ago(days=31)}, False),
    ("of no date something may", {"questionnaire": f"{FORM}|9", "authored": None}, True),
]


@pytest.mark.parametrize(("members", "hidden"), [row[1:] for row in HIDING], ids=[row[0] for row in HIDING])
def test_an_alarm_may_stand_in_what_cannot_be_read(members: dict[str, Any], hidden: bool) -> None:
    assert read(respond(**members)).hidden is hidden


# ------------------------------------------------------------------------------------- when, who, which

MIDNIGHT = datetime(2026, 3, 1, tzinfo=UTC)
A_MOMENT = timedelta(microseconds=1)
SPANS: list[tuple[str, Any, datetime | None, datetime | None, str]] = [
    ("a moment", "2026-03-20T11:00:00Z", day(20, 11), day(20, 11), "2026-03-20"),
    ("in another zone", "2026-03-20T13:00:00+02:00", day(20, 11), day(20, 11), "2026-03-20"),
    ("west of here", "2026-03-20T01:00:00-10:30", day(20, 11) + timedelta(minutes=30), None, "2026-03-20"),
    ("with a fraction", "2026-03-20T11:00:00.000Z", day(20, 11), day(20, 11), "2026-03-20"),
    ("a day", "2026-03-19", day(19, 0), day(20, 0) - A_MOMENT, "2026-03-19"),
    ("a month", "2026-02", datetime(2026, 2, 1, tzinfo=UTC), MIDNIGHT - A_MOMENT, "2026-02-01 – 2026-02-28"),
    ("unknown", None, None, None, ""),
]


@pytest.mark.parametrize(
    ("authored", "first", "last", "days"), [row[1:] for row in SPANS], ids=[row[0] for row in SPANS]
)
def test_a_response_was_filled_in_between_two_moments(
    authored: Any, first: datetime | None, last: datetime | None, days: str
) -> None:
    reading = read(respond(authored=authored))

    assert (reading.earliest, reading.latest) == (first, last or first)
    assert reading.days == days


WHO: list[tuple[str, dict[str, Any], str]] = [
    ("the patient", {"source": {"reference": "Patient/p1"}}, "Patient"),
    (
        "a relative, by an absolute reference",
        {"source": {"reference": "https://x.example/fhir/RelatedPerson/1"}},
        "RelatedPerson",
    ),
    ("a version of a clinician", {"source": {"reference": "Practitioner/1/_history/2"}}, "Practitioner"),
    (
        "the last kind named",
        {"source": {"reference": "https://x.example/Patient/PractitionerRole/1"}},
        "PractitionerRole",
    ),
    (
        "the author, where no source is named",
        {"source": None, "author": {"reference": "Practitioner/1"}},
        "Practitioner",
    ),
    ("the source before the author", {"author": {"reference": "Practitioner/1"}}, "Patient"),
    (
        "the author, where the source is a device",
        {"source": {"reference": "Device/1"}, "author": {"reference": "PractitionerRole/1"}},
        "PractitionerRole",
    ),
    ("nobody", {"source": None}, "unknown"),
    ("a kind without an id", {"source": {"reference": "Patient"}}, "unknown"),
    ("a name", {"source": {"display": "Jan Jansen"}}, "unknown"),
    ("a reference that is a list", {"source": {"reference": ["Patient/p1"]}}, "unknown"),
    ("a source that is text", {"source": "Patient/p1"}, "unknown"),
]


@pytest.mark.parametrize(("members", "who"), [row[1:] for row in WHO], ids=[row[0] for row in WHO])
def test_of_who_filled_it_in_the_kind_is_known_never_the_name(members: dict[str, Any], who: str) -> None:
    assert read(respond(**members)).who == who


@pytest.mark.parametrize(
    ("own", "reference"),
    [("r1", "QuestionnaireResponse/r1"), ("a b", None), ("", None), (7, None), (None, None), ("x" * 65, None)],
)
def test_a_response_is_referred_to_by_an_id_that_is_one(own: Any, reference: str | None) -> None:
    assert read(respond(id=own)).reference == reference


def test_the_status_is_named_only_where_it_is_one_of_ours() -> None:
    assert read(respond(status="stopped")).status == "stopped"
    assert read(respond(status="<b>")).status == "unknown"


# --------------------------------------------------------------------------------------------- the age


def test_the_age_is_that_of_the_day_of_filling_in() -> None:
    birthday = "1986-03-19"

    assert read(respond(authored="2026-03-18"), birth_date=birthday).answers["age"].span == (39, 39)
    assert read(respond(authored="2026-03-19"), birth_date=birthday).answers["age"].span == (40, 40)
    assert read(respond(authored="2026-03"), birth_date=birthday).answers["age"].span == (39, 40)
    assert read(respond(authored="2026-02"), birth_date="1986-02-15").answers["age"].span == (39, 40)


def test_without_a_date_of_filling_in_the_age_is_that_of_today() -> None:
    assert read(respond(authored=None), birth_date="1986-03-20").answers["age"].span == (40, 40)
    assert read(respond(authored=None), birth_date="1986-03-21").answers["age"].span == (39, 39)


def test_without_a_birth_date_the_age_is_the_one_stated() -> None:
    assert read(respond(ALARM | {"age": 70}), birth_date=None).answers["age"] == Answer(span=(70, 70))
    assert read(respond(), birth_date=None).answers["age"] == Answer(doubt="missing")


# ------------------------------------------------------------------------------------------ which form

OURS: list[tuple[str, Any, bool]] = [
    ("ours", f"{FORM}|1.0.0", True),
    ("without a version", FORM, True),
    ("over http", FORM.replace("https:", "http:"), True),
    ("without a scheme", FORM.removeprefix("https://"), True),
    ("in capitals", FORM.upper(), True),
    ("with a slash behind it", f"{FORM}/", True),
    ("with a blank in it", f" {FORM} |1.0.0", True),
    ("with a fragment", f"{FORM}#x", True),
    ("with a query", f"{FORM}?x", True),
    ("with an encoded bar", f"{FORM}%7C1.0.0", True),
    ("with a slash too many", FORM.replace("https://", "https:///"), True),
    ("one version of it", f"{FORM}/_history/1", True),
    ("one version of its end", "Questionnaire/low-back-pain/_HISTORY/1|1.0.0", True),
    ("a version behind a blank", f"{FORM} 1.0.0", True),
    ("a version behind a semicolon", f"{FORM};1.0.0", True),
    ("a version behind a slash", f"{FORM}/1.0.0", True),
    ("as a file", f"{FORM}.json", True),
    ("as another file", f"{FORM}.XML", True),
    ("with two slashes in it", FORM.replace("fhir/", "fhir//"), True),
    ("with a port", FORM.replace(".example", ".example:443"), True),
    ("with low lines", FORM.replace("-", "_"), True),
    ("with encoded hyphens", FORM.replace("-", "%2D"), True),
    ("encoded as a whole", FORM.replace(":", "%3A").replace("/", "%2F"), True),
    ("with a sign that nobody sees", FORM.replace("low-", "low\u200b-"), True),
    ("its end", "Questionnaire/low-back-pain", True),
    ("its name", "low-back-pain|1.0.0", True),
    ("a version only", "|1.0.0", True),
    ("none", None, True),
    ("blanks", "  ", True),
    ("a form that it holds", "#form", True),
    ("a number", 7, True),
    ("another", "https://x.example/Questionnaire/other", False),
    ("one that begins like ours", f"{FORM}-2", False),
    ("one that ends like ours", "https://x.example/Questionnaire/low-back-pain", False),
    ("one with a number behind its name", f"{FORM}2", False),
    ("what is below ours", f"{FORM}/neck", False),
    ("another on our port", "https://lowbackpain.example:443/fhir/Questionnaire/other", False),
    ("the end of its name", "back-pain", False),
    ("ours in the path of another", f"https://x.example/{FORM}", False),
]


@pytest.mark.parametrize(("questionnaire", "ours"), [row[1:] for row in OURS], ids=[row[0] for row in OURS])
def test_a_response_is_to_our_form_however_misspelt(questionnaire: Any, ours: bool) -> None:
    assert belongs(respond(questionnaire=questionnaire), screening()) is ours


def test_the_answers_are_those_of_our_own_code_system() -> None:
    other = [{"valueCoding": {"system": ANSWERS.replace("https", "http"), "code": "new"}}]

    assert read(respond(item=[item("rf-saddle", other)])).answers["rf-saddle"] == Answer(doubt="unreadable")
