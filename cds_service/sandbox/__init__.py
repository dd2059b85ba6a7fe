"""A small EHR in memory: it calls the CDS service as any EHR would, over HTTP. Development mode only.

The address of the CDS service may be any: whoever opens the sandbox can make this machine call it. That is why it is
there in development mode only, which is bound to loopback. Source: CDS Hooks 2.0.1.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from threading import RLock
from urllib.parse import urlencode

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Json
from cds_service.errors import NotFound
from cds_service.sandbox import actions, comparison, orders
from cds_service.sandbox.calls import in_hand, user_of
from cds_service.sandbox.connection import Connection
from cds_service.sandbox.exchange import Exchange
from cds_service.sandbox.firing import Caller
from cds_service.sandbox.launches import Launches
from cds_service.sandbox.patients import Ward, admitted, complaint, is_listed
from cds_service.sandbox.records import Records
from cds_service.sandbox.shapes import Chart, Fired, Person
from cds_service.sandbox.switches import SWITCHES
from cds_service.sandbox.tokens import Grants, Signer
from cds_service.scenarios import Scenario, filled

__all__ = ["SWITCHES", "Chart", "Ehr", "Exchange", "Fired", "Person"]


class Ehr:
    """One EHR, for one application. Safe for threads; no lock is held while a service is called, which calls back.

    `connection` is the CDS service in use. Every method that takes a patient raises NotFound for one that there is not.
    """

    def __init__(
        self,
        public: str,
        screenings: Sequence[Screening],
        scenarios: Callable[[], Sequence[Scenario]],
        now: Callable[[], datetime],
    ) -> None:
        self.public, self.base, self.now = public, f"{public}/sandbox/fhir", now
        self.signer, self.grants = Signer(f"{public}/sandbox"), Grants()
        self.launches = Launches(public, self.grants, self.signer)
        self.kinds = orders.kinds(screenings, "ServiceRequest")
        self.bookable = orders.kinds(screenings, "Appointment")
        self._screenings, self._scenarios, self._lock = tuple(screenings), scenarios, RLock()
        self.reset()

    def reset(self) -> None:
        """As it was at start."""
        with self._lock:
            self.switches, self.connection = frozenset[str](), Connection(self.public)
            self._filled: Ward | None = None
            self.grants.forget()
            self.launches.forget()

    @property
    def _ward(self) -> Ward:
        """Filled when it is first needed: an application that shows no sandbox does not wait for it."""
        with self._lock:
            if self._filled is None:
                self._filled = admitted(self._scenarios(), self._screenings, self.now())
            return self._filled

    @property
    def records(self) -> Records:
        """What its FHIR server holds."""
        return self._ward.records

    @property
    def address(self) -> str:
        """The base of the CDS service in use."""
        return self.connection.address

    @property
    def services(self) -> list[Json]:
        """What it offers."""
        return self.connection.services

    @property
    def problem(self) -> tuple[str, ...]:
        """What is wrong with its discovery, in names of words/problems.toml."""
        return self.connection.problem

    @property
    def discovered(self) -> Exchange | None:
        """The exchange in which it said what it offers."""
        return self.connection.discovered

    def connect(self, address: str) -> None:
        """Uses the CDS service at this address, empty: this one. Raises BadRequest for no http or https address."""
        self.connection.to(address)

    def patients(self) -> Sequence[Person]:
        """All patients, in the order of the scenarios."""
        return tuple(self._ward.people.values())

    def chart(self, id_: str) -> Chart:
        """What is on record of the patient."""
        return self._ward.chart(self._person(id_))

    def fire(self, id_: str, hook: str, *, language: str = LANGUAGES[0]) -> Fired:
        """Calls every service with this hook, with what is on record; a new problem is recorded after its hook.

        Raises NotFound where the hook needs something that the patient does not have: a draft, a response.
        """
        person, chart = self._person(id_), self.chart(id_)
        problem = complaint(self._screening(person), id_)
        more = in_hand(hook, chart, problem)
        fired = self._caller(language, self.switches).fire(person, hook, more, self.records)
        fired = self._ward.progress[id_].keep(fired, self.records)
        if hook == "problem-list-item-create" and not is_listed(problem, chart.conditions):
            self.records.put(id_, problem)
        return fired

    def replay(self, id_: str, *, language: str = LANGUAGES[0]) -> Fired:
        """Sends the request of the patient's scenario as it stands in the library, also what no record can hold."""
        person = self._person(id_)
        request = filled(person.scenario, self.now(), self._screening(person).base)
        fired = self._caller(language, frozenset()).replay(person, request)
        return self._ward.progress[id_].keep(fired, self.records)

    def order(self, id_: str, kind: str, *, language: str = LANGUAGES[0]) -> Fired:
        """Chooses an order of this kind: it is a draft, and the hook order-select is called."""
        person = self._person(id_)
        user = user_of("order-select", person)
        self._ward.progress[id_].draft(orders.drafted(self._screenings, kind, id_, user, self.now()))
        return self.fire(id_, "order-select", language=language)

    def sign(self, id_: str, *, language: str = LANGUAGES[0]) -> Fired:
        """Calls order-sign with all drafts; then they are signed, as the service's system actions left them."""
        fired = self.fire(id_, "order-sign", language=language)
        self._ward.progress[id_].sign(self.records)
        return fired

    def book(self, id_: str, kind: str, *, language: str = LANGUAGES[0]) -> Fired:
        """Calls appointment-book with an appointment of this kind, which is then on record as proposed."""
        self._person(id_)
        self.records.put(id_, orders.proposed(self._screenings, kind, id_))
        return self.fire(id_, "appointment-book", language=language)

    def accept(self, id_: str, card: str, suggestion: str) -> None:
        """Does what the suggestion says, all or nothing, and tells the service. Raises NotFound and BadRequest."""
        fired, shown = self._ward.progress[self._person(id_).id].to_accept(card, suggestion)
        self._ward.progress[id_].do(actions.suggestion_of(shown, suggestion).get("actions", []), self.records)
        taken = (*fired.taken.get(card, ()), suggestion)
        known = [one for one in taken if one not in fired.made]
        feedback = None if suggestion in fired.made else actions.accepted(card, known, self.now())
        self._heed(id_, fired, card, ("accepted", taken), feedback)

    def dismiss(self, id_: str, card: str, reason: Json | None = None, comment: str = "") -> None:
        """Puts the card aside, with one of its reasons (a Coding) or a comment, and tells the service."""
        fired, _ = self._ward.progress[self._person(id_).id].to_dismiss(card)
        self._heed(id_, fired, card, ("overridden", ()), actions.overridden(card, reason, comment[:1000], self.now()))

    def switch(self, name: str, *, on: bool) -> None:
        """Breaks something on purpose, or mends it. Raises NotFound."""
        if name not in SWITCHES:
            raise NotFound("no such switch; the page lists those that there are")
        self.switches = self.switches | {name} if on else self.switches - {name}

    def launch(self, id_: str, url: str, app_context: str = "") -> str:
        """Where the browser goes to open this SMART app for the patient. Raises BadRequest for no web address."""
        person = self._person(id_)
        return self.launches.begin(id_, person.user, url, app_context, self.now())

    def form(self, id_: str, screening: str) -> str:
        """Where the browser goes to open the form of a screening for the patient. Raises NotFound."""
        for one in self._screenings:
            if one.name == screening:
                query = urlencode({"questionnaire": one.canonical})
                return self.launch(id_, f"{self.public}/form/launch?{query}")
        raise NotFound("no such form; the chart lists those that there are")

    def compare(self, id_: str, link_id: str, code: str, *, language: str = LANGUAGES[0]) -> tuple[Fired, Fired]:
        """What the newest response gives, and what it would give with one other answer; nothing of it is kept.

        An empty code takes the answer out. The switches do not count. Raises NotFound without a response, BadRequest.
        """
        person, caller = self._person(id_), self._caller(language, frozenset({"no-fhir-server"}))
        trial = comparison.changed(self.records, self.chart(id_).responses, self._screenings, link_id, code, id_)
        first, second = (caller.fire(person, "patient-view", {}, one) for one in (self.records, trial))
        return first, second

    def remove(self, id_: str, response_id: str) -> None:
        """Takes a response off the record. Raises NotFound."""
        self.records.delete(self._person(id_).id, "QuestionnaireResponse", response_id)

    def _screening(self, person: Person) -> Screening:
        """The screening that the patient was made for."""
        return next((one for one in self._screenings if one.name == person.scenario.screening), self._screenings[0])

    def _person(self, id_: str) -> Person:
        if id_ not in self._ward.people:
            raise NotFound("no such patient in the sandbox; its first page lists them")
        return self._ward.people[id_]

    def _caller(self, language: str, on: frozenset[str]) -> Caller:
        with_services = self.connection.services, self.connection.problem
        return Caller(
            self.connection.address, *with_services, self.base, self.signer, self.grants, on, language, self.now
        )

    def _heed(
        self, id_: str, fired: Fired, card: str, done: tuple[str, tuple[str, ...]], feedback: Json | None
    ) -> None:
        """Tells the service what was done with its card, where it knows the uuids that the feedback would name."""
        tell = self._caller(LANGUAGES[0], self.switches).tell
        sent = tell(fired, card, feedback) if feedback and card not in fired.made else None
        self._ward.progress[id_].heed(fired, card, *done, sent)
