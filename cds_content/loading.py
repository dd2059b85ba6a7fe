"""From the content folders to compiled screenings, once, at start; with any mistake, none."""

import hashlib
from datetime import timedelta
from pathlib import Path

from fhir.resources.R4B.codesystem import CodeSystem
from fhir.resources.R4B.questionnaire import Questionnaire
from fhir.resources.R4B.valueset import ValueSet
from pydantic import BaseModel

from cds_content.card_shapes import Dispositions, Orders, SelfTest, Services, Signed, Texts, Words
from cds_content.check import check
from cds_content.files import PUBLISHED_BASE, ContentError, Files
from cds_content.form import read_questions
from cds_content.screening import Screening
from cds_content.shapes import CodesFile, FindingsFile, StatementsFile
from cds_content.translations import items_of
from cds_content.wording import resource_mistakes


def load(root: Path, *, base: str = PUBLISHED_BASE, fresh_days: int = 7, alarm_days: int = 30) -> tuple[Screening, ...]:
    """All screenings below `root` (its folders questionnaires/ and cards/).

    `base` is the canonical base of what is published; "no" answers count for `fresh_days`, alarms for `alarm_days`.
    Raises ContentError with every mistake.
    """
    files = Files(root, base)
    words = files.toml(root / "cards/words.toml", Words)
    names = sorted(folder.name for folder in (root / "questionnaires").glob("*/"))
    if not names:
        files.wrong(root / "questionnaires", "folder", "holds no screening; write one folder per screening")
    found = [_load(files, name, words, timedelta(fresh_days), timedelta(alarm_days)) for name in names]
    _check_shared(files, [screening for screening in found if screening])
    if files.mistakes:
        raise ContentError(files.mistakes)
    return tuple(screening for screening in found if screening)


def _check_shared(files: Files, screenings: list[Screening]) -> None:
    """No two screenings share a form or a service: the later one would silence the other."""
    taken: dict[str, str] = {}
    for screening in screenings:
        path = files.root / "questionnaires" / screening.name / "questionnaire.json"
        names = {screening.questionnaire["url"]: path}
        names |= dict.fromkeys(screening.services, files.root / "cards" / screening.name / "services.toml")
        for name, where in names.items():
            if name in taken:
                files.wrong(where, name, f"is also used by {taken[name]}; write another")
            taken[name] = screening.name


def content_hash(root: Path, name: str) -> str:
    """SHA-256, in hexadecimal, over all that a signature covers: not the signature itself, nor the review page."""
    folders = (root / "questionnaires" / name, root / "cards" / name)
    paths = [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]
    digest = hashlib.sha256()
    for path in [*paths, root / "cards/words.toml"]:
        if path.name not in ("signed.toml", "review.md"):
            data = path.read_bytes()
            digest.update(f"{path.relative_to(root).as_posix()}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


def _load(files: Files, name: str, words: Words | None, fresh: timedelta, alarming: timedelta) -> Screening | None:
    """One screening; None, with the mistakes noted in `files`, when a file cannot be read."""
    form, cards = files.root / "questionnaires" / name, files.root / "cards" / name
    before = len(files.mistakes)
    kinds: dict[Path, type[BaseModel]] = {form / "questionnaire.json": Questionnaire}
    kinds |= dict.fromkeys(sorted(form.glob("codesystem-*.json")), CodeSystem)
    kinds |= dict.fromkeys(sorted(form.glob("valueset-*.json")), ValueSet)
    resources = {path: files.json(path, kind) for path, kind in kinds.items()}
    findings = files.toml(form / "findings.toml", FindingsFile)
    statements = files.toml(form / "statements.toml", StatementsFile)
    codes = files.toml(form / "codes.toml", CodesFile)
    dispositions = files.toml(cards / "advice.toml", Dispositions)
    texts = files.toml(cards / "texts.toml", Texts)
    orders = files.toml(cards / "orders.toml", Orders) if (cards / "orders.toml").exists() else Orders({})
    services = files.toml(cards / "services.toml", Services)
    tried = files.toml(cards / "self-test.toml", SelfTest)
    signed = files.toml(cards / "signed.toml", Signed)
    if not (findings and statements and codes and dispositions and texts and orders and services and signed and words):
        return None
    if tried is None or len(files.mistakes) > before:
        return None
    for path, resource in resources.items():
        for place, wrong in resource_mistakes(resource, files.base):
            files.wrong(path, place, wrong)
    questionnaire = resources[form / "questionnaire.json"]
    by_url = {one["url"]: one for one in resources.values() if one["resourceType"] == "CodeSystem"}
    questions = read_questions(files, form / "questionnaire.json", questionnaire, by_url, findings)
    digest = content_hash(files.root, name)
    screening = Screening(
        name=name,
        base=files.base,
        questionnaire=questionnaire,
        resources=tuple(resources.values()),
        questions=questions,
        displays=frozenset(item["linkId"] for item in items_of(questionnaire)) - questions.keys(),
        findings=tuple(findings.finding.values()),
        dispositions=dispositions.root,
        statements=statements,
        codes={
            code: {"system": codes.system, "code": code, "display": one.display} for code, one in codes.code.items()
        },
        texts=texts,
        words=words,
        orders=orders.root,
        services=services.root,
        self_test=tried,
        version=findings.version,
        accepts=findings.accepts,
        next_review=findings.next_review,
        hash=digest,
        signed_by=signed.name if signed.hash == digest else "",
        fresh=fresh,
        alarming=alarming,
    )
    check(files, screening, codes, sound=len(files.mistakes) == before)
    return screening
