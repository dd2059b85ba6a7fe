"""Every statement, proved or not, with a patient for whom it fails or, where one must exist, who shows it."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cds_content.screening import Screening
from cds_content.shapes import Text
from cds_proof.claims import CLAIMS, Claim
from cds_proof.found import Found, exists, find

_THEN = {"nl": " **maar met** ", "en": " **but with** "}


@dataclass(frozen=True)
class Case:
    """What a claim is about, and the patients found: who show that it fails or, where one is wanted, that it holds."""

    about: str
    found: tuple[Found, ...]

    def in_words(self, language: str) -> str:
        """The case on one line; empty where it is about nothing and there is no patient."""
        return ": ".join(part for part in (self.about, self.told(language)) if part)

    def told(self, language: str) -> str:
        """The patients; of a comparison the second after the first."""
        besides = (None, *self.found)  # of the second only what differs from the first
        return _THEN[language].join(
            one.in_words(language, than) for one, than in zip(self.found, besides, strict=False)
        )


@dataclass(frozen=True)
class Proof:
    """A statement of statements.toml: how many claims were put to the solver, for whom it fails, and who shows it."""

    name: str
    says: Text
    claims: int
    failing: tuple[Case, ...]
    shown: tuple[Case, ...]

    @property
    def holds(self) -> bool:
        return not self.failing


def prove(screening: Screening) -> Iterator[Proof]:
    """Each statement in the order of statements.toml."""
    for name, says in statements().items():
        yield prove_one(screening, name, says)


def prove_one(screening: Screening, name: str, says: Text) -> Proof:
    """One statement. Raises WrongTranslation where the formulas and the core differ, Undecided without an answer."""
    claims = list(CLAIMS[name](screening))
    results = [(claim, find(screening, claim)) for claim in claims]
    failing = [Case(claim.about, found or ()) for claim, found in results if _fails(claim, found)]
    shown = [Case(claim.about, found) for claim, found in results if claim.wanted and found]
    return Proof(name, says, len(claims), tuple(failing), tuple(shown))


def failing(screening: Screening, name: str) -> Claim | None:
    """The first claim of a statement that does not hold; None where all do. Quicker than to find its patients."""
    return next((claim for claim in CLAIMS[name](screening) if exists(claim) != claim.wanted), None)


def _fails(claim: Claim, found: tuple[Found, ...] | None) -> bool:
    return (found is not None) != claim.wanted


@cache
def statements() -> Mapping[str, Text]:
    """The statements in words, by name."""
    read: dict[str, Text] = tomllib.loads(Path(__file__).with_name("statements.toml").read_text("utf-8"))
    return read
