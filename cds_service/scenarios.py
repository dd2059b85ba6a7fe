"""The scenario library: made-up patients, what is asked about them, and what must be answered; in examples/.

Each file examples/<screening>/<name>.json is one Scenario, complete in itself. Times stand in it as offsets from now:
{now-5h} and {now-9d} are moments, {date-7d} a day, {years-40-30d} the birth date of somebody who became 40 thirty days
ago, and {year-51-1d} a year alone. So a scenario means the same on any day.
"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from cds_content.files import PUBLISHED_BASE
from cds_content.screening import reversed_host
from cds_content.shapes import Json
from cds_service import strict_json

KINDS = ("start", "row", "trap")


@dataclass(frozen=True)
class Scenario:
    """One patient and one call.

    `kind` is "start" (no response yet), "row" (a row of the decision table) or "trap" (what must not be mistaken).
    `title` and `reason` are by language. `answers` is what one would click in the form: linkId → code, codes or number;
    empty where no form is filled in. `rows` fire, most urgent first; `cards` are the topics of the cards in their
    order. `response` is by language, without uuids, dates, versions and hashes.
    """

    name: str
    kind: str
    title: Mapping[str, str]
    reason: Mapping[str, str]
    service: str
    answers: Mapping[str, Any]
    rows: tuple[str, ...]
    cards: tuple[str, ...]
    status: int
    request: Json
    response: Mapping[str, Json]
    screening: str = ""  # the folder that it stands in


def scenarios(folder: Path) -> tuple[Scenario, ...]:
    """All scenarios below the folder: those without a response first, then by their rows, then the traps.

    Raises ValueError where a file is no scenario, or a name is there twice.
    """
    read = [_read(path) for path in sorted(folder.glob("*/*.json"))]
    if twice := {one.name for one in read if [other.name for other in read].count(one.name) > 1}:
        raise ValueError(f"{folder}: two scenarios are called {', '.join(sorted(twice))}; give each its own name")
    return tuple(sorted(read, key=lambda one: (one.screening, KINDS.index(one.kind), one.rows, one.name)))


def filled(scenario: Scenario, now: datetime, base: str) -> Json:
    """The request as it is sent at this moment to a service with this canonical base."""
    return filled_in(scenario.request, now, base)


def filled_in(value: Json, now: datetime, base: str) -> Json:
    """The same for any part of a scenario."""
    text = json.dumps(value, ensure_ascii=False).replace(PUBLISHED_BASE, base)
    text = text.replace(f"{reversed_host(PUBLISHED_BASE)}.", f"{reversed_host(base)}.")
    for pattern, meant in _OFFSETS.items():
        text = re.sub(pattern, _replacement(meant, now), text)
    result: Json = strict_json.read(text.encode())
    return result


def _read(path: Path) -> Scenario:
    try:
        told: Json = json.loads(path.read_text("utf-8"))
        lists: Json = {name: tuple(told.pop(name)) for name in ("rows", "cards")}
        one = Scenario(**told, **lists, screening=path.parent.name)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"{path}: is no scenario ({error}); write it as those beside it") from error
    if one.name != path.stem or not re.fullmatch("[a-z0-9-]{1,40}", one.name) or one.kind not in KINDS:
        raise ValueError(f"{path}: write the file's name as name: a-z, 0-9, hyphens; and a kind: {', '.join(KINDS)}")
    return one


def _replacement(meant: Callable[[re.Match[str], datetime], str], now: datetime) -> Callable[[re.Match[str]], str]:
    return lambda match: meant(match, now)


def _moment(match: re.Match[str], now: datetime) -> str:
    unit = {"h": timedelta(hours=1), "d": timedelta(days=1)}[match[2]]
    return (now + int(match[1]) * unit).isoformat(timespec="seconds")


def _date(match: re.Match[str], now: datetime) -> str:
    return (now + timedelta(days=int(match[1]))).date().isoformat()


def _birthday(match: re.Match[str], now: datetime) -> str:
    return years_before((now + timedelta(days=int(match[2] or 0))).date(), int(match[1])).isoformat()


def _year(match: re.Match[str], now: datetime) -> str:
    return str((now + timedelta(days=int(match[2] or 0))).year - int(match[1]))


def years_before(day: date, years: int) -> date:
    """The same day so many years earlier; 28 February where there was no 29th."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


_OFFSETS: dict[str, Callable[[re.Match[str], datetime], str]] = {
    r"\{date([+-]\d{1,5})d\}": _date,
    r"\{now([+-]\d{1,5})([hd])\}": _moment,
    r"\{years-(\d{1,3})(?:([+-]\d{1,5})d)?\}": _birthday,
    r"\{year-(\d{1,3})(?:([+-]\d{1,5})d)?\}": _year,
}
