"""One line gives one row: what the core says of it alone, whatever stands in it; and the faster way says the same."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest
from flask.testing import FlaskClient

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service import strict_json
from cds_service.population import memory, remembered
from cds_service.population.marks import marks
from cds_service.population.rows import Judge, Row, row
from tests.conftest import topics
from tests.layers import answer_sets
from tests.population_samples import FILLED_IN, alarm, calm
from tests.samples import CALM, call, patient, response
from tests.test_second_screening import SECOND, content

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
BORN: tuple[Any, ...] = (None, "1970-05-05", "1950", "2012-02", "2000-13-99", "2027-01-01", "1890-01-01", [], 5, "")


def born(id_: str) -> Any:
    """Some birth date for each patient."""
    return BORN[sum(id_.encode()) % len(BORN)]


@pytest.fixture(scope="module", name="second")
def _second(tmp_path_factory: pytest.TempPathFactory) -> Screening:
    (screening,) = load(content(tmp_path_factory.mktemp("second"), SECOND))
    return screening


def drawn(screening: Screening, count: int) -> list[bytes]:
    """Responses in layers, of patients p0 to p99 in turn, a third as they would be with blanks or other members."""
    lines = []
    for number, one in enumerate(answer_sets(screening, count, seed=27)):
        sent = one.response
        if sent.get("subject") == {"reference": "Patient/p1"}:
            sent["subject"] = {"reference": f"{('', 'https://ehr.example/fhir/')[number % 2]}Patient/p{number % 100}"}
        lines.append(orjson.dumps(sent))
    return lines


def compared(judge: Judge, lines: list[bytes]) -> list[tuple[bytes, Row, Row]]:
    """The lines of which the two ways do not say the same; each line is asked for twice."""
    remembering = remembered.remembering(judge)
    plain = [row(judge, number, line) for number, line in enumerate(lines)]
    for _ in range(2):
        fast = [remembering(number, line) for number, line in enumerate(lines)]
        different = [triple for triple in zip(lines, plain, fast, strict=True) if triple[1] != triple[2]]
        if different:
            return different
    return []


@pytest.mark.parametrize("with_births", [False, True], ids=["without Patients", "with Patients"])
def test_what_is_remembered_says_what_the_core_says(screening: Screening, *, with_births: bool) -> None:
    judge = Judge(screening, datetime.now(UTC), born) if with_births else Judge(screening, datetime.now(UTC))

    assert compared(judge, drawn(screening, 10_000)) == []


def test_of_another_screening_too(second: Screening) -> None:
    assert compared(Judge(second, datetime.now(UTC), born), drawn(second, 4_000)) == []


def test_a_memory_that_is_full_forgets_and_is_not_wrong(screening: Screening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST", 60)
    monkeypatch.setattr(memory, "MOST_KINDS", 5)

    assert compared(Judge(screening, datetime.now(UTC), born), drawn(screening, 4_000)) == []


def test_a_follow_up_beside_its_question_is_remembered_too(
    screening: Screening, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = CALM | {"age": 40, "rf-unwell": "yes", "rf-fever": "no"}
    remembering = remembered.remembering(Judge(screening, NOW))
    first, second = (orjson.dumps(response(answers, id=id_, authored=FILLED_IN)) for id_ in ("r1", "r2"))
    outcome = remembering(1, first).outcome
    for core in ("row", "outcome"):  # it is not asked again
        monkeypatch.setattr(remembered, core, None)

    assert (remembering(2, second).id, remembering(2, second).outcome) == ("r2", outcome)


def cut_otherwise(sent: dict[str, Any]) -> Iterator[bytes]:
    """The response, where its items do not end where the next one seems to begin."""
    first, second, *others = sent["item"]
    group = {"linkId": "group", "item": [first, second]}
    below = first | {"answer": [first["answer"][0] | {"item": [second]}]}
    turned = {name: first[name] for name in reversed(first)}
    told = first | {"text": 'so: ,{"linkId":"rf-saddle"'}
    for items in ([group, *others], [below, *others], [second, turned, *others], [told, second, *others], []):
        yield orjson.dumps(sent | {"item": items})
    yield orjson.dumps(sent).replace(b'},{"linkId"', b'} , {"linkId"')
    yield orjson.dumps(sent).replace(b'},{"linkId"', b'} ,{"linkId"')
    yield orjson.dumps(sent).replace(b'},{"linkId"', b'},{},{"linkId"')
    yield orjson.dumps(sent).replace(b'},{"linkId"', b'}],[{"linkId"')
    yield orjson.dumps(sent | {"item": sent["item"] * 4})
    yield orjson.dumps(sent | {"item": sent["item"][0]})


def test_items_that_do_not_end_where_the_next_one_seems_to_begin_are_read_all_the_same(screening: Screening) -> None:
    asked = [calm(3), alarm(3), response(CALM | {"age": 40, "rf-unwell": "yes", "rf-fever": "no"}, authored=FILLED_IN)]
    plain = [orjson.dumps(one) for one in asked]

    for line in (line for one in asked for line in cut_otherwise(one)):
        assert compared(Judge(screening, NOW), [*plain, line, *plain, line]) == []


def broken(line: bytes, draw: Random) -> bytes:
    """The line with a few bytes of it lost, doubled or replaced."""
    for _ in range(draw.choice((1, 1, 2))):
        at, length = draw.randrange(len(line)), draw.choice((1, 1, 3, 40, 200))
        put = draw.choice(
            (b"", b" ", b"\xff", b'"', b"{", b",", b"NaN", b"\\u0041", b'"id":"x",', line[at : at + length])
        )
        line = line[:at] + put + line[at + draw.choice((0, length)) :]
    return line


def test_lines_with_broken_bytes_are_told_as_the_core_tells_them(screening: Screening) -> None:
    draw = Random(27)  # noqa: S311 - damage for tests, no secrets
    lines = drawn(screening, 4_000)

    assert compared(Judge(screening, datetime.now(UTC), born), [broken(draw.choice(lines), draw) for _ in lines]) == []


def moments() -> Iterator[str]:
    """Around each moment at which something changes, in every form of a dateTime."""
    for edge in (timedelta(days=7), timedelta(days=30), timedelta(minutes=-5), timedelta()):
        for off in (-86400, -3600, -60, -1, 0, 1, 60, 3600, 86400):
            moment = NOW - edge + timedelta(seconds=off)
            for zone in (UTC, timedelta(hours=14), timedelta(hours=-11, minutes=-30)):
                shifted = moment + zone if isinstance(zone, timedelta) else moment
                text = shifted.strftime("%Y-%m-%dT%H:%M:%S")
                name = {UTC: "Z", timedelta(hours=14): "+14:00"}.get(zone, "-11:30")
                yield from (f"{text}{name}", f"{text}.000001{name}", f"{text}.999{name}", text[:10], text[:7], text)
                yield from (f"{text[:length]}{name}" for length in (10, 13, 16))


def test_each_second_around_an_end_of_what_counts_is_told_as_the_core_tells_it(screening: Screening) -> None:
    lines = [
        orjson.dumps(one(5, authored=moment)) for moment in moments() for one in (calm, lambda n, **m: alarm(n) | m)
    ]

    assert compared(Judge(screening, NOW), lines) == []


def doubled(response: dict[str, Any], member: str) -> bytes:
    return b'{"%b":"x",%b' % (member.encode(), orjson.dumps(response)[1:])


# Each row: what is wrong with the line, the line, the disposition, the reason.
LINES: list[tuple[str, bytes, str, str]] = [
    ("nothing", orjson.dumps(calm(1)), "self-care", ""),
    ("an alarm", orjson.dumps(alarm(1)), "emergency-now", ""),
    ("no JSON", b"resourceType", "not-judged", "damaged"),
    ("cut short", orjson.dumps(calm(1))[:-20], "not-judged", "damaged"),
    ("two on a line", orjson.dumps(calm(1)) * 2, "not-judged", "damaged"),
    ("a key twice", doubled(calm(1), "status"), "not-judged", "damaged"),
    ("an unknown key twice", doubled(calm(1) | {"language": "nl"}, "language"), "not-judged", "damaged"),
    ("no UTF-8", orjson.dumps(calm(1)).replace(b"r1", b"r\xff"), "not-judged", "damaged"),
    ("NaN", orjson.dumps(calm(1)).replace(b"40", b"NaN"), "not-judged", "damaged"),
    ("too deep", b"[" * 100 + b"]" * 100, "not-judged", "damaged"),
    ("too long", orjson.dumps("x" * strict_json.MAX_BYTES), "not-judged", "too-large"),
    ("another type", orjson.dumps(patient()), "not-judged", "other-type"),
    ("no resource", b"[]", "not-judged", "other-type"),
    ("null", b"null", "not-judged", "other-type"),
    ("another form", orjson.dumps(calm(1, questionnaire="https://x.example/q")), "not-judged", "other-form"),
    ("withdrawn", orjson.dumps(calm(1, status="entered-in-error")), "incomplete", "entered-in-error"),
    (
        "of two patients",
        orjson.dumps(calm(1) | {"patient": {"reference": "Patient/p2"}}),
        "not-judged",
        "other-patient",
    ),
    ("no subject", orjson.dumps(calm(1, subject=None)), "incomplete", ""),
    ("a subject that is no patient", orjson.dumps(calm(1, subject={"reference": "Group/p1"})), "incomplete", ""),
    ("an unknown version", orjson.dumps(calm(1, questionnaire=f"{calm(1)['questionnaire']}9")), "incomplete", ""),
    ("no answers", orjson.dumps(calm(1, item=None)), "incomplete", ""),
    ("too old to reassure", orjson.dumps(calm(1, authored="2026-11-01T08:00:00Z")), "incomplete", ""),
]


@pytest.mark.parametrize("case", LINES, ids=[case[0] for case in LINES])
def test_every_line_gives_a_row_and_none_of_the_damaged_reassures(
    case: tuple[str, bytes, str, str], screening: Screening
) -> None:
    _, line, disposition, reason = case

    for judged in (row(Judge(screening, NOW), 7, line), remembered.remembering(Judge(screening, NOW))(7, line)):
        assert (judged.line, judged.outcome.disposition, judged.outcome.reason) == (7, disposition, reason)


def test_a_row_says_whose_it_is_and_on_what_it_rests(screening: Screening) -> None:
    found = row(Judge(screening, NOW), 7, orjson.dumps(calm(1)))

    assert found[:4] == (7, "r1", "Patient/p1", FILLED_IN)
    assert (found.outcome.status, found.outcome.fired, found.outcome.unknown) == ("completed", "R40", "")


def test_what_is_not_known_is_named(screening: Screening) -> None:
    told = calm(1)
    told["item"] = [one for one in told["item"] if one["linkId"] != "rf-saddle"]

    assert row(Judge(screening, NOW), 1, orjson.dumps(told)).outcome.unknown == "rf-saddle:missing"


@pytest.mark.parametrize("member", ["id", "authored"])
@pytest.mark.parametrize("value", ["=1+1", "a,b", "x\ny", 5, "é" * 9])
def test_nothing_that_is_ill_formed_goes_into_a_row(member: str, value: Any, screening: Screening) -> None:
    found = row(Judge(screening, NOW), 1, orjson.dumps(calm(1) | {member: value}))

    assert str(value) not in found[1:4]


def test_the_birth_date_of_the_patient_counts_as_in_a_call(screening: Screening) -> None:
    line = orjson.dumps(calm(1))

    assert row(Judge(screening, NOW, lambda _: "2010-01-01"), 1, line).outcome.disposition == "doctor-advice"
    assert row(Judge(screening, NOW, lambda _: []), 1, line).outcome.unknown == "age:unreadable"


def test_the_rows_say_what_the_hook_says_of_the_same_responses(client: FlaskClient, screening: Screening) -> None:
    sets = [one.response for one in answer_sets(screening, 4_000, seed=3)][:250]
    about = patient()
    judge = Judge(screening, datetime.now(UTC), lambda _: about["birthDate"])
    told, said = [], []
    for sent in sets:
        found = row(judge, 1, orjson.dumps(sent)).outcome
        answer = client.post("/cds-services/low-back-pain-patient-view", json=call(sent, about=about))
        if answer.status_code == 200 and answer.get_json()["cards"]:
            told.append(found.disposition)
            said.append(topics(answer.get_json()["cards"])[0])
        else:
            assert found.disposition in ("not-judged", "not-applicable")  # which has no card

    assert told == said
    assert len(told) > 200


def test_no_two_questions_share_a_bit(second: Screening) -> None:
    regions = list(marks(second).regions.values())

    assert all(one & other == 0 for place, one in enumerate(regions) for other in regions[:place])


def test_lines_are_read_from_where_they_begin(tmp_path: Path) -> None:
    from cds_service.population.lines import lines

    path = tmp_path / "some"
    path.write_bytes(b"a\nbb\n\nccc\r\nd")
    for size in range(1, 14):
        with path.open("rb") as stream:
            found = [line for start in range(0, 13, size) for _, line in lines(stream, start, start + size)]
        assert found == [b"a", b"bb", b"", b"ccc", b"d"]
