"""The figures: what is counted, who may read them, and that nobody can make a new series by what he sends."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families

from cds_content.screening import Screening
from cds_content.translations import displays
from cds_service import metrics
from cds_service.clients import DEVELOPMENT, Client
from cds_service.errors import TooManyCalls
from tests.conftest import ROOT, SERVICE
from tests.ehr import Ehr, fetching
from tests.ehr import ehr_server as _ehr_server  # noqa: F401 - the fixture `ehr`
from tests.ehr import enough_for_a_busy_machine as _patience  # noqa: F401 - the fixture `patience` of every test here
from tests.requirements.callers import CLIENTS, FEEDBACK, HOOK, ask, bearer, identify_in, is_refused, service_in
from tests.samples import CALM, call, response
from tests.test_submission import sound
from tests.test_submission_http import URL
from tests.tokens import NOW, PUBLIC
from tests.wire import cards_of, serving

METRICS = f"{PUBLIC}/metrics"
TOKEN = "a token of thirty-two characters"  # noqa: S105 - no secret
ALARM = CALM | {"rf-bladder-bowel": "new"}
NAMES = {"screening": "low-back-pain", "version": "1.0.0"}


@pytest.fixture(name="service")
def _service(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    with serving(screening, tmp_path) as client:
        client.application.testing = False
        yield client


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def series(text: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Every series of ours in what was answered."""
    return {
        (sample.name, frozenset(sample.labels.items()))
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name.startswith("cds_")
    }


# ----------------------------------------------------------------------------------------------------- what is counted


def test_a_call_is_counted_with_its_cards_decision_and_time(service: FlaskClient) -> None:
    labels = {"route": "/cds-services/<service_id>", "hook": "patient-view"}
    counted = (
        ("cds_calls_total", labels | {"method": "POST", "status": "200", "client": "development"}),
        ("cds_call_seconds_count", labels),
        ("cds_cards_total", NAMES | {"topic": "emergency-now"}),
        ("cds_decisions_total", NAMES | {"disposition": "emergency-now"}),
    )
    before = [value(name, **labels) for name, labels in counted]

    cards_of(service.post(SERVICE, json=call(response(ALARM))))

    assert [value(name, **labels) for name, labels in counted] == [one + 1 for one in before]


def test_what_is_not_known_is_counted_by_why(service: FlaskClient) -> None:
    labels = {"screening": "low-back-pain", "doubt": "missing"}
    incomplete = NAMES | {"disposition": "incomplete"}
    before = value("cds_unknown_total", **labels), value("cds_decisions_total", **incomplete)

    cards_of(service.post(SERVICE, json=call(response({"lbp-present": "yes"}))))

    after = value("cds_unknown_total", **labels), value("cds_decisions_total", **incomplete)
    assert after == (before[0] + 1, before[1] + 1), "once for a decision, however many answers are missing"


def test_a_judged_response_in_hand_is_a_decision_too(service: FlaskClient) -> None:
    labels = NAMES | {"disposition": "emergency-now"}
    before = value("cds_decisions_total", **labels)

    answer = service.post("/fhir/Questionnaire/$process-response", json=sound(ALARM))

    assert answer.status_code == 200, answer.text
    assert value("cds_decisions_total", **labels) == before + 1


@pytest.mark.parametrize(("members", "stored"), [({}, "yes"), ({"status": "nonsense"}, "no")])
def test_an_alarm_in_a_submission_is_counted_stored_or_refused(
    members: dict[str, Any], stored: str, service: FlaskClient
) -> None:
    labels = {"screening": "low-back-pain", "disposition": "emergency-now", "stored": stored}
    before = value("cds_submission_alarms_total", **labels)

    answer = service.post(URL, json=sound(ALARM, **members))

    assert answer.status_code == (201 if stored == "yes" else 400)
    assert value("cds_submission_alarms_total", **labels) == before + 1


@pytest.mark.parametrize(
    ("address", "body", "reason"),
    [(SERVICE, {}, "invalid"), ("/nowhere", {}, "not-found"), (SERVICE, call(prefetch={}), "required")],
)
def test_a_refusal_is_counted_by_its_reason(address: str, body: Any, reason: str, service: FlaskClient) -> None:
    client = "none" if address == "/nowhere" else "development"
    before = value("cds_refusals_total", reason=reason, client=client)

    service.post(address, json=body)

    assert value("cds_refusals_total", reason=reason, client=client) == before + 1


def test_a_caller_who_is_not_known_is_no_client(screening: Screening, tmp_path: Path) -> None:
    before = value("cds_refusals_total", reason="unknown-iss", client="none")

    is_refused(ask(service_in(screening, tmp_path), bearer(iss="https://nobody.example")))

    assert value("cds_refusals_total", reason="unknown-iss", client="none") == before + 1


def test_a_call_over_the_agreed_rate_is_counted_for_its_client(screening: Screening, tmp_path: Path) -> None:
    def admit(_owner: str, _agreed: int) -> None:
        raise TooManyCalls(1)

    before = value("cds_rate_limited_total", client="development")
    with serving(screening, tmp_path, admit=admit) as client:
        assert client.post(SERVICE, json=call(response(CALM))).status_code == 429

    assert value("cds_rate_limited_total", client="development") == before + 1


def test_half_a_second_which_is_promised_is_a_bound_of_the_histogram() -> None:
    (family,) = metrics.SECONDS.collect()
    bounds = {sample.labels.get("le") for sample in family.samples}

    assert {"0.5", "0.35", "0.1", "+Inf"} <= bounds


# -------------------------------------------------------------------------------------- nobody makes a label by sending


def strange(number: int) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Calls with the number in every place that a caller fills: method, address and what is sent."""
    odd = f"jansen-{number}"
    body = call(response(CALM | {odd: odd}))
    yield odd.upper(), f"/{odd}", {}
    yield "GET", f"/cds-services/{odd}/{odd}", {"query_string": {odd: odd}}
    yield "POST", f"/cds-services/{odd}", {"json": body}
    yield "POST", SERVICE, {"json": body | {"hook": odd}}
    yield "POST", SERVICE, {"json": body, "headers": {"Authorization": f"Bearer {odd}", "X-Request-ID": odd}}
    yield "POST", f"/cds-services/{odd}/feedback", {"json": {"feedback": [{"card": odd, "outcome": odd}]}}
    yield "POST", URL, {"json": sound(ALARM, status=odd, questionnaire=odd)}
    yield "GET", f"{URL}/{odd}/_history/{odd}", {}
    yield "POST", f"/fhir/Questionnaire/{odd}/$process-response", {"json": sound(identifier={"value": odd})}
    yield "GET", f"/fhir/{odd}/{odd}", {"headers": {"Accept": odd, "Host": f"{odd}.example"}}


def test_a_thousand_strange_calls_make_no_series_beyond_those_of_the_first_few(service: FlaskClient) -> None:
    def send(numbers: range) -> set[tuple[str, frozenset[tuple[str, str]]]]:
        for number in numbers:
            for method, address, more in strange(number):
                service.open(address, method=method, **more)
        return series(service.get("/metrics").text)

    service.get("/metrics")
    first = send(range(2))
    after = send(range(2, 102))

    assert after == first
    assert not re.search(r"jansen|JANSEN", str(after))


def test_every_label_is_of_a_fixed_set(service: FlaskClient, screening: Screening) -> None:
    for method, address, more in strange(1):
        service.open(address, method=method, **more)
    rules = {rule.rule for rule in service.application.url_map.iter_rules()}
    topics = {*displays(screening.resources, "low-back-pain-dispositions"), "none"}
    fixed: dict[str, set[str]] = {
        "route": rules | {"none"},
        "method": {*metrics.METHODS, "other"},
        "hook": {one.hook for one in screening.services.values()} | {"none", "other"},
        "topic": topics,
    }
    found = [dict(labels) for _, labels in series(service.get("/metrics").text)]
    own = [labels for labels in found if labels.get("screening") in (None, "low-back-pain")]  # tests have others
    given = [label for labels in own for label in labels.items()]

    assert {name for name, _ in given} >= fixed.keys()
    assert [(name, said) for name, said in given if said not in fixed.get(name, {said})] == []


# ----------------------------------------------------------------------------------------------------- who may see them


def agreed(screening: Screening, folder: Path, token: str = TOKEN) -> Any:
    clients = CLIENTS | {"ehr": CLIENTS["ehr"].model_copy(update={"roles": frozenset({"client", "operator"})})}
    identify, _ = identify_in(folder, clients=clients)
    parts = {"identify": identify, "clients": clients, "metrics_token": token, "now": lambda: NOW}
    return serving(screening, folder, public=PUBLIC, **parts)


def test_an_operator_and_the_monitoring_system_see_the_figures(screening: Screening, tmp_path: Path) -> None:
    with agreed(screening, tmp_path) as client:
        for shown in (bearer(METRICS), f"Bearer {TOKEN}"):
            answer = client.get("/metrics", headers={"Authorization": shown})
            assert answer.status_code == 200, answer.text
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            assert ("cds_database_up", frozenset[tuple[str, str]]()) in series(answer.text)


WRONG = ["", TOKEN, f"Bearer {TOKEN} ", f"Bearer {TOKEN[:-1]}", f"Bearer {TOKEN}x", "Bearer ", f"Basic {TOKEN}"]


@pytest.mark.parametrize("shown", [*WRONG, "Bearer \xe9"])
def test_nobody_else_does(shown: str, screening: Screening, tmp_path: Path) -> None:
    with agreed(screening, tmp_path) as client:
        is_refused(client.get("/metrics", headers={"Authorization": shown}))


def test_a_client_that_is_no_operator_does_not_either(screening: Screening, tmp_path: Path) -> None:
    parts = {"identify": identify_in(tmp_path)[0], "clients": CLIENTS, "now": lambda: NOW}
    with serving(screening, tmp_path, public=PUBLIC, **parts) as client:
        assert client.get("/metrics", headers={"Authorization": bearer(METRICS)}).status_code == 403


@pytest.mark.parametrize("token", ["", "short"])
def test_a_token_that_is_none_or_short_opens_nothing(token: str, screening: Screening, tmp_path: Path) -> None:
    with agreed(screening, tmp_path, token=token) as client:
        is_refused(client.get("/metrics", headers={"Authorization": f"Bearer {token}"}))


def test_that_token_opens_nothing_else(screening: Screening, tmp_path: Path) -> None:
    with agreed(screening, tmp_path) as client:
        for address in (HOOK, FEEDBACK, f"{PUBLIC}{URL}"):
            shown = {"Authorization": f"Bearer {TOKEN}"}
            is_refused(client.post(address.removeprefix(PUBLIC), json=call(response(CALM)), headers=shown))
        is_refused(client.get("/report", headers={"Authorization": f"Bearer {TOKEN}"}))


# ---------------------------------------------------------------------------------------------------------- the gauges


def test_the_state_of_the_content_the_database_and_the_self_test_is_shown(
    service: FlaskClient, screening: Screening
) -> None:
    text = service.get("/metrics").text

    hashed = {"hash": screening.hash, "questionnaire": "1.0.0", "signed": "no"}
    assert value("cds_content_info", **NAMES, **hashed) == 1
    assert value("cds_database_up") == 1
    assert value("cds_self_test_passed", screening="low-back-pain") == 1
    assert {name for name, _ in series(text)} >= {"cds_content_info", "cds_database_up", "cds_self_test_passed"}


def test_a_fhir_server_that_is_down_is_shown_and_only_those_that_were_agreed_are(
    ehr: Ehr, screening: Screening, tmp_path: Path
) -> None:
    down, up = ehr.hospital(mode="not-json").base, ehr.hospital().base
    dead = "http://127.0.0.1:9/fhir"
    roles: Any = frozenset({"client", "operator"})
    clients = {DEVELOPMENT: Client(fhir_servers=(dead, up), private_addresses=True, roles=roles)}
    with serving(screening, tmp_path, clients=clients) as client:
        for base in (dead, up, down):
            for _ in range(6):
                client.post(SERVICE, json=fetching(base))
        client.get("/metrics")

    assert value("cds_fhir_server_up", base=dead) == 0
    assert value("cds_fhir_server_up", base=up) == 1
    assert REGISTRY.get_sample_value("cds_fhir_server_up", {"base": down}) is None
    with serving(screening, tmp_path) as other:  # as after a reload: nothing was agreed with that server any more
        other.get("/metrics")
    assert REGISTRY.get_sample_value("cds_fhir_server_up", {"base": dead}) is None


def test_every_figure_and_its_labels_are_in_the_page_for_operators() -> None:
    page = (ROOT / "docs/operations.md").read_text("utf-8")
    ours = [one for one in vars(metrics).values() if hasattr(one, "_labelnames")]
    assert len(ours) > 10
    for one in ours:
        ((name, labels),) = [(family.name, one._labelnames) for family in one.collect()]
        (row,) = re.findall(rf"^\| `{name}(?:_total)?` \|.*$", page, re.MULTILINE)
        assert [label for label in labels if f"`{label}`" not in row] == [], name
