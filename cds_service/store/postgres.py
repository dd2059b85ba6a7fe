"""A connection to PostgreSQL on which no call waits for long, whatever became of the server."""

import time
from collections.abc import Generator
from typing import Any

import psycopg
from psycopg.abc import RV, PQGen


class Bounded(psycopg.Connection[Any]):
    """Closes itself when the server does not answer: the server's own time limits do not hold while it stands still, as
    it does where its disk or its machine does."""

    patience: float = 2  # seconds; more than any statement may take there

    def wait(self, gen: PQGen[RV], *how: Any, **named: Any) -> RV:
        """Raises psycopg.OperationalError when the answer is not there in time."""
        try:
            return super().wait(_until(gen, time.monotonic() + self.patience), *how, **named)
        except TimeoutError:
            self.pgconn.finish()
            raise psycopg.OperationalError("the server does not answer") from None


def connect(_dialect: object, _record: object, arguments: list[Any], named: dict[str, Any]) -> Bounded:
    """What SQLAlchemy calls for each new connection."""
    return Bounded.connect(*arguments, **named)


def _until(steps: Generator[Any, Any, RV], end: float) -> Generator[Any, Any, RV]:
    """The steps of one exchange, one at a time; psycopg goes on with them at least every tenth of a second."""
    try:
        wanted = next(steps)
        while True:
            ready = yield wanted
            if not ready and time.monotonic() > end:
                raise TimeoutError
            wanted = steps.send(ready)
    except StopIteration as last:
        return last.value  # type: ignore[no-any-return] # the value of a generator that ends
