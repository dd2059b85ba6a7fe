"""/health/live, /health/ready and /metrics: whether the service works, for balancers, and its figures, for operators.

The state is looked at once for all who ask within a moment, so that asking is no way to load the service.
"""

import hmac
from collections.abc import Mapping

from flask import Blueprint, Response, g, request

from cds_content.shapes import Json
from cds_service import breaker, logs, metrics, selftest
from cds_service.looked import Looked
from cds_service.store.watched import readable
from cds_service.web import Deployment, answer, caller

TOKEN_LENGTH = 32  # characters; a shorter token of a monitoring system counts as none
SELF_TEST_EVERY, DATABASE_EVERY = 30.0, 1.0  # seconds
MONITORING = "_monitoring"  # who shows that token; no name that clients.toml can have
_WORDS = {True: "ok", False: "failing"}
log = logs.get()


def routes(service: Deployment) -> Blueprint:
    """The three; what is more than a word is for operators only."""
    blueprint = Blueprint("operations", __name__)
    state = _State(service)

    @blueprint.get("/health/live")
    def live() -> Response:
        """The process answers; nothing else is looked at."""
        return answer({"status": "live"}, spoken="en")

    @blueprint.get("/health/ready")
    def ready() -> Response:
        """200 while advice can be given, else 503; the detail where the caller shows that it may see it."""
        told = service.development or "Authorization" in request.headers
        if told:
            _refuse_others(service)
        checks = state.checks()
        well = all(checks.values())
        word = {"status": "ready" if well else "not ready"}
        response = answer(word | state.detail(checks) if told else word, spoken="en")
        response.status_code = 200 if well else 503
        return response

    @blueprint.get("/metrics")
    def figures() -> Response:
        _refuse_others(service)
        state.show()
        return Response(metrics.generate_latest(), content_type=metrics.CONTENT_TYPE)

    return blueprint


def _refuse_others(service: Deployment) -> None:
    """Raises NotAuthenticated and Forbidden, but for an operator and for a monitoring system with the agreed token."""
    if _shows_token(service.metrics_token, request.headers.get("Authorization", "")):
        g.client = MONITORING
    else:
        caller(service, role="operator", needs="*.r")


def _shows_token(token: str, authorization: str) -> bool:
    """In the same time whether nothing fits or nearly all."""
    said = hmac.compare_digest(authorization.encode(), f"Bearer {token}".encode())
    return said and len(token) >= TOKEN_LENGTH


class _State:
    """What the service needs to give advice: its database, its content, and cards that are as they must be."""

    def __init__(self, service: Deployment) -> None:
        self._service = service
        self._database = Looked(self._read_database, DATABASE_EVERY)
        self._self_tests = Looked(self._try_out, SELF_TEST_EVERY)

    def checks(self) -> Mapping[str, bool]:
        """Each part, and whether it is well. The circuits to FHIR servers are not among them: they are others'."""
        return {
            "database": self._database.now(),
            "content": bool(self._service.screenings),
            "self-test": all(self._self_tests.now().values()),
        }

    def detail(self, checks: Mapping[str, bool]) -> Json:
        """What an operator sees beside the word."""
        return {
            "checks": {name: _WORDS[well] for name, well in checks.items()},
            "screenings": [
                {
                    "name": one.name,
                    "version": one.version,
                    "hash": one.hash,
                    "next-review": str(one.next_review),
                    "overdue": one.is_overdue(self._service.now().date()),
                    "self-test": _WORDS[self._self_tests.now()[one.name]],
                }
                for one in self._service.screenings
            ],
            "fhir-servers": self._circuits(),
        }

    def show(self) -> None:
        """Puts the state of this moment into the metrics."""
        self._self_tests.now()
        metrics.DATABASE.set(self._database.now())
        metrics.show_content(self._service.screenings)
        metrics.show_fhir_servers(self._circuits())

    def _read_database(self) -> bool:
        well = readable(self._service.store)
        if not well:
            log.error("database cannot be read")
        return well

    def _try_out(self) -> Mapping[str, bool]:
        passed = selftest.results(self._service)
        metrics.show_self_tests(passed)
        return passed

    def _circuits(self) -> dict[str, str]:
        """closed, half-open or open, for every base of the configuration: no caller can add one."""
        known = breaker.states()
        bases = [base for client in self._service.clients.values() for base in client.fhir_servers]
        return {base: known.get(base, "closed") for base in bases}
