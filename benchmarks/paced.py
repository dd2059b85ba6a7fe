"""How long the slowest of 50 calls a second take, by a fixed schedule, beside the median of HealthChain."""

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import beside
from benchmarks.calls import Answers, answers
from benchmarks.goals import Goal
from benchmarks.service import requests, served
from benchmarks.turns import ratios, turns

RATE = 50  # calls a second


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """A wait is counted from the scheduled time, so that a call which holds up the next counts for both."""
    seconds, calls = (1, 100) if quick else (10, 1000)
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        served(Path(one)) as ours,
        beside.healthchain(Path(other)) as healthchain,
    ):
        paced = partial(answers, [ours.port], requests(RATE * seconds), rate=RATE)
        hurried = partial(answers, [healthchain.port], beside.healthchain_requests(calls))
        found = turns(rounds, {"ours": paced, "HealthChain": hurried})
    return [_goal(found["ours"], found["HealthChain"])]


def _goal(ours: list[Answers], healthchain: list[Answers]) -> Goal:
    if lost := sum(one.without_card for one in [*ours, *healthchain]):
        raise RuntimeError(f"{lost} calls got no card")
    slowest, usual = ([one.milliseconds(share) for one in side] for side, share in ((ours, 0.99), (healthchain, 0.5)))
    figures = f"ours {_range(slowest)}; HealthChain {_range(usual)}"
    title = f"paced: p99 at {RATE} calls a second, ours / median at 8 connections, HealthChain"
    return Goal(title, "<= 1", None, 1.0, ratios(slowest, usual), figures)


def _range(milliseconds: list[float]) -> str:
    return f"{min(milliseconds):.1f} to {max(milliseconds):.1f} ms"
