"""QuestionnaireResponses that clients submitted: every version, one of them current, each of one client only.

A response is addressed by its id, which two clients may both use. Deleting adds a version without a body. Source: FHIR
R4, "RESTful API"; rows R-3 to R-9 and S-4.
"""

from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from sqlalchemy import Connection, Engine, RowMapping, Select, bindparam, select

from cds_content.shapes import Json
from cds_service.errors import Conflict, PreconditionFailed
from cds_service.store.audit import Act, add_events, event_of
from cds_service.store.criteria import Criteria, conditions
from cds_service.store.database import MOST, transaction, writing
from cds_service.store.prepared import column, prepare, reading, run
from cds_service.store.tables import in_utc, responses

_REFUSAL = "the response cannot be kept; send it again later"
UNREAD = "the responses cannot be looked up; try again later"
_THERE = (responses.c.current, responses.c.body.is_not(None))
_OF_PATIENT = (
    select(responses.c.body)
    .where(responses.c.client == bindparam("owner"), responses.c.patient == bindparam("who"), *_THERE)
    .order_by(responses.c.updated_at.desc(), responses.c.id)
)


@dataclass(frozen=True)
class Received:
    """One response, and what it is found by: a keyed hash of the patient, references, an identifier's system and value.

    `authored` and `latest` are the first and the last moment that its date may mean: a month is not one moment.
    """

    body: Json
    patient: str
    questionnaire: str
    status: str
    authored: datetime | None
    author: str
    identifier: tuple[str, str]  # each "" where there is none; joined by a bar, another one would look the same
    disposition: str
    latest: datetime | None = None


@dataclass(frozen=True)
class Stored:
    """One version; `at` is its meta.lastUpdated. Without a body it says that the response was deleted."""

    id: str
    version: int
    at: datetime
    body: Json | None


def stored(row: RowMapping) -> Stored:
    """The version in this row."""
    return Stored(row["id"], row["version"], row["updated_at"], row["body"])


def create(engine: Engine, act: Act, received: Received, id: str | None = None) -> Stored:  # noqa: A002 # as in FHIR
    """Commits a new response under `id`, else under a new one; after a delete its versions are counted on.

    Raises Conflict when the client has a response with that id; Unavailable.
    """
    with writing(engine, _REFUSAL, *((act.client, id) if id else ())) as connection:
        return _create(connection, act, received, id or str(uuid4()))


def create_unless(engine: Engine, act: Act, received: Received, criteria: Criteria) -> tuple[Stored, bool]:
    """The client's one response that matches, else a new one, and whether it is new: one for any number of processes.

    Raises PreconditionFailed when several match; Unavailable. Source: FHIR R4, "Conditional create".
    """
    with writing(engine, _REFUSAL, act.client, "conditional create") as connection:
        found = connection.execute(matching(act.client, criteria).limit(2)).mappings().all()
        if len(found) > 1:
            raise PreconditionFailed("If-None-Exist: several responses match; write criteria that at most one matches")
        return (stored(found[0]), False) if found else (_create(connection, act, received, str(uuid4())), True)


def update(engine: Engine, act: Act, id: str, received: Received, if_match: int | None) -> Stored | None:  # noqa: A002 # as in FHIR
    """Commits the next version; None when the client has no such response, or deleted it.

    Raises PreconditionFailed when `if_match` is not its current version; Unavailable.
    """
    with writing(engine, _REFUSAL, act.client, id) as connection:
        last = _last(connection, act.client, id)
        if last is None or last["body"] is None or not last["current"]:
            return None
        _refuse_stale(if_match, last)
        return _add(connection, act, "U", id, last, received)


def delete(engine: Engine, act: Act, id: str, if_match: int | None = None) -> bool:  # noqa: A002 # as in FHIR
    """Commits that the response is deleted; False when there is none, or it was deleted before.

    Raises PreconditionFailed when `if_match` is not its current version; Unavailable.
    """
    with writing(engine, "the response cannot be deleted; try again later", act.client, id) as connection:
        last = _last(connection, act.client, id)
        if last is None or last["body"] is None or not last["current"]:
            return False
        _refuse_stale(if_match, last)
        gone = Received({}, last["patient"], last["questionnaire"], "", None, "", ("", ""), "")
        _add(connection, act, "D", id, last, gone)
        return True


def read(engine: Engine, client: str, id: str, version: int | None = None) -> Stored | None:  # noqa: A002 # as in FHIR
    """The current version of the client's response, or the version named. Raises Unavailable."""
    if version is not None and not 0 < version <= MOST:
        return None
    which = responses.c.current if version is None else responses.c.version == version
    query = select(responses).where(responses.c.client == client, responses.c.id == id, which)
    with transaction(engine, UNREAD) as connection:
        found = connection.execute(query).mappings().one_or_none()
    return stored(found) if found else None


def matching(client: str, criteria: Criteria) -> Select[tuple[object, ...]]:
    """The client's responses as they are now that meet the criteria; deleted ones do not."""
    return select(responses).where(responses.c.client == client, *_THERE, *conditions(criteria))


def of_patient(engine: Engine, client: str, patient: str, most: int = MOST) -> list[Json]:
    """The responses that this client submitted of the patient (a keyed hash), at most so many; last updated first.

    Raises Unavailable.
    """
    with reading(engine, UNREAD) as cursor:
        run(cursor, prepare(engine.dialect, _OF_PATIENT), {"owner": client, "who": patient})
        return column(engine, responses.c.body.type, cursor.fetchmany(most))


def _create(connection: Connection, act: Act, received: Received, id_: str) -> Stored:
    last = _last(connection, act.client, id_)
    if last and last["current"] and last["body"] is not None:
        raise Conflict("id: there is a response with this id; update it, or write another id")
    return _add(connection, act, "C", id_, last, received)


def _last(connection: Connection, client: str, id_: str) -> RowMapping | None:
    query = select(responses).where(responses.c.client == client, responses.c.id == id_)
    return connection.execute(query.order_by(responses.c.version.desc()).limit(1)).mappings().one_or_none()


def _refuse_stale(if_match: int | None, last: RowMapping) -> None:
    if if_match is not None and if_match != last["version"]:
        raise PreconditionFailed(f"If-Match: the response is at version {last['version']}; read it and send it again")


def _add(
    connection: Connection, act: Act, action: str, id_: str, last: RowMapping | None, received: Received
) -> Stored:
    """Adds the version after `last`, which is no longer current, and its event."""
    made = Stored(id_, last["version"] + 1 if last else 1, in_utc(act.at), None)
    made = made if action == "D" else Stored(id_, made.version, made.at, _body(received.body, made))
    older = responses.update().where(responses.c.client == act.client, responses.c.id == id_, responses.c.current)
    connection.execute(older.values(current=False))
    first = last["received_at"] if last else made.at
    connection.execute(responses.insert().values(_row(act.client, received, made, first)))
    what = f"QuestionnaireResponse/{id_}/_history/{made.version}"
    add_events(connection, [event_of(act, action, what, patient=received.patient)])
    return made


def _row(client: str, received: Received, made: Stored, first: datetime) -> Json:
    system, value = received.identifier
    filled_in = received.latest or received.authored or made.at  # the latest: until then its alarms count
    dated = min(in_utc(filled_in), made.at)  # a time to come would keep it longer than any other
    return {
        "client": client,
        "id": made.id,
        "version": made.version,
        "current": True,
        "patient": received.patient,
        "questionnaire": received.questionnaire,
        "status": received.status,
        "authored": received.authored,
        "latest": received.latest or received.authored,
        "author": received.author,
        "identifier_system": system,
        "identifier_value": value,
        "disposition": received.disposition,
        "received_at": first,
        "updated_at": made.at,
        "dated": dated,
        "body": made.body,
    }


def _body(body: Json, made: Stored) -> Json:
    """The body with the id, version and time that the server gives. Source: FHIR R4, "create"."""
    meta = {**(body.get("meta") or {}), "versionId": str(made.version), "lastUpdated": instant(made.at)}
    rest = {name: value for name, value in body.items() if name not in ("resourceType", "id", "meta")}
    return {"resourceType": body.get("resourceType", "QuestionnaireResponse"), "id": made.id, "meta": meta, **rest}


def instant(moment: datetime) -> str:
    """A moment as FHIR writes an instant, in UTC."""
    return f"{in_utc(moment).replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
