"""What is counted, for Prometheus. Labels come from fixed sets: no call makes a new one, and none is about a patient.

Counts are those of this process, since its start. Names and labels: docs/operations.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time

import prometheus_client
from prometheus_client import Counter, Gauge, Histogram, generate_latest

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice

__all__ = ["CONTENT_TYPE", "generate_latest"]

CONTENT_TYPE = prometheus_client.CONTENT_TYPE_PLAIN_0_0_4
SELF_TEST_CLIENT = "_self-test"  # no name that clients.toml can have; its calls are not counted
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_STATES = {"closed": 1.0, "half-open": 0.5, "open": 0.0}
_BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.35, 0.5, 1, 2.5, 5)  # seconds; an answer is promised within 0.5

prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # each would double its counter

CALLS = Counter("cds_calls", "Calls answered.", ["route", "method", "hook", "status", "client"])
SECONDS = Histogram("cds_call_seconds", "Seconds from a call to its answer.", ["route", "hook"], buckets=_BUCKETS)
REFUSALS = Counter("cds_refusals", "Calls refused.", ["reason", "client"])
LIMITED = Counter("cds_rate_limited", "Calls over the agreed rate: each may be a missing card.", ["client"])
CARDS = Counter("cds_cards", "Cards given.", ["screening", "version", "topic"])
DECISIONS = Counter("cds_decisions", "Decisions recorded.", ["screening", "version", "disposition"])
UNKNOWN = Counter("cds_unknown", "Decisions with something not known, by why.", ["screening", "doubt"])
ALARMS = Counter("cds_submission_alarms", "Alarms in submissions.", ["screening", "disposition", "stored"])
RELOADS = Counter("cds_reloads", "Reloads of content and settings.", ["outcome"])
SELF_TEST = Gauge("cds_self_test_passed", "1 where the last self-test gave the expected card.", ["screening"])
DATABASE = Gauge("cds_database_up", "1 where the database could be read at the last look.")
FHIR_SERVERS = Gauge("cds_fhir_server_up", "1 closed, 0.5 half-open, 0 open circuit of a FHIR base.", ["base"])
CONTENT = Gauge("cds_content_info", "The content in use.", ["screening", "version", "questionnaire", "hash", "signed"])
REVIEW = Gauge("cds_content_next_review_seconds", "When the content must be reviewed again, Unix time.", ["screening"])


@dataclass(frozen=True)
class Called:
    """One call: the template of its address, its hook (empty: none), the client (empty: not known) and the refusal."""

    route: str
    method: str
    hook: str
    status: int
    client: str
    reason: str

    @property
    def known_method(self) -> str:
        return self.method if self.method in METHODS else "other"


def count_call(call: Called, seconds: float) -> None:
    """A call that was answered after so many seconds."""
    client = call.client or "none"
    CALLS.labels(call.route, call.known_method, call.hook or "none", str(call.status), client).inc()
    SECONDS.labels(call.route, call.hook or "none").observe(seconds)
    if call.status >= 400:
        REFUSALS.labels(call.reason or "none", client).inc()
    if call.status == 429:
        LIMITED.labels(client).inc()


def count_advice(client: str, screening: Screening, advice: Advice, cards: Iterable[Json]) -> None:
    """A decision that was recorded, and the cards that say it."""
    if client == SELF_TEST_CLIENT:
        return
    DECISIONS.labels(screening.name, screening.version, advice.disposition).inc()
    for doubt in {one.doubt for one in advice.unknown}:
        UNKNOWN.labels(screening.name, doubt).inc()
    for card in cards:
        CARDS.labels(screening.name, screening.version, card["source"].get("topic", {}).get("code", "none")).inc()


def count_alarm(screening: Screening, disposition: str, *, stored: bool) -> None:
    """An alarm in a response that a client submitted: stored, or refused with the response."""
    ALARMS.labels(screening.name, disposition, "yes" if stored else "no").inc()


def show_content(screenings: Sequence[Screening]) -> None:
    """The content in use now, and no other. Each disposition is counted from 0, so that one that never comes shows."""
    CONTENT.clear()
    REVIEW.clear()
    for one in screenings:
        signed = "yes" if one.signed_by else "no"
        CONTENT.labels(one.name, one.version, one.questionnaire["version"], one.hash, signed).set(1)
        REVIEW.labels(one.name).set(datetime.combine(one.next_review, time(), UTC).timestamp())
        for disposition in one.dispositions:
            DECISIONS.labels(one.name, one.version, disposition)


def show_fhir_servers(states: Mapping[str, str]) -> None:
    """The state of the circuit to each FHIR base of the configuration."""
    FHIR_SERVERS.clear()
    for base, state in states.items():
        FHIR_SERVERS.labels(base).set(_STATES[state])


def show_self_tests(passed: Mapping[str, bool]) -> None:
    """Which screenings gave the expected card, by name."""
    SELF_TEST.clear()
    for name, well in passed.items():
        SELF_TEST.labels(name).set(well)
