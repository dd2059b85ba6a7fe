"""Dates and ages as the second opinion reads them, from the regular expressions of FHIR and decision 0004."""

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

NOT_KNOWN = frozenset("?")
_DAY = r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?"
_TIME = r"(\d\d):(\d\d):(\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)"


def moments(written: object) -> tuple[datetime, datetime] | None:
    """The first and the last moment that a FHIR dateTime may mean; None where it is none."""
    if not isinstance(written, str):
        return None
    day, separator, clock = written.partition("T")
    days = _days(day)
    if days is None or (separator and days[0] != days[1]):
        return None
    if separator:
        exact = _moment(days[0], clock)
        return None if exact is None else (exact, exact)
    return datetime.combine(days[0], time.min, UTC), datetime.combine(days[1], time.max, UTC)


def days_of_filling_in(authored: object, now: datetime) -> tuple[date, date]:
    """The first and the last day on which the form may have been filled in; today where that is not known."""
    span, today = moments(authored), now.date()
    if span is None or span[0] > now + timedelta(minutes=5):
        return today, today
    return _days(str(authored)[:10]) or (today, today)  # by the writer's clock


def age_at(item: frozenset[str], birth_date: str | None, filled_in: tuple[date, date]) -> frozenset[str]:
    """Every age in whole years that the patient may have, from the record and the item; "-" and "?" as elsewhere.

    A birth date that is unreadable, or gives no age from 0 to 120 on any day of filling in, makes the age not known,
    as damage does elsewhere; what the item says stands beside it.
    """
    if birth_date is None:
        return item
    born = _days(birth_date)
    if born is None or born[0] > filled_in[1] or _years(born[1], filled_in[0]) > 120:
        return item - {"-"} | NOT_KNOWN
    youngest, oldest = max(_years(born[1], filled_in[0]), 0), min(max(_years(born[0], filled_in[1]), 0), 120)
    told = [int(years) for years in item if years.isdigit()]
    far = [years for years in told if not youngest - 1 <= years <= oldest + 1]
    spread = range(min([youngest, *far]), max([oldest, *far]) + 1)
    return frozenset(map(str, spread)) | (NOT_KNOWN if far or "?" in item else frozenset())


def _days(written: str) -> tuple[date, date] | None:
    """The first and the last day of a FHIR date."""
    parts = re.fullmatch(_DAY, written, re.ASCII)
    if parts is None:
        return None
    year, month, day = parts.groups()
    try:
        first = date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return None
    last = first.replace(month=int(month or 12), day=1)
    return first, first if day else last.replace(day=monthrange(last.year, last.month)[1])


def _moment(day: date, clock: str) -> datetime | None:
    parts = re.fullmatch(_TIME, clock, re.ASCII)
    if parts is None:
        return None
    hours, minutes, seconds = (int(part) for part in parts.groups()[:3])
    ahead = _offset(parts[5])
    if hours > 23 or minutes > 59 or seconds > 59 or ahead is None:  # no leap second has been since 2016
        return None
    local = timedelta(hours=hours, minutes=minutes, seconds=seconds + float(parts[4] or 0))
    return datetime.combine(day, time.min, UTC) + local - ahead


def _offset(zone: str) -> timedelta | None:
    """How far the zone is ahead of UTC; at most 14 hours either way."""
    if zone == "Z":
        return timedelta()
    hours, minutes = int(zone[1:3]), int(zone[4:])
    offset = timedelta(hours=hours, minutes=minutes)
    if minutes > 59 or offset > timedelta(hours=14):
        return None
    return -offset if zone[0] == "-" else offset


def _years(born: date, day: date) -> int:
    """Whole years completed on that day; who was born on 29 February completes one on 1 March."""
    return day.year - born.year - ((day.month, day.day) < (born.month, born.day))
