"""Who may call. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Trusting CDS Clients"; RFC 7519; RFC 8725."""

from collections.abc import Callable, Iterator

from cds_service.conformance.asking import Reply
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.seen import Seen
from cds_service.conformance.signing import CLAIMS
from cds_service.conformance.wrong_tokens import FRESH, NONE, UNASKED, USED


def _refused(*names: str) -> Callable[[Seen], Iterator[Look]]:
    """Calls with these tokens must be refused; whether a redirect lets them in is not seen, and HTTP-1 has it."""

    def look(seen: Seen) -> Iterator[Look]:
        for name in names:
            if reply := seen.with_token(name):
                wrong = f"is answered {reply.status}; refuse it with 401"
                unknown = f"answers {reply.status}, and no redirect is followed" if reply.is_redirect else reply.untold
                yield Look(reply.place, wrong if reply.is_success else "", unknown)

    return look


def _used(seen: Seen) -> Iterator[Look]:
    fresh = seen.with_token(FRESH)
    if fresh and fresh.status == 200:
        yield from _refused(USED)(seen)


def _unasked(seen: Seen) -> Iterator[Look]:
    if reply := seen.with_token(UNASKED):
        wrong = "" if reply.status == 200 else f"answers {reply.status}; answer as without the header"
        yield Look(reply.place, wrong if reply.status else "", "" if reply.status else reply.unread)


def _not_let_in(seen: Seen) -> list[Reply]:
    """What was said to wrong tokens that were not accepted, or 0 where nothing was; the other rows have those."""
    replies = (reply for name, reply in seen.tokens.items() if name not in (FRESH, UNASKED))
    return [reply for reply in replies if not reply.is_success]


def _statuses(seen: Seen) -> Iterator[Look]:
    for reply in _not_let_in(seen):
        wrong = "" if reply.status in (0, 401) else f"is answered {reply.status}; write 401"
        yield Look(reply.place, wrong, "" if reply.status else reply.unread)


def _silent(seen: Seen) -> Iterator[Look]:
    refused = _not_let_in(seen)
    yield from (Look(reply.place, unknown=reply.unread) for reply in refused if not reply.status)
    if bodies := {reply.body for reply in refused if reply.status}:
        wrong = "differ in their bodies; say the same to everybody, for the reason helps an attacker"
        yield Look("the refusals of wrong tokens", "" if len(bodies) == 1 else wrong)


_TRUST = "2.0.1, 3.0: Trusting CDS Clients"
_NO_TOKEN = "needs --token or --jwt-key, and a call that is answered with 200"  # noqa: S105 - a reason
_NO_KEY = "needs --jwt-key, and a call that is answered with 200"
CHECKS = (
    Check("SEC-1", _TRUST, Level.SHOULD, "wants to know who calls", _refused(NONE), _NO_TOKEN),
    Check("SEC-2", _TRUST, Level.SHOULD, "answers also with an Authorization header where it wants none", _unasked,
          "the service wants to know who calls, or no call was answered with 200"),
    Check("SEC-4", _TRUST, Level.MUST, "refuses a token whose signature was changed", _refused("a changed token"),
          _NO_TOKEN),
    Check("SEC-5", _TRUST, Level.SHOULD, "wants iss, aud, exp, iat and jti",
          _refused(*(f"a token without {name}" for name in CLAIMS)), _NO_KEY),
    Check("SEC-6", _TRUST, Level.MUST, "wants the URL that was called as aud", _refused("a token for another address"),
          _NO_KEY),
    Check("SEC-7", "RFC 7519, 4.1.4", Level.MUST, "refuses an expired token", _refused("an expired token"), _NO_KEY),
    Check("SEC-8", _TRUST, Level.MUST, "never accepts a token that is not signed",
          _refused("a token that is not signed"), _NO_KEY),
    Check("SEC-9", _TRUST, Level.MUST, "never accepts a symmetric algorithm",
          _refused("a token signed with the public key"), _NO_KEY),
    Check("SEC-10", "RFC 7519, 4.1.7; best practices of CDS Hooks", Level.SHOULD,
          "refuses a token that was used before", _used, _NO_KEY),
    Check("SEC-12", "best practices of CDS Hooks", Level.SHOULD, "gives no reason to who is refused", _silent,
          _NO_TOKEN),
    Check("HTTP-1", "RFC 9110, 15.5.2", Level.SHOULD, "answers 401 to who is not authenticated", _statuses, _NO_TOKEN),
)  # fmt: skip
