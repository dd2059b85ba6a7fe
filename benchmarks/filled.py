"""A database with many decisions in it, each with its card and its event, as the service would have written them.

The first of each is what the service wrote for one call; the others differ from it in all that differs between calls.
"""

import sqlite3
from contextlib import closing
from pathlib import Path

from benchmarks.calls import answers
from benchmarks.service import DATABASE, requests, served

SPREAD = 30  # days over which the decisions are spread

_NUMBERS = "WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < :count)"
_AGO = "((n * 2 <= :count) * :age + :spread - n * 1.0 * :spread / :count)"  # days; the older half comes first
_AT = f"strftime('%Y-%m-%d %H:%M:%f000', 'now', '-' || {_AGO} || ' days')"
_UUID = "lower(" + " || '-' || ".join(f"hex(randomblob({size}))" for size in (4, 2, 2, 2, 6)) + ")"
_OWN = {  # what each row has of its own
    "decisions": {"id": "1 + n", "at": _AT, "patient": "lower(hex(randomblob(32)))", "hook_instance": _UUID},
    "cards": {"uuid": _UUID, "decision": "1 + n"},
    "audit_events": {
        "id": "1 + n",
        "at": _AT,
        "patient": "decided.patient",
        "instance": "decided.hook_instance",
        "what": "'decision/' || (1 + n)",
    },
}


def fill(folder: Path, count: int, *, age: float = 0) -> Path:
    """Makes the database of `served`: `count` decisions of the last month, the first half of them `age` days older.

    Raises RuntimeError when the service does not start.
    """
    with served(folder) as server:
        answers([server.port], requests(1))
    with closing(sqlite3.connect(folder / DATABASE, isolation_level=None)) as database:
        for setting in ("journal_mode=OFF", "synchronous=OFF", "cache_size=-1000000"):
            database.execute(f"PRAGMA {setting}")
        database.execute("BEGIN")
        for table, own in _OWN.items():
            _copy(database, table, own, {"count": count, "age": age, "spread": SPREAD})
        database.execute("COMMIT")
    return folder / DATABASE


def _copy(database: sqlite3.Connection, table: str, own: dict[str, str], numbers: dict[str, float]) -> None:
    """So many copies of the first row, each with its own."""
    columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
    written = ", ".join(own.get(column, f"first.{column}") for column in columns)
    joined = " JOIN decisions AS decided ON decided.id = 1 + n" if table == "audit_events" else ""
    first = f"(SELECT * FROM {table} ORDER BY rowid DESC LIMIT 1) AS first"  # noqa: S608 - names of our own
    database.execute(
        f"INSERT INTO {table} {_NUMBERS} SELECT {written} FROM numbers JOIN {first}{joined}",  # noqa: S608 - names of our own
        numbers,
    )
