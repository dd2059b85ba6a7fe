"""Which QuestionnaireResponse counts, and how far: its alarms, its "no" answers, both or neither."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import unquote

from cds_content.screening import Screening
from cds_service.answers import Answers, read_answers, with_birth_date
from cds_service.dates import calendar_span
from cds_service.resources import ID

AHEAD = timedelta(minutes=5)  # how far a clock may run ahead of ours
UNFINISHED = ("in-progress", "stopped")
READ = ("completed", "amended", *UNFINISHED)


@dataclass(frozen=True)
class Reading:
    """One response as it counts. It was filled in between `earliest` and `latest`; both None when that is not known.

    `doubts` say why its "no" answers are not known; empty, they are. `alarms` is True when its alarms count; `hidden`
    when an alarm that would count may stand in it unread.
    """

    answers: Answers
    earliest: datetime | None = None
    latest: datetime | None = None
    status: str = "completed"
    who: str = "unknown"
    reference: str | None = None
    alarms: bool = True
    hidden: bool = False
    doubts: tuple[str, ...] = ()

    @property
    def days(self) -> str:
        """The day of filling in, or the first and last that it may have been; empty when not known."""
        return " – ".join(dict.fromkeys(str(moment.date()) for moment in (self.earliest, self.latest) if moment))


def belongs(response: Mapping[str, Any], screening: Screening) -> bool:
    """Whether the response is to our form, however misspelt, or does not say to which; another form does not count."""
    canonical, url = _canonical(response) or "", screening.questionnaire["url"]
    if canonical.partition("|")[0] == url:  # as in most: nothing is misspelt
        return True
    spelled, ours = _spelling(canonical), _spelling(url)
    return not spelled or spelled == ours or ours.endswith(f"/{spelled}")


def read_response(
    screening: Screening, response: Mapping[str, Any], named: bool, *, birth_date: Any, now: datetime
) -> Reading:
    """The response as it counts at `now`; `named` when its subject is the patient of the call."""
    status, own = response.get("status"), response.get("id")
    earliest, latest = _filled_in(response.get("authored"), now)
    unread = _unread(screening, response)
    answers = read_answers({} if unread else response, screening.questions, screening.displays)
    for question in screening.questions.values():
        if question.item.birth_date and birth_date is not None and not unread:
            answers = with_birth_date(answers, question, birth_date, (earliest or now).date(), (latest or now).date())
    history = latest is not None and now - latest > screening.alarming
    reasons = {
        "unfinished": status in UNFINISHED,
        "no-date": latest is None,
        "history": history,
        "too-old": not history and earliest is not None and now - earliest > screening.fresh,
        "no-subject": not named,
        "unknown-question": answers.stray,
    }
    return Reading(
        answers=answers,
        earliest=earliest,
        latest=latest,
        status="unknown" if unread else str(status),
        who=_who(response),
        reference=f"QuestionnaireResponse/{own}" if isinstance(own, str) and re.fullmatch(ID, own) else None,
        alarms=not unread and not history,
        hidden=not history and bool(unread or answers.stray or _unreadable(screening, answers)),
        doubts=(unread,) if unread else tuple(reason for reason, holds in reasons.items() if holds),
    )


def _unreadable(screening: Screening, answers: Answers) -> bool:
    """Whether a safety answer was given that cannot be read, or was given twice: one of both may not have been read."""
    return any(answers[name].doubt in ("unreadable", "contradictory") for name in screening.safety)


def _unread(screening: Screening, response: Mapping[str, Any]) -> str:
    """Why the answers are not read at all; empty when they are."""
    canonical = _canonical(response)
    named = {screening.questionnaire["url"], *(f"{screening.questionnaire['url']}|{v}" for v in screening.accepts)}
    if canonical not in named or response.keys() & {"modifierExtension", "implicitRules"}:
        return "unknown-version"
    return "" if response.get("status") in READ else "unknown-status"


def _canonical(response: Mapping[str, Any]) -> str | None:
    """The form that the response names; None when it names none that can be read."""
    value = response.get("questionnaire")
    return value if isinstance(value, str) and value.strip() and not value.startswith("#") else None


def _spelling(canonical: str) -> str:
    """A canonical without what a slip may change: version, fragment, query, scheme, port, case, blanks, slashes."""
    bare = re.split(r"[|#?;\s]|/_history", unquote(canonical.strip()).lower())[0].replace("_", "-")
    plain = re.sub(r"^https?:/+([^/:]*)(:\d+)?", r"\1", re.sub(r"[^a-z0-9/.:-]", "", bare))
    return re.sub(r"/+", "/", re.sub(r"(/\d[\d.]*|\.json|\.xml)$", "", plain)).strip("/")


_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)))?)?)?", re.ASCII
)


def _filled_in(authored: Any, now: datetime) -> tuple[datetime, datetime] | tuple[None, None]:
    """`authored` (FHIR dateTime) as first and last moment; unknown when absent, unreadable or ahead of `now`."""
    match = _DATE_TIME.fullmatch(authored) if isinstance(authored, str) else None
    try:
        earliest, latest = _range(match) if match else (None, None)
    except (ValueError, OverflowError):
        return None, None
    return (earliest, latest) if earliest and latest and earliest - now <= AHEAD else (None, None)


def _range(match: re.Match[str]) -> tuple[datetime, datetime]:
    year, month, day, time = match.groups()
    if time:
        return (moment := datetime.fromisoformat(match[0])), moment
    return calendar_span(year, month, day)


_PEOPLE = ("Patient", "RelatedPerson", "Practitioner", "PractitionerRole")


def _who(response: Mapping[str, Any]) -> str:
    """The kind of person who answered (`source`), else who recorded it (`author`); never a name."""
    for member in (response.get("source"), response.get("author")):
        reference = member.get("reference") if isinstance(member, dict) else None
        kinds = [part for part in reference.split("/")[:-1] if part in _PEOPLE] if isinstance(reference, str) else []
        if kinds:
            return kinds[-1]
    return "unknown"
