"""The request of a hook: its context, and the prefetch that the service's own templates ask for.

Source: CDS Hooks 2.0.1, "HTTP Request", "Prefetch Template" and the pages of the hooks.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import uuid4

from cds_content.shapes import Json
from cds_service.errors import BadRequest, NotFound
from cds_service.sandbox.records import KINDS, Page, Records
from cds_service.sandbox.shapes import PRACTITIONER, Chart, Person

_TOKEN = re.compile(r"\{\{\s*([A-Za-z.]+)\s*\}\}")
_OWN = ".questionnaire-response"  # the end of the name of the hook for a response in hand
_STAFFED = ("encounter-start", "order-select", "order-sign", "problem-list-item-create")  # no patient is their user
_USERS = ("Practitioner", "PractitionerRole", "Patient", "RelatedPerson")


def context_of(hook: str, person: Person, more: Json) -> Json:
    """The context of this hook; `more` are the members that only it has."""
    context = {"userId": user_of(hook, person), "patientId": person.id}
    return context | ({"encounterId": person.encounter} if hook == "encounter-start" else {}) | more


def user_of(hook: str, person: Person) -> str:
    """Who is at work when this hook is called: staff where its page wants staff, also if a patient has the chart."""
    by_patient = not person.user.startswith("Practitioner")
    return f"Practitioner/{PRACTITIONER}" if hook in _STAFFED and by_patient else person.user


def in_hand(hook: str, chart: Chart, problem: Json) -> Json:
    """The members of the context that only this hook has; `problem` is a new one.

    Raises NotFound where the patient has nothing of the kind.
    """
    drafts = chart.drafts
    if hook in ("order-select", "order-sign"):
        chosen = (
            {"selections": [f"ServiceRequest/{one['id']}" for one in drafts[-1:]]} if hook == "order-select" else {}
        )
        return chosen | {"draftOrders": collection(_some(drafts, "draft order; order something first"))}
    if hook == "appointment-book":
        found = [one for one in chart.appointments if one.get("status") == "proposed"]
        return {"appointments": collection(_some(found, "proposed appointment; book one first"))}
    if hook == "problem-list-item-create":
        return {"conditions": collection([problem | {"id": str(uuid4())}])}
    if hook.endswith(_OWN):
        return {"questionnaireResponse": _some(chart.responses, "response; fill in the form first")[0]}
    return {}


def collection(resources: Sequence[Json]) -> Json:
    """The Bundle in which a context holds resources."""
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": one} for one in resources]}


def searchset(page: Page, base: str, kind: str, asked: Mapping[str, str]) -> Json:
    """The Bundle of a search. Its self link says what was searched for; there is one to the next part, if any."""
    entries = [{"fullUrl": f"{base}/{kind}/{one['id']}", "resource": one} for one in page.found]
    pages = {"self": dict(asked)} | ({"next": {**asked, "_offset": page.following}} if page.following else {})
    link = [{"relation": name, "url": f"{base}/{kind}?{urlencode(query)}"} for name, query in pages.items()]
    bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": page.total, "link": link}
    return bundle | ({"entry": entries} if entries else {})


def prefetched(records: Records, service: Json, context: Json, base: str) -> Json:
    """The value of every prefetch key that can be had; null for a resource that is not there.

    A template with a token that has no value, or a search that this server does not know, is left out: a service has to
    expect that.
    """
    templates = service.get("prefetch")
    found: Json = {}
    for key, template in templates.items() if isinstance(templates, dict) else ():
        query = _query(template, context)
        if query is not None:
            found |= _value(records, key, query, context["patientId"], base)
    return found


def _some(found: Sequence[Json], wanted: str) -> Sequence[Json]:
    if not found:
        raise NotFound(f"this patient has no {wanted}")
    return found


def _query(template: Any, context: Json) -> str | None:
    """The template with its tokens filled in; None where one has no value."""
    if not isinstance(template, str):
        return None
    kind, _, id_ = str(context["userId"]).partition("/")
    values = {f"context.{name}": value for name, value in context.items() if isinstance(value, str)}
    values |= {f"user{kind}Id": id_} if kind in _USERS else {}
    if not all(name in values for name in _TOKEN.findall(template)):
        return None
    return _TOKEN.sub(lambda found: values[found[1]], template)


def _value(records: Records, key: str, query: str, patient: str, base: str) -> Json:
    path, _, asked = query.partition("?")
    kind, _, id_ = path.partition("/")
    pairs = parse_qsl(asked, keep_blank_values=True)
    if kind not in KINDS or len(dict(pairs)) < len(pairs):
        return {}
    try:
        if id_:
            return {key: records.read(kind, id_, patient)}
        return {key: searchset(records.search(patient, kind, dict(pairs)), base, kind, dict(pairs))}
    except NotFound:
        return {key: None}
    except BadRequest:
        return {}
