"""How the moment of a response counts: remembered for the day, hour or minute in which all counts alike."""

import re

from cds_service.population.memory import Memory, Moment, keep
from cds_service.population.rows import MOMENT
from cds_service.responses import READ, read_response

_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,9})?(Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00))", re.ASCII
)
_SPANS = ((10, "T00:00:00", "T23:59:59.999999"), (13, ":00:00", ":59:59.999999"), (16, ":00", ":59.999999"))


def moment_of(memory: Memory, authored: str) -> Moment | None:
    """How `authored` counts; None when that is to be found out by the whole core."""
    time = _TIME.fullmatch(authored)
    if not time:
        return _counted(memory, authored, authored, authored) if MOMENT.fullmatch(authored) else None
    for end, first, last in _SPANS:
        start, zone = authored[:end], time[1]
        found = _counted(memory, f"{start}|{zone}", f"{start}{first}{zone}", f"{start}{last}{zone}")
        if found:
            return found
    return _counted(memory, authored, authored, authored)


def _counted(memory: Memory, key: str, first: str, last: str) -> Moment | None:
    """How all from the first to the last moment counts; None when the two differ."""
    try:
        return memory.moments[key]
    except KeyError:
        ends = [_at(memory, first), _at(memory, last)]
        found = ends[0] if ends[0] == ends[1] else None
        keep(memory.moments, key, found)
        return found


def _at(memory: Memory, authored: str) -> Moment:
    judge = memory.judge
    head = {"questionnaire": judge.screening.questionnaire["url"], "status": READ[0], "authored": authored}
    reading = read_response(judge.screening, head, True, birth_date=None, now=judge.now)
    first, last = ((moment or judge.now).date() for moment in (reading.earliest, reading.latest))
    way = (reading.doubts, reading.alarms, reading.earliest is None)
    return memory.ways.setdefault(way, len(memory.ways)), first, last
