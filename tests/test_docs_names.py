"""Every name that somebody may set, call or write has its place in the documentation, and none is there in vain."""

import re
from ast import Constant
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import GenericAlias, UnionType
from typing import Any, get_args

import click
import pytest
from flask import Flask
from flask.testing import FlaskClient
from prometheus_client.metrics import MetricWrapperBase as Collector
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from cds_content import card_shapes, shapes
from cds_content.screening import Screening
from cds_content.shapes import Table, hyphened
from cds_service import metrics
from cds_service.config import Settings
from tests.conftest import ROOT
from tests.documented import COMMANDS, keys, page, pages, rows, section
from tests.requirements.callers import service_in
from tests.test_logs import modules, said
from tests.tokens import PUBLIC

pytestmark = pytest.mark.timeless  # nothing in it is dated

# ------------------------------------------------------------------------------------------------------------- settings

OTHERS = {"SSL_CERT_FILE"}  # read by a library
NAMED = re.compile(r"\bCDS_[A-Z][A-Z_]*[A-Z]\b")


def settings() -> dict[str, Any]:
    """The variable of each setting with its default."""
    return {f"CDS_{name.upper()}": field.default for name, field in Settings.model_fields.items()}


def test_every_setting_has_its_place_and_no_other_has() -> None:
    documented = keys(page("settings.md"))

    settings_of_the_page = [one for one in documented if one.isupper()]
    assert sorted(settings_of_the_page) == sorted([*settings(), *OTHERS])


def test_every_default_is_the_one_in_force() -> None:
    told = {re.findall("`([^`]+)`", row[0])[0]: row[1] for row in rows(page("settings.md"))}

    for name, default in settings().items():
        if isinstance(default, bool):
            assert told[name] == ("on" if default else "off"), name
        elif isinstance(default, int) or (isinstance(default, str) and default):
            assert told[name] == f"`{default}`", name
        else:
            assert not told[name].startswith("`"), name


def test_no_page_names_a_setting_that_does_not_exist() -> None:
    for_compose = re.findall(r"\$\{(CDS_\w+)", (ROOT / "compose.yaml").read_text("utf-8"))
    for path in pages():
        assert set(NAMED.findall(path.read_text("utf-8"))) <= {*settings(), *OTHERS, *for_compose}, path.name


# ------------------------------------------------------------------------------------------------------------- commands


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_its_place_with_all_its_options(name: str) -> None:
    told = section(page("commands.md"), f"## `cds-service {name}`")

    assert sorted(keys(told)) == sorted(parameters(COMMANDS[name]))
    assert len(told.strip()) > 40


def parameters(command: click.Command) -> Iterator[str]:
    """Options and arguments as a user writes them: --client, PATIENT."""
    for one in command.params:
        yield one.opts[0] if isinstance(one, click.Option) else one.human_readable_name


def test_no_command_is_told_that_does_not_exist() -> None:
    told = re.findall(r"^## `cds-service ([\w-]+)`$", page("commands.md"), re.MULTILINE)

    assert sorted(told) == sorted(COMMANDS)


def test_the_readme_names_no_command_that_does_not_exist() -> None:
    named = re.findall(r"^\| (`cds-service .*?) \|", (ROOT / "README.md").read_text("utf-8"), re.MULTILINE)
    told = {name for row in named for name in re.findall(r"`cds-service ([\w-]+)`", row)}

    assert told <= set(COMMANDS)


@pytest.mark.parametrize("path", pages(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_page_names_a_target_of_make_that_does_not_exist(path: Path) -> None:
    named = re.findall(r"(?:`|^ {4})make ([a-z]+)\b", path.read_text("utf-8"), re.MULTILINE)

    assert set(named) <= set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))


# --------------------------------------------------------------------------------------- figures, and events of the log


def test_no_page_names_a_figure_that_does_not_exist() -> None:
    """The other way round, and the fields of the log, stand in test_metrics.py and test_logs.py."""
    ours = [one for one in vars(metrics).values() if isinstance(one, Collector)]
    names = {name for one in ours for family in one.collect() for name in (family.name, f"{family.name}_total")}
    parts = {f"{one}_{part}" for one in names for part in ("bucket", "count", "sum")}
    for path in pages():
        named = re.findall(r"\bcds_\w+_(?:total|seconds|up|info|passed|bucket|count|sum)\b", path.read_text("utf-8"))
        assert set(named) <= names | parts, path.name


def test_every_event_of_the_log_that_somebody_must_act_on_is_told() -> None:
    told = page("operations.md")
    events = {
        str(node.args[0].value) for path in modules() for node in said(path) if isinstance(node.args[0], Constant)
    }

    assert "self-test failed" in events
    assert sorted(one for one in events if f"`{one}`" not in told) == []


# --------------------------------------------------------------------------------------------------------------- routes

BLANK = "{}"


def routes(app: Flask) -> dict[str, set[str]]:
    """The methods of each address, its variable parts left blank."""
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        methods = (rule.methods or set()) - {"HEAD", "OPTIONS"}
        found.setdefault(re.sub("<[^>]*>", BLANK, str(rule)), set()).update(methods)
    return found


@cache
def addresses() -> dict[str, tuple[str, set[str], str]]:
    """Each documented address with its variable parts left blank: as it is written, its methods, who may call it."""
    found: dict[str, tuple[str, set[str], str]] = {}
    for row in rows(section(page("connect.md"), "## Where the service is to be called")):
        written = re.findall("`([^`]+)`", row[0])
        assert written, row
        for one in written:
            found[re.sub(r"\{[^}]*\}", BLANK, one)] = one, set(re.findall("[A-Z]+", row[1])), row[2]
    return found


def families() -> tuple[str, ...]:
    """The beginnings of addresses that the page tells in one line, each for all that stands below it."""
    return tuple(one.removesuffix("…") for one in addresses() if one.endswith("/…"))


def test_only_what_is_no_interface_is_told_in_one_line() -> None:
    assert set(families()) == {"/sandbox/", "/static/", "/bootstrap/static/"}


def test_every_route_has_its_place_and_no_other_has(client: FlaskClient) -> None:
    single = {one: methods for one, methods in routes(client.application).items() if not one.startswith(families())}
    told = {one: methods or {"GET"} for one, (_, methods, _) in addresses().items() if not one.endswith("/…")}

    assert told == single


def test_each_family_is_there(client: FlaskClient) -> None:
    for one in families():
        assert [route for route in routes(client.application) if route.startswith(one)] != [], one


def test_who_may_call_is_as_the_page_says(screening: Screening, tmp_path: Path) -> None:
    client = service_in(screening, tmp_path)
    refused = {"client": {401}, "operator": {401}, "auditor": {401}, "development": {403, 404}}
    assert {who for _, _, who in addresses().values()} == {*refused, "all"}
    for one, (written, methods, who) in addresses().items():
        if one.endswith("/…") or written == "/auth/token":  # which is about the assertion in its body
            continue
        for method in methods or {"GET"}:
            status = client.open(_filled(written), method=method, json={}, base_url=PUBLIC).status_code
            assert (status in refused[who]) if who in refused else (status != 401), (written, method, status)


def _filled(address: str) -> str:
    """An address whose variable parts are those of things that there are, or might be."""
    parts = {"type": "Questionnaire", "id": "low-back-pain", "version": "1.0.0", "name": "low-back-pain"}
    parts["id"] = "low-back-pain-patient-view" if address.startswith("/cds-services") else parts["id"]
    return re.sub(r"\{(\w+)\}", lambda part: parts.get(part[1], "x"), address)


# -------------------------------------------------------------------------------------------------- keys of the content

# The heading under which the keys of each shape stand.
HEADINGS: dict[type[Table], str] = {
    shapes.FindingsFile: "The file",
    shapes.StatementsFile: "Its file",
    shapes.CodesFile: "Its codes",
    card_shapes.Texts: "What cards share",
    card_shapes.Signed: "Signing",
}
NOT_WRITTEN = {card_shapes.Card, card_shapes.NamedCode}  # what others are made of; the latter is in clients.toml only


def of_the_content() -> list[type[Table]]:
    """Every shape of a table in the content files."""
    found = [one for module in (shapes, card_shapes) for one in vars(module).values() if isinstance(one, type)]
    return sorted(
        {one for one in found if issubclass(one, Table)} - {Table, *NOT_WRITTEN}, key=lambda shape: shape.__name__
    )


@pytest.mark.parametrize("shape", of_the_content(), ids=lambda shape: shape.__name__)
def test_every_key_of_the_content_has_its_place_and_no_other_has(shape: type[Table]) -> None:
    told = section(page("content.md"), f"#### {HEADINGS.get(shape, shape.__name__)}")

    assert keys(told) == sorted(keys(told), key=keys(told).index), "each once"
    assert sorted(keys(told)) == sorted(hyphened(name) for name in shape.model_fields)


@pytest.mark.parametrize("shape", of_the_content(), ids=lambda shape: shape.__name__)
def test_what_the_page_calls_needed_is_what_cannot_be_left_out(shape: type[Table]) -> None:
    told = section(page("content.md"), f"#### {HEADINGS.get(shape, shape.__name__)}")
    needed = {row[0].strip("`") for row in rows(told) if row[1] == "yes"}

    without_default = {
        hyphened(name) for name, field in shape.model_fields.items() if field.default is PydanticUndefined
    }
    assert needed == without_default - {"row" if shape is shapes.Finding else ""}


def test_every_shape_that_a_file_is_read_by_is_told() -> None:
    roots = [one for one in of_the_content() if one.__name__.endswith("File")]
    assert len(roots) == 3
    reached = {inner for one in of_the_content() for inner in _inner(one)}

    assert reached - NOT_WRITTEN <= set(of_the_content())


def _inner(shape: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """The shapes within a shape."""
    for field in shape.model_fields.values():
        yield from _models(field.annotation)


def _models(kind: Any) -> Iterator[type[BaseModel]]:
    if isinstance(kind, type) and not isinstance(kind, GenericAlias | UnionType) and issubclass(kind, BaseModel):
        yield kind
    for part in get_args(kind):
        yield from _models(part)
