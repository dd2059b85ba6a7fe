"""What every generated definition has: canonical, version, texts in each language, and what the form says of itself.

Source: HL7 FHIR R4, the metadata of knowledge artifacts; profiles shareableplandefinition, shareablelibrary and
shareableactivitydefinition.
"""

from cds_content.screening import Screening
from cds_content.shapes import LANGUAGES, Json, Text
from cds_content.translations import TRANSLATION, displays

FHIRPATH = "text/fhirpath"
_PROFILES = "http://hl7.org/fhir/StructureDefinition"
_SHARED = ("status", "experimental", "date", "publisher", "jurisdiction", "copyright", "_copyright")


def metadata(screening: Screening, kind: str, id_: str, title: Text, description: Text) -> Json:
    """The first members of a definition; it is as much a draft as the form is."""
    form = screening.questionnaire
    return {
        "resourceType": kind,
        "id": id_,
        "meta": {"versionId": screening.version, "profile": [f"{_PROFILES}/shareable{kind.lower()}"]},
        "language": form["language"],
        "url": f"{screening.base}/{kind}/{id_}",
        "version": screening.version,
        "name": "".join(part[:1].upper() + part[1:] for part in id_.replace(".", "-").split("-")),
        **worded("title", title),
        **worded("description", description, markdown=True),
        **{member: form[member] for member in _SHARED if member in form},
        "subjectCodeableConcept": {
            "coding": [{"system": "http://hl7.org/fhir/resource-types", "code": "Patient", "display": "Patient"}]
        },
    }


def canonical(screening: Screening, kind: str, id_: str) -> str:
    """The canonical of a generated definition, with its version."""
    return f"{screening.base}/{kind}/{id_}|{screening.version}"


def library_id(screening: Screening) -> str:
    return f"{screening.name}-rules"


def activity_id(screening: Screening, resource: str) -> str:
    """The id of the ActivityDefinition of a resource of texts.toml."""
    return f"{screening.name}-{resource}"


def worded(member: str, text: Text, *, markdown: bool = False) -> Json:
    """A member with its text in the first language and its translations."""
    first, *others = LANGUAGES
    kind = "valueMarkdown" if markdown else "valueString"
    return {
        member: text[first],
        f"_{member}": {
            "extension": [
                {
                    "url": TRANSLATION,
                    "extension": [{"url": "lang", "valueCode": other}, {"url": "content", kind: text[other]}],
                }
                for other in others
            ]
        },
    }


def disposition(screening: Screening, name: str) -> Json:
    """The coding of a disposition, or of the topic of another card."""
    suffix = f"{screening.name}-dispositions"
    return {
        "system": f"{screening.base}/CodeSystem/{suffix}",
        "code": name,
        **worded("display", displays(screening.resources, suffix)[name]),
    }


def expression(text: str, name: str = "", description: str = "") -> Json:
    """An Expression in FHIRPath; a name is an `id` of R4."""
    members = {"name": name, "description": description, "language": FHIRPATH, "expression": text}
    return {member: value for member, value in members.items() if value}
