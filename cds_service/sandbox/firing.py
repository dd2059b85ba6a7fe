"""A hook is called: every service that offers it, one after the other, and what came of it in one."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import reduce
from typing import Any
from urllib.parse import quote
from uuid import uuid4

from cds_content.shapes import Json
from cds_service.sandbox.calls import context_of, prefetched
from cds_service.sandbox.exchange import Exchange, exchanged
from cds_service.sandbox.records import Records
from cds_service.sandbox.replies import read_reply, renamed
from cds_service.sandbox.shapes import Fired, Person
from cds_service.sandbox.switches import broken
from cds_service.sandbox.tokens import LIFETIME, Grants, Signer

MOST = 50  # calls on our FHIR server that are kept of a hook
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
        url = f"{fired.urls[fired.origin[card]]}/feedback"
        return exchanged("feedback", "POST", url, self._headers(url), feedback)

    def _called(self, service: Json, person: Person, request: Callable[[Json, str], Json]) -> Fired:
        token, grant = self.grants.give(person.id, _SCOPE, self.now() + LIFETIME)
        url = f"{self.address}/cds-services/{quote(service['id'], safe='')}"
        sent = exchanged("hook", "POST", url, self._headers(url), request(service, token))
        answer = read_reply(sent)
        return Fired(
            service["hook"],
            service["id"],
            (sent, *grant.used[:MOST]),
            answer.cards,
            answer.system_actions,
            answer.problem,
            origin={card["uuid"]: service["id"] for card in answer.cards},
            urls={service["id"]: url},
            made=answer.made,
            cut=len(grant.used) > MOST,
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


def merged(fired: Fired, card: str, outcome: str, taken: tuple[str, ...], told: Exchange | None) -> Fired:
    """`fired` with what became of a card, and the feedback on it; None: there was none that could be sent."""
    why = _untold(told)
    problem = ("feedback",) if told and why and "feedback" not in fired.problem else ()
    return replace(
        fired,
        exchanges=(*fired.exchanges, *([told] if told else [])),
        heeded={**fired.heeded, card: outcome},
        taken={**fired.taken, card: taken},
        untold={uuid: said for uuid, said in {**fired.untold, card: why}.items() if said},
        problem=(*fired.problem, *problem),
    )


def _untold(feedback: Exchange | None) -> str:
    """Why the service does not know; empty where it does."""
    if feedback is None:
        return "no-uuid"
    return feedback.error or ("" if 200 <= feedback.status < 300 else "refused")


def _joined(one: Fired, other: Fired) -> Fired:
    """Both in one. A card whose uuid is there already is another's: it gets one of ours, and that is said."""
    cards = tuple(renamed(card) if card["uuid"] in one.origin else card for card in other.cards)
    twice = {card["uuid"] for card in cards} - other.origin.keys()
    exchanges = _fewer((*one.exchanges, *other.exchanges))
    return Fired(
        one.hook,
        f"{one.service}, {other.service}",
        exchanges,
        (*one.cards, *cards),
        (*one.system_actions, *other.system_actions),
        tuple(dict.fromkeys((*one.problem, *other.problem, *(["bad-parts"] if twice else [])))),
        origin={**one.origin, **{card["uuid"]: other.service for card in cards}},
        urls={**one.urls, **other.urls},
        made=one.made | other.made | twice,
        cut=one.cut or other.cut or len(exchanges) < len(one.exchanges) + len(other.exchanges),
    )


def _fewer(exchanges: Sequence[Exchange]) -> tuple[Exchange, ...]:
    """All but the calls on our FHIR server beyond MOST."""
    beyond = [at for at, one in enumerate(exchanges) if one.what == "fhir"][MOST:]
    return tuple(one for at, one in enumerate(exchanges) if at not in set(beyond))
