"""What discovery says. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Discovery"; the hook pages of the library."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from cds_content.shapes import Json
from cds_service.conformance.bodies import HOOKS
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.probes import PLAIN
from cds_service.conformance.seen import Seen

_SAFE = re.compile(r"[A-Za-z0-9._~-]+")  # RFC 3986, 2.3
_SEMVER = re.compile(r"\d+\.\d+\.\d+([-+][0-9A-Za-z.+-]+)?")
_NO_SERVICE = "discovery lists no service"


def _answers(seen: Seen) -> Iterator[Look]:
    reply = seen.discovery
    redirected = "; a redirect is not followed" if 300 <= reply.status < 400 else ""
    wrong = f"answers {reply.status}{redirected}; answer GET {{baseUrl}}/cds-services with 200"
    unread = "" if reply.status else reply.unread
    unknown = f"answers {reply.status}; give --token or --jwt-key" if reply.status in (401, 403) else unread
    yield Look("discovery", "" if reply.status == 200 or unknown else wrong, unknown)


def _lists(seen: Seen) -> Iterator[Look]:
    if seen.discovery.status != 200 or seen.discovery.unread:
        return
    value = seen.discovery.value
    services = value.get("services") if isinstance(value, dict) else None
    if not isinstance(services, list):
        yield Look("discovery", 'is no object with an array "services"; write {"services": [...]}')
        return
    yield Look("discovery")
    for index, one in enumerate(services):
        yield from _described(f"services[{index}]", one)


def _described(place: str, service: Any) -> Iterator[Look]:
    if not isinstance(service, dict):
        yield Look(place, "is no object; write hook, id and description")
        return
    for name in ("hook", "id", "description"):
        yield Look(f"{place}.{name}", "" if _is_text(service.get(name)) else "is no text; it is REQUIRED")
    prefetch = service.get("prefetch", {})
    is_right = isinstance(prefetch, dict) and all(_is_text(text) for text in prefetch.values())
    yield Look(f"{place}.prefetch", "" if is_right else "is no object of texts; write a template for each key")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _optional(name: str, seen: Seen) -> Iterator[tuple[str, Json, Any]]:
    """Each service with the member, its place and its value."""
    for one in seen.services:
        if name in one:
            yield f"{one['id']} ({one['hook']}).{name}", one, one[name]


def _title(seen: Seen) -> Iterator[Look]:
    for one in seen.services:
        wrong = "" if _is_text(one.get("title")) else "is no text; it is RECOMMENDED"
        yield Look(f"{one['id']} ({one['hook']}).title", wrong)


def _version(seen: Seen) -> Iterator[Look]:
    for place, _, value in _optional("version", seen):
        right = isinstance(value, str) and _SEMVER.fullmatch(value)
        yield Look(place, "" if right else "is no semantic version; write the version of CDS Hooks, such as 3.0.0")


def _hook_version(seen: Seen) -> Iterator[Look]:
    for place, one, value in _optional("hookVersion", seen):
        if known := HOOKS.get(one["hook"], {}).get("versions"):
            wrong = f"is none that the page of the hook has had; write one of {', '.join(known)}"
            yield Look(place, "" if value in known else wrong)


def _pairs(seen: Seen) -> Iterator[Look]:
    for (id_, hook), times in Counter((one["id"], one["hook"]) for one in seen.services).items():
        yield Look(f"{id_} ({hook})", "" if times == 1 else f"is listed {times} times; list each id once for a hook")


def _served(seen: Seen) -> Iterator[Look]:
    for one in seen.services:
        yield Look(f"{one['id']}", "" if _SAFE.fullmatch(one["id"]) else "is not safe in a URL; write letters and -")
    for call in seen.of(PLAIN):
        wrong = f"answers {call.reply.status}; serve every listed id at {{baseUrl}}/cds-services/{{id}}"
        yield Look(call.reply.place, wrong if call.reply.status in (404, 405) else "", call.reply.unread)
    for one in seen.uncalled:
        yield Look(f"{one['id']} ({one['hook']})", unknown="no call of this hook is known; give one with --call")


def _requirements(seen: Seen) -> Iterator[Look]:
    for place, _, value in _optional("usageRequirements", seen):
        yield Look(place, "" if _is_text(value) else "is no text")


def _stable(seen: Seen) -> Iterator[Look]:
    if seen.discovery.status == 200 and "discovery again" in seen.named:
        again = seen.named["discovery again"]
        same = not again.status or (again.status, again.value) == (200, seen.discovery.value)
        yield Look("discovery", "" if same else "says something else the second time", again.unread)


def _refuses(seen: Seen) -> Iterator[Look]:
    reply = seen.named["discovery by POST"]
    if seen.discovery.status == 200:
        is_wrong = reply.is_success or reply.is_redirect
        yield Look(reply.place, f"answers {reply.status}; write 405" if is_wrong else "", reply.untold)


def _names(seen: Seen) -> Iterator[Look]:
    for one in seen.services:
        wrong = "is in no catalogue and has no reverse-domain name; write such as org.example.hook"
        yield Look(f"{one['id']} ({one['hook']})", "" if one["hook"] in HOOKS or "." in one["hook"] else wrong)


_HTTP = "2.0.1, 3.0: Discovery, HTTP Request"
_RESPONSE = "2.0.1, 3.0: Discovery, Response"
CHECKS = (
    Check("DISC-1", _HTTP, Level.MUST, "answers GET {baseUrl}/cds-services with 200", _answers),
    Check("DISC-2", _RESPONSE, Level.MUST, "lists its services in an object, each with hook, id and description",
          _lists, "discovery was not answered with 200 and JSON"),
    Check("DISC-4", _RESPONSE, Level.SHOULD, "gives each service a title", _title, _NO_SERVICE),
    Check("DISC-5", "3.0: Discovery, Response", Level.SHOULD, "names a semantic version of CDS Hooks, if any", _version,
          "no service names a version of CDS Hooks, which is new in 3.0"),
    Check("DISC-6", "3.0: Discovery, Response", Level.SHOULD, "names a published version of the hook, if any",
          _hook_version, "no service names the version of a hook of the library, which is new in 3.0"),
    Check("DISC-7", _RESPONSE, Level.MUST, "lists each pair of id and hook once", _pairs, _NO_SERVICE),
    Check("DISC-8", "2.0.1, 3.0: Calling a CDS Service, HTTP Request", Level.MUST,
          "serves every listed id below /cds-services, and every id is safe in a URL", _served, _NO_SERVICE),
    Check("DISC-10", _RESPONSE, Level.MUST, "writes usageRequirements as a text, if any", _requirements,
          "no service has usageRequirements"),
    Check("DISC-11", "2.0.1, 3.0: Discovery (a stable endpoint)", Level.SHOULD, "gives the same discovery twice",
          _stable, "discovery was not answered with 200"),
    Check("DISC-12", "2.0.1, 3.0: Discovery, HTTP Status Codes", Level.SHOULD, "refuses a POST to discovery", _refuses,
          "discovery was not answered with 200"),
    Check("DISC-14", "2.0.1, 3.0: Hooks, Hook Definition Format", Level.MUST,
          "names a hook of the library, or one of its own in reverse-domain form", _names, _NO_SERVICE),
)  # fmt: skip
