"""What is looked for among the responses, as conditions in SQL. Source: FHIR R4, "Search" (token, uri, date)."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, func, literal, literal_column, not_, or_

from cds_service.store.tables import Words, responses


@dataclass(frozen=True)
class Criteria:
    """Of each member any value counts, and all members that have values.

    `questionnaire`: "url" is every version of it, "url|version" that one. `identifier`: system (None: any, "": none)
    and value ("": any). `patient`: keyed hashes. `authored`: prefix (eq, ne, lt, le, gt, ge, sa, eb) and the first and
    last moment named, all of them; an undated response matches none.
    """

    ids: tuple[str, ...] = ()
    questionnaire: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    patient: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    identifier: tuple[tuple[str | None, str], ...] = ()
    authored: tuple[tuple[str, datetime, datetime], ...] = ()


def conditions(criteria: Criteria) -> Iterator[ColumnElement[bool]]:
    """What a row must hold to match all of the criteria."""
    columns = responses.c
    plain = [
        (columns.id, criteria.ids),
        (columns.status, criteria.status),
        (columns.patient, criteria.patient),
        (columns.author, criteria.author),
    ]
    yield from (column.in_(values) for column, values in plain if values)
    if criteria.questionnaire:
        yield or_(*(_canonical(value) for value in criteria.questionnaire))
    if criteria.identifier:
        yield or_(*(_identified(*one) for one in criteria.identifier))
    yield from (_dated(*one) for one in criteria.authored)


def _canonical(value: str) -> ColumnElement[bool]:
    """LIKE would not do: in SQLite it takes capitals and small letters for the same."""
    column, start = responses.c.questionnaire, f"{value}|"
    begun = func.substr(column, 1, len(start)) == literal(start, Words)  # as the column: PostgreSQL refuses NUL
    return column == value if "|" in value else or_(column == value, begun)


def _identified(system: str | None, value: str) -> ColumnElement[bool]:
    """The value is never empty, said as the index says it: else a database would not use that."""
    column = responses.c.identifier_value
    named = column != literal_column("''")
    if system is None:
        return and_(named, column == value)
    right = [column == value] if value else []
    return and_(named, responses.c.identifier_system == system, *right)


def _dated(prefix: str, first: datetime, last: datetime) -> ColumnElement[bool]:
    """When it was filled in is a span as well; nothing compares with that of an undated one."""
    begun, ended = responses.c.authored, func.coalesce(responses.c.latest, responses.c.authored)
    within = and_(begun >= first, ended <= last)
    return {
        "eq": within,
        "ne": not_(within),
        "lt": begun < first,
        "eb": ended < first,
        "le": begun <= last,
        "gt": ended > last,
        "sa": begun > last,
        "ge": ended >= first,
    }[prefix]
