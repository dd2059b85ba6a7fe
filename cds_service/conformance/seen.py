"""Asks everything once, and keeps what was seen; the checks only look at it."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cds_content.shapes import Json
from cds_service.conformance.asking import Reply, Target, ask
from cds_service.conformance.bodies import made
from cds_service.conformance.feedback import feedback_of
from cds_service.conformance.probes import PLAIN, PROBES, changed_by
from cds_service.conformance.wrong_tokens import TOKENS, wrong_tokens

FOREIGN = "https://conformance.invalid"  # an origin that nobody has agreed with (RFC 2606)
NOBODY = "conformance-no-such-service"
_CHANGES = frozenset(probe.name for probe in PROBES)


@dataclass(frozen=True)
class Call:
    """A call of a service: what was changed in it, what was sent, what came back."""

    service: Json
    probe: str
    sent: Any
    reply: Reply


@dataclass(frozen=True)
class Seen:
    """All that was asked. `uncalled` are services of whose hook no call is known; `named` has the other requests."""

    target: Target
    discovery: Reply
    services: Sequence[Json] = ()
    uncalled: Sequence[Json] = ()
    calls: Sequence[Call] = ()
    feedback: Sequence[tuple[str, Reply]] = ()  # what was sent, what came back
    tokens: Mapping[str, Reply] = field(default_factory=dict)  # by what is wrong with the token
    named: Mapping[str, Reply] = field(default_factory=dict)
    preflights: Sequence[Reply] = ()

    def of(self, *probes: str) -> Iterator[Call]:
        """The calls with one of these changes. Raises ValueError for a change that there is not."""
        known("probe", probes, _CHANGES)
        return (call for call in self.calls if call.probe in probes)

    def with_token(self, name: str) -> Reply | None:
        """The answer to a call with this token, if it was sent. Raises ValueError for a token that there is not."""
        known("token", [name], TOKENS)
        return self.tokens.get(name)

    def base(self, call: Call) -> Reply:
        """What the same service said to the call without the change."""
        return next(one.reply for one in self.of(PLAIN) if one.service is call.service)

    @property
    def replies(self) -> Iterator[Reply]:
        """Every answer of discovery, of a service and of its feedback."""
        yield self.discovery
        yield from (call.reply for call in self.calls)
        yield from (reply for _, reply in self.feedback)
        yield from self.tokens.values()

    @property
    def others(self) -> Iterator[Reply]:
        """Every answer to what no client asks."""
        yield from (reply for name, reply in self.named.items() if name != "discovery again")


def known(what: str, names: Collection[str], there: Collection[str]) -> None:
    """Raises ValueError for a name that nothing has: a row that looks for it would pass without what it is about."""
    if strange := sorted(set(names) - set(there)):
        raise ValueError(f"no {what} has the name {', '.join(strange)}; write one of those that are sent")


def look_at(target: Target, only: Sequence[str], own: Sequence[Json]) -> Seen:
    """Asks the service everything. `only` names services by id, none means all; `own` are calls to send as well.

    The first call of one's own for a hook takes the place of the one that would be made up.
    """
    discovery = ask(target, "GET", target.discovery, "discovery")
    services = [one for one in listed(discovery.value) if not only or one["id"] in only]
    bodies = [(one, _bodies(one, own)) for one in services]
    calls = [call for one, known in bodies if known for call in _called(target, one, known)]
    return Seen(
        target,
        discovery,
        services,
        [one for one, known in bodies if not known],
        calls,
        [sent for one in services for sent in feedback_of(target, one["id"], _answers(calls, one))],
        _with_wrong_tokens(target, calls),
        dict(_named(target, services)),
        [_preflight(target, url, method) for url, method in _addresses(target, services)] if target.origin else [],
    )


def listed(discovery: Any) -> list[Json]:
    """The services that discovery lists so that they can be called."""
    services = discovery.get("services") if isinstance(discovery, dict) else None
    entries = services if isinstance(services, list) else []
    return [one for one in entries if isinstance(one, dict) and all(_is_text(one.get(n)) for n in ("id", "hook"))]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value)


def url_of(target: Target, id_: str) -> str:
    """The address of a service. Source: CDS Hooks 2.0.1, "Calling a CDS Service"."""
    return f"{target.discovery}/{id_}"


def _bodies(service: Json, own: Sequence[Json]) -> list[Json]:
    given = [body for body in own if body.get("hook") == service["hook"]]
    return given or [body for body in [made(service)] if body]


def _called(target: Target, service: Json, bodies: Sequence[Json]) -> Iterator[Call]:
    """The first body with every change, the others as they are."""
    url = url_of(target, service["id"])
    wanted = [(probe, bodies[0]) for probe in PROBES] + [(PROBES[0], body) for body in bodies[1:]]
    for probe, body in wanted:
        sent = changed_by(probe, body, service)
        if sent is not None:
            place = f"{service['id']} ({service['hook']}), {probe.name}"
            yield Call(service, probe.name, sent, ask(target, "POST", url, place, sent, media=probe.media))


def _answers(calls: Sequence[Call], service: Json) -> list[Any]:
    return [call.reply.value for call in calls if call.service is service and call.probe == PLAIN]


def _with_wrong_tokens(target: Target, calls: Sequence[Call]) -> dict[str, Reply]:
    """The first call that was answered, once for each thing that can be wrong with who calls."""
    call = next((one for one in calls if one.probe == PLAIN and one.reply.status == 200), None)
    if call is None:
        return {}
    url = url_of(target, call.service["id"])
    return {
        name: ask(target, "POST", url, f"a call with {name}", call.sent, Authorization=token and f"Bearer {token}")
        for name, token in wrong_tokens(target, url).items()
    }


def _named(target: Target, services: Sequence[Json]) -> Iterator[tuple[str, Reply]]:
    """What stands beside the calls; no service but those that were chosen is asked."""
    yield "discovery again", ask(target, "GET", target.discovery, "discovery, once more")
    yield "discovery by POST", ask(target, "POST", target.discovery, "POST to discovery", {})
    if target.origin:
        yield "foreign", ask(target, "GET", target.discovery, "discovery, from another origin", Origin=FOREIGN)
    body = {"hook": "patient-view", "hookInstance": NOBODY, "context": {"userId": "Practitioner/1", "patientId": "1"}}
    yield "no such service", ask(target, "POST", url_of(target, NOBODY), "a service that is not listed", body)
    for id_ in dict.fromkeys(one["id"] for one in services):
        yield f"GET {id_}", ask(target, "GET", url_of(target, id_), f"GET of {id_}")


def _addresses(target: Target, services: Sequence[Json]) -> Iterator[tuple[str, str]]:
    yield target.discovery, "GET"
    yield from ((url_of(target, id_), "POST") for id_ in dict.fromkeys(one["id"] for one in services))


def _preflight(target: Target, url: str, method: str) -> Reply:
    """What a browser asks before the call, without saying who calls. Source: Fetch, "CORS-preflight fetch"."""
    wanted = "authorization, content-type" if method == "POST" else "authorization"
    asked = {"Access_Control_Request_Method": method, "Access_Control_Request_Headers": wanted}
    return ask(target, "OPTIONS", url, f"preflight of {method} {url}", Authorization=None, **asked)
