"""What the service is made of: locked with hashes, exactly what is asked for, not below known faults, and listed."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from tests.locks import LOCKS, ROOT, Pin, asked, here, installed, needed, pins, text_of

pytestmark = pytest.mark.timeless  # nothing in it is dated
FLOORS = {
    name: Version(floor["least"])
    for name, floor in tomllib.loads((ROOT / "requirements/floors.toml").read_text("utf-8")).items()
}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_line_of_a_lock_is_a_comment_or_a_pin_with_hashes(lock: str) -> None:
    lines = [line for line in text_of(lock).splitlines() if not re.match(r" *#|    --hash=sha256:", line)]

    assert len(lines) == len(pins(lock)) > 20
    assert all(pin.hashes for pin in pins(lock))


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_names_no_address(lock: str) -> None:
    found = re.findall(r".*(?:://|--index|--extra-index|--find-links|file:|@ ).*", text_of(lock))

    assert found == []


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_holds_what_the_project_asks_for_within_its_ranges(lock: str) -> None:
    locked = here(lock)

    for one in asked(lock):
        pin = locked[canonicalize_name(one.name)]
        assert pin.version in one.specifier, pin.name
        assert one.extras <= pin.requirement.extras, pin.name


def test_the_service_asks_for_each_package_that_it_imports() -> None:
    imported = others(imported_by("cds_service", "cds_content"))

    assert len(imported) > 10
    lazily = names(Requirement(one) for extra in ("screen", "cluster") for one in extras()[extra])
    assert {name for name in imported if not of(name) & (names(asked("runtime")) | lazily)} == set()


def test_the_service_starts_without_what_only_a_screening_of_a_population_needs() -> None:
    lazily = {name for name in others(imported_by("cds_service")) if not of(name) & names(asked("runtime"))}
    look = f"import sys, cds_service.cli; print([name for name in {sorted(lazily)!r} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True).stdout

    assert {"distributed", "pyarrow"} <= lazily
    assert said == "[]\n"


def test_the_proof_asks_for_each_package_that_it_imports_and_the_service_does_not_need_them() -> None:
    beyond = names(Requirement(one) for one in extras()["proof"])

    imported = {name for module in others(imported_by("cds_proof")) for name in of(module)}

    assert imported - names(asked("runtime")) == beyond == {"z3-solver"}


def extras() -> dict[str, list[str]]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, list[str]] = project["optional-dependencies"]
    return found


def others(modules: set[str]) -> set[str]:
    """Those that are neither ours nor Python's."""
    return modules - {"cds_service", "cds_content", "cds_proof", *sys.stdlib_module_names}


def of(module: str) -> set[str]:
    """The packages that bring a module."""
    return {canonicalize_name(one) for one in _distributions()[module]}


_distributions = cache(metadata.packages_distributions)  # it reads what each package says of itself


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(one.name) for one in requirements}


def imported_by(*packages: str) -> set[str]:
    """The top-level modules that the modules of these packages import."""
    found = set()
    for path in (path for package in packages for path in (ROOT / package).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            found |= {name.partition(".")[0] for name in names}
    return found


@pytest.mark.parametrize("lock", ["runtime", "test"])
def test_a_lock_holds_all_that_these_packages_need_and_nothing_else(lock: str) -> None:
    assert set(here(lock)) == needed(asked(lock))


def test_the_tests_run_with_the_versions_that_the_service_runs_with() -> None:
    tested = {pin.requirement.name: pin for pin in pins("test") if pin.is_for_here}

    assert [pin for pin in pins("runtime") if pin.is_for_here and not same(tested[pin.requirement.name], pin)] == []


def same(one: Pin, other: Pin) -> bool:
    """Whether both are one version of one package, whatever extras are asked for beside it."""
    return (one.name, one.version, one.hashes) == (other.name, other.version, other.hashes)


def test_what_is_installed_is_what_is_locked() -> None:
    locked = {name: pin.version for name, pin in here("test").items()}

    assert installed() == locked


def below(versions: dict[str, Version], floors: dict[str, Version] = FLOORS) -> list[str]:
    """The packages that are below their floor."""
    return [name for name, version in versions.items() if name in floors and version < floors[name]]


def test_nothing_installed_is_below_its_floor() -> None:
    assert below(installed()) == []


@pytest.mark.parametrize("lock", LOCKS)
def test_nothing_locked_is_below_its_floor(lock: str) -> None:
    assert [name for pin in pins(lock) for name in below({pin.name: pin.version})] == []


def test_a_package_below_its_floor_is_found() -> None:
    assert below(installed(), {"requests": Version("999")}) == ["requests"]
    assert below({"requests": Version("2.32.9")}) == ["requests"]
    assert below({"requests": Version("2.33.0")}) == []


def test_every_floor_is_that_of_a_package_in_a_lock() -> None:
    assert FLOORS.keys() - {pin.name for lock in LOCKS for pin in pins(lock)} == set()


@pytest.mark.timeless
def test_the_bill_of_materials_lists_what_is_locked_and_nothing_else(tmp_path: Path) -> None:
    file = tmp_path / "sbom.cdx.json"
    subprocess.run([ROOT / "scripts/tools"], check=True)  # which installs only when something is missing
    subprocess.run([ROOT / "scripts/sbom", file], check=True, env=os.environ | {"PYTHONWARNINGS": "ignore"})

    said = json.loads(file.read_text("utf-8"))

    assert said["bomFormat"] == "CycloneDX"
    assert said["metadata"]["component"]["name"] == "cds-service"
    listed = sorted((one["purl"], *_hashes(one)) for one in said["components"])
    assert listed == sorted((f"pkg:pypi/{pin.name}@{pin.version}", *sorted(pin.hashes)) for pin in pins("runtime"))


def _hashes(component: dict[str, list[dict[str, list[dict[str, str]]]]]) -> list[str]:
    return sorted(hash_["content"] for one in component["externalReferences"] for hash_ in one["hashes"])
