"""What is published is served in Dutch, resolved to English on request, and always holds the other language too."""

from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.samples import BASE, FORM
from tests.test_fhir import KINDS, NAMED, Json, get, published
from tests.wire import objects

pytestmark = pytest.mark.timeless  # nothing in it is dated

TRANSLATION = "http://hl7.org/fhir/StructureDefinition/translation"
TRANSLATED = ("title", "description", "purpose", "copyright", "text", "display")


def in_both(parent: Json, name: str, language: str) -> dict[str, str]:
    """The text `name` by language: the base in `language`, the others in translation extensions."""
    found = {language: parent[name]}
    for extension in parent.get(f"_{name}", {}).get("extension", []):
        assert extension["url"] == TRANSLATION
        parts = {part["url"]: part for part in extension["extension"]}
        content = parts["content"].get("valueString") or parts["content"]["valueMarkdown"]
        assert parts["lang"]["valueCode"] not in found
        found[parts["lang"]["valueCode"]] = content
    return found


def _texts(form: Json) -> Iterator[tuple[str, Json, str]]:
    """Every text of the form that must have a translation: (where, parent, member)."""
    for name in ("title", "description"):
        yield name, form, name
    for one in objects(form["item"]):
        if "linkId" in one:
            yield one["linkId"], one, "text"
            for coding in one.get("code", []):
                if coding["system"].startswith(BASE):
                    yield f"{one['linkId']} code", coding, "display"
            for option in one.get("answerOption", []):
                yield f"{one['linkId']} {option['valueCoding']['code']}", option["valueCoding"], "display"


ACCEPTED: dict[str, str] = {
    "nl": "nl",
    "nl-NL,nl;q=0.9,en;q=0.5": "nl",
    "nl-BE": "nl",
    "en": "en",
    "EN": "en",
    "en-GB": "en",
    "en-GB,en;q=0.9": "en",
    "en-US,en;q=0.9,nl;q=0.8": "en",
    "de": "nl",
    "de,en;q=0.5": "en",
    "de,fr;q=0.8": "nl",
    "nl;q=0.9,en;q=0.2": "nl",
    "nl;q=0.2,en;q=0.9": "en",
    "en;q=0": "nl",
    "*": "nl",
    "": "nl",
    ";;q=,,": "nl",
}
PATHS = [
    "Questionnaire/low-back-pain",
    "Questionnaire/low-back-pain/_history/{version}",
    "Questionnaire?status={status}",
]


@pytest.mark.requirement("Q-10")
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("accepted", "language"), ACCEPTED.items())
def test_the_form_is_served_in_the_language_that_is_accepted_best(
    client: FlaskClient, accepted: str, language: str, path: str
) -> None:
    own = get(client, "Questionnaire/low-back-pain")
    filled = path.format(version=own["meta"]["versionId"], status=own["status"])
    answer = client.get(f"/fhir/{filled}", headers={"Accept-Language": accepted})
    body = answer.get_json()
    form = body["entry"][0]["resource"] if "entry" in body else body
    assert form["language"] == language
    assert form["title"] == {"nl": "Screening lage rugpijn", "en": "Low back pain screening"}[language]
    assert answer.headers["Content-Language"] == language
    assert "Accept-Language" in answer.headers["Vary"]


def test_without_a_wish_the_form_is_dutch(client: FlaskClient) -> None:
    answer = client.get("/fhir/Questionnaire/low-back-pain")
    assert (answer.get_json()["language"], answer.headers["Content-Language"]) == ("nl", "nl")


@pytest.mark.requirement("Q-10")
@pytest.mark.parametrize("language", ["nl", "en"])
def test_every_text_of_the_form_holds_the_other_language(client: FlaskClient, language: str) -> None:
    form = get(client, "Questionnaire/low-back-pain", language)
    both = {where: in_both(parent, name, language) for where, parent, name in _texts(form)}
    assert [where for where, texts in both.items() if set(texts) != {"nl", "en"}] == []
    assert len(both) > 100


def test_the_english_form_holds_the_same_texts_as_the_dutch(client: FlaskClient) -> None:
    dutch, english = (
        {
            where: in_both(parent, name, language)
            for where, parent, name in _texts(get(client, "Questionnaire/low-back-pain", language))
        }
        for language in ("nl", "en")
    )
    assert english == dutch


def _without_texts(value: Any) -> Any:
    """The resource without its texts: what no language may change."""
    if isinstance(value, list):
        return [_without_texts(part) for part in value]
    if isinstance(value, dict):
        dropped = {*TRANSLATED, *(f"_{name}" for name in TRANSLATED), "language", "designation"}
        return {name: _without_texts(part) for name, part in value.items() if name not in dropped}
    return value


@pytest.mark.parametrize("path", ["OperationDefinition/ValueSet-expand", "CodeSystem/submission-faults", "metadata"])
def test_what_is_written_in_english_only_says_so(client: FlaskClient, path: str) -> None:
    answer = client.get(f"/fhir/{path}", headers={"Accept-Language": "nl"})
    assert (answer.get_json()["language"], answer.headers["Content-Language"]) == ("en", "en")


@pytest.mark.requirement("Q-10")
@pytest.mark.parametrize(("kind", "id_"), NAMED)
def test_only_the_texts_differ_between_the_languages(client: FlaskClient, kind: str, id_: str) -> None:
    dutch, english = (get(client, f"{kind}/{id_}", language) for language in ("nl", "en"))
    assert dutch["title"] != english["title"]
    assert (dutch["url"], dutch["version"]) == (english["url"], english["version"])
    assert _without_texts(dutch) == _without_texts(english)


def test_the_url_and_version_are_those_that_responses_name(client: FlaskClient) -> None:
    form = get(client, "Questionnaire/low-back-pain", "en")
    assert f"{form['url']}|{form['version']}" == f"{FORM}|1.0.0"


@pytest.mark.parametrize("language", ["nl", "en"])
@pytest.mark.parametrize("kind", KINDS)
def test_title_and_description_of_everything_published_hold_both_languages(
    client: FlaskClient, kind: str, language: str
) -> None:
    for resource in published(client, kind, language):
        for name in ("title", "description"):
            assert set(in_both(resource, name, language)) == {"nl", "en"}, (resource["id"], name)


def wordings(concept: Json, language: str) -> dict[str, set[str]]:
    """How a concept of a CodeSystem served in `language` is called in each language."""
    called = {language: {concept["display"]}}
    for designation in concept.get("designation", []):
        called.setdefault(designation["language"], set()).add(designation["value"])
    return called


def test_every_concept_is_called_the_same_in_both_languages_whichever_is_served(client: FlaskClient) -> None:
    dutch, english = (
        {
            (system["id"], concept["code"]): wordings(concept, language)
            for system in published(client, "CodeSystem", language)
            for concept in system["concept"]
        }
        for language in ("nl", "en")
    )
    assert [code for code, called in dutch.items() if set(called) != {"nl", "en"}] == []
    assert english == dutch


DISPLAYS = [
    ("low-back-pain-answers", "unknown", "Weet ik niet", "I don't know"),
    ("low-back-pain-answers", "declined", "Zeg ik liever niet", "I'd rather not say"),
    ("low-back-pain-answers", "yes", "Ja", "Yes"),
    ("low-back-pain-answers", "no", "Nee", "No"),
]


@pytest.mark.parametrize(("system", "code", "dutch", "english"), DISPLAYS)
def test_the_display_of_a_concept_is_resolved(
    client: FlaskClient, system: str, code: str, dutch: str, english: str
) -> None:
    for language, display in (("nl", dutch), ("en", english)):
        concepts = {one["code"]: one for one in get(client, f"CodeSystem/{system}", language)["concept"]}
        assert concepts[code]["display"] == display
