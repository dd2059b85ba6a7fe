"""What calls may take of this service while they wait for a FHIR server: places and threads, of which there are few.

A server that hangs holds its own places only, and all servers together leave threads for calls that ask nobody. Nothing
waits for a place: without one the answer is as if the server could not be reached. The numbers are per process.
Source: M. Nygard, "Release It!", "Bulkheads".
"""

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore

from cds_service.ehr import Unreachable

REQUESTS = 8  # to one base, at once
CALLS = 8  # that wait for one base
ALL_CALLS = 12  # that wait for any base: the server answers 16 at once
_ALL = BoundedSemaphore(ALL_CALLS)


@contextmanager
def place(base: str) -> Iterator[None]:
    """A place for one call that is going to wait for this base. Raises Unreachable when there is none."""
    with _taken(_ALL), _taken(_places(base)):
        yield


def together(base: str, tasks: Iterable[Callable[[], None]], until: float) -> None:
    """Runs the tasks at the same time and waits for them `until` then (time.monotonic); what is late is left to itself.

    What is Unreachable for a task is so for that task; an error of ours is raised.
    """
    running = [_threads(base).submit(task) for task in tasks]
    done, late = wait(running, timeout=max(until - time.monotonic(), 0))
    for task in late:
        task.cancel()
    for error in [task.exception() for task in done]:
        if error and not isinstance(error, Unreachable):
            raise error


@contextmanager
def _taken(places: BoundedSemaphore) -> Iterator[None]:
    if not places.acquire(blocking=False):
        raise Unreachable
    try:
        yield
    finally:
        places.release()


@cache
def _places(base: str) -> BoundedSemaphore:  # noqa: ARG001 - one for each base
    return BoundedSemaphore(CALLS)


@cache
def _threads(base: str) -> ThreadPoolExecutor:
    """The threads of one base. No more tasks wait for them than its calls have keys: each thread is free in time."""
    return ThreadPoolExecutor(max_workers=REQUESTS, thread_name_prefix=f"outbound {base}")
