"""What a check says of each thing that it looked at, and what follows for its row.

Nothing that was not looked at passes: a row of which nothing was seen, or a part could not be, is "not checked".
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from cds_service.conformance.seen import Seen

_LONGEST = 500  # characters of one line


class Level(StrEnum):
    """What a broken row means: a failure, or a warning."""

    MUST = "MUST"
    SHOULD = "SHOULD"


class State(StrEnum):
    """How a row ended."""

    PASS = "pass"  # noqa: S105 - the word of a report
    FAIL = "fail"
    WARN = "warn"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Look:
    """One thing that was looked at: right, unless it says what is wrong, or why that is unknown."""

    place: str
    wrong: str = ""
    unknown: str = ""


@dataclass(frozen=True)
class Check:
    """A row of the table; `what` completes "The service …", `needs` says without what nothing is seen."""

    row: str
    section: str
    level: Level
    what: str
    look: Callable[[Seen], Iterable[Look]]
    needs: str = "no answer to look at"


@dataclass(frozen=True)
class Result:
    """How a row ended, and why: a line for each place that is wrong or unknown."""

    check: Check
    state: State
    says: tuple[str, ...] = ()


def judged(check: Check, seen: Seen) -> Result:
    """What is wrong comes before what is unknown, and that before what is right."""
    looks = list(check.look(seen))
    if wrong := _lines((look.place, look.wrong) for look in looks):
        return Result(check, State.FAIL if check.level is Level.MUST else State.WARN, wrong)
    if unknown := _lines((look.place, look.unknown) for look in looks):
        return Result(check, State.NOT_CHECKED, unknown)
    return Result(check, State.PASS) if looks else Result(check, State.NOT_CHECKED, (check.needs,))


def _lines(said: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_plain(f"{place}: {text}") for place, text in said if text))


def _plain(line: str) -> str:
    """The line without what a terminal or XML would obey: places hold ids as the service wrote them."""
    kept = line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
    return "".join(letter if letter.isprintable() else "?" for letter in kept)
