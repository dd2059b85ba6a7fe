"""What a call is changed into, one thing at a time, to see what the service says of it."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cds_content.shapes import Json
from cds_service.conformance.asking import JSON, new_instance
from cds_service.conformance.bodies import HOOKS, NOTHING, PATIENT, TOKEN, searches, templates

PLAIN = "as it is"
AGAIN = "the same again"
_FAILED: Json = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": "timeout"}]}
_FOREIGN = "conformance-somebody-else"
_TOKEN: Json = {"access_token": "none", "token_type": "Bearer", "expires_in": 300, "scope": "none", "subject": "none"}
_EXTRA = {"conformanceFutureField": {"of": "a later version"}}


@dataclass(frozen=True)
class Probe:
    """A call that differs in one thing; `change` gives its body, or None where the service has nothing to change."""

    name: str
    change: Callable[[Json, Json], Any]
    media: str = JSON


def without(*path: str) -> Callable[[Json, Json], Any]:
    """Leaves one member out."""
    return lambda body, _: _changed(body, path) if _holds(body, path) else None


def with_(value: Any, *path: str) -> Callable[[Json, Json], Any]:
    """Gives one member another value."""
    return lambda body, _: _changed(body, path, value)


def raw(body: bytes) -> Callable[[Json, Json], Any]:
    """Sends these bytes."""
    return lambda _body, _service: body


def _vital(name: str) -> Callable[[Json, Json], Any]:
    def change(body: Json, service: Json) -> Any:
        return (
            without("context", name)(body, service) if name in HOOKS.get(service["hook"], {}).get("vital", ()) else None
        )

    return change


def _searched(value: Any) -> Callable[[Json, Json], Any]:
    """Every key that is a search gets this value."""

    def change(body: Json, service: Json) -> Any:
        keys = [key for key, template in templates(service).items() if searches(template)]
        return body | {"prefetch": body.get("prefetch", {}) | dict.fromkeys(keys, value)} if keys else None

    return change


def _of_another(body: Json, service: Json) -> Any:
    """The Patient that is read by the id of the context is another one."""
    prefetch = body.get("prefetch", {})
    key = next(
        (
            key
            for key, text in templates(service).items()
            if _reads_patient(text) and isinstance(prefetch.get(key), dict)
        ),
        None,
    )
    return _changed(body, ("prefetch", key), prefetch[key] | {"id": _FOREIGN}) if key else None


def _nameless(body: Json, service: Json) -> Any:
    """The Patient has no id."""
    keys = [key for key, template in templates(service).items() if _reads_patient(template)]
    return without("prefetch", keys[0], "id")(body, service) if keys else None


def _reads_patient(template: str) -> bool:
    return TOKEN.sub(lambda found: found[1].strip(), template) == "Patient/context.patientId"


def _without_optional(body: Json, service: Json) -> Any:
    """Neither the optional fields of the context nor the keys whose templates use them."""
    optional = HOOKS.get(service["hook"], {}).get("optional", ())
    using = [key for key, text in templates(service).items() if any(f"context.{name}" in text for name in optional)]
    if not using:
        return None
    context = {name: value for name, value in body["context"].items() if name not in optional}
    prefetch = {key: value for key, value in body.get("prefetch", {}).items() if key not in using}
    return body | {"context": context, "prefetch": prefetch}


def _without_prefetch(body: Json, service: Json) -> Any:
    alone = {name: value for name, value in body.items() if name not in ("prefetch", "fhirServer", "fhirAuthorization")}
    return alone if templates(service) else None


def _unknown_members(body: Json, _: Json) -> Any:
    return body | _EXTRA | {"context": body["context"] | _EXTRA, "extension": {"org.example.conformance": {"on": True}}}


PROBES = (
    Probe(PLAIN, lambda body, _: body),
    Probe(AGAIN, lambda body, _: body),
    Probe("no hook", without("hook")),
    Probe("no hookInstance", without("hookInstance")),
    Probe("no context", without("context")),
    Probe("context is a text", with_("conformance", "context")),
    Probe("hookInstance is a number", with_(5, "hookInstance")),
    Probe("a hook that is not listed", with_("org.example.conformance-no-such-hook", "hook")),
    Probe("a body that ends early", raw(b'{"hook": ')),
    Probe("an array", raw(b"[]")),
    Probe("null", raw(b"null")),
    Probe("a text", raw(b'"conformance"')),
    Probe("an empty body", raw(b"")),
    Probe("a form", raw(b"hook=patient-view"), "application/x-www-form-urlencoded"),
    Probe("charset=utf-8", lambda body, _: body, f"{JSON}; charset=utf-8"),
    Probe("a token without a server", with_(_TOKEN, "fhirAuthorization")),
    *(
        Probe(f"no context.{name}", _vital(name))
        for name in sorted({n for one in HOOKS.values() for n in one["vital"]})
    ),
    Probe("patientId is a number", with_(5, "context", "patientId")),
    Probe("patientId with its type", with_(f"Patient/{PATIENT}", "context", "patientId")),
    Probe("members that are not known", _unknown_members),
    Probe("a key that was not published", with_(NOTHING, "prefetch", "conformanceUnpublished")),
    Probe("no prefetch", _without_prefetch),
    Probe("searches are null", _searched(None)),
    Probe("searches found nothing", _searched(NOTHING)),
    Probe("searches failed", _searched(_FAILED)),
    Probe("searches hold another type", _searched(NOTHING | {"total": 1, "entry": [{"resource": _FAILED}]})),
    Probe("no optional field", _without_optional),
    Probe("the Patient is another", _of_another),
    Probe("the Patient has no id", _nameless),
)


def changed_by(probe: Probe, body: Json, service: Json) -> Any:
    """The body to send, with a hookInstance of its own; None where there is nothing to change."""
    sent = probe.change(deepcopy(body), service)
    is_ours = isinstance(sent, dict) and sent.get("hookInstance") == body.get("hookInstance")
    return sent | {"hookInstance": new_instance()} if is_ours and "hookInstance" in sent else sent


def _holds(body: Any, path: tuple[str, ...]) -> bool:
    return not path or (isinstance(body, dict) and path[0] in body and _holds(body[path[0]], path[1:]))


_ABSENT = object()


def _changed(body: Json, path: tuple[str, ...], value: Any = _ABSENT) -> Any:
    """A copy with this member changed; a holder that is missing is made."""
    name, *rest = path
    if rest:
        return body | {name: _changed(body.get(name) or {}, tuple(rest), value)}
    return {key: part for key, part in body.items() if key != name} | ({} if value is _ABSENT else {name: value})
