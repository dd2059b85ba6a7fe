"""How often each advice comes out for invented patients: a look at over-triage, not an estimate for any population.

Each question gets an answer that is not safe with the same chance, independently of the others; nothing is left out.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from random import Random

from cds_content.screening import Question, Screening
from cds_service.advice import decide
from cds_service.answers import Answer, Answers
from cds_service.responses import Reading

OFTEN = (0.0, 0.01, 0.03, 0.05, 0.1)  # the chance that an answer is not safe
COUNT = 2_000
_SEED = 20261123


def shares(screening: Screening, often: float, count: int = COUNT) -> Mapping[str, float]:
    """Disposition → its share of `count` patients, from 0 to 1; the same for equal arguments."""
    found = Counter(decide(screening, [Reading(Answers(one))]).disposition for one in people(screening, often, count))
    return {name: found[name] / count for name in screening.dispositions}


def people(screening: Screening, often: float, count: int = COUNT) -> Iterator[dict[str, Answer]]:
    """The answers of `count` invented patients who all have the complaint."""
    draw = Random(f"{_SEED} {often}")  # noqa: S311 - patients for tests, no secrets
    for _ in range(count):
        said: dict[str, Answer] = {}
        for name, question in screening.questions.items():
            asked = all(said[above].codes & codes for above, codes in question.shown_for.items())
            said[name] = _answer(question, draw, often) if asked else Answer(asked=False)
        yield said


def _answer(question: Question, draw: Random, often: float) -> Answer:
    item = question.item
    if not question.options:
        age = draw.randint(20, 80)  # whole years
        return Answer(span=(age, age))
    safe = item.reassuring
    others = sorted(question.options.keys() - safe - item.not_known - item.out_of_scope)
    known = others if others and draw.random() < often else sorted(safe - item.not_known)
    return Answer(frozenset({draw.choice(known)}))
