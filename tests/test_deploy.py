"""The image and compose.yaml: every name in them exists, and nothing that runs has more rights than it needs."""

import os
import re
import stat
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client import REGISTRY

from cds_service import metrics as _metrics  # noqa: F401 # so that the figures are there
from cds_service.config import Settings
from tests.deploy_files import DEPLOY, compose, services_of_ours
from tests.documented import COMMANDS
from tests.locks import ROOT, asked, needed
from tests.test_dockerfile import of, stages

pytestmark = pytest.mark.timeless  # nothing in it is dated

SETTINGS = {f"CDS_{name.upper()}" for name in Settings.model_fields}
(PORT,) = of("EXPOSE")
SECRETS = DEPLOY / "compose" / "secrets"
NGINX = (DEPLOY / "compose" / "nginx.conf").read_text("utf-8")
RULES = (DEPLOY / "prometheus" / "rules.yml").read_text("utf-8")
STYLE = """{extends: default, rules: {line-length: {max: 260}, document-start: disable,
    comments: {min-spaces-from-content: 1}}}"""


def tool(name: str) -> str:
    """A program that scripts/environment installs beside the tests."""
    return str(ROOT / ".venv-tools" / "bin" / name)


def test_the_image_holds_nothing_that_only_its_building_needs() -> None:
    runtime = needed([one for one in asked("runtime") if one.name not in ("editables", "hatchling")])
    (removed,) = [rest for rest in of("RUN", 0) if "uninstall" in rest]

    assert set(removed.partition("--yes ")[2].split()) == needed(asked("runtime")) - runtime


def test_the_image_has_neither_pip_nor_the_packages_of_its_base() -> None:
    (create,) = [rest for rest in of("RUN", 0) if "venv" in rest]
    (clean,) = [rest for rest in of("RUN") if "rm -rf" in rest]

    assert "--without-pip" in create
    assert {"/usr/local/lib/python3.*/site-packages/*", "/usr/local/bin/pip*"} <= set(clean.split())


def test_the_image_says_what_it_is() -> None:
    (labels,) = of("LABEL")
    told = dict(re.findall(r'org\.opencontainers\.image\.(\w+)="([^"]*)"', labels))

    assert set(told) == {"title", "description", "licenses", "source", "revision", "version"}
    assert "Not a certified medical device; no clinician has signed" in told["description"]
    given = {rest.partition("=")[0] for name, rest in stages()[-1] if name == "ARG"}
    assert {value[2:-1] for value in told.values() if value.startswith("${")} == given


def test_every_setting_command_and_port_exists() -> None:
    for service in services_of_ours().values():
        assert set(service["environment"]) <= SETTINGS
        program, command = service.get("command", ["cds-service", "serve"])
        assert (program, command in COMMANDS) == ("cds-service", True)
    served = {f"{name}:{PORT}" for name, one in services_of_ours().items() if "command" not in one}
    assert set(re.findall(r"server ([\w-]+:\d+)", NGINX)) == served
    scraped = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))["scrape_configs"]
    assert {target for job in scraped for one in job["static_configs"] for target in one["targets"]} == served


def test_only_the_proxy_is_published_and_ends_tls() -> None:
    published = {name for name, one in compose()["services"].items() if "ports" in one}

    assert published == {"proxy"}
    assert compose()["services"]["proxy"]["ports"] == ["443:8443"]
    assert re.findall(r"listen (.*);", NGINX) == ["8443 ssl"]
    assert re.findall(r"ssl_protocols (.*);", NGINX) == ["TLSv1.2 TLSv1.3"]
    assert "location = /metrics {\n            return 404;" in NGINX


def test_the_proxy_keeps_no_address_that_was_called() -> None:
    """The id of a patient may stand in it."""
    assert re.findall(r"access_log (.*);", NGINX) == ["off"]
    assert re.findall(r"error_log (.*?);", NGINX) == ["stderr crit"]


@pytest.mark.parametrize("name", compose()["services"])
def test_a_container_has_no_right_that_it_does_not_need(name: str) -> None:
    service = compose()["services"][name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & set(service)
    assert "mem_limit" in service
    if name not in services_of_ours():  # these have the user of their image
        user, group = service["user"].split(":")
        assert int(user) > 0
        assert int(group) > 0


def test_the_database_and_the_figures_are_reached_from_inside_only() -> None:
    networks = compose()["networks"]

    assert networks["inside"] == networks["database"] == {"internal": True}
    used = {name: set(one["networks"]) for name, one in compose()["services"].items()}
    assert used["postgres"] == used["purge"] == {"database"}
    assert used["prometheus"] == {"inside"}
    assert set.union(*used.values()) == set(networks)


def test_every_secret_comes_from_a_file_that_the_script_writes() -> None:
    secrets = compose()["secrets"]
    used = {secret for one in compose()["services"].values() for secret in one.get("secrets", [])}

    assert used == set(secrets)
    assert set(re.findall(r"^own ([\w-]+) ", SECRETS.read_text("utf-8"), re.MULTILINE)) == used
    for name, one in secrets.items():
        assert one["file"] == f"${{CDS_SECRETS_FOLDER:-/etc/cds-service/secrets}}/{name}"
    for one in compose()["services"].values():
        mounted = set(re.findall(r"/run/secrets/([\w-]+)", str(one.get("environment"))))
        assert mounted <= set(one.get("secrets", []))


def test_the_script_makes_secrets_that_are_kept_when_it_runs_again(tmp_path: Path) -> None:
    """With a `chown` that does nothing, because only root may give files away."""
    (tmp_path / "chown").write_text("#!/bin/sh\n", "utf-8")
    (tmp_path / "chown").chmod(0o755)
    (tmp_path / "chain.pem").write_text("a certificate", "utf-8")
    (tmp_path / "key.pem").write_text("its key", "utf-8")
    folder, environment = tmp_path / "made", {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = [SECRETS, folder, tmp_path / "chain.pem", tmp_path / "key.pem"]

    subprocess.run(command, check=True, env=environment)
    made = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) & 0o337 == 0, path.name
        path.chmod(0o600)  # as root may write it
    subprocess.run(command, check=True, env=environment)

    assert {path.name: path.read_text("utf-8") for path in folder.iterdir()} == made
    assert made["pgpass"] == f"postgres:5432:cds:cds:{made['postgres-password']}"
    assert len({made[name] for name in ("patient-key", "metrics-token", "postgres-password")}) == 3
    assert all(re.fullmatch(r"[0-9a-f]{64}\n", made[name]) for name in ("patient-key", "metrics-token"))


def test_every_file_that_is_mounted_and_every_volume_is_there() -> None:
    for service in compose()["services"].values():
        for source, *_ in (volume.split(":") for volume in service.get("volumes", []) if not volume.startswith("${")):
            assert source in compose()["volumes"] if "/" not in source else (ROOT / source).exists(), source


def test_every_alarm_is_about_a_figure_that_there_is_and_the_documentation_knows_it() -> None:
    known = {family.name for family in REGISTRY.collect()}
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")

    assert {re.sub(r"_(bucket|count|total)$", "", name) for name in re.findall(r"\bcds_\w+", RULES)} <= known
    for expression in re.findall(r"expr: (.*)", operations):
        assert expression in RULES


def test_every_figure_that_the_documentation_wants_watched_has_an_alarm() -> None:
    operations = (ROOT / "docs" / "operations.md").read_text("utf-8")
    watched = re.findall(r"^\| `(cds_\w+)` \|[^|]*\|[^|]*\| [^|\s][^|]*\|$", operations, re.MULTILINE)
    alarms = "".join(re.findall(r"- alert: .*\n +expr: (.*)", RULES)) + "".join(
        re.findall(r"record: .*\n +expr: (.*)", RULES)
    )

    assert len(watched) > 10
    assert [name for name in watched if name not in alarms] == []


def test_what_is_started_is_named_by_version() -> None:
    images = {one["image"] for one in compose()["services"].values()}

    for image in images:
        assert re.search(r":v?\d[\w.-]*}?$", image), image
        assert "latest" not in image


def test_the_files_are_sound_yaml() -> None:
    files = [ROOT / "compose.yaml", DEPLOY]

    done = subprocess.run([tool("yamllint"), "-s", "-d", STYLE, *files], capture_output=True, text=True)

    assert (done.returncode, done.stdout) == (0, "")
