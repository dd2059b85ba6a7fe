"""A database of any earlier version is brought to the newest form without losing a row; on both databases."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Column, DateTime, Engine, Integer, MetaData, Table, create_engine, inspect, select, text

from cds_service import migrations
from cds_service.errors import Unavailable
from cds_service.migrations import migrate
from cds_service.store import (
    audit_events,
    cards,
    decisions,
    feedback,
    issued,
    open_store,
    purge,
    record,
    record_feedback,
    responses,
    seen_tokens,
)
from cds_service.store.lifetimes import Keep
from cds_service.store.tables import metadata
from tests.earlier_tables import FIRST, SECOND
from tests.store_samples import ACT, CARD, ENTRY, NOW, ROW, SERVICE, SUGGESTION, card, kept, opened

pytestmark = pytest.mark.timeless  # nothing in it is dated

REVISIONS = ["0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008"]
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
OF_FIRST: dict[str, Any] = {
    "at": AT,
    "service": SERVICE,
    "hook_instance": "visit 1",
    "questionnaire": "https://lowbackpain.example/fhir/Questionnaire/low-back-pain|1.0.0",
    "content_hash": "h" * 64,
    "disposition": "emergency-now",
    "rows": ["R02"],
    "unknown": ["rf-cancer: not-known"],
    "cards": [CARD],
    "suggestions": [SUGGESTION],
}
OF_SECOND: dict[str, list[dict[str, Any]]] = {
    "decisions": [
        {name: OF_FIRST[name] for name in OF_FIRST if name not in ("cards", "suggestions")}
        | {"id": 7, "client": "hospital"}
    ],
    "cards": [
        {
            "uuid": CARD,
            "decision": 7,
            "client": "hospital",
            "service": SERVICE,
            "topic": "emergency-now",
            "suggestions": [SUGGESTION],
        }
    ],
    "feedback": [ENTRY | {"id": 3, "received_at": AT, "digest": "d" * 64, "comment": "seen by phone"}],
    "seen_tokens": [{"digest": "t" * 64, "until": AT}],
}


@contextmanager
def earlier(url: str, form: MetaData, rows: dict[str, list[dict[str, Any]]]) -> Iterator[Engine]:
    """A database as the earlier code made it and filled it, when there was no mark of a version."""
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    form.create_all(engine)
    with engine.begin() as connection:
        for table in form.sorted_tables:
            if rows.get(table.name):
                connection.execute(table.insert(), rows[table.name])
    try:
        yield engine
    finally:
        engine.dispose()


def differences(engine: Engine) -> list[Any]:
    """In what the tables differ from those that the code works with."""
    with engine.connect() as connection:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))


def everything(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """All tables with all that they hold, whatever they are."""
    found = MetaData()
    found.reflect(engine)
    with engine.connect() as connection:
        return {name: [tuple(row) for row in connection.execute(select(table))] for name, table in found.tables.items()}


def test_a_new_database_has_the_tables_that_the_code_works_with(empty_url: str) -> None:
    with opened(empty_url) as store:
        assert differences(store) == []
        assert inspect(store).has_table("responses")


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_database_of_every_revision_becomes_the_same(empty_url: str, revision: str) -> None:
    with earlier(empty_url, MetaData(), {}) as engine:
        migrate(engine, revision)

    with opened(empty_url) as store:
        assert differences(store) == []


def test_the_revisions_follow_each_other() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))

    assert [one.revision for one in scripts.walk_revisions()] == REVISIONS[::-1]


def test_the_first_version_keeps_its_decisions_and_its_cards(empty_url: str) -> None:
    with earlier(empty_url, FIRST, {"decisions": [OF_FIRST | {"id": 5}]}), opened(empty_url) as store:
        assert differences(store) == []
        assert kept(store, decisions) == [
            {name: OF_FIRST[name] for name in OF_FIRST if name not in ("cards", "suggestions")}
            | {"id": 5, "client": "development", "patient": ""}
        ]
        assert issued(store, "development", SERVICE, [CARD]) == {CARD: [SUGGESTION]}
        record_feedback(store, ACT_OF_FIRST, [ENTRY])
        assert len(kept(store, feedback)) == 1


ACT_OF_FIRST = replace(ACT, client="development")
FIRST_CARDS: dict[str, tuple[str, list[str], list[str], list[tuple[str, list[str]]]]] = {
    # disposition, uuids of cards, of suggestions → topic and suggestions of each card
    "a doctor's, in capitals": ("doctor-soon", ["A"], ["S1"], [("doctor-soon", ["s1"])]),
    "a patient's": ("emergency-now", ["a"], [], [("emergency-now", [])]),
    "self-care": ("self-care", ["a"], ["s1"], [("self-care", ["s1"])]),
    "physiotherapy": ("physio-or-doctor", ["a"], ["s1", "s2", "s3"], [("physio-or-doctor", ["s1", "s2", "s3"])]),
    "the form": ("no-screening", ["a"], ["s1"], [("form-offer", ["s1"])]),
    "silence": ("no-screening", [], [], []),
    "a doctor's and incomplete": (
        "emergency-now",
        ["a", "b"],
        ["s1", "s2"],
        [("emergency-now", ["s1"]), ("incomplete", ["s2"])],
    ),
    "incomplete and physiotherapy": (
        "incomplete",
        ["a", "b"],
        ["s1", "s2", "s3", "s4"],
        [("incomplete", ["s1"]), ("physio-or-doctor", ["s2", "s3", "s4"])],
    ),
    "two, and it is not known whose the suggestions are": ("emergency-now", ["a", "b"], ["s1", "s2", "s3"], []),
    "two of another content": ("go-home", ["a", "b"], ["s1", "s2"], []),
    "three": ("emergency-now", ["a", "b", "c"], ["s1", "s2", "s3"], []),
}


def test_cards_of_the_first_version_are_taken_over_where_it_is_known_what_they_were(empty_url: str) -> None:
    cases = list(FIRST_CARDS.values())
    rows = [
        OF_FIRST
        | {"id": nth, "disposition": disposition, "cards": [f"{one}{nth}" for one in uuids], "suggestions": said}
        for nth, (disposition, uuids, said, _) in enumerate(cases, 1)
    ]

    with earlier(empty_url, FIRST, {"decisions": rows}), opened(empty_url) as store:
        found = kept(store, cards)
        assert len(kept(store, decisions)) == len(cases)

    for nth, (_, uuids, _, expected) in enumerate(cases, 1):
        given = [row for row in found if row["decision"] == nth]
        assert [(row["topic"], row["suggestions"]) for row in given] == expected, uuids
        assert [row["uuid"] for row in given] == [f"{one.lower()}{nth}" for one in uuids][: len(expected)]


def test_the_second_version_keeps_all_that_it_held(empty_url: str) -> None:
    with earlier(empty_url, SECOND, OF_SECOND), opened(empty_url) as store:
        assert differences(store) == []
        assert kept(store, decisions) == [OF_SECOND["decisions"][0] | {"patient": ""}]
        for table in (cards, feedback, seen_tokens):
            assert kept(store, table) == OF_SECOND[table.name]


def test_after_a_migration_all_goes_on(empty_url: str) -> None:
    with earlier(empty_url, SECOND, {"seen_tokens": OF_SECOND["seen_tokens"]}), opened(empty_url) as store:
        record(store, ACT, ROW, [card()])
        record_feedback(store, ACT, [ENTRY])
        with pytest.raises(Unavailable):  # the tables still refer to each other
            record_feedback(store, ACT, [ENTRY | {"card": "no-such-card"}])
        assert [len(kept(store, table)) for table in (decisions, cards, feedback, audit_events)] == [1, 1, 1, 2]


def test_a_number_is_not_given_again_when_its_row_is_gone(database_url: str, store: Engine) -> None:
    """An event names decisions by their number."""
    first = record(store, ACT, ROW, [card()])
    purge(store, Keep(), NOW.replace(year=2040))
    store.dispose()

    with opened(database_url) as again:
        assert record(again, ACT, ROW, [card()]) > first


NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)
AHEAD = datetime(2026, 11, 22, 12, 3, tzinfo=UTC)
RECEIVED = datetime(2026, 11, 22, 12, 0, 0, 250_000, tzinfo=UTC)
LAST = timedelta(microseconds=999_999)
# Each row: what the body says; authored and dated, and the identifier, as revision 0007 kept them; the last moment and
# the identifier as they are meant. A second, a day or a month lasts to its end (FHIR R4, "Search", date).
OF_0007: dict[str, tuple[dict[str, Any] | None, tuple[Any, Any], tuple[str, str], Any, tuple[str, str]]] = {
    "a day that was over": (
        {"authored": "2026-11-01"},
        (NOVEMBER, NOVEMBER.replace(hour=23, minute=59, second=59) + LAST),
        ("", ""),
        NOVEMBER.replace(hour=23, minute=59, second=59) + LAST,
        ("", ""),
    ),
    "a month that went on": (
        {"authored": "2026-11"},
        (NOVEMBER, RECEIVED),
        ("", ""),
        datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC),
        ("", ""),
    ),
    "a moment to come": ({"authored": AHEAD.isoformat()}, (AHEAD, RECEIVED), ("", ""), AHEAD + LAST, ("", "")),
    "undated": ({}, (None, RECEIVED), ("", ""), None, ("", "")),
    "deleted": (None, (None, RECEIVED), ("", ""), None, ("", "")),
    "a bar in the system": (
        {"identifier": {"system": "urn:a|b", "value": "c"}},
        (None, RECEIVED),
        ("urn:a", "b|c"),
        None,
        ("urn:a|b", "c"),
    ),
    "a bar in the value": (
        {"identifier": {"system": "urn:a", "value": "b|c"}},
        (None, RECEIVED),
        ("urn:a", "b|c"),
        None,
        ("urn:a", "b|c"),
    ),
    "a bar in the value, and no system": (
        {"identifier": {"value": "b|c"}},
        (None, RECEIVED),
        ("", "b|c"),
        None,
        ("", "b|c"),
    ),
    "what no database keeps, beside a bar": (
        {"identifier": {"system": "\0|\ud800", "value": "c"}},
        (None, RECEIVED),
        ("\ufffd", "\ufffd|c"),
        None,
        ("\ufffd|\ufffd", "c"),
    ),
}


def test_what_was_received_before_is_found_by_all_of_its_date_and_by_its_identifier(empty_url: str) -> None:
    words = dict.fromkeys(("patient", "questionnaire", "status", "author", "disposition"), "")
    always: dict[str, Any] = {"client": "hospital", "version": 1, "current": True, "received_at": RECEIVED, **words}
    with earlier(empty_url, MetaData(), {}) as engine:
        migrate(engine, "0007")
        with engine.begin() as connection:
            for id_, (body, (authored, dated), (system, value), *_) in OF_0007.items():
                row = always | {"id": id_, "body": body, "authored": authored, "dated": dated, "updated_at": RECEIVED}
                row |= {"identifier_system": system, "identifier_value": value}
                connection.execute(responses.insert().values(row))

    with opened(empty_url) as store:
        found = {row["id"]: row for row in kept(store, responses)}
    assert {
        id_: (row["latest"], (row["identifier_system"], row["identifier_value"])) for id_, row in found.items()
    } == {id_: (latest, identifier) for id_, (*_, latest, identifier) in OF_0007.items()}
    assert {id_: row["body"] for id_, row in found.items()} == {id_: case[0] for id_, case in OF_0007.items()}


LAST_OF_32_BITS = 2**31 - 1


def test_numbers_go_on_where_those_of_32_bits_end(empty_url: str) -> None:
    """Also in tables of an earlier version; the cards name their decision by its number."""
    with earlier(empty_url, MetaData(), {}) as engine:
        migrate(engine, "0005")
    with opened(empty_url) as store:
        for table in (decisions, feedback, audit_events):
            given_until(store, table.name, LAST_OF_32_BITS)
        record(store, ACT, ROW, [card()])
        record_feedback(store, ACT, [ENTRY])
        (decision,), (shown,), (told,) = (kept(store, table) for table in (decisions, cards, feedback))
        assert decision["id"] == shown["decision"] == told["id"] == LAST_OF_32_BITS + 1
        assert [event["id"] for event in kept(store, audit_events)] == [LAST_OF_32_BITS + 1, LAST_OF_32_BITS + 2]


def given_until(store: Engine, table: str, number: int) -> None:
    """As if so many rows had been there."""
    with store.begin() as connection:
        if store.dialect.name == "postgresql":
            connection.execute(text("SELECT setval(:name, :number)"), {"name": f"{table}_id_seq", "number": number})
        else:
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": table})
            connection.execute(
                text("INSERT INTO sqlite_sequence VALUES (:name, :number)"), {"name": table, "number": number}
            )


def test_a_database_of_a_later_version_is_refused_and_left_as_it_was(database_url: str, store: Engine) -> None:
    record(store, ACT, ROW, [card()])
    with store.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = everything(store)

    with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .* later version .*; start that version, or write"):
        open_store(database_url)

    assert everything(store) == before


STRANGE, HALF = MetaData(), MetaData()
Table("decisions", STRANGE, Column("id", Integer, primary_key=True), Column("at", DateTime))
SECOND.tables["decisions"].to_metadata(HALF)


@pytest.mark.parametrize("form", [STRANGE, HALF], ids=["other columns", "other tables"])
def test_tables_that_no_version_made_are_refused_and_left_as_they_were(empty_url: str, form: MetaData) -> None:
    with earlier(empty_url, form, {}) as engine:
        with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .* no version .*; move it away .*, or write"):
            open_store(empty_url)

        assert everything(engine) == {"decisions": []}


def test_tables_of_others_are_left_alone(empty_url: str) -> None:
    theirs = MetaData()
    FIRST.tables["decisions"].to_metadata(theirs, name="patients_of_somebody")
    with earlier(empty_url, theirs, {"patients_of_somebody": [OF_FIRST | {"id": 1}]}) as engine:
        before = everything(engine)

        with opened(empty_url) as store:
            assert everything(store)["patients_of_somebody"] == before["patients_of_somebody"]


def test_a_migration_that_fails_changes_nothing(empty_url: str) -> None:
    with earlier(empty_url, SECOND, OF_SECOND) as engine:
        with engine.begin() as connection:
            connection.exec_driver_sql(
                "CREATE INDEX ix_responses_identifier ON cards (topic)"
            )  # the last step needs it
        before = everything(engine)

        with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .*cannot be opened"):
            open_store(empty_url)
        assert everything(engine) == before

        with engine.begin() as connection:
            connection.exec_driver_sql("DROP INDEX ix_responses_identifier")
        with opened(empty_url) as store:
            assert kept(store, feedback) == OF_SECOND["feedback"]


def test_a_database_whose_rows_refer_to_nothing_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'd.sqlite'}"
    with earlier(url, SECOND, OF_SECOND | {"decisions": []}) as engine:
        before = everything(engine)

        with pytest.raises(Unavailable, match=r"^CDS_DATABASE_URL: .* restore a backup"):
            open_store(url)

        assert everything(engine) == before


def test_those_who_start_at_the_same_time_wait_for_each_other(empty_url: str) -> None:
    with earlier(empty_url, SECOND, OF_SECOND), ThreadPoolExecutor(4) as starters:
        stores = list(starters.map(open_store, [empty_url] * 4))
        try:
            assert [kept(store, feedback) for store in stores] == [OF_SECOND["feedback"]] * 4
            assert differences(stores[0]) == []
        finally:
            for store in stores:
                store.dispose()


def test_databases_that_one_process_opens_at_the_same_time_are_not_mixed_up(tmp_path: Path) -> None:
    """Alembic knows one migration at a time in each process."""
    urls = [f"sqlite:///{tmp_path / str(number)}.sqlite" for number in range(4)]
    with ThreadPoolExecutor(4) as starters:
        for store in starters.map(open_store, urls):
            assert differences(store) == []
            store.dispose()
