"""Three processes that share nothing but PostgreSQL, behind a proxy; one is killed amid many calls (`kill -9`).

Nothing that was answered is lost, whoever heard no answer asks again and gets one, no token counts twice anywhere, and
what was given by the one that is gone goes on at the others.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import Engine, select

from cds_service.store import audit_events, cards, decisions, open_store
from tests.postgres import Database
from tests.replicas_history import ALARMING, CALLERS, CALLS, RESPONSES, History, ask, history_on, signed
from tests.running import HOOK, LONG, Running
from tests.samples import call
from tests.test_submission import sound
from tests.tokens import PUBLIC

pytestmark = pytest.mark.timeless  # other processes do the work


@pytest.fixture(scope="module", name="url")
def _url(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The database that they share; it has no tables before the first of them starts."""
    with database("postgresql", tmp_path_factory.mktemp("shared"), empty=True) as url:
        yield url


@pytest.fixture(scope="module", name="store")
def _store(url: str, history: History) -> Iterator[Engine]:
    """The database as it was left behind."""
    assert history
    store = open_store(url)
    yield store
    store.dispose()


@pytest.fixture(scope="module", name="history")
def _history(url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[History]:
    """What was done with three processes, of which the first is gone."""
    with history_on(url, [tmp_path_factory.mktemp("replica") for _ in range(3)]) as history:
        yield history


def test_every_call_is_answered_though_one_process_is_killed(history: History) -> None:
    assert len(history.answered) == CALLS
    assert history.broken, "nobody was calling the process that was killed"
    assert set(history.broken) <= {one.instance for one in history.answered}


def test_every_answer_has_its_decision_its_cards_and_its_event(history: History, store: Engine) -> None:
    given = select(decisions.c.id, decisions.c.hook_instance, cards.c.uuid).join(cards)
    with store.connect() as connection:
        rows = connection.execute(given).all()
        told = set(connection.execute(select(audit_events.c.what)).scalars())

    kept = {(row.hook_instance, row.uuid) for row in rows}
    assert {(one.instance, uuid) for one in history.answered for uuid in one.cards} <= kept
    assert all(one.cards for one in history.answered)
    assert {f"decision/{row.id}" for row in rows} <= told


def test_what_was_kept_and_never_answered_is_there_as_a_whole(history: History, store: Engine) -> None:
    with store.connect() as connection:
        decided = set(connection.execute(select(decisions.c.id)).scalars())
        carded = set(connection.execute(select(cards.c.decision)).scalars())

    assert carded == decided, "every decision on these answers gives a card"
    assert len(decided) <= 1 + CALLS + len(history.broken)


def test_no_token_that_was_used_is_accepted_by_any_process_that_is_left(history: History) -> None:
    uses = [(process.address, one.token) for process in history.left for one in history.answered]

    with ThreadPoolExecutor(CALLERS) as callers:
        statuses = list(callers.map(lambda use: ask(use[0], HOOK, ALARMING, use[1]).status_code, uses))

    assert statuses == [401] * len(uses)


def test_a_token_used_at_two_processes_at_once_counts_once(history: History) -> None:
    for _ in range(5):
        token, ready = signed(HOOK), Barrier(2)

        def use(process: Running, token: str = token, ready: Barrier = ready) -> int:
            ready.wait(LONG)
            return ask(process.address, HOOK, ALARMING, token).status_code

        with ThreadPoolExecutor(2) as callers:
            assert sorted(callers.map(use, history.left)) == [200, 401]


def test_feedback_on_a_card_of_the_killed_process_is_taken_by_another(history: History) -> None:
    entry = {"card": history.card_of_the_killed["uuid"], "outcome": "overridden"}
    entry |= {"outcomeTimestamp": datetime.now(UTC).isoformat(timespec="seconds")}

    for process in history.left:
        taken = ask(process.address, f"{HOOK}/feedback", {"feedback": [entry]})
        assert (taken.status_code, taken.json()) == (200, {"recorded": 1}), taken.text


def test_a_response_submitted_to_one_process_is_read_and_counts_at_another(history: History) -> None:
    one, other = history.left
    alarming = sound({"rf-saddle": "new"}, subject={"reference": "Patient/p2"}, source={"reference": "Patient/p2"})
    submitted = ask(one.address, RESPONSES, alarming)
    about = {"resourceType": "Patient", "id": "p2"}
    asked = call(about=about, context={"userId": "Practitioner/gp-1", "patientId": "p2"})

    for path in (history.response_of_the_killed, submitted.headers["Location"].removeprefix(PUBLIC)):
        read = ask(other.address, path, method="GET")
        assert (read.status_code, read.json()["resourceType"]) == (200, "QuestionnaireResponse")
    shown = ask(other.address, HOOK, asked).json()["cards"]
    assert shown[0]["source"]["topic"]["code"] == "emergency-now"
