"""The same rows as `rows`, faster: what the core made of the parts of a response is remembered by their exact bytes.

What is done, and why it is the same:
- Items recur: a form of twenty questions has some hundred different ones. The core reads each once (`read_answers` of a
  response with this item alone). An answer rests on the items with its linkId and, where it is a follow-up, on those of
  its parents: questions that are tied so are read together, once for each mixture of their items.
- What `decide` can see of an answer is a number of bits (`marks`). The bits of all answers, with form, status and
  freshness, are the key of the outcome; and where that is new, the findings that are true by them and the other bits.
  What has no outcome yet goes through the core, which is given the items as they were read the first time.
- Freshness only changes from one moment to another: where the first and the last moment of a day (an hour, a minute)
  count alike, so does all between.
- Duplicate keys and blanks: with neither, a line is exactly as long as its members. Any other line, and whatever else
  is out of the ordinary, goes through the whole core.

Where: items and what is tied in `items`, freshness in `moments`, bits in `marks`, all that is kept in `memory`.
"""

import re
from collections.abc import Callable, Sequence
from sys import intern
from typing import Any, Literal

import msgspec

from cds_service import strict_json
from cds_service.errors import BadRequest
from cds_service.population.items import cut_items, learnt, tied, whole_items, with_age
from cds_service.population.memory import LONGEST, MOST_ITEMS, Memory, forget_full, keep
from cds_service.population.moments import moment_of
from cds_service.population.rows import Judge, Outcome, Row, outcome, row
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
    item: msgspec.Raw
    source: msgspec.Raw = _NOTHING
    author: msgspec.Raw = _NOTHING
    meta: msgspec.Raw = _NOTHING
    encounter: msgspec.Raw = _NOTHING


_OPTIONAL = tuple(len(f',"{name}":') for name in ("source", "author", "meta", "encounter"))
_AROUND = len('{"resourceType":"","id":"","questionnaire":"","status":"","subject":,"authored":"","item":}')


def remembering(judge: Judge) -> Callable[[int, bytes], Row]:
    """A function (number, line) → row that says what `rows.row` says."""
    memory, decode = Memory(judge), msgspec.json.Decoder(_Response).decode

    def remembered(number: int, line: bytes) -> Row:
        forget_full(memory)
        try:
            found = _ordinary(memory, decode(line), number, line) if len(line) <= LONGEST else None
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = None
        return found or row(judge, number, line)

    return remembered


def _ordinary(memory: Memory, response: _Response, number: int, line: bytes) -> Row | None:
    """The row of an ordinary response; None for any other."""
    contents = cut_items(response.item)
    try:
        total = sum(map(memory.items.__getitem__, contents))
    except KeyError:
        contents = whole_items(response.item)
        total = sum(_number(memory, one) for one in contents)
    named = _REFERENCE.fullmatch(response.subject)
    if (
        total & memory.twice
        or not 0 < len(contents) <= MOST_ITEMS
        or not named
        or not _is_whole(memory, response, line)
        or not _ID.fullmatch(response.id)
    ):
        return None
    moment = moment_of(memory, response.authored)
    if not moment:
        return None
    born = memory.judge.born(named[2].decode())
    if born is not None:
        total = with_age(memory, contents, total, born, moment)
        if not total:
            return None
    key = (response.questionnaire, response.status, moment[0], total)
    found = memory.quick.get(key)
    if found is None:
        found = _outcome(memory, contents, key, lambda: _judged(memory, response, named[1].decode(), contents))
    return Row(number, response.id, named[1].decode(), response.authored, found)


def _number(memory: Memory, content: bytes) -> int:
    known = memory.items.get(content)
    return learnt(memory, content) if known is None else known


def _outcome(memory: Memory, contents: Sequence[bytes], quick: Any, whole: Callable[[], Outcome]) -> Outcome:
    """The outcome for bits that are new: that of others for which the same findings are true, else from the core."""
    questionnaire, status, way, total = quick
    form = (intern(questionnaire), intern(status), way)  # each kept once
    bits = total >> memory.shift | (memory.marks.stray if total & memory.stray else 0)
    for at, absent in memory.absent:
        bits |= 0 if total & at else absent
    bits = bits & (memory.marks.first_free - 1) | tied(memory, contents, bits // memory.marks.first_free)
    key = (*form, memory.marks.reduced(bits))
    found = memory.outcomes.get(key)
    if found is None:
        found = whole()
        keep(memory.outcomes, key, found)
    keep(memory.quick, (*form, total), found)
    return found


def _judged(memory: Memory, response: _Response, reference: str, contents: Sequence[bytes]) -> Outcome:
    """From the core, which is given what it reads of an ordinary response."""
    given = {
        "resourceType": response.resource_type,
        "questionnaire": response.questionnaire,
        "status": response.status,
        "subject": {"reference": reference},
        "authored": response.authored,
        "item": [memory.parsed[one] for one in contents],
    }
    return outcome(memory.judge, given, reference)


def _is_whole(memory: Memory, response: _Response, line: bytes) -> bool:
    """Whether the line holds nothing but these members, once each, without blanks; and those not used are sound."""
    size = _AROUND + len(response.resource_type) + len(response.id) + len(response.questionnaire) + len(response.status)
    size += len(response.subject) + len(response.authored) + len(response.item)
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
    keep(memory.sound, content, True)
    return True
