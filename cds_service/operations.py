"""The operations below /fhir, as one table: what is offered, and nothing more.

`base` is the definition by HL7 that it implements, of which only what stands here is supported. Sources: HL7 FHIR R4,
"Operations"; HL7 Structured Data Capture 4.0.0.
"""

from dataclasses import dataclass

_CORE = "http://hl7.org/fhir/OperationDefinition"
_SDC = "http://hl7.org/fhir/uv/sdc/OperationDefinition"

Parameter = tuple[str, str, int, str, str, str]  # name, use, min, max, type (empty: those of PARTS), what it is


@dataclass(frozen=True)
class Operation:
    """An operation on a type of resource: at the type, at an instance, or both; `affects` where it keeps something."""

    kind: str
    code: str
    base: str
    what: str
    parameters: tuple[Parameter, ...]
    type: bool = True
    instance: bool = True
    affects: bool = False

    @property
    def id(self) -> str:
        return f"{self.kind}-{self.code}"

    def url(self, address: str) -> str:
        """Where its definition is served; `address` ends in /fhir."""
        return f"{address}/OperationDefinition/{self.id}"


_URL = ("url", "in", 0, "1", "uri", "Its canonical URL; at an instance, no other than that of the address.")
_VERSION = "Its business version; without it, the current one."
_LANGUAGE = ("displayLanguage", "in", 0, "1", "code", "nl or en; without it, what Accept-Language says.")
_CODED: tuple[Parameter, ...] = (
    ("code", "in", 0, "1", "code", "The code; this, coding or codeableConcept."),
    ("display", "in", 0, "1", "string", "A display to check as well, in any language."),
    ("coding", "in", 0, "1", "Coding", "The code with its system; by POST."),
    ("codeableConcept", "in", 0, "1", "CodeableConcept", "Codings of which one must be valid; by POST."),
    _LANGUAGE,
    ("result", "out", 1, "1", "boolean", "Whether the code is valid."),
    ("message", "out", 0, "1", "string", "Why it is not."),
    ("display", "out", 0, "1", "string", "Its display in the language asked for."),
)
OPERATIONS = (
    Operation(
        "Questionnaire",
        "populate",
        f"{_SDC}/Questionnaire-populate",
        "A response in progress for a patient: the age, where a Patient sent along tells it. Nothing is stored.",
        (
            (
                "identifier",
                "in",
                0,
                "1",
                "Identifier",
                "Of the form; at the type, one of these three; at an instance, no other form.",
            ),
            ("questionnaire", "in", 0, "1", "canonical", "The canonical URL of the form."),
            ("questionnaireRef", "in", 0, "1", "Reference", "A reference to the form."),
            ("subject", "in", 1, "1", "Reference", "The patient."),
            ("context", "in", 0, "*", "", "Resources under the name of a launchContext of the form."),
            ("data", "in", 0, "*", "Resource", "Resources about the patient."),
            ("response", "out", 1, "1", "QuestionnaireResponse", "The response, in progress, for its user to review."),
            ("issues", "out", 0, "1", "OperationOutcome", "What was sent along and not used."),
        ),
    ),
    Operation(
        "Questionnaire",
        "process-response",
        f"{_SDC}/Questionnaire-process-response",
        "Judges a response. The advice comes as OperationOutcome with a RequestGroup in it. The answers are not kept;"
        " the decision is recorded.",
        (
            ("in", "in", 0, "1", "QuestionnaireResponse", "The response; it may be the body itself."),
            ("response", "in", 0, "1", "QuestionnaireResponse", "The same, under its name in SDC 3.0.0."),
            ("data", "in", 0, "*", "Resource", "The Patient, for the age."),
            ("return", "out", 0, "1", "OperationOutcome", "The advice, and what is wrong with the response."),
        ),
        affects=True,
    ),
    Operation(
        "QuestionnaireResponse",
        "validate",
        f"{_CORE}/Resource-validate",
        "Whether a response would be taken, and what is wrong with it, against its form. Nothing is stored.",
        (
            ("resource", "in", 0, "1", "QuestionnaireResponse", "The response; it may be the body itself."),
            ("mode", "in", 0, "1", "code", "create, update, delete or profile."),
            ("profile", "in", 0, "1", "uri", "That of FHIR or of SDC for responses."),
            ("return", "out", 1, "1", "OperationOutcome", "What is wrong with it."),
        ),
    ),
    Operation(
        "QuestionnaireResponse",
        "extract",
        f"{_SDC}/QuestionnaireResponse-extract",
        "The answers as Observations and the ServiceRequest that is advised, as a transaction. Nothing is stored.",
        (
            (
                "questionnaire-response",
                "in",
                0,
                "1",
                "QuestionnaireResponse",
                "The response; at an instance, no other than that of the address.",
            ),
            ("questionnaire", "in", 0, "1", "Questionnaire", "Its form, which must be the published one."),
            ("return", "out", 0, "1", "Bundle", "What was extracted."),
            ("issues", "out", 0, "1", "OperationOutcome", "What was not."),
        ),
    ),
    Operation(
        "PlanDefinition",
        "apply",
        f"{_CORE}/PlanDefinition-apply",
        "What a plan advises for a patient, as a CarePlan with a RequestGroup: by the responses in `data`, else by"
        " those that the client submitted. Nothing is stored.",
        (
            ("planDefinition", "in", 0, "1", "PlanDefinition", "At the type: the plan, by its URL; this or `url`."),
            ("url", "in", 0, "1", "canonical", "At the type: the canonical URL of the plan."),
            ("subject", "in", 1, "1", "string", "The patient, as Patient/id."),
            ("encounter", "in", 0, "1", "string", "The encounter, as Encounter/id."),
            ("practitioner", "in", 0, "1", "string", "Who asks, as Practitioner/id or PractitionerRole/id."),
            ("organization", "in", 0, "1", "string", "On whose behalf, as Organization/id."),
            ("userType", "in", 0, "1", "CodeableConcept", "Who reads it; clinicians only."),
            ("userLanguage", "in", 0, "1", "CodeableConcept", "In which language."),
            ("userTaskContext", "in", 0, "1", "CodeableConcept", "Taken and not used."),
            ("setting", "in", 0, "1", "CodeableConcept", "Taken and not used."),
            ("settingContext", "in", 0, "1", "CodeableConcept", "Taken and not used."),
            ("data", "in", 0, "*", "Resource", "What is judged: the Patient, responses, orders."),
            ("return", "out", 1, "1", "CarePlan", "The plan for this patient."),
        ),
    ),
    Operation(
        "ValueSet",
        "expand",
        f"{_CORE}/ValueSet-expand",
        "The codes of a value set of this server.",
        (
            _URL,
            ("valueSetVersion", "in", 0, "1", "string", _VERSION),
            ("filter", "in", 0, "1", "string", "A text that occurs in the code or its display."),
            ("offset", "in", 0, "1", "integer", "How many codes to leave out."),
            ("count", "in", 0, "1", "integer", "How many codes to give."),
            ("includeDesignations", "in", 0, "1", "boolean", "Whether to give the other wordings."),
            _LANGUAGE,
            ("return", "out", 1, "1", "ValueSet", "The value set with its expansion."),
        ),
    ),
    Operation(
        "ValueSet",
        "validate-code",
        f"{_CORE}/ValueSet-validate-code",
        "Whether a code is in a value set of this server.",
        (
            _URL,
            ("valueSetVersion", "in", 0, "1", "string", _VERSION),
            ("system", "in", 0, "1", "uri", "The system of `code`, or of a `coding` that does not say it."),
            ("systemVersion", "in", 0, "1", "string", "The version of the system."),
            *_CODED,
        ),
    ),
    Operation(
        "CodeSystem",
        "validate-code",
        f"{_CORE}/CodeSystem-validate-code",
        "Whether a code is in a code system of this server.",
        (_URL, ("version", "in", 0, "1", "string", _VERSION), *_CODED),
    ),
    Operation(
        "CodeSystem",
        "lookup",
        f"{_CORE}/CodeSystem-lookup",
        "What a code of a code system of this server means.",
        (
            ("code", "in", 0, "1", "code", "The code; with system, or coding instead."),
            ("system", "in", 0, "1", "uri", "The canonical URL of the code system."),
            ("version", "in", 0, "1", "string", _VERSION),
            ("coding", "in", 0, "1", "Coding", "The code with its system; by POST."),
            _LANGUAGE,
            ("name", "out", 1, "1", "string", "The name of the code system."),
            ("version", "out", 0, "1", "string", "The version that was looked in."),
            ("display", "out", 1, "1", "string", "The display in the language asked for."),
            ("designation", "out", 0, "*", "", "The other wordings, with their languages."),
        ),
        instance=False,
    ),
)

PARTS: dict[str, tuple[Parameter, ...]] = {
    "context": (
        ("name", "in", 1, "1", "string", "The name of the launchContext: patient."),
        ("content", "in", 1, "*", "Resource", "A resource of its type."),
    ),
    "designation": (
        ("language", "out", 0, "1", "code", "The language."),
        ("value", "out", 1, "1", "string", "The wording."),
    ),
}
