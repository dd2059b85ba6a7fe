"""What the core reads of one item, remembered by its bytes; and of items whose questions are tied, together.

Items are cut apart where the next one begins, which is faster than to read them. What is cut out is an item only when
it is JSON by itself, as `learnt` finds out; what is not is never remembered, and `whole_items` reads it.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from cds_service import strict_json
from cds_service.answers import Answer, Answers, read_answers, with_birth_date
from cds_service.errors import BadRequest
from cds_service.population.memory import ODD, STRAY, Memory, Moment, keep

BYTES_EACH = 20  # that an item or answer has at least: so a line holds no more than the core reads of one response
_BEGIN = b'{"linkId"'  # which is left out of what is remembered
_FIRST, _NEXT = b"[%b" % _BEGIN, b",%b" % _BEGIN
_read_list = msgspec.json.Decoder(list[msgspec.Raw]).decode


def cut_items(items: msgspec.Raw) -> list[bytes]:
    """The items of an array, from what follows their `{"linkId"`; or parts of them, which nobody remembers."""
    text = bytes(items)
    return text[len(_FIRST) : -1].split(_NEXT) if text.startswith(_FIRST) else [text]


def whole_items(items: msgspec.Raw) -> list[bytes]:
    """The items of an array, from what follows their `{"linkId"` or whole. Raises msgspec.DecodeError for no array."""
    return [bytes(one).removeprefix(_BEGIN) for one in _read_list(items)]


def learnt(memory: Memory, content: bytes) -> int:
    """What the core reads of one item, remembered from now on."""
    screening, text = memory.judge.screening, content if content.startswith(b"{") else _BEGIN + content
    try:
        item = strict_json.read(text)
    except BadRequest:
        return ODD
    if not _is_roomy(item, text):
        return ODD
    answers = read_answers({"item": [item]}, screening.questions, screening.displays)
    given = [name for name in screening.questions if _is_given(answers[name])]
    bits = 0
    for name in given:
        bits |= _bit(memory, content) if name in memory.ties else memory.marks.of(name, answers[name])
        if name in memory.aged:
            memory.stated[content] = answers[name]
    answered = sum(memory.at[name] for name in given) + (STRAY if answers.stray else 0)
    memory.parsed[content] = item
    memory.items[content] = part = answered + (bits << memory.shift)
    return part


def tied(memory: Memory, contents: Sequence[bytes], mixture: int) -> int:
    """The bits of the questions that are tied, of which these items stand in the response."""
    bits = memory.tied.get(mixture)
    if bits is None:
        screening = memory.judge.screening
        standing = [memory.parsed[one] for one in contents if memory.items[one] & memory.ties_at]
        answers = read_answers({"item": standing}, screening.questions, screening.displays)
        bits = 0
        for name in memory.ties:
            bits |= memory.marks.of(name, answers[name])
        keep(memory.tied, mixture, bits)
    return bits


def with_age(memory: Memory, contents: list[bytes], total: int, born: Any, moment: Moment) -> int:
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
        keep(memory.ages, key, age)
    return total & ~(memory.marks.regions[name] << memory.shift) | age << memory.shift | memory.at[name]


def _is_given(answer: Answer) -> bool:
    """Whether the item itself answers: not a follow-up that it only opens, whose answer stands in another item."""
    return answer.asked and answer.doubt != "missing"


def _is_roomy(item: Any, content: bytes) -> bool:
    """Whether each item and answer is an object, and so long that the core reads all of a line that is looked at."""
    return all(isinstance(one, dict) for one in _listed([item])) and len(content) >= BYTES_EACH * content.count(b"{")


def _listed(value: Any) -> Iterator[Any]:
    """Everything that stands in an array, however deep."""
    if isinstance(value, list):
        yield from value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _listed(inner)


def _bit(memory: Memory, content: bytes) -> int:
    return memory.kinds.setdefault(content, memory.marks.first_free << len(memory.kinds))
