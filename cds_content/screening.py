"""A screening, compiled: what every later step reads. cds_content.loading makes it from the content files."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

from cds_content.shapes import Disposition, Finding, Item, Json, Service, StatementsFile, Texts, Words


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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
    services: Mapping[str, Service]
    version: str
    accepts: frozenset[str]
    next_review: date
    hash: str
    signed_by: str  # empty: nobody signed this content
    fresh: timedelta  # how long "no" answers count
    alarming: timedelta  # how long alarms count

    @property
    def canonical(self) -> str:
        return f"{self.questionnaire['url']}|{self.questionnaire['version']}"

    def class_of(self, finding: Finding) -> str:
        return self.dispositions[finding.advice].class_

    def urgency(self, finding: Finding) -> int:
        """0 is the most urgent."""
        return list(self.dispositions).index(finding.advice)
