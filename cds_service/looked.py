"""What was seen at the last look: looked at again only after a while, and by one thread at a time."""

import time
from collections.abc import Callable
from threading import Lock
from typing import Generic, TypeVar

Value = TypeVar("Value")


class Looked(Generic[Value]):
    """What `look` sees, at most `seconds` old. While one looks again, the others go on with what was seen before."""

    def __init__(self, look: Callable[[], Value], seconds: float) -> None:
        self._look, self._seconds = look, seconds
        self._until = float("-inf")  # of time.monotonic
        self._lock = Lock()

    def now(self) -> Value:
        """Raises what `look` raises; then the next who asks looks again."""
        first = self._until == float("-inf")
        if self._is_old() and self._lock.acquire(blocking=first):
            try:
                if self._is_old():
                    self._seen = self._look()
                    self._until = time.monotonic() + self._seconds
            finally:
                self._lock.release()
        return self._seen

    def _is_old(self) -> bool:
        return time.monotonic() >= self._until
