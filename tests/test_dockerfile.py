"""What the image is made of, read from the Dockerfile: as locked, nobody's secrets, no rights, and seen to be alive."""

import json
import re
import tomllib

import pytest

from tests.locks import ROOT

pytestmark = pytest.mark.timeless  # nothing in it is dated

TEXT = (ROOT / "Dockerfile").read_text("utf-8")


def instructions() -> list[tuple[str, str]]:
    """The instructions of the Dockerfile with their arguments, without comments."""
    lines = "\n".join(line for line in TEXT.splitlines() if not line.startswith("#")).replace("\\\n", "")
    return [(name, rest.strip()) for name, _, rest in (line.partition(" ") for line in lines.splitlines() if line)]


def stages() -> list[list[tuple[str, str]]]:
    """The instructions of each stage."""
    found: list[list[tuple[str, str]]] = []
    for instruction in instructions():
        if instruction[0] == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def of(name: str, stage: int = -1) -> list[str]:
    return [rest for one, rest in stages()[stage] if one == name]


def test_every_stage_stands_on_the_base_that_a_release_gives_with_its_digest() -> None:
    assert [of("FROM", n)[0].partition(" ")[0] for n in range(len(stages()))] == ["${BASE}", "${BASE}"]
    assert instructions()[0][0] == "ARG"


def test_packages_come_from_the_lock_with_their_hashes_and_from_nowhere_else() -> None:
    installs = [
        rest for name, rest in instructions() if name == "RUN" and re.search(r"\bpip3?\b.* (install|wheel)", rest)
    ]

    assert len(installs) == 2
    for line in installs:
        locked = "--require-hashes -r requirements/runtime.lock" in line
        assert locked or "--no-index" in line
        assert "--no-deps" in line


def test_nothing_is_fetched_but_packages() -> None:
    assert [name for name, _ in instructions() if name == "ADD"] == []
    assert re.findall(r"\b(?:curl|wget|git clone|apt(?:-get)? )", " ".join(rest for _, rest in instructions())) == []
    assert not any("://" in rest for name, rest in instructions() if name not in ("HEALTHCHECK",))


def test_it_runs_as_a_user_without_rights_by_number() -> None:
    ((user, group),) = [rest.split(":") for rest in of("USER")]

    assert int(user) > 1000
    assert int(group) > 1000
    names = [name for name, _ in stages()[-1]]
    assert not {"RUN", "COPY"} & set(names[names.index("USER") :]), "what it runs belongs to root"


def test_no_secret_is_in_it() -> None:
    given = [rest for name, rest in instructions() if name in ("ENV", "ARG", "LABEL")]

    assert [rest for rest in given if re.search(r"(?i)key|token|secret|passw", rest)] == []
    assert not any("clients" in rest for _, rest in instructions())


def test_only_what_the_service_is_built_from_comes_in() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if not line.startswith("#")]
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]["targets"]["wheel"]
    built = {*wheel["packages"], *wheel["force-include"], "pyproject.toml", "README.md", "LICENSE", "NOTICE"}

    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == built | {
        f"requirements/{lock}.lock" for lock in ("runtime", "population")
    }


def test_its_health_is_asked_at_the_address_for_that() -> None:
    (check,) = of("HEALTHCHECK")
    command = json.loads(check[check.index("CMD") + 3 :])

    assert command[:2] == ["python", "-c"]
    assert "/health/live" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")


def test_it_is_ended_by_the_signal_that_the_service_drains_at() -> None:
    assert of("STOPSIGNAL") == ["SIGTERM"]
    assert json.loads(of("CMD")[0]) == ["cds-service", "serve"], "no shell stands between the signal and the service"


def test_the_root_can_be_read_only_as_the_comment_shows() -> None:
    assert "--read-only --tmpfs /tmp" in TEXT
    assert ("WORKDIR", "/data") in stages()[-1]
    assert "PYTHONDONTWRITEBYTECODE=1" in of("ENV")[0]
