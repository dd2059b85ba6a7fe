"""Feedback, where a service takes it. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Feedback"."""

from collections.abc import Callable, Iterator

from cds_service.conformance.asking import Reply
from cds_service.conformance.feedback import OVERRIDDEN, REPEATED, REPORTS, RIGHT, WRONG
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.seen import Seen, known

_NOT_THERE = (404, 405, 501)


def _offered(seen: Seen, names: tuple[str, ...]) -> Iterator[Reply]:
    """The answers to these reports of services that take feedback: to take it is their choice."""
    known("report", names, REPORTS)
    offered = True
    for name, reply in seen.feedback:  # the first report of each service shows whether it does
        offered = reply.status not in _NOT_THERE if name == OVERRIDDEN else offered
        if offered and name in names:
            yield reply


def _taken(*names: str) -> Callable[[Seen], Iterator[Look]]:
    def look(seen: Seen) -> Iterator[Look]:
        for reply in _offered(seen, names):
            wrong = "" if reply.is_success else f"is answered {reply.status}; take it with 200"
            yield Look(reply.place, wrong if reply.status else "", "" if reply.status else reply.unread)

    return look


def _refused(seen: Seen) -> Iterator[Look]:
    for reply in _offered(seen, WRONG):
        wrong = f"is answered {reply.status}; refuse it with 400"
        yield Look(reply.place, wrong if reply.is_success or reply.is_redirect else "", reply.untold)


_FEEDBACK = "2.0.1, 3.0: Feedback"
_NO_CARD = "no card with a uuid came, or the service takes no feedback, which is its choice"
CHECKS = (
    Check("FB-1", _FEEDBACK, Level.MUST, "takes right feedback, where it takes feedback", _taken(*RIGHT), _NO_CARD),
    Check("FB-6", _FEEDBACK, Level.SHOULD, "takes the same feedback twice", _taken(REPEATED), _NO_CARD),
    Check("FB-7", _FEEDBACK, Level.SHOULD, "refuses feedback that says nothing usable", _refused, _NO_CARD),
)  # fmt: skip
