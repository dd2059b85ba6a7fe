"""The same rows as `rows`, faster: what the core made of the parts of a response is remembered by their exact bytes.

What is done, and why it is the same:
- Items recur: a form of twenty questions has some hundred different ones. The core reads each once (`read_answers` of a
  response with this item alone). An answer rests on the items with its linkId and, where it is a follow-up, on those of
  its parents: questions that are tied so are read together, once for each mixture of their items.
- What `decide` can see of an answer is a number of bits (`marks`). The bits of all answers, with form, status and
  freshness, are the key of the outcome; and where that is new, the findings that are true by them and the other bits.
  What has no outcome yet goes through the whole core.
- Freshness only changes from one moment to another: where the first and the last moment of a day (an hour, a minute)
  count alike, so does all between.
- Duplicate keys and blanks: with neither, a line is exactly as long as its parts. Any other line, and whatever else is
  out of the ordinary, goes through the whole core.

Where: items and what is tied in `items`, freshness in `moments`, bits in `marks`, all that is kept in `memory`.
"""

import re
from collections.abc import Callable, Sequence
from functools import reduce
from operator import or_
from typing import Any, Literal

import msgspec

from cds_service import strict_json
from cds_service.errors import BadRequest
from cds_service.population.items import learnt, tied, with_age
from cds_service.population.memory import LONGEST, Memory, forget, keep
from cds_service.population.moments import moment_of
from cds_service.population.rows import Judge, Outcome, Row, row
from cds_service.resources import ID

_NOTHING = msgspec.Raw(b"")
_REFERENCE = re.compile(
    rb'\{"reference":"((?:https?://[A-Za-z0-9.:_-]+(?:/[A-Za-z0-9._-]+)*/)?Patient/(%b))"\}' % ID.encode()
)
_META = re.compile(rb'\{(?:"versionId":"[A-Za-z0-9.-]{1,64}",)?"lastUpdated":"[0-9TZ:.+-]{4,40}"\}')

_ID = re.compile(ID)


class _Response(msgspec.Struct, forbid_unknown_fields=True, rename="camel", gc=False):
    """The members of an ordinary response; one with another member is out of the ordinary."""

    resource_type: Literal["QuestionnaireResponse"]
    id: str
    questionnaire: str
    status: str
    subject: msgspec.Raw
    authored: str
    item: list[msgspec.Raw]
    source: msgspec.Raw = _NOTHING
    author: msgspec.Raw = _NOTHING
    meta: msgspec.Raw = _NOTHING
    encounter: msgspec.Raw = _NOTHING


_OPTIONAL = tuple(len(f',"{name}":') for name in ("source", "author", "meta", "encounter"))
_AROUND = len('{"resourceType":"","id":"","questionnaire":"","status":"","subject":,"authored":"","item":[]}')


def remembering(judge: Judge) -> Callable[[int, bytes], Row]:
    """A function (number, line) → row that says what `rows.row` says."""
    memory, decode = Memory(judge), msgspec.json.Decoder(_Response).decode

    def remembered(number: int, line: bytes) -> Row:
        if memory.full:
            forget(memory)
        try:
            response = decode(line) if len(line) <= LONGEST else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            response = None
        return (response and _ordinary(memory, response, number, line)) or row(judge, number, line)

    return remembered


def _ordinary(memory: Memory, response: _Response, number: int, line: bytes) -> Row | None:
    """The row of an ordinary response; None for any other."""
    contents = list(map(bytes, response.item))
    parts: list[Any] = [*map(memory.items.get, contents), 1]
    if None in parts:
        parts = [*(memory.items.get(one) or learnt(memory, one) for one in contents), 1]
    both = reduce(or_, parts)  # together they are a sum where none has a question of another
    if (both ^ sum(parts)) & memory.low:
        return None
    named = _REFERENCE.fullmatch(response.subject)
    if (
        not contents
        or not named
        or not _is_whole(memory, response, sum(map(len, contents)), line)
        or not _ID.fullmatch(response.id)
    ):
        return None
    moment = moment_of(memory, response.authored)
    if not moment:
        return None
    born = memory.judge.born(named[2].decode())
    if born is not None:
        both = with_age(memory, contents, both, born, moment)
        if not both:
            return None
    key = (response.questionnaire, response.status, moment[0], both)
    outcome = memory.quick.get(key)
    if outcome is None:
        outcome = _outcome(memory, contents, key, lambda: row(memory.judge, number, line).outcome)
    return Row(number, response.id, named[1].decode(), response.authored, outcome)


def _outcome(memory: Memory, contents: Sequence[bytes], quick: Any, whole: Callable[[], Outcome]) -> Outcome:
    """The outcome for bits that are new: that of others for which the same findings are true, else from the core."""
    *form, both = quick
    bits = both >> memory.shift
    for at, absent in memory.absent:
        bits |= 0 if both & at else absent
    bits = bits & (memory.marks.first_free - 1) | tied(memory, contents, bits // memory.marks.first_free)
    key = (*form, memory.marks.reduced(bits))
    outcome = memory.outcomes.get(key)
    if outcome is None:
        outcome = whole()
        keep(memory, memory.outcomes, key, outcome)
    keep(memory, memory.quick, quick, outcome)
    return outcome


def _is_whole(memory: Memory, response: _Response, size: int, line: bytes) -> bool:
    """Whether the line holds nothing but these members, once each, without blanks; and those not used are sound."""
    size += _AROUND + len(response.item) - 1 + len(response.resource_type) + len(response.id)
    size += len(response.questionnaire) + len(response.status) + len(response.subject) + len(response.authored)
    for around, raw in zip(
        _OPTIONAL, (response.source, response.author, response.meta, response.encounter), strict=True
    ):
        if raw is not _NOTHING:
            size += around + len(raw)
            if raw != response.subject and not _is_sound(memory, bytes(raw)):
                return False
    return size == len(line)


def _is_sound(memory: Memory, content: bytes) -> bool:
    if content in memory.sound or _REFERENCE.fullmatch(content) or _META.fullmatch(content):
        return True
    try:
        strict_json.read(b"[%b]" % content)
    except BadRequest:
        return False
    keep(memory, memory.sound, content, True)
    return True
