"""A screening, compiled: what every later step reads. cds_content.loading makes it from the content files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from urllib.parse import urlsplit

from cds_content.card_shapes import Card, Disposition, OrderKind, SelfTest, Service, Texts, Words
from cds_content.shapes import Finding, Item, Json, StatementsFile
from cds_content.translations import displays


def reversed_host(url: str) -> str:
    """`https://cds.example.org/fhir` → `org.example.cds`."""
    return ".".join(reversed((urlsplit(url).hostname or "").split(".")))


@dataclass(frozen=True, eq=False)  # as a Screening is
class Question:
    """A question of the form. Without `options` it asks for a whole number from `low` to `high`."""

    link_id: str
    label: Mapping[str, str]
    item: Item
    system: str = ""
    options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)  # code → display in each language
    exclusive: frozenset[str] = frozenset()
    repeats: bool = False
    low: int = 0
    high: int = 0
    shown_for: Mapping[str, frozenset[str]] = field(default_factory=dict)  # parent → its codes; empty: always shown

    @property
    def calm(self) -> str:
        """The least alarming code of those of somebody who is well."""
        return next(code for code in self.item.ranked() if code in self.item.reassuring)

    def calm_number(self, age: int) -> int:
        """What somebody of this age answers who is well: the age, or the least."""
        return min(max(self.low, age), self.high) if self.item.birth_date else self.low


@dataclass(frozen=True, eq=False)  # compiled once: each is itself only, so that what is made of it can be kept
class Screening:
    name: str
    base: str  # of the canonical URLs
    questionnaire: Json
    resources: tuple[Json, ...]  # all that is published: questionnaire, code systems, value sets
    questions: Mapping[str, Question]  # in the order of the form
    displays: frozenset[str]  # linkIds that ask nothing
    findings: tuple[Finding, ...]
    dispositions: Mapping[str, Disposition]  # most urgent first
    statements: StatementsFile
    codes: Mapping[str, Json]  # code → Coding
    texts: Texts
    words: Words
    orders: Mapping[str, OrderKind]
    services: Mapping[str, Service]
    self_test: SelfTest
    version: str
    accepts: frozenset[str]
    next_review: date
    hash: str
    signed_by: str  # empty: nobody signed this content
    fresh: timedelta  # how long "no" answers count
    alarming: timedelta  # how long alarms count

    @cached_property
    def canonical(self) -> str:
        return f"{self.questionnaire['url']}|{self.questionnaire['version']}"

    @cached_property
    def domain(self) -> str:
        """The host of the canonical base, reversed: what names of our own start with."""
        return reversed_host(self.base)

    @property
    def cards(self) -> list[tuple[str, str, Card]]:
        """(file, name, card) for every card that there can be."""
        ordered = [("orders.toml", name, card) for name, kind in self.orders.items() for card in kind.card]
        advised: list[tuple[str, str, Card]] = [("advice.toml", *one) for one in self.dispositions.items()]
        return [*advised, ("texts.toml", "form-offer", self.texts.offer), *ordered]

    def is_overdue(self, today: date) -> bool:
        """Whether the content should have been reviewed again before this day."""
        return today >= self.next_review

    def class_of(self, finding: Finding) -> str:
        return self.dispositions[finding.advice].class_

    def urgency(self, finding: Finding) -> int:
        """0 is the most urgent."""
        return self._urgencies[finding.advice]

    def order(self, finding: Finding) -> tuple[int, int]:
        """Where the finding stands among all: by urgency, and then as written."""
        return self._urgencies[finding.advice], self._places[finding.row]

    def coding(self, suffix: str, code: str, language: str) -> Json:
        """A code of one of the screening's own code systems."""
        name = f"{self.name}-{suffix}"
        display = self._displays[name][code][language]
        return {"system": f"{self.base}/CodeSystem/{name}", "code": code, "display": display}

    @cached_property
    def safety(self) -> tuple[str, ...]:
        """The linkIds of the questions whose answers must be known before anybody is reassured."""
        return tuple(name for name, question in self.questions.items() if question.item.safety)

    @cached_property
    def scope(self) -> Mapping[str, tuple[tuple[str, frozenset[str]], ...]]:
        """For `in_scope` and `out_of_scope` the questions that say so, each with its codes."""
        said = {name: question.item for name, question in self.questions.items()}
        return {
            "in_scope": tuple((name, item.in_scope) for name, item in said.items() if item.in_scope),
            "out_of_scope": tuple((name, item.out_of_scope) for name, item in said.items() if item.out_of_scope),
        }

    @cached_property
    def _urgencies(self) -> Mapping[str, int]:
        return {name: place for place, name in enumerate(self.dispositions)}

    @cached_property
    def _places(self) -> Mapping[str, int]:
        return {finding.row: place for place, finding in enumerate(self.findings)}

    @cached_property
    def _displays(self) -> Mapping[str, Mapping[str, Mapping[str, str]]]:
        systems = [one["id"] for one in self.resources if one["resourceType"] == "CodeSystem"]
        return {name: displays(self.resources, name) for name in systems}
