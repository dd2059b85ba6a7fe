"""deploy/kubernetes: every name in it exists, every selector finds its pods, no pod has needless rights."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cds_content.screening import Screening
from cds_service.clients import read_clients
from cds_service.config import read_settings
from cds_service.web import Deployment, create_app
from tests.deploy_files import KUBERNETES, containers, kustomizations, named, of_kind, pods, resources
from tests.documented import COMMANDS
from tests.test_deploy import PORT, SETTINGS, tool
from tests.wire import store_in

pytestmark = pytest.mark.timeless  # nothing in it is dated

EXAMPLE = KUBERNETES / "example"
OWN = [one for one in containers() if one["args"][0] == "cds-service"]
HARDENED = {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]}}
(NAMED_SERVER,) = [port["name"] for one in OWN for port in one.get("ports", [])]


def settings_of_the_example() -> dict[str, str]:
    lines = (EXAMPLE / "settings.env").read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def test_every_file_is_named_and_every_name_is_a_file() -> None:
    for folder, said in kustomizations().items():
        there = {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}
        listed = {name for name in said["resources"] if not (folder / name).is_dir()}
        assert listed == there
        for made in said.get("configMapGenerator", []):
            assert all((folder / name).is_file() for name in [*made.get("envs", []), *made.get("files", [])])


def test_the_schemas_of_kubernetes_know_every_member() -> None:
    files = [path for path in KUBERNETES.glob("*/*.yaml") if path.name != "kustomization.yaml"]

    done = subprocess.run([tool("kubernetes-validate"), "--strict", *files], capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_pod_has_a_right_that_it_does_not_need() -> None:
    for _, pod in pods():
        said = pod["spec"]["securityContext"]
        assert said["runAsNonRoot"] is True
        assert (said["runAsUser"], said["runAsGroup"]) == (10001, 10001)
        assert said["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["spec"]["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod["spec"])
        assert not list(named(pod, "hostPath"))
    for container in containers():
        assert container["securityContext"] == HARDENED
        assert {"cpu", "memory"} <= set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]


def test_what_runs_is_named_by_version() -> None:
    images = {image["name"]: image for said in kustomizations().values() for image in said.get("images", [])}

    for container in containers():
        name, _, version = container["image"].partition(":")
        assert re.fullmatch(r"\d[\w.-]*", version)
        assert re.fullmatch(r"\d[\w.-]*", images[name]["newTag"])


def test_every_command_exists() -> None:
    assert {one["args"][1] for one in OWN} <= set(COMMANDS)


def test_every_setting_exists() -> None:
    given = {env["name"] for one in OWN for env in one["env"]} - {"PGPASSWORD"}
    assert given | set(settings_of_the_example()) <= SETTINGS


def test_the_settings_of_the_example_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in settings_of_the_example().items():
        monkeypatch.setenv(name, value)

    read = read_settings()

    assert read.public.startswith("https://")
    assert read.database_url.startswith("postgresql://")
    assert "sslmode=verify-full" in read.database_url
    assert not read.allow_unsigned
    assert "ehr" in read_clients(EXAMPLE / "clients.toml")


def test_no_secret_stands_in_a_file() -> None:
    for container in containers():
        for env in container.get("env", []):
            secret = re.search(r"PASSWORD|TOKEN|KEY", env["name"]) and not env["name"].endswith("_FILE")
            assert ("valueFrom" in env) == bool(secret)
    assert of_kind("Secret") == []
    assert not any("secretGenerator" in said for said in kustomizations().values())
    assert json.loads((EXAMPLE / "ehr.json").read_text("utf-8")) == {"keys": []}
    assert not re.search(r"://[^/@\s]+:[^/@\s]+@", (EXAMPLE / "settings.env").read_text("utf-8")), (
        "a password in an address"
    )


def test_every_secret_and_configuration_that_is_used_is_made_or_described() -> None:
    made = {one["name"] for one in kustomizations()[EXAMPLE]["configMapGenerator"]}
    page = (KUBERNETES.parent.parent / "docs" / "containers.md").read_text("utf-8")
    templates = [pod for _, pod in pods()]

    assert {one["name"] for name in ("configMapRef", "configMap") for one in named(templates, name)} == made
    for secret in [*named(templates, "secret"), *named(templates, "secretKeyRef")]:
        assert secret["name"] == "cds-secrets"
        for key in [secret.get("key"), *(item["key"] for item in secret.get("items", []))]:
            assert key is None or f"--from-file={key}=" in page


def test_every_file_that_a_setting_names_is_mounted() -> None:
    for _, pod in pods():
        volumes = {one["name"]: one for one in pod["spec"].get("volumes", [])}
        for container in pod["spec"]["containers"]:
            assert {one["name"] for one in container["volumeMounts"]} <= set(volumes)
            files = [env["value"] for env in container["env"] if str(env.get("value")).startswith("/etc/cds/")]
            mounted = {one["path"] for one in named(volumes.get("settings", {}), "items") for one in one}
            assert {Path(file).name for file in files} <= mounted | {"clients.toml"}


def test_the_probes_ask_addresses_that_there_are(screening: Screening, tmp_path: Path) -> None:
    store = store_in(tmp_path / "d.sqlite")
    app = create_app(Deployment((screening,), store, "http://127.0.0.1:8080", development=True)).test_client()
    (server,) = [one for one in OWN if "readinessProbe" in one]
    probes = {name: server[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}

    assert {probe["path"] for probe in probes.values()} == {"/health/live", "/health/ready"}
    for probe in probes.values():
        assert probe["port"] == NAMED_SERVER
        assert app.get(probe["path"]).status_code == 200
    assert probes["livenessProbe"]["path"] == "/health/live", "a database that is gone is no reason to start anew"
    store.dispose()


def test_ports_are_those_of_the_image() -> None:
    assert next(one["ports"] for one in OWN if "ports" in one) == [{"name": NAMED_SERVER, "containerPort": int(PORT)}]
    for _, policy in of_kind("NetworkPolicy"):
        if policy["metadata"]["name"] == "cds-service":
            assert [port["port"] for one in policy["spec"]["ingress"] for port in one["ports"]] == [int(PORT)]


def selectors(folder: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Each selector of pods of our own, with where it stands."""
    for where, one in resources():
        if where != folder:
            continue
        name = f"{one['kind']} {one['metadata']['name']}"
        spec = one.get("spec", {})
        if one["kind"] == "Service":
            yield name, spec["selector"]
        if one["kind"] in ("Deployment", "PodDisruptionBudget"):
            yield name, spec["selector"]["matchLabels"]
        for constraint in named(spec, "labelSelector"):
            yield name, constraint["matchLabels"]
        if one["kind"] == "NetworkPolicy":
            yield name, spec["podSelector"].get("matchLabels", {})


@pytest.mark.parametrize("folder", [KUBERNETES / "base", KUBERNETES / "population"], ids=lambda path: path.name)
def test_every_selector_finds_pods(folder: Path) -> None:
    labels = [pod["metadata"]["labels"].items() for where, pod in pods() if where == folder]

    found = list(selectors(folder))
    assert found
    for name, wanted in found:
        assert any(wanted.items() <= one for one in labels), name
    assert not list(named(kustomizations()[folder], "includeSelectors")), "those of others would become ours"


def test_nothing_passes_that_is_not_named() -> None:
    policies = {one["metadata"]["name"]: one["spec"] for _, one in of_kind("NetworkPolicy")}

    assert policies["cds-nothing"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    (matched,) = policies["cds-database"]["podSelector"]["matchExpressions"]
    ours = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for where, pod in pods() if where.name == "base"}
    assert set(matched["values"]) == ours
    (outside,) = named(policies["cds-service"]["egress"], "ipBlock")
    assert {"10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "172.16.0.0/12", "127.0.0.0/8"} <= set(outside["except"])


def test_the_autoscaler_and_the_ingress_find_what_they_name() -> None:
    (_, scaler), (_, ingress) = of_kind("HorizontalPodAutoscaler", "Ingress")
    there = {(one["kind"], one["metadata"]["name"]) for _, one in resources()}

    target = scaler["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) in there
    assert all("replicas" not in one["spec"] for where, one in of_kind("Deployment") if where.name == "base")
    (backend,) = named(ingress, "backend")
    (service,) = [one for _, one in of_kind("Service") if one["metadata"]["name"] == backend["service"]["name"]]
    assert backend["service"]["port"] == {"name": service["spec"]["ports"][0]["name"]}
