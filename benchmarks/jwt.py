"""What it costs to say who calls: calls with a JWT, each with a token of its own, beside calls in development mode."""

import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.calls import request
from benchmarks.goals import Goal
from benchmarks.processes import Server
from benchmarks.service import PATH, PUBLIC, body, requests, served
from benchmarks.turns import Measured, measured, ratios, said, speed, turns
from tests.tokens import EHR, EHR_RSA, KeyPair, claims, header, token

KEYS = {"RS384": EHR_RSA, "ES384": EHR}


def goals(rounds: int, *, quick: bool) -> list[Goal]:
    """RS384 has a goal; ES384, whose signature takes the processor longer to check, is shown."""
    calls = 100 if quick else 1000
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        served(Path(one)) as without,
        served(Path(other), *KEYS.values()) as production,
    ):
        sides = {name: partial(_signed, production, key, calls) for name, key in KEYS.items()}
        found = turns(rounds, {"none": partial(measured, [without], requests(calls)), **sides})
    return [_goal(found, "RS384", ">= 0.5", 0.5), _goal(found, "ES384", "", None)]


def _goal(found: dict[str, list[Measured]], name: str, goal: str, least: float | None) -> Goal:
    figures = f"with {said(found[name])}; without {said(found['none'])}"
    ratio = ratios(speed(found[name]), speed(found["none"]))
    return Goal(f"jwt: calls a second, with {name} / without", goal, least, None, ratio, figures)


def _signed(production: Server, key: KeyPair, calls: int) -> Measured:
    """The tokens are made before the calls are measured."""
    made = [request(PATH, body(), [("Authorization", _bearer(key))]) for _ in range(calls)]
    return measured([production], made)


def _bearer(key: KeyPair) -> str:
    now = int(time.time())
    return f"Bearer {token(header(key), claims(f'{PUBLIC}{PATH}', iat=now, exp=now + 300), key)}"
