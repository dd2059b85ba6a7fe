"""Several processes with the same database at the same time, on both databases: each call is as if it were alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Barrier
from typing import Any

import pytest
from sqlalchemy import Engine

from cds_service.errors import PreconditionFailed, Unavailable
from cds_service.store import (
    Criteria,
    create,
    create_unless,
    feedback,
    first_use,
    read,
    record,
    record_feedback,
    responses,
    update,
)
from tests.forked import context
from tests.postgres import BOTH, Database
from tests.store_samples import ACT, ENTRY, NOW, ROW, act, card, kept, opened, received

pytestmark = pytest.mark.timeless  # another process does the work

PROCESSES = 4
TIMES = 10
UNTIL = NOW + timedelta(minutes=5)
Answers = dict[str, list[Any]]


def taken(call: Callable[..., Any], *arguments: Any) -> Any:
    """As a client that is told to come back later, and does: a busy machine is not what is tried here."""
    for _ in range(50):
        with suppress(Unavailable):
            return call(*arguments)
    raise AssertionError(call)


def use_tokens(store: Engine) -> list[Any]:
    return [taken(first_use, store, "https://ehr.example", f"jti-{number}", UNTIL, NOW) for number in range(TIMES)]


def send_feedback(store: Engine) -> list[Any]:
    return [taken(record_feedback, store, ACT, [ENTRY | {"comment": f"{number}"}, ENTRY]) for number in range(TIMES)]


def create_once(store: Engine) -> list[Any]:
    calls = [
        (store, act(), received(identifier=("urn:sys", str(one))), Criteria(identifier=(("urn:sys", str(one)),)))
        for one in range(TIMES)
    ]
    return [(one.id, new) for one, new in (taken(create_unless, *call) for call in calls)]


def update_often(store: Engine) -> list[Any]:
    return [taken(update, store, act(), "one", received(), None).version for _ in range(TIMES)]


def update_what_was_read(store: Engine) -> list[Any]:
    """As a client that reads again and tries again until its change is taken."""
    done: list[Any] = []
    while len(done) < TIMES:
        version = taken(read, store, "hospital", "two").version
        with suppress(PreconditionFailed):
            done.append((version, taken(update, store, act(), "two", received(), version).version))
    return done


TASKS = (use_tokens, send_feedback, create_once, update_often, update_what_was_read)


Race = tuple[Engine, Callable[[Any], list[list[Any]]]]  # the store after it; task → its answer in each process


def _run(urls: list[str], start: Barrier, answers: "SimpleQueue[list[Answers]]") -> None:
    answers.put([_race_on(url, start) for url in urls])


def _race_on(url: str, start: Barrier) -> Answers:
    start.wait(timeout=60)
    with opened(url) as store:  # the database is new: they also make its tables at the same time
        if start.wait(timeout=60) == 0:
            record(store, ACT, ROW, [card()])
            for id_ in ("one", "two"):
                create(store, act(), received(), id_)
        start.wait(timeout=60)
        return {task.__name__: task(store) for task in TASKS}


@pytest.fixture(scope="module", name="races")
def _races(database: Database, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Race]]:
    """A race on each kind of database, by the same processes; fails when one of them fails."""
    start, queue = context.Barrier(PROCESSES), context.SimpleQueue()
    with ExitStack() as stack:
        folder = tmp_path_factory.mktemp("race")
        urls = [stack.enter_context(database(kind, folder, empty=True)) for kind in BOTH]
        processes = [context.Process(target=_run, args=(urls, start, queue)) for _ in range(PROCESSES)]
        for process in processes:
            process.start()
        for process in processes:
            process.join(timeout=120)
        assert [process.exitcode for process in processes] == [0] * PROCESSES
        found = [queue.get() for _ in processes]
        stores = [stack.enter_context(opened(url)) for url in urls]
        yield {kind: (stores[nth], _answers([one[nth] for one in found])) for nth, kind in enumerate(BOTH)}


def _answers(found: list[Answers]) -> Callable[[Any], list[list[Any]]]:
    return lambda task: [one[task.__name__] for one in found]


@pytest.fixture(params=BOTH, name="race")
def _race(request: pytest.FixtureRequest, races: dict[str, Race]) -> Race:
    return races[request.param]


def test_of_several_processes_one_only_is_the_first_to_use_a_token(race: Race) -> None:
    assert [sum(uses) for uses in zip(*race[1](use_tokens), strict=True)] == [1] * TIMES


def test_what_several_processes_receive_at_the_same_time_is_kept_once(race: Race) -> None:
    comments = [row["comment"] for row in kept(race[0], feedback)]

    assert sorted(comments, key=str) == sorted([None, *(f"{number}" for number in range(TIMES))], key=str)


@pytest.mark.requirement("R-9")
def test_of_several_processes_one_only_creates_what_all_mean_and_all_are_told_which(race: Race) -> None:
    for made in zip(*race[1](create_once), strict=True):
        assert len({id_ for id_, _ in made}) == 1
        assert sum(new for _, new in made) == 1


def test_every_update_is_a_version_of_its_own(race: Race) -> None:
    versions = sorted(version for made in race[1](update_often) for version in made)

    assert versions == list(range(2, PROCESSES * TIMES + 2))


def test_of_updates_of_the_same_version_one_only_is_taken(race: Race) -> None:
    done = sorted(pair for made in race[1](update_what_was_read) for pair in made)

    assert done == [(version, version + 1) for version in range(1, PROCESSES * TIMES + 1)]


def test_one_version_of_each_response_is_current(race: Race) -> None:
    rows = kept(race[0], responses)

    last = {row["id"]: row["version"] for row in rows}
    assert {(row["id"], row["version"]) for row in rows if row["current"]} == set(last.items())
