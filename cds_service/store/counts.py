"""How often what happened, by ISO week (UTC): figures over all clients, never answers, patients or comments."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Engine, Select, Text, case, cast, exists, func, select

from cds_service.store.database import transaction
from cds_service.store.tables import audit_events, cards, decisions, feedback, responses

WEEKS = 13
PATIENCE = 30  # seconds that PostgreSQL may take for one query; no EHR waits for the report
_REFUSAL = "the figures cannot be read; try again later"


@dataclass(frozen=True)
class Decided:
    """So many decisions of one week on this form (url|version), with this disposition, in which these rows fired.

    `carded` when each of them gave a card, else none did.
    """

    week: int  # index in Counts.weeks
    form: str
    disposition: str
    rows: tuple[str, ...]
    carded: bool
    number: int


@dataclass(frozen=True)
class Given:
    """So many cards on this topic, of decisions of one week in which these rows fired, that ended in this way.

    Cards of operations are not among them. `outcome` is empty where there was no feedback, `reason` where none of the
    coded reasons came with it.
    """

    week: int
    form: str
    rows: tuple[str, ...]
    topic: str
    outcome: str
    reason: str
    number: int


@dataclass(frozen=True)
class Submitted:
    """So many responses to this form first received in one week, and still kept, that gave this disposition."""

    week: int
    form: str
    disposition: str
    number: int


@dataclass(frozen=True)
class Counts:
    """What was counted. `weeks` are Mondays, oldest first; the last week is still running.

    `posted` counts in each week all responses that were created, also those that were removed since.
    """

    weeks: tuple[date, ...]
    decided: tuple[Decided, ...]
    given: tuple[Given, ...]
    submitted: tuple[Submitted, ...]
    posted: tuple[int, ...]


def figures(engine: Engine, now: datetime, weeks: int = WEEKS) -> Counts:
    """The counts of the running week and those before it, `weeks` in all. Raises Unavailable when they cannot be read.

    A card belongs to the week of its decision, whenever its feedback came. Where a card got feedback several times, the
    last one received counts: it is where the clinician ended. The cards of Questionnaire/$process-response are not
    counted, because nobody can give feedback on them and they would look ignored; its decisions are.
    """
    today = now.astimezone(UTC).date()
    running = today - timedelta(days=today.weekday())
    mondays = tuple(running - timedelta(weeks=back) for back in reversed(range(weeks)))
    with transaction(engine, _REFUSAL) as connection:
        if connection.dialect.name == "postgresql":
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{PATIENCE}s'")
        decided, given, submitted, posted = (
            [tuple(row) for row in connection.execute(_counted(query))]
            for query in (_decided(mondays), _given(mondays), _submitted(mondays), _posted(mondays))
        )
    created = dict(posted)
    return Counts(
        weeks=mondays,
        decided=tuple(
            Decided(week, form, what, _rows(rows), bool(card), n) for week, form, what, rows, card, n in decided
        ),
        given=tuple(Given(week, form, _rows(rows), *card) for week, form, rows, *card in given),
        submitted=tuple(Submitted(*row) for row in submitted),
        posted=tuple(created.get(week, 0) for week in range(weeks)),
    )


def _rows(written: str) -> tuple[str, ...]:
    return tuple(json.loads(written))


def _counted(each: Select[Any]) -> Select[Any]:
    """How many of `each` are alike. What is alike is named once, below: so both databases know it for the same."""
    alike = each.subquery()
    return select(*alike.c, func.count()).group_by(*alike.c)


def _decided(mondays: Sequence[date]) -> Select[Any]:
    carded = exists().where(cards.c.decision == decisions.c.id).label("carded")
    columns = (decisions.c.questionnaire, decisions.c.disposition, cast(decisions.c.rows, Text).label("fired"), carded)
    return select(_week(decisions.c.at, mondays), *columns).where(decisions.c.at >= _start(mondays[0]))


def _given(mondays: Sequence[date]) -> Select[Any]:
    """Each card with its last feedback, if any; but not of operations, which have no address for feedback."""
    last = select(func.max(feedback.c.id).label("id"), feedback.c.card).group_by(feedback.c.card).subquery()
    said = (
        func.coalesce(feedback.c.outcome, "").label("outcome"),
        func.coalesce(feedback.c.reason_code, "").label("why"),
    )
    joined = cards.join(decisions, cards.c.decision == decisions.c.id)
    joined = joined.outerjoin(last, last.c.card == cards.c.uuid).outerjoin(feedback, feedback.c.id == last.c.id)
    columns = (decisions.c.questionnaire, cast(decisions.c.rows, Text).label("fired"), cards.c.topic, *said)
    query = select(_week(decisions.c.at, mondays), *columns).select_from(joined)
    heard = ~decisions.c.service.contains("$")  # in the name of every operation, and of no CDS service
    return query.where(heard, decisions.c.at >= _start(mondays[0]))


def _submitted(mondays: Sequence[date]) -> Select[Any]:
    """Each response by its current version; deleted ones left out."""
    moment = responses.c.received_at
    query = select(_week(moment, mondays), responses.c.questionnaire, responses.c.disposition)
    return query.where(responses.c.current, responses.c.body.is_not(None), moment >= _start(mondays[0]))


def _posted(mondays: Sequence[date]) -> Select[Any]:
    moment = audit_events.c.at
    created = (audit_events.c.action == "C") & audit_events.c.what.startswith("QuestionnaireResponse/")
    return select(_week(moment, mondays)).where(created, moment >= _start(mondays[0]))


def _week(moment: ColumnElement[datetime], mondays: Sequence[date]) -> ColumnElement[int]:
    """Which of the weeks a moment is in; what is later than now is in the last."""
    ends = [(moment < _start(monday), index) for index, monday in enumerate(mondays[1:])]
    return (case(*ends, else_=len(mondays) - 1) if ends else func.abs(0)).label("week")


def _start(monday: date) -> datetime:
    return datetime.combine(monday, time(), UTC)
