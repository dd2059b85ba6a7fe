"""The invariants of R4 and of SDC that bear on what this service writes and reads, one function each or a few together.

Each takes an element and names the invariants that it breaks. Sources: HL7 FHIR R4 (4.0.1), the pages of the resources
and data types; HL7 Structured Data Capture 4.0.0, profile sdc-questionnaire.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

Json = dict[str, Any]
Check = Callable[[Json], Iterator[str]]

_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition"
_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-Questionnaire"
_ALGORITHMS = ("http://hl7.org/fhir/StructureDefinition/artifact-versionAlgorithm", f"{_R5}.versionAlgorithm[x]")
_XHTML = "{http://www.w3.org/1999/xhtml}"
_TAGS = {
    "a",
    "abbr",
    "acronym",
    "b",
    "big",
    "blockquote",
    "br",
    "caption",
    "cite",
    "code",
    "col",
    "colgroup",
    "dd",
    "dfn",
    "div",
    "dl",
    "dt",
    "em",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "hr",
    "i",
    "img",
    "li",
    "ol",
    "p",
    "pre",
    "q",
    "samp",
    "small",
    "span",
    "strong",
    "sub",
    "sup",
    "table",
    "tbody",
    "td",
    "tfoot",
    "th",
    "thead",
    "tr",
    "tt",
    "ul",
    "var",
}
_WITH_OPTIONS = ["choice", "open-choice", "decimal", "integer", "date", "dateTime", "time", "string", "quantity"]
_WITH_LENGTH = ["boolean", "decimal", "integer", "string", "text", "url", "open-choice"]


def resource_mistakes(resource: Json, *, contained: bool = False) -> Iterator[str]:
    """The invariants that look at a whole resource; `contained` in another, whose references it shares."""
    kind = resource["resourceType"]
    if re.fullmatch(r"\S+", str(resource.get("url", ""))) and "name" in resource:
        if not re.fullmatch(r"[A-Z][A-Za-z0-9_]{0,254}", resource["name"]):
            yield f"{kind}.name: cnl-0, write a name for machines"
        if set(resource["url"]) & set("|# "):
            yield f"{kind}.url: cnl-1, holds |, # or a blank"
    yield from () if contained else _contained(resource, kind)
    if kind == "Questionnaire":
        yield from _form(resource)
    if kind == "Bundle":
        yield from _bundle(resource)


def items_of(parent: Json) -> Iterator[Json]:
    """Every item below a Questionnaire, a response or an item, in its order."""
    for item in parent.get("item", []):
        yield item
        yield from items_of(item)


def extensions(element: Json, name: str) -> list[Json]:
    """The extensions whose URL ends in this name."""
    return [one for one in element.get("extension", []) if str(one.get("url")).endswith(name)]


def _contained(resource: Json, kind: str) -> Iterator[str]:
    references = {str(value) for name, value in _members(resource) if name not in ("id", "div")}
    for one in resource.get("contained", []):
        if "contained" in one:
            yield f"{kind}.contained: dom-2, holds resources itself"
        if f"#{one.get('id')}" not in references:
            yield f"{kind}.contained: dom-3, nothing refers to {one.get('id')}"
        if one.get("meta", {}).keys() & {"versionId", "lastUpdated"}:
            yield f"{kind}.contained: dom-4, has a version of its own"
        if "security" in one.get("meta", {}):
            yield f"{kind}.contained: dom-5, has a security label"
    known = {f"#{one.get('id')}" for one in resource.get("contained", [])} | {"#"}
    local = {value for name, value in _members(resource) if name == "reference" and str(value).startswith("#")}
    for value in sorted(local - known) if kind != "Bundle" and kind != "Parameters" else ():
        yield f"{kind}: ref-1, {value} is not contained"


def _members(value: Any) -> Iterator[tuple[str, Any]]:
    for name, part in value.items() if isinstance(value, dict) else ():
        for one in part if isinstance(part, list) else [part]:
            yield name, one
            yield from _members(one)


def narrative(element: Json) -> Iterator[str]:
    """txt-1 and txt-2 of a Narrative."""
    try:
        root = fromstring(element["div"])  # noqa: S314 - what this service itself wrote
    except (ParseError, KeyError):
        yield "txt-1, div is no XHTML"
        return
    if root.tag != f"{_XHTML}div":
        yield "txt-1, is no div of XHTML"
    for part in root.iter():
        yield from _tag(part)
    if not "".join(root.itertext()).strip() and root.find(f".//{_XHTML}img") is None:
        yield "txt-2, says nothing"


def _tag(part: Element) -> Iterator[str]:
    name = part.tag.removeprefix(_XHTML)
    if name not in _TAGS:
        yield f"txt-1, {name} is not allowed"
    for attribute, value in part.attrib.items():
        if attribute.lower().startswith("on") or re.match(r"\s*(javascript|data|vbscript):", value, re.I):
            yield f"txt-1, {attribute} is active"
    if name == "img" and not part.get("src", "").startswith("#"):
        yield "txt-1, shows what stands elsewhere"


def _form(form: Json) -> Iterator[str]:
    items = list(items_of(form))
    links = [item.get("linkId") for item in items]
    for link in sorted({str(link) for link in links if links.count(link) > 1}):
        yield f"Questionnaire: que-2, linkId {link} is used twice"
    if f"{_SDC}/sdc-questionnaire" in form.get("meta", {}).get("profile", []):
        yield from _sdc_form(form)
    names = [
        one["valueCoding"]["code"]
        for context in extensions(form, "-launchContext")
        for one in extensions(context, "name")
    ]
    if len(set(names)) != len(names):
        yield "Questionnaire: launchContext, a name is used twice"
    for context in extensions(form, "-launchContext"):
        yield from _launched(context)
    yield from _shown(form, [], set())


def _sdc_form(form: Json) -> Iterator[str]:
    for name in ("url", "version", "title", "status", "subjectType", "date"):
        if name not in form:
            yield f"Questionnaire: sdc-questionnaire, lacks {name}"
    found = [one for url in _ALGORITHMS for one in form.get("extension", []) if one.get("url") == url]
    if "version" in form and not found:
        yield "Questionnaire: sdc-2, has a version and no versionAlgorithm"
    for one in found:
        if (
            one.get("valueCoding", {}).get("system") != "http://hl7.org/fhir/version-algorithm"
            and "valueString" not in one
        ):
            yield "Questionnaire: sdc-3, write a coding of version-algorithm"


def _launched(context: Json) -> Iterator[str]:
    """sdc-lcext-1: the types that a launch context of SDC may have."""
    allowed = {"patient": {"Patient"}, "encounter": {"Encounter"}, "location": {"Location"}, "study": {"ResearchStudy"}}
    allowed["user"] = {"Patient", "Practitioner", "PractitionerRole", "RelatedPerson", "Organization", "Device"}
    types = {one["valueCode"] for one in extensions(context, "type")}
    for one in extensions(context, "name"):
        if not types <= allowed.get(one["valueCoding"]["code"], types):
            yield "Questionnaire: sdc-lcext-1, this context is of another type"


def _shown(parent: Json, before: list[str], above: set[str]) -> Iterator[str]:
    """Q-7: what decides whether an item is shown is an item before it that is not itself, nor below it."""
    for item in parent.get("item", []):
        inner = {one["linkId"] for one in items_of(item)}
        for rule in item.get("enableWhen", []):
            if rule["question"] == item["linkId"]:
                yield f"{item['linkId']}: enableWhen names the item itself"
            elif rule["question"] in inner:
                yield f"{item['linkId']}: enableWhen names an item below it"
            elif rule["question"] not in before:
                yield f"{item['linkId']}: enableWhen names no item before it"
        before.append(item["linkId"])
        yield from _shown(item, before, above | {item["linkId"]})


def item(one: Json) -> Iterator[str]:
    """que-1 to que-15 of an item, and those of SDC."""
    kind, options = one.get("type"), one.get("answerOption", [])
    fixed = "answerOption" in one or "answerValueSet" in one
    rules = one.get("enableWhen", [])
    broken = {
        "que-1, a group holds items": kind == "group" and not one.get("item"),
        "que-1, a display holds no item": kind == "display" and bool(one.get("item")),
        "que-3, a display has no code": kind == "display" and "code" in one,
        "que-4, options and a value set": "answerOption" in one and "answerValueSet" in one,
        "que-5, this type has no options": fixed and kind not in _WITH_OPTIONS,
        "que-6, a display is not required and does not repeat": kind == "display"
        and bool(one.keys() & {"required", "repeats"}),
        "que-8, a group or display has no initial value": kind in ("group", "display") and "initial" in one,
        "que-9, a display is not readOnly": kind == "display" and "readOnly" in one,
        "que-10, this type has no maxLength": "maxLength" in one and kind not in _WITH_LENGTH,
        "que-11, options and an initial value": bool(options) and "initial" in one,
        "que-12, several conditions and no enableBehavior": len(rules) > 1 and "enableBehavior" not in one,
        "que-13, several initial values and no repeats": len(one.get("initial", [])) > 1 and not one.get("repeats"),
        "que-14, answerConstraint and no options": bool(extensions(one, ".answerConstraint")) and not fixed,
        "que-15, linkId is too long": len(str(one.get("linkId", ""))) > 255,
        "linkId is missing": "linkId" not in one,
        "sdc-1, answerExpression and options": bool(extensions(one, "-answerExpression")) and fixed,
        "sdc-behave-1, initial and initialExpression": "initial" in one and bool(extensions(one, "-initialExpression")),
        "sdc-behave-2, enableWhen twice": bool(rules) and bool(extensions(one, "-enableWhenExpression")),
        "sdc-obsn-1, a display is not extracted": kind == "display" and bool(extensions(one, "-observationExtract")),
        "Q-12, options and limits of a value": fixed
        and any(
            extensions(one, f"/{name}") for name in ("minValue", "maxValue", "minLength", "maxDecimalPlaces", "regex")
        ),
        "Q-12, one option is no choice": kind in ("choice", "open-choice") and len(options) == 1,
        "Q-12, a choice has no options": kind in ("choice", "open-choice")
        and not fixed
        and not extensions(one, "-answerExpression"),
    }
    yield from (rule for rule, is_broken in broken.items() if is_broken)
    codes = [
        (str(part.get("system")), str(part.get("code")))
        for part in (option.get("valueCoding", {}) for option in options)
    ]
    if len(set(codes)) != len(codes) and all("valueCoding" in option for option in options):
        yield "Q-12, an option is offered twice"


def condition(rule: Json) -> Iterator[str]:
    """que-7 of an enableWhen."""
    answers = [name for name in rule if name.startswith("answer")]
    if len(answers) != 1:
        yield "write one answer[x]"
    if rule.get("operator") == "exists" and "answerBoolean" not in rule:
        yield "que-7, exists needs answerBoolean"


def _bundle(bundle: Json) -> Iterator[str]:
    kind, entries = bundle.get("type"), bundle.get("entry", [])
    if "total" in bundle and kind not in ("searchset", "history"):
        yield "Bundle: bdl-1, only a searchset or history has a total"
    if kind == "searchset" and "self" not in [link["relation"] for link in bundle.get("link", [])]:
        yield "Bundle: a searchset links to itself"
    full = [entry["fullUrl"] for entry in entries if "fullUrl" in entry]
    if len(set(full)) != len(full) and kind != "history":
        yield "Bundle: bdl-7, a fullUrl stands twice"
    for index, entry in enumerate(entries):
        yield from (f"Bundle.entry[{index}]: {rule}" for rule in _entry(entry, str(kind)))


def _entry(entry: Json, kind: str) -> Iterator[str]:
    resource, url = entry.get("resource", {}), entry.get("fullUrl", "")
    if ("search" in entry) != (kind == "searchset"):
        yield "bdl-2, a search mode in a searchset, and only there"
    if ("request" in entry) != (kind in ("batch", "transaction", "history")):
        yield "bdl-3, a request in a batch, transaction or history, and only there"
    if ("response" in entry) != (kind in ("batch-response", "transaction-response", "history")):
        yield "bdl-4, a response in a response or history, and only there"
    if not entry.keys() & {"resource", "request", "response"}:
        yield "bdl-5, holds nothing"
    if "/_history/" in url:
        yield "bdl-8, fullUrl names a version"
    if url and not re.match(r"(https?|urn):", url):
        yield "fullUrl is not absolute"
    if kind in ("searchset", "collection", "document") and not url:
        yield "lacks a fullUrl"
    if kind == "searchset" and resource.get("resourceType") != "OperationOutcome" and "id" not in resource:
        yield "a resource that was found has no id"
    if (
        url.startswith("http")
        and "id" in resource
        and not url.endswith(f"/{resource['resourceType']}/{resource['id']}")
    ):
        yield "fullUrl and id of the resource differ"


def _rule(text: str, holds: Callable[[Json], bool]) -> Check:
    def check(element: Json) -> Iterator[str]:
        if not holds(element):
            yield text

    return check


def _values(element: Json) -> list[str]:
    return [name for name in element if name.startswith("value")]


def _one_type(type_: str, *needed: str) -> Check:
    return _rule(
        f"trd-3, {type_} needs {', '.join(needed)}", lambda one: one.get("type") != type_ or set(needed) <= one.keys()
    )


def _capabilities(one: Json) -> Iterator[str]:
    if not one.keys() & {"rest", "messaging", "document"}:
        yield "cpb-1, offers nothing"
    if not one.keys() & {"description", "software", "implementation"}:
        yield "cpb-2, says nothing about what it is"
    if one.get("kind") == "instance" and "implementation" not in one:
        yield "cpb-14, an instance has an implementation"
    for rest in one.get("rest", []):
        types = [part["type"] for part in rest.get("resource", [])]
        if len(set(types)) != len(types):
            yield "cpb-9, a type stands twice"


def _twice(name: str, member: str, rule: str) -> Check:
    def names(one: Json) -> list[Any]:
        return [part.get(member) for part in one.get(name, [])]

    return _rule(rule, lambda one: len(set(names(one))) == len(names(one)))


INVARIANTS: dict[str, tuple[Check, ...]] = {
    "Attachment": (_rule("att-1, data needs a contentType", lambda one: "data" not in one or "contentType" in one),),
    "AuditEventEntity": (_rule("sev-1, name or query, not both", lambda one: not {"name", "query"} <= one.keys()),),
    "CapabilityStatement": (_capabilities,),
    "CapabilityStatementRestResource": (_twice("searchParam", "name", "cpb-12, a parameter stands twice"),),
    "CarePlanActivity": (
        _rule("cpl-3, detail or reference, not both", lambda one: not {"detail", "reference"} <= one.keys()),
    ),
    "CodeSystem": (_twice("concept", "code", "csd-1, a code stands twice"),),
    "Coding": (_rule("a code without its system", lambda one: "code" not in one or "system" in one),),
    "Element": (_rule("ele-1, says nothing", bool),),
    "Expression": (
        _rule("exp-1, write expression or reference", lambda one: bool(one.keys() & {"expression", "reference"})),
    ),
    "Extension": (_rule("ext-1, a value or extensions", lambda one: bool(_values(one)) != bool(one.get("extension"))),),
    "Narrative": (narrative,),
    "Observation": (
        _rule("obs-6, a value and why there is none", lambda one: not (_values(one) and "dataAbsentReason" in one)),
    ),
    "OperationDefinitionParameter": (
        _rule("opd-1, type or parts", lambda one: ("type" in one) != ("part" in one)),
        _rule("opd-2, searchType is for strings", lambda one: "searchType" not in one or one.get("type") == "string"),
    ),
    "ParametersParameter": (
        _rule(
            "inv-1, one of value, resource and part",
            lambda one: len(_values(one)) + ("resource" in one) + ("part" in one) == 1,
        ),
    ),
    "Period": (
        _rule("per-1, ends before it starts", lambda one: str(one.get("start", "")) <= str(one.get("end", "9999"))),
    ),
    "Quantity": (_rule("qty-3, a code needs its system", lambda one: "code" not in one or "system" in one),),
    "QuestionnaireItem": (item,),
    "QuestionnaireItemEnableWhen": (condition,),
    "QuestionnaireResponseItem": (
        _rule("qrs-1, items below the item or its answer", lambda one: not {"answer", "item"} <= one.keys()),
    ),
    "RequestGroupAction": (
        _rule("rqg-1, a resource or actions", lambda one: ("resource" in one) != ("action" in one)),
    ),
    "ServiceRequest": (
        _rule("prr-1, orderDetail needs a code", lambda one: "orderDetail" not in one or "code" in one),
    ),
    "TriggerDefinition": (
        _one_type("named-event", "name"),
        _one_type("data-added", "data"),
        _rule(
            "trd-1, timing or data", lambda one: not (any(name.startswith("timing") for name in one) and "data" in one)
        ),
        _rule("trd-2, a condition needs data", lambda one: "condition" not in one or "data" in one),
    ),
    "ValueSetComposeInclude": (
        _rule("vsd-1, a system or a value set", lambda one: bool(one.keys() & {"system", "valueSet"})),
        _rule("vsd-2, concepts or filters", lambda one: not {"concept", "filter"} <= one.keys()),
        _rule("vsd-3, concepts need a system", lambda one: not one.keys() & {"concept", "filter"} or "system" in one),
    ),
    "ValueSetExpansionContains": (
        _rule("vsd-6, a code or a display", lambda one: bool(one.keys() & {"code", "display"})),
        _rule("vsd-9, a code unless abstract", lambda one: "code" in one or one.get("abstract") is True),
        _rule("vsd-10, a code needs its system", lambda one: "code" not in one or "system" in one),
    ),
}
