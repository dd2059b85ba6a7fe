"""The report: as lines for people, as JSON, and as JUnit XML for what runs tests.

What stands in it are our own words, ids and places; of what the service wrote nothing but names is repeated.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from xml.etree import ElementTree  # writes XML, and reads none  # nosec B405

from cds_service import strict_json
from cds_service.conformance.looks import Result, State

_SHOWN = 5  # places of one row; the JSON has them all
_TITLE = "CDS Hooks conformance, seen from outside"


def as_text(results: Sequence[Result]) -> str:
    """A line for each row, the places that are wrong or unknown below it, and how many rows ended how."""
    lines = [line for result in results for line in _row(result)]
    return "\n".join([*lines, "", summary(results)])


def summary(results: Sequence[Result]) -> str:
    """How many rows ended how."""
    counted = Counter(result.state for result in results)
    return ", ".join(f"{counted[state]} {state}" for state in State)


def _row(result: Result) -> list[str]:
    check = result.check
    head = f"{result.state:<12}{check.row:<9}{check.level:<7}The service {check.what}. [{check.section}]"
    more = len(result.says) - _SHOWN
    return [
        head,
        *(f"{'':12}{said}" for said in result.says[:_SHOWN]),
        *([f"{'':12}and {more} more"] if more > 0 else []),
    ]


def as_json(results: Sequence[Result], url: str) -> bytes:
    """All of it; `url` is what was checked."""
    rows = [_json_row(result) for result in results]
    counted = Counter(str(result.state) for result in results)
    return strict_json.write(
        {"service": url, "counts": {str(state): counted[state] for state in State}, "rows": rows}, pretty=True
    )


def _json_row(result: Result) -> dict[str, Any]:
    check = result.check
    return {
        "row": check.row,
        "state": str(result.state),
        "level": str(check.level),
        "section": check.section,
        "what": f"The service {check.what}.",
        "says": list(result.says),
    }


def as_junit(results: Sequence[Result]) -> bytes:
    """A test case for each row: a row that failed is a failure, one that was not checked is skipped.

    JUnit has no warnings: such a case passes, and what is wrong stands in its output.
    """
    counted = Counter(result.state for result in results)
    counts = {
        "tests": len(results),
        "failures": counted[State.FAIL],
        "errors": 0,
        "skipped": counted[State.NOT_CHECKED],
    }
    said = {name: str(number) for name, number in counts.items()}
    suites = ElementTree.Element("testsuites", said)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": _TITLE, **said})
    for result in results:
        _case(suite, result)
    written: bytes = ElementTree.tostring(suites, "utf-8", xml_declaration=True)
    return written


def _case(suite: ElementTree.Element, result: Result) -> None:
    name = f"{result.check.row} The service {result.check.what} [{result.check.section}]"
    case = ElementTree.SubElement(suite, "testcase", {"classname": result.check.row.split("-")[0], "name": name})
    text = "\n".join(result.says)
    match result.state:
        case State.FAIL:
            ElementTree.SubElement(case, "failure", {"message": text.partition("\n")[0]}).text = text
        case State.NOT_CHECKED:
            ElementTree.SubElement(case, "skipped", {"message": text})
        case State.WARN:
            ElementTree.SubElement(case, "system-out").text = f"warning: {text}"
