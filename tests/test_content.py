"""Broken content is refused at start, each mistake with its file, its place and what to write instead."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cds_content.files import ContentError
from cds_content.loading import load
from cds_content.reassurance import reassurance
from cds_content.review import review_page
from tests.conftest import ROOT

pytestmark = pytest.mark.timeless  # nothing in it is dated

NAME = "low-back-pain"
FORM = f"questionnaires/{NAME}/questionnaire.json"
ANSWERS = f"questionnaires/{NAME}/codesystem-answers.json"
TOPICS = f"questionnaires/{NAME}/codesystem-dispositions.json"
OVERRIDES = f"questionnaires/{NAME}/codesystem-override-reasons.json"
FINDINGS = f"questionnaires/{NAME}/findings.toml"
STATEMENTS = f"questionnaires/{NAME}/statements.toml"
CODES = f"questionnaires/{NAME}/codes.toml"
ADVICE = f"cards/{NAME}/advice.toml"
TEXTS = f"cards/{NAME}/texts.toml"
SERVICES = f"cards/{NAME}/services.toml"
SELF_TEST = f"cards/{NAME}/self-test.toml"
SIGNED = f"cards/{NAME}/signed.toml"
WORDS = "cards/words.toml"
EVERY_FILE = (FORM, FINDINGS, STATEMENTS, CODES, ADVICE, TEXTS, SERVICES, SELF_TEST, SIGNED, WORDS)

# fmt: off
ROWS = (
    "R01", "R02", "R03", "R04", "R05", "R10", "R11", "R12", "R13", "R14", "R15a", "R15b", "R18", "R16", "R17",
    "R20", "R21", "R22", "R23", "R24", "R25", "R26", "R27", "R00", "R30", "R31", "R32", "R33", "R34", "R35",
    "R40", "R50",
)
# fmt: on
NUMBERS = tuple(f"S{number}" for number in range(1, 40))

# What the content holds, to be broken below.
SADDLE = 'when = { answer = "rf-saddle", is = ["new"] }'
ITEM = '[item.rf-saddle]\nsafety = true\nsafe = ["no"]'
ORDER = 'order = ["no", "unknown", "longstanding", "new"]'
ENGLISH, DETAIL, PATIENT, SOURCE = 'summary.en = "', '\nnl = "', 'patient.nl = "', 'source.nl = "'
LABEL, CLOSING, OFFER = 'label.nl = "', '[[closing]]\nnl = "', '[[offer.detail]]\nnl = "'
SAFETY_NET, MISSING = '[text.safety-net]\nnl = "', '[doubt.missing]\nnl = "'
OFFERED = '"answerOption": ['
INCOMPLETE = 'computed = "incomplete"\nadvice = "incomplete"'
COURSE = 'is = ["cannot"] }] }\nadvice = "physio-or-doctor"'
FALL = 'basis = ["S21"]\nsummary'
RANKS = "item.rf-bladder-bowel.order"
BLADDER = 'findings = ["R01", "R22"]'
TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
SYSTEM = '"system": "https://lowbackpain.example/fhir/CodeSystem/low-back-pain-answers"'
OPTION = f'{SYSTEM},\n            "code": "no"'
YES = f'{SYSTEM}, "code": "yes", "display": "Ja", "_display": {{"extension": [{{"url": "{TRANSLATION}", "extension": ['
YES += '{"url": "lang", "valueCode": "en"}, {"url": "content", "valueString": "Yes"}]}]}'
CHOSEN = f'"valueCoding": {{\n            {SYSTEM}'
UNKNOWN = '{"language": "en", "value": "I don\'t know"}'
UNWELL = '"question": "rf-unwell",\n          "operator": "="'
ASSESSED = '"designation": [{"language": "en", "value": "Already assessed by a doctor"}]'
ADVISED = '"designation": [{"language": "en", "value": "Advice of a doctor"}]'
PHYSIO = 'cards = ["physio-or-doctor"]'
NO_DATE = 'no-date.nl = "datum onbekend"\nno-date.en'
NEVER = '{ all = [{ answer = "age", under = 18 }, { answer = "age", over = 50 }] }'
AGAIN = '{ answer = "rf-bladder-bowel", is = ["new"] }'
HALF = '{ any = [{ answer = "rf-saddle", is = ["new"] }, { answer = "rf-leg", over = 50 }] }'

# What is to be written instead.
TYPE = 'resourceType = "ServiceRequest"'
REFERRAL = "resource.emergency-referral"
LANGUAGES = "write a (text|translation) for each of: nl, en"
FOUR = "no, new, longstanding, unknown"
CARRIED = "write where it is carried.*or why it is `information`"
ERNSTIG, SERIOUS, RULED_OUT = (f"'{phrase}'.*say" for phrase in ("niets ernstigs", "nothing serious", "ruled out"))


def when(rule: str, *more: str) -> str:
    """A finding R41 with this rule, standing before R40."""
    rules = [f"when = {rule}", 'advice = "doctor-soon"', 'beyond = ["ces-card"]', *more]
    texts = ['summary.nl = "Proef."', 'summary.en = "Test."', 'reason.nl = "proef"', 'reason.en = "test"']
    return "\n".join(["[finding.R41]", *rules, *texts, "", "[finding.R40]"])


def instead(text: str) -> str:
    """An English summary; what stood there becomes a comment."""
    return f'{ENGLISH}{text}" # '


def german(indent: int, text: str) -> tuple[str, str]:
    """The English translation of a text in the form, and the same as if it were German."""
    english = f'"en"}},\n{" " * indent}{{"url": "content", "valueString": "{text}'
    return english, english.replace('"en"', '"de"')


# file: (why it is broken, text, what replaces its first occurrence, where the mistake is, what the mistake says).
# The place is in the same file, unless it names another; what is said is a regular expression.
BROKEN: dict[str, list[tuple[str, str, str, str, str]]] = {
    FINDINGS: [
        ("TOML with a quote left open", 'version = "1.0.0"', 'version = "1.0.0', "file", "not TOML.*line"),
        ("TOML with a table twice", "[finding.R02]", "[finding.R01]", "file", "not TOML.*line"),
        ("a misspelt key", "explains = true", "explain = true", "finding.R12.explain", "write.*explains"),
        ("a misspelt key of a question", "not-known =", "not_known =", "item.lbp-present.not_known", "not-known"),
        ("a misspelt key of the file", "next-review", "next-revue", "next-revue", "write.*next-review"),
        ("a key like no other", SADDLE, f"{SADDLE}\nxyz = 1", "finding.R02.xyz", "head of the file"),
        ("a row named otherwise than its table", SADDLE, f'{SADDLE}\nrow = "R99"', "finding", "leave `row` out"),
        ("a summary only in Dutch", "summary.en", "# summary.en", "finding.R01.summary", LANGUAGES),
        ("a summary only in English", "summary.nl", "# summary.nl", "finding.R01.summary", LANGUAGES),
        ("a summary in a third language", "summary.nl", "summary.fr", "finding.R01.summary", LANGUAGES),
        ("a reason only in Dutch", "reason.en", "# reason.en", "finding.R01.reason", LANGUAGES),
        ("a reason only in English", "reason.nl", "# reason.nl", "finding.R01.reason", LANGUAGES),
        ("a reason with blank English", 'reason.en = "', 'reason.en = "  " # ', "finding.R01.reason", LANGUAGES),
        ("a rule about no question", SADDLE, SADDLE.replace("dd", "d"), "finding.R02.when", "write.*rf-saddle"),
        ("a rule about no answer", SADDLE, SADDLE.replace("new", "nw"), "finding.R02.when", "'nw'; write.*new"),
        ("a table for no question", "[item.rf-saddle]", "[item.rf-sadle]", "item.rf-sadle", "write.*rf-saddle"),
        ("no table for a question", "[item.rf-saddle]", "[item.rf-sadle]", "item.rf-saddle", "missing; write"),
        ("no such safe answer", ITEM, ITEM.replace('"no"', '"nee"'), "item.rf-saddle.safe", FOUR),
        ("no safe answer", ITEM, ITEM.replace('"no"', ""), "item.rf-saddle.safe", f"write the safe answers.*{FOUR}"),
        ("safe and not known", ITEM, ITEM.replace('"no"', '"no", "unknown"'), "item.rf-saddle.safe", "none.*not-known"),
        ("no such not-known answer", 'known = ["un', 'known = ["not-', "item.lbp-present.not-known", "write.*unknown"),
        ("an answer not ranked", ORDER, ORDER.replace('"no", ', ""), RANKS, f"write each answer once: {FOUR}"),
        ("an answer ranked twice", ORDER, ORDER.replace("unknown", "no"), RANKS, f"once: {FOUR}"),
        ("no such answer ranked", ORDER, ORDER.replace("new", "old"), RANKS, f"once: {FOUR}"),
        ("no such in-scope answer", 'in-scope = ["yes"]', 'in-scope = ["ja"]', "item.lbp-present.in-scope", "write"),
        ("no such out-of-scope answer", 'of-scope = ["', 'of-scope = ["-', "item.lbp-present.out-of-scope", "yes, no"),
        ("a birth date as a choice", ITEM, f"{ITEM}\nbirth-date = true", "item.rf-saddle.birth-date", "leave it out"),
        ("a finding without a rule", SADDLE, f"# {SADDLE}", "finding.R02", "write either `when` or `computed`"),
        ("a finding with two rules", SADDLE, f'{SADDLE}\ncomputed = "all-safe"', "finding.R02", "write either"),
        ("a negation", SADDLE, 'when = { not = { answer = "age", over = 50 } }', "finding.R02.when.not", "write"),
        ("a negated answer", SADDLE, SADDLE.replace("is =", "is-not ="), "finding.R02.when.is-not", "write"),
        ("arithmetic", SADDLE, 'when = { answer = "age", between = [18, 50] }', "finding.R02.when.between", "write"),
        ("a rule about a finding", SADDLE, 'when = { finding = "R01" }', "finding.R02.when.finding", "write"),
        ("a rule with no answers", SADDLE, SADDLE.replace('"new"', ""), "finding.R02.when", "write { answer, is"),
        ("a rule of two forms", SADDLE, SADDLE.replace("is =", "over = 1, is ="), "finding.R02.when", "write { answer"),
        ("a limit on a choice", SADDLE, SADDLE.replace('is = ["new"]', "over = 1"), "finding.R02", "when"),
        ("a code of a number", SADDLE, SADDLE.replace("rf-saddle", "age"), "finding.R02", "when"),
        ("a limit on a choice, beside another answer", SADDLE, f"when = {HALF}", "finding.R02", "when"),
        ("no origin", FALL, "summary", "finding.R20", "write its origin: `basis`.*`beyond`"),
        ("no such disposition", '"emergency-now"', '"emergency"', "finding.R01.advice", "write.*emergency-now"),
        ("no such statement", '"S16"', '"S61"', "finding.R01", "unknown statement 'S61'; write one of: S"),
        ("no such reference", '"ces-card"', '"ces-cart"', "finding.R01", "'ces-cart'; write one of: ces-card"),
        ("no such SNOMED CT code", '["56925008"]', '["56925018"]', "finding.R03", "'56925018'; write.*56925008"),
        ("no such computed row", '"all-safe"', '"all-well"', "finding.R40.computed", "write"),
        ("a computed row missing", '"out-of-scope"', '"all-safe"', "finding", "incomplete, all-safe, out-of-scope"),
        ("what is incomplete reassures", INCOMPLETE, INCOMPLETE[:-11] + 'self-care"', "finding.R00", "incomplete"),
        ("a rule for self-care", COURSE, COURSE.replace("physio-or-doctor", "self-care"), "finding.R31", "self-care"),
        ("a finding that changes no advice", "[finding.R40]", when(AGAIN), "finding.R41", "can never.*explains = true"),
        ("a finding that never fires", "[finding.R40]", when(NEVER), "finding.R41", "no answers.*change its `when`"),
        ("the form's version not accepted", 'accepts = ["1.0.0"]', 'accepts = ["0.9"]', "accepts", r"write.*1\.0\.0"),
        ("no version accepted", 'accepts = ["1.0.0"]', "accepts = []", "accepts", "write it"),
        ("a review at no date", "next-review = 2", 'next-review = "soon" # 2', "next-review", "date.*write it"),
        ("a summary of 140 characters", ENGLISH, instead("x" * 140), "finding.R01.summary", "at most 139 characters"),
        ("a summary of two lines", ENGLISH, instead("Pain:\\nemergency."), "finding.R01.summary", "write one line"),
        ("reassurance in a summary", ENGLISH, instead("Nothing serious."), "finding.R01.summary", SERIOUS),
        ("reassurance in a reason", 'reason.en = "', 'reason.en = "Nothing serious, ', "finding.R01.reason", SERIOUS),
        ("no such place in a reason", 'reason.nl = "', 'reason.nl = "{nieuw} ', "finding.R01.reason", "{nieuw}.*write"),
        ("a row that S16 does not name", FALL, FALL.replace("21", "16"), f"{STATEMENTS}: statement.S16", ": .*R20"),
    ],
    FORM: [
        ("reassurance in a question", "Heb je nu pijn", "Niets ernstigs. Heb je nu pijn", "item.lbp-present", ERNSTIG),
        ("JSON with a comma left out", '"status": "draft",', '"status": "draft"', "file", "not JSON.*line"),
        ("a form without status", '"status": "draft",', "", "status", "write it as FHIR R4 says"),
        ("a form without resourceType", '"resourceType": "Questionnaire",', "", "", "resourceType.*write"),
        ("a form without a name", '"name": "LowBackPain",', "", "", "name.*write it"),
        ("a form without a language", '"language": "nl",', "", "", "language.*write it"),
        ("a form named otherwise than its folder", f'"id": "{NAME}"', '"id": "neck"', "", f"id.*write.*{NAME}"),
        ("a title only in Dutch", '"valueCode": "en"', '"valueCode": "de"', "Questionnaire.title", LANGUAGES),
        ("a question only in Dutch", *german(14, "Do you have pain low"), "lbp-present.text", LANGUAGES),
        ("a question only in English", '"text": "Heb je nu pijn laag in je rug?",', "", "lbp-present", "nl, en"),
        ("an option only in English", '"display": "Ja",', "", "lbp-present", "nl, en"),
        ("a help text only in Dutch", *german(18, "Low back: between"), "lbp-present-help.text", LANGUAGES),
        ("an option only in Dutch", *german(20, "I don't know"), "lbp-present.display", LANGUAGES),
        ("a short name only in Dutch", *german(18, "low back pain at"), "lbp-present", "short name in each language"),
        ("a translation into no language", '"url": "lang"', '"url": "language"', "Questionnaire.title", LANGUAGES),
        ("a translation of nothing", '"url": "content"', '"url": "contents"', "Questionnaire.title", LANGUAGES),
        ("a linkId twice", '"linkId": "rf-fever"', '"linkId": "rf-cancer"', "rf-cancer", "used twice; write another"),
        ("a help text's linkId twice", '"linkId": "age-help"', '"linkId": "intro"', "intro", "used twice; write"),
        ("a follow-up to a later question", UNWELL, UNWELL.replace("unwell", "cancer"), "rf-fever", "write.*earlier"),
        ("a follow-up to no question", UNWELL, UNWELL.replace("unwell", "ill"), "rf-fever", "write enableWhen"),
        ("a follow-up to other answers", UNWELL, UNWELL.replace("=", "!="), "rf-fever", "write.* operator '='"),
        ("a follow-up to all answers", '"enableBehavior": "any"', '"enableBehavior": "all"', "rf-leg-sides", "'any'"),
        ("a number preselected", '"integer"', '"integer", "initial": [{"valueInteger": 40}]', "age", "leave `initial`"),
        ("an option preselected", CHOSEN, f'"initialSelected": true, {CHOSEN}', "lbp-present", "leave `initial`"),
        ("an option of a foreign system", OPTION, OPTION.replace(NAME, "foreign"), "lbp-present", "none of our.*mend"),
        ("an option of an unknown code", OPTION, OPTION.replace('"no"', '"nee"'), "lbp-present", "'nee'.*write it"),
        ("an option twice", OFFERED, f'{OFFERED}{{"valueCoding": {{{YES}}}}},', "lbp-present", "yes"),
        ("an option without a code", '"code": "yes",', "", "lbp-present", "write"),
        ("a question in free text", '"type": "integer"', '"type": "string"', "age", "write a choice.*or an integer"),
        ("a number without a greatest", "/maxValue", "/maxSize", "age", "write.*maxValue"),
    ],
    ANSWERS: [
        ("reassurance in an answer", '"value": "No"', '"value": "Ruled out"', "concept.no", RULED_OUT),
        ("no code for an option", '"declined"', '"refused"', f"{FORM}: rf-sexual", "'declined'.*write it there"),
        ("an answer only in Dutch", UNKNOWN, UNKNOWN.replace("en", "de"), "", "unknown.*nl, en"),
    ],
    TOPICS: [
        ("reassurance in a disposition", ADVISED, ADVISED.replace("Advice", "Nothing serious"), "concept", SERIOUS),
        ("a disposition named in German", ADVISED, ADVISED.replace("en", "de"), "", "doctor-advice.*nl, en"),
        ("a disposition named only in Dutch", f", {ADVISED}", "", "", "doctor-advice.*nl, en"),
        ("a title only in Dutch", '"valueCode": "en"', '"valueCode": "de"', "", "title.*nl, en"),
        ("a disposition without a code", '"doctor-soon"', '"later"', f"{ADVICE}: doctor-soon", "codesystem-d.*write"),
    ],
    OVERRIDES: [
        ("reassurance in an override reason", ASSESSED, ASSESSED.replace("Already", "Ruled out"), "concept", RULED_OUT),
        ("an override reason only in Dutch", f", {ASSESSED}", "", "", "already-assessed.*nl, en"),
        ("an override reason in German", ASSESSED, ASSESSED.replace("en", "de"), "", "already-assessed.*nl, en"),
    ],
    STATEMENTS: [
        ("reassurance in a source", 'label.en = "', 'label.en = "Ruled out by the ', "reference.", RULED_OUT),
        ("a misspelt key", "\nnote = ", "\nnot = ", "statement.S7.not", "write.*note"),
        ("a statement only in Dutch", "\nen = ", "\n# en = ", "statement.S1.en", "write it"),
        ("a reference only in Dutch", "label.en", "# label.en", "reference.nhs-999.label", LANGUAGES),
        ("a statement without its place", "\ninformation = ", "\n# ", "statement.S4", CARRIED),
        ("also information only", BLADDER, f'{BLADDER}\ninformation = "no"', "statement.S16", CARRIED),
        ("a statement removed", "[statement.S6]", "[statement.S40]", "statement.S6", "write exactly.*S1 to S39"),
        ("a statement too many", "[statement.S6]", "[statement.S40]", "statement.S40", "write exactly.*S1 to S39"),
        ("a statement too few", 'last = "S39"', 'last = "S40"', "statement.S40", "write exactly.*S1 to S40"),
        ("a statement without a number", "[statement.S6]", "[statement.six]", "statement.six", "S1 to S39"),
        ("no such row", BLADDER, BLADDER.replace("R22", "R222"), "statement.S16.findings", "'R222'; write.*R22"),
        ("a row that names it not", BLADDER, BLADDER.replace("R01", "R02"), "statement.S16.findings", ": R01, R22$"),
        ("a row not named", BLADDER, BLADDER.replace('"R01", ', ""), "statement.S16.findings", ": R01, R22$"),
        ("a card that names it not", PHYSIO, 'cards = ["self-care"]', "statement.S1.cards", ": physio-or-doctor$"),
    ],
    CODES: [
        ("a misspelt key", "seen-in = ", "seen_in = ", "code.279039007.seen_in", "write.*seen-in"),
        ("a SNOMED CT code mistyped", "[code.56925008]", "[code.56925018]", "code.56925018", "check digit; look.*up"),
    ],
    ADVICE: [
        ("a misspelt key", "indicator = ", "indicater = ", "emergency-now.indicater", "write.*indicator"),
        ("a detail only in Dutch", "\nen = ", "\n# en = ", "emergency-now.detail.0.en", "write it"),
        ("a detail only in English", "\nnl = ", "\n# nl = ", "emergency-now.detail.0.nl", "write it"),
        ("a detail with blank English", '\nen = "', '\nen = "  " # ', "emergency-now.detail.0", "write"),
        ("a label only in Dutch", "label.en", "# label.en", "emergency-now.suggestion.0.label", LANGUAGES),
        ("a label only in English", "label.nl", "# label.nl", "emergency-now.suggestion.0.label", LANGUAGES),
        ("a patient's text only in Dutch", "patient.en", "# patient.en", "emergency-now.patient", LANGUAGES),
        ("no such class", 'class = "none"', 'class = "nothing"', "not-applicable.class", "write it"),
        ("no such statement", '"S30", "S31"', '"S30", "S93"', "physio-or-doctor.detail.basis", "'S93'; write.*S39"),
        ("no such link", 'links = ["form"', 'links = ["from"', "emergency-now.links", "'from'; write one of: form"),
        ("no such resource", '["gp-referral"]', '["gp-referal"]', "doctor-same-day.suggestion", "write.*: gp-referral"),
        ("no such place", DETAIL, DETAIL + "{reason}", "emergency-now", "'{reason}'; write one of: .*reasons"),
        ("a place with a capital", DETAIL, DETAIL + "{Reasons}", "emergency-now", "{Reasons}.*write.*reasons"),
        ("a place left open", DETAIL, DETAIL + "{reasons ", "emergency-now", "write"),
        ("a card without a text", 'class = "none"', 'class = "conservative"', "not-applicable", "write `detail`"),
        ("a patient's text of 140 characters", PATIENT, PATIENT + "x" * 140, "emergency-now.patient", "at most 139"),
        ("a card S29 does not name", '"S30", "S31"', '"S29"', f"{STATEMENTS}: statement.S29", ": physio-or-doctor$"),
        ("reassurance in Dutch", DETAIL, f"{DETAIL}Niets ernstigs. ", "emergency-now", ERNSTIG),
        ("reassurance in English", '\nen = "', '\nen = "Nothing serious. ', "emergency-now", SERIOUS),
        ("reassurance of the patient", PATIENT, f"{PATIENT}Nothing serious. ", "emergency-now.patient", SERIOUS),
        ("no such priority", 'priority = "stat"', 'priority = "now"', "emergency-now.suggestion.0.priority", "write"),
        ("reassurance in a label", LABEL, f"{LABEL}Niets ernstigs. ", "emergency-now.suggestion", ERNSTIG),
    ],
    TEXTS: [
        (
            "reassurance in a referral",
            'nl = "Verwijzing naar',
            'nl = "Niets ernstigs, naar',
            f"{REFERRAL}.body",
            ERNSTIG,
        ),
        ("a misspelt key", "reason-code = ", "reason-cod = ", "reason-cod", "write.*reason-code"),
        ("a source only in Dutch", "source.en", "# source.en", "source", LANGUAGES),
        ("a shared text only in Dutch", 'en = "New', '# en = "New', "text.safety-net", LANGUAGES),
        ("a link only in Dutch", "label.en", "# label.en", "link.form.label", LANGUAGES),
        ("an action only in Dutch", "action.en", "# action.en", "resource.emergency-referral.action", LANGUAGES),
        ("a resource of no type", TYPE, "# " + TYPE, "resource.emergency-referral.resourceType", "FHIR R4"),
        ("a resource of a misspelt type", TYPE, TYPE.replace("Request", "Requst"), REFERRAL, "FHIR R4"),
        ("a resource with a misspelt member", "intent = ", "intention = ", REFERRAL, "FHIR R4"),
        ("an object inside a text", '"{now}"', '"{now} {requester}"', REFERRAL, "FHIR R4"),
        ("a resource without English", ', en = "Referral', ', fr = "Renvoi', "resource.emergency-referral", "nl, en"),
        ("no such reason code", 'reason-code = "2', 'reason-code = "3', "reason-code", "write.*279039007"),
        ("a referral of no such code", '"306254002"', '"306254012"', "resource.emergency-referral", "'306254012'"),
        ("no such link of the offer", 'links = ["form"]', 'links = ["from"]', "", "'from'; write one of: form"),
        ("no such resource of the offer", '["complete-questionnaire"]', '["complete"]', "", "write.*complete-que"),
        ("no such place in a closing line", "{filled-in}", "{filed-in}", "", "'{filed-in}'; write.*filled-in"),
        ("no such place in a source", SOURCE, SOURCE + "{versie} ", "source", "{versie}.*write.*version"),
        ("no such place in a shared text", SAFETY_NET, SAFETY_NET + "{arts} ", "text.safety-net", "{arts}.*write"),
        ("no such place in a resource", "Patient/{patient}", "Patient/{pat}", "resource.emergency-referral", "write"),
        ("an offer of 140 characters", ENGLISH, instead("x" * 140), "offer.summary", "at most 139 characters"),
        ("reassurance in a closing line", CLOSING, f"{CLOSING}Niets ernstigs. ", "", ERNSTIG),
        ("reassurance in an offer", OFFER, f"{OFFER}Niets ernstigs. ", "", ERNSTIG),
        ("reassurance in a safety net", SAFETY_NET, f"{SAFETY_NET}Niets ernstigs. ", "text.safety-net", ERNSTIG),
        ("reassurance in a source", SOURCE, f"{SOURCE}Niets ernstigs. ", "source", ERNSTIG),
    ],
    SERVICES: [
        ("reassurance in a title", 'title.en = "', 'title.en = "Ruled out: ', f"{NAME}-patient-view.title", RULED_OUT),
        ("a misspelt key", "hook = ", "hok = ", f"{NAME}-patient-view.hok", "write.*hook"),
        ("a title only in Dutch", "title.en", "# title.en", f"{NAME}-patient-view.title", LANGUAGES),
    ],
    SELF_TEST: [
        ("a misspelt key", "expected = ", "expect = ", "expect", "write.*expected"),
        ("no such disposition", '"emergency-now"', '"emergency"', "expected", "'emergency'; write.*: emergency-now"),
        ("one that is no doctor's", '"emergency-now"', '"self-care"', "expected", "'self-care'; write one of: .*soon"),
        ("no such question", "rf-saddle = ", "rf-sadle = ", "answers.rf-sadle", "'rf-sadle'; write one of: rf-saddle"),
        ("no such answer", 'saddle = "no"', 'saddle = "none"', "answers.rf-saddle", "'none'; write one of: no"),
        ("a number for a code", 'saddle = "no"', "saddle = 1", "answers.rf-saddle", "write a code"),
        ("a code for a number", "age = 42", 'age = "no"', "answers.age", "write a code, or a whole number"),
    ],
    SIGNED: [("a misspelt key", "name = ", "nam = ", "nam", "write.*name")],
    WORDS: [
        ("reassurance in the form", "Read this first", "Ruled out; read this", "form.notice", RULED_OUT),
        ("a misspelt key", "[who.Patient]", "[whom.Patient]", "whom", "write.*who"),
        ("a word only in Dutch", "\nen = ", "\n# en = ", "who.Patient", LANGUAGES),
        ("a needed doubt misspelt", "[doubt.missing]", "[doubt.mising]", "doubt", "missing"),
        ("a needed person misspelt", "[who.unknown]", "[who.unkown]", "who", "unknown"),
        ("a needed phrase misspelt", NO_DATE, NO_DATE.replace("no-date", "no-day"), "response", "no-date"),
        ("no such place in a phrase", "{date} door", "{datum} door", "response.filled-in", "{datum}.*write.*date"),
        ("English reassurance in a doubt", MISSING, f"{MISSING}no serious, ", "doubt.missing", "'no serious'.*say"),
        ("reassurance in a doubt", MISSING, f"{MISSING}niets ernstigs, ", "doubt.missing", ERNSTIG),
    ],
}


@pytest.fixture(name="root")
def _root(tmp_path: Path) -> Path:
    """A copy of the real content, to break."""
    for folder in ("questionnaires", "cards"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    return tmp_path


@pytest.fixture(scope="module", name="page")
def _page() -> str:
    """The review page of the real content."""
    (screening,) = load(ROOT)
    return review_page(screening)


def replace(path: Path, old: str, new: str) -> None:
    """Fails when `old` is not there, because then nothing would be broken."""
    text = path.read_text("utf-8")
    assert old in text, f"{path.name} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1), "utf-8")


def mistakes(root: Path) -> tuple[str, ...]:
    """What is said about the content below `root`; fails when it is accepted."""
    with pytest.raises(ContentError) as refused:
        load(root)
    return refused.value.mistakes


def check(root: Path, folder: Path) -> subprocess.CompletedProcess[str]:
    """`cds-service check` of the content below `root`, run in `folder`."""
    command = [str(Path(sys.executable).with_name("cds-service")), "check"]
    environment = os.environ | {"CDS_CONTENT": str(root), "PYTHONUTF8": "1"}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, encoding="utf-8", check=False)


def test_the_sentences_of_the_sheet_may_say_what_no_other_text_may() -> None:
    statements = tomllib.loads((ROOT / STATEMENTS).read_text("utf-8"))

    assert "no serious" in statements["statement"]["S26"]["en"]
    assert not list(reassurance(statements))


def test_the_real_content_has_no_mistakes() -> None:
    assert [screening.name for screening in load(ROOT)] == [NAME]


@pytest.mark.parametrize(
    ("file", "old", "new", "place", "says"),
    [pytest.param(file, *how, id=f"{Path(file).name}: {why}") for file, rows in BROKEN.items() for why, *how in rows],
)
def test_refused_with_file_place_and_what_to_write(
    file: str, old: str, new: str, place: str, says: str, root: Path
) -> None:
    replace(root / file, old, new)
    start = place if place.startswith(("questionnaires/", "cards/")) else f"{file}: {place}"
    said = mistakes(root)
    assert any(one.startswith(start) and re.search(says, one.removeprefix(start)) for one in said), said


def nest(root: Path, link_id: str, parent: str) -> None:
    """Puts one item of the form below another."""
    form = json.loads((root / FORM).read_text("utf-8"))
    items = {item["linkId"]: item for item in form["item"]}
    form["item"] = [item for item in form["item"] if item["linkId"] != link_id]
    items[parent].setdefault("item", []).append(items[link_id])
    (root / FORM).write_text(json.dumps(form), "utf-8")


def test_below_a_question_may_stand_what_its_answer_calls_for(root: Path) -> None:
    nest(root, "rf-fever", "rf-unwell")

    assert [screening.name for screening in load(root)] == [NAME]


@pytest.mark.parametrize(
    ("link_id", "parent"),
    [("rf-cancer", "rf-unwell"), ("rf-leg-sides", "rf-unwell")],
    ids=["always asked", "called for by another"],
)
def test_a_question_whose_answer_would_be_lost_with_that_above_it_is_refused(
    link_id: str, parent: str, root: Path
) -> None:
    nest(root, link_id, parent)

    beside = f"{FORM}: {link_id}: write it beside '{parent}', or with enableWhen on that question alone"
    assert [said for said in mistakes(root) if said.startswith(f"{FORM}: {link_id}:")] == [beside]


@pytest.mark.parametrize("file", EVERY_FILE)
def test_a_missing_file_is_named(file: str, root: Path) -> None:
    (root / file).unlink()
    assert any(one.startswith(f"{file}: file: does not exist; write it") for one in mistakes(root))


@pytest.mark.parametrize(
    ("file", "says"),
    [
        (ANSWERS, f"{FORM}: lbp-present: code 'yes' .*; write it"),
        (TOPICS, "emergency-now.*write.*codesystem-dispositions.json|codesystem-dispositions.json.*write"),
    ],
)
def test_a_missing_code_system_is_noticed(file: str, says: str, root: Path) -> None:
    (root / file).unlink()
    assert any(re.search(says, one) for one in mistakes(root))


@pytest.mark.parametrize("file", [*EVERY_FILE, TOPICS])
def test_a_file_that_is_not_utf_8_is_named(file: str, root: Path) -> None:
    (root / file).write_bytes(b"\xff" + (root / file).read_bytes())
    assert f"{file}: file: is not UTF-8 at byte 0; save it as UTF-8" in mistakes(root)


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", "3", '"text"', '{"resourceType": "Patient"}'])
def test_json_that_is_no_questionnaire_is_refused(text: str, root: Path) -> None:
    (root / FORM).write_text(text, "utf-8")
    assert any(one.startswith(f"{FORM}: ") for one in mistakes(root))


def test_without_any_screening_the_folder_is_named(tmp_path: Path) -> None:
    assert "questionnaires: folder: holds no screening; write one folder per screening" in mistakes(tmp_path)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(
            {
                FINDINGS: ("explains = true", "explain = true"),
                STATEMENTS: ("label.en", "# label.en"),
                ADVICE: ("indicator = ", "indicater = "),
                SERVICES: ("title.en", "# title.en"),
                FORM: ('"status": "draft",', ""),
                WORDS: ("[who.Patient]", "[whom.Patient]"),
            },
            id="each in its own file",
        ),
        pytest.param(
            {
                FINDINGS: ('"ces-card"', '"ces-cart"'),
                STATEMENTS: ('last = "S39"', 'last = "S40"'),
                ADVICE: ('links = ["form"', 'links = ["from"'),
                CODES: ("[code.56925008]", "[code.56925018]"),
                FORM: ('"linkId": "age-help"', '"linkId": "intro"'),
            },
            id="between the files",
        ),
    ],
)
def test_all_mistakes_are_named_in_one_run(broken: dict[str, tuple[str, str]], root: Path) -> None:
    for file, (old, new) in broken.items():
        replace(root / file, old, new)
    assert {one.partition(": ")[0] for one in mistakes(root)} == broken.keys()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        pytest.param(ENGLISH, instead("x" * 125), id="a summary of 125 characters, after 'Doctor first: ' of 139"),
        pytest.param("[finding.R40]", when(AGAIN, "explains = true"), id="a finding that only explains"),
    ],
)
def test_accepted(old: str, new: str, root: Path) -> None:
    replace(root / FINDINGS, old, new)
    assert [screening.name for screening in load(root)] == [NAME]


def test_a_summary_must_also_fit_behind_that_of_an_order_card(root: Path) -> None:
    replace(root / FINDINGS, ENGLISH, instead("x" * 126))

    with pytest.raises(ContentError, match=r"orders\.toml: physiotherapy\.PHY-1\.summary: .* at most 139 characters"):
        load(root)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('version = "1.0.0"', 'version = "1.0.0', "file: is not TOML"),
        ('"ces-card"', '"ces-cart"', "finding.R01.beyond: unknown reference 'ces-cart'; write one of: ces-card"),
    ],
)
def test_the_command_shows_the_mistake_without_a_traceback(
    old: str, new: str, says: str, root: Path, tmp_path: Path
) -> None:
    replace(root / FINDINGS, old, new)
    run = check(root, tmp_path)
    assert (run.returncode, run.stdout) == (1, "")
    assert f"{FINDINGS}: {says}" in run.stderr
    assert "Traceback" not in run.stderr


def test_the_command_names_every_row_and_every_statement(tmp_path: Path) -> None:
    run = check(ROOT, tmp_path)
    assert (run.returncode, run.stderr) == (0, "")
    *named, last = run.stdout.splitlines()
    assert tuple(line.split()[0] for line in named) == (*ROWS, *NUMBERS)
    assert last.startswith(f"{NAME} 1.0.0: no mistakes")


def test_the_review_page_is_current(page: str) -> None:
    assert (ROOT / "cards" / NAME / "review.md").read_text("utf-8") == page, "run: cds-service review"


@pytest.mark.parametrize("name", [*ROWS, *NUMBERS])
def test_the_review_page_names(name: str, page: str) -> None:
    assert re.search(rf"^\| {name}( \(adds a reason\))? \|", page, re.MULTILINE)


def test_the_review_page_holds_every_text_of_the_form_in_both_languages(page: str) -> None:
    texts = list(_texts(json.loads((ROOT / FORM).read_text("utf-8"))["item"]))
    assert len(texts) > 150
    assert [text for text in texts if text not in page] == []


def _texts(part: Any) -> Iterator[str]:
    """Every question, help text and option below `part`, in Dutch and in English."""
    if isinstance(part, list):
        for inner in part:
            yield from _texts(inner)
        return
    for name in ("text", "display"):
        if f"_{name}" in part:
            _, content = part[f"_{name}"]["extension"][0]["extension"]
            yield from (part[name], content["valueString"])
    for name in ("item", "answerOption", "valueCoding"):
        yield from _texts(part.get(name, []))
