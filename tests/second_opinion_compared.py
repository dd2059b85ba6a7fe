"""The service and the second opinion on the same answer sets: what each says of every one, and where they differ."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

from cds_content.screening import Screening
from cds_service.advice import NO_SCREENING, Advice, decide
from cds_service.clients import Client
from cds_service.details import Call
from cds_service.errors import BadRequest
from cds_service.hooks import read_request, templates
from cds_service.reply import Asked, reply
from cds_service.responses import read_response
from tests.layers import answer_sets
from tests.samples import born, call, patient
from tests.second_opinion import Opinion, opinion
from tests.second_opinion_reading import NO_RESPONSE, REFUSED

CHUNK = 25_000  # answer sets that are in memory at one time
_AGES = (0, 16, 17, 18, 40, 49, 50, 51, 64, 65, 66, 71, 120)
_UNREADABLE = ("", "1961-13-01", "1961-02-30", "61-02-03", "1850-01-01", "1961-05-05T00:00:00Z", "unknown")

Json = dict[str, Any]


@dataclass(frozen=True)
class Case:
    """A response, the birth date in the record, and what it was drawn for."""

    layer: str
    response: Json
    birth_date: str | None


@dataclass(frozen=True)
class Difference:
    """A case on which the two do not say the same."""

    case: Case
    service: Opinion
    second: Opinion

    def as_json(self) -> Json:
        """For people who look for the cause."""
        sides = {name: asdict(side) | {"rows": sorted(side.rows)} for name, side in self._sides()}
        return asdict(self.case) | sides

    def _sides(self) -> list[tuple[str, Opinion]]:
        return [("service", self.service), ("second opinion", self.second)]


@dataclass
class Tally:
    """How often the second opinion gave each disposition, and each row in each layer; and the differences."""

    dispositions: Counter[str] = field(default_factory=Counter)
    layers: Counter[str] = field(default_factory=Counter)
    fired: Counter[tuple[str, str]] = field(default_factory=Counter)
    differences: list[Difference] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Counts the other in."""
        self.dispositions += other.dispositions
        self.layers += other.layers
        self.fired += other.fired
        self.differences += other.differences


Service = Callable[[Screening, Case, datetime], Opinion]


def chunks(screening: Screening, count: int, seed: int) -> Iterator[list[Case]]:
    """`count` cases in chunks, each of another seed; the same arguments draw the same cases."""
    for number in range(-(-count // CHUNK)):
        sets = answer_sets(screening, min(CHUNK, count - number * CHUNK), seed * 1000 + number)
        draw = Random(f"{seed} {number}")  # noqa: S311 - patients for tests, no secrets
        yield [Case(one.layer, one.response, _birth_date(one.response, draw)) for one in sets]


def compared(
    screening: Screening,
    cases: Iterable[Case],
    service: Service | None = None,
    seen: Callable[[Opinion], Opinion] = lambda second: second,
) -> Tally:
    """Asks both about every case.

    `service` is how the service is asked: by its functions where none is given. `seen` is what an opinion shows there.
    """
    tally, ask = Tally(), service or advised
    for case in cases:
        now = datetime.now(UTC)
        said, second = ask(screening, case, now), seen(opinion(case.response, case.birth_date, now))
        tally.dispositions[second.disposition] += 1
        tally.layers[case.layer] += 1
        tally.fired.update((case.layer, row) for row in second.rows)
        if said != second:
            tally.differences.append(Difference(case, said, second))
    return tally


def advised(screening: Screening, case: Case, now: datetime) -> Opinion:
    """What the service decides: by its rules alone where the response says plainly whose it is and of which form."""
    sent = case.response
    if sent.get("questionnaire") == screening.canonical and sent.get("subject") == {"reference": "Patient/p1"}:
        return _of(decide(screening, [read_response(screening, sent, True, birth_date=case.birth_date, now=now)]))
    return replied(screening, case, now)


def replied(screening: Screening, case: Case, now: datetime) -> Opinion:
    """What the service decides of a whole call of the hook that waits for a chart to be opened."""
    service = next(one for one in screening.services.values() if one.hook == "patient-view")
    request = read_request(call(case.response, about=about(case)), [service.hook])
    to = Call("p1", "Practitioner/gp-1", None, "nl", now, screening.base, lambda: request.hook_instance)
    try:
        advice, _ = reply(Asked(screening, templates(screening, service), request, Client(), to))
    except BadRequest:
        return Opinion(REFUSED, frozenset())
    return Opinion(NO_RESPONSE, frozenset()) if advice is NO_SCREENING else _of(advice)


def about(case: Case) -> Json:
    """The Patient of a case."""
    return patient(None) | ({} if case.birth_date is None else {"birthDate": case.birth_date})


def _of(advice: Advice) -> Opinion:
    return Opinion(advice.disposition, frozenset(advice.rows))


def _birth_date(response: Json, draw: Random) -> str | None:
    """None for most; else one that agrees with the age item, or one near an age of the rules; whole, partial, bad."""
    kind = draw.choices(("none", "agrees", "any", "damaged"), (64, 20, 13, 3))[0]
    told = [one["answer"][0].get("valueInteger", 40) for one in response.get("item", []) if _is_age(one)]
    age = told[0] if told and kind == "agrees" and 0 <= told[0] <= 120 else draw.choice(_AGES)
    whole = born(age, draw.choice((-2, -1, 0, 1, 2, 30, 200)))
    damaged = draw.choice((*_UNREADABLE, born(0, -400), born(130)))
    return {"none": None, "damaged": damaged}.get(kind, whole[: draw.choice((10, 10, 7, 4))])


def _is_age(item: Json) -> bool:
    return item.get("linkId") == "age" and bool(item.get("answer"))
