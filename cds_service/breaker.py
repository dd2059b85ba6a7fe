"""A FHIR server that is down is left alone for a while: one circuit breaker per base, in this process.

It opens after five calls in a row that the server did not answer at all; 30 seconds later one call tries it again, and
one answer closes it. An answer that we cannot use (401, 404, no FHIR) is an answer: the fault may be the token's.
Source: M. Nygard, "Release It!", "Circuit Breaker".
"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from threading import Lock

from pybreaker import (
    STATE_CLOSED,
    CircuitBreaker,
    CircuitBreakerError,
    CircuitBreakerListener,
    CircuitBreakerState,
    CircuitMemoryStorage,
)

from cds_service import logs
from cds_service.ehr import Unanswered, Unreachable

FAILURES = 5
PAUSE = 30.0  # seconds


def guarded(base: str, ask: Callable[[], None]) -> None:
    """Asks, unless the breaker of this base is open; `ask` raises Unanswered when the server answered nothing.

    Raises Unreachable.
    """
    breaker, trial = _breaker(base)
    if breaker.current_state == STATE_CLOSED:
        _watched(breaker, ask)
    elif trial.acquire(blocking=False):
        try:
            breaker.call(ask)
        except CircuitBreakerError as error:
            raise Unreachable from error
        finally:
            trial.release()
    else:
        raise Unreachable


def states() -> Mapping[str, str]:
    """What the circuit of each FHIR base is that this process has asked: "closed", "open" or "half-open"."""
    return {base: breaker.current_state for base, (breaker, _) in list(_BREAKERS.items())}


def _watched(breaker: CircuitBreaker, ask: Callable[[], None]) -> None:
    """Asks first and tells the breaker after that: it takes one at a time, and calls come side by side."""
    try:
        ask()
    except Unanswered as error:
        _tell(breaker, error)
        raise
    _tell(breaker, None)


def _tell(breaker: CircuitBreaker, error: Unanswered | None) -> None:
    def happened() -> None:
        if error:
            raise error

    if breaker.current_state == STATE_CLOSED:  # what was asked before it opened changes nothing
        try:
            breaker.call(happened)
        except (Unanswered, CircuitBreakerError):
            return  # `_watched` raises it


class _Memory(CircuitMemoryStorage):
    """When it opened, by the clock that nobody sets: one that is set back must not leave a server alone for long."""

    _opened = 0.0

    @property
    def opened_at(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - self._opened)

    @opened_at.setter
    def opened_at(self, _: datetime) -> None:
        self._opened = time.monotonic()


class _Told(CircuitBreakerListener):
    def state_change(self, cb: CircuitBreaker, _: CircuitBreakerState | None, new: CircuitBreakerState) -> None:
        logs.get().warning(f"circuit of a FHIR server {new.name}", base=str(cb.name))


_BREAKERS: dict[str, tuple[CircuitBreaker, Lock]] = {}  # bases stand in the configuration: there are a few


def _breaker(base: str) -> tuple[CircuitBreaker, Lock]:
    """The breaker of this base, and the lock of the one call that tries it again."""
    if base not in _BREAKERS:
        new = CircuitBreaker(
            FAILURES,
            PAUSE,
            listeners=[_Told()],
            state_storage=_Memory(STATE_CLOSED),
            name=base,
            throw_new_error_on_trip=False,
        )
        _BREAKERS.setdefault(base, (new, Lock()))
    return _BREAKERS[base]
