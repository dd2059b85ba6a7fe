"""What is to be seen of a form, in one language: its notice, and its questions in their order."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cds_content.screening import Question, Screening
from cds_content.shapes import Json
from cds_content.translations import texts

_CONTROL = "http://hl7.org/fhir/StructureDefinition/questionnaire-itemControl"


@dataclass(frozen=True)
class Option:
    code: str
    text: str
    exclusive: bool


@dataclass(frozen=True)
class Entry:
    """A question, or a text between questions (`kind` "text") or a title of a group ("title").

    A question is of the kind "one" of its options, "several" of them, or "number" from `low` to `high`. It is there
    only while one of the answers `shown_for` is given; without any, always.
    """

    link_id: str
    kind: str
    text: str
    help: tuple[str, ...] = ()
    options: tuple[Option, ...] = ()
    low: int = 0
    high: int = 0
    required: bool = False
    shown_for: Mapping[str, frozenset[str]] | None = None

    @property
    def asks(self) -> bool:
        return self.kind not in ("text", "title")

    @property
    def follows(self) -> str:
        """What `shown_for` says, for the script of the page: `parent=code parent=code`."""
        pairs = [f"{parent}={code}" for parent, codes in (self.shown_for or {}).items() for code in sorted(codes)]
        return " ".join(pairs)


@dataclass(frozen=True)
class Sheet:
    """A form in one language. `notice` is what stands before its first question: what to do instead in an emergency."""

    name: str
    title: str
    notice: tuple[str, ...]
    entries: tuple[Entry, ...]

    @property
    def questions(self) -> tuple[Entry, ...]:
        return tuple(entry for entry in self.entries if entry.asks)


def sheet(screening: Screening, language: str) -> Sheet:
    """The form of the screening in this language."""
    form = screening.questionnaire
    entries = list(_entries(screening, form, language))
    first = next((at for at, entry in enumerate(entries) if entry.asks), len(entries))
    notice = tuple(entry.text for entry in entries[:first] if entry.kind == "text")
    left = [entry for at, entry in enumerate(entries) if at >= first or entry.kind != "text"]
    return Sheet(screening.name, texts(form, "title", form["language"])[language], notice, tuple(left))


def _entries(screening: Screening, parent: Json, language: str) -> Iterator[Entry]:
    base = screening.questionnaire["language"]
    for item in parent.get("item", []):
        text = texts(item, "text", base).get(language, "")
        if item["linkId"] in screening.questions:
            yield _question(screening, item, text, language)
        elif not (_is_help(item) and parent.get("linkId") in screening.questions):
            yield Entry(item["linkId"], "title" if item["type"] == "group" else "text", text)
        yield from _entries(screening, item, language)


def _question(screening: Screening, item: Json, text: str, language: str) -> Entry:
    question, base = screening.questions[item["linkId"]], screening.questionnaire["language"]
    said = [texts(one, "text", base).get(language, "") for one in item.get("item", []) if _is_help(one)]
    options = [Option(code, words[language], code in question.exclusive) for code, words in question.options.items()]
    return Entry(
        link_id=question.link_id,
        kind=_kind(question),
        text=text,
        help=tuple(said),
        options=tuple(options),
        low=question.low,
        high=question.high,
        required=item.get("required", False),
        shown_for=question.shown_for,
    )


def _kind(question: Question) -> str:
    if not question.options:
        return "number"
    return "several" if question.repeats else "one"


def _is_help(item: Json) -> bool:
    """Whether an item is the help of the question above it."""
    controls = [one for one in item.get("extension", []) if one["url"] == _CONTROL]
    codes = {code["code"] for one in controls for code in one["valueCodeableConcept"]["coding"]}
    return item["type"] == "display" and bool(codes & {"help", "flyover"})
