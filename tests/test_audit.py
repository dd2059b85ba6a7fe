"""The audit trail: an AuditEvent by IHE BALP for each decision and write, read by the client's own auditors only."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from cds_content.screening import Screening
from cds_service.audit import audit_event
from cds_service.clients import DEVELOPMENT, Client, Role
from cds_service.store import Act, erase, export, note, open_store
from cds_service.web import Deployment
from cds_service.web.call import hashed, recorded_user
from tests import tokens
from tests.conftest import SERVICE
from tests.fhir_rules import valid
from tests.requirements.callers import CLIENTS, bearer, service_in
from tests.samples import CALM, call, response
from tests.wire import cards_of, refusal_of, send, serving

EVENTS = "/fhir/AuditEvent"
RESPONSES = "/fhir/QuestionnaireResponse"
BASE = "http://127.0.0.1:8080/fhir"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
DCM = "http://dicom.nema.org/resources/ontology/DCM"
PARTICIPANT = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
TYPES = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
ROLES = "http://terminology.hl7.org/CodeSystem/object-role"
FORM = "application/x-www-form-urlencoded"
NOON = datetime.now(UTC).replace(hour=12, minute=30, second=15, microsecond=0)  # of today
EMERGENCY = {"lbp-present": "yes", "age": 40} | CALM | {"rf-bladder-bowel": "new"}

Event = dict[str, Any]


@pytest.fixture(name="app")
def _app(screening: Screening, tmp_path: Path) -> Iterator[FlaskClient]:
    """A service of its own, with an empty trail."""
    with serving(screening, tmp_path) as client:
        yield client


def events(client: FlaskClient, query: str = "", **parameters: str) -> list[Event]:
    """What a search finds, newest first; fails unless the Bundle is valid."""
    answer = client.get(f"{EVENTS}?{query or urlencode(parameters)}")
    assert answer.status_code == 200, answer.text
    assert valid(answer.get_json()) == []
    return [entry["resource"] for entry in answer.get_json().get("entry", [])]


def obeys_balp(event: Event, profile: str, *, patient: bool = True, user: bool = False) -> None:
    """Fails where the event breaks what the BALP profile asks: its fixed values, its agents and its entities."""
    interaction, action, client, server, kind = {
        "Create": ("create", "C", (DCM, "110153"), (DCM, "110152"), "AUT"),
        "Read": ("read", "R", (DCM, "110152"), (DCM, "110153"), "IRCP"),
        "Update": ("update", "U", (DCM, "110153"), (DCM, "110152"), "AUT"),
        "Delete": ("delete", "D", (DCM, "110150"), (PARTICIPANT, "custodian"), "AUT"),
    }[profile]
    assert event["meta"]["profile"] == [f"{BALP}{'Patient' if patient else ''}{profile}"]
    assert coded(event["type"]) == ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
    assert coded(event["subtype"][0]) == ("http://hl7.org/fhir/restful-interaction", interaction)
    assert (event["action"], event["outcome"]) == (action, "0")
    agents = {coded(agent["type"]["coding"][0]): agent for agent in event["agent"]}
    assert len(agents) == len(event["agent"])
    for wanted in (client, server):
        assert agents[wanted]["who"]
        assert agents[wanted]["network"]
        assert "media" not in agents[wanted]
    human = agents.get(("http://terminology.hl7.org/CodeSystem/v3-ParticipationType", kind))
    assert bool(human) is user
    assert not human or (human["who"] and human["requestor"] is True and "network" not in human)
    entities = {coded(entity["type"]): entity for entity in event["entity"]}
    assert entities[TYPES, "2"]["what"]
    assert coded(entities[TYPES, "2"]["role"]) == (ROLES, "4")
    if patient:
        assert coded(entities[TYPES, "1"]["role"]) == (ROLES, "1")
        assert entities[TYPES, "1"]["what"]["type"] == "Patient"


def coded(coding: Mapping[str, str]) -> tuple[str, str]:
    return coding["system"], coding["code"]


@pytest.mark.requirement("S-14")
def test_a_decision_has_its_event_with_who_when_and_about_whom(app: FlaskClient) -> None:
    body = call(response(EMERGENCY))
    cards_of(send(app, body))

    (event,) = events(app)

    assert coded(event["type"]) == ("http://terminology.hl7.org/CodeSystem/audit-event-type", "rest")
    assert coded(event["subtype"][0]) == ("http://hl7.org/fhir/restful-interaction", "operation")
    assert (event["action"], event["outcome"]) == ("E", "0")
    assert datetime.now(UTC) - datetime.fromisoformat(event["recorded"]) < timedelta(minutes=10)
    client, server, user = event["agent"]
    assert client["who"]["identifier"]["value"] == DEVELOPMENT
    assert server["who"]["identifier"]["value"] == BASE
    assert (user["who"]["identifier"]["value"], user["who"]["type"]) == ("Practitioner/gp-1", "Practitioner")
    assert [agent["requestor"] for agent in event["agent"]] == [False, False, True]
    what = {coded(entity["type"])[1]: entity["what"] for entity in event["entity"]}
    assert what["2"]["identifier"] == {"system": f"{BASE}/sid/decision", "value": "1"}
    assert what["1"]["type"] == "Patient"
    assert what["XrequestId"]["identifier"]["value"] == body["hookInstance"]


@pytest.mark.requirement("S-14")
def test_no_event_holds_an_answer_or_names_the_patient(app: FlaskClient) -> None:
    said = response(EMERGENCY, subject={"reference": "Patient/secret-1", "display": "Secret Name"})
    app.post(RESPONSES, json=said, content_type="application/fhir+json")
    context = {"userId": "Practitioner/gp-1", "patientId": "secret-1"}
    send(app, call(said, about={"resourceType": "Patient", "id": "secret-1"}, context=context))

    told = app.get(EVENTS).text

    assert len(events(app)) == 2
    assert "secret-1" not in told
    assert "Secret Name" not in told
    assert "rf-bladder-bowel" not in told
    assert "emergency" not in told


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("kind", ["Patient", "RelatedPerson"])
def test_a_patient_or_relative_who_asks_is_in_the_trail_by_a_hash_only(app: FlaskClient, kind: str) -> None:
    context = {"userId": f"{kind}/secret-1", "patientId": "secret-1"}
    about = {"resourceType": "Patient", "id": "secret-1"}
    said = response(EMERGENCY, subject={"reference": "Patient/secret-1"})
    cards_of(send(app, call(said, about=about, context=context)))

    (event,) = events(app)

    user = event["agent"][2]["who"]
    assert user["type"] == kind
    assert re.fullmatch(f"{kind}/[0-9a-f]{{64}}", user["identifier"]["value"])
    assert "secret-1" not in str(event)


# Each row: why, the user as the client names them, as the records do.
USERS: list[tuple[str, str | None, str]] = [
    ("a practitioner", "Practitioner/gp-1", "Practitioner/gp-1"),
    ("a practitioner in a role", "PractitionerRole/gp-1", "PractitionerRole/gp-1"),
    ("nobody", None, ""),
    ("a patient", "Patient/p1", f"Patient/{hashed(b'key', DEVELOPMENT, 'p1')}"),
    ("a relative", "RelatedPerson/r1", f"RelatedPerson/{hashed(b'key', DEVELOPMENT, 'r1')}"),
]


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("case", USERS, ids=[case[0] for case in USERS])
def test_staff_are_recorded_as_named_and_patients_and_relatives_by_their_hash(
    screening: Screening, tmp_path: Path, case: tuple[str, str | None, str]
) -> None:
    engine = open_store(f"sqlite:///{tmp_path / 'users.sqlite'}")
    service = Deployment((screening,), engine, BASE, development=True, patient_key=b"key")

    recorded = recorded_user(service, DEVELOPMENT, case[1])

    assert recorded == case[2]
    assert valid(audit_event(row(agent=recorded), BASE)) == []
    engine.dispose()


@pytest.mark.requirement("S-14")
def test_each_write_of_a_response_has_its_event_by_the_profile_of_balp(app: FlaskClient) -> None:
    headers = {"X-Request-Id": "6f1ed002-ab59-4a12-8b3d-3c6c1d3e2f0a"}
    created = app.post(RESPONSES, json=response(EMERGENCY), headers=headers, content_type="application/fhir+json")
    address = created.headers["Location"].partition("/_history")[0]
    id_ = address.rpartition("/")[2]
    app.put(address, json=response(EMERGENCY, id=id_), content_type="application/fhir+json")
    app.delete(address)

    deletion, update, creation = events(app)

    for event, profile, version in ((creation, "Create", 1), (update, "Update", 2), (deletion, "Delete", 3)):
        obeys_balp(event, profile)
        (data,) = [entity for entity in event["entity"] if coded(entity["type"]) == (TYPES, "2")]
        assert data["what"] == {"reference": f"QuestionnaireResponse/{id_}/_history/{version}"}
        assert event["agent"][0]["requestor"] is True  # no user is known: the client asked
    assert requests_of(creation) == ["6f1ed002-ab59-4a12-8b3d-3c6c1d3e2f0a"]


def requests_of(event: Event) -> list[str]:
    return [one["what"]["identifier"]["value"] for one in event["entity"] if one["type"]["code"] == "XrequestId"]


# What a client could write there by mistake; none is an id of a call (a UUID, or that of a trace: W3C Trace Context).
NO_IDS = ["123456782", "p.jansen", "bsn-123456782", "19800101", "0123456789abcdef"]


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("id_", NO_IDS)
def test_what_could_be_a_name_or_a_number_of_a_patient_is_not_recorded_as_the_id_of_a_call(
    app: FlaskClient, id_: str
) -> None:
    answer = app.post(
        RESPONSES, json=response(EMERGENCY), headers={"X-Request-Id": id_}, content_type="application/fhir+json"
    )

    (creation,) = events(app)

    assert requests_of(creation) == [answer.headers["X-Request-ID"]]  # the one that the log has as well
    assert id_ not in str(creation)


@pytest.mark.requirement("S-14")
def test_feedback_has_its_event_without_its_words(app: FlaskClient) -> None:
    (card, *_) = cards_of(send(app, call(response(EMERGENCY))))
    reason = {"userComment": "Secret words"}
    entry = {
        "card": card["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": NOON.isoformat(),
        "overrideReason": reason,
    }
    app.post(f"{SERVICE}/feedback", json={"feedback": [entry]})

    feedback, _ = events(app)

    obeys_balp(feedback, "Create")
    assert "Secret" not in str(feedback)


# Each row: why, the row of the trail, the profile, whether a patient and a user are known.
ROWS: list[tuple[str, dict[str, Any], str, bool, bool]] = [
    ("a read by a user", {"action": "R", "agent": "Practitioner/gp-1"}, "Read", True, True),
    ("a read about nobody", {"action": "R", "patient": ""}, "Read", False, False),
    ("a create by a user", {"action": "C", "agent": "https://ehr.example/fhir/Practitioner/1"}, "Create", True, True),
    ("a delete by a user", {"action": "D", "agent": "Practitioner/gp-1"}, "Delete", True, True),
]


def row(**members: Any) -> dict[str, Any]:
    known = {"id": 7, "at": datetime.now(UTC), "client": "hospital-a", "agent": "", "patient": "a1" * 32}
    return (
        known | {"instance": "", "action": "C", "what": "QuestionnaireResponse/1/_history/1", "outcome": "0"} | members
    )


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("case", ROWS, ids=[case[0] for case in ROWS])
def test_every_kind_of_event_obeys_its_profile(case: tuple[str, dict[str, Any], str, bool, bool]) -> None:
    _, members, profile, patient, user = case

    event = audit_event(row(**members), BASE)

    assert valid(event) == []
    obeys_balp(event, profile, patient=patient, user=user)


def test_what_failed_is_not_called_a_success() -> None:
    event = audit_event(row(outcome="4"), BASE)

    assert event["outcome"] == "4"
    assert "profile" not in event["meta"]  # the profiles of BALP are of what succeeded


@pytest.mark.requirement("S-14")
def test_what_the_operator_does_with_a_patient_is_in_the_trail_of_the_client(app: FlaskClient, tmp_path: Path) -> None:
    cards_of(send(app, call(response(EMERGENCY))))
    (decision,) = events(app)
    hashed = next(one["what"]["identifier"]["value"] for one in decision["entity"] if one["type"]["code"] == "1")
    engine = open_store(f"sqlite:///{tmp_path / 'served.sqlite'}")
    export(engine, DEVELOPMENT, [hashed], datetime.now(UTC))
    erase(engine, DEVELOPMENT, [hashed], datetime.now(UTC), user="Practitioner/keeper")

    erased, exported, _ = events(app)

    assert coded(exported["type"]) == (DCM, "110106")
    assert coded(erased["type"]) == (DCM, "110110")
    assert "subtype" not in erased  # nobody asked for it over REST
    assert [coded(agent["type"]["coding"][0])[1] for agent in erased["agent"]] == ["110150", "AUT"]
    assert [agent["requestor"] for agent in exported["agent"]] == [True]


@pytest.mark.requirement("S-14")
@pytest.mark.parametrize("roles", [set(), {"client"}, {"operator"}, {"client", "operator"}], ids=str)
def test_without_the_role_of_auditor_nothing_is_read(screening: Screening, tmp_path: Path, roles: set[Role]) -> None:
    with serving(screening, tmp_path, clients={DEVELOPMENT: Client(roles=frozenset(roles))}) as client:
        for address in (EVENTS, f"{EVENTS}/1", f"{EVENTS}/1/_history/1"):
            refusal_of(client.get(address), 403)
        refusal_of(client.post(f"{EVENTS}/_search", content_type=FORM), 403)


@pytest.mark.requirement("S-14")
def test_an_auditor_reads_the_trail_of_his_own_client_only(screening: Screening, tmp_path: Path) -> None:
    roles: frozenset[Role] = frozenset({"client", "auditor"})
    clients = {name: client.model_copy(update={"roles": roles}) for name, client in CLIENTS.items()}
    client = service_in(screening, tmp_path, clients=clients)
    others: dict[str, Any] = {"key": tokens.OTHER, "iss": "https://other.example"}
    address = f"{tokens.PUBLIC}{SERVICE}"
    called = client.post(SERVICE, json=call(response(EMERGENCY)), headers={"Authorization": bearer(address)})
    assert called.status_code == 200

    found = {
        name: [
            client.get(path, headers={"Authorization": bearer(f"{tokens.PUBLIC}{path}", **who)})
            for path in (EVENTS, f"{EVENTS}/1")
        ]
        for name, who in {"own": {}, "other": others, "tenant": {"tenant": "hospital-a"}}.items()
    }

    assert [answer.status_code for answer in found["own"]] == [200, 200]
    assert found["own"][0].get_json()["total"] == 1
    for name in ("other", "tenant"):
        assert [answer.status_code for answer in found[name]] == [200, 404]
        assert found[name][0].get_json()["total"] == 0


@pytest.mark.requirement("S-14", "R-3")
def test_an_event_is_read_by_its_id_and_never_changes(app: FlaskClient) -> None:
    cards_of(send(app, call(response(EMERGENCY))))
    (event,) = events(app)

    answer = app.get(f"{EVENTS}/{event['id']}")

    assert answer.get_json() == event == app.get(f"{EVENTS}/{event['id']}/_history/1").get_json()
    assert answer.headers["ETag"] == 'W/"1"'
    assert valid(event) == []


@pytest.mark.parametrize("id_", ["2", "0", "x", "-1", "1.0", "999999999999999999999"])
def test_an_event_that_is_not_there_is_not_found(app: FlaskClient, id_: str) -> None:
    cards_of(send(app, call(response(EMERGENCY))))

    refusal_of(app.get(f"{EVENTS}/{id_}"), 404)
    assert events(app, _id=id_) == []


@pytest.mark.requirement("S-14", "R-8")
def test_the_trail_of_one_patient_is_found_by_the_id_that_the_client_knows(app: FlaskClient) -> None:
    cards_of(send(app, call(response(EMERGENCY))))
    other = {"userId": "Practitioner/gp-1", "patientId": "p2"}
    about = {"resourceType": "Patient", "id": "p2"}
    cards_of(send(app, call(response(EMERGENCY, subject={"reference": "Patient/p2"}), about=about, context=other)))

    second, first = events(app)

    assert events(app, patient="Patient/p1") == events(app, patient="p1") == [first]
    assert events(app, patient="Patient/p2") == [second]
    assert events(app, patient="Patient/p3") == []


EHR = "https://ehr.example/fhir"
SECOND = "https://second.example/fhir"
# Each row: why, the patient asked for, the agreed servers, whether the events about Patient/p1 are found. R4, Search,
# reference: an absolute URL is that resource, and no other with the same id.
ASKED: list[tuple[str, str, tuple[str, ...], bool]] = [
    ("the id", "p1", (EHR,), True),
    ("relative", "Patient/p1", (EHR,), True),
    ("on the agreed server", f"{EHR}/Patient/p1", (EHR,), True),
    ("on one of two agreed servers", f"{SECOND}/Patient/p1", (EHR, SECOND), True),
    ("relative, with two agreed servers", "Patient/p1", (EHR, SECOND), True),
    ("on a server of nobody's", "https://evil.example/fhir/Patient/p1", (EHR,), False),
    ("below the agreed server", f"{EHR}/r5/Patient/p1", (EHR,), False),
    ("on a server whose name begins alike", f"{EHR}x/Patient/p1", (EHR,), False),
    ("on a server, where none is agreed", f"{EHR}/Patient/p1", (), False),
]


@pytest.mark.requirement("S-14", "R-8")
@pytest.mark.parametrize("case", ASKED, ids=[case[0] for case in ASKED])
def test_the_trail_is_that_of_a_patient_on_the_agreed_servers(
    screening: Screening, tmp_path: Path, case: tuple[str, str, tuple[str, ...], bool]
) -> None:
    _, patient, servers, found = case
    clients = {DEVELOPMENT: Client(roles=frozenset({"client", "auditor"}), fhir_servers=servers)}
    with serving(screening, tmp_path, clients=clients) as client:
        cards_of(send(client, call(response(EMERGENCY))))

        assert bool(events(client, patient=patient)) is found


@pytest.fixture(name="trail", scope="module")
def _trail(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlaskClient]:
    """A trail of one event on each of ten days: `day-0` at 12:30:15 today, `day-1` the day before."""
    folder = tmp_path_factory.mktemp("trail")
    with serving(screening, folder) as client:
        engine = open_store(f"sqlite:///{folder / 'served.sqlite'}")
        for back in reversed(range(10)):
            note(engine, Act(DEVELOPMENT, NOON - timedelta(days=back), instance=f"day-{back}"), "R", "decision/1")
        yield client


def days(found: list[Event]) -> list[str]:
    return [event["entity"][-1]["what"]["identifier"]["value"].removeprefix("day-") for event in found]


# Each row: why, the date parameters (prefix, how many days back, the form of the date), the days found.
DATES: list[tuple[str, list[tuple[str, int, str]], str]] = [
    ("one day", [("", 3, "%Y-%m-%d")], "3"),
    ("one day, said so", [("eq", 3, "%Y-%m-%d")], "3"),
    ("from a day on", [("ge", 2, "%Y-%m-%d")], "0 1 2"),
    ("after a day", [("gt", 2, "%Y-%m-%d")], "0 1"),
    ("starting after a day", [("sa", 2, "%Y-%m-%d")], "0 1"),
    ("up to a day", [("le", 7, "%Y-%m-%d")], "7 8 9"),
    ("before a day", [("lt", 7, "%Y-%m-%d")], "8 9"),
    ("ending before a day", [("eb", 7, "%Y-%m-%d")], "8 9"),
    ("between two days", [("ge", 5, "%Y-%m-%d"), ("lt", 3, "%Y-%m-%d")], "4 5"),
    ("at a second", [("eq", 4, "%Y-%m-%dT12:30:15Z")], "4"),
    ("from a second on", [("ge", 4, "%Y-%m-%dT12:30:15Z")], "0 1 2 3 4"),
    ("after a second", [("gt", 4, "%Y-%m-%dT12:30:15Z")], "0 1 2 3"),
    ("before a second", [("lt", 4, "%Y-%m-%dT12:30:15Z")], "5 6 7 8 9"),
    ("in another zone", [("lt", 8, "%Y-%m-%dT14:30:15+02:00")], "9"),
    ("a minute", [("eq", 4, "%Y-%m-%dT12:30Z")], "4"),
    ("at another second", [("eq", 4, "%Y-%m-%dT12:30:16Z")], ""),
]


@pytest.mark.requirement("S-14", "R-8")
@pytest.mark.parametrize("case", DATES, ids=[case[0] for case in DATES])
def test_events_are_found_by_their_time(trail: FlaskClient, case: tuple[str, list[tuple[str, int, str]], str]) -> None:
    _, wanted, found = case

    query = urlencode(
        [("date", prefix + (NOON - timedelta(days=back)).strftime(form)) for prefix, back, form in wanted]
    )

    assert days(events(trail, query)) == found.split()


# Each row: why, the date, how many of the ten events are found.
ENDS_OF_TIME: list[tuple[str, str, int]] = [
    ("before the first day", "lt0001-01-01", 0),
    ("before the first year", "lt0001", 0),
    ("ending before the first year", "eb0001", 0),
    ("before the first second", "lt0001-01-01T00:00:00Z", 0),
    ("up to the first year", "le0001", 0),
    ("after the first year", "gt0001", 10),
    ("from the first day on", "ge0001-01-01", 10),
    ("before the last day but one", "lt9999-12-30", 10),
    ("after the last day but one", "gt9999-12-30", 0),
]


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("case", ENDS_OF_TIME, ids=[case[0] for case in ENDS_OF_TIME])
def test_a_search_at_the_ends_of_time_is_answered(trail: FlaskClient, case: tuple[str, str, int]) -> None:
    assert len(events(trail, date=case[1])) == case[2]


@pytest.mark.requirement("R-8")
def test_the_pages_of_a_search_hold_every_event_once(trail: FlaskClient) -> None:
    found, address = list[Event](), f"{EVENTS}?_count=4"
    while address:
        bundle = trail.get(address).get_json()
        assert valid(bundle) == []
        assert bundle["total"] == 10
        found += [entry["resource"] for entry in bundle["entry"]]
        assert len(found) <= 10
        address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")

    assert days(found) == list("0123456789")


@pytest.mark.requirement("S-14", "R-8")
def test_no_event_comes_twice_though_others_are_added_meanwhile(app: FlaskClient, tmp_path: Path) -> None:
    """An auditor who counts would count it twice."""
    engine, seen, address = open_store(f"sqlite:///{tmp_path / 'served.sqlite'}"), list[str](), f"{EVENTS}?_count=2"
    for back in reversed(range(5)):
        note(engine, Act(DEVELOPMENT, NOON - timedelta(days=back), instance=f"day-{back}"), "R", "decision/1")
    while address:
        bundle = app.get(address).get_json()
        seen += days([entry["resource"] for entry in bundle["entry"]])
        note(engine, Act(DEVELOPMENT, NOON + timedelta(hours=1), instance="day-new"), "R", "decision/1")
        address = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    engine.dispose()

    assert seen == list("01234")


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("after", ["3", "1.x", "1.1.1", "-1.1", "9" * 18 + ".1", "1." + "9" * 30])
def test_a_place_that_no_search_of_events_gave_is_refused(after: str, trail: FlaskClient) -> None:
    assert "follow the next link" in refusal_of(trail.get(EVENTS, query_string={"_after": after}), 400)


@pytest.mark.requirement("R-8")
def test_a_search_by_post_and_a_count_alone_work(trail: FlaskClient) -> None:
    posted = trail.post(f"{EVENTS}/_search", data={"_count": "2"}, content_type=FORM).get_json()
    counted = trail.get(f"{EVENTS}?_summary=count").get_json()

    assert [entry["search"]["mode"] for entry in posted["entry"]] == ["match", "match"]
    assert counted["total"] == 10
    assert "entry" not in counted


# Each row: why the search cannot be understood, its query.
WRONG: list[tuple[str, str]] = [
    ("a date that is none", "date=yesterday"),
    ("a day that is not there", "date=2026-02-30"),
    ("the last day, whose end is no moment that there is", "date=gt9999-12-31"),
    ("a prefix that is not known", "date=ne2026-11-22"),
    ("approximately", "date=ap2026-11-22"),
    ("two dates in one", "date=2026-11-22,2026-11-23"),
    ("a patient that is no reference", "patient=Group/1"),
    ("a patient twice", "patient=p1&patient=p2"),
    ("a modifier", "patient:missing=true"),
    ("a page that is none", "_count=many"),
]


@pytest.mark.requirement("R-8")
@pytest.mark.parametrize("case", WRONG, ids=[case[0] for case in WRONG])
def test_a_search_that_cannot_be_understood_is_refused(trail: FlaskClient, case: tuple[str, str]) -> None:
    refusal_of(trail.get(f"{EVENTS}?{case[1]}"), 400)


@pytest.mark.parametrize("method", ["post", "put", "delete", "patch"])
def test_nobody_writes_the_trail(trail: FlaskClient, method: str) -> None:
    for address in (EVENTS, f"{EVENTS}/1"):
        answer: TestResponse = getattr(trail, method)(address, json={"resourceType": "AuditEvent", "id": str(uuid4())})
        assert answer.status_code in (404, 405)

    assert len(events(trail)) == 10
