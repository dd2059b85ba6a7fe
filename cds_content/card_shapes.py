"""The shapes of the content of cards.

They are advice.toml, texts.toml, orders.toml, services.toml, self-test.toml, words.toml and signed.toml.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, RootModel

from cds_content.shapes import Condition, Json, Table, Text, Words_


def _exactly(names: str) -> AfterValidator:
    def check(words: dict[str, Any]) -> dict[str, Any]:
        if wrong := words.keys() ^ set(names.split()):
            raise ValueError(f"missing or unknown: {', '.join(sorted(wrong))}; write exactly: {names}")
        return words

    return AfterValidator(check)


# Why an answer (the first four) or a response is not known.
DOUBTS = """missing not-known unreadable contradictory too-old history unfinished unknown-status unknown-version
 entered-in-error no-date no-subject unknown-question partly-seen no-rule no-screening no-complaint"""


class Paragraph(Table):
    """A paragraph of a card; with `when` it is there only while the newest complete response makes that true."""

    nl: Words_
    en: Words_
    only: Literal["complete"] | None = None
    when: Condition | None = None
    basis: frozenset[str] = frozenset()


class Suggestion(Table):
    """What a clinician can accept: resources that are created together.

    It is left out for the readers named in `not_for`. `choose` says which of its resources may be taken alone; only
    clients that were agreed with see it.
    """

    label: Text
    not_for: frozenset[Literal["gp"]] = frozenset()
    choose: Literal["", "any", "at-most-one"] = ""
    resources: tuple[str, ...] = Field(min_length=1)
    priority: Literal["", "routine", "urgent", "asap", "stat"] = ""


class Card(Table):
    """The parts of a card that do not depend on the answers."""

    indicator: Literal["info", "warning", "critical"] = "info"
    detail: tuple[Paragraph, ...] = ()
    suggestion: tuple[Suggestion, ...] = ()
    links: tuple[str, ...] = ()


class Disposition(Card):
    """A level of urgency and the card that says it; `patient` is for a patient who reads the card."""

    class_: Literal["doctor", "incomplete", "conservative", "none"]
    patient: Text | None = None


class Offer(Card):
    """The card that offers the form."""

    summary: Text
    detail: tuple[Paragraph, ...] = Field(min_length=1)


Dispositions = RootModel[dict[str, Disposition]]


class SmartLink(Table):
    """How a link is written for an EHR that can launch our app: {public} and {questionnaire} are filled in."""

    label: Text
    url: str = Field(pattern=r"^\{public\}/[^{}]*\{questionnaire\}[^{}]*$")


class Link(Table):
    """A link of a card; `smart` takes its place where the client can launch a SMART app."""

    label: Text
    url: str
    smart: SmartLink | None = None


class Resource(Table):
    """A resource that a suggestion creates, with what the action does."""

    action: Text
    body: Json


class Coding(Table):
    system: str
    code: str


class NamedCode(Coding):
    """A code with the words that a card uses for it; nothing that Markdown or HTML would read."""

    display: Annotated[str, Field(pattern=r"^[^\n<>\[\]`*_|\\]{1,100}$")]


class OrderCard(Card):
    """The card about orders that `when` calls for: by the class of the advice, "calm" where that is neither.

    But for a calm one the disposition's paragraphs follow after the first, then the others; suggestions, links and
    indicator are the disposition's. {advice} in the summary stands for that of the most urgent finding.
    """

    row: str
    when: Literal["doctor", "incomplete", "calm"]
    summary: Text
    detail: tuple[Paragraph, ...] = Field(min_length=1)


class OrderCode(NamedCode):
    seen_in: str = Field(min_length=1)


class OrderKind(Table):
    """Orders and appointments that are judged alike. `elements` says where each resource type names what it is for.

    Without a `topic` its cards have that of the advice. `without_screening` is the class that counts while there is
    no response; empty: then only the form is offered, where the complaint is known.
    """

    topic: str = ""
    elements: dict[str, tuple[str, ...]] = Field(min_length=1)
    codes: tuple[OrderCode, ...] = Field(min_length=1)
    without_screening: Literal["", "incomplete"] = ""
    override_reasons: tuple[str, ...] = ()
    annotation: Text | None = None
    card: tuple[OrderCard, ...] = Field(min_length=1)


Orders = RootModel[dict[str, OrderKind]]


class Texts(Table):
    """What the cards of one screening share."""

    reason_code: str
    override_reasons: tuple[str, ...] = ()
    source: Text
    signed: Text
    unsigned: Text
    denied: Text
    closing: tuple[Paragraph, ...]
    text: dict[str, Text]
    link: dict[str, Link]
    resource: dict[str, Resource]
    known_by: tuple[Coding, ...]
    offer: Offer


class Words(Table):
    """Words that the cards and forms of every screening share; each of these names is needed."""

    who: Annotated[dict[str, Text], _exactly("Patient RelatedPerson Practitioner PractitionerRole unknown")]
    response: Annotated[dict[str, Text], _exactly("filled-in filled-in-status no-date answers superseded note")]
    doubt: Annotated[dict[str, Text], _exactly(DOUBTS)]
    form: Annotated[dict[str, Text], _exactly("notice emergency nobody-reads sent next-title next worse")]


class Service(Table):
    hook: str
    title: Text
    description: Text
    usage_requirements: Text
    prefetch: dict[str, str] = Field(min_length=1)


Services = RootModel[dict[str, Service]]


class SelfTest(Table):
    """One patient, and the disposition that the running service must give him: it tries that again and again.

    An answer is a code or a whole number.
    """

    expected: str
    answers: dict[str, str | int] = Field(min_length=1)


class Signed(Table):
    """The clinician who signed, and the hash of what was signed."""

    name: str
    role: str
    date: str
    hash: str
