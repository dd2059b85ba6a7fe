"""What is going on with a patient of the sandbox: the last hook, its cards, and the orders that are not signed."""

from collections.abc import Sequence
from dataclasses import replace
from threading import RLock

from cds_content.shapes import Json
from cds_service.errors import BadRequest, NotFound
from cds_service.sandbox.actions import apply
from cds_service.sandbox.exchange import Exchange
from cds_service.sandbox.firing import merged
from cds_service.sandbox.records import Records
from cds_service.sandbox.shapes import Fired

AT_MOST_ONE = "at-most-one"
_MOST = 20  # orders that are not signed


class Progress:
    """Safe for threads."""

    def __init__(self, patient: str, drafts: Sequence[Json]) -> None:
        self._patient, self._lock = patient, RLock()
        self.drafts = tuple(drafts)
        self.last: Fired | None = None

    def keep(self, fired: Fired, records: Records) -> Fired:
        """It is the last hook; its system actions are done."""
        with self._lock:
            try:
                self.do(fired.system_actions, records)
            except BadRequest as error:
                problem = (*fired.problem, "system-actions")
                fired = replace(fired, problem=problem, system_actions=(), refused=str(error))
            self.last = fired
        return fired

    def do(self, actions: Sequence[Json], records: Records) -> None:
        """Does all of the actions or none. Raises BadRequest."""
        with self._lock:
            self.drafts = tuple(apply(records, list(self.drafts), self._patient, actions))

    def draft(self, order: Json) -> None:
        """One more order. Raises BadRequest where there are too many."""
        with self._lock:
            if len(self.drafts) >= _MOST:
                raise BadRequest(f"there are {_MOST} orders that are not signed; sign them first")
            self.drafts = (*self.drafts, order)

    def sign(self, records: Records) -> None:
        """Puts all drafts on record."""
        with self._lock:
            signed, self.drafts = self.drafts, ()
        for one in signed:
            records.put(self._patient, one | {"status": "active"})

    def to_dismiss(self, uuid: str) -> tuple[Fired, Json]:
        """The last hook, and its card with this uuid. Raises NotFound, also for one that was answered before."""
        fired, card = self.to_accept(uuid)
        if uuid in fired.heeded:
            raise NotFound("this card was answered before; open the chart again")
        return fired, card

    def to_accept(self, uuid: str, suggestion: str = "") -> tuple[Fired, Json]:
        """The last hook, and its card with this uuid, also where others of its suggestions were accepted and may be.

        Raises NotFound.
        """
        last = self.last
        for card in last.cards if last else ():
            if last and card["uuid"] == uuid and (not suggestion or is_open(last, card, suggestion)):
                return last, card
        raise NotFound("no such card in the chart, or it was answered before; open the chart again")

    def heed(self, fired: Fired, card: str, outcome: str, taken: tuple[str, ...], sent: Exchange | None) -> None:
        """What became of a card, and the feedback on it; nothing where another hook was called in the meantime."""
        with self._lock:
            if self.last and self.last.origin == fired.origin:
                self.last = merged(self.last, card, outcome, taken, sent)


def is_open(fired: Fired, card: Json, suggestion: str) -> bool:
    """Whether this suggestion can still be accepted: after another one only where the card may have several."""
    uuid = card["uuid"]
    if uuid not in fired.heeded:
        return True
    several = fired.heeded[uuid] == "accepted" and card.get("selectionBehavior") != AT_MOST_ONE
    return several and suggestion not in fired.taken.get(uuid, ())
