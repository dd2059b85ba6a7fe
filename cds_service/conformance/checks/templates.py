"""The prefetch templates that discovery lists. Source: CDS Hooks 2.0.1 and 3.0 ballot, "Prefetch Template"."""

import re
from collections.abc import Callable, Iterator
from functools import partial

from cds_service.conformance.bodies import HOOKS, TOKEN, USER_TOKENS, templates
from cds_service.conformance.looks import Check, Level, Look
from cds_service.conformance.seen import Seen

_ROOT = re.compile(r"context\.([A-Za-z][A-Za-z0-9]*)")
_LATER = re.compile(r"(context\.[A-Za-z]|today\(\)|%[A-Za-z]|user[A-Z][A-Za-z]*Id\b).*")  # how a 3.0 expression begins
_RELATIVE = re.compile(r"[A-Z][A-Za-z]+([/?].*)?")
_BEFORE = re.compile(r"%([A-Za-z][A-Za-z0-9_-]*)")
_HARD = re.compile(r"[?&](_include|_revinclude|_has|[^=&]*\.[^=&]*|[^=&]*:(not|missing|below|above|iterate))\b[^=&]*=")

Fault = Callable[[str, str, str], str]  # (hook, key, template) → what is wrong with it


def _each(fault: Fault, seen: Seen) -> Iterator[Look]:
    for one in seen.services:
        for key, template in templates(one).items():
            yield Look(f"{one['id']} ({one['hook']}).prefetch.{key}", fault(one["hook"], key, template))


def tokens(template: str) -> list[str]:
    """What stands between the braces of a template."""
    return [token.strip() for token in TOKEN.findall(template)]


def _syntax(_hook: str, _key: str, template: str) -> str:
    bare = TOKEN.sub("", template)
    if "{" in bare or "}" in bare:
        return "has braces that do not match; write {{context.field}}"
    if all(_ROOT.fullmatch(token) or token in USER_TOKENS or _LATER.fullmatch(token) for token in tokens(template)):
        return ""
    return "has a token that is neither a field of the context nor the id of the user; write {{context.field}}"


def _allowed(hook: str, _key: str, template: str) -> str:
    roots = [found[1] for token in tokens(template) if (found := _ROOT.fullmatch(token))]
    known = HOOKS.get(hook, {}).get("tokens", roots)
    wrong = f"uses a field that is no prefetch token of the hook; write one of {', '.join(known)}"
    return "" if set(roots) <= set(known) else wrong


def _simple(_hook: str, _key: str, template: str) -> str:
    return (
        "asks in a way that not every client knows; read an instance, or search by reference, token or date"
        if _HARD.search(TOKEN.sub("", template))
        else ""
    )


def _of_2_0(_hook: str, _key: str, template: str) -> str:
    later = [token for token in tokens(template) if not _ROOT.fullmatch(token) and token not in USER_TOKENS]
    return "uses an expression of 3.0, which a client of 2.0 cannot fill" if later else ""


def _relative(_hook: str, _key: str, template: str) -> str:
    if "sort:" in template:
        return "sorts as DSTU 1 did; write _sort=-field"
    of_a_token = template.startswith("{{")  # a field that holds type and id
    return "" if of_a_token or _RELATIVE.fullmatch(template) else "is no relative URL; write Type/id or Type?search"


def _order(seen: Seen) -> Iterator[Look]:
    for one in seen.services:
        before: set[str] = set()
        for key, template in templates(one).items():
            for other in {name for token in tokens(template) for name in _BEFORE.findall(token)}:
                wrong = "" if other in before else "depends on a key that is not before it; list that one first"
                yield Look(f"{one['id']} ({one['hook']}).prefetch.{key}", wrong)
            before.add(key)


_TEMPLATE = "2.0.1, 3.0: Prefetch Template"
_TOKENS = "2.0.1, 3.0: Prefetch tokens"
_NONE = "no service has prefetch templates"
CHECKS = (
    Check("PRE-T1", _TOKENS, Level.MUST, "puts only fields of the context or ids of the user between the braces of a "
          "template", partial(_each, _syntax), _NONE),
    Check("PRE-T2", _TOKENS, Level.MUST, "uses only fields that the page of the hook allows as prefetch tokens",
          partial(_each, _allowed), _NONE),
    Check("PRE-T3", "2.0.1, 3.0: Prefetch query restrictions", Level.SHOULD,
          "asks only in ways that every client knows: no _include, chain, :not, :missing or :below",
          partial(_each, _simple), _NONE),
    Check("PRE-T4", "3.0 (trial use): Prefetch tokens", Level.SHOULD, "uses no expression that is new in 3.0",
          partial(_each, _of_2_0), _NONE),
    Check("PRE-T5", "3.0 (trial use): Prefetch tokens", Level.MUST, "lists a key after the keys that it depends on",
          _order, "no template depends on another key"),
    Check("PRE-T6", _TEMPLATE, Level.SHOULD, "writes relative URLs without a leading slash, and sorts in the way of R4",
          partial(_each, _relative), _NONE),
)  # fmt: skip
