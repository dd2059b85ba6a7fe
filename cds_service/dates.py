"""Dates and times of FHIR, exact or partial, as the first and last moment that they may mean.

Source: HL7 FHIR R4, data types date, dateTime and instant, and search parameters of type date.
"""

import re
from datetime import UTC, datetime, timedelta

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d:\d\d)(?::(\d\d)(\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?", re.ASCII
)

Span = tuple[datetime, datetime]


def span(text: str) -> Span | None:
    """The first and the last moment of a date, dateTime or instant; None when it is none.

    Where no zone is said, it is read as UTC. A time may lack its seconds, as in search parameters.
    """
    match = _DATE_TIME.fullmatch(text)
    try:
        return _moments(match) if match else None
    except (ValueError, OverflowError):
        return None


def instant(moment: datetime) -> str:
    """The moment as FHIR writes it, to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def calendar_span(year: str, month: str | None, day: str | None) -> Span:
    """The first and the last moment, in UTC, of a year, month or day. Raises ValueError for one that there is not."""
    first = datetime(int(year), int(month or 1), int(day or 1), tzinfo=UTC)
    rough = timedelta(days=1 if day else 31 if month else 366)
    after = first + rough if day else (first + rough).replace(day=1)
    return first, after - timedelta(microseconds=1)


def _moments(match: re.Match[str]) -> Span:
    year, month, day, minute, second, fraction, zone = match.groups()
    if minute is None:
        return calendar_span(year, month, day)
    seconds = f"{second or '00'}{(fraction or '')[:7]}"
    said = datetime.fromisoformat(f"{match[0][:10]}T{minute}:{seconds}{zone or 'Z'}").astimezone(UTC)
    after = said + (timedelta(seconds=1) if second else timedelta(minutes=1))
    return said, (said if fraction else after - timedelta(microseconds=1))
