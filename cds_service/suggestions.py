"""What a clinician can do with a card: suggestions, reasons to override it, links; and annotations of signed orders.

Source: CDS Hooks 2.0.1 and 3.0 ballot, "Suggestion", "Action", "Link", "System Action".
"""

from collections.abc import Sequence
from functools import lru_cache
from urllib.parse import quote

from cds_content.card_shapes import Card, Link, Suggestion
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.templates import Template, template
from cds_service import strict_json
from cds_service.advice import Advice, Fired, says
from cds_service.dates import instant
from cds_service.details import Call, places
from cds_service.orders import Order
from cds_service.resources import can_be_sent, dicts

MOST_ANNOTATED = 20  # responses; each is written into each order


def actions(
    screening: Screening, card: Card, reasons: Sequence[str], advice: Advice, fired: Sequence[Fired], call: Call
) -> Json:
    """The members suggestions, selectionBehavior, overrideReasons and links; those that there are.

    `reasons` are the codes of the override reasons. Without a patient nothing can be suggested.
    """
    filled = _resource_places(screening, advice, fired, call)
    shown = [one for one in card.suggestion if not (call.gp and "gp" in one.not_for)] if call.patient else []
    members: Json = {
        "suggestions": [_suggestion(screening, one, filled, call) for one in shown],
        "selectionBehavior": "at-most-one" if shown else "",
        "overrideReasons": [screening.coding("override-reasons", code, call.language) for code in reasons],
        "links": [_link(screening, screening.texts.link[name], call) for name in dict.fromkeys(card.links)],
    }
    return {name: value for name, value in members.items() if value}


def annotations(screening: Screening, orders: Sequence[Order], advice: Advice, language: str) -> list[Json]:
    """System actions that add the responses used to the orders judged, each order whole; none where they are there.

    An order that cannot be given back as it came, or a screening of very many responses, is left alone.
    """
    used, updates = _references(advice), []
    for order in orders if len(used) <= MOST_ANNOTATED else ():
        words, there = screening.orders[order.kind].annotation, order.resource.get("supportingInfo", [])
        sound = isinstance(there, list) and isinstance(order.resource.get("id"), str) and can_be_sent(order.resource)
        known = {str(one.get("reference")).partition("/_history/")[0] for one in dicts(there)}
        new = [{"reference": one} for one in used if not any(f"/{name}".endswith(f"/{one}") for name in known)]
        if words and new and sound:
            resource = order.resource | {"supportingInfo": [*there, *new]}
            updates.append({"type": "update", "description": words[language], "resource": resource})
    return updates


def _references(advice: Advice) -> list[str]:
    """The responses behind the advice that are known to be this patient's."""
    ours = [reading for reading in advice.readings if "no-subject" not in reading.doubts]
    return list(dict.fromkeys(reading.reference for reading in ours if reading.reference))


def _suggestion(screening: Screening, suggestion: Suggestion, filled: Json, call: Call) -> Json:
    created = [_create(screening, name, suggestion.priority, filled, call.language) for name in suggestion.resources]
    choice = {"actionSelectionBehavior": suggestion.choose} if call.choices and suggestion.choose else {}
    return {"label": suggestion.label[call.language], "uuid": call.new_uuid(), "actions": created} | choice


def _link(screening: Screening, link: Link, call: Call) -> Json:
    """Where our app can be launched, its link; the form stands in its URL, too, for EHRs that lose an appContext."""
    smart = link.smart if call.smart else None
    label, url = (smart or link).label[call.language], (smart or link).url.replace("{public}", call.public)
    if not smart:
        return {"label": label, "url": url, "type": "absolute"}
    context = strict_json.write({"questionnaire": screening.canonical}).decode()
    named = url.replace("{questionnaire}", quote(screening.canonical, safe=""))
    return {"label": label, "url": named, "type": "smart", "appContext": context}


def _create(screening: Screening, name: str, priority: str, places: Json, language: str) -> Json:
    resource = _templates(screening, name, language)(places)
    urgent = {"priority": priority} if priority and resource["resourceType"] == "ServiceRequest" else {}
    action = screening.texts.resource[name].action[language]
    return {"type": "create", "description": action, "resource": resource | urgent}


def _made_ready(screening: Screening, name: str, language: str) -> Template:
    return template(screening.texts.resource[name].body, language)


_templates = lru_cache(maxsize=1024)(_made_ready)  # resources in each language; some more than are ever loaded


def _resource_places(screening: Screening, advice: Advice, fired: Sequence[Fired], call: Call) -> Json:
    noted = {**places(screening, call.language), "rows": ", ".join(advice.rows) or "–"}
    return {
        "patient": call.patient,
        "questionnaire": screening.canonical,
        "now": instant(call.now),
        "requester": {"reference": call.user} if call.user else None,
        "encounter": {"reference": f"Encounter/{call.encounter}"} if call.encounter else None,
        "reason-codes": _reason_codes(screening, advice, fired, call.language),
        "responses": [{"reference": reference} for reference in _references(advice)],
        "note": [{"text": screening.words.response["note"][call.language].format_map(noted)}],
    }


def _reason_codes(screening: Screening, advice: Advice, fired: Sequence[Fired], language: str) -> list[Json]:
    """The complaint, unless it was denied, and each reason of the card with its codes."""
    denied = any(says(screening, reading, "out_of_scope") for reading in advice.readings)
    complaint = [] if denied else [{"coding": [screening.codes[screening.texts.reason_code]]}]
    coded = [([screening.codes[code] for code in one.finding.codes], one.finding.reason[language]) for one in fired]
    return complaint + [({"coding": coding} if coding else {}) | {"text": text} for coding, text in coded]
