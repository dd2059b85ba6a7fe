"""A plausible call of a service, made from the definition of its hook and from its prefetch templates.

One invented patient, for whom every search finds nothing. Sources: the pages of the CDS Hooks library; CDS Hooks 2.0.1,
"Prefetch Template".
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cds_content.shapes import Json
from cds_content.templates import fill
from cds_service.conformance.asking import new_instance

_SAID: Json = tomllib.loads(Path(__file__).with_name("hooks.toml").read_text("utf-8"))
HOOKS: Mapping[str, Json] = _SAID["hooks"]
PATIENT: str = _SAID["places"]["patient"]
TOKEN = re.compile(r"\{\{(.*?)\}\}")
_USER_IDS = {
    "userPractitionerId": "Practitioner",
    "userPractitionerRoleId": "PractitionerRole",
    "userPatientId": "Patient",
    "userRelatedPersonId": "RelatedPerson",
}
USER_TOKENS = tuple(_USER_IDS)
NOTHING: Json = {"resourceType": "Bundle", "type": "searchset", "total": 0}


def made(service: Json) -> Json | None:
    """A call of the service as discovery lists it; None where nothing is known about the context of its hook."""
    hook = HOOKS.get(service["hook"], {})
    if "context" not in hook:
        return None
    context = fill(hook["context"], _SAID["places"] | _bundles(), "en")
    body = {"hook": service["hook"], "hookInstance": new_instance(), "context": context}
    prefetch = _prefetch(service, context)
    return body | ({"prefetch": prefetch} if prefetch else {})


def templates(service: Json) -> dict[str, str]:
    """The prefetch templates of a service, by key; what is no text is left out."""
    listed = service.get("prefetch")
    pairs = listed.items() if isinstance(listed, dict) else ()
    return {key: text for key, text in pairs if isinstance(text, str)}


def searches(template: str) -> bool:
    """Whether the template asks for a list, not for one instance."""
    return "?" in template


def filled(template: str, context: Json) -> str | None:
    """The template with its tokens replaced; None where one has no value in this context."""
    values = {f"context.{name}": value for name, value in context.items() if isinstance(value, str)}
    type_, _, id_ = str(context.get("userId", "")).partition("/")
    values |= {token: id_ for token, of in _USER_IDS.items() if of == type_}
    names = [name.strip() for name in TOKEN.findall(template)]
    return TOKEN.sub(lambda found: values[found[1].strip()], template) if all(n in values for n in names) else None


def _prefetch(service: Json, context: Json) -> Json:
    """A value for every key; a key whose instance cannot be named is left out, as a client does."""
    values = {key: _value(template, context) for key, template in templates(service).items()}
    return {key: value for key, value in values.items() if value is not None}


def _value(template: str, context: Json) -> Any:
    if searches(template):
        return dict(NOTHING)
    type_, _, id_ = (filled(template, context) or "").partition("/")
    if not id_:
        return None
    return {"resourceType": type_, "id": id_, **fill(_SAID["instances"].get(type_, {}), _SAID["places"], "en")}


def _bundles() -> Json:
    resources = fill(_SAID["bundles"], _SAID["places"], "en")
    return {
        name: {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
        for name, resource in resources.items()
    }
