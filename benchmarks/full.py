"""The full call, the decision recorded and committed, beside others and beside the least that a handler does."""

from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import beside
from benchmarks.goals import Goal
from benchmarks.processes import Server
from benchmarks.service import requests, served
from benchmarks.turns import Measured, cpu, measured, ratios, said, speed, turns


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """Calls per second and CPU per call, each server with the same number of calls of the same body."""
    calls = 200 if quick else 1500
    with ExitStack() as stack:
        asked = {
            "ours": (stack.enter_context(served(_folder(stack))), requests(calls)),
            "HealthChain": (
                stack.enter_context(beside.healthchain(_folder(stack))),
                beside.healthchain_requests(calls),
            ),
            **_floors(stack, calls),
        }
        if node := stack.enter_context(beside.express(_folder(stack))):
            asked["Express"] = (node, beside.express_requests(calls))
        found = turns(rounds, {name: partial(measured, [server], called) for name, (server, called) in asked.items()})
    return _goals(found)


def _goals(found: dict[str, list[Measured]]) -> list[Goal]:
    """Beside HealthChain and the Flask handler with a goal; beside the others shown only."""
    ours, told = found["ours"], {name: said(one) for name, one in found.items()}

    def faster(name: str, goal: str, least: float | None) -> Goal:
        figures = f"ours {told['ours']}; {name} {told[name]}"
        title = f"full: calls a second, ours / {name}"
        return Goal(title, goal, least, None, ratios(speed(ours), speed(found[name])), figures)

    handler = ratios(cpu(ours), cpu(found["Flask, recorded"]))
    figures = f"ours {told['ours']}; Flask {told['Flask, recorded']}"
    cost = Goal("full: CPU per call, ours / Flask handler that records a row", "<= 2", None, 2.0, handler, figures)
    shown = [faster(name, "", None) for name in ("bare handler", "Express") if name in found]
    return [faster("HealthChain", ">= 3", 3.0), cost, *shown]


def _floors(stack: ExitStack, calls: int) -> dict[str, tuple[Server, list[bytes]]]:
    kinds = {"bare handler": "bare", "Flask, recorded": "recorded"}
    called = beside.floor_requests(calls)
    return {name: (stack.enter_context(beside.floor(_folder(stack), kind)), called) for name, kind in kinds.items()}


def _folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(TemporaryDirectory()))
