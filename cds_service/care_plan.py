"""What PlanDefinition/$apply gives: a CarePlan whose one activity is the RequestGroup contained in it.

Source: HL7 FHIR R4, "CarePlan", "PlanDefinition", Applying a PlanDefinition; cpl-3.
"""

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_service.advice import Advice
from cds_service.dates import instant
from cds_service.details import Call
from cds_service.request_group import said, within


def care_plan(screening: Screening, service_id: str, advice: Advice, group: Json, call: Call) -> Json:
    """The CarePlan of one service's plan; where the advice calls for no action, its note says what the advice is."""
    plan: Json = {
        "resourceType": "CarePlan",
        "language": call.language,
        "contained": within(group),
        "instantiatesCanonical": group["instantiatesCanonical"],
        "status": "draft",
        "intent": "proposal",
        "title": screening.services[service_id].title[call.language],
        "subject": {"reference": f"Patient/{call.patient}"},
    }
    plan |= {"encounter": {"reference": f"Encounter/{call.encounter}"}} if call.encounter else {}
    plan |= {"created": instant(call.now)} | ({"author": {"reference": call.user}} if call.user else {})
    plan |= {"activity": [{"reference": {"reference": f"#{group['id']}"}}]}
    return plan | ({} if "action" in group else {"note": [{"text": said(screening, advice, call.language)}]})
