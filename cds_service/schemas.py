"""JSON Schemas of what is sent, made from the models of hooks and feedback, and the services.

What the models do not say is given as `said`, the content of contract.json. Sources: JSON Schema 2020-12; CDS Hooks
2.0.1 and 3.0 ballot, the pages of the hooks.
"""

import re
from collections.abc import Iterator

from pydantic import BaseModel

from cds_content.card_shapes import Service
from cds_content.shapes import Json
from cds_content.templates import fill
from cds_service.feedback import Entry
from cds_service.hooks import HOOKS, Context, Hook, HookRequest, catalogued

# What pydantic means by \S: the patterns of JSON Schema are those of ECMA 262, which has other blanks.
NOT_BLANK = r"[^\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
_NULL = {"type": "null"}
_NO_STAFF = "|Patient|RelatedPerson"  # what the pattern of a user says beyond staff


def kind(service: Service) -> Hook:
    """What the page of the service's hook says."""
    return HOOKS[catalogued(service.hook)]


def members(service: Service) -> list[str]:
    """The members of the context of the service's hook, needed or not."""
    hook = kind(service)
    aliases = [str(field.alias) for field in Context.model_fields.values()]
    return [name for name in aliases if name in (*hook.needs, *hook.may)]


def call(service: Service, said: Json) -> dict[str, Json]:
    """The schema of a call to this service, under the name of its hook, and those that it refers to."""
    parts = _model(HookRequest, "Call", said["members"])
    request, context = parts.pop("CallHookRequest"), parts.pop("CallContext")
    sent: Json = request["properties"]
    sent["hook"] |= {"const": service.hook}
    sent["context"] = {"description": said["members"]["context"], **_context(service, context["properties"], said)}
    sent["prefetch"]["anyOf"][0]["properties"] = dict(_prefetch(service, said))
    kinds = {_resource(template) for template in service.prefetch.values()}
    needed = {f"{one}Alone": fill(said["requests"]["alone"], {"kind": one}, "en") for one in sorted(kinds)}
    return {service.hook: request | said["requests"]["fhirAuthorization"]} | parts | needed


def feedback(said: Json) -> dict[str, Json]:
    """The schema of a feedback call, under the name Feedback, and those that it refers to; nothing may be null."""
    parts = _model(Entry, "Feedback", said["members"], null=False)
    parts["FeedbackEntry"] |= said["requests"]["outcome"]
    parts["FeedbackEntry"]["properties"]["outcomeTimestamp"] |= said["requests"]["outcomeTimestamp"]
    parts["FeedbackOverrideReason"] |= said["requests"]["overrideReason"]
    return {"Feedback": said["requests"]["feedback"], **parts}


def _model(model: type[BaseModel], prefix: str, words: Json, *, null: bool = True) -> dict[str, Json]:
    """The schemas of a model and of those in it, each under `prefix` and its name."""
    whole = model.model_json_schema(ref_template=f"#/components/schemas/{prefix}{{model}}")
    parts = whole.pop("$defs", {}) | {model.__name__: whole}
    return {f"{prefix}{name}": _written(schema, words, null=null) for name, schema in parts.items()}


def _written(schema: Json, words: Json, *, null: bool) -> Json:
    """The schema in our words instead of those of the code, without defaults, and without null where it is refused."""
    kept = {name: part for name, part in schema.items() if name not in ("title", "default", "description")}
    choices = [one for one in kept.pop("anyOf", []) if null or one != _NULL]
    kept |= choices[0] if len(choices) == 1 else {"anyOf": choices} if choices else {}
    if kept.get("pattern") == r"\S":
        kept["pattern"] = NOT_BLANK
    if "properties" in kept:
        parts = {name: _written(part, words, null=null) for name, part in kept["properties"].items()}
        kept["properties"] = {name: {"description": words[name], **part} for name, part in parts.items()}
    return kept


def _context(service: Service, known: Json, said: Json) -> Json:
    """The context of one hook. Members of other hooks are not in it."""
    hook = kind(service)
    properties = {name: _given(known[name]) if name in hook.needs else known[name] for name in members(service)}
    if hook.staff:
        pattern = properties["userId"]["pattern"].replace(_NO_STAFF, "")
        properties["userId"] |= {"description": said["members"]["staff"], "pattern": pattern}
    if "questionnaireResponse" in properties:
        properties["questionnaireResponse"] |= said["requests"]["questionnaireResponse"]
    return {"type": "object", "required": list(hook.needs), "properties": properties}


def _given(member: Json) -> Json:
    """A member that may not be null."""
    choices = [one for one in member["anyOf"] if one != _NULL]
    return {"description": member["description"], **(choices[0] if len(choices) == 1 else {"anyOf": choices})}


def _prefetch(service: Service, said: Json) -> Iterator[tuple[str, Json]]:
    """The prefetch keys. Where the hook is about orders they are read only when one is judged, so all is valid."""
    for key, template in service.prefetch.items():
        shape = said["requests"]["unread" if kind(service).about else "prefetched"]
        yield key, fill(shape, {"kind": _resource(template), "template": template}, "en")


def _resource(template: str) -> str:
    """The type of resource that a prefetch template asks for."""
    return re.split(r"[/?]", template)[0]
