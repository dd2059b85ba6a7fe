"""A second opinion on one response: the decision table written once more, and walked from top to bottom.

It shares nothing with the service but the sources: the table and the items of the clinical specification, the published
form, the decisions. Where the two differ on one response, one of them is wrong, or the sources are not clear.
"""

import json
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.second_opinion_reading import NO_RESPONSE, REFUSED, read

HERE = Path(__file__).parent
URGENCY = (
    "emergency-now",
    "doctor-same-day",
    "doctor-soon",
    "doctor-advice",
    "incomplete",
    "physio-or-doctor",
    "self-care",
    "not-applicable",
)

Cells = dict[str, frozenset[str]]


@dataclass(frozen=True)
class Opinion:
    """The most urgent disposition, or why there is none; and every row that fires."""

    disposition: str
    rows: frozenset[str]


@dataclass(frozen=True)
class Line:
    """One line of the table: the answers that each of its cells holds."""

    row: str
    alone: bool
    cells: Cells


def opinion(response: dict[str, Any], birth_date: str | None, now: datetime) -> Opinion:
    """What the table says of the patient p1 who sent this; `birth_date` as in the record, None where there is none.

    "refused" for another patient's response, "no response" for another form's. Source: `clinical/decision_table.json`.
    """
    said = read(response, birth_date, now)
    if said in (REFUSED, NO_RESPONSE):
        return Opinion(str(said), frozenset())
    assert isinstance(said, dict)
    rows = _walked(said)
    return Opinion(min((DISPOSITIONS[row] for row in rows), key=URGENCY.index, default="incomplete"), frozenset(rows))


def shown(second: Opinion) -> Opinion:
    """What of it stands on cards: their topics in order, and the rows that are not suppressed; "" for no card.

    Source: the design, "Dispositions": one card for the doctor, one for what is incomplete, one for conservative care;
    a doctor's suppresses the conservative one, incomplete suppresses self-care, not-applicable has no card.
    """
    if second.disposition == REFUSED:
        return second
    doctors, rest = URGENCY[:4], URGENCY[4:-1]
    by_topic = {name: {row for row in second.rows if DISPOSITIONS[row] == name} for name in URGENCY}
    called = [name for name in doctors if by_topic[name]]
    cards = {called[0]: set[str]().union(*(by_topic[name] for name in called))} if called else {}
    for name in rest[:1] if called else rest:
        if by_topic[name]:
            cards[name] = by_topic[name]
    return Opinion(" ".join(cards), frozenset().union(*cards.values()))


def _walked(said: Cells) -> list[str]:
    """The rows that fire, in the order of the table."""
    rows: list[str] = []
    for line in LINES:
        if line.alone:
            fires = not rows and all(said[name] <= cell for name, cell in line.cells.items())
        else:
            fires = all(said[name] & cell for name, cell in line.cells.items())
        if fires:
            rows.append(line.row)
    return rows


def _line(written: dict[str, Any]) -> Line:
    cells = {name: _cell(name, held) for name, held in written.items() if name not in ("row", "alone")}
    return Line(written["row"], written.get("alone", False), cells)


def _cell(name: str, held: str) -> frozenset[str]:
    if name != "age" or not held[0].isdigit():
        return frozenset(held.split())
    low, high = held.split("-")
    return frozenset(str(years) for years in range(int(low), int(high) + 1))


LINES = tuple(map(_line, tomllib.loads((HERE / "second_opinion.toml").read_text("utf-8"))["line"]))
_TABLE = json.loads((HERE / "clinical/decision_table.json").read_text("utf-8"))
DISPOSITIONS = {row["id"]: row["disposition"] for row in _TABLE}
