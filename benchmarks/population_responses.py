"""A population to measure with: any number of responses as NDJSON, the same for the same seed.

Most have no alarm, as in a practice; each answer that is no safe one is drawn now and then, so that every disposition
and many mixtures of rows occur. Of a thousand lines some are no responses: cut short, of another form, withdrawn.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

from cds_content.screening import Question, Screening

ALARM = 0.02  # of the answers to a safety question are not safe: of 14 questions, in a quarter of the responses
MISSING = 0.003  # of the questions have no answer
ODD = 0.002  # of the lines are no response, or none that is read
_AT_ONCE = 10_000
SECONDS = 40 * 24 * 3600  # within which they were filled in: some are too old


def write_responses(path: Path, screening: Screening, count: int, seed: int, now: datetime) -> None:
    """Writes `count` responses, all filled in before `now`."""
    draw = Random(seed)  # noqa: S311 - invented patients, no secrets
    with path.open("wb") as file:
        for start in range(0, count, _AT_ONCE):
            file.writelines(_some(screening, draw, range(start, min(start + _AT_ONCE, count)), now))


def _some(screening: Screening, draw: Random, numbers: range, now: datetime) -> Iterator[bytes]:
    said: dict[str, list[Value]] = {}
    columns = []
    for name, question in screening.questions.items():
        said[name] = _drawn(draw, question, len(numbers), said)
        written = _written(question)
        columns.append([written[value] for value in said[name]])
    ahead, back = ",".join(_head(screening)), now.astimezone(UTC)
    for number, items in zip(numbers, zip(*columns, strict=True), strict=True):
        authored = (back - timedelta(seconds=draw.randrange(60, SECONDS))).strftime("%Y-%m-%dT%H:%M:%SZ")
        who = f'{{"reference":"Patient/p{number % 700_000}"}}'
        own = f'"id":"response-{number}","subject":{who},"authored":"{authored}","source":{who}'
        line = f'{{{ahead},{own},"item":[{",".join(filter(None, items))}]}}'
        yield (_odd(draw, line) if draw.random() < ODD else line).encode() + b"\n"


def _head(screening: Screening) -> Iterator[str]:
    members = ("QuestionnaireResponse", screening.canonical, "completed")
    for name, value in zip(("resourceType", "questionnaire", "status"), members, strict=True):
        yield f'"{name}":"{value}"'


def _odd(draw: Random, line: str) -> str:
    ways = (
        lambda: line[: len(line) // 2],
        lambda: line.replace('"completed"', '"entered-in-error"', 1),
        lambda: line.replace("/Questionnaire/", "/Questionnaire/another-", 1),
        lambda: line.replace('"id"', '"status":"completed","id"', 1),
    )
    return draw.choice(ways)()


Value = str | int | None  # a code, a number, or no answer


def _drawn(draw: Random, question: Question, count: int, above: dict[str, list[Value]]) -> list[Value]:
    """The answer to this question in so many responses, of which those to earlier questions are `above`."""
    if not question.options:
        return list(draw.choices(range(max(question.low, 18), min(question.high, 90) + 1), k=count))
    codes, chances = _chances(question)
    drawn: list[Value] = list(draw.choices([*codes, None], [*chances, MISSING], k=count))
    if not question.shown_for:
        return drawn
    shown = [(above[name], codes) for name, codes in question.shown_for.items()]
    return [one if any(said[at] in codes for said, codes in shown) else None for at, one in enumerate(drawn)]


def _chances(question: Question) -> tuple[list[str], list[float]]:
    """Its codes, and how often each is drawn: evenly, but for a safety question that everybody is asked."""
    item, codes = question.item, list(question.options)
    calm = [code for code in codes if code in (item.reassuring)]
    if not item.safety or question.shown_for or len(calm) in (0, len(codes)):
        return codes, [1 / len(codes)] * len(codes)
    each = {True: (1 - ALARM) / len(calm), False: ALARM / (len(codes) - len(calm))}
    return codes, [each[code in calm] for code in codes]


def _written(question: Question) -> dict[Value, str]:
    """Each answer as an item; none is empty."""
    if not question.options:
        numbers = range(question.low, question.high + 1)
        return {None: "", **{number: _item(question, {"valueInteger": number}) for number in numbers}}
    return {None: "", **{code: _coded(question, code) for code in question.options}}


def _coded(question: Question, code: str) -> str:
    display = question.options[code]["nl"]
    return _item(question, {"valueCoding": {"system": question.system, "code": code, "display": display}})


def _item(question: Question, value: dict[str, object]) -> str:
    members = {"linkId": question.link_id, "text": question.label["nl"], "answer": [value]}
    return json.dumps(members, ensure_ascii=False, separators=(",", ":"))
