"""SECURITY.md: what it names is there, and the limits that it tells are those in force."""

import re

import pytest

from cds_service import auth, breaker, connections, ehr, fetch, server
from cds_service.clients import Client
from cds_service.config import Settings
from cds_service.store import database
from cds_service.web import MAX_BODY
from tests.locks import ROOT

pytestmark = pytest.mark.timeless  # nothing in it is dated

PAGE = (ROOT / "SECURITY.md").read_text("utf-8")


def test_every_file_that_it_names_is_there() -> None:
    named = set(re.findall(r"[`(]((?:tests|docs|security|requirements|cds_service)/[\w./-]+\.\w+)[`)]", PAGE))

    assert len(named) > 10
    assert [name for name in named if not (ROOT / name).is_file()] == []


@pytest.mark.parametrize(
    ("says", "in_force"),
    [
        ("| body | 1 MB |", MAX_BODY == 1_000_000),
        ("| connections | 1,000 |", server.CONNECTIONS == 1000),
        ("| 100 a second and process", Client().calls_per_second == 100),
        ("| 8 KB; lives 5 minutes", (auth.MAX_TOKEN, Client().longest_token) == (8192, 300)),
        ("| 350 ms, 1 MB, 5 pages |", (fetch.BUDGET, ehr.MAX_BYTES, fetch.MAX_PAGES) == (0.35, 1_000_000, 5)),
        ("| 5 failures, then left alone for 30 s |", (breaker.FAILURES, breaker.PAUSE) == (5, 30)),
        ("| wait for the database | 1.5 s |", database.BUSY == 1.5),
        ("| a whole request | 10 s |", connections.Patience().whole == 10),
        ("| 30 days after `authored` |", Settings.model_fields["keep_response_days"].default == 30),
        ("| 5 years |", Settings.model_fields["keep_record_days"].default == 1830),
    ],
)
def test_a_limit_that_it_tells_is_in_force(says: str, in_force: bool) -> None:
    assert says in PAGE
    assert in_force
