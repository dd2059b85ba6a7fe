"""What each statement of statements.toml means in formulas, for any screening.

A claim is about what no patient may show, or about what some patient must. Each function gives the claims of one
statement; together these cover it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import z3

from cds_content.screening import Question, Screening
from cds_content.wording import MAX_SUMMARY
from cds_proof import relations
from cds_proof.advised import Advised, advised, holds
from cds_proof.patients import Patient, Said, patient


@dataclass(frozen=True)
class Claim:
    """`shows` must hold of no patient there can be; or, where `wanted`, of at least one. `about` names a part."""

    about: str
    patients: tuple[Patient, ...]
    shows: z3.BoolRef
    wanted: bool = False


CARDS = ("doctor", "incomplete", "conservative")  # the classes of advice that have a card, and at most one each
Claims = Callable[[Screening], Iterator[Claim]]


def alarming(question: Question) -> list[str]:
    """The answers of a safety question that are neither safe nor "not known"."""
    item = question.item
    return [code for code in question.options if item.safety and code not in item.safe | item.not_known]


def _alarm(screening: Screening) -> Iterator[Claim]:
    """For each statement of the patient sheet the answers of which one is enough, and for the others their rows."""
    one, given = _advised(screening)
    calm = z3.Not(_is_doctor(screening, given))
    for about, links in _enough(screening).items():
        codes = [one.answers[link].codes[code] for link in links for code in alarming(screening.questions[link])]
        yield Claim(about, (one,), z3.And(one.alarms, z3.Or(*codes), calm))
    for finding in screening.findings:
        if finding.when and finding.when.all_ and screening.class_of(finding) == "doctor":
            about = ", ".join([*finding.basis, finding.row])
            yield Claim(about, (one,), z3.And(one.alarms, holds(finding.when, one), calm))


def _enough(screening: Screening) -> Mapping[str, list[str]]:
    """The questions of which one alarming answer is enough, by statement; and all that no statement has so."""
    about: dict[str, list[str]] = {}
    for one in screening.findings:
        parts = (one.when.any_ or (one.when,)) if one.when and screening.class_of(one) == "doctor" else ()
        for statement in one.basis:
            about.setdefault(statement, []).extend(part.answer for part in parts)
    asked = [link for link, question in screening.questions.items() if alarming(question)]
    named = {statement: [link for link in asked if link in links] for statement, links in about.items()}
    beyond = [link for link in asked if not any(link in links for links in named.values())]
    by_number = sorted(named.items(), key=lambda pair: int(pair[0][1:]))
    return {statement: links for statement, links in [*by_number, ("beyond the sheet", beyond)] if links}


def _rows(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    for finding in screening.findings:
        if finding.when and screening.class_of(finding) == "doctor":
            less = given.urgency > screening.urgency(finding)
            yield Claim(finding.row, (one,), z3.And(one.alarms, holds(finding.when, one), less))


def _unknown(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    for link, said in one.answers.items():
        if said.question.item.safety:
            yield Claim(link, (one,), z3.And(said.doubt, _below_incomplete(screening, given)))


def _response(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    yield Claim("", (one,), z3.And(one.doubted, _below_incomplete(screening, given)))


def _monotone(screening: Screening) -> Iterator[Claim]:
    yield _lower(screening, "", lambda one, other: relations.more_alarming(screening, one, other))


def _added(screening: Screening) -> Iterator[Claim]:
    """An alarm stands whatever comes beside it; where there is none, a good answer that is spoilt never lowers."""
    claim = _lower(screening, "an alarm", relations.more_reported)
    alarm = _is_doctor(screening, advised(screening, claim.patients[0]))
    yield replace(claim, shows=z3.And(claim.shows, alarm))
    yield _lower(screening, "a good answer", relations.spoilt)


def _lower(screening: Screening, about: str, rises: Callable[[Said, Said], z3.BoolRef]) -> Claim:
    """A less urgent advice, with all answers risen at once: so what holds for several holds for each."""
    (one, first), (other, second) = _advised(screening), _advised(screening, "other")
    risen = [rises(one.answers[link], other.answers[link]) for link in one.answers]
    lower = second.urgency > first.urgency
    return Claim(about, (one, other), z3.And(relations.as_counted(one, other), *risen, lower))


def _removed_safety(screening: Screening) -> Iterator[Claim]:
    (one, _), (other, given) = _advised(screening), _advised(screening, "other")
    for link, said in one.answers.items():
        if said.question.item.safety:
            yield Claim(link, (one, other), z3.And(_removed(one, other, link), _below_incomplete(screening, given)))


def _removed_course(screening: Screening) -> Iterator[Claim]:
    (one, first), (other, given) = _advised(screening), _advised(screening, "other")
    least = _places(screening, "conservative")[-1]
    for link, said in one.answers.items():
        if not said.question.item.safety:
            outside = z3.And(_is(screening, first, "none"), _is(screening, given, "none"))
            low = z3.And(given.urgency >= least, z3.Not(outside))
            yield Claim(link, (one, other), z3.And(_removed(one, other, link), low))


def _removed(one: Patient, other: Patient, link: str) -> z3.BoolRef:
    """A consistent response of a patient, and the same without this answer, or with it damaged."""
    left = relations.left_out_with(one, other, link)
    whole = z3.And(relations.consistent(one), relations.as_counted(one, other), z3.Not(one.doubted))
    return z3.And(whole, one.answers[link].given, relations.ruined(other.answers[link]), left)


def _self_care(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    least = given.urgency == _places(screening, "conservative")[-1]
    for link, said in one.answers.items():
        wanted = said.question.item.in_scope or said.question.item.safe
        others = [said.codes[code] for code in said.codes if code not in wanted]
        unsafe = z3.Or(said.doubt, z3.And(said.asked, z3.Not(said.given)), *others)
        yield Claim(link, (one,), z3.And(least, unsafe))


def _exactly_one(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    yield Claim("none", (one,), given.urgency == len(screening.dispositions))
    computed = [given.fired[finding.row] for finding in screening.findings if finding.computed]
    yield Claim("two", (one,), z3.Or(*(z3.And(*pair) for pair in combinations(computed, 2))))


def _cards(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    shown = {name: given.classes.get(name, z3.BoolVal(False)) for name in CARDS}
    least = list(screening.dispositions)[_places(screening, "conservative")[-1]]
    calm = z3.Or(*(given.fired[finding.row] for finding in screening.findings if finding.advice == least))
    yield Claim("first", (one,), z3.And(shown["doctor"], z3.Not(_is_doctor(screening, given))))
    yield Claim("beside", (one,), z3.And(calm, z3.Or(shown["incomplete"], shown["doctor"])))
    yield Claim("no card", (one,), z3.Or(*shown.values()) == _is(screening, given, "none"))


def _summaries(screening: Screening) -> Iterator[Claim]:
    for finding in screening.findings:
        long = any(len(text) > MAX_SUMMARY for text in (finding.summary or finding.reason).values())
        yield Claim(finding.row, (), z3.BoolVal(long))


def _reachable(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    for place, name in enumerate(screening.dispositions):
        wanted = z3.And(given.urgency == place, relations.consistent(one), z3.Not(one.doubted))
        allowed = wanted if screening.dispositions[name].class_ != "incomplete" else given.urgency == place
        yield Claim(name, (one,), allowed, wanted=True)


def _counts(screening: Screening) -> Iterator[Claim]:
    one, given = _advised(screening)
    for finding in screening.findings:
        if finding.when and not finding.explains:
            other = advised(screening, one, without=finding.row)
            yield Claim(finding.row, (one,), given.urgency != other.urgency, wanted=True)


def _advised(screening: Screening, name: str = "one") -> tuple[Patient, Advised]:
    one = patient(screening, name)
    return one, advised(screening, one)


def _places(screening: Screening, class_: str) -> list[int]:
    return [place for place, one in enumerate(screening.dispositions.values()) if one.class_ == class_]


def _is(screening: Screening, given: Advised, class_: str) -> z3.BoolRef:
    return z3.Or(*(given.urgency == place for place in _places(screening, class_)))


def _is_doctor(screening: Screening, given: Advised) -> z3.BoolRef:
    return _is(screening, given, "doctor")


def _below_incomplete(screening: Screening, given: Advised) -> z3.BoolRef:
    return given.urgency > max(_places(screening, "incomplete"))


CLAIMS: Mapping[str, Claims] = {
    "alarm": _alarm,
    "rows": _rows,
    "unknown": _unknown,
    "response": _response,
    "monotone": _monotone,
    "added": _added,
    "removed-safety": _removed_safety,
    "removed-course": _removed_course,
    "self-care": _self_care,
    "exactly-one": _exactly_one,
    "cards": _cards,
    "summaries": _summaries,
    "reachable": _reachable,
    "counts": _counts,
}
