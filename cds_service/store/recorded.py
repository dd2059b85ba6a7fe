"""Decisions, the cards that they gave, and feedback on these: never the response, never an answer.

A comment in feedback is free text, which may name a patient: it stands in its column and nowhere else.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from sqlalchemy import Connection, Dialect, Engine, RowMapping, select

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.errors import Unavailable
from cds_service.store.audit import Act, add_events, event_of
from cds_service.store.database import digest, once, transaction, writing
from cds_service.store.prepared import Cursor, prepare, run
from cds_service.store.tables import audit_events, cards, decisions, feedback
from cds_service.store.together import together

_DECISION = decisions.insert().returning(decisions.c.id)
_CARD, _CARD_COLUMNS = cards.insert(), tuple(cards.c.keys())
_EVENT = audit_events.insert()
_UNHEARD = "the feedback cannot be recorded; send it again later"


def decision(screening: Screening, act: Act, service: str, advice: Advice) -> Json:
    """The row of one decision, without its time; `service` is the id in the address."""
    return {
        "client": act.client,
        "patient": act.patient,
        "service": service,
        "hook_instance": act.instance,
        "questionnaire": screening.canonical,
        "content_hash": screening.hash,
        "disposition": advice.disposition,
        "rows": advice.rows,
        "unknown": [f"{one.question or 'response'}: {one.doubt}" for one in advice.unknown],
    }


def record(engine: Engine, act: Act, row: Json, given: Sequence[Json]) -> int:
    """Commits one decision, the cards that it gave and its event: all of them, or nothing; gives the decision's number.

    Decisions of other calls in flight may share the commit. Raises Unavailable when it cannot: then no advice may be
    given.
    """
    refusal = "the decision cannot be recorded, so no advice is given; try again later"
    return together(engine, refusal, partial(_write, engine.dialect, act, {"at": act.at, **row}, given))


def _write(dialect: Dialect, act: Act, row: Json, given: Sequence[Json], cursor: Cursor) -> int:
    run(cursor, prepare(dialect, _DECISION, *row), row)
    number = int(cursor.fetchone()[0])
    for card in given:
        run(cursor, prepare(dialect, _CARD, *_CARD_COLUMNS), {"decision": number, **_card(row, card)})
    event = event_of(act, "E", f"decision/{number}")
    run(cursor, prepare(dialect, _EVENT, *event), event)
    return number


def issued(engine: Engine, client: str, service: str, uuids: Iterable[str]) -> dict[str, list[str]]:
    """Those of the cards `uuids` that this service gave to this client, each with the uuids of its suggestions.

    All in lower case, whatever the case of `uuids`. Raises Unavailable when they cannot be looked up.
    """
    wanted = {uuid.lower() for uuid in uuids}
    query = select(cards.c.uuid, cards.c.suggestions).where(
        cards.c.client == client, cards.c.service == service, cards.c.uuid.in_(wanted)
    )
    with transaction(engine, "the cards cannot be looked up; send the feedback again later") as connection:
        return {row.uuid: row.suggestions for row in connection.execute(query)}


def record_feedback(engine: Engine, act: Act, entries: Sequence[Json]) -> None:
    """Commits all entries (rows without received_at and digest) in their order, or none, each new one with its event.

    An entry that says what was said before is stored once, also when two processes receive it at the same time;
    another outcome for the same card is one more row. Raises Unavailable when it cannot, as for a card that is not
    the client's.
    """
    rows = [{**entry, "received_at": act.at, "digest": digest(entry)} for entry in entries]
    with writing(engine, _UNHEARD, "feedback", act.client) as connection:
        about = _patients(connection, act.client, {entry["card"] for entry in entries})
        new = _insert(connection, rows) if rows else []
        told = [event_of(act, "C", f"feedback/{row['id']}", patient=about[row["card"]]) for row in new]
        add_events(connection, told)


def _card(row: Json, card: Json) -> Json:
    """The row of one card of the decision `row`; the card of a patient who reads has no suggestions."""
    return {
        "uuid": card["uuid"].lower(),
        "client": row["client"],
        "service": row["service"],
        "topic": card["source"]["topic"]["code"],
        "suggestions": [suggestion["uuid"].lower() for suggestion in card.get("suggestions", [])],
    }


def _patients(connection: Connection, client: str, uuids: set[str]) -> dict[str, str]:
    """About whom each of the cards is."""
    query = select(cards.c.uuid, decisions.c.patient).join(decisions).where(cards.c.client == client)
    found = {row.uuid: row.patient for row in connection.execute(query.where(cards.c.uuid.in_(uuids)))}
    if found.keys() != uuids:
        raise Unavailable(_UNHEARD)
    return found


def _insert(connection: Connection, rows: Sequence[Json]) -> Sequence[RowMapping]:
    """The rows that are new, in their order."""
    made = once(connection.dialect, feedback).returning(feedback.c.id, feedback.c.card)
    return sorted(connection.execute(made, rows).mappings(), key=lambda row: int(row["id"]))
