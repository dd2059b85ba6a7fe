"""What it costs to say who calls: hook calls with a JWT beside the same calls without one, in turns.

Both are answered by `cds-service serve` over HTTP on this machine, with 8 connections, and each decision is recorded in
an SQLite file. With a JWT each call has a token of its own; without, the service is in development mode. Ends with exit
code 1 when the goal falls short: `python -m benchmarks.jwt [CALLS [ROUNDS]]`.
"""

import json
import platform
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.calls import CONNECTIONS, Answers, answers, request
from benchmarks.service import PUBLIC, served
from tests.samples import CALM, call, response
from tests.tokens import EHR, EHR_RSA, KeyPair, claims, header, token

GOAL = 0.5  # of the calls without a JWT, for RS384
SERVICE = "/cds-services/low-back-pain-patient-view"
KEYS = {"RS384": EHR_RSA, "ES384": EHR}


def main(calls: int = 1200, rounds: int = 7) -> int:
    """Prints a line for each algorithm: calls per second, ratio (least, median, most), and whether the goal holds."""
    body = json.dumps(call(response(CALM | {"rf-bladder-bowel": "new"}))).encode()
    with (
        TemporaryDirectory() as one,
        TemporaryDirectory() as other,
        served(Path(one)) as without,
        served(Path(other), *KEYS.values()) as production,
    ):
        measured = [_round(without, production, body, calls) for _ in range(rounds + 1)][1:]  # the first warms up
    print(f"Python {platform.python_version()}, {CONNECTIONS} connections, {rounds} rounds of {calls} calls each")
    holds = [_told(name, [one["none"] for one in measured], [one[name] for one in measured]) for name in KEYS]
    return 0 if holds[0] else 1


def _round(without: int, production: int, body: bytes, calls: int) -> dict[str, Answers]:
    """Each kind in its turn."""
    found = {"none": answers(without, [request(SERVICE, body)] * calls)}
    for name, key in KEYS.items():
        signed = [request(SERVICE, body, [("Authorization", _bearer(key))]) for _ in range(calls)]
        found[name] = answers(production, signed)
    return found


def _bearer(key: KeyPair) -> str:
    now = int(time.time())
    return f"Bearer {token(header(key), claims(f'{PUBLIC}{SERVICE}', iat=now, exp=now + 300), key)}"


def _told(name: str, without: Sequence[Answers], signed: Sequence[Answers]) -> bool:
    """The goal holds when the median ratio reaches it, and every call got its card."""
    ratios = sorted(one.a_second / other.a_second for one, other in zip(signed, without, strict=True))
    median = statistics.median(ratios)
    lost = sum(one.without_card for one in [*signed, *without])
    holds = median >= GOAL and not lost
    said = f"goal {GOAL}: {'holds' if holds else 'falls short'}" if name == "RS384" else "no goal"
    print(
        f"calls with {name} and the decision recorded / the same without JWT: "
        f"{_median(signed)} / {_median(without)}, {lost} calls without a card, "
        f"ratio {ratios[0]:.2f} .. {median:.2f} .. {ratios[-1]:.2f}, {said}"
    )
    return holds


def _median(found: Sequence[Answers]) -> str:
    a_second, p95 = statistics.median(one.a_second for one in found), statistics.median(one.p95 for one in found)
    return f"{a_second:.0f} a second (p95 {p95:.0f} ms)"


if __name__ == "__main__":
    sys.exit(main(*(int(number) for number in sys.argv[1:])))
