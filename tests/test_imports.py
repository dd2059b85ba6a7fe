"""The way of the data has one direction: a module imports only what stands before it, and the core touches no world."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# One order for all modules: each may import only those before it.
ORDER = [
    "cds_content.shapes",
    "cds_content.card_shapes",
    "cds_content.templates",
    "cds_content.translations",
    "cds_content.screening",
    "cds_service.errors",
    "cds_service.strict_json",
    "cds_service.answers",
    "cds_service.findings",
    "cds_service.responses",
    "cds_service.advice",
    "cds_service.hooks",
    "cds_service.resources",
    "cds_service.orders",
    "cds_service.details",
    "cds_service.suggestions",
    "cds_service.cards",
    "cds_content.files",
    "cds_content.form",
    "cds_content.reach",
    "cds_content.wording",
    "cds_content.check_cards",
    "cds_content.check",
    "cds_content.loading",
    "cds_content.review",
    "cds_service.feedback",
    "cds_service.clients",
    "cds_service.config",
    "cds_service.ehr",
    "cds_service.keys",
    "cds_service.auth",
    "cds_service.fetch",
    "cds_service.prefetch",
    "cds_service.reply",
    "cds_service.store",
    "cds_service.schemas",
    "cds_service.example_calls",
    "cds_service.contract",
    "cds_service.web",
    "cds_service.web.hooks",
    "cds_service.web.feedback",
    "cds_service.web.fhir",
    "cds_service.web.contract",
    "cds_service.web.examples",
    "cds_service.cli",
]
PURE = (
    "cds_service.answers",
    "cds_service.findings",
    "cds_service.responses",
    "cds_service.advice",
    "cds_service.resources",
    "cds_service.orders",
    "cds_service.details",
    "cds_service.suggestions",
    "cds_service.cards",
)
WORLD = {
    "flask",
    "requests",
    "sqlalchemy",
    "os",
    "pathlib",
    "socket",
    "uuid",
    "random",
    "time",
    "subprocess",
    "logging",
}


def source(module: str) -> ast.Module:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.parse(file.read_text("utf-8"))


def imports(module: str, *, inside_functions: bool = True) -> set[str]:
    nodes = ast.walk(source(module)) if inside_functions else source(module).body
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{name.name}" for name in node.names}
            found |= {name if name in ORDER else node.module for name in names}
    return found


def test_every_module_has_its_place_in_the_order() -> None:
    files = [path for package in ("cds_service", "cds_content") for path in (ROOT / package).rglob("*.py")]
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__") for path in files}

    assert names - {"cds_service", "cds_content"} == set(ORDER)


@pytest.mark.parametrize("module", ORDER)
def test_a_module_imports_only_what_stands_before_it(module: str) -> None:
    before = set(ORDER[: ORDER.index(module)]) | {"cds_service", "cds_content"}
    ours = {name for name in imports(module, inside_functions=False) if name.startswith("cds_")}

    assert ours <= before


@pytest.mark.parametrize("module", PURE)
def test_the_core_touches_no_world(module: str) -> None:
    assert not {name.partition(".")[0] for name in imports(module)} & WORLD
    called = [node.func for node in ast.walk(source(module)) if isinstance(node, ast.Call)]
    names = {function.attr for function in called if isinstance(function, ast.Attribute)}
    assert not names & {"now", "today", "utcnow"}, "the time comes in as a value"


@pytest.mark.parametrize("module", ORDER)
def test_a_module_is_read_in_one_sitting(module: str) -> None:
    path = ROOT / module.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")

    assert len(file.read_text("utf-8").splitlines()) < 220
