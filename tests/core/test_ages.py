"""The age: from the birth date on the day of filling in, else from the age item; a partial date gives a range."""

from datetime import date
from typing import Any

import pytest

from cds_service.answers import Answer, Answers, with_birth_date
from tests.core.parts import number, said

pytestmark = pytest.mark.timeless

DAY = date(2026, 3, 20)


def age(birth_date: Any, stated: Answer, first: date = DAY, last: date = DAY) -> Answer:
    answers = Answers({"age": stated, "pain": said("no")}, stray=True)
    found = with_birth_date(answers, number(), birth_date, first, last)
    assert (found["pain"], found.stray) == (said("no"), True), "nothing else changes"
    return found["age"]


# birthDate → lowest and highest age on 20 March 2026; None: it cannot be used.
BIRTH_DATES: list[tuple[str, Any, tuple[int, int] | None]] = [
    ("the day itself completes the year", "1986-03-20", (40, 40)),
    ("one day later it is not complete", "1986-03-21", (39, 39)),
    ("a month later neither", "1986-04-01", (39, 39)),
    ("an earlier month with a later day", "1986-02-28", (40, 40)),
    ("a month gives one age when it is over", "1986-02", (40, 40)),
    ("the month itself gives two", "1986-03", (39, 40)),
    ("a month that is still to come gives one", "1986-04", (39, 39)),
    ("a year gives two", "1986", (39, 40)),
    ("the year before gives two", "1985", (40, 41)),
    ("born on the day", "2026-03-20", (0, 0)),
    ("born this month, if at all before today", "2026-03", (0, 0)),
    ("born tomorrow", "2026-03-21", None),
    ("born next year", "2027", None),
    ("as old as the form allows", "1906-03-20", (120, 120)),
    ("a year older than the form allows", "1905-03-20", None),
    ("a year whose youngest are within the form", "1905", (120, 121)),
    ("29 February of a leap year", "1984-02-29", (42, 42)),
    ("29 February of another year", "1985-02-29", None),
    ("a 13th month", "1985-13", None),
    ("a 32nd day", "1985-01-32", None),
    ("month 00", "1985-00", None),
    ("day 00", "1985-01-00", None),
    ("the year 0000", "0000", None),
    ("the year 9999", "9999", None),
    ("a month of one digit", "1986-3", None),
    ("a day of one digit", "1986-03-2", None),
    ("two digits", "86", None),
    ("a date and time", "1986-03-20T00:00:00Z", None),
    ("a text before it", " 1986-03-20", None),
    ("digits of another script", "١٩٨٦-٠٣-٢٠", None),
    ("a number", 1986, None),
    ("null", None, None),
]


@pytest.mark.parametrize(("born", "span"), [row[1:] for row in BIRTH_DATES], ids=[row[0] for row in BIRTH_DATES])
def test_the_birth_date_gives_the_age(born: Any, span: tuple[int, int] | None) -> None:
    assert age(born, Answer(doubt="missing")) == (Answer(span=span) if span else Answer(doubt="unreadable"))


def test_somebody_born_on_29_february_completes_a_year_on_1_march() -> None:
    for on, expected in ((date(2025, 2, 28), 40), (date(2025, 3, 1), 41)):
        assert age("1984-02-29", Answer(doubt="missing"), on, on).span == (expected, expected)


def test_a_response_filled_in_on_one_of_many_days_gives_every_age_of_these_days() -> None:
    assert age("1986-03-20", Answer(doubt="missing"), date(2026, 3, 1), date(2026, 3, 31)).span == (39, 40)


# (what the age item says, what is known beside a birth date that gives 39 or 40)
STATED: list[tuple[str, Answer, Answer]] = [
    ("nothing: the birth date alone", Answer(doubt="missing"), Answer(span=(39, 40))),
    ("the same", Answer(span=(40, 40)), Answer(span=(39, 40))),
    ("a year less than the lowest", Answer(span=(38, 38)), Answer(span=(39, 40))),
    ("a year more than the highest", Answer(span=(41, 41)), Answer(span=(39, 40))),
    ("two years less: both are covered", Answer(span=(37, 37)), Answer(span=(37, 40), doubt="contradictory")),
    ("two years more: both are covered", Answer(span=(42, 42)), Answer(span=(39, 42), doubt="contradictory")),
    ("something unreadable", Answer(doubt="unreadable"), Answer(span=(39, 40), doubt="unreadable")),
    (
        "two ages, the lower of which is too low",
        Answer(span=(20, 40), doubt="contradictory"),
        Answer(span=(20, 40), doubt="contradictory"),
    ),
    (
        "two ages, the higher of which is too high",
        Answer(span=(39, 60), doubt="contradictory"),
        Answer(span=(39, 60), doubt="contradictory"),
    ),
    (
        "two ages within a year of it",
        Answer(span=(39, 41), doubt="contradictory"),
        Answer(span=(39, 40), doubt="contradictory"),
    ),
]


@pytest.mark.parametrize(("stated", "known"), [row[1:] for row in STATED], ids=[row[0] for row in STATED])
def test_the_age_item_is_compared_with_the_birth_date(stated: Answer, known: Answer) -> None:
    assert age("1986", stated) == known


def test_an_unreadable_birth_date_leaves_the_stated_age_in_doubt() -> None:
    assert age("gisteren", Answer(span=(70, 70))) == Answer(span=(70, 70), doubt="unreadable")


def test_on_the_last_day_of_a_month_of_30_everybody_born_in_that_month_has_completed_the_year() -> None:
    on = date(2026, 4, 30)

    assert age("1986-04", Answer(doubt="missing"), on, on).span == (40, 40)
