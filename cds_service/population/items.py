"""What the core reads of one item, remembered by its bytes; and of items whose questions are tied, together."""

from collections.abc import Iterator, Sequence
from typing import Any

from cds_service import strict_json
from cds_service.answers import Answer, Answers, read_answers, with_birth_date
from cds_service.errors import BadRequest
from cds_service.population.memory import Memory, Moment, keep

ODD = 1  # the item of which nothing is remembered: its bit is taken from the start
BYTES_EACH = 20  # that an item or answer has at least: so a line holds no more than the core reads of one response


def learnt(memory: Memory, content: bytes) -> int:
    """What the core reads of one item, remembered from now on."""
    screening = memory.judge.screening
    try:
        item = strict_json.read(b'{"item":[%b]}' % content)
    except BadRequest:
        return ODD
    if not _is_roomy(item, content):
        return ODD
    answers = read_answers(item, screening.questions, screening.displays)
    given = [name for name in screening.questions if _is_given(answers[name])]
    bits = memory.marks.stray if answers.stray else 0
    for name in given:
        tied = name in memory.ties
        bits |= _bit(memory, content) if tied else memory.marks.of(name, answers[name])
        if name in memory.aged:
            memory.stated[content] = answers[name]
    part = sum(memory.at[name] for name in given) | bits << memory.shift
    keep(memory, memory.items, content, part)
    return part


def tied(memory: Memory, contents: Sequence[bytes], mixture: int) -> int:
    """The bits of the questions that are tied, of which these items stand in the response."""
    bits = memory.tied.get(mixture)
    if bits is None:
        screening = memory.judge.screening
        standing = [one for one in contents if memory.items[one] & memory.ties_at]
        items = strict_json.read(b'{"item":[%b]}' % b",".join(standing))
        answers = read_answers(items, screening.questions, screening.displays)
        bits = 0
        for name in memory.ties:
            bits |= memory.marks.of(name, answers[name])
        keep(memory, memory.tied, mixture, bits)
    return bits


def with_age(memory: Memory, contents: list[bytes], both: int, born: Any, moment: Moment) -> int:
    """The bits of the answers with the age by the Patient's birth date; 0 for what is left to the whole core."""
    if len(memory.aged) != 1 or memory.aged[0] in memory.ties or not isinstance(born, str):
        return 0
    name = memory.aged[0]
    stated = next((memory.stated[one] for one in contents if one in memory.stated), memory.unsaid[name])
    key = (stated, born, moment[1], moment[2])
    age = memory.ages.get(key)
    if age is None:
        question = memory.judge.screening.questions[name]
        known = with_birth_date(Answers({name: stated}), question, born, moment[1], moment[2])
        age = memory.marks.of(name, known[name])
        keep(memory, memory.ages, key, age)
    return both & ~(memory.marks.regions[name] << memory.shift) | age << memory.shift | memory.at[name]


def _is_given(answer: Answer) -> bool:
    """Whether the item itself answers: not a follow-up that it only opens, whose answer stands in another item."""
    return answer.asked and answer.doubt != "missing"


def _is_roomy(item: Any, content: bytes) -> bool:
    """Whether each item and answer is an object, and so long that the core reads all of a line that is looked at."""
    return all(isinstance(one, dict) for one in _listed(item)) and len(content) >= BYTES_EACH * content.count(b"{")


def _listed(value: Any) -> Iterator[Any]:
    """Everything that stands in an array, however deep."""
    if isinstance(value, list):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _listed(inner)


def _bit(memory: Memory, content: bytes) -> int:
    return memory.kinds.setdefault(content, memory.marks.first_free << len(memory.kinds))
