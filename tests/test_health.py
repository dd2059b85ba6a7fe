"""Health: alive while the process can answer, ready while advice can be given and is what it must be."""

import logging
import shutil
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Barrier, Thread
from typing import Any

import pytest
from flask import Flask, Response
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from sqlalchemy import Engine, func, select, text

from cds_content.loading import load
from cds_content.screening import Screening
from cds_service import selftest
from cds_service.errors import SettingsError
from cds_service.looked import Looked
from cds_service.store import audit_events, cards, decisions, seen_tokens
from cds_service.store.tables import metadata
from cds_service.store.watched import readable
from cds_service.web import Deployment, create_app
from tests.conftest import ROOT, SERVICE
from tests.loglines import heard
from tests.processes import COMMAND, environment
from tests.requirements.callers import CLIENTS, bearer, identify_in, is_refused
from tests.samples import CALM, call, response
from tests.test_second_screening import SECOND, content
from tests.tokens import NOW, PUBLIC
from tests.wire import serving, store_in

READY, DETAIL = {"status": "ready"}, f"{PUBLIC}/health/ready"
NOT_READY = {"status": "not ready"}
FINDINGS = "questionnaires/low-back-pain/findings.toml"
BLADDER = '{ answer = "rf-bladder-bowel", is = ["new"] }'
TOKEN = "a token of thirty-two characters"  # noqa: S105 - no secret
PRODUCTION: dict[str, Any] = {"clients": CLIENTS, "public": PUBLIC, "now": lambda: NOW}


@pytest.fixture(name="service")
def _service(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service in production."""
    with serving(screening, tmp_path, identify=identify_in(tmp_path)[0], **PRODUCTION) as client:
        yield client


def deployed(screening: Screening, folder: Path, **parts: Any) -> Deployment:
    return Deployment((screening,), store_in(folder / "d.sqlite"), PUBLIC, development=True, **parts)


def passed(name: str = "low-back-pain") -> float | None:
    return REGISTRY.get_sample_value("cds_self_test_passed", {"screening": name})


# ---------------------------------------------------------------------------------------------- what balancers are told


def test_balancers_need_no_token_and_get_a_word(service: FlaskClient) -> None:
    for address, body in (("/health/live", {"status": "live"}), ("/health/ready", READY)):
        answer = service.get(address)
        assert (answer.status_code, answer.get_json()) == (200, body)
        assert answer.headers["Cache-Control"] == "no-store"


def test_a_service_whose_database_is_gone_is_alive_and_not_ready(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.web.health.DATABASE_EVERY", 0.0)
    service = deployed(screening, tmp_path)
    client = create_app(service).test_client()
    assert client.get("/health/ready").status_code == 200

    with service.store.begin() as connection:
        connection.execute(text("DROP TABLE feedback"))
    answer = client.get("/health/ready")

    assert (answer.status_code, answer.get_json()["status"]) == (503, "not ready")
    assert answer.get_json()["checks"] == {"database": "failing", "content": "ok", "self-test": "ok"}
    assert int(answer.headers["Retry-After"]) > 0
    assert client.get("/health/live").status_code == 200
    client.get("/metrics")
    assert REGISTRY.get_sample_value("cds_database_up") == 0
    assert heard(caplog, "database cannot be read")[0]["level"] == "error"


@pytest.mark.parametrize("table", sorted(metadata.tables))
def test_a_database_without_one_of_its_tables_cannot_be_read(table: str, store: Engine) -> None:
    assert readable(store)
    with store.begin() as connection:
        connection.execute(text(f"DROP TABLE {table} {'CASCADE' if store.dialect.name == 'postgresql' else ''}"))
    assert not readable(store)


def test_a_database_file_that_is_no_database_any_more_cannot_be_read(tmp_path: Path) -> None:
    store = store_in(tmp_path / "d.sqlite")
    store.dispose()
    for path in tmp_path.iterdir():
        path.write_bytes(b"x" * 4096)

    assert not readable(store)


def test_the_detail_is_for_operators_and_the_monitoring_system(screening: Screening, tmp_path: Path) -> None:
    clients = CLIENTS | {
        "ehr": CLIENTS["ehr"].model_copy(
            update={"roles": frozenset({"operator"}), "fhir_servers": ("https://fhir.example/r4",)}
        )
    }
    identify, _ = identify_in(tmp_path, clients=clients)
    parts = PRODUCTION | {"identify": identify, "clients": clients, "metrics_token": TOKEN}
    with serving(screening, tmp_path, **parts) as client:
        for shown in (bearer(DETAIL), f"Bearer {TOKEN}"):
            answer = client.get("/health/ready", headers={"Authorization": shown})
            assert (answer.status_code, answer.get_json()) == (
                200,
                READY
                | {
                    "checks": {"database": "ok", "content": "ok", "self-test": "ok"},
                    "screenings": [
                        {
                            "name": "low-back-pain",
                            "version": "1.0.0",
                            "hash": screening.hash,
                            "next-review": "2027-05-22",
                            "overdue": datetime.now(UTC).date() >= date(2027, 5, 22),
                            "self-test": "ok",
                        }
                    ],
                    "fhir-servers": {"https://fhir.example/r4": "closed"},
                },
            )
        is_refused(client.get("/health/ready", headers={"Authorization": "Bearer x"}))


def test_another_client_does_not_see_it(service: FlaskClient) -> None:
    assert service.get("/health/ready", headers={"Authorization": bearer(DETAIL)}).status_code == 403


# -------------------------------------------------------------------------------------------------------- the self-test


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A copy of the real content, to break."""
    for folder in ("questionnaires", "cards"):
        shutil.copytree(ROOT / folder, tmp_path / "content" / folder)
    return tmp_path / "content"


def broken(root: Path, old: str, new: str, file: str = FINDINGS) -> Screening:
    """The content with one place changed, which the checks at its loading let through."""
    text = (root / file).read_text("utf-8")
    assert old in text
    (root / file).write_text(text.replace(old, new), "utf-8")
    (screening,) = load(root)
    return screening


# Each row: why nobody would notice, the place, and what stands there instead.
SILENT = [
    ("the finding no longer fires for its code", BLADDER, '{ answer = "rf-bladder-bowel", is = ["longstanding"] }'),
    ("the finding leads to a calmer disposition", 'advice = "emergency-now"', 'advice = "doctor-soon"'),
]


@pytest.mark.parametrize("row", SILENT, ids=[row[0] for row in SILENT])
def test_content_whose_rule_is_silently_broken_is_not_ready_and_alarms(
    row: tuple[str, str, str], root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    service = deployed(broken(root, *row[1:]), tmp_path)

    with pytest.raises(SettingsError, match=r"^low-back-pain: the self-test gives another card"):
        selftest.check(service)
    answer = create_app(service).test_client().get("/health/ready")

    assert (answer.status_code, answer.get_json()["checks"]["self-test"]) == (503, "failing")
    line = heard(caplog, "self-test failed")[0]
    assert (line["level"], line["screening"], line["status"]) == ("critical", "low-back-pain", 200)
    assert passed() == 0


def test_content_that_is_right_passes(screening: Screening, tmp_path: Path) -> None:
    service = deployed(screening, tmp_path)
    selftest.check(service)
    create_app(service).test_client().get("/health/ready")

    assert passed() == 1


def test_content_that_is_refused_at_a_reload_changes_no_figure_of_the_service(
    screening: Screening, root: Path, tmp_path: Path
) -> None:
    create_app(deployed(screening, tmp_path)).test_client().get("/metrics")
    assert passed() == 1

    with pytest.raises(SettingsError, match="self-test"):
        selftest.check(deployed(broken(root, *SILENT[0][1:]), tmp_path))

    assert passed() == 1


NO_CARDS = ["", "{", '"cards"', "null", "[]", "5", '{"cards": []}']


@pytest.mark.parametrize(
    ("said", "media"), [*((said, "application/json") for said in NO_CARDS), ("no cards", "text/plain")]
)
def test_an_answer_that_is_no_card_fails_whatever_its_status_says(
    said: str, media: str, screening: Screening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Flask("other")
    other.post("/cds-services/<_id>")(lambda _id: Response(said, content_type=media))
    monkeypatch.setattr("cds_service.selftest.create_app", lambda _: other)

    assert selftest.results(deployed(screening, tmp_path)) == {"low-back-pain": False}


@pytest.mark.timeless
def test_check_runs_the_self_test(root: Path, tmp_path: Path) -> None:
    broken(root, *SILENT[0][1:])
    settings = environment(tmp_path, CDS_CONTENT=str(root))

    done = subprocess.run([COMMAND, "check"], env=settings, cwd=tmp_path, capture_output=True, text=True, timeout=60)

    assert done.returncode == 1
    assert "low-back-pain: the self-test gives another card than self-test.toml expects" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("*.sqlite"))


def test_an_error_of_ours_is_not_ready_either(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> str:
        raise RuntimeError

    service = deployed(screening, tmp_path, new_uuid=fail)

    assert create_app(service).test_client().get("/health/ready").status_code == 503
    assert heard(caplog, "self-test failed")[0]["status"] == 500


def test_every_screening_is_tested_and_one_that_fails_is_enough(root: Path, tmp_path: Path) -> None:
    both = load(content(root, SECOND))
    service = Deployment(both, store_in(tmp_path / "d.sqlite"), PUBLIC, development=True)
    assert selftest.results(service) == {"low-back-pain": True, "neck-check": True}

    path = root / "questionnaires/neck-check/findings.toml"
    rule = 'answer = "np-arm", is = ["{}"]'
    path.write_text(path.read_text("utf-8").replace(rule.format("yes"), rule.format("unknown")), "utf-8")
    service = Deployment(load(root), service.store, PUBLIC, development=True)
    assert selftest.results(service) == {"low-back-pain": True, "neck-check": False}
    assert create_app(service).test_client().get("/health/ready").status_code == 503
    assert (passed(), passed("neck-check")) == (1, 0)


def test_the_settings_of_the_service_do_not_keep_it_from_being_tested(screening: Screening, tmp_path: Path) -> None:
    for parts in ({"hooks": ()}, {"grouped": True}, {"hooks": ("order-sign",), "versions": False}):
        assert selftest.results(deployed(screening, tmp_path, **parts)) == {"low-back-pain": True}


def test_nothing_of_it_is_kept_counted_or_written(
    screening: Screening, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "cds_service")

    def counted() -> dict[str, float]:
        names = ("cds_cards_total", "cds_decisions_total", "cds_calls_total")
        return {f"{one}": one.value for family in REGISTRY.collect() for one in family.samples if one.name in names}

    service, before = deployed(screening, tmp_path), counted()
    selftest.check(service)

    assert counted() == before
    assert heard(caplog) == []
    with service.store.connect() as connection:
        for table in (decisions, cards, audit_events, seen_tokens):
            assert connection.scalar(select(func.count()).select_from(table)) == 0
    assert sorted(path.name for path in tmp_path.iterdir() if "sqlite" not in path.name) == []


def test_a_broken_store_of_the_service_is_no_fault_of_the_self_test(screening: Screening, tmp_path: Path) -> None:
    service = deployed(screening, tmp_path)
    with service.store.begin() as connection:
        connection.execute(text("DROP TABLE cards"))

    selftest.check(service)


def test_nobody_can_call_as_the_self_test(service: FlaskClient) -> None:
    for shown in ("", f"Bearer {selftest.OWNER}", bearer(iss=selftest.OWNER)):
        is_refused(service.post(SERVICE, json=call(response(CALM)), headers={"Authorization": shown}))


# ------------------------------------------------------------------------------------------ asking is no way to load it


def test_a_hundred_calls_look_once(screening: Screening, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cds_service.web.health.DATABASE_EVERY", 3600.0)
    monkeypatch.setattr("cds_service.web.health.SELF_TEST_EVERY", 3600.0)
    made: list[str] = []

    def new_uuid() -> str:
        made.append("one")
        return "00000000-0000-4000-8000-00000000000a"

    client = create_app(deployed(screening, tmp_path, new_uuid=new_uuid)).test_client()
    client.get("/health/ready")
    once = len(made)
    for _ in range(50):
        client.get("/health/ready")
        client.get("/metrics")

    assert 0 < once == len(made)


def test_the_self_test_is_done_again_when_it_is_old(
    screening: Screening, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cds_service.web.health.SELF_TEST_EVERY", 0.0)
    service = deployed(screening, tmp_path)
    client = create_app(service).test_client()
    assert client.get("/health/ready").status_code == 200

    wrong = broken(root, *SILENT[0][1:])
    monkeypatch.setattr("cds_service.reply.decide", decided_as(wrong))

    assert client.get("/health/ready").status_code == 503


def decided_as(other: Screening) -> Callable[..., Any]:
    """The rules of other content in the place of those that were loaded: what no file shows."""
    from cds_service.advice import decide

    return lambda _screening, *rest: decide(other, *rest)


def test_while_one_looks_the_others_go_on_with_what_was_seen() -> None:
    looking, done = Barrier(2, timeout=60), Barrier(2, timeout=60)
    answers = iter([1, 2])

    def look() -> int:
        seen = next(answers)
        if seen == 2:
            looking.wait()
            done.wait()
        return seen

    looked = Looked(look, 0.0)
    assert looked.now() == 1
    slow: list[int] = []
    thread = Thread(target=lambda: slow.append(looked.now()))
    thread.start()
    looking.wait()  # the thread is looking now
    assert looked.now() == 1
    done.wait()
    thread.join()
    assert slow == [2]


def test_a_look_that_fails_is_no_answer_and_the_next_who_asks_looks_again() -> None:
    answers: Iterator[Any] = iter([OSError(), "seen"])

    def look() -> str:
        answer = next(answers)
        if isinstance(answer, OSError):
            raise answer
        return str(answer)

    looked = Looked(look, 3600.0)
    with pytest.raises(OSError):  # noqa: PT011 - the one of above
        looked.now()
    assert looked.now() == "seen"
    assert looked.now() == "seen"
