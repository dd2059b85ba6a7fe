"""The way of the data has one direction: a module imports only what stands before it, and the core touches no world."""

import ast
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeless  # nothing in it is dated

ROOT = Path(__file__).parent.parent

# One order for all modules: each may import only those before it.
ORDER = [
    "cds_service.markdown",
    "cds_service.jwks",
    "cds_service.addresses",
    "cds_service.lines",
    "cds_service.outbound",
    "cds_service.bases",
    "cds_service.logs",
    "cds_service.looked",
    "cds_service.migrations.versions.r0004_access_tokens",
    "cds_service.migrations.versions.r0005_visits",
    "cds_service.scopes",
    "cds_service.web.headers",
    "cds_service.migrations.env",
    "cds_service.migrations.versions.r0001_decisions",
    "cds_service.migrations.versions.r0002_cards_and_feedback",
    "cds_service.migrations.versions.r0003_responses_and_events",
    "cds_service.operations",
    "cds_service.store.postgres",
    "cds_service.store.tables",
    "cds_service.dates",
    "cds_service.submission.formats",
    "cds_service.submission.narrative",
    "cds_content.shapes",
    "cds_service.store.criteria",
    "cds_content.narrative",
    "cds_service.audit",
    "cds_service.submission.kinds",
    "cds_content.card_shapes",
    "cds_service.definitions",
    "cds_service.submission.shape",
    "cds_content.templates",
    "cds_content.translations",
    "cds_content.screening",
    "cds_service.form.sheet",
    "cds_content.plan.metadata",
    "cds_service.errors",
    "cds_service.form.given",
    "cds_service.form.response",
    "cds_service.limits",
    "cds_service.matching",
    "cds_service.migrations",
    "cds_service.parameters",
    "cds_service.searching",
    "cds_service.terminology",
    "cds_service.capabilities",
    "cds_service.strict_json",
    "cds_service.store.database",
    "cds_service.store.watched",
    "cds_service.store.audit",
    "cds_service.store.counts",
    "cds_service.store.tokens",
    "cds_service.store.visits",
    "cds_service.sealed",
    "cds_service.answers",
    "cds_service.report.sections",
    "cds_service.store.lifetimes",
    "cds_service.store.received",
    "cds_service.store.rights",
    "cds_service.report.plots",
    "cds_service.report.remarks",
    "cds_service.findings",
    "cds_service.report",
    "cds_service.hooks",
    "cds_service.resources",
    "cds_service.responses",
    "cds_content.plan.facts",
    "cds_content.plan.activities",
    "cds_content.plan.holds",
    "cds_service.advice",
    "cds_service.metrics",
    "cds_service.web.observed",
    "cds_content.plan.fhirpath",
    "cds_service.store.recorded",
    "cds_content.plan.actions",
    "cds_content.plan",
    "cds_service.populate",
    "cds_service.submission.values",
    "cds_service.orders",
    "cds_service.submission.answers",
    "cds_service.submission.shown",
    "cds_service.submission.items",
    "cds_service.details",
    "cds_service.submission",
    "cds_service.extract",
    "cds_service.suggestions",
    "cds_service.request_group",
    "cds_service.submission.alarms",
    "cds_service.advice_outcome",
    "cds_service.cards",
    "cds_service.care_plan",
    "cds_content.files",
    "cds_service.reload",
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
    "cds_service.unsafe",
    "cds_service.ehr",
    "cds_service.breaker",
    "cds_service.partners",
    "cds_service.keys",
    "cds_service.auth",
    "cds_service.smart",
    "cds_service.identity",
    "cds_service.fetch",
    "cds_service.prefetch",
    "cds_service.reply",
    "cds_service.judgement",
    "cds_service.form.outcome",
    "cds_service.form",
    "cds_service.package_examples",
    "cds_service.store",
    "cds_service.package",
    "cds_service.schemas",
    "cds_service.example_calls",
    "cds_service.contract",
    "cds_service.sandbox.exchange",
    "cds_service.sandbox.tokens",
    "cds_service.sandbox.answers",
    "cds_service.sandbox.connection",
    "cds_service.sandbox.records",
    "cds_service.scenarios",
    "cds_service.sandbox.shapes",
    "cds_service.sandbox.switches",
    "cds_service.sandbox.calls",
    "cds_service.sandbox.orders",
    "cds_service.sandbox.actions",
    "cds_service.sandbox.comparison",
    "cds_service.sandbox.firing",
    "cds_service.sandbox.progress",
    "cds_service.sandbox.patients",
    "cds_service.sandbox.launches",
    "cds_service.sandbox.trust",
    "cds_service.sandbox",
    "cds_service.web.sandbox_cards",
    "cds_service.web.deployment",
    "cds_service.web.sandbox_exchanges",
    "cds_service.web.sandbox_record",
    "cds_service.web.call",
    "cds_service.web.pages",
    "cds_service.web.authorization",
    "cds_service.web.refusals",
    "cds_service.web",
    "cds_service.web.sandbox",
    "cds_service.framing",
    "cds_service.selftest",
    "cds_service.connections",
    "cds_service.web.asker",
    "cds_service.web.operations",
    "cds_service.server",
    "cds_service.web.exchange",
    "cds_service.web.report",
    "cds_service.web.apply",
    "cds_service.web.audit",
    "cds_service.web.hooks",
    "cds_service.web.populate",
    "cds_service.web.process",
    "cds_service.web.submission_answer",
    "cds_service.web.terminology",
    "cds_service.web.extract",
    "cds_service.web.submission_search",
    "cds_service.web.submission_validate",
    "cds_service.web.feedback",
    "cds_service.web.submissions",
    "cds_service.web.fhir",
    "cds_service.web.contract",
    "cds_service.web.visits",
    "cds_service.web.form",
    "cds_service.web.launch",
    "cds_service.web.review",
    "cds_service.web.sandbox_chart",
    "cds_service.web.home",
    "cds_service.web.sandbox_compare",
    "cds_service.web.examples",
    "cds_service.web.sandbox_fhir",
    "cds_service.web.sandbox_authorization",
    "cds_service.web.routes",
    "cds_service.assembly",
    "cds_service.cli_records",
    "cds_service.cli",
]
PURE = (
    "cds_service.scopes",
    "cds_service.bases",
    "cds_service.answers",
    "cds_service.findings",
    "cds_service.responses",
    "cds_service.advice",
    "cds_service.resources",
    "cds_service.orders",
    "cds_service.details",
    "cds_service.suggestions",
    "cds_service.cards",
    "cds_service.form.sheet",
    "cds_service.form.given",
    "cds_service.form.response",
    "cds_service.markdown",
    "cds_service.submission",
    "cds_service.submission.kinds",
    "cds_service.submission.formats",
    "cds_service.submission.shape",
    "cds_service.dates",
    "cds_service.submission.values",
    "cds_service.submission.shown",
    "cds_service.submission.answers",
    "cds_service.submission.items",
    "cds_service.submission.narrative",
    "cds_service.submission.alarms",
    "cds_service.request_group",
    "cds_service.care_plan",
    "cds_service.advice_outcome",
    "cds_service.parameters",
    "cds_service.populate",
    "cds_service.extract",
    "cds_service.audit",
    "cds_service.report",
    "cds_service.report.sections",
    "cds_service.report.remarks",
    "cds_service.report.plots",
    "cds_service.searching",
    "cds_service.matching",
    "cds_service.terminology",
    "cds_content.plan",
    "cds_content.plan.fhirpath",
    "cds_content.plan.facts",
    "cds_content.plan.holds",
    "cds_content.plan.actions",
    "cds_content.plan.activities",
    "cds_content.plan.metadata",
    "cds_content.narrative",
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
