"""The locks in requirements/, read as pip reads them, and what is installed."""

import re
import tomllib
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parent.parent
LOCKS = ("runtime", "population", "test", "tools")
EXTRAS = {"population": ("screen", "cluster"), "test": ("test", "cluster", "proof", "screen")}  # of a lock
OURS = "cds-service"
OF_PYTHON = {"pip", "setuptools", "wheel"}  # which a new environment may bring itself
_PIN = re.compile(
    r"^(?P<pin>[^\s#][^\\]*?)\s*\\\n(?P<hashes>(?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", re.MULTILINE
)


@dataclass(frozen=True)
class Pin:
    """One package of a lock, at one version."""

    requirement: Requirement
    hashes: tuple[str, ...]

    @property
    def name(self) -> str:
        return canonicalize_name(self.requirement.name)

    @property
    def version(self) -> Version:
        (exactly,) = self.requirement.specifier
        assert exactly.operator == "=="
        return Version(exactly.version)

    @property
    def is_for_here(self) -> bool:
        """Whether it is for this Python and this platform."""
        return self.requirement.marker is None or self.requirement.marker.evaluate()


def text_of(lock: str) -> str:
    return (ROOT / "requirements" / f"{lock}.lock").read_text("utf-8")


def pins(lock: str) -> list[Pin]:
    """All that the lock names; a package may have one pin for each of several markers."""
    return [
        Pin(Requirement(found["pin"]), tuple(re.findall(r"sha256:(\w+)", found["hashes"])))
        for found in _PIN.finditer(text_of(lock))
    ]


def here(lock: str) -> dict[str, Pin]:
    """What the lock installs on this Python and platform, by name."""
    found = [pin for pin in pins(lock) if pin.is_for_here]
    assert len({pin.name for pin in found}) == len(found), f"{lock}.lock names a package twice for one machine"
    return {pin.name: pin for pin in found}


def asked(lock: str) -> list[Requirement]:
    """What pyproject.toml asks for in this environment, the building of the project itself included."""
    said: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups, project = said["dependency-groups"], said["project"]
    if lock == "tools":
        return [Requirement(one) for one in groups["tools"]]
    more = [one for extra in EXTRAS.get(lock, ()) for one in project["optional-dependencies"][extra]]
    every = [Requirement(one) for one in [*project["dependencies"], *groups["build"], *more]]
    return [one for one in every if one.name != OURS]  # the tests ask for our other extras by our own name


def installed() -> dict[str, Version]:
    """What stands in this environment beside the project itself and what Python brings."""
    found = {canonicalize_name(one.metadata["Name"]): Version(one.version) for one in metadata.distributions()}
    return {name: version for name, version in found.items() if name not in OF_PYTHON | {OURS}}


def needed(requirements: list[Requirement]) -> set[str]:
    """The names of these packages and of all that they need here, as their own metadata say."""
    found: set[tuple[str, str]] = set()
    open_ = [(canonicalize_name(one.name), extra) for one in requirements for extra in ("", *one.extras)]
    while open_:
        name, extra = one = open_.pop()
        if one not in found:
            found.add(one)
            open_ += [
                (canonicalize_name(next_.name), its)
                for next_ in map(Requirement, metadata.requires(name) or [])
                if next_.marker is None or next_.marker.evaluate({"extra": extra})
                for its in ("", *next_.extras)
            ]
    return {name for name, _ in found}
