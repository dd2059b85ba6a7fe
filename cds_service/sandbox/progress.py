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
            except BadRequest:
                fired = replace(fired, problem=(*fired.problem, "system-actions"))
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

    def card(self, uuid: str) -> tuple[Fired, Json]:
        """The last hook, and its card with this uuid. Raises NotFound, also for one that was answered before."""
        last = self.last
        for card in last.cards if last else ():
            if last and card["uuid"] == uuid and uuid not in last.heeded:
                return last, card
        raise NotFound("no such card in the chart, or it was answered before; open the chart again")

    def heed(self, fired: Fired, card: str, outcome: str, sent: Exchange) -> None:
        """What became of a card, and the feedback on it; nothing where another hook was called in the meantime."""
        with self._lock:
            if self.last and self.last.origin == fired.origin:
                self.last = merged(self.last, sent, {card: outcome})
