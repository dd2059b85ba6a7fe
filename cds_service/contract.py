"""The contract: every address, what it takes and what it answers, as OpenAPI 3.1.

It is made from what does the work: the models of hooks and feedback, and the services. What these
do not say stands in contract.json, with {places}. Sources: OpenAPI 3.1.1; CDS Hooks 2.0.1 and 3.0 ballot.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from cds_content.card_shapes import Service
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.templates import fill
from cds_content.translations import displays
from cds_service import __version__, example_calls, schemas
from cds_service.hooks import SPECIFICATION, templates

_SAID = Path(__file__).with_name("contract.json")
_MEDIA = ("application/json", "application/fhir+json")


@dataclass(frozen=True)
class Offer:
    """What a deployment offers: `services` by id and hook.

    `largest` is the size of a body in bytes; `day` is that of the responses in the examples.
    """

    screenings: Sequence[Screening]
    services: Mapping[str, tuple[Screening, Mapping[str, Service]]]
    public: str
    development: bool
    versions: bool
    largest: int
    day: date

    @property
    def called(self) -> list[tuple[str, Screening, Service]]:
        """Every service, once for each hook, with the name of its call."""
        pairs = [(screening, one) for screening, hooks in self.services.values() for one in hooks.values()]
        return [
            (f"{screening.name}.{one.hook}", screening, one.model_copy(update={"prefetch": templates(screening, one)}))
            for screening, one in pairs
        ]


def document(offer: Offer) -> Json:
    """The OpenAPI document; equal offers give equal documents, in the same order and without null."""
    said = json.loads(_SAID.read_text("utf-8"))
    places = _deployed(offer, said) | _discovered(offer) | _coded(offer)
    examples = dict(_examples(offer, said["example"]))
    parts = {
        "paths": dict(_paths(offer, said, places, examples)),
        "schemas": dict(_schemas(offer, said, places)),
        "examples": examples,
    }
    return dict(fill(said["document"], places | parts, "en"))


def _deployed(offer: Offer, said: Json) -> Json:
    """What the places of contract.json stand for in this deployment."""
    signed = sorted({screening.signed_by for screening in offer.screenings})
    words = said["signed"]["nobody" if "" in signed else "somebody"].replace("{names}", ", ".join(signed))
    return {
        "version": __version__,
        "about": "\n\n".join(said["about"]).replace("{signed}", words),
        "public": offer.public,
        "largest": f"{offer.largest:,}",
        **{name: None if offer.development else part for name, part in said["protected"].items()},
    }


def _discovered(offer: Offer) -> Json:
    """What discovery can say."""
    members = ["hook", "title", "description", "id", "prefetch", "usageRequirements"]
    hooks = [one for _, _, one in offer.called]
    return {
        "hooks": sorted({one.hook for one in hooks}),
        "ids": list(offer.services),
        "service-members": [*members, "version", "hookVersion"] if offer.versions else members,
        "specification": {"type": "string", "const": SPECIFICATION} if offer.versions else None,
        "hook-version": {"type": "string", "pattern": r"^\d+\.\d+(\.\d+)?$"} if offer.versions else None,
    }


def _coded(offer: Offer) -> Json:
    """The codes of the screenings that can be on a card."""
    topics, reasons = dict(_codes(offer, "dispositions")), dict(_codes(offer, "override-reasons"))
    made = {body.body["resourceType"] for one in offer.screenings for body in one.texts.resource.values()}
    return {
        "topics": list(topics),
        "topic-systems": list(dict.fromkeys(topics.values())),
        "reasons": list(reasons),
        "reason-systems": list(dict.fromkeys(reasons.values())),
        "rows": list(dict.fromkeys(row for one in offer.screenings for row in _rows(one))),
        "rules": {f"{one.domain}.rules": {"$ref": "#/components/schemas/Rules"} for one in offer.screenings},
        "created": sorted(made),
    }


def _codes(offer: Offer, suffix: str) -> Iterator[tuple[str, str]]:
    """code, system of every code system of that name."""
    for one in offer.screenings:
        for code in displays(one.resources, f"{one.name}-{suffix}"):
            yield code, f"{one.base}/CodeSystem/{one.name}-{suffix}"


def _rows(screening: Screening) -> Iterator[str]:
    yield from (finding.row for finding in screening.findings)
    yield from (card.row for kind in screening.orders.values() for card in kind.card)


def _examples(offer: Offer, said: Json) -> Iterator[tuple[str, Json]]:
    """Bodies of calls, each under the name of its schema and its own."""
    for name, screening, service in offer.called:
        for case, value in example_calls.calls(screening, service, offer.day, said).items():
            yield f"{name}.{case}", {"summary": said["cases"][case], "value": value}
    for case, example in said["feedback"].items():
        yield f"Feedback.{case}", example


def _schemas(offer: Offer, said: Json, places: Json) -> Iterator[tuple[str, Json]]:
    yield from fill(said["schemas"], places, "en").items()
    for name, _, service in offer.called:
        for part, schema in schemas.call(service, said).items():
            yield name if part == service.hook else part, schema
    yield from schemas.feedback(said).items()


def _paths(offer: Offer, said: Json, places: Json, examples: Json) -> Iterator[tuple[str, Json]]:
    """Every address with its operations."""

    def of(method: str, name: str, **more: Any) -> Json:
        return {method: fill(said["operations"][name], places | more, "en")}

    yield "/cds-services", of("get", "discover")
    for id_, (screening, hooks) in offer.services.items():
        calls = [f"{screening.name}.{hook}" for hook in hooks]
        words = {name: _words(hooks.values(), name) for name in ("title", "description")}
        yield f"/cds-services/{id_}", of("post", "call", id=id_, body=_body(calls, examples), **words)
        yield f"/cds-services/{id_}/feedback", of("post", "feedback", id=id_, body=_body(["Feedback"], examples))
    yield "/fhir/metadata", of("get", "metadata")
    yield "/report", of("get", "report")
    for address, name in {"/health/live": "live", "/health/ready": "ready", "/metrics": "metrics"}.items():
        yield address, of("get", name)
    yield "/openapi.json", of("get", "contract")
    yield "/contract", of("get", "page")
    if offer.development:
        yield "/examples/{name}", of("get", "example", parameters=[said["parameters"]["name"]])


def _words(services: Iterable[Service], name: str) -> str:
    return "\n\n".join(dict.fromkeys(getattr(one, name)["en"] for one in services))


def _body(calls: Sequence[str], examples: Json) -> Json:
    """The body of a POST, which is one of these calls."""
    choices = [{"$ref": f"#/components/schemas/{name}"} for name in calls]
    named = [name for name in examples if name.rpartition(".")[0] in calls]
    content = {
        "schema": choices[0] if len(choices) == 1 else {"oneOf": choices},
        "examples": {name: {"$ref": f"#/components/examples/{name}"} for name in named},
    }
    return {"required": True, "content": dict.fromkeys(_MEDIA, content)}
