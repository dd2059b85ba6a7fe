"""The form as people see it: its questions, what they answered, and the response that follows. Nothing here is kept.

Source: HL7 FHIR R4, Questionnaire and QuestionnaireResponse.
"""

from cds_service.form.emergency import emergency, is_emergency
from cds_service.form.given import Given, faults, read, shown, sound, strays
from cds_service.form.response import response
from cds_service.form.sheet import Entry, Option, Sheet, sheet

__all__ = [
    "Entry",
    "Given",
    "Option",
    "Sheet",
    "emergency",
    "faults",
    "is_emergency",
    "read",
    "response",
    "sheet",
    "shown",
    "sound",
    "strays",
]
