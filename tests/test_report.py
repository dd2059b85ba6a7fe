"""The report: every card counted in its week, with how it ended, so that a malfunction or an ignored card is seen."""

import html
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Engine

from cds_content.screening import Screening
from cds_service.advice import NO_ORDER, NO_SCREENING, Advice, decide
from cds_service.clients import DEVELOPMENT, Client, Role
from cds_service.report import text
from cds_service.report.remarks import NOTHING, remarks
from cds_service.report.sections import Section, Tally, sections, total
from cds_service.responses import read_response
from cds_service.store import Act, Received, create, decision, delete, open_store, record, record_feedback
from cds_service.store.counts import figures
from cds_service.web import FHIR_JSON
from tests.conftest import SERVICE
from tests.samples import CALM, FORM, call, response
from tests.wire import cards_of, refusal_of, send, serving

NOW = datetime.now(UTC)
MONDAY = datetime.combine(NOW.date() - timedelta(days=NOW.weekday()), time(), UTC)  # the week that is running
NO_TIME = timedelta()
COMPLETE = {"lbp-present": "yes", "age": 40} | CALM
EMERGENCY = COMPLETE | {"rf-bladder-bowel": "new"}
INCOMPLETE = COMPLETE | {"rf-saddle": "unknown"}
NOT_COMPARED = ["Shares were not compared: that takes 30 screenings in the last whole week, and as many before it."]


class Log:
    """A store that tests fill with decisions, their cards and feedback, some weeks before the one that is running."""

    def __init__(self, store: Engine, screening: Screening) -> None:
        self.store, self.screening = store, screening

    def decided(
        self,
        answers: dict[str, Any] | Advice,
        *topics: str,
        weeks: int = 0,
        client: str = "hospital",
        after: timedelta = NO_TIME,
    ) -> list[str]:
        """A decision on these answers, with a card on each of the topics; gives the uuids of the cards."""
        act = Act(client, MONDAY - timedelta(weeks=weeks) + after, "Practitioner/gp-1", "a1" * 32, "visit")
        cards = [{"uuid": str(uuid4()), "source": {"topic": {"code": topic}}} for topic in topics]
        advice = answers if isinstance(answers, Advice) else self.advice(answers)
        record(self.store, act, decision(self.screening, act, "patient-view", advice), cards)
        return [str(card["uuid"]) for card in cards]

    def advice(self, answers: dict[str, Any]) -> Advice:
        body = response(answers)
        return decide(
            self.screening, [read_response(self.screening, body, True, birth_date=None, now=datetime.now(UTC))]
        )

    def said(
        self,
        card: str,
        outcome: str,
        reason: str | None = None,
        *,
        comment: str | None = None,
        client: str = "hospital",
    ) -> None:
        """Feedback on a card, now."""
        entry = {
            "card": card,
            "outcome": outcome,
            "outcome_timestamp": NOW,
            "accepted_suggestions": [],
            "reason_code": reason,
            "reason_system": reason and "urn:reasons",
            "reason_display": reason,
            "comment": comment,
        }
        record_feedback(self.store, Act(client, NOW), [entry])

    def section(self, weeks: int = 4) -> Section:
        (section,) = sections(figures(self.store, NOW, weeks), [self.screening])
        return section


@pytest.fixture(name="log")
def _log(store: Engine, screening: Screening) -> Log:
    return Log(store, screening)


@pytest.fixture(name="quick")
def _quick(screening: Screening, tmp_path: Path) -> Iterator[Log]:
    """The same on SQLite only, for what does not depend on the database."""
    engine = open_store(f"sqlite:///{tmp_path / 'quick.sqlite'}")
    yield Log(engine, screening)
    engine.dispose()


def ends(tallies: tuple[Tally, ...]) -> list[tuple[int, int, int, int]]:
    """(decisions, shown, accepted, overridden) in each week."""
    return [(one.decisions, one.shown, one.accepted, one.overridden) for one in tallies]


NONE = (0, 0, 0, 0)


def test_a_card_counts_for_its_disposition_and_for_every_row_that_fired(log: Log) -> None:
    (card,) = log.decided(EMERGENCY, "emergency-now", weeks=2)
    rows = log.advice(EMERGENCY).rows
    log.said(card, "accepted")

    section = log.section()

    assert ends(section.topics["emergency-now"]) == [NONE, (1, 1, 1, 0), NONE, NONE]
    assert rows
    for row, tallies in section.rows.items():
        assert ends(tallies) == [NONE, (1, 1, 1, 0) if row in rows else NONE, NONE, NONE]


def test_a_decision_without_a_card_is_told_from_one_with(log: Log) -> None:
    log.decided(EMERGENCY, "imaging", weeks=1)
    log.decided(EMERGENCY, weeks=1)

    tally = log.section().topics["emergency-now"][2]

    assert (tally.decisions, tally.shown, tally.cardless) == (2, 0, 1)


def test_a_card_without_feedback_was_neither_accepted_nor_overridden(log: Log) -> None:
    log.decided(EMERGENCY, "emergency-now")

    assert log.section().topics["emergency-now"][-1].silent == 1


def test_the_reasons_of_overriding_are_counted_by_code(log: Log) -> None:
    for reason in ("already-referred", "already-referred", "patient-declines", None):
        (card,) = log.decided(EMERGENCY, "emergency-now")
        log.said(card, "overridden", reason)

    tally = total(log.section().topics["emergency-now"])

    assert (tally.shown, tally.overridden) == (4, 4)
    assert tally.reasons == {"already-referred": 2, "patient-declines": 1, "no coded reason": 1}


def test_a_reason_that_is_not_ours_is_counted_and_not_repeated(log: Log, screening: Screening) -> None:
    (card,) = log.decided(EMERGENCY, "emergency-now")
    log.said(card, "overridden", "Secret Name", comment="Secret words")

    assert total(log.section().topics["emergency-now"]).reasons == {"another code": 1}
    assert "Secret" not in text(figures(log.store, NOW), [screening])


def test_the_last_feedback_on_a_card_counts(log: Log) -> None:
    doctor, gap = log.decided(EMERGENCY, "emergency-now", "incomplete")
    log.said(doctor, "overridden", "other")
    log.said(doctor, "accepted")
    log.said(gap, "accepted")
    log.said(gap, "overridden", "other")

    section = log.section()

    assert ends(section.topics["emergency-now"])[-1] == (1, 1, 1, 0)
    assert ends(section.topics["incomplete"])[-1] == (0, 1, 0, 1)
    assert total(section.topics["incomplete"]).reasons == {"other": 1}


def test_two_cards_of_a_decision_are_one_decision(log: Log) -> None:
    both = EMERGENCY | {"rf-saddle": "unknown"}
    doctor, gap = log.decided(both, "emergency-now", "incomplete")
    log.said(doctor, "accepted")
    log.said(gap, "overridden", "other")

    section = log.section()

    assert ends(section.topics["emergency-now"])[-1] == (1, 1, 1, 0)
    assert ends(section.topics["incomplete"])[-1] == (0, 1, 0, 1)
    assert ends(section.rows["R00"])[-1] == (1, 2, 1, 1)
    assert (section.weeks[-1].judged, section.weeks[-1].incomplete) == (1, 1)


def test_a_card_on_which_nobody_can_give_feedback_does_not_count_as_ignored(
    screening: Screening, tmp_path: Path
) -> None:
    with serving(screening, tmp_path) as client:
        sent = client.post("/fhir/Questionnaire/$process-response", json=response(EMERGENCY), content_type=FHIR_JSON)
        assert sent.status_code == 200, sent.text
    log = Log(open_store(f"sqlite:///{tmp_path / 'served.sqlite'}"), screening)

    section = log.section()

    assert ends(section.topics["emergency-now"])[-1] == (1, 0, 0, 0)
    assert (section.weeks[-1].judged, total(section.topics["emergency-now"]).cardless) == (1, 0)
    assert not [one for one in remarks(section) if "no feedback" in one or "no card" in one]
    assert "$process-response" in text(figures(log.store, NOW), [screening])
    log.store.dispose()


def test_the_cards_of_all_clients_are_counted_together(log: Log) -> None:
    for client in ("hospital", "practice", "practice tenant-1"):
        (card,) = log.decided(EMERGENCY, "emergency-now", client=client)
        log.said(card, "accepted", client=client)

    assert ends(log.section().topics["emergency-now"])[-1] == (3, 3, 3, 0)


# Each row: why, how long after the Monday two weeks ago, which of four weeks it counts in.
EDGES: list[tuple[str, timedelta, int]] = [
    ("the first moment of Monday", NO_TIME, 1),
    ("the last moment of Sunday", timedelta(days=7, microseconds=-1), 1),
    ("the first moment of the next Monday", timedelta(days=7), 2),
]


@pytest.mark.parametrize("case", EDGES, ids=[case[0] for case in EDGES])
def test_a_week_begins_on_monday_and_ends_on_sunday_in_utc(log: Log, case: tuple[str, timedelta, int]) -> None:
    _, after, week = case
    log.decided(EMERGENCY, "emergency-now", weeks=2, after=after)

    shown = [tally.shown for tally in log.section().topics["emergency-now"]]

    assert shown == [int(at == week) for at in range(4)]


def test_what_is_before_the_first_week_is_not_counted(log: Log) -> None:
    log.decided(EMERGENCY, "emergency-now", weeks=4, after=timedelta(days=7, microseconds=-1))

    assert total(log.section(weeks=4).topics["emergency-now"]).shown == 0
    assert total(log.section(weeks=5).topics["emergency-now"]).shown == 1


@pytest.mark.parametrize("weeks", [1, 2, 260])
def test_any_number_of_weeks_can_be_asked_for(log: Log, weeks: int) -> None:
    log.decided(EMERGENCY, "emergency-now")

    section = log.section(weeks)

    assert len(section.weeks) == weeks
    assert section.topics["emergency-now"][-1].shown == 1


def test_the_names_of_the_weeks_are_those_of_iso_8601(store: Engine, screening: Screening) -> None:
    first_of_2027 = datetime(2027, 1, 6, tzinfo=UTC)  # a Wednesday; 2026 has 53 weeks

    (section,) = sections(figures(store, first_of_2027, 3), [screening])

    assert [week.name for week in section.weeks] == ["2026-W52", "2026-W53", "2027-W01"]


def test_the_share_of_incomplete_screenings_leaves_out_calls_without_a_screening(log: Log) -> None:
    for answers in (INCOMPLETE, COMPLETE, COMPLETE, EMERGENCY | {"rf-saddle": "unknown"}):
        log.decided(answers, weeks=1)
    log.decided(NO_SCREENING, weeks=1)
    log.decided(NO_ORDER, weeks=1)

    week = log.section().weeks[2]

    assert (week.decisions, week.unscreened, week.judged, week.incomplete, week.share) == (6, 1, 4, 2, 50)
    assert log.section().weeks[1].share is None


def submitted(disposition: str) -> Received:
    body = {"resourceType": "QuestionnaireResponse", "status": "completed"}
    return Received(body, "a1" * 32, f"{FORM}|1.0.0", "completed", NOW, "", ("", ""), disposition)


def test_submitted_responses_are_counted_by_their_disposition(log: Log) -> None:
    for weeks, disposition in ((1, "self-care"), (1, "self-care"), (1, "emergency-now"), (0, "self-care")):
        create(log.store, Act("hospital", MONDAY - timedelta(weeks=weeks)), submitted(disposition))

    section = log.section()

    assert section.submitted["self-care"] == (0, 0, 2, 1)
    assert section.submitted["emergency-now"] == (0, 0, 1, 0)
    assert figures(log.store, NOW, 4).posted == (0, 0, 3, 1)


def test_responses_that_were_removed_are_still_counted_as_received(log: Log) -> None:
    kept, gone = (create(log.store, Act("hospital", MONDAY), submitted("self-care")) for _ in range(2))
    delete(log.store, Act("hospital", NOW), gone.id)

    assert kept.id != gone.id
    assert log.section().submitted["self-care"][-1] == 1
    assert figures(log.store, NOW, 4).posted[-1] == 2


def test_a_decision_on_a_form_that_is_not_published_is_not_passed_over(log: Log, screening: Screening) -> None:
    act = Act("hospital", MONDAY)
    row = decision(screening, act, "patient-view", log.advice(EMERGENCY))
    record(log.store, act, row | {"questionnaire": "https://lowbackpain.example/fhir/Questionnaire/old|1.0.0"}, [])

    assert total(log.section().topics["emergency-now"]).decisions == 0
    assert "1 decisions are on forms that are not published any more" in text(figures(log.store, NOW), [screening])


def test_an_earlier_version_of_the_form_counts_with_the_newest(log: Log, screening: Screening) -> None:
    act = Act("hospital", MONDAY)
    row = decision(screening, act, "patient-view", log.advice(EMERGENCY))
    record(log.store, act, row | {"questionnaire": f"{FORM}|0.9.0"}, [])

    assert total(log.section().topics["emergency-now"]).decisions == 1


# What stands out: each row says why, what was decided (answers, topics of cards, weeks ago, feedback), and the words.
Happened = tuple[dict[str, Any] | Advice, str, int, str]
STEADY: list[Happened] = [(EMERGENCY, "emergency-now", weeks, "accepted") for weeks in range(4)]
SIGNS: list[tuple[str, list[Happened], str]] = [
    ("a week without calls", [one for one in STEADY if one[2] != 2], r"-W\d\d: no call was answered\."),
    ("a week without cards", [*STEADY[:2], *STEADY[3:], (EMERGENCY, "", 2, "")], r"-W\d\d: no card was given \(1 "),
    (
        "a week with nothing but incomplete screenings",
        [*STEADY[:2], *STEADY[3:], (INCOMPLETE, "incomplete", 2, "accepted")],
        r"-W\d\d: every screening was incomplete \(1 of 1\)",
    ),
    (
        "a week in which nobody had a screening",
        [*STEADY[:2], *STEADY[3:], (NO_SCREENING, "form-offer", 2, "accepted")],
        r"-W\d\d: no call found a screening \(1 calls\)",
    ),
    ("rows that never fire", STEADY, r"^Rows that never fired in these weeks: (R\w+, )*R00, "),
    (
        "a card that nobody answers",
        [*STEADY, (COMPLETE, "self-care", 1, "")],
        r"^Cards self-care: no feedback on any of 1\.",
    ),
    (
        "a card that nobody accepts",
        [*STEADY, (COMPLETE, "self-care", 1, "overridden")],
        r"^Cards self-care: never accepted \(1 overridden, 0 without feedback\)",
    ),
    (
        "a disposition that never gives a card",
        [*STEADY, (COMPLETE, "", 1, ""), (COMPLETE, "", 2, "")],
        r"^Disposition self-care: no card on any of 2 decisions\.",
    ),
    ("a row that nobody accepts", [*STEADY, (COMPLETE, "self-care", 1, "overridden")], r"never accepted: R40\."),
    ("nothing at all", [], r"^No call was answered in these weeks\.$"),
]


@pytest.mark.parametrize("case", SIGNS, ids=[case[0] for case in SIGNS])
def test_what_stands_out_is_said_in_words(quick: Log, case: tuple[str, list[Happened], str]) -> None:
    _, happened, words = case
    for answers, topic, weeks, outcome in happened:
        for card in quick.decided(answers, *([topic] if topic else []), weeks=weeks):
            if outcome:
                quick.said(card, outcome, "other" if outcome == "overridden" else None)

    found = remarks(quick.section())

    assert len([one for one in found if re.search(words, one)]) == 1, found


def test_a_steady_use_shows_no_other_sign_than_the_rows_that_never_fired(quick: Log) -> None:
    for answers, topic, weeks, outcome in STEADY:
        quick.said(quick.decided(answers, topic, weeks=weeks)[0], outcome)

    found = remarks(quick.section())

    assert [one for one in found if not one.startswith("Rows that never fired in these weeks:")] == NOT_COMPARED


def test_a_card_that_some_heed_is_no_sign(quick: Log) -> None:
    for outcome in ("accepted", "overridden", ""):
        for card in quick.decided(COMPLETE, "self-care"):
            if outcome:
                quick.said(card, outcome)

    assert not [one for one in remarks(quick.section()) if "self-care" in one or "R40" in one]


def test_the_weeks_before_the_first_call_are_no_sign(quick: Log) -> None:
    quick.said(quick.decided(EMERGENCY, "emergency-now")[0], "accepted")

    assert not [one for one in remarks(quick.section(13)) if "no call" in one]


def test_those_out_of_scope_get_no_card_and_that_is_no_sign(quick: Log) -> None:
    quick.decided(COMPLETE | {"lbp-present": "no"})

    assert "no card" not in " ".join(remarks(quick.section()))


def of(section: Section, *judged: int) -> Section:
    """A section of weeks with so many screenings, all of them with a card that was accepted."""
    accepted = tuple(Tally(number, number, number, 0, {}) for number in judged)
    (week, *_) = section.weeks
    weeks = tuple(replace(week, decisions=one.decisions, judged=one.decisions, cards=one) for one in accepted)
    return Section(section.name, section.title, weeks, {"self-care": accepted}, {"R40": accepted}, {})


def test_where_nothing_stands_out_that_is_said(quick: Log) -> None:
    assert remarks(of(quick.section(), 30, 30, 1)) == [NOTHING]


@pytest.mark.parametrize("judged", [(1,), (30, 30), (29, 30, 30), (30, 29, 30)])
def test_what_could_not_be_looked_for_is_said_and_not_that_nothing_was_found(
    judged: tuple[int, ...], quick: Log
) -> None:
    assert remarks(of(quick.section(), *judged)) == NOT_COMPARED


def test_the_text_has_every_disposition_and_row_and_what_stands_out(quick: Log, screening: Screening) -> None:
    for answers, topic, weeks, outcome in STEADY:
        quick.said(quick.decided(answers, topic, weeks=weeks)[0], outcome)

    shown = text(figures(quick.store, NOW, 4), [screening])

    lines = {line.split("  ")[0]: line for line in reversed(shown.splitlines())}  # the first of each name
    assert "Low back pain screening (low-back-pain)" in lines
    assert re.split(r"  +", lines["emergency-now"])[:7] == ["emergency-now", "4", *["1/1/0"] * 4, "4/4/0"]
    assert {*screening.dispositions, *(finding.row for finding in screening.findings)} <= lines.keys()
    assert "- Rows that never fired in these weeks" in shown


def test_the_text_says_in_which_weeks_a_card_was_overridden_and_why(quick: Log, screening: Screening) -> None:
    for weeks in (3, 1, 1):
        quick.said(quick.decided(EMERGENCY, "emergency-now", weeks=weeks)[0], "overridden", "already-referred")

    shown = text(figures(quick.store, NOW, 4), [screening])

    assert re.search(r"^emergency-now +already-referred +1 +0 +2 +0 +3$", shown, re.MULTILINE)


@pytest.fixture(name="page", scope="module")
def _page(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The page after an emergency whose card was overridden with words of somebody's own."""
    with serving(screening, tmp_path_factory.mktemp("page")) as client:
        (card, *_) = cards_of(send(client, call(response(EMERGENCY))))
        reason = {"reason": {"code": "already-referred", "system": "urn:x"}, "userComment": "Secret words"}
        entry = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": NOW.isoformat()}
        client.post(f"{SERVICE}/feedback", json={"feedback": [entry | {"overrideReason": reason}]})
        client.post("/fhir/QuestionnaireResponse", json=response(EMERGENCY), content_type="application/fhir+json")
        answer = client.get("/report?weeks=4")
        assert answer.status_code == 200, answer.text
        yield answer.text


def test_the_page_has_the_figures_of_the_text_and_what_stands_out(page: str, screening: Screening) -> None:
    words = html.unescape(re.sub(r"<[^>]+>", " ", page))

    assert re.search(r"emergency-now\s+1\s+0\s+0\s+0\s+1/0/1\s+1/0/1\s+already-referred 1", words)
    assert "Cards emergency-now: never accepted (1 overridden, 0 without feedback)." in words
    for name in (*screening.dispositions, *(finding.row for finding in screening.findings)):
        assert f'<th scope="row">{name}</th>' in page


def test_the_page_holds_no_word_of_a_clinician_and_no_patient(page: str) -> None:
    for secret in ("Secret", "p1", "gp-1", "rf-bladder-bowel"):
        assert secret not in re.sub(r'(id|aria-labelledby)="[^"]*"', "", page)


def test_every_drawing_has_a_title_and_a_description_that_a_reader_hears(page: str) -> None:
    drawings = re.findall(r'<svg role="img" aria-labelledby="(\S+) (\S+)".*?</svg>', page, re.DOTALL)

    assert len(drawings) == 4  # the share, all cards, those of the one disposition, the rows
    for title, description in drawings:
        assert re.search(rf'<title id="{title}">[^<]+</title>', page)
        assert re.search(rf'<desc id="{description}">[^<]+</desc>', page)
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(set(ids)) == len(ids)


def test_a_card_is_drawn_as_high_as_it_counts(page: str) -> None:
    (drawn,) = re.findall(r"<figcaption>Cards emergency-now.*?</figure>", page, re.DOTALL)

    assert re.findall(r'<rect class="(\w+)"[^>]*height="([\d.]+)"><title>([^<]+)</title>', drawn) == [
        ("overridden", "120.0", f"{NOW:W%V}: overridden 1")
    ]


def test_the_page_is_drawn_without_a_script_or_style_in_it(page: str) -> None:
    assert not re.search(r"<script>|<style|\bstyle=|\bon\w+=|url\(|https?:", page)
    assert re.findall(r'<(?:link|script|img)[^>]+(?:src|href)="(?!/static/|/bootstrap/static/)', page) == []


def test_the_page_is_english_within_a_frame_in_the_language_of_its_reader(client: FlaskClient) -> None:
    reader = client.application.test_client(use_cookies=False)
    answer = reader.get("/report", headers={"Accept-Language": "nl"})

    assert answer.mimetype == "text/html"
    assert '<html lang="nl">' in answer.text
    assert re.search(r'<div lang="en">\s*<h1>Report', answer.text)
    assert answer.headers["Content-Language"] == "en"


@pytest.mark.parametrize("roles", [set(), {"client"}, {"auditor"}, {"client", "auditor"}], ids=str)
def test_only_an_operator_sees_the_report(screening: Screening, tmp_path: Path, roles: set[Role]) -> None:
    with serving(screening, tmp_path, clients={DEVELOPMENT: Client(roles=frozenset(roles))}) as client:
        refusal_of(client.get("/report"), 403)
    with serving(screening, tmp_path, clients={DEVELOPMENT: Client(roles=frozenset({"operator"}))}) as client:
        assert client.get("/report").status_code == 200


@pytest.mark.parametrize("weeks", ["0", "261", "-1", "4.0", "many", "", "٣"])
def test_a_number_of_weeks_that_is_none_is_refused(client: FlaskClient, weeks: str) -> None:
    assert "weeks" in refusal_of(client.get("/report", query_string={"weeks": weeks}), 400)
