"""Writes examples/<screening>/<name>.json from examples/<screening>.toml: `python -m tests.example_files`.

What must be answered was written down by the service itself; rows, cards and status stand in the TOML file by hand, and
tests/test_scenarios.py compares indicators and summaries with the decision table.
"""

import json
import re
import shutil
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from uuid import NAMESPACE_URL, uuid5
from zlib import crc32

from flask.testing import FlaskClient

from cds_content.files import PUBLISHED_BASE
from cds_content.loading import load
from cds_content.screening import Screening
from cds_service.scenarios import filled_in
from tests.conftest import ROOT
from tests.wire import serving

Json = dict[str, Any]
LANGUAGES = ("nl", "en")
EXAMPLES = ROOT / "examples"
SYNTHETIC = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
_LEFT_OUT = {"uuid", "authoredOn", "created", "version", "hash"}
_DATE = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d))?")
_VERSION = re.compile(r"((?:[Rr]egelset|[Rr]ule set) |\||%7C)\d+\.\d+\.\d+|((?:[Ii]nhoud|[Cc]ontent) )[0-9a-f]{12}\b")
_AGE = re.compile(r"((?:leeftijd|age) – )\d+(?:–\d+)?")  # of a year of birth: on the last day of a year it is one
_PUBLIC = "http://127.0.0.1:8080"


def source(screening: str) -> Json:
    """The TOML file of a screening's scenarios."""
    return tomllib.loads((EXAMPLES / f"{screening}.toml").read_text("utf-8"))


def written(screening: Screening, client: FlaskClient) -> Iterator[Json]:
    """Every scenario, whole."""
    told = source(screening.name)
    for name, scenario in told["scenario"].items():
        yield _scenario(screening, client, told, name, scenario)


def text(scenario: Json) -> str:
    """As it stands in its file."""
    return json.dumps(scenario, ensure_ascii=False, indent=2) + "\n"


def comparable(value: Any) -> Any:
    """An answer without what differs from day to day and from version to version: uuids, dates, versions, hashes.

    {date}, {age}, {version} and {public}, the address of the service, stand in texts instead.
    """
    if isinstance(value, dict):
        return {name: comparable(part) for name, part in value.items() if name not in _LEFT_OUT}
    if isinstance(value, list):
        return [comparable(part) for part in value]
    return _steady(value) if isinstance(value, str) else value


def _steady(text_: str) -> str:
    aged = _AGE.sub(r"\1{age}", _DATE.sub("{date}", text_))
    return _VERSION.sub(r"\1\2{version}", aged).replace(_PUBLIC, "{public}")


def answered(client: FlaskClient, service: str, request: Json, language: str) -> tuple[int, Json]:
    """Status and comparable body of a call with its times filled in."""
    body = filled_in(request, datetime.now(UTC), PUBLISHED_BASE)
    answer = client.post(f"/cds-services/{service}", json=body, headers={"Accept-Language": language})
    return answer.status_code, comparable(answer.get_json())


def _scenario(screening: Screening, client: FlaskClient, told: Json, name: str, scenario: Json) -> Json:
    kind, service = scenario.get("kind", "row"), f"{told['service']}-{scenario.get('hook', 'patient-view')}"
    hook, request = screening.services[service].hook, _request(screening, told, name, scenario)
    clicked = kind == "row" and not scenario.get("orders")
    return {
        "name": name,
        "kind": kind,
        "title": scenario["title"],
        "reason": scenario["reason"],
        "service": service,
        "answers": _said(told["calm"], scenario.get("answers", {})) if clicked else {},
        "rows": scenario.get("rows", []),
        "cards": scenario["cards"],
        "status": scenario.get("status", 200),
        "request": {"hook": hook} | request,
        "response": {
            language: answered(client, service, {"hook": hook} | request, language)[1] for language in LANGUAGES
        },
    }


def _said(calm: Json, answers: Json) -> Json:
    return {link_id: answer for link_id, answer in (calm | answers).items() if answer != "-"}


def _request(screening: Screening, told: Json, name: str, scenario: Json) -> Json:
    responses = [_response(screening, told, name, scenario, *one) for one in enumerate(_responses(scenario))]
    user = f"{scenario['user']}/{name}" if "user" in scenario else "Practitioner/synthetic-gp"
    context: Json = {"userId": user, "patientId": name}
    prefetch: Json = {"patient": _patient(told, name, scenario)}
    in_hand = scenario.get("hook") == "questionnaire-response"
    if in_hand:
        context["questionnaireResponse"] = responses[0]
    else:
        prefetch["responses"] = _bundle("searchset", *responses)
        prefetch["conditions"] = _bundle("searchset", _condition(screening, name)) if _is_known(scenario) else None
    _about(screening, told, name, scenario, context, prefetch)
    instance = str(uuid5(NAMESPACE_URL, f"{screening.name}/{name}"))
    request = {"hookInstance": instance, "context": context, "prefetch": prefetch}
    for change in scenario.get("change", []):
        _change(request, change["at"].split("."), change.get("json"))
    return request


def _about(screening: Screening, told: Json, name: str, scenario: Json, context: Json, prefetch: Json) -> None:
    """What the hook is about: orders, an appointment, a new problem, a visit."""
    hook, orders = scenario.get("hook"), [(one, told["order"][one]) for one in scenario.get("orders", [])]
    if hook in ("order-select", "order-sign"):
        context["draftOrders"] = _bundle("collection", *(_order(screening, name, *one) for one in orders))
    if hook == "order-select":
        context["selections"] = [f"ServiceRequest/{orders[0][0]}"]
    if hook == "appointment-book":
        context["appointments"] = _bundle("collection", *(_appointment(screening, name, *one) for one in orders))
    if hook == "problem-list-item-create":
        context["conditions"] = _bundle("collection", _condition(screening, name))
    if hook == "encounter-start":
        context["encounterId"] = f"{name}-visit"
        prefetch["encounter"] = _encounter(screening, name)


def _is_known(scenario: Json) -> bool:
    known: bool = scenario.get("complaint", True)
    return known


def _responses(scenario: Json) -> list[Json]:
    listed: list[Json] = scenario.get("responses", [{}])
    return listed


def _patient(told: Json, name: str, scenario: Json) -> Json:
    people, drawn = told["people"], crc32(name.encode())
    given = people["given"][drawn % len(people["given"])]
    family = people["family"][drawn // 64 % len(people["family"])]
    born = scenario.get("born", f"{{years-{scenario.get('age', 40)}-30d}}")
    return {
        "resourceType": "Patient",
        "id": name,
        "meta": {"tag": [SYNTHETIC]},
        "name": [{"text": f"{given} {family} (verzonnen)", "family": family, "given": [given]}],
        "birthDate": born,
    }


def _response(screening: Screening, told: Json, name: str, scenario: Json, number: int, differs: Json) -> Json:
    said = _said(told["calm"], scenario.get("answers", {}) | differs.get("answers", {}))
    resource = {
        "resourceType": "QuestionnaireResponse",
        "id": f"{name}-response" + (f"-{number + 1}" if number else ""),
        "questionnaire": screening.canonical,
        "status": "completed",
        "subject": {"reference": f"Patient/{name}"},
        "authored": "{now-2h}",
        "source": {"reference": f"Patient/{name}"},
        "item": _items(screening, said),
    }
    members = {member: value for member, value in differs.items() if member != "answers"}
    return {member: value for member, value in (resource | members).items() if value != "-"}


def _items(screening: Screening, said: Json) -> list[Json]:
    """In the order of the form, which is how a form filler writes them; answers of no question come last."""
    order = [*screening.questions, *(link for link in said if link not in screening.questions)]
    return [{"linkId": link, "answer": _answers(screening, link, said[link])} for link in order if link in said]


def _answers(screening: Screening, link_id: str, said: Any) -> list[Json]:
    return [_value(screening, link_id, one) for one in (said if isinstance(said, list) else [said])]


def _value(screening: Screening, link_id: str, said: Any) -> Json:
    if isinstance(said, str):
        return {"valueCoding": {"system": screening.questions[link_id].system, "code": said}}
    return {"valueInteger": said} if isinstance(said, int) else dict(said)


def _coding(screening: Screening) -> Json:
    known = screening.texts.known_by[0]
    return {"system": known.system, "code": known.code}


def _condition(screening: Screening, name: str) -> Json:
    status = {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
    return {
        "resourceType": "Condition",
        "id": f"{name}-problem",
        "clinicalStatus": {"coding": [status]},
        "code": {"coding": [_coding(screening)]},
        "subject": {"reference": f"Patient/{name}"},
    }


def _encounter(screening: Screening, name: str) -> Json:
    return {
        "resourceType": "Encounter",
        "id": f"{name}-visit",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{name}"},
        "reasonCode": [{"coding": [_coding(screening)]}],
    }


def _order(screening: Screening, name: str, id_: str, coding: Json) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "id": id_,
        "status": "draft",
        "intent": "order",
        "subject": {"reference": f"Patient/{name}"},
        "code": {"coding": [coding]},
        "reasonCode": [{"coding": [_coding(screening)]}],
    }


def _appointment(screening: Screening, name: str, id_: str, coding: Json) -> Json:
    return {
        "resourceType": "Appointment",
        "id": id_,
        "status": "proposed",
        "serviceType": [{"coding": [coding]}],
        "reasonCode": [{"coding": [_coding(screening)]}],
        "participant": [{"actor": {"reference": f"Patient/{name}"}, "status": "needs-action"}],
    }


def _bundle(kind: str, *resources: Json) -> Json:
    entry = [{"resource": one} for one in resources]
    return {"resourceType": "Bundle", "type": kind} | ({"entry": entry} if entry else {})


def _change(request: Json, path: list[str], value: str | None) -> None:
    """Writes the JSON at the path, "+" being the end of an array; without JSON, leaves the member out."""
    parent: Any = request
    for step in path[:-1]:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    last = path[-1]
    if value is None:
        del parent[last]
    elif last == "+":
        parent.append(json.loads(value))
    else:
        parent[int(last) if isinstance(parent, list) else last] = json.loads(value)


def write() -> None:
    """Writes the files anew, and takes away those whose scenario is gone."""
    for screening in load(ROOT):
        with TemporaryDirectory() as folder, serving(screening, Path(folder), scenarios=tuple) as client:
            files = {f"{one['name']}.json": text(one) for one in written(screening, client)}
        shutil.rmtree(EXAMPLES / screening.name, ignore_errors=True)
        (EXAMPLES / screening.name).mkdir()
        for name, content in files.items():
            (EXAMPLES / screening.name / name).write_text(content, "utf-8")


if __name__ == "__main__":
    write()
