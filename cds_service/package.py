"""The FHIR NPM package: all that is published, the guide that lists it, and examples, in one file that installs.

The same content gives the same bytes. Source: HL7 FHIR NPM package specification; FHIR R4, "ImplementationGuide".
"""

import gzip
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from cds_content.screening import Screening
from cds_content.shapes import Json
from cds_content.translations import in_language
from cds_service import __version__
from cds_service.advice_outcome import definition
from cds_service.package_examples import PATIENT, examples

FHIR = "4.0.1"
GUIDES = {"sdc": "4.0.0", "cpg": "2.0.0"}  # of HL7, whose extensions and profiles are used
DEPENDENCIES = {"hl7.fhir.r4.core": FHIR, **{f"hl7.fhir.uv.{name}": version for name, version in GUIDES.items()}}
_INDEXED = ("resourceType", "id", "url", "version", "kind", "type", "supplements", "content", "derivation")


def write_package(screenings: Sequence[Screening], definitions: Iterable[Json], path: Path) -> None:
    """Writes the package to `path`; `definitions` are the PlanDefinitions and what else is generated.

    Raises OSError when it cannot be written.
    """
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, content in sorted(package(screenings, definitions).items()):
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    path.write_bytes(gzip.compress(archive.getvalue(), mtime=0))


def package(screenings: Sequence[Screening], definitions: Iterable[Json]) -> dict[str, bytes]:
    """Every file of the package, by its path in it."""
    published = [one for screening in screenings for one in screening.resources]
    published += [*definitions, definition(screenings[0])]
    shown = [PATIENT, *(one for screening in screenings for one in examples(screening))]
    guide = _guide(screenings, published, shown)
    files: dict[str, Json] = {"package/package.json": _manifest(screenings, guide)}
    for folder, resources in (("package", [*published, guide]), ("package/example", shown)):
        named = {f"{one['resourceType']}-{one['id']}.json": one for one in resources}
        files |= {f"{folder}/{name}": one for name, one in named.items()} | {f"{folder}/.index.json": _index(named)}
    return {name: json.dumps(one, ensure_ascii=False, indent=2).encode() + b"\n" for name, one in files.items()}


def package_id(screenings: Sequence[Screening]) -> str:
    """The name of the package: the reversed host of the canonical base, and the screening."""
    first = screenings[0]
    return f"{first.domain}.{first.name if len(screenings) == 1 else 'screenings'}".lower()


def _manifest(screenings: Sequence[Screening], guide: Json) -> Json:
    """package.json."""
    return {
        "name": guide["packageId"],
        "version": guide["version"],
        "type": "IG",
        "canonical": screenings[0].base,
        "url": guide["url"],
        "title": guide["title"],
        "description": guide["description"],
        "fhirVersions": [FHIR],
        "dependencies": DEPENDENCIES,
        "author": guide["publisher"],
        "license": guide["license"],
        "date": guide["date"].replace("-", "").ljust(14, "0"),
        "directories": {"lib": "package", "example": "example"},
    }


def _guide(screenings: Sequence[Screening], published: Sequence[Json], shown: Sequence[Json]) -> Json:
    first, id_ = screenings[0], package_id(screenings)
    forms = [in_language(one.questionnaire, "en") for one in screenings]
    described = "FHIR package of a screening: form, terminology, rules and examples. Not a certified medical device."
    return {
        "resourceType": "ImplementationGuide",
        "id": id_,
        "language": "en",
        "url": f"{first.base}/ImplementationGuide/{id_}",
        "version": first.version if len(screenings) == 1 else __version__,
        "name": "".join(form["name"] for form in forms) + "Package",
        "title": "; ".join(form["title"] for form in forms),
        "status": forms[0]["status"],
        "experimental": forms[0]["experimental"],
        "date": max(str(form["date"]) for form in forms),
        "publisher": forms[0]["publisher"],
        "description": described,
        "packageId": id_,
        "license": "Apache-2.0",
        "fhirVersion": [FHIR],
        "dependsOn": [_needed(name, version) for name, version in GUIDES.items()],
        "definition": {
            "resource": [_listed(one, example=False) for one in published]
            + [_listed(one, example=True) for one in shown]
        },
    }


def _needed(name: str, version: str) -> Json:
    package = f"hl7.fhir.uv.{name}"
    guide = f"http://hl7.org/fhir/uv/{name}/ImplementationGuide/{package}"
    return {"id": name, "uri": guide, "packageId": package, "version": version}


def _listed(resource: Json, *, example: bool) -> Json:
    reference = f"{resource['resourceType']}/{resource['id']}"
    name = resource.get("title") or resource.get("name") or reference
    return {"reference": {"reference": reference}, "name": name, "exampleBoolean": example}


def _index(named: Mapping[str, Json]) -> Json:
    """.index.json: what each file of a folder holds."""
    files = [
        {"filename": name} | {member: one[member] for member in _INDEXED if isinstance(one.get(member), str)}
        for name, one in sorted(named.items())
    ]
    return {"index-version": 2, "files": files}
