"""The shapes of the files of rules. What each key means to a clinician stands at the head of the files themselves."""

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

LANGUAGES = ("nl", "en")  # the first is the default
Json = dict[str, Any]


def hyphened(field: str) -> str:
    """The key of a content file for a field: `not_known` is written `not-known`."""
    return field.rstrip("_").replace("_", "-")


def _in_every_language(text: dict[str, str]) -> dict[str, str]:
    if set(text) != set(LANGUAGES) or not all(words.strip() for words in text.values()):
        raise ValueError(f"write a text for each of: {', '.join(LANGUAGES)}")
    return text


Text = Annotated[dict[str, str], AfterValidator(_in_every_language)]


class Table(BaseModel):
    """A table of a content file: frozen, and a key that is not known is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=hyphened)


Words_ = Annotated[str, Field(pattern=r"\S")]  # a text in one language, not blank


class Condition(Table):
    """One form of `when`. No negation and no arithmetic: every rule stays monotone."""

    answer: str = ""
    is_: Literal["not-known"] | frozenset[str] | None = None
    over: int | None = None
    at_least: int | None = None
    under: int | None = None
    all_: tuple["Condition", ...] | None = None
    any_: tuple["Condition", ...] | None = None

    @model_validator(mode="after")
    def _one_form(self) -> "Condition":
        forms = [
            value
            for value in (self.is_, self.over, self.at_least, self.under, self.all_, self.any_)
            if value is not None
        ]
        if len(forms) != 1 or forms[0] in (frozenset(), ()) or bool(self.answer) == bool(self.all_ or self.any_):
            raise ValueError("write { answer, is | over | at-least | under }, or { all = [...] }, or { any = [...] }")
        return self

    def atoms(self) -> list["Condition"]:
        """The conditions on single answers."""
        parts = self.all_ or self.any_
        return [atom for part in parts for atom in part.atoms()] if parts else [self]


class Item(Table):
    """What the answers to one question mean."""

    safety: bool = False
    safe: frozenset[str] = frozenset()
    not_known: frozenset[str] = frozenset()
    order: tuple[str | tuple[str, ...], ...] = ()
    in_scope: frozenset[str] = frozenset()
    out_of_scope: frozenset[str] = frozenset()
    birth_date: bool = False

    @property
    def reassuring(self) -> frozenset[str]:
        """The answers of somebody who is well, or for the question about the complaint of somebody who has it."""
        return self.in_scope or self.safe

    def ranked(self) -> list[str]:
        """Every code in rising alarm."""
        return [code for rank in self.order for code in ((rank,) if isinstance(rank, str) else rank)]


class Finding(Table):
    """A rule of one sentence, or one of the three rows that follow from the item tables (`computed`)."""

    row: str
    advice: str
    when: Condition | None = None
    computed: Literal["incomplete", "all-safe", "out-of-scope"] | None = None
    basis: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    explains: bool = False
    summary: Text | None = None
    reason: Text
    codes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> "Finding":
        if (self.when is None) == (self.computed is None):
            raise ValueError("write either `when` or `computed`")
        if not self.basis and not self.beyond:
            raise ValueError("write its origin: `basis` (statements) or `beyond` (references)")
        return self


class FindingsFile(Table):
    version: str
    accepts: frozenset[str] = Field(min_length=1)
    next_review: date
    item: dict[str, Item]
    finding: dict[str, Finding]

    @field_validator("finding", mode="before")
    @classmethod
    def _rows(cls, raw: Any) -> Any:
        """The key of a finding's table is its row."""
        named = isinstance(raw, dict) and all(isinstance(table, dict) for table in raw.values())
        if named and any("row" in table for table in raw.values()):
            raise ValueError("leave `row` out: the name of the table is the row")
        return {row: {**table, "row": row} for row, table in raw.items()} if named else raw


class Statement(Table):
    """One statement of the patient sheet in our own words, and where the screening carries it."""

    nl: Words_
    en: Words_
    findings: frozenset[str] = frozenset()
    cards: frozenset[str] = frozenset()
    information: str = ""
    note: str = ""

    @model_validator(mode="after")
    def _has_its_place(self) -> "Statement":
        if bool(self.findings or self.cards) == bool(self.information):
            raise ValueError("write where it is carried (`findings`, `cards`), or why it is `information` only")
        return self


class Reference(Table):
    label: Text
    url: str = ""
    state: Literal["read", "in part", "not verified"]


class StatementsFile(Table):
    last: Annotated[str, Field(pattern=r"^S\d+$")]
    statement: dict[str, Statement]
    reference: dict[str, Reference]


class Code(Table):
    display: str
    seen_in: str = Field(min_length=1)


class CodesFile(Table):
    system: str
    code: dict[str, Code]
