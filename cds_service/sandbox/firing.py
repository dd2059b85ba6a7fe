"""A hook is called: every service that offers it, one after the other, and what came of it in one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from cds_content.shapes import Json
from cds_service.sandbox.answers import read_answer
from cds_service.sandbox.calls import context_of, prefetched
from cds_service.sandbox.exchange import Exchange, exchanged
from cds_service.sandbox.records import Records
from cds_service.sandbox.shapes import Fired, Person
from cds_service.sandbox.switches import broken
from cds_service.sandbox.tokens import LIFETIME, Grants, Signer

MOST = 50  # exchanges that are kept of a patient
_SCOPE = "patient/*.rs"


@dataclass(frozen=True)
class Caller:
    """Who calls: this EHR, with its key and its FHIR server `base`, broken as `on` says, in this language."""

    address: str
    services: Sequence[Json]
    problem: tuple[str, ...]
    base: str
    signer: Signer
    grants: Grants
    on: frozenset[str]
    language: str
    now: Callable[[], datetime]

    def fire(self, person: Person, hook: str, more: Mapping[str, Any], records: Records) -> Fired:
        """What all services with this hook give, each called once."""

        def request(service: Json, token: str) -> Json:
            return self._request(service, context_of(hook, person, dict(more)), token, records)

        return self._asked(person, hook, request)

    def replay(self, person: Person, request: Json) -> Fired:
        """What they give for this request as it stands, whatever is on record and whatever is switched."""
        return self._asked(person, request["hook"], lambda _, __: request)

    def _asked(self, person: Person, hook: str, request: Callable[[Json, str], Json]) -> Fired:
        offering = [one for one in self.services if one["hook"] == hook]
        if not offering:
            return Fired(hook, "", problem=self.problem or ("no-service",))
        return reduce(_joined, [self._called(one, person, request) for one in offering])

    def tell(self, fired: Fired, card: str, feedback: Json) -> Exchange:
        """Sends feedback to the service that gave the card, wherever the sandbox is connected to by now."""
        end = f"/cds-services/{quote(fired.origin[card], safe='')}"
        called = next(one.url for one in fired.exchanges if one.what == "hook" and one.url.endswith(end))
        url = f"{called}/feedback"
        return exchanged("feedback", "POST", url, self._headers(url), feedback)

    def _called(self, service: Json, person: Person, request: Callable[[Json, str], Json]) -> Fired:
        token, grant = self.grants.give(person.id, _SCOPE, self.now() + LIFETIME)
        url = f"{self.address}/cds-services/{quote(service['id'], safe='')}"
        sent = exchanged("hook", "POST", url, self._headers(url), request(service, token))
        cards, system, problem = read_answer(sent)
        return Fired(
            service["hook"],
            service["id"],
            (sent, *grant.used),
            tuple(cards),
            tuple(system),
            problem,
            origin={card["uuid"]: service["id"] for card in cards},
        )

    def _request(self, service: Json, context: Json, token: str, records: Records) -> Json:
        whole = {
            "hook": service["hook"],
            "hookInstance": str(uuid4()),
            "context": context,
            "fhirServer": self.base,
            "fhirAuthorization": {
                "access_token": token,
                "token_type": "Bearer",
                "expires_in": int(LIFETIME.total_seconds()),
                "scope": _SCOPE,
                "subject": service["id"],
                "patient": context["patientId"],
            },
            "prefetch": prefetched(records, service, context, self.base),
        }
        return broken(whole, service, self.on)

    def _headers(self, url: str) -> Mapping[str, str]:
        signed = self.signer.call(url, self.now(), wrong="wrong-token" in self.on, expired="expired-token" in self.on)
        return {
            "Content-Type": "application/json",
            "Accept": "application/json",
            "Accept-Language": self.language,
            "Authorization": f"Bearer {signed}",
        }


def merged(fired: Fired, feedback: Exchange, heeded: Mapping[str, str]) -> Fired:
    """The same with the feedback that was sent on its cards."""
    refused = bool(feedback.error) or not 200 <= feedback.status < 300
    return replace(
        fired,
        exchanges=(*fired.exchanges, feedback)[-MOST:],
        heeded={**fired.heeded, **heeded},
        problem=(*fired.problem, *(["feedback"] if refused and "feedback" not in fired.problem else [])),
    )


def _joined(one: Fired, other: Fired) -> Fired:
    """Both in one. A card whose uuid is there already is another's: it is not shown, and that is said."""
    cards = tuple(card for card in other.cards if card["uuid"] not in one.origin)
    twice = ("bad-cards",) if len(cards) < len(other.cards) else ()
    return Fired(
        one.hook,
        f"{one.service}, {other.service}",
        (*one.exchanges, *other.exchanges)[:MOST],
        (*one.cards, *cards),
        (*one.system_actions, *other.system_actions),
        tuple(dict.fromkeys((*one.problem, *other.problem, *twice))),
        origin={**other.origin, **one.origin},
    )
