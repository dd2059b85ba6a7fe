"""$populate: the form begun for a patient, with what data of the record that were sent along say for certain.

Nothing is guessed: what the data leave open stays unanswered, and no question ever gets a "no" by itself. The age comes
from Patient.birthDate; nothing else is filled in. Source: SDC 4.0.0, "Questionnaire/$populate".
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from cds_content.screening import Question, Screening
from cds_content.shapes import Json
from cds_content.translations import in_language
from cds_service.answers import Answer, Answers, with_birth_date
from cds_service.dates import instant
from cds_service.errors import BadRequest, warning
from cds_service.parameters import Given, one_of, refused
from cds_service.resources import ID, dicts, is_of, is_resource, names, parts

PROFILE = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaireresponse"
LAUNCH_CONTEXT = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-launchContext"
FORM = ("identifier", "questionnaire", "questionnaireRef", "canonical")  # canonical: the name in SDC 3.0.0
KNOWN = (*FORM, "subject", "context", "data", "dataEndpoint", "local")  # the last two are not used, which is said
_PATIENT = re.compile(rf"(?:(https?://[^\s|#?]+)/)?Patient/({ID})", re.ASCII)


def named_form(screenings: Sequence[Screening], given: Given) -> Screening:
    """The screening whose form exactly one of the parameters `FORM` names.

    Raises BadRequest when none or several are given, and Unprocessable for a form that is not ours.
    """
    said = [name for name in FORM if name in given]
    if len(said) != 1:
        raise BadRequest("identifier, questionnaire, questionnaireRef: write exactly one, the form that is asked for")
    wanted = one_of(given, said[0])
    for screening in screenings:
        if _is_named(screening, wanted):
            return screening
    ours = ", ".join(screening.canonical for screening in screenings)
    raise refused(said[0], "not-found", f"is no form of this server; write the canonical URL of one: {ours}")


def refuse_other_form(screening: Screening, given: Given) -> None:
    """Raises BadRequest where a parameter names another form than this, which the address names."""
    for name in FORM:
        if name in given and not _is_named(screening, one_of(given, name)):
            raise BadRequest(f"{name}: is another form than the one at this address; leave it out, or ask at that form")


def populated(screening: Screening, given: Given, language: str, now: datetime) -> tuple[Json, list[Json]]:
    """The response, in progress and for its user to review, and the issues: warnings about what was not used.

    Raises BadRequest for parameters that cannot be read, and Unprocessable where there is no one patient to begin it
    for: no subject that is a Patient, or a resource of another patient among the data.
    """
    subject, server, patient = _subject(given)
    sent, issues = _sent(screening, given)
    references = [one for one in sent if not is_resource(one)]
    others = [is_of(one, patient, server) for one in sent if is_resource(one)]
    if False in [*others, *(names(one, patient, server) for one in references)]:
        raise refused("subject", "business-rule", "the data hold a resource of another patient; send this patient's")
    records = [one for one in sent if is_resource(one) and one["resourceType"] == "Patient"]
    ages, why = _ages(screening, [one for one in records if one.get("id") == patient], now)
    form = in_language(screening.questionnaire, language)
    response = {
        "resourceType": "QuestionnaireResponse",
        "meta": {"profile": [PROFILE]},
        "questionnaire": screening.canonical,
        "status": "in-progress",
        "subject": {"reference": subject},
        "authored": instant(now),
        "item": list(_items(form, ages)),
    }
    return response, [*issues, *why]


def _is_named(screening: Screening, wanted: Any) -> bool:
    """Whether a canonical URL, a Reference or an Identifier names the form of this screening."""
    form = screening.questionnaire
    if isinstance(wanted, str):
        return wanted in (form["url"], screening.canonical)
    reference = wanted.get("reference") if isinstance(wanted, dict) else None
    if isinstance(reference, str):
        return reference in (form["url"], screening.canonical, f"Questionnaire/{form['id']}")
    said = (wanted.get("system"), wanted.get("value")) if isinstance(wanted, dict) else None
    return said in [(one.get("system"), one.get("value")) for one in form.get("identifier", [])]


def _subject(given: Given) -> tuple[str, str | None, str]:
    """The reference to the patient as given, the server that it names, if any, and the patient's id there."""
    subject = one_of(given, "subject")
    if subject is None:
        raise BadRequest('subject: is missing; write {"name": "subject", "valueReference": {"reference": "Patient/…"}}')
    reference = subject.get("reference") if isinstance(subject, dict) else None
    match = _PATIENT.fullmatch(reference) if isinstance(reference, str) else None
    if not match:
        raise refused("subject", "business-rule", "names no patient; write a reference Patient/ and the id")
    return match[0], match[1], match[2]


def _sent(screening: Screening, given: Given) -> tuple[list[Json], list[Json]]:
    """All resources and references that were sent for the form to use, and warnings about those it does not use."""
    declared, found, issues = _declared(screening), list[Any](), list[Json]()
    for name, contents in _context(given).items():
        if name not in declared:
            issues.append(warning("not-supported", "context: its name is no launchContext of the form; it is not used"))
            continue
        for one in contents:
            if is_resource(one) and one["resourceType"] not in declared[name]:
                raise refused("context", "business-rule", f"{name}: write {' or '.join(sorted(declared[name]))}")
        found += contents
    found += [part for value in given.get("data", []) for part in parts(value)]
    if not all(isinstance(one, dict) and (is_resource(one) or "reference" in one) for one in found):
        raise BadRequest("context, data: hold what is neither a resource nor a reference; write these")
    if "dataEndpoint" in given:
        issues.append(warning("not-supported", "dataEndpoint: data are not fetched; send them along as data"))
    if given.get("local", [False]) != [False]:
        words = "local: nothing is known here of a patient; send what is known along as data"
        issues.append(warning("not-supported", words))
    if given.keys() - set(KNOWN):
        words = f"Parameters: some are unknown, and are not used; known are {', '.join(KNOWN)}"
        issues.append(warning("not-supported", words))
    return found, issues


def _context(given: Given) -> dict[str, list[Any]]:
    """The contents by the name of the context. Raises BadRequest by SDC's invariant sdc-pop1: each name once."""
    found: dict[str, list[Any]] = {}
    for context in given.get("context", []):
        said = context.get("name", []) if isinstance(context, dict) else []
        contents = context.get("content", []) if isinstance(context, dict) else []
        named = isinstance(said, list) and len(said) == 1 and isinstance(said[0], str)
        if not named or not isinstance(contents, list) or not contents:
            raise BadRequest("context: write the part name once, and a part content for each resource or reference")
        if said[0] in found:
            raise BadRequest("context: a name is used twice; write one context for each name")
        found[said[0]] = contents
    return found


def _declared(screening: Screening) -> Mapping[str, set[str]]:
    """name → resource types, of the launch contexts that the form declares."""
    found: dict[str, set[str]] = {}
    for extension in screening.questionnaire.get("extension", []):
        if extension["url"] == LAUNCH_CONTEXT:
            held = dicts(extension.get("extension"))
            name = next(part["valueCoding"]["code"] for part in held if part["url"] == "name")
            found[name] = {part["valueCode"] for part in held if part["url"] == "type"}
    return found


def _ages(screening: Screening, records: Sequence[Json], now: datetime) -> tuple[dict[str, int], list[Json]]:
    """linkId → age in completed years today, where it is certain; and why not, where it is not."""
    asked = [question for question in screening.questions.values() if question.item.birth_date]
    usable = [one for one in records if not _is_modified(one)]
    born = {repr(one.get("birthDate")): one.get("birthDate") for one in usable}
    ages = {one.link_id: _age(one, next(iter(born.values())), now) for one in asked} if len(born) == 1 else {}
    known = {link_id: age for link_id, age in ages.items() if age is not None}
    why = "the patient's record was not sent, or does not say whose it is"
    if records:
        why = "no single birth date in the patient's record gives a certain age within the limits of the question"
    if records and not usable:
        why = "the patient's record holds an element that changes its meaning, so it is not used"
    open_ = [one.link_id for one in asked if one.link_id not in known]
    return known, [warning("incomplete", f"{link_id}: is not filled in: {why}") for link_id in open_]


def _is_modified(patient: Json) -> bool:
    """Whether a Patient says something that changes what the rest of it means."""
    dead = patient.get("deceasedBoolean", False) is not False or "deceasedDateTime" in patient
    return (
        dead or patient.get("active", True) is not True or bool(patient.keys() & {"modifierExtension", "implicitRules"})
    )


def _age(question: Question, birth_date: Any, now: datetime) -> int | None:
    today = now.astimezone(UTC).date()
    unanswered = Answers({question.link_id: Answer(doubt="missing")})
    answer = with_birth_date(unanswered, question, birth_date, today, today)[question.link_id]
    lowest, highest = answer.span or (0, -1)
    return lowest if lowest == highest and not answer.doubt and question.low <= lowest <= question.high else None


def _items(parent: Json, ages: Mapping[str, int]) -> Iterator[Json]:
    """The groups and questions of the form in their order, each with its text; questions below a question follow its
    answer, so they are not there yet."""
    for item in parent.get("item", []):
        if item["type"] == "display":
            continue
        begun = {name: item[name] for name in ("linkId", "text") if name in item}
        within = list(_items(item, ages)) if item["type"] == "group" else []
        answer = [{"valueInteger": ages[item["linkId"]]}] if item["linkId"] in ages else []
        yield begun | ({"item": within} if within else {}) | ({"answer": answer} if answer else {})
