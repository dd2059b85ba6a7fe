"""What stands in compose.yaml and deploy/, as the tests read it."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.locks import ROOT

Json = dict[str, Any]
DEPLOY = ROOT / "deploy"
KUBERNETES = DEPLOY / "kubernetes"
OURS = "cds-service"  # how the image is named in what is copied; a release gives it another name


@cache
def compose() -> Json:
    return dict(yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8")))


def kustomizations() -> dict[Path, Json]:
    """Each folder that kubectl applies, with what its kustomization.yaml says."""
    files = sorted(KUBERNETES.glob("*/kustomization.yaml"))
    return {path.parent: yaml.safe_load(path.read_text("utf-8")) for path in files}


@cache
def resources() -> tuple[tuple[Path, Json], ...]:
    """Every Kubernetes resource, with the folder in which it stands."""
    return tuple(
        (folder, resource)
        for folder, said in kustomizations().items()
        for name in said["resources"]
        if not (folder / name).is_dir()
        for resource in yaml.safe_load_all((folder / name).read_text("utf-8"))
    )


def of_kind(*kinds: str) -> list[tuple[Path, Json]]:
    return [(folder, one) for folder, one in resources() if one["kind"] in kinds]


def pods() -> list[tuple[Path, Json]]:
    """The template of every pod."""
    found = [(folder, one["spec"]) for folder, one in of_kind("Deployment", "Job", "CronJob")]
    return [(folder, spec.get("jobTemplate", {"spec": spec})["spec"]["template"]) for folder, spec in found]


def containers() -> list[Json]:
    return [one for _, pod in pods() for one in pod["spec"]["containers"]]


def services_of_ours() -> dict[str, Json]:
    """The services of compose.yaml that run the image of this project."""
    return {name: one for name, one in compose()["services"].items() if OURS in one["image"]}


def named(value: Any, name: str) -> Iterator[Any]:
    """Every value with this name, however deep it stands."""
    for key, part in value.items() if isinstance(value, dict) else ():
        if key == name:
            yield part
        yield from named(part, name)
    for part in value if isinstance(value, list) else ():
        yield from named(part, name)
