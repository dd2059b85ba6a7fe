"""What the pages of the sandbox show: people, charts, and what a hook gave."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cds_content.shapes import Json
from cds_service.sandbox.exchange import Exchange
from cds_service.scenarios import Scenario

PRACTITIONER = "synthetic-gp"  # the id of the one who works here


@dataclass(frozen=True)
class Person:
    """A patient of the sandbox, made of a scenario; its id is the scenario's name.

    `user` is who looks at the chart: a relative reference. `encounter` is the id of an Encounter of the patient.
    """

    id: str
    name: str
    birth_date: str
    scenario: Scenario
    user: str
    encounter: str


@dataclass(frozen=True)
class Fired:
    """What a hook gave, of all services that offer it.

    `service` are their ids, separated by commas. `exchanges` are the calls, after each the calls that the service made
    on our FHIR server while it answered, and later the feedback. `cards` are those that can be shown; each has a uuid,
    made here where the service sent none. `problem` are names in words/problems.toml, for whatever is no valid answer:
    where it is not empty, no card does not mean that the service had none to give. `heeded` is by uuid what became of a
    card, "accepted" or "overridden"; `taken` which of its suggestions were accepted; `untold` why its service does not
    know: "no-uuid", "refused", or the error of the exchange. `origin` is by uuid the id of its service, and `urls` by
    that id where it was called. `made` are the uuids that no service gave. `refused` says why the system actions were
    not carried out. `cut`: there were more calls on our FHIR server than are kept here.
    """

    hook: str
    service: str
    exchanges: tuple[Exchange, ...] = ()
    cards: tuple[Json, ...] = ()
    system_actions: tuple[Json, ...] = ()
    problem: tuple[str, ...] = ()
    heeded: Mapping[str, str] = field(default_factory=dict)
    taken: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    untold: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, str] = field(default_factory=dict)
    urls: Mapping[str, str] = field(default_factory=dict)
    made: frozenset[str] = frozenset()
    refused: str = ""
    cut: bool = False


@dataclass(frozen=True)
class Chart:
    """What is on record of a patient, the newest first. `drafts` are orders that were chosen and not signed.

    `hook` is what the last hook gave.
    """

    person: Person
    patient: Json
    conditions: Sequence[Json]
    responses: Sequence[Json]
    orders: Sequence[Json]
    appointments: Sequence[Json]
    tasks: Sequence[Json]
    plans: Sequence[Json]
    drafts: Sequence[Json]
    hook: Fired | None
