"""The rules as FHIR definitions, generated from the content: what each service judges, what it suggests, and why.

A PlanDefinition for each CDS service, an ActivityDefinition for each resource that can be suggested, and a Library with
the expressions by name. Nothing here knows anything clinical.
Source: HL7 FHIR R4, "Clinical Reasoning" and "CDS on FHIR".
"""

from base64 import b64encode
from collections.abc import Iterator
from functools import lru_cache

from cds_content.card_shapes import Service
from cds_content.plan.actions import actions, references
from cds_content.plan.activities import activity_definitions
from cds_content.plan.facts import facts
from cds_content.plan.fhirpath import order_test, row_test
from cds_content.plan.metadata import FHIRPATH, canonical, library_id, metadata
from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.translations import texts

_PROFILES = "http://hl7.org/fhir/StructureDefinition"
_TYPES = "http://terminology.hl7.org/CodeSystem"
_USAGE = """\
Each condition of the PlanDefinitions stands alone: evaluate it with %resource = one QuestionnaireResponse and the R4 \
model. It is `facts`, the first expression here, followed by `.select(...)` with a test of that string; below, %facts \
stands for it. `facts` gives `;counts;current;` and then each answered item as `;linkId=code;`, a number as \
`;linkId=#40;`, an answer that cannot be read as `;linkId=;`; or only `;` where the response does not count.

What no expression over one response can say is left to the service: whose patient the subject is (any Patient counts \
as the patient), Patient.birthDate (the age is that of the age item), several responses together, no response at all, \
an order, the reader, and which of the rows that fire are shown on one card. Where a doctor row fires no card for \
conservative care is shown.

What is no FHIR cannot be told from what is: null, empty arrays and objects, members that R4 does not have, items \
without a linkId, and two values on one answer. The service reads all of these as not known. Two equal items that \
stand deeper than the form itself goes may count as one.
"""


@lru_cache(maxsize=16)
def definitions(screening: Screening, public: str = "") -> tuple[Json, ...]:
    """All of them; `public` is the address of this service, left out where nobody knows it yet (a package)."""
    plans = [_plan(screening, id_, service, public) for id_, service in screening.services.items()]
    return (*plans, *activity_definitions(screening), _library(screening))


def _plan(screening: Screening, id_: str, service: Service, public: str) -> Json:
    endpoint = {"url": f"{_PROFILES}/cqf-cdsHooksEndpoint", "valueUri": f"{public}/cds-services/{id_}"}
    plan = metadata(screening, "PlanDefinition", id_, service.title, service.description)
    plan["meta"]["profile"] += [f"{_PROFILES}/computableplandefinition"]
    plan["meta"]["profile"] += [f"{_PROFILES}/cdshooksserviceplandefinition"] if public else []
    return plan | {
        **({"extension": [endpoint]} if public else {}),
        "type": {"coding": [{"system": f"{_TYPES}/plan-definition-type", "code": "eca-rule", "display": "ECA Rule"}]},
        "relatedArtifact": [_depends_on(screening.canonical), *references(screening)],
        "library": [canonical(screening, "Library", library_id(screening))],
        "action": actions(screening, service),
    }


def _library(screening: Screening) -> Json:
    form = screening.questionnaire
    title = texts(form, "title", form["language"])
    about = next(
        (one for one in (texts(form, name, form["language"]) for name in ("purpose", "description")) if one), title
    )
    return metadata(screening, "Library", library_id(screening), title, about) | {
        "type": {"coding": [{"system": f"{_TYPES}/library-type", "code": "logic-library", "display": "Logic Library"}]},
        "usage": _USAGE,
        "relatedArtifact": [_depends_on(screening.canonical)],
        "dataRequirement": [{"type": "QuestionnaireResponse"}],
        "content": [_attached(name, text) for name, text in _expressions(screening)],
    }


def _expressions(screening: Screening) -> Iterator[tuple[str, str]]:
    """(name, FHIRPath), each after those that it names."""
    yield "facts", facts(screening)
    for finding in screening.findings:
        yield finding.row, f"%facts.select({row_test(screening, finding)})"
    for kind in screening.orders.values():
        for card in kind.card:
            yield card.row, f"%facts.select({order_test(screening, kind, card.when)})"


def _attached(name: str, text: str) -> Json:
    return {"contentType": FHIRPATH, "data": b64encode(text.encode()).decode(), "title": name}


def _depends_on(resource: str) -> Json:
    return {"type": "depends-on", "resource": resource}
