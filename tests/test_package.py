"""The FHIR package: what is in it, that all of it is valid and holds together, and that the same content gives it."""

import gzip
import json
import re
import tarfile
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from cds_content.loading import load
from cds_content.plan import definitions
from cds_content.screening import Screening
from cds_service.package import write_package
from cds_service.package_examples import examples
from cds_service.submission import faults
from tests.advice_as_fhir import ADVICE, mistakes, topics_of
from tests.conftest import ROOT
from tests.samples import BASE
from tests.test_second_screening import SECOND, content
from tests.wire import objects

Json = dict[str, Any]
NAME = "example.lowbackpain.low-back-pain"


def written(screenings: tuple[Screening, ...], folder: Path) -> bytes:
    """The package of these screenings."""
    path = folder / "package.tgz"
    write_package(screenings, [one for screening in screenings for one in definitions(screening)], path)
    return path.read_bytes()


def unpacked(package: bytes) -> dict[str, Any]:
    """Each file by its path; all are JSON."""
    with tarfile.open(fileobj=BytesIO(package), mode="r:gz") as tar:
        return {entry.name: json.load(file) for entry in tar if (file := tar.extractfile(entry))}


@pytest.fixture(scope="module", name="package")
def _package(screening: Screening, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return written((screening,), tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="module", name="files")
def _files(package: bytes) -> dict[str, Any]:
    return unpacked(package)


@pytest.fixture(scope="module", name="resources")
def _resources(files: dict[str, Any]) -> dict[str, Json]:
    return {name: one for name, one in files.items() if "resourceType" in one}


def of_kind(resources: dict[str, Json], kind: str) -> list[Json]:
    return [one for one in resources.values() if one["resourceType"] == kind]


@pytest.mark.requirement("PKG-1")
def test_the_manifest_says_what_the_package_is(files: dict[str, Any], screening: Screening) -> None:
    manifest = files["package/package.json"]

    assert manifest["name"] == NAME
    assert re.fullmatch(r"[a-z][a-z0-9-]*(\.[a-z0-9-]+)+", manifest["name"])
    assert re.fullmatch(r"\d+\.\d+\.\d+", manifest["version"])
    assert manifest["version"] == screening.version
    assert manifest["fhirVersions"] == ["4.0.1"]
    assert manifest["dependencies"]["hl7.fhir.r4.core"] == "4.0.1"
    assert {"hl7.fhir.uv.sdc", "hl7.fhir.uv.cpg"} <= manifest["dependencies"].keys()
    assert manifest["canonical"] == BASE
    assert (manifest["type"], manifest["license"]) == ("IG", "Apache-2.0")
    assert all(manifest[name].strip() for name in ("url", "title", "description", "author"))


@pytest.mark.requirement("PKG-1")
@pytest.mark.parametrize(
    ("base", "name"),
    [
        ("https://cds.example.org/fhir", "org.example.cds.low-back-pain"),
        ("https://CDS.Example.org:8443/r4", "org.example.cds.low-back-pain"),
    ],
)
def test_the_name_follows_the_canonical_base(base: str, name: str, tmp_path: Path) -> None:
    files = unpacked(written(load(ROOT, base=base), tmp_path))

    assert files["package/package.json"]["name"] == name
    assert files["package/package.json"]["canonical"] == base


@pytest.mark.requirement("PKG-2")
def test_every_resource_is_a_file_named_for_it(files: dict[str, Any], resources: dict[str, Json]) -> None:
    for name, one in resources.items():
        folder = "package/example" if name.startswith("package/example/") else "package"
        assert name == f"{folder}/{one['resourceType']}-{one['id']}.json"
    assert files.keys() - resources.keys() == {
        "package/package.json",
        "package/.index.json",
        "package/example/.index.json",
    }


@pytest.mark.requirement("PKG-2")
def test_all_that_is_published_is_in_it(resources: dict[str, Json], screening: Screening) -> None:
    installed = [one for name, one in resources.items() if not name.startswith("package/example/")]
    for one in [*screening.resources, *definitions(screening)]:
        assert one in installed
    assert {"Questionnaire", "CodeSystem", "ValueSet", "PlanDefinition", "ActivityDefinition", "Library"} <= {
        one["resourceType"] for one in installed
    }


@pytest.mark.requirement("PKG-2")
def test_our_own_extension_is_defined(resources: dict[str, Json]) -> None:
    (defined,) = [one for one in of_kind(resources, "StructureDefinition") if one["url"] == ADVICE]
    elements = {one["path"]: one for one in defined["differential"]["element"]}

    assert (defined["type"], defined["derivation"]) == ("Extension", "constraint")
    assert defined["context"] == [{"type": "element", "expression": "OperationOutcome"}]
    assert elements["Extension.url"]["fixedUri"] == ADVICE
    assert [one["code"] for one in elements["Extension.value[x]"]["type"]] == ["Reference"]


@pytest.mark.requirement("PKG-3")
def test_the_guide_lists_every_resource(files: dict[str, Any], resources: dict[str, Json]) -> None:
    (guide,) = of_kind(resources, "ImplementationGuide")
    listed = {one["reference"]["reference"]: one["exampleBoolean"] for one in guide["definition"]["resource"]}
    there = {
        f"{one['resourceType']}/{one['id']}": name.startswith("package/example/")
        for name, one in resources.items()
        if one is not guide
    }

    assert listed == there
    assert (guide["packageId"], guide["version"]) == (NAME, files["package/package.json"]["version"])
    assert guide["fhirVersion"] == ["4.0.1"]
    needed = {one["packageId"]: one["version"] for one in guide["dependsOn"]}
    assert needed | {"hl7.fhir.r4.core": "4.0.1"} == files["package/package.json"]["dependencies"]


@pytest.mark.requirement("PKG-2")
@pytest.mark.parametrize("folder", ["package", "package/example"])
def test_the_index_lists_every_file(folder: str, files: dict[str, Any], resources: dict[str, Json]) -> None:
    index = files[f"{folder}/.index.json"]
    there = {name.rpartition("/")[2]: one for name, one in resources.items() if name.rpartition("/")[0] == folder}

    assert index["index-version"] == 2
    assert [one["filename"] for one in index["files"]] == sorted(there)
    for entry in index["files"]:
        resource = there[entry["filename"]]
        assert entry["resourceType"] == resource["resourceType"]
        assert {name: resource.get(name) for name in ("id", "url", "version")} == {
            name: entry.get(name) for name in ("id", "url", "version")
        }


@pytest.mark.requirement("PKG-4")
def test_every_resource_is_valid(resources: dict[str, Json]) -> None:
    assert {name: found for name, one in resources.items() if (found := mistakes(one))} == {}


@pytest.mark.requirement("PKG-4")
def test_every_canonical_below_our_base_is_in_the_package(resources: dict[str, Json]) -> None:
    versions = {one["url"]: one["version"] for one in resources.values() if "url" in one}
    said = {
        (name, value)
        for name, resource in resources.items()
        for part in objects({member: value for member, value in resource.items() if member != "text"})
        for value in _texts(part)
        if value.startswith(f"{BASE}/")
    }
    lost = [(name, value) for name, value in sorted(said) if not _resolves(value, versions)]

    assert said
    assert lost == []


def _texts(part: Json) -> list[str]:
    values = [one for value in part.values() for one in (value if isinstance(value, list) else [value])]
    return [value for value in values if isinstance(value, str)]


def _resolves(canonical: str, versions: dict[str, str]) -> bool:
    url, _, version = canonical.partition("#")[0].partition("|")
    return url in versions and version in ("", versions[url])


@pytest.mark.requirement("PKG-5")
def test_there_is_an_example_of_every_disposition(resources: dict[str, Json], screening: Screening) -> None:
    groups = {one["id"]: one for one in of_kind(resources, "RequestGroup")}
    for name, disposition in screening.dispositions.items():
        expected = [] if disposition.class_ == "none" else [name]
        assert topics_of(groups[f"low-back-pain-{name}-advice"]) == expected


@pytest.mark.requirement("PKG-5")
def test_the_examples_are_without_fault(resources: dict[str, Json], screening: Screening) -> None:
    found = of_kind(resources, "QuestionnaireResponse")
    for one in found:
        later = datetime.fromisoformat(one["authored"]) + timedelta(hours=1)
        assert faults((screening,), one, later) == []
    assert len(found) == len(screening.dispositions)


@pytest.mark.requirement("PKG-5")
def test_the_examples_are_nested_as_the_form_is(screening: Screening) -> None:
    form = screening.questionnaire
    grouped = replace(
        screening, questionnaire=form | {"item": [{"linkId": "all", "type": "group", "item": form["item"]}]}
    )
    found = [one for one in examples(grouped) if one["resourceType"] == "QuestionnaireResponse"]

    assert [[item["linkId"] for item in one["item"]] for one in found] == [["all"]] * len(screening.dispositions)
    for one in found:
        assert faults((grouped,), one, datetime.fromisoformat(one["authored"]) + timedelta(hours=1)) == []


@pytest.mark.requirement("PKG-5")
def test_where_only_a_missing_answer_is_incomplete_it_is_missing(screening: Screening) -> None:
    """A form that offers no "unknown" to the question whether there is pain."""
    asked = screening.questions["lbp-present"]
    offered = {code: words for code, words in asked.options.items() if code not in asked.item.not_known}
    other = replace(screening, questions={**screening.questions, "lbp-present": replace(asked, options=offered)})
    found = {one["id"]: one for one in examples(other) if one["resourceType"] == "QuestionnaireResponse"}

    assert "lbp-present" not in [item["linkId"] for item in found["low-back-pain-incomplete"]["item"]]


@pytest.mark.requirement("PKG-5")
def test_the_examples_refer_to_each_other(resources: dict[str, Json]) -> None:
    there = {f"{one['resourceType']}/{one['id']}" for one in resources.values()}
    examples = [one for name, one in resources.items() if name.startswith("package/example/")]
    named = {part["reference"] for one in examples for part in objects(one) if isinstance(part.get("reference"), str)}

    assert {one for one in named if not one.startswith("#")} <= there


@pytest.mark.requirement("PKG-6")
def test_the_same_content_gives_the_same_bytes(package: bytes, screening: Screening, tmp_path: Path) -> None:
    assert written((screening,), tmp_path) == package
    with tarfile.open(fileobj=BytesIO(gzip.decompress(package))) as tar:
        entries = tar.getmembers()
    assert [entry.name for entry in entries] == sorted(entry.name for entry in entries)
    assert {(entry.mtime, entry.uid, entry.gid, entry.uname, entry.isfile()) for entry in entries} == {
        (0, 0, 0, "", True)
    }


@pytest.mark.requirement("PKG-1", "PKG-4")
def test_several_screenings_are_one_package(tmp_path: Path) -> None:
    files = unpacked(written(load(content(tmp_path, ROOT, SECOND)), tmp_path))
    forms = {one["id"] for one in files.values() if one.get("resourceType") == "Questionnaire"}

    assert files["package/package.json"]["name"] == "example.lowbackpain.screenings"
    assert forms == {"low-back-pain", "neck-check"}
    assert {name: found for name, one in files.items() if "resourceType" in one and (found := mistakes(one))} == {}
